"""A message that a stage failed on is sent again: nothing of it is lost, and nothing unmasked."""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masker import MaskedMessage, Masker, Message
from masker.buffers import RedisBuffers
from masker.errors import MessageError, StageError
from masker.middleware import AsyncPipeline, Pipeline, PurgeWords, flow
from masker.middleware.flow import wholly_masked
from masker.stores import open_store
from masker.vault.keyfile import make_key_file
from pipelines import SECRET, ListStore
from redis_here import redis_server
from strategies import LeakCounter, Scene, conversations

MASKER = Masker()
NOON = dt.datetime(2024, 5, 17, 12, tzinfo=dt.UTC)
CARD = "4111111111111111"


def said(number: int, text: str, **more: Any) -> Message:
    return Message("c1", f"m{number}", "user", text, **more)


class Flaky(ListStore):
    """A store that fails when it is told to, or by chance."""

    def __init__(self, chance: Any = None) -> None:
        super().__init__()
        self.chance = chance

    def save_all(self, messages: Iterable[MaskedMessage]) -> None:
        if self.chance is not None:
            self.broken = self.chance()
        super().save_all(messages)


def insisted(act: Any, *arguments: Any) -> Any:
    """Call until it does not fail any more, as who delivers at least once does."""
    while True:
        try:
            return act(*arguments)
        except StageError:
            continue


@pytest.mark.parametrize("policy", ["masked", "original"])
@pytest.mark.parametrize("tokens", [False, True])
def test_a_message_the_store_did_not_take_is_shown_when_it_is_sent_again(
    policy: Any, tokens: bool
) -> None:
    if tokens and policy == "original":
        pytest.skip("tokens stand in masked text")
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store, policy=policy, tokens=tokens)
    message = said(1, f"card {CARD} ok")
    expected = Pipeline(MASKER, policy=policy, tokens=tokens).receive(message).text
    store.broken = True
    for _ in range(3):
        with pytest.raises(StageError):
            pipeline.receive(message)
    store.broken = False
    turn = pipeline.receive(message)
    assert turn.text == expected
    assert turn.masked == store.transcript["c1", "m1"]
    assert turn.revisions == (turn.masked,)
    assert pipeline.receive(message).text == expected
    pipeline.close()
    assert [masked.revision for masked in store.saved] == [0, 1]
    assert store.transcript["c1", "m1"].text == "card ************1111 ok"


def test_a_message_the_store_would_not_have_is_stored_once_it_is_mended(tmp_path: Path) -> None:
    make_key_file(tmp_path / "masker.keys")
    url, keys = f"sqlite:///{tmp_path / 't.db'}", f"file:{tmp_path / 'masker.keys'}"
    with open_store(url, keys) as store:
        pipeline = Pipeline(MASKER, store=store)
        for _ in range(2):
            with pytest.raises(MessageError, match="extra holds a value"):
                pipeline.receive(said(1, "hi there", extra={"it": object()}))
        pipeline.receive(said(2, "hello"))
        turn = pipeline.receive(said(1, "hi there", extra={"it": 1}))
        assert turn.text == "hi there"
        assert {m.message_id: m.text for m in store.transcript("c1")} == {
            "m1": "hi there",
            "m2": "hello",
        }


@given(conversations(chat=True, resend=True), st.integers(0, 2**32))
def test_a_store_that_fails_at_any_time_changes_nothing_in_the_end(scene: Scene, seed: int) -> None:
    random = Random(seed)
    plain, flaky = ListStore(), Flaky(lambda: random.random() < 0.4)
    one, other = Pipeline(MASKER, store=plain), Pipeline(MASKER, store=flaky)
    counter = LeakCounter()
    revisions: list[list[MaskedMessage]] = [[], []]
    for sent in scene.sent:
        counter.expect(sent)
        turn = one.receive(sent.message)
        again = insisted(other.receive, sent.message)
        assert again.text == turn.text
        revisions[0] += turn.revisions
        revisions[1] += again.revisions
    revisions[0] += one.close().revisions
    revisions[1] += insisted(other.close).revisions
    assert flaky.saved == plain.saved
    assert revisions[1] == revisions[0]
    counter.see(flaky.saved)
    assert counter.leaks() == {}


def test_nothing_is_remembered_of_what_was_sent_but_a_hash() -> None:
    pipeline = Pipeline(MASKER, policy="original")
    message = said(1, f"card {CARD} ok")
    assert pipeline.receive(message).text == message.text
    assert pipeline.receive(message).text == message.text
    kept = pipeline._flow._shown._shown, pipeline._flow._replied._shown
    assert CARD not in str(kept)


def test_what_comes_of_time_passing_is_told_once_the_store_takes_it() -> None:
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store)
    pipeline.receive(said(1, "it says 6225", timestamp=NOON))
    store.broken = True
    with pytest.raises(StageError):
        pipeline.advance(NOON + dt.timedelta(hours=1))
    store.broken = False
    turn = pipeline.advance(NOON + dt.timedelta(hours=1))
    assert [masked.text for masked in turn.revisions] == ["it says 6225"]


@pytest.mark.parametrize("step", [2, 3])
def test_an_order_the_store_failed_on_is_one_when_it_is_sent_again(step: int) -> None:
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store, purge=PurgeWords())
    orders = {2: said(2, "delete my data"), 3: said(3, "yes")}
    pipeline.receive(said(1, "hello"))
    for number, order in orders.items():
        if number == step:
            store.broken = True
            with pytest.raises(StageError):
                pipeline.receive(order)
            store.broken = False
        turn = pipeline.receive(order)
    assert turn.receipt == "receipt-1"
    assert store.saved == []


def test_nobody_confirms_what_they_were_never_asked() -> None:
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store, purge=PurgeWords())
    store.broken = True
    with pytest.raises(StageError):
        pipeline.receive(said(1, "delete my data"))
    store.broken = False
    assert pipeline.receive(said(2, "yes")).text == "yes"
    assert store.purged == []


def test_a_purge_that_failed_is_done_when_it_is_confirmed_again() -> None:
    class Stuck(ListStore):
        stuck = True

        def purge(self, **scope: Any) -> str:
            if self.stuck:
                raise OSError(SECRET)
            return super().purge(**scope)

    store = Stuck()
    pipeline = Pipeline(MASKER, store=store, purge=PurgeWords())
    pipeline.receive(said(1, "delete my data"))
    for _ in range(2):
        with pytest.raises(StageError, match=r"store: purge failed \(OSError\)"):
            pipeline.receive(said(2, "yes"))
    store.stuck = False
    assert pipeline.receive(said(2, "yes")).receipt == "receipt-1"


def test_a_message_of_the_next_stage_is_shown_again_as_it_was() -> None:
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store, tokens=True)
    pipeline.receive(said(1, f"card {CARD} ok"))
    reply = Message("c1", "r1", "assistant", "charged <CARD_1>, not 4000 0000 0000 0002, today")
    store.broken = True
    with pytest.raises(StageError):
        pipeline.respond(reply)
    store.broken = False
    for _ in range(2):
        assert pipeline.respond(reply).text == f"charged {CARD}, not **** **** **** 0002, today"
    assert store.transcript["c1", "r1"].text == (
        "charged ************1111, not **** **** **** 0002, today"
    )


def test_a_reply_the_store_did_not_take_is_shown_to_its_end() -> None:
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store)
    store.broken = True
    shown: list[str] = []
    with pytest.raises(StageError):
        shown += pipeline.stream("c1", ["on page ", "4"], message_id="r1")
    assert "".join(shown) == "on page 4"
    reply = pipeline.reply("c1", "r2")
    reply.feed("on page 5")
    with pytest.raises(StageError):
        reply.close()
    store.broken = False
    assert reply.close() == "5"
    assert reply.close() == ""
    assert [key[1] for key in store.transcript] == ["r1", "r2"]


def test_an_awaited_reply_the_store_did_not_take_is_shown_to_its_end() -> None:
    store = ListStore()
    pipeline = AsyncPipeline(MASKER, store=store)
    shown: list[str] = []

    async def chunks() -> Any:
        for chunk in ("on page ", "4"):
            yield chunk

    async def stream() -> None:
        async for piece in pipeline.stream("c1", chunks(), message_id="r1"):
            shown.append(piece)  # noqa: PERF401 - what came before it failed is looked at

    async def talk() -> None:
        with pytest.raises(StageError):
            await stream()
        reply = await pipeline.reply("c1", "r2")
        reply.feed("on page 5")
        with pytest.raises(StageError):
            await reply.close()
        store.broken = False
        shown.append(await reply.close())

    store.broken = True
    asyncio.run(talk())
    assert shown == ["on page ", "4", "5"]
    assert [key[1] for key in store.transcript] == ["r1", "r2"]


def test_when_too_much_waits_for_the_store_messages_are_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flow, "MAX_UNSAVED", 3)
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store)
    messages = [said(number, "abcdefghi"[number] * 9) for number in range(9)]
    store.broken = True
    for message in messages:
        with pytest.raises(StageError) as caught:
            pipeline.receive(message)
        assert caught.value.waiting <= 3
    store.broken = False
    shown = [pipeline.receive(message).text for message in messages]
    assert shown == [message.text for message in messages]
    pipeline.close()
    assert len(store.transcript) == 9


def test_what_a_cancelled_task_was_given_by_shared_buffers_is_stored() -> None:
    """The thread that asks Redis goes on behind a cancelled task; what it gets is not lost."""
    store = ListStore()
    with redis_server() as server:
        redactor = MASKER.redactor(
            buffers=RedisBuffers(server.url, keys=secrets.token_bytes(32), lease_seconds=3600)
        )
        begun, receive = threading.Event(), redactor.receive

        def slow(message: Message) -> list[MaskedMessage]:
            begun.set()
            time.sleep(0.2)
            return receive(message)

        redactor.receive = slow  # type: ignore[method-assign]  # only slower

        async def talk() -> None:
            pipeline = AsyncPipeline(MASKER, store=store, redactor=redactor)
            task = asyncio.create_task(pipeline.receive(said(1, f"card {CARD} ok")))
            await asyncio.to_thread(begun.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await pipeline.receive(said(2, "hello"))

        asyncio.run(talk())
    assert [masked.message_id for masked in store.saved] == ["m1", "m2"]


def test_a_redactor_that_waits_keeps_no_threads_from_others() -> None:
    """Resolving a name needs one of the loop's threads too: none may wait for Redis there."""

    class Waiting(ListStore):
        def __init__(self) -> None:
            super().__init__()
            self.go = threading.Event()
            self.at_once = 0
            self.most = 0

        def receive(self, message: Message) -> list[MaskedMessage]:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            self.go.wait()
            self.at_once -= 1
            return [wholly_masked(message)]

    redactor: Any = Waiting()

    async def talk() -> None:
        pipeline = AsyncPipeline(MASKER, redactor=redactor)
        tasks = [asyncio.create_task(pipeline.receive(said(n, "hello"))) for n in range(100)]
        await asyncio.sleep(0)
        try:
            await asyncio.wait_for(asyncio.to_thread(int), 30)
        finally:
            redactor.go.set()
        await asyncio.gather(*tasks)

    asyncio.run(talk())
    # A redactor that is measured is as little for several threads as it is by itself.
    assert redactor.most == 1

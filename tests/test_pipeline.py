"""The pipeline: what the next stage, the store and the person answered ever see."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masker import MaskedMessage, Masker, Message, MessageError
from masker.errors import StageError
from masker.middleware import AsyncPipeline, Pipeline, PurgeWords
from masker.stores import open_store
from masker.vault.keyfile import make_key_file
from pipelines import (
    SECRET,
    BrokenRedactor,
    ListStore,
    chunked,
    everything,
    leaked,
    readable,
    seeds,
)
from strategies import (
    LeakCounter,
    Scene,
    Written,
    card_numbers,
    conversations,
    join,
    parts_of,
    plain,
    written_numbers,
)

MASKER = Masker()
CARD = "4111111111111111"
OTHER = "5500005555555559"
NOON = dt.datetime(2024, 5, 17, 12, tzinfo=dt.UTC)


def say(pipeline: Pipeline, text: str, number: int = 1, sender: str = "user", **more: Any) -> Any:
    return pipeline.receive(Message("c1", f"m{number}", sender, text, **more))


# -- messages --------------------------------------------------------------------------------


@given(conversations(parties=2, chat=True))
def test_no_cut_shows_the_next_stage_or_the_store_more_than_the_last_four(scene: Scene) -> None:
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store)
    counter = LeakCounter()
    seen: dict[str, set[int]] = {}
    for sent in scene.sent:
        counter.expect(sent)
        turn = pipeline.receive(sent.message)
        assert turn.text is not None
        readable(sent.written, turn.text, seen)
    pipeline.close()
    counter.see(store.saved)
    assert counter.leaks() == {}
    assert counter.unfinished() == []
    assert leaked(seen) == {}


@given(conversations(chat=True, resend=True))
def test_the_awaiting_driver_gives_what_the_blocking_one_gives(scene: Scene) -> None:
    stores = [ListStore(), ListStore()]
    pipeline = Pipeline(MASKER, store=stores[0])
    texts = [pipeline.receive(sent.message).text for sent in scene.sent]
    pipeline.close()

    async def converse() -> list[str | None]:
        other = AsyncPipeline(MASKER, store=stores[1])
        texts = [(await other.receive(sent.message)).text for sent in scene.sent]
        await other.close()
        return texts

    assert asyncio.run(converse()) == texts
    assert stores[0].saved == stores[1].saved


@given(conversations(chat=True))
def test_under_policy_original_only_the_store_sees_the_mask(scene: Scene) -> None:
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store, policy="original")
    counter = LeakCounter()
    for sent in scene.sent:
        counter.expect(sent)
        assert pipeline.receive(sent.message).text == sent.message.text
    pipeline.close()
    counter.see(store.saved)
    assert counter.leaks() == {}


def test_a_message_that_is_sent_again_is_shown_as_it_was() -> None:
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store, tokens=True)
    first = say(pipeline, f"card {CARD}")
    again = say(pipeline, f"card {CARD}")
    as_shown = say(pipeline, first.text)
    assert (first.text, again.text, as_shown.text) == ("card <CARD_1>",) * 3
    assert len(store.saved) == 1


def test_an_edit_is_masked_as_a_further_revision() -> None:
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store)
    say(pipeline, "hello")
    assert say(pipeline, f"card {CARD} ok").text == "card **************** ok"
    pipeline.close()
    assert [m.text for m in store.saved] == [
        "hello",
        "card **************** ok",
        "card ************1111 ok",
    ]
    assert store.transcript["c1", "m1"].text == "card ************1111 ok"


def test_a_held_message_is_for_the_next_stage_once_it_comes_out() -> None:
    pipeline = Pipeline(MASKER, redactor=MASKER.redactor("hold"))
    assert say(pipeline, "it says 6225").text is None
    assert [m.text for m in pipeline.close("c1").revisions] == ["it says 6225"]


def test_a_recalled_message_stays_masked_in_the_store() -> None:
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store)
    say(pipeline, "it says 6225")
    pipeline.recall("c1", "m1")
    assert store.transcript["c1", "m1"].text == "it says ****"
    assert store.transcript["c1", "m1"].final


def test_time_decides_what_waits() -> None:
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store)
    say(pipeline, "it says 6225", timestamp=NOON)
    pipeline.advance(NOON + dt.timedelta(minutes=11))
    assert store.transcript["c1", "m1"].text == "it says 6225"


def test_parameters_that_contradict_each_other_are_refused() -> None:
    for wrong in ({"policy": "both"}, {"policy": "original", "tokens": True}):
        with pytest.raises(MessageError):
            Pipeline(MASKER, **wrong)
    with pytest.raises(MessageError, match="needs a store"):
        Pipeline(MASKER, purge=PurgeWords())


# -- what breaks -----------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["masked", "original"])
def test_a_redactor_that_breaks_leaves_a_message_wholly_masked(policy: Any) -> None:
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store, policy=policy, redactor=BrokenRedactor())
    turn = say(pipeline, f"my card is {SECRET}")
    assert turn.text == "** **** ** **** **** **** ****"
    assert [m.text for m in store.saved] == [turn.text]
    assert pipeline.failures == 1


def test_a_redactor_that_breaks_between_messages_is_an_error_without_content() -> None:
    pipeline = Pipeline(MASKER, redactor=BrokenRedactor())
    with pytest.raises(StageError, match=r"redactor: advance failed \(ConnectionError\)") as caught:
        pipeline.advance(NOON)
    assert caught.value.__cause__ is None


def test_a_reply_is_masked_while_the_redactor_is_away() -> None:
    pipeline = Pipeline(MASKER, store=ListStore(), redactor=BrokenRedactor())
    assert pipeline.answer("c1", f"it is {SECRET}, yes") == "it is **** **** **** 1111, yes"


def test_what_a_broken_store_could_not_take_goes_with_the_next() -> None:
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store)
    store.broken = True
    for number in (1, 2):
        with pytest.raises(StageError, match="store: save_all failed") as caught:
            say(pipeline, f"line {number} {SECRET} x", number)
        assert caught.value.waiting == number
        assert "1111" not in everything([caught.value, caught.value.__cause__, pipeline])
        # The error of the store shows what it could not write: masked text, and only that.
        assert SECRET not in str(caught.value.__context__)
    store.broken = False
    say(pipeline, "line 3", 3)
    assert [key[1] for key in store.transcript] == ["m1", "m2", "m3"]


def test_no_repr_shows_what_was_said() -> None:
    pipeline = Pipeline(MASKER, store=ListStore(), tokens=True)
    turn = say(pipeline, f"secretary {CARD}")
    reply = pipeline.reply("c1")
    reply.feed("secretary <CARD_1> ")
    flow = pipeline._flow
    assert flow.tokens is not None
    shown = everything([pipeline, turn, reply, reply._text, flow._shown, flow._conversations])
    shown += everything([flow.tokens, flow.tokens.of("c1"), *flow.tokens.of("c1")._values.values()])
    assert "secretary" not in shown
    assert "1111" not in shown


# -- replies ---------------------------------------------------------------------------------


@given(written_numbers(), seeds())
def test_a_reply_in_chunks_is_what_the_whole_would_be(
    digits: tuple[Written, ...], seed: int
) -> None:
    whole = plain("here it is: ") + join(digits) + plain(" and so on, for a while.")
    pipeline = Pipeline(MASKER, store=(store := ListStore()))
    shown = "".join(pipeline.stream("c1", chunked(whole.text, seed)))
    seen: dict[str, set[int]] = {}
    readable(whole, shown, seen)
    assert leaked(seen) == {}
    assert shown == MASKER.mask(whole.text).text
    assert Pipeline(MASKER).answer("c1", whole.text) == shown
    pipeline.close()
    assert [m.text for m in store.transcript.values()] == [shown]


@given(card_numbers().flatmap(lambda n: written_numbers(st.just(n))), st.data(), seeds())
def test_no_cut_over_chunks_and_replies_shows_more_than_the_last_four(
    digits: tuple[Written, ...], data: st.DataObject, seed: int
) -> None:
    size = data.draw(st.integers(1, len(digits) - 1))
    parts = parts_of(digits, (size, len(digits) - size))
    pipeline = Pipeline(MASKER, store=(store := ListStore()), join_replies=True)
    seen: dict[str, set[int]] = {}
    for number, part in enumerate(parts):
        pieces = list(pipeline.stream("c1", chunked(part.text, seed + number)))
        readable(part, "".join(pieces), seen)
    assert leaked(seen) == {}
    pipeline.close()
    stored: dict[str, set[int]] = {}
    for part, message in zip(parts, store.transcript.values(), strict=True):
        readable(part, message.text, stored)
    assert leaked(stored) == {}


def test_replies_end_as_they_were_written_unless_they_are_joined() -> None:
    assert Pipeline(MASKER).answer("c1", "see page 4") == "see page 4"
    assert Pipeline(MASKER, join_replies=True).answer("c1", "see page 4") == "see page *"


def test_a_question_in_a_reply_speaks_for_the_answer_to_it() -> None:
    mistyped = "4111111111111112"
    pipeline = Pipeline(MASKER)
    pipeline.answer("c1", "please send your card number")
    assert say(pipeline, mistyped, 2).text.count("*") >= 12


def test_a_long_reply_is_masked_to_its_end() -> None:
    whole = "".join(f"line {n}: {CARD} and some more words here.\n" for n in range(60))
    pipeline = Pipeline(MASKER, store=(store := ListStore()))
    shown = "".join(pipeline.stream("c1", chunked(whole, 7)))
    assert shown == whole.replace(CARD, "************1111")
    pipeline.close()
    assert [m.text for m in store.transcript.values()] == [shown]


def test_a_reply_that_breaks_off_is_stored_as_far_as_it_came() -> None:
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store)

    def chunks() -> Any:
        yield "the number is 4111 1111 "
        raise TimeoutError

    with pytest.raises(TimeoutError):
        list(pipeline.stream("c1", chunks()))
    assert [m.text for m in store.saved] == ["the number is **** **** "]


def test_masking_that_breaks_within_a_reply_shows_nothing_of_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> int:
        raise ValueError(SECRET)

    pipeline = Pipeline(MASKER)
    reply = pipeline.reply("c1")
    shown = reply.feed("hello there, it is ")
    monkeypatch.setattr("masker.middleware.replies.first_undecided", broken)
    monkeypatch.setattr("masker.middleware.replies.detect.mask", broken)
    monkeypatch.setattr("masker.middleware.replies.lanes.receive", broken)
    shown += reply.feed(f"{SECRET} and more")
    shown += reply.close()
    assert shown.startswith("hello there, ")
    assert shown.endswith(" **** **** **** **** *** ****")


# -- tokens ----------------------------------------------------------------------------------


def test_the_same_value_has_the_same_token_however_it_is_written() -> None:
    pipeline = Pipeline(MASKER, tokens=True)
    assert say(pipeline, f"{CARD} or 4111-1111-1111-1111, not {OTHER} ok").text == (
        "<CARD_1> or <CARD_1>, not <CARD_2> ok"
    )
    assert say(pipeline, "身份证11010519491231002X，对").text is not None
    assert say(pipeline, "４１１１１１１１１１１１１１１１ ok", 3).text == "<CARD_1> ok"


@settings(max_examples=40)
@given(card_numbers(networks=("unionpay",), lengths=(19,)), st.data())
def test_a_number_in_parts_has_one_token_for_the_whole(number: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(7, 12))
    pipeline = Pipeline(MASKER, tokens=True, store=(store := ListStore()))
    assert say(pipeline, number[:cut], 1).text == "*" * cut
    token = say(pipeline, number[cut:] + " ok", 2).text
    assert token == "<CARD_1> ok"
    assert pipeline.answer("c1", "charged <CARD_1>.") == f"charged {number}."
    assert all(number[cut:] not in m.text for m in store.saved)


@given(seeds())
def test_an_answer_gets_the_original_back_however_it_is_cut(seed: int) -> None:
    pipeline = Pipeline(MASKER, tokens=True, store=(store := ListStore()))
    say(pipeline, f"card 4111-1111-1111-1111, other {OTHER} ok")
    answer = f"<CARD_1>, <CARD_2>; <b>not</b> <CARD_3> <CARD_1 nor {CARD} < 5 <"
    shown = "".join(pipeline.stream("c1", chunked(answer, seed)))
    masked = "************1111"
    assert shown.startswith(
        f"4111-1111-1111-1111, {OTHER}; <b>not</b> <CARD_3> <CARD_1 nor {masked} < "
    )
    pipeline.close()
    stored = store.saved[-1].text
    assert stored.startswith("****-****-****-1111, ************5559; <b>not</b> <CARD_3>")
    found = store.saved[-1].findings[-1]
    assert stored[found.start : found.end] == masked


def test_what_looks_like_a_token_never_comes_to_stand_for_a_number() -> None:
    pipeline = Pipeline(MASKER, tokens=True)
    assert say(pipeline, "what is <CARD_1>?").text == "what is <CARD_1>?"
    assert say(pipeline, f"it is {CARD} ok", 2).text == "it is <CARD_2> ok"
    assert pipeline.answer("c1", "<CARD_1> ok") == "<CARD_1> ok"


def test_tokens_are_of_one_conversation_and_end_with_it() -> None:
    pipeline = Pipeline(MASKER, tokens=True)
    say(pipeline, f"card {CARD} ok")
    assert pipeline.answer("c2", "<CARD_1> ok") == "<CARD_1> ok"
    pipeline.close("c1")
    assert pipeline.answer("c1", "<CARD_1> ok") == "<CARD_1> ok"


def test_private_characters_in_a_text_are_only_themselves() -> None:
    pipeline = Pipeline(MASKER, tokens=True)
    turn = say(pipeline, f"\ue000 {CARD} \ue000 <CARD_9> ok")
    assert turn.text == "\ue000 <CARD_1> \ue000 <CARD_9> ok"
    assert turn.masked.text == "\ue000 **************** \ue000 <CARD_9> ok"
    assert pipeline.answer("c1", "\ue000<CARD_1>\ue000.") == f"\ue000{CARD}\ue000."


def test_tokens_that_cannot_be_had_leave_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError(SECRET)

    monkeypatch.setattr("masker.middleware.tokens.TokenMaps.learn", broken)
    pipeline = Pipeline(MASKER, tokens=True)
    assert say(pipeline, f"card {CARD} ok").text == "card **************** ok"
    assert pipeline.failures == 1


# -- purge through the chat ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phrase", "yes"),
    [("清除我的记录", "确认"), ("Delete my data!", " YES "), ("“删除我的记录”。", "是。")],
)
def test_a_purge_is_asked_for_confirmed_and_receipted(phrase: str, yes: str) -> None:
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store, tokens=True, purge=PurgeWords())
    say(pipeline, f"card {CARD} ok", 1)
    asked = say(pipeline, phrase, 2)
    assert asked.text is None
    assert asked.answer == PurgeWords().question
    assert store.purged == []
    done = say(pipeline, yes, 3)
    assert done.text is None
    assert "receipt-1" in (done.answer or "")
    assert done.receipt == "receipt-1"
    assert store.purged == [{"conversation_id": "c1", "subject": None}]
    assert store.saved == []
    assert pipeline.answer("c1", "<CARD_1> ok", message_id="r1") == "<CARD_1> ok"


@pytest.mark.parametrize("no", ["no", "确认一下我的地址", "yes but later"])
def test_anything_but_a_confirmation_is_a_no(no: str) -> None:
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store, purge=PurgeWords())
    say(pipeline, "delete my data", 1)
    assert say(pipeline, no, 2).text == no
    assert say(pipeline, "yes", 3).text == "yes"
    assert store.purged == []


def test_nobody_else_can_confirm() -> None:
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store, purge=PurgeWords())
    say(pipeline, "delete my data", 1)
    assert say(pipeline, "yes", 2, sender="agent").text == "yes"
    assert store.purged == []
    assert say(pipeline, "yes", 3).receipt == "receipt-1"


def test_talk_about_a_purge_orders_none() -> None:
    pipeline = Pipeline(MASKER, store=ListStore(), purge=PurgeWords())
    text = "how do I say delete my data in Chinese?"
    assert say(pipeline, text).text == text


def test_a_purge_of_a_subject_takes_all_its_conversations() -> None:
    store = ListStore()
    words = PurgeWords(scope="subject")
    pipeline = Pipeline(MASKER, store=store, purge=words)
    pipeline.receive(Message("c1", "m1", "user", "it says 6225", subject="u1"))
    pipeline.receive(Message("c2", "m1", "user", "it says 6226", subject="u1"))
    pipeline.receive(Message("c2", "m2", "user", "delete my data", subject="u1"))
    turn = pipeline.receive(Message("c2", "m3", "user", "yes", subject="u1"))
    assert turn.receipt == "receipt-1"
    assert store.purged == [{"conversation_id": None, "subject": "u1"}]
    pipeline.close()
    assert store.saved == []


def test_a_message_that_cannot_be_stored_keeps_no_other_from_the_store(tmp_path: Path) -> None:
    make_key_file(tmp_path / "masker.keys")
    url, keys = f"sqlite:///{tmp_path / 't.db'}", f"file:{tmp_path / 'masker.keys'}"
    with open_store(url, keys) as store:
        pipeline = Pipeline(MASKER, store=store)
        with pytest.raises(MessageError, match="'m2' of 'c1': extra holds a value"):
            say(pipeline, "hi", 2, extra={"object": object()})
        say(pipeline, "hello", 3)
        pipeline.receive(Message("c2", "m1", "user", "and here"))
        pipeline.close()
        assert [message.text for message in store.transcript("c1")] == ["hello"]
        assert [message.text for message in store.transcript("c2")] == ["and here"]


def test_what_a_cancelled_task_could_not_store_goes_with_the_next() -> None:
    class Slow(ListStore):
        """A store that takes its time, the first time."""

        slow = True

        async def save_all(self, messages: Iterable[MaskedMessage]) -> None:  # type: ignore[override]
            if self.slow:
                await asyncio.sleep(60)
            ListStore.save_all(self, messages)

    async def run(store: Slow) -> None:
        pipeline = AsyncPipeline(MASKER, store=store)
        task = asyncio.create_task(pipeline.receive(Message("c1", "m1", "user", "hello")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        store.slow = False
        await pipeline.receive(Message("c1", "m2", "user", "are you there"))

    store = Slow()
    asyncio.run(run(store))
    assert [message.text for message in store.saved] == ["hello", "are you there"]


def test_a_purge_that_fails_is_an_error_and_no_receipt() -> None:
    class Stuck(ListStore):
        def purge(self, **_: Any) -> str:
            raise OSError(SECRET)

    pipeline = Pipeline(MASKER, store=Stuck(), purge=PurgeWords())
    say(pipeline, "delete my data", 1)
    with pytest.raises(StageError, match=r"store: purge failed \(OSError\)"):
        say(pipeline, "yes", 2)


def test_a_real_store_keeps_masks_and_purges_what_is_asked(tmp_path: Path) -> None:
    make_key_file(tmp_path / "keys")
    url, keys = f"sqlite:///{tmp_path}/chat.db", f"file:{tmp_path}/keys"

    def talk(step: Any, driver: Any) -> Any:
        return asyncio.run(step) if driver is AsyncPipeline else step

    for conversation_id, driver in (("c1", Pipeline), ("c2", AsyncPipeline)):
        store = open_store(url, keys=keys)
        pipeline: Any = driver(MASKER, store=store, tokens=True, purge=PurgeWords())
        said = [f"card {CARD} ok", "it says 6225", "delete my data", "yes", "hello again"]
        turns = [
            talk(
                pipeline.receive(
                    Message(conversation_id, f"m{number}", "user", text, dt.datetime.now(dt.UTC))
                ),
                driver,
            )
            for number, text in enumerate(said)
        ]
        assert turns[0].text == "card <CARD_1> ok"
        assert turns[3].receipt.status == "complete"
        assert turns[3].receipt.id in turns[3].answer
        assert turns[3].receipt.messages == 4
        assert [m.text for m in store.transcript(conversation_id)] == ["hello again"]
        store.close()


@pytest.mark.parametrize(("status", "said"), [("held", "not deleted"), ("pending", "goes on")])
def test_a_purge_that_is_not_complete_is_not_said_to_be(status: str, said: str) -> None:
    class Held(ListStore):
        def purge(self, **_: Any) -> Any:
            return SimpleNamespace(id="r1", status=status)

    pipeline = Pipeline(MASKER, store=Held(), purge=PurgeWords())
    say(pipeline, "delete my data", 1)
    assert said in say(pipeline, "yes", 2).answer


# -- drivers ---------------------------------------------------------------------------------


def test_the_awaiting_driver_awaits_what_is_awaitable_and_never_blocks_the_loop() -> None:
    calls: list[str] = []

    class Away:
        """A redactor and a store in one, on the other side of a network."""

        def __init__(self) -> None:
            self.redactor = MASKER.redactor()

        async def receive(self, message: Message) -> list[MaskedMessage]:
            await asyncio.sleep(0)
            calls.append("receive")
            return self.redactor.receive(message)

        async def save_all(self, messages: list[MaskedMessage]) -> None:
            await asyncio.sleep(0)
            calls.append("save_all")

    async def converse() -> str | None:
        away: Any = Away()
        pipeline = AsyncPipeline(MASKER, store=away, redactor=away)
        return (await pipeline.receive(Message("c1", "m1", "user", f"card {CARD} ok"))).text

    assert asyncio.run(converse()) == "card **************** ok"
    assert calls == ["receive", "save_all"]


def test_threads_take_turns() -> None:
    from concurrent.futures import ThreadPoolExecutor

    store = ListStore()
    pipeline = Pipeline(MASKER, store=store)

    def one(number: int) -> str | None:
        message = Message(f"c{number % 70}", f"m{number}", "user", f"card {CARD} ok")
        return pipeline.receive(message).text

    with ThreadPoolExecutor(8) as pool:
        texts = set(pool.map(one, range(300)))
    assert texts == {"card **************** ok"}
    assert len(store.transcript) == 300


def test_masker_middleware_imports_no_adapter() -> None:
    import subprocess
    import sys

    script = (
        "import sys, masker, masker.middleware\n"
        "heavy = {'starlette', 'langchain', 'langchain_core', 'litellm', 'openai', 'httpx'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)

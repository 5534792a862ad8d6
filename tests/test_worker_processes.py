"""Four worker processes over one real Redis say what one process says, whatever befalls them."""

from __future__ import annotations

import itertools
import secrets
import time
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import strategies as my
from events import ONE_CONVERSATION, RULES, SCENES, Closed, Event, Received, events, in_order, tell
from masker import MaskedMessage, Masker, Message
from redis_here import RedisServer, redis_server
from worker_processes import CONVERSATIONS, Worker, workers

if TYPE_CHECKING:
    from collections.abc import Iterator

MASKER = Masker(rules=RULES)
KEY = secrets.token_bytes(32)
DELIVERIES: tuple[my.Delivery, ...] = ("revise", "hold")
deliveries = pytest.mark.parametrize("delivery", DELIVERIES)
namespaces = (f"n{number}" for number in itertools.count())
some = settings(max_examples=max(CONVERSATIONS // 2, 1))


@pytest.fixture(scope="module")
def four() -> Iterator[list[Worker]]:
    with redis_server() as server, workers(4, {"url": server.url, "keys": KEY}) as started:
        yield started


@deliveries
@some
@given(events(), st.randoms(use_true_random=False))
def test_four_processes_at_random_give_what_one_gives(
    four: list[Worker], delivery: my.Delivery, happened: list[Event], random: Random
) -> None:
    plain = MASKER.redactor(delivery)
    namespace = next(namespaces)
    for worker in four:
        worker.use(namespace, delivery)
    for event in happened:
        worker = random.choice(four)
        expected = in_order(event, tell(plain, event), delivery)
        assert in_order(event, worker.tell(event), delivery) == expected
        worker.acknowledge()
    assert not any(worker.failures() for worker in four)


@deliveries
@some
@given(ONE_CONVERSATION, st.randoms(use_true_random=False))
def test_messages_that_race_keep_their_sequence(
    four: list[Worker], delivery: my.Delivery, scene: my.Scene, random: Random
) -> None:
    """All messages are on their way at once, each to some worker, in any order.

    A sequence is a conversation's: between two conversations of a subject there is none.
    """
    namespace = next(namespaces)
    for worker in four:
        worker.use(namespace, delivery, order="sequence")
    messages = numbered(scene)
    plain = MASKER.redactor(delivery)
    expected = [m for message in messages for m in plain.receive(message)] + plain.close()
    shuffled = random.sample(messages, len(messages))
    sent_to = [random.choice(four) for _ in shuffled]
    asked = [w.send(Received(message)) for w, message in zip(sent_to, shuffled, strict=True)]
    got = [m for worker, number in zip(sent_to, asked, strict=True) for m in worker.answer(number)]
    got += four[0].tell(Closed(None))
    assert newest(got) == newest(expected)


def numbered(scene: my.Scene) -> list[Message]:
    """The scene's messages, each once, with their place in their conversation."""
    counts: dict[str, int] = {}
    messages = []
    for message in {sent.key: sent.message for sent in scene.sent}.values():
        counts[message.conversation_id] = counts.get(message.conversation_id, 0) + 1
        messages.append(replace(message, extra={"sequence": counts[message.conversation_id]}))
    return messages


def newest(out: list[MaskedMessage]) -> dict[tuple[str, str], MaskedMessage]:
    kept: dict[tuple[str, str], MaskedMessage] = {}
    for masked in sorted(out, key=lambda masked: masked.revision):
        kept[masked.conversation_id, masked.message_id] = masked
    return kept


# -- killed, restarted -------------------------------------------------------------------------


class Transcript:
    """What a consumer keeps, and every character it could ever read."""

    def __init__(self, scene: my.Scene) -> None:
        self.scene = scene
        self.kept: dict[tuple[str, str], MaskedMessage] = {}
        self.readable: dict[str, set[int]] = {}
        self._written = {sent.key: sent.written for sent in scene.sent}

    def see(self, out: list[MaskedMessage]) -> None:
        for masked in out:
            key = masked.conversation_id, masked.message_id
            written = self._written[key]
            for after, before, mark in zip(masked.text, written.text, written.marks, strict=True):
                assert after in (before, my.MASK)
                if mark is not None and after == before:
                    self.readable.setdefault(mark[0], set()).add(mark[1])
            old = self.kept.get(key)
            if old is None or masked.revision >= old.revision:
                self.kept[key] = masked

    @property
    def is_complete(self) -> bool:
        return all(key in self.kept and self.kept[key].final for key in self._written)

    def hold_to_account(self) -> None:
        assert set(self.kept) == set(self._written), "a message was lost"
        assert all(masked.final for masked in self.kept.values()), "a message is not final"
        for number, places in self.readable.items():
            assert max(len(number) - my.KEEP, 0) <= min(places), (
                "more than a last four was readable"
            )


ROUNDS = max(CONVERSATIONS // 10, 3)


@deliveries
@pytest.mark.parametrize("durable", [True, False], ids=["restarted", "wiped"])
def test_killed_workers_and_a_restarted_redis_lose_nothing_and_show_nothing(
    delivery: my.Delivery, durable: bool
) -> None:
    """A source that delivers again what nobody confirmed; one worker is never killed."""
    with redis_server(durable=durable) as server:
        settings_ = {"url": server.url, "keys": KEY, "lease_seconds": 0.001, "timeout": 5.0}
        with workers(4, settings_) as started:

            @settings(max_examples=ROUNDS, phases=[Phase.generate])
            @given(SCENES, st.randoms(use_true_random=False))
            def run(scene: my.Scene, random: Random) -> None:
                befall(server, started, settings_, scene, random, delivery)

            run()


def befall(
    server: RedisServer,
    started: list[Worker],
    settings_: dict[str, object],
    scene: my.Scene,
    random: Random,
    delivery: my.Delivery,
) -> None:
    namespace = next(namespaces)
    for worker in started:
        worker.use(namespace, delivery)
    transcript = Transcript(scene)
    # Losing all of Redis and a worker at once loses what only these two knew: see docs.
    what = random.choice(["kill", "restart"] if not server.durable else ["kill", "restart", "both"])
    for sent in scene.sent:
        number = random.randrange(4)
        if what in ("restart", "both") and random.random() < 0.3:
            server.restart()
        if what in ("kill", "both") and number and random.random() < 0.3:
            asked = started[number].send(Received(sent.message))
            if random.random() < 0.5:
                out = started[number].answer(asked)
                if random.random() < 0.5:
                    transcript.see(out)
            started[number].kill()
            started[number] = Worker(settings_)
            started[number].use(namespace, delivery)
            number = random.randrange(4)
        transcript.see(started[number].tell(Received(sent.message)))
    # A worker that found Redis away leaves it alone for a second; what is pending waits for it.
    for _ in range(20):
        for worker in started:
            transcript.see(worker.tell(Closed(None)))
        if transcript.is_complete:
            break
        time.sleep(0.2)
    transcript.hold_to_account()

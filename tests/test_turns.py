"""Messages that race: each has its turn, by sequence or by time, or is masked."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies as my
from masker import MaskedMessage, Masker, Message, MessageError
from masker.buffers import MemoryBuffers, SharedRedactor

MASKER = Masker(rules=["payment-card", "cn-resident-id"])
NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
DELIVERIES: tuple[my.Delivery, ...] = ("revise", "hold")
deliveries = pytest.mark.parametrize("delivery", DELIVERIES)
SCENES = my.conversations(parties=2, most=6) | my.conversations(chat=True, smallest=3, asked=True)


def redactor(order: str, delivery: str = "revise", **options: Any) -> SharedRedactor:
    made: SharedRedactor = MASKER.redactor(  # type: ignore[call-overload]
        delivery, buffers=MemoryBuffers(), order=order, **options
    )
    return made


def said(number: int, text: str, **fields: Any) -> Message:
    at = NOON + dt.timedelta(seconds=number)
    return Message("c1", f"m{number}", "user", text, at, extra={"sequence": number}, **fields)


def texts(out: list[MaskedMessage]) -> list[tuple[str, str]]:
    return [(masked.message_id, masked.text) for masked in out]


def newest(out: list[MaskedMessage]) -> dict[str, tuple[int, str]]:
    kept: dict[str, tuple[int, str]] = {}
    for masked in out:
        assert masked.revision > kept.get(masked.message_id, (-1, ""))[0]
        kept[masked.message_id] = masked.revision, masked.text
    return kept


@deliveries
@pytest.mark.parametrize("order", ["sequence", "time"])
@given(scene=SCENES, random=st.randoms(use_true_random=False))
def test_whatever_order_they_come_in_they_are_taken_in_theirs(
    order: str, delivery: my.Delivery, scene: my.Scene, random: Random
) -> None:
    messages = list({sent.key: sent.message for sent in scene.sent}.values())
    messages = [replace(m, extra={"sequence": n}) for n, m in enumerate(messages, 1)]
    plain = MASKER.redactor(delivery)
    expected = [out for message in messages for out in plain.receive(message)] + plain.close()
    # Within the time that others are waited for, they may come as they like.
    worker = redactor(order, delivery, order_seconds=590.0)
    came = [out for m in random.sample(messages, len(messages)) for out in worker.receive(m)]
    came += worker.close()
    assert newest(came) == newest(expected)


def test_a_message_waits_for_those_before_it() -> None:
    worker = redactor("sequence")
    assert worker.receive(said(2, "two")) == []
    assert worker.receive(said(3, "three")) == []
    assert texts(worker.receive(said(1, "one"))) == [("m1", "one"), ("m2", "two"), ("m3", "three")]
    assert texts(worker.receive(said(4, "four"))) == [("m4", "four")]


def test_what_follows_a_lost_message_is_masked() -> None:
    """The lost one may have been the middle of a number."""
    worker = redactor("sequence", order_seconds=5.0)
    out = worker.receive(said(1, "5105 10"))
    assert worker.receive(said(3, "05 1051 00")) == []
    assert worker.advance(NOON + dt.timedelta(seconds=7)) == []
    out += worker.advance(NOON + dt.timedelta(seconds=8))
    out += worker.receive(said(4, "room 402"))
    assert newest(out) == {"m1": (1, "**** **"), "m3": (0, "** **** **"), "m4": (0, "room ***")}


@pytest.mark.parametrize("order", ["sequence", "time"])
def test_a_message_that_comes_after_its_turn_is_masked(order: str) -> None:
    worker = redactor(order, order_seconds=1.0)
    worker.receive(said(1, "hello"))
    worker.receive(said(3, "5105 10"))
    out = worker.advance(NOON + dt.timedelta(seconds=60))
    late = worker.receive(said(2, "51 0510"))
    assert texts([m for m in late if m.message_id == "m2"]) == [("m2", "** ****")]
    assert not any(char.isdigit() for masked in out + late for char in masked.text)


@pytest.mark.parametrize("order", ["sequence", "time"])
def test_a_message_sent_again_comes_out_once(order: str) -> None:
    worker = redactor(order, order_seconds=1.0)
    out = worker.receive(said(2, "two")) + worker.receive(said(2, "two"))
    out += worker.receive(said(1, "one")) + worker.receive(said(1, "one"))
    out += worker.close()
    assert sorted(texts(out)) == [("m1", "one"), ("m2", "two")]


@deliveries
def test_a_message_taken_back_while_it_waits_is_final_at_its_turn(delivery: str) -> None:
    worker = redactor("sequence", delivery)
    worker.receive(said(2, "5105 1051"))
    assert worker.recall("c1", "m2") == []
    out = worker.receive(said(1, "one"))
    assert [(m.message_id, m.text) for m in out if m.final] == [("m1", "one"), ("m2", "**** ****")]


def test_an_edit_of_a_message_that_waits_takes_its_place() -> None:
    worker = redactor("sequence")
    worker.receive(said(2, "first"))
    worker.receive(said(2, "second"))
    out = worker.receive(said(1, "one"))
    assert [text for _, text in texts(out)] == ["one", "second"]


def test_an_edit_after_its_turn_comes_out_at_once() -> None:
    worker = redactor("sequence")
    worker.receive(said(1, "one"))
    worker.receive(said(2, "two"))
    (out,) = worker.receive(said(1, "uno"))
    assert (out.text, out.revision) == ("uno", 2)


def test_a_conversation_resumed_later_goes_on_where_it_was() -> None:
    worker = redactor("sequence", order_seconds=5.0)
    worker.receive(said(1, "one"))
    worker.advance(NOON + dt.timedelta(hours=2))
    late = replace(said(2, "hello again"), timestamp=NOON + dt.timedelta(hours=3))
    worker.receive(late)
    out = worker.advance(NOON + dt.timedelta(hours=3, seconds=6))
    assert texts(out) == [("m2", "hello again")]


def test_the_end_of_a_conversation_ends_the_waiting() -> None:
    worker = redactor("sequence")
    worker.receive(said(1, "one"))
    worker.receive(said(3, "5105 10"))
    assert texts(worker.close("c1")) == [("m3", "**** **")]
    assert worker.close() == []


@pytest.mark.parametrize("text", ["hello", "x" * 5_000])
def test_what_waits_has_a_limit(text: str) -> None:
    """Whoever leaves out numbers does not make others wait without end."""
    worker = redactor("sequence")
    out = [masked for n in range(2, 798, 2) for masked in worker.receive(said(n, text))]
    waiting = 398 - len(out)
    assert 0 < waiting <= 256
    assert waiting * len(text) <= 65_536
    assert len(out) + len(worker.close()) == 398


@pytest.mark.parametrize("sequence", [None, 0, -1, 1.5, "1", True])
def test_a_sequence_that_is_none_is_a_clear_error(sequence: Any) -> None:
    with pytest.raises(MessageError, match="sequence"):
        redactor("sequence").receive(Message("c1", "m", "u", "x", extra={"sequence": sequence}))


def test_messages_without_a_time_are_taken_as_they_come() -> None:
    worker = redactor("time")
    assert texts(worker.receive(Message("c1", "m1", "user", "hello"))) == [("m1", "hello")]

"""Every state a redactor reaches can be written down and gone on with."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import deque
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies as my
from events import RULES, Event, events, tell
from masker import Masker, MessageError
from masker.buffers import MemoryBuffers
from masker.buffers.codec import Codec, fields_of, fingerprint
from masker.buffers.part import Part, Step
from masker.core.compact import Piece
from masker.core.lanes import Lane, Window
from masker.core.order import Place
from masker.core.ruleset import RuleSet
from masker.errors import BuffersError

MASKER = Masker(rules=RULES)
DELIVERIES: tuple[my.Delivery, ...] = ("revise", "hold")
RULE_SET = RuleSet(MASKER.rules)
CODEC = Codec(RULE_SET)


class WrittenDown(MemoryBuffers):
    """Memory in which every part is bytes between two calls."""

    def __init__(self) -> None:
        super().__init__()
        self.codec = CODEC
        self.states: list[tuple[Part, Part, bytes, bytes]] = []

    def open(self, rules: RuleSet, delivery: my.Delivery, window: Window) -> None:
        super().open(rules, delivery, window)
        self.codec = Codec(rules)

    def store(self, step: Step) -> bool:
        after = []
        for part in step.after:
            written = self.codec.encode(part)
            read = self.codec.decode(written)
            # A redactor would take an assertion for a failure of its buffers.
            self.states.append((part, read, written, self.codec.encode(read)))
            after.append(read)
        return super().store(
            Step(step.id, step.before, tuple(after), step.due, step.seen, step.finals, step.out)
        )


def plain(value: Any) -> Any:
    """A value that compares by what is in it: a `Place` compares by who it is."""
    if isinstance(value, Place):
        return tuple(getattr(value, name) for name in Place.__slots__)
    if isinstance(value, Part):
        names = fields_of(Part)
        assert names is not None
        return {name: plain(getattr(value, name)) for name in names}
    return tuple(map(plain, value)) if type(value) in (tuple, list) else value


def sharing(part: Part) -> list[int]:
    """Which of the pieces in a part are one and the same."""
    known: dict[int, int] = {}
    found: list[int] = []

    def walk(value: Any) -> None:
        if isinstance(value, Piece):
            found.append(known.setdefault(id(value), len(known)))
        elif isinstance(value, (tuple, list)):
            for one in value:
                walk(one)

    for lane in part.lanes.values():
        walk(lane)
    return found


@pytest.mark.parametrize("delivery", DELIVERIES)
@given(events())
def test_every_state_survives_being_written_down(
    delivery: my.Delivery, happened: list[Event]
) -> None:
    kept = WrittenDown()
    redactor = MASKER.redactor(delivery, buffers=kept)
    for event in happened:
        tell(redactor, event)
    assert redactor.failures == 0
    for part, read, written, again in kept.states:
        assert plain(read) == plain(part)
        assert sharing(read) == sharing(part)
        assert again == written


json_like: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
    | st.text() | st.text(st.characters(exclude_categories=()))
    | st.binary() | st.datetimes(timezones=st.just(dt.UTC)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner)
    | st.frozensets(st.integers()) | st.builds(deque, st.lists(st.integers())),
    max_leaves=12,
)  # fmt: skip


@given(json_like)
def test_whatever_extra_holds_comes_back_as_it_was(value: Any) -> None:
    assert CODEC.decode(CODEC.encode(value)) == value


@pytest.mark.parametrize("value", [object(), RULE_SET, len, range(3), Random])
def test_what_cannot_be_kept_is_a_clear_error(value: Any) -> None:
    with pytest.raises(MessageError, match="cannot be kept"):
        CODEC.encode({"what": value})


def test_types_of_another_shape_are_refused() -> None:
    written = CODEC.encode(Lane(seq=3))
    table, body = msgspec.msgpack.decode(written)
    assert table[0][:2] == ["masker.core.lanes", "Lane"]
    for wrong in (
        ["masker.core.lanes", "Lane", [*table[0][2], "more"]],
        ["masker.core.lanes", "Lane", table[0][2][1:]],
        ["masker.core.lanes", "Gone", table[0][2]],
        ["os", "system", []],
        ["builtins", "eval", []],
        ["masker.core.lanes", "receive", []],
    ):
        with pytest.raises(BuffersError):
            CODEC.decode(msgspec.msgpack.encode([[wrong], body]))


@given(st.binary(max_size=60))
def test_bytes_that_are_no_state_are_a_clear_error(data: bytes) -> None:
    for damaged in (data, CODEC.encode(Lane(seq=3))[: len(data)] + data):
        with contextlib.suppress(BuffersError):
            CODEC.decode(damaged)


def test_a_fingerprint_is_of_rules_delivery_and_window() -> None:
    other = RuleSet(Masker(rules=["payment-card"]).rules)
    prints = {
        fingerprint(rules, delivery, window)
        for rules in (RULE_SET, other)
        for delivery in DELIVERIES
        for window in (Window(), Window(messages=13), Window(seconds=1.0))
    }
    assert len(prints) == 12
    again = fingerprint(RuleSet(Masker(rules=RULES).rules), "hold", Window())
    assert again == fingerprint(RULE_SET, "hold", Window())

"""Many conversations at once: memory has a limit, and what is given up stays masked."""

from __future__ import annotations

import datetime as dt
import gc
import os
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from masker import MaskedMessage, Masker, Message
from masker.buffers import MemoryBuffers
from masker.errors import BuffersError

if TYPE_CHECKING:
    from collections.abc import Iterator

MASKER = Masker(rules=["payment-card", "cn-resident-id"])
NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
MANY = int(os.environ.get("MASKER_MANY_CONVERSATIONS", "500"))
LIMIT = 1_000_000


def beginning(number: int, text: str = "my card is 5105 1051", name: str = "m1") -> Message:
    at = NOON + dt.timedelta(milliseconds=number)
    return Message(f"c{number}", name, "user", text, timestamp=at)


def digits(out: list[MaskedMessage]) -> int:
    return sum(char.isdigit() for masked in out for char in masked.text)


@pytest.mark.parametrize("delivery", ["revise", "hold"])
@pytest.mark.parametrize("text", ["my card is 5105 1051", "1 " * 9 + "? " * 900, "4 5\n" * 5])
def test_memory_stays_within_its_limit(delivery: object, text: str) -> None:
    """However many begin a number and never finish it; what is measured is real memory."""
    kept = MemoryBuffers(max_bytes=LIMIT, max_remembered=100)
    redactor = MASKER.redactor(delivery, buffers=kept)  # type: ignore[call-overload]
    redactor.receive(beginning(0, text))
    gc.collect()
    tracemalloc.start()
    try:
        finals = sum(
            masked.final
            for number in range(1, MANY)
            for masked in redactor.receive(beginning(number, text))
        )
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept.size <= LIMIT
    assert held < 1.5 * LIMIT
    assert kept.evictions > 0
    finals += sum(masked.final for masked in redactor.close())
    assert finals in (MANY, MANY - 1)


def test_what_is_given_up_comes_out_masked_and_so_does_its_rest() -> None:
    redactor = MASKER.redactor(buffers=MemoryBuffers(max_bytes=200_000))
    out = redactor.receive(beginning(0))
    for number in range(1, 100):
        out += redactor.receive(beginning(number))
    given_up = [masked for masked in out if masked.final]
    assert given_up[0].conversation_id == "c0"
    assert given_up[0].text == "my card is **** ****"
    rest = redactor.receive(beginning(0, "0510 51, thanks", "m2"))
    rest += redactor.receive(beginning(0, "00", "m3"))
    assert [masked.text for masked in rest] == ["**** **, thanks", "**"]
    assert digits(out + rest + redactor.close()) == 0


def test_those_used_last_are_kept() -> None:
    redactor = MASKER.redactor(buffers=MemoryBuffers(max_bytes=200_000))
    out: list[MaskedMessage] = []
    for number in range(100):
        out += redactor.receive(beginning(number))
        if number % 10 == 0:
            out += redactor.receive(Message("c0", f"t{number}", "agent", "ok", timestamp=NOON))
    assert "c1" in {masked.conversation_id for masked in out if masked.final}
    assert ("c0", "m1") not in {(m.conversation_id, m.message_id) for m in out if m.final}


def test_more_given_up_than_can_be_marked_masks_all_that_begin() -> None:
    """Even the marks are bounded: then nobody knows who was given up, and all are masked."""
    kept = MemoryBuffers(max_bytes=200_000)
    redactor = MASKER.redactor(buffers=kept)
    for number in range(2_000):
        redactor.receive(beginning(number))
    assert kept.size <= 200_000
    (out,) = redactor.receive(beginning(0, "0510 5100", "m2"))
    assert out.text == "**** ****"


def test_marks_are_gone_after_a_window() -> None:
    kept = MemoryBuffers(max_bytes=200_000)
    redactor = MASKER.redactor(buffers=kept)
    for number in range(100):
        redactor.receive(beginning(number))
    redactor.advance(NOON + dt.timedelta(hours=1))
    redactor.advance(NOON + dt.timedelta(hours=2))
    assert kept.size == 0


def test_an_idle_conversation_takes_no_memory() -> None:
    kept = MemoryBuffers(max_remembered=10)
    redactor = MASKER.redactor(buffers=kept)
    for number in range(200):
        redactor.receive(beginning(number, "hello there"))
        redactor.receive(beginning(number, "5105 1051 0510 5100", "m2"))
    redactor.advance(NOON + dt.timedelta(hours=1))
    assert kept.size == 0


def test_an_idle_subject_takes_no_memory_in_its_conversations() -> None:
    kept = MemoryBuffers(max_remembered=10)
    redactor = MASKER.redactor(buffers=kept)
    for number in range(200):
        at = NOON + dt.timedelta(milliseconds=number)
        redactor.receive(Message("group", f"m{number}", "user", "5105 10", at, None, f"s{number}"))
    assert kept.size > 0
    for hours in (1, 2, 3):
        redactor.advance(NOON + dt.timedelta(hours=hours))
    assert kept.size == 0


@pytest.mark.parametrize("options", [{"max_bytes": 10}, {"max_remembered": 0}])
def test_limits_that_hold_nothing_are_clear_errors(options: dict[str, int]) -> None:
    with pytest.raises(BuffersError):
        MemoryBuffers(**options)


def test_redactors_of_different_kinds_do_not_share_memory() -> None:
    kept = MemoryBuffers()
    MASKER.redactor(buffers=kept)
    with pytest.raises(BuffersError):
        MASKER.redactor("hold", buffers=kept)
    with pytest.raises(BuffersError):
        Masker(rules=["payment-card"]).redactor(buffers=kept)


@pytest.fixture(autouse=True)
def quiet_collector() -> Iterator[None]:
    yield
    gc.collect()

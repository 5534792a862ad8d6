"""Every cut of a number into messages: 2**15 of a 16-digit card, 2**17 of an ID.

A lane is a value and its step a plain function, so the cuts are walked as a tree: two that
begin alike share their beginning, and 2**17 cuts take twice as many steps, not nine times.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import settings

import strategies as my
from masker import MaskedMessage, Masker, Message
from masker.core import lanes
from masker.core.lanes import Lane, Window
from masker.core.ruleset import RuleSet

RULES = RuleSet(Masker(rules=["payment-card", "cn-resident-id"]).rules)
WINDOW = Window()

# Test numbers and made-up ones: parts that are alike, 16 digits that may grow to 19, an X.
NUMBERS = {
    "Mastercard 16": "5105105105105100",
    "resident ID": "11010519491231002X",
}
if settings.get_current_profile_name() == "thorough":
    NUMBERS |= {
        "Visa 16": "4111111111111111",
        "UnionPay 16": my.with_luhn("622588012345678"),
    }


class Walk:
    """All cuts of one number, depth first."""

    def __init__(self, number: str) -> None:
        self.number = number
        self.size = len(number)
        self.last_four = sum(1 << index for index in range(self.size - my.KEEP, self.size))
        self.cuts = 0
        self.messages = {
            (start, end): Message("c1", str(start), "user", number[start:end])
            for start in range(self.size)
            for end in range(start + 1, self.size + 1)
        }

    def seen(self, outs: Iterable[MaskedMessage]) -> tuple[int, int, int]:
        """Digits readable in any of these, in final ones, and first digits of finals, as bits."""
        readable = at_the_end = final = 0
        for out in outs:
            start = int(out.message_id)
            bits = 0
            for place, character in enumerate(out.text, start):
                if character != my.MASK:
                    assert character == self.number[place]
                    bits |= 1 << place
            readable |= bits
            if out.final:
                at_the_end |= bits
                assert not final & 1 << start, "final twice"
                final |= 1 << start
        return readable, at_the_end, final

    def from_(self, place: int, lane: Lane, starts: int, final: int, at_the_end: int) -> None:
        """Every way to send what is left from `place` on."""
        if place == self.size:
            readable, shown, ended = self.seen(lanes.close(RULES, lane, WINDOW))
            assert not readable & ~self.last_four, "leaked at the close"
            assert (ended | final, ended & final) == (starts, 0), "lost, or final twice"
            assert at_the_end | shown == self.last_four, "the last four stay"
            self.cuts += 1
            return
        for end in range(place + 1, self.size + 1):
            after, outs = lanes.receive(RULES, lane, self.messages[place, end], WINDOW)
            readable, shown, ended = self.seen(outs)
            assert not readable & ~self.last_four, f"leaked after {place}, {end}"
            assert not ended & final, "final twice"
            self.from_(end, after, starts | 1 << place, final | ended, at_the_end | shown)


@pytest.mark.slow
@pytest.mark.parametrize("name", NUMBERS)
def test_no_cut_at_all_shows_more_than_the_last_four(name: str) -> None:
    walk = Walk(NUMBERS[name])
    walk.from_(0, lanes.EMPTY, 0, 0, 0)
    assert walk.cuts == 2 ** (walk.size - 1)

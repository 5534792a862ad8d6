"""Every cut of one number of a rule into messages.

A number of n characters can be cut in 2 to the (n - 1) ways. A lane is a value and its step a plain
function, so the cuts are walked as a tree: two that begin alike share their beginning. Where
that is more than the time allows, all cuts into two and three pieces are made and some hundreds
of others by chance; the result says which it was.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator

from masker.core import lanes
from masker.core.lanes import Lane, Window
from masker.core.messages import MaskedMessage, Message
from masker.testing.sampling import numbers_of
from masker.testing.saying import cuttable, introductions, proves_itself
from masker.testing.subject import Deadline, Subject
from masker.testing.writing import MASK

# What one cut of the tree takes, in seconds, on a slow machine.
_PER_CUT = 0.0002
_BY_CHANCE = 300
MOST = 5_000
_WINDOW = Window()


class _Leak(Exception):  # noqa: N818 - ends the walk, and is no error of the program
    """A cut that shows too much, or masks too little in the end."""

    def __init__(self, ends: tuple[int, ...], reason: str) -> None:
        self.ends = ends
        self.reason = reason
        super().__init__(reason)


class _Cutter:
    """All messages that cuts of one number are made of."""

    def __init__(self, subject: Subject, number: str, before: str) -> None:
        self.rules = subject.rules
        self.number = number
        self.before = before
        self.size = len(number)
        self.hidden = self.size - subject.rule.keep_last
        self.cuts = 0

    def message(self, start: int, end: int) -> Message:
        text = self.number[start:end] if start else self.before + self.number[:end]
        return Message("c1", str(start), "user", text)

    def read(
        self, outs: Iterable[MaskedMessage], final: dict[int, str], ends: tuple[int, ...]
    ) -> None:
        """Look at what came out: nothing before the last few may be readable."""
        for out in outs:
            start = int(out.message_id)
            lead = 0 if start else len(self.before)
            for place, char in enumerate(out.text[lead:], start):
                if place < self.hidden and char != MASK:
                    raise _Leak(ends, f"character {place + 1} of {self.size} can be read")
            if out.final:
                final[start] = out.text[lead:]

    def end(self, lane: Lane, final: dict[int, str], ends: tuple[int, ...]) -> None:
        """The conversation is over: every part is final, and the last few are readable."""
        self.read(lanes.close(self.rules, lane, _WINDOW), final, ends)
        shown = "".join(final[start] for start in sorted(final))
        if shown != MASK * self.hidden + self.number[self.hidden :]:
            raise _Leak(ends, "in the end more is masked than should be, or a part is missing")
        self.cuts += 1

    def walk(self, places: tuple[int, ...]) -> None:
        """Every cut at any of these places."""
        self._walk(0, (*places, self.size), lanes.EMPTY, {}, ())

    def _walk(
        self,
        start: int,
        ends: tuple[int, ...],
        lane: Lane,
        final: dict[int, str],
        so_far: tuple[int, ...],
    ) -> None:
        for place, end in enumerate(ends):
            after, outs = lanes.receive(self.rules, lane, self.message(start, end), _WINDOW)
            mine = dict(final)
            cut = (*so_far, end)
            self.read(outs, mine, cut)
            if end == self.size:
                self.end(after, mine, cut)
            else:
                self._walk(end, ends[place + 1 :], after, mine, cut)

    def cut(self, ends: tuple[int, ...]) -> None:
        """One cut."""
        lane, final, start = lanes.EMPTY, dict[int, str](), 0
        for end in ends:
            lane, outs = lanes.receive(self.rules, lane, self.message(start, end), _WINDOW)
            self.read(outs, final, ends)
            start = end
        self.end(lane, final, ends)

    def parts(self, ends: tuple[int, ...]) -> tuple[str, ...]:
        """The messages of a cut; what was not sent yet follows in one."""
        whole = ends if ends[-1] == self.size else (*ends, self.size)
        starts = (0, *whole)
        return tuple(self.message(a, b).text for a, b in zip(starts, whole, strict=False))


def check_cuts(subject: Subject, deadline: Deadline, most: int = MOST) -> None:
    """One sample of the rule, cut in every way, or in as many as the time allows.

    Every cut is made where that are at most `most`: 2 ** 33 cuts of an IBAN would never end.
    """
    rule = subject.rule
    if rule.view == "text":
        return
    number, before = _sample(subject), introductions(rule, subject.seed)
    if number is None or not before:
        subject.result.skipped["cuts"] = "there is no number to cut"
        return
    cutter = _Cutter(subject, number, min(before, key=len))
    places = cuttable(number, rule)
    every = 2 ** len(places)
    try:
        if every <= most and every * _PER_CUT <= deadline.left:
            cutter.walk(places)
            subject.result.done["cuts"] = f"every cut of {number} ({every:,})"
            return
        tried = 0
        for ends in _some(places, len(number), subject.seed):
            cutter.cut(ends)
            tried += 1
            if tried % 16 == 0 and deadline.is_over:
                subject.result.skipped["cuts"] = f"out of time after {tried} cuts"
                return
        subject.result.done["cuts"] = (
            f"{tried} of {every:,} cuts of {number}: all into two and three pieces, some by chance"
        )
    except _Leak as leak:
        smallest = _smaller(cutter, leak.ends)
        subject.tell(
            "cuts",
            f"cut into {len(cutter.parts(smallest))} messages, {number} is not masked as it is in "
            f"one: {leak.reason}",
            key="pattern",
            case=cutter.parts(smallest),
            paste="examples",
        )


def _sample(subject: Subject) -> str | None:
    """A number that proves itself, of middling length, in which nobody counts 1, 2, 3."""
    numbers = numbers_of(subject.rule, subject.seed)
    proven = [number for number in numbers if proves_itself(subject.rule, number)] or list(numbers)
    calm = [
        number for number in proven
        if not any(f"{n}{n + 1}{n + 2}" in number for n in range(8))
        and not (number.isdigit() and subject.rule.checksum is None and number[0] == "0")
    ]  # fmt: skip
    chosen = calm or proven
    return chosen[len(chosen) // 2] if chosen else None


def _some(places: tuple[int, ...], size: int, seed: int) -> Iterator[tuple[int, ...]]:
    for count in (1, 2):
        for cut in itertools.combinations(places, count):
            yield (*cut, size)
    chance = random.Random(seed)
    for _ in range(_BY_CHANCE):
        yield (*(place for place in places if chance.random() < 0.5), size)


def _smaller(cutter: _Cutter, ends: tuple[int, ...]) -> tuple[int, ...]:
    """The same cut with pieces put together for as long as it still fails."""
    ends = ends if ends[-1] == cutter.size else (*ends, cutter.size)
    for place in range(len(ends) - 1):
        fewer = ends[:place] + ends[place + 1 :]
        try:
            cutter.cut(fewer)
        except _Leak:
            return _smaller(cutter, fewer)
    return ends

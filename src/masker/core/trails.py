"""What was masked before: the stars in what somebody says, and the digits still shown behind them.

A conversation may be masked that was masked already. Its stars are digits that were given: what
a question or an announcement called for has been said, no other number goes on over them, and the
last four that stand behind them, in whatever messages, are the end of the number that they were.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from masker.core import gaps
from masker.core.runs import REMNANT_DIGITS, REMNANT_STARS, digit_runs, is_remnant, word_runs

STAR = "*"
# So many stars are a whole card or ID but for its last four.
WHOLE_STARS = 9
# A count has so many digits at most.
_COUNT_DIGITS = 2
# No number is longer.
_MOST_STARS = 64
_STARS = re.compile(r"\*+")
# **CVV:** 123, CVV: **123**, *code* 123456: so Markdown and WhatsApp emphasise.
_EMPHASIS = re.compile(
    r"(?<![^\s:：(（|>-])\*{1,2}(?=[^\W_])|(?<=[^\W\d_]|[:：])\*{1,2}(?=[\s:：,，]|$)"
)
# And so they begin the items of a list.
_BULLET = re.compile(r"(?<![^\n])[ \t]*\*[ \t]+(?=[^\W\d_])").match
Run = tuple[int, int]


class Trail(NamedTuple):
    """What of a masked number somebody's latest messages end with."""

    stars: int = 0
    shown: int = 0
    """How many digits have stood behind the stars."""
    at: int = 0
    """The message of its last stars."""


NO_TRAIL = Trail()


def star_runs(text: str) -> list[Run]:
    """Where the stars are that stand for digits: neither emphasis nor the items of a list."""
    return [
        match.span()
        for match in _STARS.finditer(text)
        if _EMPHASIS.match(text, match.start()) is None
        and _BULLET(text, text.rfind("\n", 0, match.start()) + 1) is None
    ]


def masked_before(text: str, low: int, start: int) -> int:
    """Where the last digits before `start`, but not before `low`, that are masked end; or 0."""
    for match in reversed(list(_STARS.finditer(text, low, start))):
        if _EMPHASIS.match(text, match.start()) is None:
            return match.end()
    return 0


class Followed(NamedTuple):
    """What a message says of what was masked before."""

    trail: Trail
    """As it is after the message."""
    remnants: Sequence[Run] = ()
    """Its runs that belong to what was masked."""
    first: int = -1
    """Where its first stars are, that end what was begun; -1 for none."""
    last: int = -1
    """Where its last stars are; -1 for none."""

    @property
    def is_whole(self) -> bool:
        """Whether its stars are all of a number, or the end of one."""
        return self.last >= 0 and self.trail.stars >= WHOLE_STARS


NOT_MASKED = Followed(NO_TRAIL)


def follow(trail: Trail, text: str, tracks: Sequence[list[Run]], seq: int) -> Followed:
    """What the next message says of what was masked before, and of what was masked in it."""
    stars = star_runs(text) if STAR in text else []
    if not (stars or trail.stars):
        return Followed(NO_TRAIL)
    blocks = [run for track in tracks for run in track]
    if stars:
        raw = digit_runs(text) + word_runs(text)
        blocks += [run for run in raw if is_remnant(text, *run)]
    carried, (count, shown, at) = trail.stars > 0, trail
    remnants: list[Run] = []
    first = last = -1
    together = _together(blocks)
    counts, behind = _count(text, together)
    tokens = [(run, True) for run in stars] + [(run, False) for run in together]
    for (start, end), is_star in sorted(tokens):
        if is_star:
            count = min(_MOST_STARS, (0 if shown else count) + end - start)
            shown, at, last = 0, seq, start
            if first < 0 and count >= REMNANT_STARS:
                first = start
        elif count:
            size = sum(map(str.isalnum, text[start:end]))
            if (start, end) == counts and shown + size + behind > REMNANT_DIGITS >= shown + behind:
                # It only says which part stands behind it.
                continue
            if count < REMNANT_STARS or size > REMNANT_DIGITS:
                count = shown = at = 0
            elif size > 1 or _is_said(text, start, end):
                if shown + size > REMNANT_DIGITS:
                    count = shown = at = 0
                else:
                    shown += size
                    if carried:
                        remnants.append((start, end))
    return Followed(Trail(count, shown, at), remnants, first, last)


def without(tracks: tuple[list[Run], ...], remnants: Sequence[Run]) -> tuple[list[Run], ...]:
    """The runs that are no part of what was masked before."""
    return tuple(
        [run for run in track if not any(low <= run[0] < high for low, high in remnants)]
        for track in tracks
    )


def _is_said(text: str, start: int, end: int) -> bool:
    """Whether a digit is no part of talk (第2张卡, "1 sec")."""
    return max(gaps.edge(text[:start]), gaps.behind(text[end:])) <= gaps.LABEL


def _count(text: str, blocks: Sequence[Run]) -> tuple[Run | None, int]:
    """The first digits of a text, where they may count its part, and how many stand behind them."""
    if len(blocks) < 2 or blocks[0][1] - blocks[0][0] > _COUNT_DIGITS:
        return None, 0
    return blocks[0], sum(sum(map(str.isalnum, text[start:end])) for start, end in blocks[1:])


def _together(runs: Sequence[Run]) -> list[Run]:
    """Runs of any track, those that overlap put together."""
    blocks: list[Run] = []
    for start, end in sorted(runs):
        if blocks and start < blocks[-1][1]:
            blocks[-1] = (blocks[-1][0], max(end, blocks[-1][1]))
        else:
            blocks.append((start, end))
    return blocks

"""Where the parts of a number are counted: 2. 4111, (2/3) 4111, ②4111, or 4111 (2/3).

Nobody can say whether such a digit is of the number: it is read both ways.
"""

from __future__ import annotations

import re
from itertools import pairwise

from masker.core import characters, gaps

# A count has so many digits at most.
_ORDINAL_DIGITS = 2
_OF = re.compile(r"\s?(?:[/／]|of|之)\s?").fullmatch
_TO = re.compile(r"\s?(?:[~～–-]|to|至|到)\s?").fullmatch
_OPENS_ORDINAL = re.compile(r"[(（\[【<#＃]\s?\Z").search
_COUNTED_TWO = re.compile(r"\s*([0-9]{1,2})[:：][0-9]{2}\s*").fullmatch
_CLOSES_ORDINAL = re.compile(r"\A\s?(?:(?:st|nd|rd|th)(?![a-z]))?[)）\]】>.．。、:：,，=#]*\s*")


def ordinals(text: str, runs: list[tuple[int, int]], counted: int | None = None) -> tuple[int, int]:
    """How many runs at the start of a text, and at its end, may only say which part it is.

    `counted` is what the message before it was counted as, where it was.
    """
    return _ordinals_before(text, runs, counted), _ordinals_behind(text, runs)


def goes_on_counting(digits: str, counted: int | None) -> bool:
    """Whether these digits are the count of the part behind one that was counted."""
    value = digits.translate(characters.VALUE)
    return counted is not None and value.isdecimal() and int(value) == counted + 1


def may_be_counted(text: str, counted: int | None) -> bool:
    """Whether what looks like a time of day (3：53) counts a part of two digits."""
    match = _COUNTED_TWO(text)
    return match is not None and goes_on_counting(match[1], counted)


def is_small(run: tuple[int, int]) -> bool:
    """Whether a run is short enough to be a count."""
    return run[1] - run[0] <= _ORDINAL_DIGITS


def _ordinals_before(text: str, runs: list[tuple[int, int]], counted: int | None) -> int:
    (start, end), *more = runs
    if not (more and is_small(runs[0])):
        return 0
    before = text[:start]
    edge = gaps.edge(before)
    if edge > gaps.LABEL:
        return 0
    is_labelled = edge == gaps.LABEL
    is_open = _OPENS_ORDINAL(before) is not None
    count = 1
    if len(runs) > 2 and is_small(more[0]):
        between = text[end : more[0][0]].lower()
        if _OF(between) or ((is_labelled or is_open) and _TO(between)):
            end, count = more[0][1], 2
    following = runs[count]
    gap = text[end : following[0]].lower()
    if gaps.edge(_CLOSES_ORDINAL.sub("", gap)) > gaps.LABEL:
        return 0
    if count > 1 or is_open or text[end - 1].isascii() != text[following[0]].isascii():
        return count
    if is_small(following) and not goes_on_counting(text[slice(*runs[0])], counted):
        return 0
    # A mark that stands between other digits as well is how they are written.
    written = {text[one[1] : other[0]] for one, other in pairwise(runs[count:])}
    is_marked = gap.strip() != "" and text[end : following[0]] not in written
    return count if is_labelled or is_marked else 0


def _ordinals_behind(text: str, runs: list[tuple[int, int]]) -> int:
    *more, (start, end) = runs
    if not (more and is_small(runs[-1])) or gaps.edge(text[end:]) > gaps.LINE:
        return 0
    if _OPENS_ORDINAL(text[:start]) is not None:
        return 1
    low, high = more[-1]
    is_pair = len(more) > 1 and is_small(more[-1]) and _OF(text[high:start].lower()) is not None
    is_apart = text[low - 1].isspace() or _OPENS_ORDINAL(text[:low]) is not None
    return 2 if is_pair and is_apart else 0

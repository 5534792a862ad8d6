"""Masking: one `*` for one character, and nothing else changes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from masker.core.messages import Finding

FILL = "*"
_READABLE = re.compile(r"[^\W_]")


class Span(NamedTuple):
    """A part of a text to be masked, and what it is."""

    start: int
    end: int
    keep_last: int
    finding: Finding


def replace(text: str, places: Iterable[int]) -> str:
    """The text with the characters at these places masked.

    >>> replace("4111-1", [0, 1, 2])
    '***1-1'
    """
    characters = list(text)
    for place in places:
        characters[place] = FILL
    return "".join(characters)


def readable(text: str, span: Span) -> list[int]:
    """The places of a span that are masked: its letters and digits, but the last few.

    Punctuation stays, so that an address still looks like one.
    """
    places = [place for place in range(span.start, span.end) if text[place].isalnum()]
    return places[: len(places) - span.keep_last] if span.keep_last else places


def blank(text: str) -> str:
    """The text with nothing left to read: for when something broke.

    >>> blank("card 41, 一二")
    '**** **, **'
    """
    return _READABLE.sub(FILL, text)

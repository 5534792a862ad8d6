"""What a text may be to anybody, told for many texts at once.

Most texts of an archive have no digit and no word of a rule. To ask the engine of each of them
would be half of a scan's work, so they are sifted first, thousands at a time, by RE2 (pyarrow's),
which goes over each character once however many words it looks for. What it lets through may
still be nothing; what it holds back is nothing to the engine, which a test proves.
"""

from __future__ import annotations

import re
import sys
from array import array
from itertools import accumulate, compress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from masker.core import characters
from masker.core.questions import TOPIC
from masker.core.ruleset import RuleSet
from masker.core.words import NUMBER_FOLLOWS, lower

# Nothing to look at: it only counts towards a window.
MARK = 0
# Digits of a sort, in words or alone, or words for something else: something to whoever is in the
# midst of a number, or has asked for one.
TEXT = 1
# Digits that are no number, and begin none: the same to those.
SMALL = 2
# Something to the engine by itself.
LOOK = 3

# The one character whose lower case is two; `lower` leaves it as it is.
_GROWS = "\u0130"
# RE2 knows white space of ASCII only.
_FOLLOWS = NUMBER_FOLLOWS.pattern.replace("\\s", ".")
_BASIC_PLANE = 0xFFFF
_BETWEEN = "\0"
# Han, kana and what stands between them: letters without case.
_FIRST_HAN, _LAST_HAN = "\u2e80", "\ua48f"


def _class(*tables: dict[int, str], more: str = "") -> str:
    """All characters of these tables: a class of RE2 costs the same however many are in it."""
    codes = {code for table in tables for code in table}
    return f"[{characters.character_class(codes)}{more}]"


# Anything of which a digit or a check character could be made, in any script; and, as the engine
# has it, everything beyond the basic plane, where mathematical digits are, and emoji.
_ANY = _class(
    characters.VALUE,
    {ord(char): char for char in characters.X_FORMS},
    more=f"{chr(_BASIC_PLANE + 1)}-{chr(sys.maxunicode)}",
)
# Digits that are no Hanzi: those are words more often than numbers.
_PLAIN = _class(characters.DIGITS)
_has_any = re.compile(_ANY).search
# And what ends a question, by asking for something else. Words end as they do for RE2, which is
# more often than for the engine.
_asks_else = re.compile(TOPIC, re.IGNORECASE | re.ASCII).search


class Sieve:
    """Sifts texts for one set of rules."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        clues, weak = _shortest(rules.clues), _shortest(rules.words.weak)
        # Lower case changes no digit of any script.
        self._clues = "|".join([_PLAIN, *map(re.escape, clues)])
        if weak:
            self._clues += f"|(?:{'|'.join(map(re.escape, weak))})s?(?s:{_FOLLOWS})"
        self._are_simple = all(map(_is_simple, [*clues, *weak]))

    def kind(self, text: str) -> int:
        """What one text is, asked of the engine itself."""
        if self._rules.needs_look(text):
            return LOOK
        if self._rules.holds_number(text):
            return SMALL
        return TEXT if _has_any(text) is not None or _asks_else(text) is not None else MARK

    def kinds(self, texts: list[str]) -> bytes:
        """The same for many: the engine is asked only of those that may be more than talk."""
        if not texts:
            return b""
        try:
            plain = strings_of(texts)
            has_any = _matches(plain, f"{_ANY}|(?i:{TOPIC})")
            simple = self._are_simple
            lowered = pc.utf8_lower(plain) if simple else strings_of(_lowered(texts))
            has_clue = _matches(lowered, self._clues)
        except (pa.ArrowException, UnicodeEncodeError):
            # More words than RE2 takes, or halves of surrogate pairs.
            return bytes(map(self.kind, texts))
        # No scalar of pyarrow's: that imports pandas where there is one, as `pa.array` does.
        has_any, has_clue = has_any.cast(pa.uint8()), has_clue.cast(pa.uint8())
        found = pc.add(has_any, pc.add(has_clue, has_clue))
        kinds = bytearray(found.buffers()[1].to_pybytes()[: len(texts)])
        needs_look, holds_number = self._rules.needs_look, self._rules.holds_number
        for at in compress(range(len(texts)), kinds):
            kind, text = kinds[at], texts[at]
            if kind == TEXT:
                # Hanzi numerals, most of them words; or words for something else.
                if holds_number(text):
                    kinds[at] = LOOK if needs_look(text) else SMALL
            elif needs_look(text):
                kinds[at] = LOOK
            elif holds_number(text):
                kinds[at] = SMALL
            else:
                kinds[at] = TEXT if kind & TEXT else MARK
        return bytes(kinds)


def strings_of(texts: list[str]) -> Any:
    """Texts as an array."""
    # Not `pa.array`: that imports pandas where there is one, which is half of a scan's memory.
    written = [text.encode() for text in texts]
    ends = array("q", accumulate(map(len, written), initial=0))
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(written))]
    return pa.Array.from_buffers(pa.large_string(), len(texts), buffers)


def _matches(texts: Any, pattern: str) -> Any:
    return pc.match_substring_regex(texts, pattern)


def _is_simple(word: str) -> bool:
    """Whether pyarrow lowers what becomes this as the engine does, which a test proves."""
    return all(char.isascii() or _FIRST_HAN <= char <= _LAST_HAN for char in word)


def _lowered(texts: list[str]) -> list[str]:
    joined = _BETWEEN.join(texts)
    if _GROWS not in joined:
        # No letter is lowered otherwise for what stands next to it behind the character between.
        lowered = joined.lower().split(_BETWEEN)
        if len(lowered) == len(texts):
            return lowered
    return list(map(lower, texts))


def _shortest(words: frozenset[str]) -> list[str]:
    """Those of which no part is another."""
    return sorted(
        word for word in words if not any(other != word and other in word for other in words)
    )

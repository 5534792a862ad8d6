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
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from masker.core import characters
from masker.core.questions import TOPIC
from masker.core.ruleset import RuleSet
from masker.core.words import lower

# Nothing to look at: it only counts towards a window.
MARK = 0
# Digits of a sort, in words or alone, or words for something else: something to whoever is in the
# midst of a number, or has asked for one.
TEXT = 1
# Something to the engine by itself, or as good as.
LOOK = 2

_BASIC_PLANE = 0xFFFF
# The one character whose lower case is two; `lower` leaves it as it is.
_GROWS = "\u0130"
_BETWEEN = "\0"
# Han, kana and what stands between them: letters without case.
_FIRST_HAN, _LAST_HAN = "\u2e80", "\ua48f"


def _class(*tables: dict[int, str]) -> str:
    """All characters of these tables, and everything beyond the basic plane.

    Mathematical digits lie there, and emoji: as ranges they would cost more than they save.
    """
    codes = {code for table in tables for code in table if code <= _BASIC_PLANE}
    beyond = f"{chr(_BASIC_PLANE + 1)}-{chr(sys.maxunicode)}"
    return f"[{characters.character_class(codes)}{beyond}]"


# Anything of which a digit or a check character could be made, in any script.
_ANY = _class(characters.VALUE, {ord(char): char for char in characters.X_FORMS})
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
        words = _shortest(rules.clues)
        self._words = "|".join(map(re.escape, words))
        self._are_simple = all(map(_is_simple, words))

    def kind(self, text: str) -> int:
        """What one text is, asked of the engine itself."""
        if not self._rules.says_nothing(text):
            return LOOK
        return TEXT if _has_any(text) is not None or _asks_else(text) is not None else MARK

    def kinds(self, texts: list[str]) -> bytes:
        """The same for many; here `LOOK` may be said of what needs none."""
        if not texts:
            return b""
        try:
            plain = _column(texts)
            has_any, look = _matches(plain, f"{_ANY}|(?i:{TOPIC})"), _matches(plain, _PLAIN)
            if self._words:
                simple = self._are_simple
                lowered = pc.utf8_lower(plain) if simple else _column(_lowered(texts))
                look = pc.or_(look, _matches(lowered, self._words))
        except (pa.ArrowException, UnicodeEncodeError):
            # More words than RE2 takes, or halves of surrogate pairs.
            return bytes(map(self.kind, texts))
        look = look.cast(pa.uint8())
        found = pc.max_element_wise(has_any.cast(pa.uint8()), pc.add(look, look))
        kinds = bytearray(found.buffers()[1].to_pybytes()[: len(texts)])
        holds_number = self._rules.holds_number
        at = kinds.find(TEXT)
        while at >= 0:
            if holds_number(texts[at]):
                kinds[at] = LOOK
            at = kinds.find(TEXT, at + 1)
        return bytes(kinds)


def _column(texts: list[str]) -> Any:
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

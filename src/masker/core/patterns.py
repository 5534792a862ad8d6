"""The patterns of rules, and the questions that the engine asks of them.

Is this a whole number, and can this, with more behind it, still become one? `regex`
answers the second with `partial=True`; to ask it of a value that already is a
number (16 digits of a card that may have 19) the pattern is compiled again with
"and is longer than what we have" behind it.

All rules that read the same tokens are asked at once, as one alternation: a
track. Digits are one track; rules with letters in their pattern read words of
letters and digits, the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import regex

from masker.core.rules import Rule

# A compact value longer than this is no number of anybody's: patterns without a bound stop here.
MAX_VALUE = 64
# What one question to a pattern may take, in seconds; after that the answer is "mask it".
PATTERN_TIMEOUT = 0.25
# Most runs of digits in chat are this short, and say nothing of anybody: their answers are kept.
_SHORT = 5
# What is kept of an answer, as a byte: not asked yet, or one of these.
_ANSWERS = ((False, False), (False, True), (True, False), (True, True))
_FLAGS = re.compile(r"\s*\(\?([a-zA-Z]+)\)")


class Pattern:
    """A pattern over compact values, and both questions about it. A timeout counts as yes."""

    __slots__ = ("_full", "_growing", "_known", "_source", "_timeout")

    def __init__(self, sources: Sequence[str], *, watched: bool) -> None:
        self._source = "|".join(_scoped(source) for source in sources) or "(?!)"
        self._full = regex.compile(self._source)
        self._growing: list[regex.Pattern[str] | None] = [None] * (MAX_VALUE + 1)
        self._timeout = PATTERN_TIMEOUT if watched else None
        # For each length, a byte for each value of so many digits.
        self._known: list[bytearray] = [bytearray()] * (_SHORT + 1)

    def ask(self, value: str) -> tuple[bool, bool]:
        """Both questions at once: whether this is a whole number, whether it can grow into one."""
        size = len(value)
        known = None
        if size <= _SHORT and value.isdigit():
            known = self._known[size]
            if not known:
                known = self._known[size] = bytearray(10**size)
            code = known[int(value)]
            if code:
                return _ANSWERS[code - 1]
        try:
            match = (
                self._full.fullmatch(value, partial=True)
                if self._timeout is None
                else self._full.fullmatch(value, partial=True, timeout=self._timeout)
            )
        except TimeoutError:
            return True, True
        if match is None:
            answer = (False, False)
        elif match.partial:
            answer = (False, size < MAX_VALUE)
        else:
            answer = (True, self._can_be_longer(value))
        if known is not None:
            known[int(value)] = 1 + _ANSWERS.index(answer)
        return answer

    def is_full(self, value: str) -> bool:
        """Whether this is a whole number by its shape."""
        if self._timeout is None:
            return self._full.fullmatch(value) is not None
        try:
            return self._full.fullmatch(value, timeout=self._timeout) is not None
        except TimeoutError:
            return True

    def can_grow(self, value: str) -> bool:
        """Whether something can follow that makes it one, even where it is one already."""
        return self.ask(value)[1]

    def _can_be_longer(self, value: str) -> bool:
        """The same of what is one already."""
        size = len(value)
        if size >= MAX_VALUE:
            return False
        longer = self._growing[size]
        if longer is None:
            longer = regex.compile(f"(?:{self._source})(?<=^.{{{size + 1},}})")
            self._growing[size] = longer
        if self._timeout is None:
            return longer.fullmatch(value, partial=True) is not None
        try:
            return longer.fullmatch(value, partial=True, timeout=self._timeout) is not None
        except TimeoutError:
            return True


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRule:
    """A rule over compact values and its place in the set."""

    rule: Rule
    bit: int
    pattern: Pattern
    loose: Pattern | None
    check: Callable[[str], bool]
    checked: bool
    proves: bool
    """Whether its check alone says that another last digit would not do."""
    context_required: bool
    keep_last: int


class Track:
    """The rules that read the same tokens."""

    __slots__ = ("_timeout", "_which", "called", "checked", "letters", "loose", "pattern", "rules")

    def __init__(self, rules: Sequence[CompiledRule], *, letters: bool, watched: bool) -> None:
        self.letters = letters
        self.rules = tuple(rules)
        self.pattern = Pattern(
            [found.rule.pattern for found in rules if not found.rule.context_required],
            watched=watched,
        )
        self.checked = Pattern(
            [found.rule.pattern for found in rules
             if found.checked and not found.rule.context_required],
            watched=watched,
        )  # fmt: skip
        # What words open: the rules that need them, and the looser shapes of the others.
        self.called = tuple(
            (found.bit, found.pattern if found.rule.context_required else found.loose)
            for found in rules
            if found.rule.context_required or found.loose is not None
        )
        # Rules whose words hold a number together over talk: those that are masked on words alone.
        self.loose = sum(found.bit for found in rules if found.loose is not None)
        # Which rules have this shape, in one question: each pattern is looked for, and may miss.
        # A pattern with groups of its own could not refer to them by number any more.
        self._timeout = PATTERN_TIMEOUT if watched else None
        self._which = (
            regex.compile(
                "".join(rf"(?:(?=({_scoped(found.rule.pattern)})\Z))?" for found in rules)
            )
            if not any(regex.compile(found.rule.pattern).groups for found in rules)
            else None
        )

    def whole(self, value: str) -> int:
        """The rules of whose pattern this is a whole number."""
        bits = 0
        if self._which is not None and self._timeout is None:
            match = self._which.match(value)
            if match is not None:
                for found, shape in zip(self.rules, match.groups(), strict=True):
                    if shape is not None:
                        bits |= found.bit
            return bits
        for found in self.rules:
            if found.pattern.is_full(value):
                bits |= found.bit
        return bits

    def ask(self, value: str, called: int, *, checked: bool = False) -> tuple[bool, bool, bool]:
        """Whether any rule, or any that the words call for, has this shape; and could still.

        The last answer is the second one, did the words call for nothing. `checked` asks of
        growth only where there is a check digit.
        """
        full, grows = self.pattern.ask(value)
        if checked and grows:
            grows = self.checked.ask(value)[1]
        bare = grows
        if called and not (full and grows):
            for bit, pattern in self.called:
                if called & bit and pattern is not None:
                    also_full, also_grows = pattern.ask(value)
                    full, grows = full or also_full, grows or also_grows
        return full, grows, bare

    def can_grow(self, value: str, called: int) -> bool:
        """Whether any rule, or any that the words call for, could still become a number."""
        return self.ask(value, called)[1]


def _scoped(source: str) -> str:
    """A pattern as one group, its leading flags with it: (?x)… becomes (?x:…)."""
    flags = _FLAGS.match(source)
    if flags is None:
        return f"(?:{source})"
    # The line end closes a comment that a verbose pattern may end with.
    end = "\n)" if "x" in flags[1] else ")"
    return f"(?{flags[1]}:{source[flags.end() :]}{end}"


@lru_cache(maxsize=256)
def reads_letters(pattern: str) -> bool:
    """Whether a pattern reads words of letters and digits, not only digits and a final X."""
    flags = _FLAGS.match(pattern)
    if flags is not None and "x" in flags[1]:
        pattern = re.sub(r"(?<!\\)#.*", "", pattern)
    bare = re.sub(r"\\[dDsSbBAZ]|\(\?[^:)]*[:)]", "", pattern)
    return re.search(r"[A-WYZa-z]", bare) is not None

"""Rules, compiled: the questions the engine asks of a rule set.

Each rule is a bit, so that "the words call it one of these" is one integer. What is
asked of every message, whether it needs a look at all, is asked here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import regex

from masker.core import characters, gaps
from masker.core.checks import CHECK_DIGITS, CHECKS
from masker.core.patterns import CompiledRule, Pattern, Track, reads_letters
from masker.core.rules import Rule, compile_pattern
from masker.core.words import NARROW, Words, hints, lower


@dataclass(frozen=True, slots=True, eq=False)
class TextRule:
    """A rule that reads the text itself: an address, a password."""

    rule: Rule
    pattern: regex.Pattern[str]
    has_value: bool


_BASIC_PLANE = 0xFFFF
_ASCII_DIGIT = re.compile("[0-9]").search
_ASCII = re.compile("[!-~]").search


def _quick(*tables: dict[int, str]) -> Callable[[str], re.Match[str] | None]:
    """A search for what may be in these tables: all of the basic plane, any of what is beyond.

    One class of the basic plane is one table look-up a character; what lies beyond it
    (mathematical digits, and every emoji) would make it a list of ranges.
    """
    near = [code for table in tables for code in table if code <= _BASIC_PLANE]
    far = f"{chr(_BASIC_PLANE + 1)}-{chr(sys.maxunicode)}"
    return re.compile(f"[{characters.character_class(near)}{far}]").search


_MAYBE_DIGIT = _quick(characters.DIGITS, characters.HANZI)
_MAYBE_PLAIN = _quick(characters.DIGITS)
_ANY_DIGIT = re.compile(f"[{characters.DIGIT_CLASS}]").search


def _numerals() -> str:
    """Hanzi numerals that may be digits: two together, or one that no word explains."""
    before, after = characters.WORD_BEFORE_NUMERAL, characters.WORD_AFTER_NUMERAL
    hanzi, gap = characters.HANZI_CLASS, f"[{characters.SEPARATOR_CLASS}]"
    return (
        f"[{hanzi}](?:{gap}*[{hanzi}]|(?<![{before}].)[\\W_]*\\Z"
        f"|(?![{after}])(?<=[\\W_{characters.BEFORE_LONE_NUMERAL}].)|(?![{after}])(?<!..))"
    )


# What was masked before bears on what comes next: no more of it is waited for.
_STAR = "*"
_FEW, _MANY = 4, 12
_CHECK_CHARACTER = re.compile(f"(?<![A-Za-z])[{re.escape(characters.X_FORMS)}](?![A-Za-z])").search
ANY_X = re.compile(f"[{re.escape(characters.X_FORMS)}]").search
_ASCII_RUNS = re.compile("[0-9]+").findall
_EVERY_RUN = re.compile(
    f"[0-9]+|(?:(?![0-9])[{characters.DIGIT_CLASS}])+|[{characters.HANZI_CLASS}]+"
).findall
# Digits and letters together, or a capital a bracket or space away. It begins with the digit, as
# C skips to those.
_GLUED = re.compile(
    f"[{characters.DIGIT_CLASS}](?:[{characters.LETTER_CLASS}]|[ (-]{{1,3}}[A-Z]"
    f"|(?<=[{characters.LETTER_CLASS}].)"
    + "".join(f"|(?<=[A-Z]{'[ (-]' * size}.)" for size in (1, 2, 3))
    + ")",
    re.DOTALL,
).search
_NUMERALS = re.compile(_numerals(), re.DOTALL).search


class RuleSet:
    """All active rules of a `Masker`, compiled.

    `watched` patterns are given up on after a time, and what they looked at is masked; the
    bundled ones are known to be quick, and watching costs more than most matches do.
    """

    __slots__ = ("_hints", "_reads_letters", "_tells_ascii", "_tells_hanzi", "_wide", "compiled",
                 "keywords", "rules", "secrets", "text_rules", "tracks", "undated",
                 "words")  # fmt: skip

    def __init__(self, rules: Sequence[Rule], *, watched: bool = True) -> None:
        self.rules = tuple(rules)
        numbered = [(1 << place, rule) for place, rule in enumerate(self.rules)]
        self.words = Words(numbered)
        self.compiled = tuple(
            _compile(bit, rule, watched) for bit, rule in numbered if rule.view == "number"
        )
        self.text_rules = tuple(_compile_text(rule) for rule in self.rules if rule.view == "text")
        self.keywords = tuple(
            {word.lower() for found in self.text_rules for word in found.rule.keywords}
        )
        plain = [found for found in self.compiled if not reads_letters(found.rule.pattern)]
        lettered = [found for found in self.compiled if reads_letters(found.rule.pattern)]
        self.tracks = tuple(
            Track(group, letters=letters, watched=watched)
            for group, letters in ((plain, False), (lettered, True))
            if group
        )
        self.undated = sum(one.bit for one in self.compiled if one.rule.checksum == "luhn")
        """Rules whose numbers hold no date, and have no check but one that a date may pass."""
        self.secrets = sum(
            one.bit for one in self.compiled if one.context_required and not one.keep_last
        )
        """Rules of what must not be stored at all: CVV, one-time codes."""
        self._reads_letters = any(track.letters for track in self.tracks)
        wide = _wide(self.keywords)
        self._wide = _any_of(wide)
        self._tells_ascii = self.words.telling_ascii.search
        self._tells_hanzi = self.words.telling_hanzi.search
        # Words and keywords of letters that are not ASCII are looked for where one of these is.
        others = [word for word in self.keywords if not word.isascii()]
        self._hints = _any_of({*self.words.hints, *hints(others), *wide})

    def needs_look(self, text: str) -> bool:
        """Whether a text by itself has what the engine must look at.

        Most messages have no digit, no keyword, and no word of a rule that bears on what is said
        next, and this is all that is done with them; a few small numbers in the midst of talk are
        all there is in most others.
        """
        if text.isascii():
            lowered = text.lower()
            if self._tells_ascii(lowered) is not None or self.has_keyword(lowered):
                return True
            return _STAR in text or (
                _ASCII_DIGIT(text) is not None and not self._is_small_talk(text)
            )
        lowered = lower(text)
        if _ASCII(lowered) is not None:
            if (
                self._tells_hanzi(lowered) is not None
                or self._tells_ascii(lowered) is not None
                or self.has_keyword(lowered)
            ):
                return True
        elif self._hints(lowered) is not None and (
            self._tells_hanzi(lowered) is not None or self.has_keyword(lowered)
        ):
            return True
        return _STAR in text or (self.holds_number(text) and not self._is_small_talk(text))

    @property
    def clues(self) -> frozenset[str]:
        """Words, in lower case, of which a text without any digit holds one if it needs a look.

        Or else it holds one of `words.weak`, and `NUMBER_FOLLOWS` behind it. A full-width letter
        is a word where it may be of a keyword.
        """
        return frozenset({*self.words.telling, *self.keywords, *_wide(self.keywords), _STAR})

    def has_keyword(self, lowered: str) -> bool:
        """Whether a rule that reads the text itself has anything to look for in it."""
        if self._wide(lowered) is not None:
            lowered = lowered.translate(NARROW)
        for word in self.keywords:  # noqa: SIM110 - asked of every message: a generator costs more
            if word in lowered:
                return True
        return False

    def holds_number(self, text: str) -> bool:
        """Whether a text that nothing came before has a digit, or a Hanzi that is one."""
        if text.isascii():
            return _ASCII_DIGIT(text) is not None
        return _MAYBE_DIGIT(text) is not None and (
            (_MAYBE_PLAIN(text) is not None and _ANY_DIGIT(text) is not None)
            or _NUMERALS(text) is not None
        )

    def may_hold_digits(self, text: str) -> bool:
        """Whether a text has a digit, in any script, or a check character that stands alone."""
        if text.isascii():
            return _ASCII_DIGIT(text) is not None or (
                ("x" in text or "X" in text) and _CHECK_CHARACTER(text) is not None
            )
        return _MAYBE_DIGIT(text) is not None or (
            ANY_X(text) is not None and _CHECK_CHARACTER(text) is not None
        )

    def is_only_talk(self, text: str) -> bool:
        """Whether a text has no digit at all, nor a check character, nor a word of a rule."""
        return not self.may_hold_digits(text) and not self.needs_look(text)

    def says_nothing(self, text: str) -> bool:
        """Whether a text bears on nothing, even in answer to a question: it has no digit either."""
        return not self.holds_number(text) and not self.needs_look(text)

    def _is_small_talk(self, text: str) -> bool:
        """Whether its digits are few, no number of any rule, and words stand behind the last.

        What is no number here and cannot go on in the next message is nothing to anybody.
        """
        runs: list[str] = (_ASCII_RUNS if text.isascii() else _EVERY_RUN)(text)
        if len(runs) > _FEW or (self._reads_letters and _GLUED(text) is not None):
            return False
        # Only so much behind the last digit is looked at as the start of a gap.
        tail = text[-gaps.MAX_LABEL - 1 :]
        last = runs[-1][-1]
        if last in tail:
            tail = tail[tail.rindex(last) + 1 :]
            if gaps.edge(tail) <= gaps.LABEL:
                return False
        digits = "".join(runs)
        if len(digits) > _MANY or "x" in text or "X" in text:
            return False
        if not text.isascii() and ANY_X(text) is not None:
            return False
        # Any of the runs may be left out of a number, as an amount, a count or part of a word.
        values = [""]
        for run in runs:
            value = run.translate(characters.VALUE)
            values += [before + value for before in values]
        for track in self.tracks:
            is_full = track.pattern.is_full
            for value in values:
                if value and is_full(value):
                    return False
        return True


def _wide(keywords: Iterable[str]) -> frozenset[str]:
    """The full-width forms of what keywords are written with."""
    used = set("".join(keywords))
    return frozenset(wide for wide in map(chr, NARROW) if wide.translate(NARROW) in used)


def _any_of(chars: Iterable[str]) -> Callable[[str], re.Match[str] | None]:
    """A search for any of these characters."""
    listed = "".join(sorted(chars))
    return re.compile(f"[{re.escape(listed)}]" if listed else "(?!)").search


def _guarded(check: Callable[[str], bool]) -> Callable[[str], bool]:
    """A check that breaks says yes: what cannot be looked at is masked."""

    def guarded(value: str) -> bool:
        try:
            return check(value)
        except Exception:  # noqa: BLE001 - fail closed, whatever it was
            return True

    return guarded


def _always(_value: str) -> bool:
    return True


def _compile(bit: int, rule: Rule, watched: bool) -> CompiledRule:
    return CompiledRule(
        rule=rule,
        bit=bit,
        pattern=Pattern([rule.pattern], watched=watched),
        loose=Pattern([rule.context_pattern], watched=watched) if rule.context_pattern else None,
        check=_guarded(CHECKS[rule.checksum]) if rule.checksum else _always,
        checked=rule.checksum is not None,
        proves=rule.checksum in CHECK_DIGITS,
        context_required=rule.context_required,
        keep_last=rule.keep_last,
    )


def _compile_text(rule: Rule) -> TextRule:
    pattern = compile_pattern(rule.pattern, "text")
    return TextRule(rule=rule, pattern=pattern, has_value="value" in pattern.groupindex)

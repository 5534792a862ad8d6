"""Rules, compiled: the questions the engine asks of a rule set.

A rule's pattern is over the bare number. Two questions are asked of it: is this
a whole number, and can this, with more behind it, still become one? `regex`
answers the second with `partial=True`; to ask it of a value that already is a
number (16 digits of a card that may have 19) the pattern is compiled again with
"and is longer than what we have" behind it.

All rules that read the same tokens are asked at once, as one alternation: a
track. Digits are one track; rules with letters in their pattern read words of
letters and digits, the other. Each rule is a bit, so that "the words call it one
of these" is one integer.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import regex

from masker.core import characters, gaps
from masker.core.checks import CHECK_DIGITS, CHECKS
from masker.core.rules import Rule, compile_pattern

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
            answer = (True, self.can_grow(value))
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


@dataclass(frozen=True, slots=True, eq=False)
class TextRule:
    """A rule that reads the text itself: an address, a password."""

    rule: Rule
    pattern: regex.Pattern[str]
    has_value: bool


def lower(text: str) -> str:
    """Lower case without a change of length: İ is the one character whose lower case is two."""
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = "".join(low if len(low := char.lower()) == 1 else char for char in text)
    return lowered


class Words:
    """The context words of all rules, found in one pass."""

    __slots__ = ("_pattern", "_table", "ascii", "hanzi")

    def __init__(self, rules: Sequence[tuple[int, Rule]]) -> None:
        table: dict[str, tuple[int, int]] = {}
        for bit, rule in rules:
            for word in rule.context:
                speaks_for, against = table.get(lower(word), (0, 0))
                table[lower(word)] = (speaks_for | bit, against)
            for word in rule.anti_context:
                speaks_for, against = table.get(lower(word), (0, 0))
                table[lower(word)] = (speaks_for, against | bit)
        self._table = table
        hanzi = [word for word in table if not word[0].isascii()]
        ascii_words = [word for word in table if word[0].isascii()]
        self._pattern = re.compile(
            "|".join(
                source
                for source in (_any_of(hanzi), f"(?<![a-z])(?:{_any_of(ascii_words)})")
                if "()" not in source
            )
            or "(?!)"
        )
        speaking = list(table)
        self.hanzi = re.compile(
            _led(_any_of([w for w in speaking if not w[0].isascii()]), speaking)
        )
        ascii_speaking = [word for word in speaking if word[0].isascii()]
        self.ascii = re.compile(rf"(?<![a-z]){_led(_any_of(ascii_speaking), ascii_speaking)}")

    def find(self, lowered: str) -> list[tuple[int, int, int, int]]:
        """Each word found as (start, end, rules it speaks for, rules it speaks against)."""
        matches = list(self.ascii.finditer(lowered))
        if not lowered.isascii():
            # Two looks, each led by the first letters of its words, cost less than one at both.
            hanzi = list(self.hanzi.finditer(lowered))
            if matches and hanzi:
                matches = sorted(matches + hanzi, key=re.Match.start)
                if any(one.end() > other.start() for one, other in pairwise(matches)):
                    matches = list(self._pattern.finditer(lowered))
            elif hanzi:
                matches = hanzi
        table = self._table
        found = []
        for match in matches:
            word = match.group()
            entry = table.get(word)
            if entry is None:  # A plural: found with the s that its table entry has not.
                entry = table[word[:-1]]
            found.append((*match.span(), *entry))
        return found

    @property
    def all(self) -> Iterable[str]:
        """Every word, in lower case."""
        return self._table.keys()

    def may_follow(self, lowered: str, start: int, within: int) -> bool:
        """Whether a word can still begin within so many characters of `start`, or be unfinished."""
        if len(lowered) - start <= within:
            return True
        return any(
            word.startswith(rest) or word + "s" == rest
            for rest in (lowered[place:] for place in range(start, start + within + 1))
            for word in self._table
        )


def _led(source: str, words: Sequence[str]) -> str:
    """The expression behind a look at the first letter, which is all that most places need."""
    firsts = "".join(sorted({word[0] for word in words}))
    return f"(?=[{re.escape(firsts)}])(?:{source})" if firsts else source


def _any_of(words: Sequence[str]) -> str:
    """One expression for many words, as a tree of their letters: the longest that is there.

    >>> _any_of(["card", "card number", "cvv"])
    'c(?:ard(?: number(?:s?(?![a-z]))|(?:s?(?![a-z])))|vv(?:s?(?![a-z])))'
    """
    if not words:
        return "(?!)"
    heads: dict[str, list[str]] = {}
    for word in words:
        heads.setdefault(word[0], []).append(word[1:])
    branches = []
    for head, rests in sorted(heads.items()):
        while len(rests) > 1 and len({rest[:1] for rest in rests}) == 1 and rests[0]:
            if not all(rests):
                break
            head, rests = head + rests[0][0], [rest[1:] for rest in rests]
        if len(rests) == 1:
            head, rests = head + rests[0], [""]
        longer = [rest for rest in rests if rest]
        # A word of ASCII letters ends where no letter follows, but for the s of a plural.
        last = head[-1]
        end = "(?:s?(?![a-z]))" if last.isascii() and last.isalpha() else ""
        branch = re.escape(head).replace("\\ ", " ")
        if longer and "" in rests:
            branch += f"(?:{_any_of(longer)}|{end})"
        elif longer:
            branch += f"(?:{_any_of(longer)})"
        else:
            branch += end
        branches.append(branch)
    return branches[0] if len(branches) == 1 else "|".join(branches)


_BASIC_PLANE = 0xFFFF
_ASCII_DIGIT = re.compile("[0-9]").search
_ASCII_LETTER = re.compile("[a-z]").search


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


_FEW, _MANY = 4, 12
_CHECK_CHARACTER = re.compile(f"(?<![A-Za-z])[{re.escape(characters.X_FORMS)}](?![A-Za-z])").search
ANY_X = re.compile(f"[{re.escape(characters.X_FORMS)}]").search
_ASCII_RUNS = re.compile("[0-9]+").findall
_EVERY_RUN = re.compile(
    f"[0-9]+|(?:(?![0-9])[{characters.DIGIT_CLASS}])+|[{characters.HANZI_CLASS}]+"
).findall
_GLUED = re.compile(
    f"[{characters.LETTER_CLASS}][{characters.DIGIT_CLASS}]"
    f"|[{characters.DIGIT_CLASS}][{characters.LETTER_CLASS}]"
    f"|[A-Z][ (-]{{1,3}}[{characters.DIGIT_CLASS}]|[{characters.DIGIT_CLASS}][ (-]{{1,3}}[A-Z]"
).search
_NUMERALS = re.compile(_numerals(), re.DOTALL).search


class RuleSet:
    """All active rules of a `Masker`, compiled.

    `watched` patterns are given up on after a time, and what they looked at is masked; the
    bundled ones are known to be quick, and watching costs more than most matches do.
    """

    __slots__ = ("_ascii_word", "_hanzi_word", "_reads_letters", "compiled", "keywords", "rules",
                 "text_rules", "tracks", "undated",
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
        self._reads_letters = any(track.letters for track in self.tracks)
        self._ascii_word = self.words.ascii.search
        self._hanzi_word = self.words.hanzi.search

    def needs_look(self, text: str) -> bool:
        """Whether a text by itself has what the engine must look at.

        Most messages have no digit, no word of a rule and no keyword, and this is all that is
        done with them; a few small numbers in the midst of talk are all there is in most others.
        """
        if text.isascii():
            has_digit = _ASCII_DIGIT(text) is not None
            lowered = text.lower()
        else:
            has_digit = self.holds_number(text)
            lowered = lower(text)
            if self._hanzi_word(lowered) is not None:
                return True
            if not has_digit and _ASCII_LETTER(lowered) is None:
                return self.has_keyword(lowered)
        if self._ascii_word(lowered) is not None or self.has_keyword(lowered):
            return True
        return has_digit and not self._is_small_talk(text)

    @property
    def clues(self) -> frozenset[str]:
        """Words, in lower case, of which a text without any digit holds one if it needs a look."""
        return frozenset({*self.words.all, *self.keywords})

    def has_keyword(self, lowered: str) -> bool:
        """Whether a rule that reads the text itself has anything to look for in it."""
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
        if len(digits) > _MANY or ANY_X(text) is not None:
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

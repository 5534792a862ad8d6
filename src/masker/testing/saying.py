"""How a rule's numbers are said: the words before them, and the ways in which they arrive.

What a rule claims depends on what it has. A check digit carries a number over labels and other
digits; a rule without one needs the parts of its numbers close together; one that asks for
words gets them. Words are the rule's own (`context`), in the forms people use, and only those
after which the rule finds a plain number are used: a rule with none is told so once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from functools import lru_cache

from hypothesis import strategies as st

from masker.core.checks import CHECKS
from masker.core.patterns import reads_letters
from masker.core.rules import Rule
from masker.core.ruleset import RuleSet
from masker.core.words import lower
from masker.testing import scenes, writing
from masker.testing.sampling import findings, numbers_of
from masker.testing.scenes import Scene, Sizes
from masker.testing.writing import Written

FORMS_ASCII = ("my {} is ", "{}: ", "{} ")
FORMS_OTHER = ("{}是", "我的{}是", "{}：", "{} ")
_BARE = ("", "看一下", "here: ")
_MOST_WORDS = 5
_TRIED = 6


def is_lettered(rule: Rule) -> bool:
    """Whether its numbers are words of letters and digits, not digits alone."""
    return reads_letters(rule.pattern)


@lru_cache(maxsize=256)
def introductions(rule: Rule, seed: int = 0) -> tuple[str, ...]:
    """The words before a number that make the rule find it; none where nothing does."""
    rules = RuleSet([rule])
    tried = _spread(numbers_of(rule, seed), _TRIED)
    words = [word for word in _spread(rule.context, _MOST_WORDS) if not _denies(rule, word)]
    said = [] if rule.context_required else list(_BARE)
    for word in words:
        forms = FORMS_ASCII if word[0].isascii() else FORMS_OTHER
        said += [form.format(word) for form in forms]
    return tuple(
        before
        for before in said
        if all(finds(rule, rules, before, number) for number in tried)
    )  # fmt: skip


def finds(rule: Rule, rules: RuleSet, before: str, number: str) -> bool:
    """Whether a number, said like this, is found from its first character to its last."""
    found = [f for _, f in findings(rules, before + number) if f.rule == rule.id]
    return [(f.start, f.end) for f in found] == [(len(before), len(before) + len(number))]


def quiet(rule: Rule, phrases: Iterable[str]) -> tuple[str, ...]:
    """Those phrases in which no word of the rule occurs, so that they say nothing of a number."""
    words = [lower(word) for word in (*rule.context, *rule.anti_context)]
    return tuple(
        phrase for phrase in phrases if not any(word in lower(phrase) for word in words)
    )  # fmt: skip


def _denies(rule: Rule, word: str) -> bool:
    return any(lower(other) in lower(word) for other in rule.anti_context)


def _spread(all_: Sequence[str], count: int) -> tuple[str, ...]:
    """So many of them, evenly from first to last."""
    if len(all_) <= count:
        return tuple(all_)
    return tuple(all_[place * (len(all_) - 1) // (count - 1)] for place in range(count))


def cuttable(number: str, rule: Rule) -> tuple[int, ...]:
    """The places where a number may be cut: of a word with letters, so that each part has a digit.

    >>> from masker.packs import bundled_packs
    >>> rules = {rule.id: rule for pack in bundled_packs() for rule in pack.rules}
    >>> cuttable("AB123456C", rules["gb-nino"])
    (3, 4, 5, 6, 7)
    """
    places = range(1, len(number))
    if not is_lettered(rule):
        return tuple(places)
    return tuple(
        place
        for place in places
        if number[:place][-1].isdigit() and any(char.isdigit() for char in number[place:])
    )


def cuts_for(rule: Rule, *, most: int) -> Sizes:
    """Any cut of a number of this rule, into at most so many parts."""

    def sizes(digits: tuple[Written, ...]) -> st.SearchStrategy[tuple[int, ...]]:
        number = digits[0].digits[0][0]
        places = cuttable(number, rule)
        chosen = st.sets(st.sampled_from(places), max_size=most - 1) if places else st.just(set())
        return chosen.map(lambda at: _lengths(at, len(number)))

    return sizes


def _lengths(at: Iterable[int], size: int) -> tuple[int, ...]:
    edges = [0, *sorted(at), size]
    return tuple(after - before for before, after in itertools.pairwise(edges))


@st.composite
def written(draw: st.DrawFn, rule: Rule, seed: int = 0) -> tuple[Written, ...]:
    """A number of the rule as people write it: scripts, groups and separators it must bear."""
    number = draw(st.sampled_from(numbers_of(rule, seed)))
    names = [
        name
        for name in writing.SCRIPT_NAMES
        if not (is_lettered(rule) and (name in writing.HANZI_SCRIPTS or name == "keycap"))
    ]
    script = draw(st.sampled_from(names))
    glyphs = [writing.glyph(char, script) for char in number]
    gaps = [""] * (len(number) - 1)
    separator = draw(st.sampled_from([" ", "-", *writing.SEPARATORS]))
    places = cuttable(number, rule)
    if is_lettered(rule) and number.isdigit():
        # Digits in groups have the shape of a card: words must call them a code.
        places = ()
    if rule.checksum and places:
        ends: Iterable[int] = draw(st.sets(st.sampled_from(places), max_size=5))
    else:
        # Without a check digit only groups that people write are one number.
        size = draw(st.sampled_from([0, 4, 3]))
        ends = [at for at in range(size, len(number), size) if at in places] if size else []
    for end in ends:
        gaps[end - 1] = separator
    return writing.write(number, glyphs, gaps)


@lru_cache(maxsize=64)
def ways(rule: Rule, seed: int = 0) -> dict[str, st.SearchStrategy[Scene]]:
    """The ways a number of this rule may arrive, by name; none where its words are not enough."""
    before = introductions(rule, seed)
    if not before or not numbers_of(rule, seed):
        return {}
    after = ("", *quiet(rule, ("谢谢", " thanks", "。", "，麻烦了", "!")))
    around = st.tuples(st.sampled_from(before), st.sampled_from(after))
    pool = numbers_of(rule, seed)
    plain = st.sampled_from(pool).map(writing.bare)
    number = written(rule, seed)
    few, many = cuts_for(rule, most=3), cuts_for(rule, most=8)
    found: dict[str, st.SearchStrategy[Scene]] = {
        "in one message, in any script and with any separators": scenes.conversations(
            number, around=around, sizes=cuts_for(rule, most=1)
        ),
        "cut over messages": scenes.conversations(plain, around=around, sizes=many),
        "with small talk between its parts": scenes.conversations(
            plain, around=around, sizes=few, chat=True
        ),
        "while somebody else gives one too": scenes.conversations(
            plain, around=around, sizes=few, parties=2
        ),
    }
    if rule.checksum and not rule.context_required:
        found["in parts, in any script and with any separators"] = scenes.conversations(
            number, around=around, sizes=few
        )
        proven = [number for number in pool if proves_itself(rule, number)]
        if proven and not is_lettered(rule):
            found["with a label before each part"] = scenes.conversations(
                st.sampled_from(proven).map(writing.bare), around=around, sizes=few, label=True
            )
    return found


def proves_itself(rule: Rule, number: str) -> bool:
    """Whether a number has a check digit: with another last character it would fail."""
    return (
        any(not CHECKS[rule.checksum](number[:-1] + char) for char in "0123456789")
        if rule.checksum
        else False
    )

"""The words of rules: which are said in a text, and which of them bear on other texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from masker.core.rules import Rule

NAMES_A_NUMBER = re.compile(r"号|號|码|碼|#|number|\bno\b|digits|cvv|cvc|otp|code|pan\b")
_FOLLOWS = r"\s?(?:的|'s)?\s?(?:号|號|编号|number|no\b|id\b|#)"
NUMBER_FOLLOWS = re.compile(_FOLLOWS)
_IN_FOLLOWS = "号號#"
# Full-width ASCII to ASCII, one character for one: ｐａｓｓｗｏｒｄ：… is read as password:…
# But what parts clauses: in ASCII it may be of a password, and never is where it is full-width.
NARROW = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F) if chr(code) not in "，；"}


def lower(text: str) -> str:
    """Lower case without a change of length: İ is the one character whose lower case is two."""
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = "".join(low if len(low := char.lower()) == 1 else char for char in text)
    return lowered


class Words:
    """The context words of all rules, found in one pass."""

    __slots__ = ("_ascii", "_hanzi", "_pattern", "_table", "hints", "telling", "telling_ascii",
                 "telling_hanzi", "weak")  # fmt: skip

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
        self._hanzi = re.compile(_led(_any_of(hanzi), hanzi))
        self._ascii = re.compile(rf"(?<![a-z]){_led(_any_of(ascii_words), ascii_words)}")
        # What is said of no number by itself, and only against some, bears on what is said with it.
        telling = {word for word in table if table[word][0] or NAMES_A_NUMBER.search(word)}
        self.telling = frozenset(telling)
        self.weak = frozenset(table.keys() - telling)
        """Those that bear on what follows only where `NUMBER_FOLLOWS` does."""
        self.telling_hanzi = re.compile(_telling(hanzi, telling))
        self.telling_ascii = re.compile(rf"(?<![a-z]){_telling(ascii_words, telling)}")
        weak = [word for word in hanzi if word not in telling]
        self.hints = hints(telling.intersection(hanzi)) | frozenset(_IN_FOLLOWS if weak else "")
        """Characters of which a text without ASCII letters has one if `telling_hanzi` is in it."""

    def find(self, lowered: str) -> list[tuple[int, int, int, int]]:
        """Each word found as (start, end, rules it speaks for, rules it speaks against)."""
        matches = list(self._ascii.finditer(lowered))
        if not lowered.isascii():
            # Two looks, each led by the first letters of its words, cost less than one at both.
            hanzi = list(self._hanzi.finditer(lowered))
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


def _telling(words: Sequence[str], telling: set[str]) -> str:
    """An expression for those of the words that bear on what is said before and after them."""
    weak = _any_of([word for word in words if word not in telling])
    source = f"{_any_of([word for word in words if word in telling])}|(?:{weak})(?={_FOLLOWS})"
    return _led(source, words)


def hints(words: Iterable[str]) -> frozenset[str]:
    """A few characters of which each word has one.

    >>> sorted(hints(["卡号", "银行卡", "身份证"]))
    ['卡', '身']
    """
    left, chosen = set(words), set()
    while left:
        counts = Counter(char for word in sorted(left) for char in set(word))
        hint = max(counts, key=lambda char: (counts[char], char))
        chosen.add(hint)
        left = {word for word in left if hint not in word}
    return frozenset(chosen)


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
        # A word of ASCII letters ends where no letter follows, but for the s of a plural; one that
        # ends in a digit (cvv2) where no digit does.
        last = head[-1]
        end = "(?:s?(?![a-z]))" if last.isascii() and last.isalpha() else ""
        if last.isdigit():
            end = "(?![0-9])"
        branch = re.escape(head).replace("\\ ", " ")
        if longer and "" in rests:
            branch += f"(?:{_any_of(longer)}|{end})"
        elif longer:
            branch += f"(?:{_any_of(longer)})"
        else:
            branch += end
        branches.append(branch)
    return branches[0] if len(branches) == 1 else "|".join(branches)

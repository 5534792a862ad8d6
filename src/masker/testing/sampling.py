"""Numbers of a rule, made from its own pattern and made valid by its own check digit.

A walk through the pattern's tree writes a string: an alternative here, so many repeats there, a
character of each set. Every part of the pattern gets its turn, for the walk can be sent *through*
any node. Then the check digit is put right: the last character is tried first, then pairs of
characters, and what passes the named check without leaving the pattern is a number. Where
the check knows more than the pattern does (a bank's letters, a county's code), the author's own
examples are taken as moulds, and their digits drawn anew.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache

from masker.core import characters
from masker.core.checks import CHECKS
from masker.core.lanes import Window
from masker.core.messages import Finding, Message
from masker.core.redactor import Redactor
from masker.core.rules import Example, Rule, compile_pattern
from masker.core.ruleset import RuleSet
from masker.testing import tree
from masker.testing.tree import Node

_DIGITS = "0123456789"
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PLAIN = _DIGITS + _CAPITALS.lower() + _CAPITALS + "-_.@:/=+ #!$%&,;'*()中文的号\n"
# Where a pattern sets no limit, so many repeats more than it asks for.
_SPARE = 3
_TRIES = 40
_HALF = 0.5
# After so many numbers it is known which characters are the check's.
_LEARNED = 12
_MOST_REPEATS = 256
_PATIENCE = 1.0
POOL = 96
_MOULDED = 3

Override = Callable[["Walk"], str]


class Walk:
    """One way through a tree, by chance.

    `path` are nodes that the walk must come through, `instead` what is written in place of a node;
    `digits`: digits rather than letters; `short`: few repeats, small letters, as in a text.
    """

    def __init__(
        self,
        chance: random.Random,
        *,
        path: Collection[Node] = (),
        instead: Mapping[Node, Override] | None = None,
        digits: bool = False,
        short: bool = False,
    ) -> None:
        self.short = short
        self.chance = chance
        self.path = frozenset(path)
        self.instead = instead or {}
        self.digits = digits
        self.groups: dict[str, str] = {}

    def write(self, node: Node) -> str:
        """A string that this node matches, look-arounds aside."""
        override = self.instead.get(node)
        if override is not None:
            return override(self)
        if isinstance(node, tree.Chars):
            return self.character(node)
        if isinstance(node, tree.Sequence):
            return "".join([self.write(item) for item in node.items])
        if isinstance(node, tree.Choice):
            on_path = [branch for branch in node.branches if branch in self.path]
            return self.write(self.chance.choice(on_path or node.branches))
        if isinstance(node, tree.Repeat):
            return self.repeat(node, self.count(node))
        if isinstance(node, tree.Group):
            text = self.write(node.body)
            for name in (node.name, str(node.number)):
                if name is not None:
                    self.groups[name] = text
            return text
        return self.groups.get(node.name, "") if isinstance(node, tree.Back) else ""

    def repeat(self, node: tree.Repeat, count: int) -> str:
        """Its body so many times, and no more often than any number needs."""
        return "".join([self.write(node.body) for _ in range(min(count, _MOST_REPEATS))])

    def count(self, node: tree.Repeat) -> int:
        """How often it comes: its limits as often as anything between them."""
        high = node.low + _SPARE if node.high is None else node.high
        low = max(node.low, 1) if node in self.path else node.low
        if self.short:
            # A word may be longer than it must; of spaces and signs nobody types more.
            spare = _SPARE if _is_wordy(node.body) else 0
            return self.chance.randint(low, min(max(low, high), low + spare))
        return self.chance.choice([low, max(low, high), self.chance.randint(low, max(low, high))])

    def character(self, node: tree.Chars) -> str:
        """One of its characters; digits where digits are wanted and it has any."""
        known = _characters(node.ranges)
        if self.digits and known[0] in _DIGITS:
            known = tuple(char for char in known if char in _DIGITS)
        if self.short:
            known = tuple(char for char in known if not char.isupper()) or known
            known = (" ",) if " " in known and not known[0].isalnum() else known
        return self.chance.choice(known)


def _is_wordy(node: Node) -> bool:
    """Whether a node can be a letter or a digit."""
    return isinstance(node, tree.Chars) and _characters(node.ranges)[0].isalnum()


@lru_cache(maxsize=1024)
def _characters(ranges: tree.Ranges) -> tuple[str, ...]:
    """The plain characters of a set, or its first few where it has none."""
    plain = [char for char in _PLAIN if any(low <= ord(char) <= high for low, high in ranges)]
    # Letters and digits, where it has any: values that people would choose.
    plain = [char for char in plain if char.isalnum()] or plain
    first = [chr(code) for low, high in ranges for code in range(low, min(high, low + 8) + 1)]
    return tuple(plain or first or "?")


def path_to(root: Node, target: Node) -> tuple[Node, ...]:
    """The nodes from the root down to one, both included."""
    if root is target:
        return (root,)
    for child in tree.children(root):
        below = path_to(child, target)
        if below:
            return (root, *below)
    return ()


class Maker:
    """Makes strings of one rule: numbers that pass its check, or texts with a value in them."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.pattern = compile_pattern(rule.pattern, rule.view)
        self.check = CHECKS[rule.checksum] if rule.checksum else None
        self._ways: tuple[str, ...] = ("last", "last two", "third and fourth")
        self._succeeded = Counter[str]()
        self.tree: Node | None = None
        self.unread = ""
        try:
            self.tree = tree.parse(rule.pattern)
        except tree.Unread as reason:
            self.unread = str(reason)
        except (IndexError, ValueError, RecursionError):
            self.unread = "a piece of syntax"

    def accepts(self, text: str) -> bool:
        """Whether the pattern takes this: all of a number, or something in a text."""
        try:
            if self.rule.view == "text":
                lowered = text.lower()
                found = self.pattern.search(lowered, timeout=_PATIENCE)
                return found is not None and any(word in lowered for word in self.rule.keywords)
            return self.pattern.fullmatch(text, timeout=_PATIENCE) is not None
        except TimeoutError:
            # That a pattern explodes is another check's to say.
            return False

    def is_number(self, text: str) -> bool:
        """Whether the pattern takes it and its check digit holds."""
        return self.accepts(text) and (self.check is None or self.check(text))

    def completed(self, text: str, accepts: Callable[[str], bool] | None = None) -> str | None:
        """The string with its check digit put right, by as small a change as will do."""
        accepts = accepts or self.accepts
        if self.check is None or self.check(text):
            return text if accepts(text) else None
        last = len(text) - 1
        by_way = {
            "last": [text[:last] + char for char in _DIGITS + _CAPITALS],
            "last two": _with_pairs(text, last - 1),
            "third and fourth": _with_pairs(text, 2),
        }
        for way in self._ways:
            for other in by_way[way]:
                if accepts(other) and self.check(other):
                    self._succeeded[way] += 1
                    if sum(self._succeeded.values()) == _LEARNED:
                        # What pairs can do, a single character cannot do as well.
                        pairs = [each for each in self._succeeded if each != "last"]
                        self._ways = tuple(pairs or ["last"])
                    return other
        return None

    def walked(self, chance: random.Random, path: Collection[Node] = ()) -> str | None:
        """A number written by one walk; None where chance gave none."""
        if self.tree is None:
            return None
        # What the check refuses so often it refuses for another reason than its digit.
        for attempt in range(_TRIES if self.check is None else _TRIES // 4):
            short = self.rule.view == "text" and attempt % 4 != 0
            text = Walk(chance, path=path, digits=chance.random() < _HALF, short=short).write(
                self.tree
            )
            if self.rule.view == "number":
                done = self.completed(text) if self.accepts(text) else None
            else:
                done = text if self.accepts(text) else None
            if done is not None:
                return done
        return None

    def moulded(self, chance: random.Random, mould: str) -> str | None:
        """A number like another: letters and layout stay, digits are drawn anew."""
        for _ in range(_TRIES // 4):
            keep = chance.randint(0, 6)
            text = mould[:keep] + "".join(
                chance.choice(_DIGITS) if char in _DIGITS else char for char in mould[keep:]
            )
            done = self.completed(text) if self.accepts(text) else None
            if done is not None:
                return done
        return None


def _with_pairs(text: str, place: int) -> list[str]:
    """The string with any two digits at a place that has two."""
    if place < 0 or len(text) < place + 2 or not text[place : place + 2].isdigit():
        return []
    return [f"{text[:place]}{pair:02}{text[place + 2 :]}" for pair in range(100)]


def bare(text: str) -> str:
    """Text as a rule sees it: letters and digits of any script, as ASCII capitals and digits."""
    return "".join([characters.COMPACT.get(ord(char), "") for char in text])


def findings(rules: RuleSet, example: Example) -> list[tuple[str, Finding]]:
    """What is found in an example, in the end: each finding with the text it stands in."""
    texts = (example,) if isinstance(example, str) else example
    redactor = Redactor(rules, delivery="revise", window=Window())
    final: dict[str, tuple[Finding, ...]] = {}
    for number, text in enumerate(texts):
        for out in redactor.receive(Message("c1", str(number), "user", text)):
            final[out.message_id] = out.findings
    for out in redactor.close():
        final[out.message_id] = out.findings
    return [(texts[int(key)], found) for key, all_ in final.items() for found in all_]


def found_values(rule: Rule, examples: Iterable[Example], rules: RuleSet) -> list[str]:
    """The bare numbers that a rule finds in its examples."""
    values = []
    for example in examples:
        parts = [text[f.start : f.end] for text, f in findings(rules, example) if f.rule == rule.id]
        if parts:
            values.append("".join(parts) if rule.view == "text" else bare("".join(parts)))
    return values


@lru_cache(maxsize=256)
def numbers_of(rule: Rule, seed: int = 0, size: int = POOL) -> tuple[str, ...]:
    """Up to `size` numbers that a rule should find, simplest first; the same for the same seed.

    For a rule over text they are whole texts in which its pattern finds a value.
    """
    maker = Maker(rule)
    chance = random.Random(seed)
    found: set[str] = set()
    if maker.tree is not None:
        turns = [
            path_to(maker.tree, node)
            for node in tree.walk(maker.tree)
            if isinstance(node, tree.Choice | tree.Repeat)
        ]
        branches = [
            (*path[:-1], path[-1], branch)
            for path in turns
            if isinstance(path[-1], tree.Choice)
            for branch in path[-1].branches
        ]
        paths = branches or [()]
        chance.shuffle(paths)
        failed = 0
        for turn in range(size * 2):
            made = maker.walked(chance, paths[turn % len(paths)])
            if made is not None:
                found.add(made)
            else:
                failed += 1
            if len(found) >= size or failed >= _TRIES:
                break
    if rule.view == "number":
        moulds = [
            value for value in found_values(rule, rule.examples, RuleSet([rule]))
            if maker.is_number(value)
        ]  # fmt: skip
        found.update(moulds)
        wanted = size // _MOULDED if found - set(moulds) else size
        for turn in range(wanted if moulds else 0):
            made = maker.moulded(chance, moulds[turn % len(moulds)])
            if made is not None:
                found.add(made)
    return tuple(sorted(found, key=lambda text: (len(text), text)))

"""A rule's pattern as a tree, with the place of each of its parts in the source.

Three things need to look inside a pattern: making numbers of it, changing it in small ways, and
seeing that parts of it fight over the same characters. All of them need to know *where* a part
stands, so that they can say it; no parser at hand tells that. This one reads the syntax that
rules use (`regex`, with flags, verbose mode, groups, look-arounds, possessive quantifiers)
and says so where it meets something else (`Unread`): then the checks that need the
tree are left out, and the report says which.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

Ranges = tuple[tuple[int, int], ...]

_DIGITS: Ranges = ((48, 57),)
_WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122), (0x4E00, 0x9FFF))
_SPACE: Ranges = ((9, 13), (32, 32), (0x85, 0x85), (0xA0, 0xA0), (0x3000, 0x3000))
_ESCAPED = {"n": 10, "t": 9, "r": 13, "f": 12, "v": 11, "a": 7}
_ANCHORS = "bBAZzG"
_FLAGS = frozenset("aiLmsuxbefprVwn01")
_SPECIAL = frozenset("\\[]()|*+?{}^$.")


class Unread(Exception):  # noqa: N818 - not an error: the pattern may be fine
    """The pattern has something that this parser does not know."""

    def __init__(self, what: str, at: int) -> None:
        self.at = at
        super().__init__(f"{what} at character {at + 1}")


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A part of a pattern; `start` and `end` are its place in the source."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Chars(Node):
    """One character of a set: a literal, a class, a dot."""

    ranges: Ranges
    items: tuple[tuple[int, int, int, int], ...] = ()
    """Of a class that is written out: each item's source span and its first and last character."""

    def has(self, code: int) -> bool:
        """Whether a character belongs to it."""
        return any(low <= code <= high for low, high in self.ranges)

    @property
    def is_literal(self) -> bool:
        """Whether there is just one."""
        return len(self.ranges) == 1 and self.ranges[0][0] == self.ranges[0][1]


@dataclass(frozen=True, slots=True, eq=False)
class Sequence(Node):
    """Parts that follow each other."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Choice(Node):
    """Alternatives."""

    branches: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Repeat(Node):
    """A part that may come again; `high` is None where it has no limit."""

    body: Node
    low: int
    high: int | None
    quantifier: int
    """Where the quantifier starts in the source."""
    possessive: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Group(Node):
    """Brackets; `name` where they have one."""

    body: Node
    name: str | None = None
    number: int | None = None
    atomic: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Look(Node):
    """A look-around: takes no characters itself."""

    body: Node
    negative: bool


@dataclass(frozen=True, slots=True, eq=False)
class Anchor(Node):
    """A place: line end, word border."""

    kind: str


@dataclass(frozen=True, slots=True, eq=False)
class Back(Node):
    """What a group had matched, once more."""

    name: str


def parse(source: str) -> Node:
    """The tree of a pattern that compiles.

    Raises:
        Unread: something in it is not known here.
    """
    parser = _Parser(source)
    tree = parser.choice()
    if parser.at < len(source):
        raise Unread("an unexpected bracket", parser.at)
    return tree


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it, in the order of the source."""
    yield node
    for child in children(node):
        yield from walk(child)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes right below one."""
    if isinstance(node, Sequence):
        return node.items
    if isinstance(node, Choice):
        return node.branches
    if isinstance(node, Repeat | Group | Look):
        return (node.body,)
    return ()


def longest(node: Node) -> int | None:
    """The most characters a node can take; None where there is no limit."""
    if isinstance(node, Chars):
        return 1
    if isinstance(node, Sequence | Choice):
        lengths = [longest(child) for child in children(node)]
        if any(length is None for length in lengths):
            return None
        known = [length for length in lengths if length is not None]
        return sum(known) if isinstance(node, Sequence) else max(known, default=0)
    if isinstance(node, Repeat):
        inner = longest(node.body)
        if inner == 0:
            return 0
        return None if inner is None or node.high is None else inner * node.high
    if isinstance(node, Group):
        return longest(node.body)
    return 0 if isinstance(node, Look | Anchor) else None


def shortest(node: Node) -> int:
    """The fewest characters a node takes."""
    if isinstance(node, Chars):
        return 1
    if isinstance(node, Sequence):
        return sum(map(shortest, node.items))
    if isinstance(node, Choice):
        return min(map(shortest, node.branches), default=0)
    if isinstance(node, Repeat):
        return node.low * shortest(node.body)
    return shortest(node.body) if isinstance(node, Group) else 0


def overlap(one: Ranges, other: Ranges) -> bool:
    """Whether two sets share a character."""
    return any(a <= d and c <= b for a, b in one for c, d in other)


def _complement(ranges: Ranges) -> Ranges:
    out: list[tuple[int, int]] = []
    at = 0
    for low, high in sorted(ranges):
        if low > at:
            out.append((at, low - 1))
        at = max(at, high + 1)
    if at <= sys.maxunicode:
        out.append((at, sys.maxunicode))
    return tuple(out)


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.verbose = False
        self.groups = 0

    def peek(self, text: str) -> bool:
        return self.source.startswith(text, self.at)

    def take(self, text: str) -> bool:
        if self.peek(text):
            self.at += len(text)
            return True
        return False

    def skip(self) -> None:
        """Spaces and comments, where they mean nothing."""
        while self.at < len(self.source):
            if self.verbose and self.source[self.at].isspace():
                self.at += 1
            elif self.verbose and self.source[self.at] == "#":
                line_end = self.source.find("\n", self.at)
                self.at = len(self.source) if line_end < 0 else line_end + 1
            elif self.peek("(?#"):
                self.at = self.source.index(")", self.at) + 1
            else:
                return

    def choice(self) -> Node:
        start = self.at
        branches = [self.sequence()]
        while self.take("|"):
            branches.append(self.sequence())
        return branches[0] if len(branches) == 1 else Choice(start, self.at, tuple(branches))

    def sequence(self) -> Node:
        self.skip()
        start = self.at
        items: list[Node] = []
        end = start
        while True:
            self.skip()
            if self.at >= len(self.source) or self.source[self.at] in "|)":
                break
            item = self.quantified()
            if item is not None:
                items.append(item)
            end = self.at
        return items[0] if len(items) == 1 else Sequence(start, end, tuple(items))

    def quantified(self) -> Node | None:
        start = self.at
        node = self.atom()
        while node is not None:
            atom_end = self.at
            self.skip()
            bounds = self.bounds()
            if bounds is None:
                self.at = atom_end
                break
            low, high, quantifier = bounds
            possessive = self.take("+")
            if not possessive:
                self.take("?")
            node = Repeat(start, self.at, node, low, high, quantifier, possessive)
        return node

    def bounds(self) -> tuple[int, int | None, int] | None:
        start = self.at
        for mark, low, high in (("*", 0, None), ("+", 1, None), ("?", 0, 1)):
            if self.take(mark):
                return low, high, start
        if self.peek("{"):
            close = self.source.find("}", self.at)
            inside = self.source[self.at + 1 : close].replace(" ", "")
            first, comma, second = inside.partition(",")
            if close > 0 and inside != "," and (first + second).isdecimal():
                self.at = close + 1
                lowest = int(first or 0)
                if not comma:
                    return lowest, lowest, start
                return lowest, int(second) if second else None, start
            if close > 0 and any(mark in inside for mark in "esid<="):
                raise Unread("fuzzy matching", self.at)
        return None

    def atom(self) -> Node | None:
        start = self.at
        char = self.source[start]
        if char == "(":
            return self.group()
        if char == "[":
            return self.charset()
        self.at += 1
        if char == ".":
            return Chars(start, self.at, _complement(((10, 10),)))
        if char in "^$":
            return Anchor(start, self.at, char)
        if char == "\\":
            return self.escape(start)
        return Chars(start, self.at, ((ord(char), ord(char)),))

    def escape(self, start: int) -> Node:
        char = self.source[self.at]
        if char in _ANCHORS:
            self.at += 1
            return Anchor(start, self.at, "\\" + char)
        if char in "123456789":
            self.at += 1
            return Back(start, self.at, char)
        ranges = self.escaped()
        return Chars(start, self.at, ranges)

    def escaped(self) -> Ranges:
        """What stands behind a backslash, inside a class or out of it."""
        char = self.source[self.at]
        self.at += 1
        known = {"d": _DIGITS, "w": _WORD, "s": _SPACE}.get(char.lower())
        if known is not None:
            return _complement(known) if char.isupper() else known
        if char in "xuU":
            size = {"x": 2, "u": 4, "U": 8}[char]
            code = int(self.source[self.at : self.at + size], 16)
            self.at += size
            return ((code, code),)
        if char in _ESCAPED:
            return ((_ESCAPED[char], _ESCAPED[char]),)
        if char.isalnum():
            raise Unread(f"\\{char}", self.at - 2)
        return ((ord(char), ord(char)),)

    def charset(self) -> Chars:
        start = self.at
        self.at += 1
        negated = self.take("^")
        items: list[tuple[int, int, int, int]] = []
        ranges: list[tuple[int, int]] = []
        while not self.peek("]") or not ranges:
            item_start = self.at
            if self.peek("[:") or self.peek("&&") or self.peek("||") or self.peek("~~"):
                raise Unread("a set operation", self.at)
            found = self.member()
            if len(found) == 1 and self.peek("-") and not self.peek("-]"):
                self.at += 1
                found = ((found[0][0], self.member()[0][1]),)
            ranges += found
            if len(found) == 1:
                items.append((item_start, self.at, *found[0]))
        self.at += 1
        whole = tuple(sorted(ranges))
        if negated:
            return Chars(start, self.at, _complement(whole))
        return Chars(start, self.at, whole, tuple(items))

    def member(self) -> Ranges:
        if self.take("\\"):
            if self.peek("b"):
                self.at += 1
                return ((8, 8),)
            return self.escaped()
        char = self.source[self.at]
        self.at += 1
        return ((ord(char), ord(char)),)

    def group(self) -> Node | None:
        start = self.at
        self.at += 1
        verbose = self.verbose
        name: str | None = None
        number: int | None = None
        atomic = look = negative = False
        if self.take("?"):
            if self.take("P<") or (
                self.peek("<") and not self.peek("<=") and not self.peek("<!") and self.take("<")
            ):
                close = self.source.index(">", self.at)
                name, self.at = self.source[self.at : close], close + 1
            elif self.take("P="):
                close = self.source.index(")", self.at)
                name, self.at = self.source[self.at : close], close + 1
                return Back(start, self.at, name)
            elif self.take("=") or self.take("<="):
                look = True
            elif self.take("!") or self.take("<!"):
                look = negative = True
            elif self.take(">"):
                atomic = True
            elif not self.take(":") and self.flags():
                return None
        elif self.peek("*"):
            raise Unread("a backtracking verb", self.at)
        if not look and not atomic and self.source[self.at - 1] not in ":":
            self.groups += 1
            number = self.groups
        body = self.choice()
        if not self.take(")"):
            raise Unread("an open bracket", start)
        self.verbose = verbose
        if look:
            return Look(start, self.at, body, negative)
        return Group(start, self.at, body, name, number, atomic)

    def flags(self) -> bool:
        """Flags behind `(?`; True where they are all there is, and hold for what follows."""
        start = self.at
        on = True
        while self.at < len(self.source) and self.source[self.at] in _FLAGS | {"-"}:
            if self.source[self.at] == "-":
                on = False
            elif self.source[self.at] == "x":
                self.verbose = on
            self.at += 1
        if self.at == start:
            raise Unread("a group of a kind", start)
        if self.take(":"):
            return False
        if self.take(")"):
            return True
        raise Unread("a group of a kind", start)

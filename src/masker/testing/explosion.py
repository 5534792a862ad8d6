"""Patterns that explode, and patterns that never make up their mind.

`([0-9]+)+` can split a run of digits in exponentially many ways, and where the match fails in the
end, an engine may try them all. Two looks: into the tree, for repeats whose turns can be split
in more ways than one; and at the clock of this thread, while the input that such a repeat
would suffer from grows. The first says where, the second whether it is so: `regex` saves many.

A number must also come to an end. Where the pattern has no longest match, partial matching
never says "nothing more can follow": every digit behind it is waited for.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from masker.core.patterns import MAX_VALUE, Pattern
from masker.core.rules import View, compile_pattern
from masker.testing import tree
from masker.testing.results import Severity
from masker.testing.sampling import Walk, path_to
from masker.testing.subject import Subject

# Sound patterns answer in a tenth of this for the longest value there is.
SLOW = {"number": 0.02, "text": 0.1}
_LADDER = {"number": (8, 16, 20, 24, 28, 32, 40, 48, 63), "text": (16, 24, 32, 64, 256, 1024, 3000)}
# The length at which an input is shown.
_SHOWN = 28
_MANY = 8
# ISO/IEC 7064 and 13616 know nothing longer than an IBAN of 34; more is nobody's number.
LONGEST = 40
_TIMEOUT = 0.25


@dataclass(frozen=True, slots=True)
class Suspect:
    """A repeat, and why its turns can be split in several ways."""

    node: tree.Repeat
    ranges: tree.Ranges
    reason: str


def suspects(root: tree.Node) -> list[Suspect]:
    """The repeats of a pattern that fight with themselves or their neighbour."""
    found = []
    for node in tree.walk(root):
        if isinstance(node, tree.Repeat) and not node.possessive and _is_many(node):
            found += _nested(node)
        if isinstance(node, tree.Sequence):
            found += _adjacent(node)
    return found


def _is_many(node: tree.Repeat) -> bool:
    return node.high is None or node.high >= _MANY


def _nested(outer: tree.Repeat) -> list[Suspect]:
    found = []
    for inner in tree.walk(outer.body):
        if isinstance(inner, tree.Group) and inner.atomic:
            break
        if isinstance(inner, tree.Repeat) and inner.low != inner.high and not inner.possessive:
            ranges = first(inner.body)
            if (inner.high is None or inner.high > 1) and fits(outer.body, ranges):
                found.append(Suspect(outer, ranges, "a repeat within a repeat"))
        if isinstance(inner, tree.Choice):
            ranges = _shared(inner)
            if ranges and fits(outer.body, ranges):
                found.append(Suspect(outer, ranges, "alternatives that begin alike, repeated"))
    return found[:1]


def _shared(choice: tree.Choice) -> tree.Ranges:
    """What two alternatives can both be made of."""
    for place, one in enumerate(choice.branches):
        for other in choice.branches[place + 1 :]:
            ranges = first(one)
            if ranges and tree.overlap(ranges, first(other)) and fits(one, first(other)):
                return ranges
    return ()


def _adjacent(sequence: tree.Sequence) -> list[Suspect]:
    repeats = [
        (place, item) for place, item in enumerate(sequence.items)
        if isinstance(item, tree.Repeat) and item.high is None and not item.possessive
    ]  # fmt: skip
    for (low, one), (high, other) in pairwise(repeats):
        ranges = first(one.body)
        between = sequence.items[low + 1 : high]
        if tree.overlap(ranges, first(other.body)) and all(fits(item, ranges) for item in between):
            return [Suspect(one, ranges, "two repeats side by side that take the same characters")]
    return []


def first(node: tree.Node) -> tree.Ranges:
    """The characters a node may begin with."""
    if isinstance(node, tree.Chars):
        return node.ranges
    if isinstance(node, tree.Choice):
        return tuple(each for branch in node.branches for each in first(branch))
    if isinstance(node, tree.Repeat | tree.Group):
        return first(node.body)
    if isinstance(node, tree.Sequence):
        found: tree.Ranges = ()
        for item in node.items:
            found += first(item)
            if tree.shortest(item) > 0:
                break
        return found
    return ()


def fits(node: tree.Node, ranges: tree.Ranges) -> bool:
    """Whether a node can be matched with characters of a set alone."""
    if isinstance(node, tree.Chars):
        return tree.overlap(node.ranges, ranges)
    if isinstance(node, tree.Sequence):
        return all(fits(item, ranges) for item in node.items)
    if isinstance(node, tree.Choice):
        return any(fits(branch, ranges) for branch in node.branches)
    if isinstance(node, tree.Repeat):
        return node.low == 0 or fits(node.body, ranges)
    return fits(node.body, ranges) if isinstance(node, tree.Group) else True


def check_explosion(subject: Subject) -> None:
    """Look into the pattern, and at the clock."""
    rule = subject.rule
    parsed = subject.maker.tree
    if parsed is None:
        subject.result.skipped["explosion"] = f"only measured: {subject.maker.unread}"
    suspected = suspects(parsed) if parsed is not None else []
    nodes = [(each.node, each.ranges, each.reason) for each in suspected]
    if parsed is not None:
        nodes += [
            (node, first(node.body), "") for node in tree.walk(parsed)
            if isinstance(node, tree.Repeat) and _is_many(node)
        ]  # fmt: skip
    for node, ranges, reason in nodes:
        attack = _attack(parsed, node, ranges)
        if attack is not None and _grows(rule.pattern, rule.view, *attack):
            lead, pump, end = attack
            subject.tell(
                "explosion",
                f"the pattern explodes{f' ({reason})' if reason else ''}: each further "
                f"{pump!r} makes it slower by the same factor, until masker gives up after "
                f"{_TIMEOUT} s and masks what it was looking at",
                key="pattern",
                case=lead + pump * _SHOWN + end,
                advice=f"write {rule.pattern[node.start : node.end]!r} so that there is one way "
                "only to read a text: one repeat, or a possessive one (++)",
            )
            return
    for each in suspected[:1]:
        subject.tell(
            "explosion",
            f"{rule.pattern[each.node.start : each.node.end]!r} is {each.reason}: quick "
            "when measured, but only because regex sees through it",
            key="pattern",
            advice="one repeat says the same",
            severity=Severity.WARNING,
        )
    subject.result.done["explosion"] = f"{len(nodes)} repeats"


def _attack(
    root: tree.Node | None, node: tree.Repeat, ranges: tree.Ranges
) -> tuple[str, str, str] | None:
    """What stands before a repeat, what pumps it, and what makes it fail in the end."""
    if root is None or not ranges:
        return None
    chance = random.Random(0)
    text = Walk(chance, path=path_to(root, node), instead={node: lambda _: "\0"}).write(root)
    lead, _, _ = text.partition("\0")
    pump = Walk(chance, digits=True).character(tree.Chars(0, 0, ranges))
    end = next(
        (char for char in "!\x01Z9" if not any(lo <= ord(char) <= hi for lo, hi in ranges)), ""
    )
    return lead, pump, end


def _grows(source: str, view: View, lead: str, pump: str, end: str) -> bool:
    """Whether the time a match takes grows beyond all measure with the input."""
    ask = _asked(source, view)
    for count in _LADDER[view]:
        for text in (lead + pump * count + end, lead + pump * count):
            if view == "number" and len(text) > MAX_VALUE:
                return False
            if min(_seconds(ask, text) for _ in range(2)) > SLOW[view]:
                return True
    return False


def _asked(source: str, view: View) -> Callable[[str], object]:
    """What the engine asks of a pattern; where it takes too long, an answer comes all the same."""
    if view == "number":
        return Pattern([source], watched=True).ask
    compiled = compile_pattern(source, view)

    def search(text: str) -> object:
        try:
            return compiled.search(text, timeout=_TIMEOUT)
        except TimeoutError:
            return None

    return search


def _seconds(ask: Callable[[str], object], text: str) -> float:
    """What one question takes, of this thread's own time."""
    start = time.thread_time()
    ask(text)
    return time.thread_time() - start


def check_holds(subject: Subject) -> None:
    """Every number has an end, after which nothing is waited for."""
    rule, parsed = subject.rule, subject.maker.tree
    if rule.view == "text":
        _check_text_end(subject)
        return
    for key, source in (("pattern", rule.pattern), ("context_pattern", rule.context_pattern)):
        if not source:
            continue
        node = parsed if key == "pattern" else _parsed(source)
        longest = tree.longest(node) if node is not None else _probed(source)
        if longest is None or longest > LONGEST:
            known = "has no longest number" if longest is None else f"has numbers of {longest}"
            subject.tell(
                "holds",
                f"{key} {known}: after each of its numbers more is waited for, and what "
                "follows is held back until the window closes",
                key=key,
                case=_open_case(subject),
                advice="say how long a number can be, as in {12,19} for 12 to 19 characters",
            )
            return
    held = _held_share(rule.pattern) if not rule.context_required else 0.0
    subject.result.done["holds"] = (
        f"{held:.0%} of all four-digit numbers are held until more is known" if held
        else "nothing is held without a word of its context"
    )  # fmt: skip


def _parsed(source: str) -> tree.Node | None:
    try:
        return tree.parse(source)
    except (tree.Unread, IndexError, ValueError, RecursionError):
        return None


def _probed(source: str) -> int | None:
    """The longest run of one digit that still can grow, where the tree cannot be read."""
    pattern = Pattern([source], watched=True)
    reached = max((size for size in range(1, MAX_VALUE) for digit in "0123456789"
                   if pattern.ask(digit * size)[1]), default=0)  # fmt: skip
    return None if reached >= MAX_VALUE - 1 else reached + 1


def _open_case(subject: Subject) -> str:
    text = subject.maker.walked(random.Random(0)) or ""
    return text + text[-1:] * 8


def _held_share(source: str) -> float:
    pattern = Pattern([source], watched=True)
    return sum(pattern.ask(f"{number:04}")[1] for number in range(0, 10_000, 7)) / len(
        range(0, 10_000, 7)
    )


def _check_text_end(subject: Subject) -> None:
    for node in tree.walk(subject.maker.tree) if subject.maker.tree is not None else ():
        if isinstance(node, tree.Repeat) and node.high is None:
            ranges = first(node.body)
            if all(any(lo <= ord(char) <= hi for lo, hi in ranges) for char in "a "):
                subject.tell(
                    "holds",
                    f"{subject.rule.pattern[node.start : node.end]!r} has no end: it takes the "
                    "rest of the text, words and all, and a stream shows nothing until then",
                    key="pattern",
                    advice="say which characters a value has and how many, as in [a-z0-9]{6,64}",
                )
                return
    subject.result.done["holds"] = "every value has an end"

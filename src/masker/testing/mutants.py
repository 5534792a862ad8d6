"""Small changes of a rule: the slips that an author makes, or a later editor.

An alternative left out, a length one off, a range one character too short or too wide, a prefix
that takes any digits, a look-around lost, no check digit, no words. Each change comes
with numbers that tell the changed rule from the true one (`probe`), so that a change which nobody
notices can be shown with the very example that would.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from masker.core.checks import CHECKS
from masker.core.rules import Rule
from masker.testing import tree
from masker.testing.sampling import Maker, Override, Walk, numbers_of, path_to
from masker.testing.tree import Chars, Choice, Look, Node, Repeat

Probe = Callable[[random.Random], str | None]

_OTHER_CHECKS = 3
_SLIPS = 40
_SHOWN = 40
_FULL = ((48, 57), (65, 90), (97, 122))


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule with one small change."""

    rule: Rule
    part: str
    """What was changed: pattern, lengths, check digit, context."""
    change: str
    """In words, as the end of "unnoticed where ..."."""
    probe: Probe
    """A bare number that may tell the difference; for texts, a whole text."""


def mutants(rule: Rule, maker: Maker) -> Iterator[Mutant]:
    """All small changes of a rule, in the order of its keys."""
    if maker.tree is not None:
        yield from _of_pattern(rule, maker, maker.tree)
    if rule.view == "number":
        yield from _of_check(rule, maker)
        yield from _of_context(rule, maker)


def _shown(source: str) -> str:
    """A part of a pattern, on one line and not too long."""
    line = " ".join(source.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"


class _Editor:
    """Changes of one pattern's source, and walks that come through the changed place."""

    def __init__(self, rule: Rule, maker: Maker, root: Node) -> None:
        self.rule = rule
        self.maker = maker
        self.root = root
        self.source = rule.pattern

    def mutant(
        self, part: str, change: str, node: Node, new: str, *, end: int | None = None,
        start: int | None = None, instead: dict[Node, Override] | None = None,
    ) -> Mutant:  # fmt: skip
        """The rule with a part of its pattern replaced; walks come through `node`."""
        start = node.start if start is None else start
        source = self.source[:start] + new + self.source[node.end if end is None else end :]
        path = path_to(self.root, node)

        def probe(chance: random.Random) -> str | None:
            digits = chance.random() < 0.5
            short = self.rule.view == "text"
            walk = Walk(chance, path=path, instead=instead, digits=digits, short=short)
            return walk.write(self.root)

        return Mutant(self.rule.model_copy(update={"pattern": source}), part, change, probe)

    def line(self, node: Node) -> str:
        return _shown(self.source[node.start : node.end])


def _of_pattern(rule: Rule, maker: Maker, root: Node) -> Iterator[Mutant]:
    editor = _Editor(rule, maker, root)
    for node in tree.walk(root):
        if isinstance(node, Choice):
            for branch in node.branches:
                yield editor.mutant(
                    "pattern",
                    f"the alternative {editor.line(branch)} were left out",
                    branch,
                    "(?!)",
                )
        elif isinstance(node, Repeat):
            yield from _lengths(editor, node)
        elif isinstance(node, Chars) and node.items:
            yield from _ranges(editor, node)
        elif isinstance(node, Look):
            yield editor.mutant("pattern", f"{editor.line(node)} were left out", node, "(?:)")
        elif isinstance(node, tree.Sequence) and rule.view == "number":
            yield from _prefixes(editor, node)


def _lengths(editor: _Editor, node: Repeat) -> Iterator[Mutant]:
    low, high = node.low, node.high
    source = editor.source
    body = _shown(source[node.start : node.quantifier])
    if source[node.quantifier] == "{":
        after = source.index("}", node.quantifier) + 1
    else:
        after = node.quantifier + 1
    changes: list[tuple[int, int | None, int]] = []
    if high is None:
        changes += [(low + 1, None, low)] + ([(low - 1, None, low - 1)] if low else [])
    elif low == high:
        changes += [(low - 1, low - 1, low), (low + 1, low + 1, low)] if low > 1 else []
    elif source[node.quantifier] == "?":
        changes += [(1, 1, 0), (0, 0, 1)]
    else:
        changes += [(low + 1, high, low), (low, high - 1, high), (low, high + 1, high + 1)]
        changes += [(low - 1, high, low - 1)] if low else []
    for new_low, new_high, telling in changes:
        if editor.rule.view == "text" and telling > (high or telling):
            continue  # A longer value in a text is the same value and a tail that can be read.
        new = f"{{{new_low},{'' if new_high is None else new_high}}}"
        was = _times(low, high)
        yield editor.mutant(
            "lengths", f"{body} came {_times(new_low, new_high)}, not {was}",
            node, new, start=node.quantifier, end=after,
            instead={node: _so_often(node, telling)},
        )  # fmt: skip


def _so_often(node: Repeat, count: int) -> Override:
    return lambda walk: walk.repeat(node, count)


def _times(low: int, high: int | None) -> str:
    if high is None:
        return f"{low} times or more"
    if low == high:
        return {0: "never", 1: "once"}.get(low, f"{low} times")
    return f"{low} to {high} times"


def _ranges(editor: _Editor, node: Chars) -> Iterator[Mutant]:
    kept = len(node.items)
    for start, end, low, high in node.items:
        if (low, high) in _FULL:
            continue
        changes: list[tuple[str, str, int]] = []
        if low == high:
            if kept > 1:
                changes.append(("", f"{chr(low)} were left out of", low))
        else:
            changes.append((_range(low + 1, high), f"{chr(low)} were left out of", low))
            changes.append((_range(low, high - 1), f"{chr(high)} were left out of", high))
        if editor.rule.view == "number":
            changes += [
                (editor.source[start:end] + chr(code), f"{chr(code)} were let into", code)
                for code in (low - 1, high + 1)
                if _same_kind(code, low) and not node.has(code)
            ]
        for new, how, code in changes:
            yield editor.mutant(
                "pattern", f"{how} {editor.line(node)}", node, new, start=start, end=end,
                instead={node: _once(node, chr(code))},
            )  # fmt: skip


def _range(low: int, high: int) -> str:
    first, last = (f"\\{chr(code)}" if chr(code) in "]-^\\" else chr(code) for code in (low, high))
    return first if low == high else f"{first}-{last}"


def _same_kind(code: int, other: int) -> bool:
    return any(low <= code <= high and low <= other <= high for low, high in _FULL)


def _once(node: Chars, char: str) -> Override:
    """This character at first, any of the set's own after that."""

    def write(walk: Walk) -> str:
        if walk.groups.get("\0") == str(id(node)):
            return walk.character(node)
        walk.groups["\0"] = str(id(node))
        return char

    return write


def _prefixes(editor: _Editor, node: tree.Sequence) -> Iterator[Mutant]:
    """Runs of digits, or of letters, that a pattern asks for: any would do."""
    run: list[Chars] = []
    for item in (*node.items, None):
        if isinstance(item, Chars) and item.is_literal and not item.items and (
            not run or _same_kind(item.ranges[0][0], run[0].ranges[0][0])
        ) and chr(item.ranges[0][0]).isalnum():  # fmt: skip
            run.append(item)
            continue
        if run:
            digits = chr(run[0].ranges[0][0]).isdigit()
            any_of = Chars(0, 0, _FULL[:1] if digits else _FULL[1:2])
            text = _shown(editor.source[run[0].start : run[-1].end])
            yield editor.mutant(
                "pattern",
                f"any {'digits' if digits else 'letters'} stood for {text}",
                run[0],
                f"{'[0-9]' if digits else '[A-Z]'}{{{len(run)}}}",
                end=run[-1].end,
                instead={each: _any(any_of) for each in run},
            )
        run = [item] if isinstance(item, Chars) and item.is_literal and not item.items else []


def _any(node: Chars) -> Override:
    return lambda walk: walk.character(node)


def _drawn(numbers: tuple[str, ...]) -> Probe:
    return lambda chance: chance.choice(numbers) if numbers else None


def _of_check(rule: Rule, maker: Maker) -> Iterator[Mutant]:
    if rule.checksum is None:
        return
    numbers = numbers_of(rule)

    def wrong(chance: random.Random) -> str | None:
        number = chance.choice(numbers) if numbers else ""
        others = [number[:-1] + char for char in "0123456789" if number]
        fits = [other for other in others if maker.accepts(other) and not maker.is_number(other)]
        return chance.choice(fits) if fits else None

    without = rule.model_copy(update={"checksum": None})
    yield Mutant(without, "check digit", "no check digit were asked for", wrong)
    chance = random.Random(0)
    slips = [slip for slip in (wrong(chance) for _ in range(_SLIPS)) if slip is not None]
    rivals = [
        name for name, check in CHECKS.items() if name != rule.checksum and any(map(check, slips))
    ]
    for name in rivals[:_OTHER_CHECKS]:
        other = rule.model_copy(update={"checksum": name})
        yield Mutant(other, "check digit", f"the check digit were that of {name}", _drawn(numbers))


def _of_context(rule: Rule, maker: Maker) -> Iterator[Mutant]:
    numbers = numbers_of(rule)
    number = _drawn(numbers)

    def mistyped(chance: random.Random) -> str | None:
        """A number with a slip in it, or one of a length that no number has."""
        size = chance.randint(8, 20)
        made = chance.choice([number(chance) or "", "".join(chance.choices("0123456789", k=size))])
        if not made:
            return None
        place = chance.randrange(len(made))
        return made[:place] + chance.choice("0123456789") + made[place + 1 :]

    for key, how in (("context", "spoke for it"), ("anti_context", "spoke against it")):
        words = getattr(rule, key)
        is_loose = key == "context" and rule.context_pattern and not rule.context_required
        for script, is_ascii in (("English", True), ("other", False)):
            rest = tuple(word for word in words if word[0].isascii() is not is_ascii)
            if len(rest) == len(words) or (not rest and key == "context" and rule.context_required):
                continue
            changed = rule.model_copy(update={key: rest})
            change = f"no {script} words {how}" if rest else f"no words {how}"
            yield Mutant(changed, "context", change, mistyped if is_loose else number)
    if rule.context_required:
        free = rule.model_copy(update={"context_required": False})
        yield Mutant(free, "context", "it needed no words (context_required)", number)
    elif rule.context:
        bound = rule.model_copy(update={"context_required": True})
        yield Mutant(
            bound, "context", "it were found only where words call it (context_required)", number
        )
    if rule.context_pattern:
        strict = rule.model_copy(update={"context_pattern": ""})
        yield Mutant(
            strict, "context", "mistyped numbers were left alone (context_pattern)", mistyped
        )

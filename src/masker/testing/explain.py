"""Why a text was masked by a rule, or was not: the engine's own steps, told one by one.

Reading, patterns, checks and words are the engine's; nothing is decided here. What the engine does
with the evidence in the end is asked of the engine itself, so the last step is always true,
and the steps before it say what it had to go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from masker.core import compact, gaps
from masker.core.checks import CHECKS
from masker.core.compact import Piece
from masker.core.messages import Message
from masker.core.patterns import PATTERN_TIMEOUT, Pattern
from masker.core.rules import Rule, compile_pattern
from masker.core.ruleset import RuleSet
from masker.core.words import NARROW, lower
from masker.masker import Masker
from masker.testing import tree
from masker.testing.sampling import findings

_APART = {
    gaps.JOINED: "next to each other, or parted by separators only",
    gaps.LINE: "a line end or a message end apart",
    gaps.LABEL: "parted by words that announce a part of a number",
    gaps.TEXT: "parted by other text",
    gaps.BROKEN: "too far apart to be one number",
}
MOST_RUNS = 24


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the engine asks, and what it found."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Try:
    """Runs taken together, and what the pattern and the check say of them."""

    value: str
    first: Piece
    last: Piece
    loosest: int
    full: bool
    grows: bool
    """Whether more behind it could make it a number."""
    checked: bool


@dataclass(slots=True)
class Explanation:
    """All steps for one rule and one text (or one number over several messages)."""

    rule: Rule
    texts: tuple[str, ...]
    steps: list[Step] = field(default_factory=list)
    tries: list[Try] = field(default_factory=list)
    masked: bool = False
    reason: str = ""
    """In one sentence, why it is not masked; empty where it is."""

    def add(self, title: str, *lines: str) -> None:
        """One more step."""
        self.steps.append(Step(title, lines))


def explain(rule: Rule, texts: Sequence[str]) -> Explanation:
    """What the engine sees of a text with this rule alone, step by step.

    The steps quote the text: that is what the reader asked for.
    """
    told = Explanation(rule, tuple(texts))
    rules = RuleSet([rule])
    told.masked = any(f.rule == rule.id for _, f in findings(rules, told.texts))
    if rule.view == "text":
        _explain_text(told)
    else:
        _explain_number(told, rules)
    masker = Masker.of([rule])
    final = {}
    redactor = masker.redactor()
    for number, text in enumerate(told.texts):
        for out in redactor.receive(Message("c1", str(number), "user", text)):
            final[out.message_id] = out
    for out in redactor.close():
        final[out.message_id] = out
    lines = [final[str(number)].text for number in range(len(told.texts))]
    title = "verdict: masked" if told.masked else "verdict: left as it is"
    told.add(title, *lines, *([told.reason] if told.reason and not told.masked else []))
    return told


def _explain_text(told: Explanation) -> None:
    rule = told.rule
    lowered = lower(told.texts[0]).translate(NARROW)
    keywords = [word for word in rule.keywords if word in lowered]
    told.add(
        "keywords",
        f"found: {', '.join(keywords)}" if keywords
        else f"none of {', '.join(rule.keywords)} is in the text: the pattern is not tried",
    )  # fmt: skip
    pattern = compile_pattern(rule.pattern, "text")
    try:
        match = pattern.search(lowered, timeout=PATTERN_TIMEOUT) if keywords else None
    except TimeoutError:
        told.add("pattern", f"gave no answer within {PATTERN_TIMEOUT} s: all of the text is masked")
        return
    if match is None:
        told.add("pattern", "found nowhere in the text" if keywords else "not tried")
        told.reason = "the pattern is found nowhere in it" if keywords else "it has no keyword"
        return
    group = "value" if "value" in match.re.groupindex else 0
    start, end = match.span(group)
    told.add("pattern", f"found at characters {match.start() + 1} to {match.end()}")
    told.add("value", f"characters {start + 1} to {end}: {told.texts[0][start:end]}")


def _explain_number(told: Explanation, rules: RuleSet) -> None:
    pieces = _pieces(told, rules)
    words = _words(told, rules)
    told.add("words", *(words or ("no word of the rule is in it",)))
    if not pieces:
        told.reason = "there is nothing in it that a number could be made of"
        return
    told.tries = _tries(told.rule, pieces)
    full = [each for each in told.tries if each.full]
    shown = full or sorted(told.tries, key=lambda each: (each.grows, len(each.value)))[-1:]
    told.add("pattern", *(_of_pattern(told.rule, each) for each in shown))
    if not full:
        told.reason = _why_no_shape(told.rule, told.tries)
        return
    if told.rule.checksum:
        told.add("check digit", *(_of_check(told.rule, each) for each in full))
    _of_evidence(told, full)


def _pieces(told: Explanation, rules: RuleSet) -> list[Piece]:
    """The runs of all messages; the step says where each stands and how far from the next."""
    pieces: list[Piece] = []
    lines = []
    for number, text in enumerate(told.texts, 1):
        for piece in compact.read(rules, text, note=number)[0]:
            where = f"message {number}, " if len(told.texts) > 1 else ""
            said = f"{where}characters {piece.start + 1} to {piece.end}: {piece.value}"
            if piece.value != text[piece.start : piece.end]:
                said += f" (written {text[piece.start : piece.end]})"
            lines.append(said)
            pieces.append(piece)
    if not pieces:
        lines.append("no digits that could belong to a number (amounts, times, URLs do not count)")
    told.add("compact view", *lines)
    between = [
        f"{one.value} and {other.value}: {_APART[_gap(one, other)]}"
        for one, other in pairwise(pieces[:MOST_RUNS])
    ]
    if between:
        told.add("gaps", *between)
    return pieces


def _gap(one: Piece, other: Piece) -> int:
    if one.note == other.note:
        return other.lead
    return max(one.tail, other.lead, gaps.LINE)


def _words(told: Explanation, rules: RuleSet) -> list[str]:
    lines = []
    for number, text in enumerate(told.texts, 1):
        for start, end, yes, no in rules.words.find(lower(text)):
            where = f" (message {number})" if len(told.texts) > 1 else ""
            way = "speaks for it and against it" if yes and no else (
                "speaks for it" if yes else "speaks against it"
            )  # fmt: skip
            lines.append(f"“{text[start:end]}” {way}{where}")
    return lines


def _tries(rule: Rule, pieces: list[Piece]) -> list[Try]:
    pattern = Pattern([rule.pattern], watched=True)
    check = CHECKS[rule.checksum] if rule.checksum else None
    tries = []
    for low, first in enumerate(pieces[:MOST_RUNS]):
        value, loosest = "", gaps.JOINED
        for place, last in enumerate(pieces[low : low + MOST_RUNS], low):
            if place > low:
                loosest = max(loosest, _gap(pieces[place - 1], last))
            if loosest >= gaps.BROKEN:
                break
            value += last.value
            full, grows = pattern.ask(value)
            checked = full and (check is None or check(value))
            tries.append(Try(value, first, last, loosest, full, grows, checked))
    return tries


def _of_pattern(rule: Rule, each: Try) -> str:
    if each.full:
        more = ", and more could follow" if each.grows else ""
        return f"{each.value}: the whole pattern fits{more}"
    if each.grows:
        return f"{each.value}: the beginning of one; it is waited for what follows"
    return f"{each.value}: {_where_it_stops(rule, each.value)}"


def _where_it_stops(rule: Rule, value: str) -> str:
    pattern = Pattern([rule.pattern], watched=True)
    size = next((n for n in range(len(value), 0, -1) if any(pattern.ask(value[:n]))), 0)
    if size == len(value):
        return "it is the beginning of a number, and more would have to follow"
    if size == 0:
        return f"no number of this rule begins with {value[0]}"
    if pattern.ask(value[:size])[0]:
        return f"{value[:size]} would be a whole number, but {len(value) - size} more follow"
    return f"the pattern fits up to {value[:size]}, and not with {value[size]} behind it"


def _why_no_shape(rule: Rule, tries: list[Try]) -> str:
    best = max(tries, key=lambda each: (each.grows, len(each.value)))
    size = len(best.value)
    try:
        parsed = tree.parse(rule.pattern)
        low, high = tree.shortest(parsed), tree.longest(parsed)
    except tree.Unread:
        low, high = 0, None
    if size < low or (high is not None and size > high):
        lengths = f"{low}" if low == high else f"{low} to {high or 'any number of'}"
        more = "more would have to follow" if best.grows else _where_it_stops(rule, best.value)
        return f"{best.value} has {size} characters, and the pattern takes {lengths}; {more}"
    stops = _where_it_stops(rule, best.value)
    return (
        f"the pattern does not fit {best.value}: {stops if not best.grows else 'it is unfinished'}"
    )


def _of_check(rule: Rule, each: Try) -> str:
    if each.checked:
        return f"{each.value}: {rule.checksum} holds"
    others = [name for name, check in sorted(CHECKS.items()) if check(each.value)]
    hint = f" (it would hold by: {', '.join(others)})" if others else ""
    return f"{each.value}: {rule.checksum} does not hold{hint}"


def _of_evidence(told: Explanation, full: list[Try]) -> None:
    rule = told.rule
    passed = [each for each in full if each.checked]
    best = max(passed or full, key=lambda each: len(each.value))
    bit = 1
    lines = [f"its parts are {_APART[best.loosest]}"] if best.first != best.last else []
    denied = bool(best.first.denied & bit)
    near = bool((best.first.near | best.last.near) & bit)
    if denied:
        lines.append("a word right before it speaks against it")
    lines.append("words beside it call it one" if near else "no words beside it call it one")
    if told.masked and not passed:
        lines.append("so it is masked though its check digit fails: people mistype")
    told.add("evidence", *lines)
    if denied:
        told.reason = "the word right before it speaks against it (anti_context)"
    elif rule.context_required and not near:
        told.reason = "the rule asks for a word of context beside it, and there is none"
    elif not passed:
        told.reason = f"it has the shape of one, but {_of_check(rule, best)}"
    else:
        told.reason = (
            "it has the shape of one, but its place speaks for something else "
            "(an address, a list, an amount, groups that nobody writes)"
        )


def why_not(rule: Rule, texts: Sequence[str]) -> str:
    """In one sentence, why a rule finds nothing in a text; empty where it does."""
    told = explain(rule, texts)
    return "" if told.masked else told.reason

"""What a rule's author claims: examples, counterexamples, a check digit."""

from __future__ import annotations

from masker.core.checks import CHECKS
from masker.core.rules import Rule
from masker.packs import bundled_packs
from masker.testing import tree
from masker.testing.explain import why_not
from masker.testing.results import Severity, texts_of
from masker.testing.sampling import Maker, findings, found_values, numbers_of
from masker.testing.saying import proves_itself
from masker.testing.subject import Subject

_WRONG = 24
_BARE = tuple(map(ord, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"))


def check_pattern(subject: Subject) -> None:
    """A pattern over numbers asks for nothing that the bare number never has."""
    rule, parsed = subject.rule, subject.maker.tree
    if rule.view == "text":
        return
    if parsed is None:
        subject.result.skipped["pattern"] = f"it cannot be looked into: {subject.maker.unread}"
        return
    for node in tree.walk(parsed):
        if isinstance(node, tree.Chars) and not any(map(node.has, _BARE)):
            part = rule.pattern[node.start : node.end]
            is_small = any(node.has(ord(char)) for char in "abcdefghijklmnopqrstuvwxyz")
            what = (
                "letters of a bare number are capitals" if is_small
                else "spaces, dashes and all other separators are gone before the pattern is asked"
            )  # fmt: skip
            subject.tell(
                "pattern",
                f"it asks for {part!r}, which no bare number has: {what}",
                key="pattern",
                advice="write the number as it would be without separators, once",
            )
            return
        if isinstance(node, tree.Anchor | tree.Look):
            part = rule.pattern[node.start : node.end]
            subject.tell(
                "pattern",
                f"{part!r} asks for what stands beside the number, and a number is seen without it",
                key="pattern",
                advice="leave it out: where a number begins and ends is the engine's work",
                severity=Severity.WARNING,
            )
            break
    subject.result.done["pattern"] = "digits and capital letters only"


def check_examples(subject: Subject) -> None:
    """Every example is found by this rule."""
    rule = subject.rule
    for number, example in enumerate(rule.examples, 1):
        if not any(found.rule == rule.id for _, found in findings(subject.rules, example)):
            subject.tell(
                "examples",
                f"example {number} is not masked: {why_not(rule, texts_of(example))}",
                key="examples",
                case=example,
                advice=f"masker rules explain {rule.id} shows how it was read",
            )
    for value in found_values(rule, rule.examples, subject.rules) if rule.checksum else ():
        if CHECKS[str(rule.checksum)](value) and not subject.maker.accepts(value):
            subject.tell(
                "examples",
                f"{value} is a number of this rule by its check digit, but its pattern does not "
                f"take it: only the words beside it find it ({why_not(rule, (value,))})",
                key="pattern",
                case=value,
                paste="examples",
                advice="a range or a length is missing in the pattern",
            )
            break
    subject.result.done["examples"] = f"{len(rule.examples)} examples"


def check_relatives(subject: Subject) -> None:
    """A rule for what a bundled rule finds too: which of its numbers are missed."""
    rule = subject.rule
    for other in (each for pack in bundled_packs() for each in pack.rules):
        if other.entity != rule.entity or other == rule or rule.view == "text":
            continue
        known = [example for example in other.examples if isinstance(example, str)]
        missed = [example for example in known if not findings(subject.rules, example)]
        if missed:
            subject.tell(
                "examples",
                f"{len(missed)} of {len(known)} numbers that masker's own {other.id} finds are not "
                f"found by this rule; the shortest: {why_not(rule, (min(missed, key=len),))}",
                key="pattern",
                case=min(missed, key=len),
                paste="examples",
                advice=f"a range may be missing; if not, call the entity something else than "
                f"{other.entity}",
                severity=Severity.WARNING,
            )


def check_counterexamples(subject: Subject) -> None:
    """No counterexample is found by this rule."""
    rule = subject.rule
    for number, example in enumerate(rule.counterexamples, 1):
        found = findings(subject.rules, example)
        if found:
            text, first = found[0]
            subject.tell(
                "counterexamples",
                f"counterexample {number} is masked: {text[first.start : first.end]!r} in it is "
                "taken for such a number",
                key="counterexamples",
                case=example,
                advice="narrow the pattern, ask for a word (context_required = true), or name the "
                "word that speaks against it (anti_context)",
            )
    subject.result.done["counterexamples"] = f"{len(rule.counterexamples)} counterexamples"


def check_digit(subject: Subject) -> None:
    """The check digit is the one that the examples have, and a wrong one is left alone."""
    rule = subject.rule
    if rule.checksum is None:
        return
    values = _shaped_values(subject)
    if values and not any(CHECKS[rule.checksum](value) for value in values):
        others = [name for name in sorted(CHECKS) if all(map(CHECKS[name], values))]
        hint = f"they all pass {' and '.join(others)}" if others else "no known check fits them all"
        subject.tell(
            "check-digit",
            f"no number in the examples passes {rule.checksum} ({values[0]} does not), "
            "so only the words around them find them",
            key="checksum",
            case=values[0],
            advice=f"{hint}; name the right check, or leave checksum out",
        )
        return
    numbers = numbers_of(rule, subject.seed)
    if not numbers and subject.maker.tree is not None:
        subject.tell(
            "check-digit",
            f"no number could be made that fits the pattern and passes {rule.checksum}: "
            "they exclude each other, or nearly so",
            key="checksum",
        )
        return
    wrong = _wrong_numbers(rule, subject.maker, numbers)
    for number in [] if rule.context_required else wrong:
        if findings(subject.rules, number):
            subject.tell(
                "check-digit",
                f"{number} has a wrong check digit and no words around it, and is masked",
                key="checksum",
                case=number,
                paste="counterexamples",
            )
            return
    subject.result.done["check-digit"] = f"{len(wrong)} numbers with a wrong check digit"


def _shaped_values(subject: Subject) -> list[str]:
    """The numbers of the examples that the pattern takes, check digit or not."""
    values = found_values(subject.rule, subject.rule.examples, subject.rules)
    return [value for value in values if subject.maker.accepts(value)]


def _wrong_numbers(rule: Rule, maker: Maker, numbers: tuple[str, ...]) -> list[str]:
    """Numbers whose check digit alone is wrong."""
    wrong = []
    for number in numbers[:: max(1, len(numbers) // _WRONG)]:
        if not proves_itself(rule, number):
            continue
        last = number[-1]
        others = [number[:-1] + char for char in "0123456789" if char != last]
        wrong += [other for other in others if maker.accepts(other) and not maker.is_number(other)][
            :1
        ]
    return wrong

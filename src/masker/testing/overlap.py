"""Rules beside each other: whether one takes another's numbers away, or shows more of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from masker.core.rules import Example
from masker.core.ruleset import RuleSet
from masker.testing.results import Problem, Severity, line_of
from masker.testing.sampling import findings
from masker.testing.subject import Subject


def check_overlap(subjects: Sequence[Subject]) -> list[Problem]:
    """Every rule's examples, with all rules of the packs together."""
    if len(subjects) < 2:
        return []
    together = RuleSet([subject.rule for subject in subjects])
    problems = []
    for subject in subjects:
        problems += _shadowed(subject, together)
    return problems


def _shadowed(subject: Subject, together: RuleSet) -> list[Problem]:
    rule = subject.rule
    lost: list[Example] = []
    taken: list[tuple[Example, set[str]]] = []
    alone = 0
    for example in rule.examples:
        before = [found for _, found in findings(subject.rules, example) if found.rule == rule.id]
        if not before:
            continue
        alone += 1
        after = findings(together, example)
        if not any(found.rule == rule.id for _, found in after):
            lost.append(example)
        # Another rule's finding in the same place: of digits that stand elsewhere it may find more.
        mine = {(text, found.start, found.end) for text, found in after if found.rule == rule.id}
        others = {
            found.rule for text, found in after
            if found.rule != rule.id and (not mine or (text, found.start, found.end) in mine)
        }  # fmt: skip
        if others:
            taken.append((example, others))
    if not alone:
        return []
    names = Counter(name for _, others in taken for name in others)
    always = sorted(name for name, times in names.items() if times == alone)
    if always:
        return [_problem(
            subject,
            f"it is shadowed: all of its examples are found as {' and '.join(always)} too",
            taken[0][0], Severity.ERROR,
        )]  # fmt: skip
    if lost:
        return [_problem(
            subject, f"with the other rules beside it, {len(lost)} of its {alone} examples are "
            f"found as {', '.join(sorted(names)) or 'nothing'} instead", lost[0], Severity.WARNING,
        )]  # fmt: skip
    if taken:
        return [_problem(
            subject,
            f"{len(taken)} of its {alone} examples are found as {', '.join(sorted(names))} too",
            taken[0][0], Severity.NOTE,
        )]  # fmt: skip
    return []


def _problem(subject: Subject, message: str, example: Example, severity: Severity) -> Problem:
    return Problem(
        check="overlap",
        source=subject.source,
        rule=subject.rule.id,
        message=message,
        key="pattern",
        case=example,
        advice="narrow one of the two, or let words tell them apart (context_required)",
        severity=severity,
        line=line_of(subject.text, subject.rule.id, "pattern"),
    )

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
    lost: list[tuple[Example, str]] = []
    taken = Counter[str]()
    alone = 0
    for example in rule.examples:
        before = [found for _, found in findings(subject.rules, example) if found.rule == rule.id]
        if not before:
            continue
        alone += 1
        after = [found for _, found in findings(together, example)]
        if any(found.rule == rule.id for found in after):
            continue
        others = {found.rule for found in after}
        taken.update(others or {""})
        lost.append((example, ", ".join(sorted(others))))
        if not others:
            return [_problem(
                subject, "with the other rules beside it, this is not masked any more",
                example, Severity.ERROR,
            )]  # fmt: skip
    if not lost:
        return []
    example, others_named = lost[0]
    if len(lost) == alone:
        name = taken.most_common(1)[0][0]
        return [_problem(
            subject,
            f"it is shadowed by {name}: every one of its examples is found as {name} instead",
            example, Severity.ERROR,
        )]  # fmt: skip
    return [_problem(
        subject,
        f"{len(lost)} of its {alone} examples are found as {others_named} where both rules are on",
        example, Severity.NOTE,
    )]  # fmt: skip


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

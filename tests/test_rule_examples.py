"""Every rule does what its own examples and counterexamples say, through the engine."""

from __future__ import annotations

import pytest

from masker import Finding, Masker, Message
from masker.core.rules import Example, Rule
from masker.packs import bundled_packs

RULES = [rule for pack in bundled_packs() for rule in pack.rules]


def findings(masker: Masker, example: Example) -> list[Finding]:
    """What is found at the end in one text, or in one sender's messages."""
    texts = (example,) if isinstance(example, str) else example
    redactor = masker.redactor()
    final: dict[str, tuple[Finding, ...]] = {}
    for number, text in enumerate(texts):
        for out in redactor.receive(Message("c1", str(number), "user", text)):
            final[out.message_id] = out.findings
    for out in redactor.close():
        final[out.message_id] = out.findings
    return [finding for found in final.values() for finding in found]


def cases(kind: str) -> list[object]:
    return [
        pytest.param(rule, example, id=f"{rule.id}-{number}")
        for rule in RULES
        for number, example in enumerate(getattr(rule, kind), 1)
    ]


@pytest.mark.parametrize(("rule", "example"), cases("examples"))
def test_an_example_is_found(rule: Rule, example: Example) -> None:
    alone = Masker(rules=[rule.id])
    assert rule.id in {finding.rule for finding in findings(alone, example)}


@pytest.mark.parametrize(("rule", "example"), cases("counterexamples"))
def test_a_counterexample_is_not_found(rule: Rule, example: Example) -> None:
    alone = Masker(rules=[rule.id])
    assert not findings(alone, example)

"""The bundled rules keep their own claims, and docs/rules.md says what came of checking them."""

from __future__ import annotations

import pytest
import write_rules_page

from masker.packs import bundled_packs
from masker.testing.check import check_packs
from masker.testing.results import Result, Severity

RULES = [rule.id for pack in bundled_packs() for rule in pack.rules]


@pytest.fixture(scope="module")
def result() -> Result:
    return check_packs(settings=write_rules_page.SETTINGS)


@pytest.mark.slow
def test_every_bundled_rule_passes_whole(result: Result) -> None:
    assert [rule.rule for rule in result.rules] == RULES
    assert not [
        f"{problem.rule}: {problem.check}: {problem.message}"
        for problem in result.all_problems
        if problem.severity is Severity.ERROR
    ]
    assert not {rule.rule: rule.skipped for rule in result.rules if rule.skipped}


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_its_examples_notice_nineteen_changes_in_twenty(name: str, result: Result) -> None:
    (rule,) = (each for each in result.rules if each.rule == name)
    assert rule.mutants
    assert (rule.score or 0) >= write_rules_page.MIN_SCORE


@pytest.mark.slow
def test_the_page_of_rules_is_current(result: Result) -> None:
    known = write_rules_page.PAGE.read_text(encoding="utf-8")
    assert write_rules_page.page(result) == known, "run python tools/write_rules_page.py"

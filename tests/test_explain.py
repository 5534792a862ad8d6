"""`masker rules explain` tells the engine's own steps, and the last one is always true."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from masker.cli.app import app
from masker.packs import bundled_packs
from masker.testing.explain import explain, why_not
from masker.testing.mutation import is_found
from masker.testing.results import texts_of
from masker.testing.subject import Subject

RULES = {rule.id: rule for pack in bundled_packs() for rule in pack.rules}


@pytest.mark.parametrize(
    ("rule", "texts", "said"),
    [
        ("payment-card", ["4111 1111 1111 1112"], "luhn does not hold"),
        ("payment-card", ["order no. 4111111111111111"], "the word right before it speaks against"),
        ("payment-card", ["411111111111"], "has 12 characters, and the pattern takes 13 to 19"),
        ("payment-card", ["7777777777777777"], "no number of this rule begins with 7"),
        ("payment-card", ["hello"], "nothing in it that a number could be made of"),
        ("us-ssn", ["536904399"], "asks for a word of context beside it"),
        ("in-aadhaar", ["aadhaar is here"], "nothing in it"),
        ("email", ["no address here"], "it has no keyword"),
        ("email", ["me @ home"], "the pattern is found nowhere in it"),
    ],
)
def test_the_reason_is_named(rule: str, texts: list[str], said: str) -> None:
    assert said in why_not(RULES[rule], texts)


def test_each_step_has_its_place() -> None:
    told = explain(RULES["payment-card"], ["这是卡号：4111 1111", "11111111"])
    titles = [step.title for step in told.steps]
    assert titles == ["compact view", "gaps", "words", "pattern", "check digit", "evidence",
                      "verdict: masked"]  # fmt: skip
    said = "\n".join(line for step in told.steps for line in step.lines)
    for part in ("message 1, characters 6 to 9: 4111", "“卡号” speaks for it (message 1)",
                 "4111111111111111: the whole pattern fits", "luhn holds"):  # fmt: skip
        assert part in said


def test_another_check_that_would_hold_is_named() -> None:
    wrong = RULES["in-aadhaar"].model_copy(update={"checksum": "luhn", "context_pattern": ""})
    assert "it would hold by: aadhaar" in why_not(wrong, ["aadhaar 234123412346"])


def examples() -> list[tuple[str, tuple[str, ...], bool]]:
    return [
        (rule.id, tuple(texts_of(example)), found)
        for rule in RULES.values()
        for key, found in (("examples", True), ("counterexamples", False))
        for example in getattr(rule, key)
    ]


@given(st.sampled_from(examples()))
def test_the_verdict_is_the_engines(case: tuple[str, tuple[str, ...], bool]) -> None:
    rule, texts, found = case
    assert explain(RULES[rule], texts).masked is found
    assert bool(why_not(RULES[rule], texts)) is not found


@given(st.sampled_from(sorted(RULES)), st.text(max_size=40))
def test_any_text_can_be_explained(rule: str, text: str) -> None:
    told = explain(RULES[rule], [text])
    assert told.steps[-1].title.startswith("verdict")
    assert told.masked is is_found(Subject(RULES[rule], "", "", "").rules, RULES[rule], text)


def test_the_command_explains_with_packs_of_ones_own(tmp_path: Path) -> None:
    run = CliRunner().invoke
    pack = str(Path(__file__).parent / "rules_broken" / "examples.toml")
    done = run(app, ["rules", "explain", "member", "7700 0000 0016", "--rules", pack])
    assert done.exit_code == 0
    assert "verdict: masked" in done.stdout
    lines = run(app, ["rules", "explain", "member", "-", "--rules", pack], input="7700\n00000016\n")
    assert "message 2, characters 1 to 8: 00000016" in lines.stdout
    about = run(app, ["rules", "explain", "us-ssn"])
    assert "[0-8][0-9]{8}" in about.stdout
    assert run(app, ["rules", "explain", "no-such-rule", "x"]).exit_code == 2


def test_a_pattern_that_gives_no_answer_is_told() -> None:
    rule = RULES["email"].model_copy(update={"pattern": "(?:a|aa)+@b", "keywords": ("@",)})
    told = explain(rule, ["a" * 60 + "@"])
    assert told.masked
    assert "gave no answer" in told.steps[1].lines[0]

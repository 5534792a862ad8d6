"""`masker rules check` finds what is broken, says it in the one right way, and passes the rest."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

import golden
from masker.cli.app import app
from masker.core.rules import CHANCE_KINDS, parse_pack
from masker.masker import Masker
from masker.packs import load_packs
from masker.testing import check, explosion
from masker.testing.check import Settings, check_packs, check_rule
from masker.testing.everyday import KINDS
from masker.testing.formats import FORMATS
from masker.testing.results import CHECKS, Problem, Result, Severity, line_of, texts_of, toml
from masker.testing.sampling import findings, numbers_of
from masker.testing.scaffold import scaffold

HERE = Path(__file__).parent
BROKEN = sorted((HERE / "rules_broken").glob("*.toml"))
WRONG = sorted((HERE / "rules_wrong").glob("*.toml"))
QUICK = Settings(budget=None, jobs=1)


def errors(result: Result) -> list[Problem]:
    return [each for each in result.all_problems if each.severity is Severity.ERROR]


@pytest.fixture(scope="module")
def checked() -> dict[Path, Result]:
    return {pack: golden.checked(pack) for pack in golden.PACKS}


@pytest.mark.parametrize("pack", BROKEN, ids=lambda path: path.stem)
def test_a_broken_pack_fails_by_the_one_check_it_is_named_for(
    pack: Path, checked: dict[Path, Result]
) -> None:
    (error,) = errors(checked[pack])
    named = pack.stem.partition("-")[0] if pack.stem.startswith("schema") else pack.stem
    assert error.check == named
    assert checked[pack].exit_code == (2 if named == "schema" else 1)


def test_there_is_a_broken_pack_for_every_check() -> None:
    assert {"schema" if p.stem.startswith("schema") else p.stem for p in BROKEN} == set(CHECKS)


@pytest.mark.parametrize("pack", WRONG, ids=lambda path: path.stem)
def test_a_subtly_wrong_rule_is_found_with_a_case_to_read(
    pack: Path, checked: dict[Path, Result]
) -> None:
    assert errors(checked[pack])
    cases = [each.case for each in checked[pack].all_problems if each.case is not None]
    assert cases
    assert all(len("".join(texts_of(case))) <= 40 for case in cases)


@pytest.mark.parametrize("pack", golden.PACKS, ids=lambda path: path.stem)
def test_what_is_said_of_it_is_known(pack: Path, checked: dict[Path, Result]) -> None:
    known = pack.with_suffix(".txt").read_text(encoding="utf-8")
    assert golden.report(checked[pack], pack) == known, "run python tests/golden.py, and look at it"


@pytest.mark.parametrize("pack", golden.PACKS, ids=lambda path: path.stem)
def test_a_line_to_paste_shows_what_it_says(pack: Path, checked: dict[Path, Result]) -> None:
    """Pasted into the pack, an example is one that fails, and what mutation asks for holds."""
    for problem in checked[pack].all_problems:
        if not problem.paste or problem.case is None:
            continue
        text = pack.read_text(encoding="utf-8")
        parsed = parse_pack(text, source=pack.name)
        rule = next(rule for rule in parsed.rules if rule.id == problem.rule)
        found = bool(findings(Masker.of([rule])._rules, problem.case))
        if problem.severity is Severity.WARNING:
            assert found is (problem.paste == "examples")
        elif problem.check != "neighbours":
            # A failure: an example that is not masked, a counterexample that is.
            whole = found and problem.check != "cuts"
            assert whole is (problem.paste == "counterexamples")


def test_pasting_what_nobody_notices_makes_it_noticed(tmp_path: Path) -> None:
    pack = HERE / "rules_wrong" / "off-by-one-long.toml"
    text = pack.read_text(encoding="utf-8")
    before = golden.checked(pack)
    for problem in before.all_problems:
        if problem.severity is Severity.WARNING:
            text = text.replace(
                f"\n{problem.paste} = [", f"\n{problem.paste} = [{problem.line_to_paste} "
            )
    pasted = tmp_path / "pasted.toml"
    pasted.write_text(text, encoding="utf-8")
    after = check_packs([pasted], settings=Settings(budget=None, jobs=1, min_score=100))
    assert after.exit_code == 0
    assert (before.rules[0].score or 0) < (after.rules[0].score or 0) == 100


def test_a_new_pack_passes_its_own_check(tmp_path: Path) -> None:
    file = tmp_path / "acme-member.toml"
    file.write_text(scaffold("acme-member", str(file)), encoding="utf-8")
    result = check_packs([file], settings=Settings(budget=None, jobs=1, min_score=100))
    assert result.exit_code == 0
    assert not [p for p in result.all_problems if p.severity is not Severity.NOTE]


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_says_the_same(seed: int) -> None:
    rule = load_packs(HERE.parent / "rules" / "sg.toml")[0].rules[0]
    settings = Settings(seed=seed, budget=None)
    one, other = (check_rule(rule, settings=settings) for _ in range(2))
    assert one.problems == other.problems
    assert (one.done, one.chance, one.score) == (other.done, other.chance, other.score)


def test_what_was_cut_short_is_said() -> None:
    rule = load_packs(HERE.parent / "rules" / "payment.toml")[0].rules[0]
    result = check_rule(rule, settings=Settings(), seconds=0.0)
    assert {"promises", "cuts", "mutation"} <= set(result.skipped)
    assert not result.failed


def test_several_processes_say_what_one_says() -> None:
    packs = [HERE.parent / "rules" / name for name in ("gb.toml", "sg.toml", "jp.toml")]
    alone = check_packs(packs, settings=Settings(budget=None, jobs=1))
    together = check_packs(packs, settings=Settings(budget=None, jobs=2))
    assert [rule.done for rule in alone.rules] == [rule.done for rule in together.rules]
    assert alone.all_problems == together.all_problems


def test_a_pack_that_cannot_be_read_does_not_keep_the_others_from_being_checked() -> None:
    packs = [HERE / "rules_broken" / "schema-not-toml.toml", HERE.parent / "rules" / "sg.toml"]
    result = check_packs(packs, settings=QUICK)
    assert result.exit_code == 2
    assert [(rule.rule, rule.failed) for rule in result.rules] == [("sg-nric", False)]


@pytest.mark.parametrize("name", ["missing.toml", "empty"])
def test_what_is_not_there_is_unreadable(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = check_packs([tmp_path / name], settings=QUICK)
    assert result.exit_code == 2
    assert len(result.problems) == 1


def test_every_kind_of_chance_has_texts() -> None:
    assert tuple(KINDS) == CHANCE_KINDS


def test_the_default_budget_of_the_command_is_that_of_the_library() -> None:
    # typer's help shows a number: it stands in the command's signature too.
    help_ = CliRunner().invoke(app, ["rules", "check", "--help"]).output
    assert f"{check.BUDGET:g}" in help_
    assert f"{check.MIN_SCORE:g}" in help_


# --- what comes out ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed(checked: dict[Path, Result]) -> Result:
    """A result with everything in it: errors, warnings, notes, a pack that cannot be read."""
    result = Result(unreadable=True)
    for each in checked.values():
        result.problems += each.problems
        result.rules += each.rules
    return result


def test_json_has_every_problem(mixed: Result) -> None:
    told = json.loads(FORMATS["json"](mixed))
    problems = [*told["problems"], *(p for rule in told["rules"] for p in rule["problems"])]
    assert [p["message"] for p in problems] == [p.message for p in mixed.all_problems]
    assert told["passed"] is False


def test_junit_counts_failures(mixed: Result) -> None:
    root = ET.fromstring(FORMATS["junit"](mixed))  # noqa: S314 - our own output
    failures = root.findall(".//failure")
    assert len(failures) == len(errors(mixed))
    assert sum(int(suite.get("failures", "0")) for suite in root) >= len({
        (p.rule, p.check) for p in errors(mixed)
    })  # fmt: skip


def test_sarif_places_each_problem_on_its_line(mixed: Result) -> None:
    (run,) = json.loads(FORMATS["sarif"](mixed))["runs"]
    known = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert {each["ruleId"] for each in run["results"]} <= known
    lines = [
        each["locations"][0]["physicalLocation"]["region"]["startLine"] for each in run["results"]
    ]
    assert lines == [problem.line for problem in mixed.all_problems]


def test_github_has_one_line_a_problem(mixed: Result) -> None:
    lines = FORMATS["github"](mixed).split("\n")
    assert len(lines) == len(mixed.all_problems)
    assert all(line.startswith(("::error file=", "::warning file=", "::notice file="))
               for line in lines)  # fmt: skip


@pytest.mark.parametrize("pack", BROKEN + WRONG, ids=lambda path: path.stem)
def test_a_problem_stands_on_the_line_of_its_key(pack: Path, checked: dict[Path, Result]) -> None:
    lines = pack.read_text(encoding="utf-8").split("\n")
    for problem in checked[pack].all_problems:
        if problem.rule is not None and problem.key is not None:
            line = lines[problem.line - 1]
            assert line.startswith((problem.key, "id ="))


def test_a_line_of_toml_reads_as_what_it_was() -> None:
    import tomllib

    for text in ["plain", 'a "quote" \\ and \n lines', "卡号\u200b4111\u3000", "😂\x01"]:
        for example in (text, (text, "more")):
            read = tomllib.loads(f"x = {toml(example)}")["x"]
            assert read == (example if isinstance(example, str) else list(example))
            assert toml(example).isprintable()


def test_the_line_of_a_key_is_that_of_its_own_rule() -> None:
    text = '[[rules]]\nid = "a"\npattern = "1"\n\n[[rules]]\nid = "b"\nname = 1\npattern = "2"\n'
    assert [line_of(text, rule, "pattern") for rule in ("a", "b")] == [3, 8]
    assert line_of(text, "b", "missing") == 6


# --- the command -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["rules/sg.toml"], 0),
        (["rules/sg.toml", "rules/gb.toml", "--rule", "gb-nino"], 0),
        (["tests/rules_broken/examples.toml"], 1),
        (["tests/rules_broken/schema-not-toml.toml"], 2),
        (["rules/sg.toml", "--rule", "no-such-rule"], 2),
        (["rules/sg.toml", "--min-score", "101"], 2),
        (["no/such/file.toml"], 2),
    ],
)
def test_the_exit_code_says_how_it_went(arguments: list[str], code: int) -> None:
    paths = [str(HERE.parent / a) if a.endswith(".toml") else a for a in arguments]
    result = CliRunner().invoke(app, ["rules", "check", *paths])
    assert result.exit_code == code, result.output


@pytest.mark.parametrize("format_", FORMATS)
def test_data_goes_to_stdout_alone(format_: str) -> None:
    pack = str(HERE / "rules_broken" / "examples.toml")
    result = CliRunner().invoke(app, ["rules", "check", pack, "--format", format_])
    assert result.exit_code == 1
    assert "770000000016" not in result.stderr
    assert result.stdout


def test_new_writes_a_file_once(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert run(app, ["rules", "new", "acme-member", str(tmp_path)]).exit_code == 0
    file = tmp_path / "acme-member.toml"
    assert load_packs(file)[0].rules[0].id == "acme-member"
    again = run(app, ["rules", "new", "acme-member", str(tmp_path)])
    assert again.exit_code == 2
    assert "exists" in again.stderr
    assert run(app, ["rules", "new", "No Name"]).exit_code == 2
    assert run(app, ["rules", "new", "acme-member"]).stdout == scaffold(
        "acme-member", "acme-member.toml"
    )


@pytest.mark.parametrize("pack", sorted((HERE.parent / "rules").glob("*.toml")),
                         ids=lambda path: path.stem)  # fmt: skip
def test_numbers_of_a_rule_are_its_numbers(pack: Path) -> None:
    for rule in load_packs(pack)[0].rules:
        made = numbers_of(rule, 1)
        assert len(made) >= 20, rule.id
        assert list(made) == sorted(set(made), key=lambda text: (len(text), text))


@pytest.mark.slow
def test_a_pack_of_fifty_rules_is_checked_within_its_budget(tmp_path: Path) -> None:
    """What benchmarks/rules_check.py times, with less time: no claim of an author is left out."""
    path = HERE.parent / "benchmarks" / "rules_check.py"
    spec = importlib.util.spec_from_file_location("rules_check", path)
    assert spec is not None
    assert spec.loader is not None
    many = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(many)
    file = tmp_path / "many.toml"
    file.write_text(many.pack(), encoding="utf-8")
    result = check_packs([file], settings=Settings(budget=6))
    assert result.exit_code == 0
    assert len(result.rules) == many.RULES
    for rule in result.rules:
        assert {"pattern", "examples", "counterexamples", "explosion", "holds"} <= set(rule.done)
        for name in set(CHECKS) - {"schema", "check-digit"}:
            assert name in rule.done or name in rule.skipped, (rule.rule, name)


# --- what is said, and fails nothing ------------------------------------------------------


def pack(tmp_path: Path, pattern: str, *, entity: str = "CODE", more: str = "") -> Path:
    file = tmp_path / "pack.toml"
    file.write_text(
        'schema = 1\nname = "pack"\ndescription = "One rule"\n\n[[rules]]\nid = "code"\n'
        f'entity = "{entity}"\npattern = \'{pattern}\'\nreferences = ["made up"]\n{more}',
        encoding="utf-8",
    )
    return file


def warnings(file: Path, check: str) -> list[str]:
    result = check_packs([file], settings=Settings(budget=None, jobs=1, min_score=None))
    assert result.exit_code == 0, [problem.message for problem in errors(result)]
    return [each.message for each in result.all_problems if each.check == check]


def test_borders_of_a_number_mean_nothing(tmp_path: Path) -> None:
    claims = 'examples = ["88112233"]\ncounterexamples = ["8811223"]\n'
    (said,) = warnings(pack(tmp_path, r"\b88[0-9]{6}\b", more=claims), "pattern")
    assert "asks for what stands beside the number" in said


def test_without_a_check_digit_several_lengths_are_greedy(tmp_path: Path) -> None:
    claims = 'examples = ["88112233"]\ncounterexamples = ["8811223"]\n'
    (said,) = warnings(pack(tmp_path, "88[0-9]{6,9}", more=claims), "neighbours")
    assert "digits behind it are taken for more of it" in said
    assert not warnings(pack(tmp_path, "88[0-9]{6}", more=claims), "neighbours")


def test_numbers_that_a_bundled_rule_for_the_same_finds_are_named(tmp_path: Path) -> None:
    claims = 'checksum = "luhn"\nexamples = ["5105105105105100"]\ncounterexamples = ["1"]\n'
    file = pack(tmp_path, "5[1-5][0-9]{14}", entity="PAYMENT_CARD", more=claims)
    (said,) = warnings(file, "examples")
    assert "masker's own payment-card finds" in said
    assert not warnings(pack(tmp_path, "5[1-5][0-9]{14}", more=claims), "examples")


def test_a_fault_of_ours_does_not_keep_other_rules_from_being_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a check that breaks")

    monkeypatch.setattr(explosion, "check_holds", broken)
    result = check_packs([HERE.parent / "rules" / "us.toml"], settings=QUICK)
    assert [rule.rule for rule in result.rules] == ["us-ssn", "us-itin"]
    assert all("masker's fault: RuntimeError" in error.message for error in errors(result))


def test_a_key_can_be_anything(tmp_path: Path) -> None:
    file = pack(tmp_path, "88[0-9]{6}", more='"a(b[" = 1\n')
    (error,) = errors(check_packs([file], settings=QUICK))
    assert error.check == "schema"


@pytest.mark.parametrize(
    "pattern",
    [
        "[0-9]{100000}",
        "(?:[0-9]{1000}){1000}",
        "(?:(?:(?:[0-9]{9}){9}){9}){9}",
        r"\p{Nd}{12}",
        "(?:[0-9]|X)+",
    ],
)
def test_a_pattern_of_any_size_is_answered(tmp_path: Path, pattern: str) -> None:
    claims = 'examples = ["881122334455"]\ncounterexamples = ["8811223"]\n'
    result = check_packs([pack(tmp_path, pattern, more=claims)], settings=QUICK)
    assert not [each for each in errors(result) if "masker's fault" in each.message]


def test_the_packs_in_the_docs_pass(tmp_path: Path) -> None:
    text = (HERE.parent / "docs" / "rule-format.md").read_text(encoding="utf-8")
    for number, block in enumerate(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)):
        (tmp_path / f"{number}.toml").write_text(block, encoding="utf-8")
    packs = sorted(tmp_path.iterdir())
    assert packs
    assert not errors(check_packs(packs, settings=QUICK))

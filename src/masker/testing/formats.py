"""Results for programs: JSON, JUnit XML, SARIF, and GitHub's annotations."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

from masker.testing.results import CHECKS, Problem, Result, RuleResult, Severity

_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def to_json(result: Result) -> str:
    """One object with everything that was found."""
    return json.dumps(
        {
            "passed": result.exit_code == 0,
            "seed": result.seed,
            "seconds": round(result.seconds, 3),
            "problems": [_problem(problem) for problem in result.problems],
            "rules": [_rule(rule) for rule in result.rules],
        },
        ensure_ascii=False,
        indent=2,
    )


def _rule(rule: RuleResult) -> dict[str, Any]:
    return {
        "rule": rule.rule,
        "pack": rule.pack,
        "source": rule.source,
        "passed": not rule.failed,
        "score": None if rule.score is None else round(rule.score, 1),
        "changes": rule.mutants,
        "noticed": rule.noticed,
        "chance": {kind: {"masked": hit, "texts": of} for kind, (hit, of) in rule.chance.items()},
        "checks": rule.done,
        "skipped": rule.skipped,
        "seconds": round(rule.seconds, 3),
        "problems": [_problem(problem) for problem in rule.problems],
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "check": problem.check,
        "severity": problem.severity.value,
        "source": problem.source,
        "line": problem.line,
        "rule": problem.rule,
        "key": problem.key,
        "message": problem.message,
        "case": problem.case,
        "paste": {"key": problem.paste, "line": problem.line_to_paste} if problem.paste else None,
        "advice": problem.advice,
    }


def told(problem: Problem) -> str:
    """A problem as plain text: what is wrong, the case, what to do."""
    lines = [problem.message]
    if problem.case is not None:
        lines.append(
            f"paste into {problem.paste}: {problem.line_to_paste}" if problem.paste
            else f"with: {problem.line_to_paste[:-1]}"
        )  # fmt: skip
    if problem.advice:
        lines.append(problem.advice)
    return "\n".join(lines)


def to_junit(result: Result) -> str:
    """A test suite for each rule, a test case for each check."""
    root = ET.Element("testsuites", name="masker rules check", time=f"{result.seconds:.3f}")
    packs = RuleResult("packs", "packs", "", problems=result.problems)
    packs.done = {"schema": "read"}
    for rule in [packs, *result.rules]:
        names = [name for name in CHECKS if name in {**rule.done, **rule.skipped}
                 or any(problem.check == name for problem in rule.problems)]  # fmt: skip
        suite = ET.SubElement(
            root, "testsuite", name=rule.rule, tests=str(len(names)), time=f"{rule.seconds:.3f}",
            failures=str(sum(_fails(rule, name) for name in names)),
            skipped=str(sum(name not in rule.done and not _fails(rule, name) for name in names)),
        )  # fmt: skip
        for name in names:
            _junit_case(suite, rule, name)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _fails(rule: RuleResult, check: str) -> bool:
    return any(p.check == check and p.severity is Severity.ERROR for p in rule.problems)


def _junit_case(suite: ET.Element, rule: RuleResult, check: str) -> None:
    case = ET.SubElement(suite, "testcase", classname=rule.rule, name=check)
    mine = [problem for problem in rule.problems if problem.check == check]
    for problem in mine:
        text = _printable(told(problem))
        if problem.severity is Severity.ERROR:
            failure = ET.SubElement(case, "failure", message=_printable(problem.message))
            failure.text = f"{problem.source}:{problem.line}\n{text}"
        else:
            ET.SubElement(case, "system-out").text = text
    if not mine and check not in rule.done:
        ET.SubElement(case, "skipped", message=rule.skipped.get(check, ""))


def _printable(text: str) -> str:
    """Text that XML can hold; control characters as their codes."""
    return "".join(
        char if char in "\n\t" or char >= " " else f"\\x{ord(char):02x}" for char in text
    )  # fmt: skip


_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def to_sarif(result: Result) -> str:
    """SARIF 2.1.0, for code scanning."""
    results = [
        {
            "ruleId": problem.check,
            "level": _LEVELS[problem.severity],
            "message": {"text": f"{problem.rule or problem.source}: {told(problem)}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": problem.source.replace("\\", "/")},
                        "region": {"startLine": problem.line},
                    }
                }
            ],
        }
        for problem in result.all_problems
    ]
    driver = {
        "name": "masker rules check",
        "rules": [
            {"id": name, "shortDescription": {"text": text}} for name, text in CHECKS.items()
        ],
    }
    log = {
        "$schema": _SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    return json.dumps(log, ensure_ascii=False, indent=2)


_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def to_github(result: Result) -> str:
    """Workflow commands: GitHub shows each problem at its line of the pull request."""
    return "\n".join(
        f"::{_COMMANDS[problem.severity]} file={_property(problem.source)},line={problem.line},"
        f"title={_property(f'{problem.rule or problem.source}: {problem.check}')}"
        f"::{_data(told(problem))}"
        for problem in result.all_problems
    )


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


FORMATS: dict[str, Callable[[Result], str]] = {
    "json": to_json,
    "junit": to_junit,
    "sarif": to_sarif,
    "github": to_github,
}

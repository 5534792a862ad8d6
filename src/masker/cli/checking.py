"""`masker rules check`, `new` and `explain`: the report for people, and where files go."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from masker.cli.terminal import Page, notes
from masker.errors import RuleError, UnknownRuleError
from masker.packs import bundled_packs, load_packs
from masker.testing.check import Settings, check_packs
from masker.testing.explain import explain
from masker.testing.formats import FORMATS
from masker.testing.results import Problem, Result, RuleResult, Severity
from masker.testing.scaffold import scaffold

TEXT = "text"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
# More unnoticed changes of one rule than this are counted, not listed.
_MOST_WARNINGS = 5
_MARKS = {Severity.ERROR: "[red]✗[/]", Severity.WARNING: "[yellow]![/]", Severity.NOTE: "·"}


def check(
    paths: list[Path], rules: list[str], format_: str, settings: Settings, out: TextIO
) -> int:
    """Check packs and print the result; the exit code."""
    with Progress(
        TextColumn("checking"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rule]}"),
        console=notes, transient=True, disable=not notes.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task("checking", total=_count(paths, rules), rule="")

        def done(rule: RuleResult) -> None:
            bar.update(task, advance=1, rule=rule.rule)

        result = check_packs(paths, rules=rules, settings=settings, progress=done)
    if format_ == TEXT:
        write_report(result, out)
    else:
        out.write(FORMATS[format_](result) + "\n")
    out.flush()
    return result.exit_code


def _count(paths: list[Path], rules: list[str]) -> int | None:
    """How many rules there will be, where that is easy to know."""
    if rules:
        return len(rules)
    try:
        packs = [pack for path in paths for pack in load_packs(path)] if paths else bundled_packs()
    except RuleError:
        return None
    return sum(len(pack.rules) for pack in packs)


def write_report(result: Result, out: TextIO) -> None:
    """The report for a terminal, or a log."""
    console = Page(file=out, highlight=False, soft_wrap=True)
    for problem in result.problems:
        console.print(f"{_MARKS[problem.severity]} [bold]{escape(problem.source)}[/]")
        _write_problem(console, problem)
    for rule in result.rules:
        _write_rule(console, rule)
    failed = sum(rule.failed for rule in result.rules)
    kept = len(result.rules) - failed
    said = [f"{kept} of {len(result.rules)} rules keep their claims"]
    if result.unreadable:
        said.append("a pack could not be read")
    skipped = sum(bool(rule.skipped) for rule in result.rules if not rule.failed)
    if skipped:
        said.append(f"{skipped} not checked to the end")
    colour = "green" if result.exit_code == 0 else "red"
    console.print(f"[{colour}]{'; '.join(said)}[/] [dim](seed {result.seed})[/]")


def _write_rule(console: Console, rule: RuleResult) -> None:
    mark = _MARKS[Severity.ERROR] if rule.failed else "[green]✓[/]"
    score = "" if rule.score is None else f"  mutation {rule.score:.0f} %"
    hits = sum(hit for hit, _ in rule.chance.values())
    tried = sum(of for _, of in rule.chance.values())
    chance = f"  by chance {hits} of {tried:,}" if tried else ""
    console.print(f"{mark} [bold]{rule.rule}[/]  [dim]{escape(rule.source)}[/]{score}{chance}")
    warnings = 0
    for problem in sorted(rule.problems, key=lambda each: list(Severity).index(each.severity)):
        warnings += problem.severity is Severity.WARNING
        if problem.severity is Severity.WARNING and warnings > _MOST_WARNINGS:
            continue
        _write_problem(console, problem)
    if warnings > _MOST_WARNINGS:
        console.print(f"    … and {warnings - _MOST_WARNINGS} more (--format json has all)")
    for name, reason in rule.skipped.items() if not rule.failed else ():
        console.print(f"    [dim]{name}: {escape(reason)}[/]")


def _write_problem(console: Console, problem: Problem) -> None:
    place = f"line {problem.line}, " if problem.line > 1 else ""
    console.print(
        f"    {_MARKS[problem.severity]} {place}{problem.check}: {escape(problem.message)}"
    )
    if problem.case is not None:
        lead = f"paste into {problem.paste}" if problem.paste else "with"
        line = problem.line_to_paste if problem.paste else problem.line_to_paste[:-1]
        console.print(f"        {lead}:  [bold]{escape(line)}[/]")
    if problem.advice:
        console.print(f"        [dim]{escape(problem.advice)}[/]")


def explain_text(path: Path | None, rule_id: str, texts: list[str], out: TextIO) -> None:
    """Tell, step by step, what one rule makes of a text, or of a number over several messages.

    Raises:
        RuleError: the packs cannot be used.
        UnknownRuleError: no rule has this id.
    """
    packs = load_packs(path) if path is not None else bundled_packs()
    rules = {rule.id: rule for pack in packs for rule in pack.rules}
    if rule_id not in rules:
        raise UnknownRuleError(name=rule_id, known=tuple(rules))
    rule = rules[rule_id]
    console = Page(file=out, highlight=False, soft_wrap=True)
    if not texts:
        _write_claims(console, rule_id, rule.description, dict(rule))
        return
    for number, step in enumerate(explain(rule, texts).steps, 1):
        console.print(f"[bold]{number}. {step.title}[/]")
        for line in step.lines:
            console.print(f"   {escape(line)}")


def _write_claims(
    console: Console, rule_id: str, description: str, keys: dict[str, object]
) -> None:
    console.print(f"[bold]{rule_id}[/]  {escape(description)}")
    for key in ("pattern", "checksum", "keep_last", "context", "anti_context", "context_required",
                "context_pattern", "keywords", "references"):  # fmt: skip
        value = keys[key]
        if value not in ("", None, (), False):
            shown = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value).strip()
            console.print(f"[dim]{key}[/]  {escape(shown)}")
    console.print("\nGive a text to see what this rule makes of it.")


def new_pack(rule_id: str, file: Path | None) -> None:
    """Write a new pack, to a file that does not exist yet, or to standard output.

    Raises:
        RuleError: the id is none, or the file cannot be written.
    """
    if not _NAME.fullmatch(rule_id):
        raise RuleError(
            source="masker rules new", rule=None, key="id",
            reason="must be lower-case words joined by -",
        )  # fmt: skip
    if file is None:
        sys.stdout.write(scaffold(rule_id, f"{rule_id}.toml"))
        return
    if file.is_dir():
        file = file / f"{rule_id}.toml"
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(scaffold(rule_id, str(file)))
    except OSError as error:
        reason = (error.strerror or "cannot be written").lower()
        raise RuleError(source=str(file), rule=None, key=None, reason=reason) from None
    notes.print(f"masker: wrote {file}; now masker rules check {file}")

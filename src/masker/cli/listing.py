"""`masker rules list`: the rules, as a table for people, as lines or JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

import msgspec
from rich import box
from rich.table import Table

from masker.cli.terminal import Page
from masker.core.rules import Pack, Rule

_COLUMNS = ("rule", "entity", "pack", "default", "check", "keeps", "description")


def write_table(packs: Sequence[Pack], out: TextIO) -> None:
    """For a terminal: what fits beside a description."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("rule", "pack", "default", "keeps"):
        table.add_column(name, no_wrap=True)
    table.add_column("description", overflow="fold")
    for pack in packs:
        for rule in pack.rules:
            style = "" if pack.default else "dim"
            table.add_row(
                rule.id, pack.name, _default(pack), _keeps(rule), rule.description, style=style
            )
    console = Page(file=out, highlight=False, markup=False)
    console.print(table)
    console.print("default: part of Masker() and of every command without --rule", style="dim")


def write_lines(packs: Sequence[Pack], out: TextIO) -> None:
    """For a pipe: a heading, then a rule a line, columns separated by tabs."""
    out.write("\t".join(_COLUMNS) + "\n")
    for pack in packs:
        for rule in pack.rules:
            out.write("\t".join(" ".join(cell.split()) for cell in _cells(pack, rule)) + "\n")


def write_json(packs: Sequence[Pack], out: TextIO) -> None:
    """For programs: everything a rule says."""
    rules: list[dict[str, Any]] = [
        {"pack": pack.name, "default": pack.default, **rule.model_dump(mode="json")}
        for pack in packs
        for rule in pack.rules
    ]
    out.write(msgspec.json.format(msgspec.json.encode(rules)).decode() + "\n")


def _cells(pack: Pack, rule: Rule) -> tuple[str, ...]:
    check = rule.checksum or "-"
    return rule.id, rule.entity, pack.name, _default(pack), check, _keeps(rule), rule.description


def _default(pack: Pack) -> str:
    return "on" if pack.default else "off"


def _keeps(rule: Rule) -> str:
    return f"last {rule.keep_last}" if rule.keep_last else "none"

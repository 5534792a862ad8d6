"""What a scan found, for an auditor: counts by rule, channel, file and month; never content.

All numbers are added up from the findings on disk, one after the other. A digest (HMAC-SHA256
under the key that was given, 128 bits of it) lets the same number be recognised in several files;
without a key there is none, since digests of numbers without a key can be undone by trying all
numbers.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import msgspec

from masker.archive.passes import findings_with_places
from masker.archive.records import ArchiveError
from masker.archive.scan import Summary
from masker.archive.writing import written_atomically

KINDS = ("html", "json", "csv", "sarif")
# Beyond so many different numbers no more are listed one by one, and the report says so.
MAX_NUMBERS = 100_000
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


@dataclass
class Tally:
    """The findings of a scan, added up."""

    numbers: int = 0
    by: dict[str, Counter[str]] = field(default_factory=dict)
    cells: Counter[tuple[str, str, str, str, str, str]] = field(default_factory=Counter)
    digests: dict[str, tuple[str, Counter[str]]] = field(default_factory=dict)
    unlisted: bool = False


DIMENSIONS = ("rule", "channel", "file", "month", "cut", "sure")
# The surest first.
SURE = {
    1.0: "check digit and words",
    0.9: "check digit",
    0.8: "text after a word",
    0.75: "shape or words",
    0.5: "begun, never finished",
}
CUTS = (
    "whole", "over lines", *(f"over {count} messages" for count in range(2, 10)),
    "over 10 messages or more",
)  # fmt: skip


def tally(summary: Summary) -> Tally:
    """Add up what was found; call it while the scan's findings are there."""
    result = Tally(by={name: Counter() for name in DIMENSIONS})
    assert summary.findings is not None
    names = {source.number: source.name for source in summary.sources}
    for source, _, found in findings_with_places(summary.findings):
        if not found.messages:
            continue
        values = (
            found.rule,
            found.channel or "(none)",
            names[source],
            found.month or "(no time)",
            _cut(found.messages, lines=found.lines),
            SURE.get(found.score, f"{found.score:g}"),
        )
        result.numbers += 1
        result.cells[values] += 1
        for name, value in zip(DIMENSIONS, values, strict=True):
            result.by[name][value] += 1
        if found.digest:
            known = result.digests.get(found.digest)
            if known is None and len(result.digests) >= MAX_NUMBERS:
                result.unlisted = True
                continue
            if known is None:
                known = result.digests[found.digest] = (found.rule, Counter())
            known[1][names[source]] += 1
    return result


def _cut(messages: int, *, lines: bool) -> str:
    if messages == 1:
        return "over lines" if lines else "whole"
    return f"over {messages} messages" if messages < 10 else "over 10 messages or more"


def kind_of(path: Path) -> str:
    """Which report a file name asks for.

    Raises:
        ArchiveError: its ending is that of none.
    """
    kind = path.suffix.casefold().lstrip(".")
    if kind not in KINDS:
        raise ArchiveError(f"--report {path.name}: the name ends in none of {', '.join(KINDS)}")
    return kind


def write(path: Path, summary: Summary, counted: Tally) -> None:
    """Write one report, of the kind its name says."""
    from masker.archive.report_page import page

    path.parent.mkdir(parents=True, exist_ok=True)
    with written_atomically(path) as sink:
        out = io.TextIOWrapper(sink, encoding="utf-8", newline="")
        kind = kind_of(path)
        if kind == "json":
            out.write(_pretty(as_json(summary, counted)))
        elif kind == "csv":
            rows = csv.writer(out)
            rows.writerow([*DIMENSIONS, "numbers"])
            rows.writerows([*cell, count] for cell, count in sorted(counted.cells.items()))
        elif kind == "sarif":
            _write_sarif(out, summary)
        else:
            out.write(page(summary, counted))
        # The file under it is closed by who opened it.
        out.detach()


def as_json(summary: Summary, counted: Tally) -> dict[str, Any]:
    """The report as data."""
    return {
        "files": summary.files,
        "changed": summary.changed,
        "copied": summary.copied,
        "failed": summary.failed,
        "failures": summary.failures,
        "dry_run": summary.dry_run,
        "rules": list(summary.rules),
        "version": version("masker"),
        "complaints": summary.complaints,
        "texts": summary.texts,
        "unreadable": summary.unreadable,
        "numbers": counted.numbers,
        **{f"by_{name}": dict(sorted(counted.by[name].items())) for name in DIMENSIONS},
        "cells": [
            {**dict(zip(DIMENSIONS, cell, strict=True)), "numbers": count}
            for cell, count in sorted(counted.cells.items())
        ],
        "digests": [
            {
                "digest": digest,
                "rule": rule,
                "numbers": sum(files.values()),
                "files": dict(sorted(files.items())),
            }
            for digest, (rule, files) in sorted(counted.digests.items())
        ],
        "digests_complete": not counted.unlisted,
    }


def _pretty(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode() + "\n"


def _write_sarif(out: TextIO, summary: Summary) -> None:
    """SARIF 2.1.0: one result a finding, written as they are read."""
    sources = {source.number: source for source in summary.sources}
    assert summary.findings is not None
    rules = sorted({found.rule for _, _, found in findings_with_places(summary.findings)})
    head = {
        "tool": {
            "driver": {
                "name": "masker",
                "rules": [{"id": rule, "shortDescription": {"text": rule}} for rule in rules],
            }
        },
        "columnKind": "unicodeCodePoints",
    }
    start = msgspec.json.encode(head).decode()
    out.write(f'{{"$schema":"{_SARIF}","version":"2.1.0","runs":[{start[:-1]},"results":[')
    first = True
    for number, place, found in findings_with_places(summary.findings):
        source = sources[number]
        region = (
            {"startLine": place + 1}
            if source.format == "parquet"
            else {"byteOffset": place, "byteLength": 0}
        )
        result: dict[str, Any] = {
            "ruleId": found.rule,
            "level": "error",
            "message": {
                "text": f"{found.rule}, score {found.score:g}, "
                f"characters {found.low} to {found.high} of the text"
            },
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": Path(source.name).as_posix()},
                        "region": region,
                    }
                }
            ],
        }
        if found.digest:
            result["partialFingerprints"] = {"number/hmac-sha256": found.digest}
        out.write(("" if first else ",\n") + msgspec.json.encode(result).decode())
        first = False
    out.write("]}]}\n")

"""What a scan found, for an auditor, as a file: HTML, JSON, CSV or SARIF; never content."""

from __future__ import annotations

import csv
import io
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

import msgspec

from masker.archive.passes import findings_with_places
from masker.archive.records import ArchiveError
from masker.archive.report_page import page
from masker.archive.scan import Summary
from masker.archive.tally import DIMENSIONS, Tally
from masker.archive.writing import written_atomically

KINDS = ("html", "json", "csv", "sarif")
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


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
                        "artifactLocation": {"uri": quote(Path(source.name).as_posix())},
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

"""README and docs say what is so: their code runs, and prints what they say it prints.

A ```python block runs; a ```text block after it is what it prints. A ```console block is a shell
session. A ```toml block is a rule pack. Blocks of one file share their names, top to bottom.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from masker import Masker
from masker.core.rules import parse_pack

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
# Shown to be read: make itself runs the one, test_rules_ci what the other is copied from.
UNTESTED = {"sh", "yaml"}


@dataclass(frozen=True)
class Block:
    """A fenced block, and the first line of it in its page."""

    language: str
    source: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(match[1], match[2], text.count("\n", 0, match.start()) + 2)
        for match in BLOCK.finditer(text)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_of_a_kind_that_is_run(page: Path) -> None:
    kinds = {block.language for block in blocks(page)}
    assert kinds <= {"python", "text", "console", "toml"} | UNTESTED
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(blocks(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_prints_what_the_page_says(page: Path) -> None:
    names: dict[str, Any] = {}
    printed: str | None = None
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.language == "python":
            assert not printed, f"{where}: what the block before prints is not shown"
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile("\n" * (block.line - 1) + block.source, str(page), "exec"), names)  # noqa: S102
            printed = out.getvalue()
        elif block.language == "text":
            assert printed == block.source, where
            printed = None
    assert not printed, f"{page.name}: what the last block prints is not shown"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_shell_sessions_print_what_the_page_says(page: Path, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "rules").symlink_to(ROOT / "rules")
    # The `masker` of this interpreter, whether or not its script is on PATH.
    command = tmp_path / "bin" / "masker"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m masker "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"}
    for block in blocks(page):
        if block.language != "console":
            continue
        for session in re.split(r"^\$ ", block.source, flags=re.MULTILINE)[1:]:
            line, expected = session.split("\n", 1)
            shell = ["sh", "-c", line]
            done = subprocess.run(
                shell, cwd=tmp_path, env=environment, capture_output=True, check=False
            )
            assert done.stdout.decode() == expected, f"{page.name}: $ {line}"
            assert done.stderr == b"", f"{page.name}: $ {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_rule_packs_keep_their_claims(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language != "toml":
            continue
        pack = parse_pack(block.source, source=f"{page.name}:{block.line}")
        file = tmp_path / f"{pack.name}.toml"
        file.write_text(block.source, encoding="utf-8")
        masker = Masker(rules_path=file)
        for rule in pack.rules:
            for example in rule.examples:
                assert _findings(masker, example), f"{rule.id}: an example is not found"
            for example in rule.counterexamples:
                assert not _findings(masker, example), f"{rule.id}: a counterexample is found"


def _findings(masker: Masker, example: str | tuple[str, ...]) -> int:
    # A list is one number over several messages; lines of one message are joined the same way.
    text = example if isinstance(example, str) else "\n".join(example)
    return len(masker.mask(text).findings)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_check_is_named_in_the_rule_format() -> None:
    from masker.core.checks import CHECKS

    text = (ROOT / "docs" / "rule-format.md").read_text(encoding="utf-8")
    named = text.split("The checks are ")[1].split("\n\n")[0]
    assert set(re.findall(r"`([\w-]+)`", named)) == set(CHECKS)


def test_every_test_that_the_threat_model_names_exists() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", text))
    there = {
        name
        for path in (ROOT / "tests").glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert named
    assert named <= there

"""`pytest --masker-rules`: one test a rule and promise, from packs alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
GOOD = HERE.parent / "rules" / "jp.toml"
WRONG = HERE / "rules_wrong" / "border-beside-hanzi.toml"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "-v", *arguments],
        cwd=folder, check=False, capture_output=True, text=True, timeout=240,
    )  # fmt: skip


def test_each_promise_of_each_rule_is_a_test(tmp_path: Path) -> None:
    done = run(tmp_path, "--masker-rules", str(GOOD))
    assert done.returncode == 0, done.stdout
    for name in ("examples", "counterexamples", "check-digit", "cuts", "chance", "never-shown",
                 "nothing-lost", "same-shape", "any-cut", "deterministic", "bounded",
                 "fails-closed", "idempotent"):  # fmt: skip
        assert f"::jp-my-number::{name} PASSED" in done.stdout


def test_a_failure_is_the_case_to_paste_and_no_traceback(tmp_path: Path) -> None:
    done = run(tmp_path, "--masker-rules", str(WRONG), "-k", "neighbours")
    assert done.returncode == 1
    assert "1 failed" in done.stdout
    assert 'paste into examples: "好emp-' in done.stdout
    assert "Traceback" not in done.stdout
    assert ".py:" not in done.stdout.split("FAILURES")[1]


def test_marks_and_names_choose_among_them(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text("def test_own(): pass\n")
    both = run(tmp_path, "--masker-rules", str(GOOD), "--collect-only", "-q")
    assert "test_own" in both.stdout
    assert "jp-my-number" in both.stdout
    marked = run(tmp_path, "--masker-rules", str(GOOD), "-m", "masker", "--collect-only", "-q")
    assert "test_own" not in marked.stdout
    assert "jp-my-number" in marked.stdout


def test_without_packs_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text("def test_own(): pass\n")
    done = run(tmp_path, "--strict-markers")
    assert done.returncode == 0
    assert "1 passed" in done.stdout


def test_packs_that_cannot_be_read_are_bad_usage(tmp_path: Path) -> None:
    done = run(tmp_path, "--masker-rules", str(HERE / "rules_broken" / "schema-unknown-key.toml"))
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "did you mean checksum?" in done.stdout + done.stderr


def test_the_fixture_is_a_masker_of_the_marks_packs(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "import pytest\n"
        f"@pytest.mark.masker({str(GOOD)!r})\n"
        "def test_marked(masker): assert [r.id for r in masker.rules] == ['jp-my-number']\n"
        "def test_plain(masker): assert len(masker.rules) > 20\n"
    )
    done = run(tmp_path, "--strict-markers")
    assert "2 passed" in done.stdout, done.stdout


def test_the_plugin_needs_no_hypothesis_to_be_loaded(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import masker.testing.plugin\n"
        "from masker.errors import MissingExtraError\n"
        "import masker.testing\n"
        "try: masker.testing.numbers\n"
        "except MissingExtraError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert "pip install 'masker[testing]'" in done.stdout

"""What users copy to check their rules in CI: its commands run, and say what they should."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "rules-ci"
PATIENCE = 240


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of the example, and nothing else of masker around it."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "rules-ci"))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The commands of this interpreter, whatever is on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, module in (("masker", "masker"), ("pytest", "pytest")):
        command = folder / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        command.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def run(script: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-c", script], cwd=folder, env=environment, check=False,
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip


def spoil(repository: Path) -> None:
    """An example that no number of the rule is in."""
    pack = repository / "rules" / "acme.toml"
    text = pack.read_text(encoding="utf-8")
    assert '"770000000016"' in text
    pack.write_text(text.replace('"770000000016"', '"770000000018"', 1), encoding="utf-8")


def action(repository: Path, environment: dict[str, str], **inputs: str) -> Any:
    """The action's own script, with the inputs GitHub would give it."""
    described = read(ROOT / "action.yml")
    defaults = {name: each["default"] for name, each in described["inputs"].items()}
    given = {**defaults, **{name.replace("_", "-"): value for name, value in inputs.items()}}
    (step,) = (each for each in described["runs"]["steps"] if each.get("name") == "check")
    variables = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: given[match[1]], value)
        for name, value in step["env"].items()
    }
    return run(step["run"], repository, {**environment, **variables})


def test_the_action_passes_the_example(repository: Path, environment: dict[str, str]) -> None:
    done = action(repository, environment, sarif="rules.sarif")
    assert done.returncode == 0, done.stderr
    assert '"version": "2.1.0"' in (repository / "rules.sarif").read_text()


def test_the_action_fails_and_shows_the_line(repository: Path, environment: dict[str, str]) -> None:
    spoil(repository)
    done = action(repository, environment)
    assert done.returncode == 1
    assert re.search(r"^::error file=rules/acme.toml,line=\d+,", done.stdout, re.MULTILINE)


def test_the_action_reads_no_input_as_a_command(
    repository: Path, environment: dict[str, str]
) -> None:
    done = action(repository, environment, path="rules/ $(touch pwned) `touch pwned`")
    assert done.returncode == 2
    assert not (repository / "pwned").exists()


def test_the_gitlab_job_runs(repository: Path, environment: dict[str, str]) -> None:
    job = read(EXAMPLE / ".gitlab-ci.yml")["rules"]
    done = run("\n".join([*job["script"], *job["after_script"]]), repository, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "<testsuites" in (repository / "rules.xml").read_text()
    # 17 checks and promises of the rule, and two conversations of the repository's own.
    assert re.search(r"19 passed", done.stdout)
    spoil(repository)
    assert run(job["script"][0], repository, environment).returncode == 1


def test_the_workflow_uses_inputs_that_the_action_has(
    repository: Path, environment: dict[str, str]
) -> None:
    steps = read(EXAMPLE / ".github" / "workflows" / "rules.yml")["jobs"]["check"]["steps"]
    inputs = read(ROOT / "action.yml")["inputs"]
    (used,) = (step for step in steps if "masker" in step.get("uses", ""))
    assert set(used["with"]) <= set(inputs)
    own = steps[-1]["run"].splitlines()[-1]
    assert run(own, repository, environment).returncode == 0


def test_the_hook_checks_the_files_that_changed(
    repository: Path, environment: dict[str, str]
) -> None:
    (hook,) = read(ROOT / ".pre-commit-hooks.yaml")
    (used,) = read(EXAMPLE / ".pre-commit-config.yaml")["repos"][0]["hooks"]
    assert hook["id"] == used["id"]
    changed = [str(path.relative_to(repository)) for path in repository.rglob("*.*")]
    (pack,) = (path for path in changed if re.search(hook["files"], path))
    assert run(f"{hook['entry']} {pack}", repository, environment).returncode == 0
    spoil(repository)
    assert run(f"{hook['entry']} {pack}", repository, environment).returncode == 1


@pytest.mark.parametrize("page", ["docs/ci.md"])
def test_the_yaml_in_the_docs_is_that_of_the_example(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    inputs = set(read(ROOT / "action.yml")["inputs"]) - {"python-version"}
    assert set(re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)) == inputs
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        parsed = yaml.safe_load(block)
        for step in parsed.get("steps", ()):
            assert set(step.get("with", ())) <= inputs
        for each in parsed.get("repos", ()):
            known = read(EXAMPLE / ".pre-commit-config.yaml")["repos"]
            assert each in known

"""What a wheel carries, and where the packs are found."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from masker.packs import bundled_packs

ROOT = Path(__file__).parent.parent
PACKS = sorted(path.name for path in (ROOT / "rules").glob("*.toml"))


@pytest.fixture(scope="module")
def unpacked_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by its backend alone (no network, no build environment), and unpacked."""
    pytest.importorskip("hatchling")
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(out / "site")
    return out / "site"


def test_the_packs_of_a_checkout_are_found() -> None:
    assert len(bundled_packs()) == len(PACKS)


def test_a_wheel_carries_the_packs_and_its_types(unpacked_wheel: Path) -> None:
    package = unpacked_wheel / "masker"
    assert sorted(path.name for path in (package / "rules").iterdir()) == PACKS
    assert (package / "py.typed").exists()
    assert {path.name for path in unpacked_wheel.iterdir()} == {
        "masker",
        f"masker-{_version()}.dist-info",
    }


def test_an_installed_wheel_masks(unpacked_wheel: Path, tmp_path: Path) -> None:
    script = (
        "import masker; from pathlib import Path;"
        "assert Path(masker.__file__).is_relative_to(Path(__import__('sys').argv[1]));"
        "print(masker.Masker().mask('card 4111 1111 1111 1111').text)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(unpacked_wheel)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked_wheel)},
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"card **** **** **** 1111\n"


def test_the_library_needs_nothing_of_the_command_line() -> None:
    script = (
        "import sys\n"
        "for name in ('typer', 'rich', 'msgspec', 'phonenumbers'): sys.modules[name] = None\n"
        "from masker import Masker; Masker().mask('4111111111111111')"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def _version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    version: str = project["project"]["version"]
    return version

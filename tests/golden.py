"""What `masker rules check` says of the packs that are broken, or wrong, on purpose.

`python tests/golden.py` writes it beside them; the tests compare.
"""

from __future__ import annotations

import io
from pathlib import Path

from masker.cli.checking import write_report
from masker.testing.check import Settings, check_packs
from masker.testing.results import Result

HERE = Path(__file__).parent
FOLDERS = {"rules_broken": 80.0, "rules_wrong": 95.0}
PACKS = [pack for folder in FOLDERS for pack in sorted((HERE / folder).glob("*.toml"))]


def checked(pack: Path) -> Result:
    settings = Settings(budget=None, jobs=1, min_score=FOLDERS[pack.parent.name])
    return check_packs([pack], settings=settings)


def report(result: Result, pack: Path) -> str:
    out = io.StringIO()
    write_report(result, out)
    return out.getvalue().replace(str(pack), pack.name)


def main() -> None:
    for pack in PACKS:
        pack.with_suffix(".txt").write_text(report(checked(pack), pack), encoding="utf-8")


if __name__ == "__main__":
    main()

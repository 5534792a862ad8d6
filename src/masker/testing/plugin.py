"""The pytest plugin: `pytest --masker-rules my-rules/` tests packs, a test a rule and promise.

Nothing here is imported before it is needed: pytest loads this wherever masker is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from masker.masker import Masker
    from masker.testing.results import Problem
    from masker.testing.subject import Subject

# A test of one promise has no other to share its time with.
_SCENES = 12


def pytest_addoption(parser: pytest.Parser) -> None:
    """Name the options."""
    group = parser.getgroup("masker")
    group.addoption(
        "--masker-rules",
        action="append",
        default=[],
        metavar="PATH",
        help="test the rule packs in this file or folder; may be given repeatedly",
    )
    group.addoption(
        "--masker-seed", type=int, default=0, metavar="N", help="where chance starts from"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark."""
    config.addinivalue_line(
        "markers",
        "masker(path): a test of masking; the fixture `masker` uses the packs at this path",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Put the tests of the packs behind those that were found; -k and -m choose among all."""
    for path in config.getoption("--masker-rules"):
        items += _tests(session, path, config.getoption("--masker-seed"))


@pytest.fixture
def masker(request: pytest.FixtureRequest) -> Masker:
    """A masker by the packs of the test's mark, of `--masker-rules`, or the bundled ones."""
    from masker.masker import Masker

    mark = request.node.get_closest_marker("masker")
    paths = [*(mark.args if mark else ()), *request.config.getoption("--masker-rules")]
    return Masker(rules_path=paths[0]) if paths else Masker()


def _tests(session: pytest.Session, path: str, seed: int) -> Iterator[pytest.Item]:
    from masker.errors import MaskerError
    from masker.packs import load_packs
    from masker.testing.subject import Subject

    place = Path(path)
    try:
        packs = load_packs(place)
    except MaskerError as error:
        raise pytest.UsageError(str(error)) from None
    files = sorted(place.glob("*.toml")) if place.is_dir() else [place]
    for file, pack in zip(files, packs, strict=True):
        text = file.read_text(encoding="utf-8-sig")
        for rule in pack.rules:
            subject = Subject(rule, pack.name, str(file), text, seed)
            for name, run in _runs(subject).items():
                yield RuleTest.from_parent(
                    session, name=f"{file}::{rule.id}::{name}", file=file, subject=subject, run=run
                )


def _runs(subject: Subject) -> dict[str, Callable[[], None]]:
    """Every test of one rule: what its author claims, each promise, and how it behaves."""
    from masker.testing import claims, explosion
    from masker.testing.chance import check_chance
    from masker.testing.everycut import check_cuts
    from masker.testing.generated import check_promises
    from masker.testing.neighbours import check_neighbours
    from masker.testing.promises import PROMISES
    from masker.testing.subject import Deadline

    def promise(name: str) -> Callable[[], None]:
        return lambda: check_promises(subject, Deadline(None), _SCENES, [name])

    return {
        "pattern": lambda: claims.check_pattern(subject),
        "examples": lambda: claims.check_examples(subject),
        "counterexamples": lambda: claims.check_counterexamples(subject),
        "check-digit": lambda: claims.check_digit(subject),
        **{name.replace(" ", "-"): promise(name) for name in PROMISES},
        "cuts": lambda: check_cuts(subject, Deadline(None)),
        "neighbours": lambda: check_neighbours(subject),
        "explosion": lambda: explosion.check_explosion(subject),
        "holds": lambda: explosion.check_holds(subject),
        "chance": lambda: check_chance(subject),
    }


class RuleFailure(Exception):  # noqa: N818 - a test's failure, not an error of the program
    """A rule does not keep a claim."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(problem.message for problem in problems))


class RuleTest(pytest.Item):
    """One check of one rule."""

    def __init__(
        self, *, file: Path, subject: Subject, run: Callable[[], None], **options: Any
    ) -> None:
        super().__init__(**options)
        self.path = file
        self._subject = subject
        self._run = run
        self.add_marker("masker")

    def runtest(self) -> None:
        """Make the check; what it finds is the failure."""
        from masker.testing.results import RuleResult, Severity

        subject = self._subject
        subject.result = RuleResult(subject.rule.id, subject.pack, subject.source)
        self._run()
        errors = [each for each in subject.result.problems if each.severity is Severity.ERROR]
        if errors:
            raise RuleFailure(errors)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Tell what is wrong, with the line to paste, and no traceback of masker's own."""
        if not isinstance(excinfo.value, RuleFailure):
            return super().repr_failure(excinfo, style)
        from masker.testing.formats import told

        return "\n\n".join(
            f"{problem.source}:{problem.line}: {problem.rule}: {problem.check}\n{told(problem)}"
            for problem in excinfo.value.problems
        )

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the rule stands."""
        from masker.testing.results import line_of

        line = line_of(self._subject.text, self._subject.rule.id, None)
        return self.path, line - 1, self.name

"""A rule under test, with what every check needs of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

from masker.core.rules import Example, Rule
from masker.core.ruleset import RuleSet
from masker.masker import Masker
from masker.testing.results import Problem, RuleResult, Severity, line_of
from masker.testing.sampling import Maker


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a check has to come to an end; never, where `at` is None."""

    at: float | None

    @classmethod
    def after(cls, seconds: float | None) -> Deadline:
        """So many seconds from now."""
        return cls(None if seconds is None else time.monotonic() + seconds)

    @property
    def is_over(self) -> bool:
        """Whether it has passed."""
        return self.at is not None and time.monotonic() >= self.at

    @property
    def left(self) -> float:
        """Seconds until then."""
        return float("inf") if self.at is None else max(0.0, self.at - time.monotonic())


@dataclass
class Subject:
    """One rule, alone in its set, and the file it stands in."""

    rule: Rule
    pack: str
    source: str
    """The file's name."""
    text: str
    """The file's text, for the lines that problems are on."""
    seed: int = 0

    def __post_init__(self) -> None:
        self.result = RuleResult(self.rule.id, self.pack, self.source)

    @cached_property
    def rules(self) -> RuleSet:
        """The rule, compiled."""
        return RuleSet([self.rule])

    @cached_property
    def masker(self) -> Masker:
        """A masker of this rule alone."""
        return Masker.of([self.rule])

    @cached_property
    def maker(self) -> Maker:
        """What makes its numbers."""
        return Maker(self.rule)

    def tell(
        self,
        check: str,
        message: str,
        *,
        key: str | None = None,
        case: Example | None = None,
        paste: str = "",
        advice: str = "",
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Note one problem."""
        self.result.problems.append(
            Problem(
                check=check,
                source=self.source,
                rule=self.rule.id,
                message=message,
                key=key,
                case=case,
                paste=paste,
                advice=advice,
                severity=severity,
                line=line_of(self.text, self.rule.id, key),
            )
        )

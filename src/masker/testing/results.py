"""What checking rules brings to light: problems, each with the smallest case that shows it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from masker.core.rules import Example


class Severity(StrEnum):
    """How much a problem matters: an error fails the check, the others do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


# Every check, in the order in which it is made and told, with what it asks.
CHECKS: dict[str, str] = {
    "schema": "the pack can be read, and every key is one that a pack or a rule may have",
    "pattern": "the pattern is over the bare number: digits and capital letters, nothing else",
    "examples": "every example is masked by this rule alone",
    "counterexamples": "no counterexample is masked by this rule alone",
    "check-digit": "the check digit is the right one, and a wrong one is left alone",
    "promises": "numbers made from the pattern are masked, however they are written and sent",
    "cuts": "a number cut into messages in every way is masked",
    "neighbours": "what stands beside a value is neither masked nor keeps it from being masked",
    "explosion": "no input makes the pattern slow",
    "holds": "it is known early that something is no number, so that nothing waits for ever",
    "chance": "what is no such number is hardly ever masked",
    "mutation": "examples and counterexamples notice small changes of the rule",
    "overlap": "no other rule in these packs takes this rule's numbers away",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a rule, or a pack.

    `case` is the smallest input that shows it: an example as it stands in a pack. It is printed,
    for it was made by masker or written by the rule's author; rule checks never read real messages.
    """

    check: str
    source: str
    rule: str | None
    message: str
    key: str | None = None
    case: Example | None = None
    paste: str = ""
    """The key whose list `case` belongs in, where pasting it is the way to go on."""
    advice: str = ""
    severity: Severity = Severity.ERROR
    line: int = 1

    @property
    def line_to_paste(self) -> str:
        """`case` as a line of TOML."""
        return f"{toml(self.case)}," if self.case is not None else ""


@dataclass(slots=True)
class RuleResult:
    """What came of one rule."""

    rule: str
    pack: str
    source: str
    problems: list[Problem] = field(default_factory=list)
    done: dict[str, str] = field(default_factory=dict)
    """Each check that was made, with how much was tried."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Each check that was not made, or not wholly, with the reason."""
    mutants: int = 0
    noticed: int = 0
    chance: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By kind of text: how many were masked by chance, of how many."""
    seconds: float = 0.0

    @property
    def score(self) -> float | None:
        """The mutation score in per cent; None where nothing was changed."""
        return 100.0 * self.noticed / self.mutants if self.mutants else None

    @property
    def failed(self) -> bool:
        """Whether any problem is an error."""
        return any(problem.severity is Severity.ERROR for problem in self.problems)


@dataclass(slots=True)
class Result:
    """What came of all of it."""

    rules: list[RuleResult] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    """Those of packs as a whole."""
    unreadable: bool = False
    seed: int = 0
    seconds: float = 0.0

    @property
    def all_problems(self) -> list[Problem]:
        """The problems of packs, then those of each rule."""
        return [*self.problems, *(each for rule in self.rules for each in rule.problems)]

    @property
    def failed(self) -> bool:
        """Whether any problem is an error."""
        return any(problem.severity is Severity.ERROR for problem in self.all_problems)

    @property
    def exit_code(self) -> int:
        """0 all rules keep their claims, 1 some do not, 2 a pack could not be read."""
        return 2 if self.unreadable else int(self.failed)


def toml(example: Example) -> str:
    r"""An example as TOML writes it; what cannot be seen is written as its code.

    >>> print(toml("4111\u200b1111"), toml(("4111", "1111")))
    "4111\u200B1111" ["4111", "1111"]
    """
    if not isinstance(example, str):
        return f"[{', '.join(toml(part) for part in example)}]"
    quoted = json.dumps(example, ensure_ascii=False)
    return "".join(
        _escaped(char) if unicodedata.category(char)[0] in "CZ" and char != " " else char
        for char in quoted
    )


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def line_of(text: str, rule: str | None, key: str | None) -> int:
    r"""The line of a pack on which a rule's key stands; where it has none, its id; else the first.

    >>> line_of('schema = 1\n[[rules]]\nid = "a-b"\npattern = "1"', "a-b", "pattern")
    4
    """
    lines = text.split("\n")
    start, end = 0, len(lines)
    if rule is not None:
        ids = [
            n
            for n, line in enumerate(lines)
            if re.match(rf"\s*id\s*=\s*[\"']{re.escape(rule)}[\"']", line)
        ]
        if not ids:
            return 1
        heads = [n for n, line in enumerate(lines) if line.strip() == "[[rules]]"]
        start = max([n for n in heads if n <= ids[0]], default=0)
        end = min([n for n in heads if n > ids[0]], default=len(lines))
    keyed = [
        n for n in range(start, end) if key and re.match(rf"\s*{re.escape(key)}\s*=", lines[n])
    ]
    if keyed:
        return keyed[0] + 1
    return ids[0] + 1 if rule is not None else 1


def texts_of(example: Example) -> Sequence[str]:
    """The messages of an example."""
    return (example,) if isinstance(example, str) else example

"""The findings of a scan, added up by rule, channel, file and month; never content.

A digest (HMAC-SHA256 under the key that was given, 128 bits of it) lets the same number be
recognised in several files; without a key there is none, since digests of numbers without a key
can be undone by trying all numbers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from masker.archive.passes import findings_with_places
from masker.archive.scan import Summary

# Beyond so many different numbers no more are listed one by one, and the report says so.
MAX_NUMBERS = 100_000


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

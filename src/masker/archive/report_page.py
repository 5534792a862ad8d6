"""The report as one HTML file: tables and charts, no script, nothing loaded from anywhere."""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from masker.archive.report import Tally
    from masker.archive.scan import Summary

_SHOWN = 24
_LISTED = 200
_BAR = 18
_WIDTH = 640
_LABEL = 240

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1c2430}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}
.facts{display:flex;flex-wrap:wrap;gap:.75rem;padding:0;list-style:none}
.facts li{border:1px solid #d5dbe3;border-radius:6px;padding:.5rem 1rem}
.facts b{display:block;font-size:1.4rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #e4e8ee}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:#1c2430}
rect{fill:#3b6fb6}.note{color:#5a6675}code{overflow-wrap:anywhere}
"""

_TITLES = {
    "rule": "By rule",
    "month": "By month",
    "channel": "By channel",
    "cut": "How numbers were cut",
    "sure": "How sure: what speaks for a number",
    "file": "By file",
}


def page(summary: Summary, counted: Tally) -> str:
    """The whole page."""
    facts = (
        ("numbers masked", counted.numbers),
        ("texts read", summary.texts),
        ("files", summary.files),
        ("files changed", summary.changed),
        ("lines that could not be read", summary.unreadable),
        ("files that could not be read or written", summary.failed),
    )
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>masker scan: report</title><style>{_STYLE}</style></head><body>",
        "<h1>What was found and masked</h1>",
        '<p class="note">Counts only: nothing that anybody wrote stands in this report.</p>',
        '<ul class="facts">',
        *(f"<li><b>{value:,}</b>{escape(name)}</li>" for name, value in facts),
        "</ul>",
    ]
    for name, title in _TITLES.items():
        parts += [f"<h2>{title}</h2>", _chart(counted.by[name], title, in_order=name == "month")]
    if counted.digests:
        parts += _digests(counted)
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _chart(counts: Counter[str], title: str, *, in_order: bool) -> str:
    if not counts:
        return "<p>Nothing.</p>"
    rows = sorted(counts.items()) if in_order else counts.most_common()
    shown = rows[-_SHOWN:] if in_order else rows[:_SHOWN]
    most = max(count for _, count in shown)
    step = _BAR + 6
    lines = [
        (
            f'<svg viewBox="0 0 {_WIDTH} {step * len(shown)}" width="{_WIDTH}" role="img" '
            f'aria-label="{escape(title)}">'
        )
    ]
    for place, (label, count) in enumerate(shown):
        top = place * step
        width = max(1, round((_WIDTH - _LABEL - 80) * count / most))
        short = label if len(label) <= 36 else f"…{label[-35:]}"
        lines.append(
            f'<text x="{_LABEL - 8}" y="{top + 14}" text-anchor="end">'
            f"<title>{escape(label)}</title>"
            f"{escape(short)}</text>"
            f'<rect x="{_LABEL}" y="{top}" width="{width}" height="{_BAR}" rx="2"/>'
            f'<text x="{_LABEL + width + 6}" y="{top + 14}">{count:,}</text>'
        )
    lines.append("</svg>")
    if len(rows) > len(shown):
        lines.append(f'<p class="note">{len(rows) - len(shown)} more are not drawn.</p>')
    return "".join(lines)


def _digests(counted: Tally) -> list[str]:
    rows = sorted(
        counted.digests.items(),
        key=lambda item: (-len(item[1][1]), -sum(item[1][1].values()), item[0]),
    )
    parts = [
        "<h2>Numbers, by keyed digest</h2>",
        '<p class="note">The same digest is the same number; without the key it tells nothing.</p>',
        "<table><tr><th>digest</th><th>rule</th>",
        '<th class="n">times</th><th class="n">files</th></tr>',
    ]
    parts += [
        f"<tr><td><code>{digest}</code></td><td>{escape(rule)}</td>"
        f'<td class="n">{sum(files.values()):,}</td><td class="n">{len(files):,}</td></tr>'
        for digest, (rule, files) in rows[:_LISTED]
    ]
    parts.append("</table>")
    if len(rows) > _LISTED or counted.unlisted:
        parts.append('<p class="note">The JSON report lists more.</p>')
    return parts

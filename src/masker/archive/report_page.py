"""The report as one HTML file: tables and charts, no script, nothing loaded from anywhere."""

from __future__ import annotations

from collections import Counter
from html import escape
from importlib.metadata import version

from masker.archive.scan import Summary
from masker.archive.tally import CUTS, SURE, Tally

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
rect{fill:#3b6fb6}.note{color:#5a6675;max-width:45rem}.told li{overflow-wrap:anywhere}
code{overflow-wrap:anywhere}
"""

_TITLES = {
    "rule": "By rule",
    "month": "By month",
    "channel": "By channel",
    "cut": "How numbers were cut",
    "sure": "How sure: what speaks for a number",
    "file": "By file",
}


# What the labels mean to somebody who did not write them.
_NOTES = {
    "rule": "Each time that a number was given counts once, under the rule that found it.",
    "month": "When a number was given, as the message says.",
    "cut": "Whole in one message, over the lines of one, or over several messages of one sender.",
    "sure": (
        "The surest first. A check digit, or a region and birth date, prove a number; words nearby "
        "call it one. What was begun and never finished stays masked where words or its prefix "
        "tell what it was. Shape or words: there is no check digit, or it fails, as where somebody "
        "mistyped."
    ),
}


def page(summary: Summary, counted: Tally) -> str:
    """The whole page."""
    found = "numbers found" if summary.dry_run else "numbers masked"
    changed = "files to be changed" if summary.dry_run else "files changed"
    facts = (
        (found, counted.numbers),
        ("texts read", summary.texts),
        ("files", summary.files),
        (changed, summary.changed),
        ("files without text, copied as they are", summary.copied),
        ("lines that could not be read, blanked", summary.unreadable),
        ("files that could not be read or written", summary.failed),
        ("texts blanked because something broke", summary.failures),
    )
    rules = ", ".join(summary.rules) or "all that are on by default"
    heading = "What was found (nothing was written)" if summary.dry_run else "What was masked"
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>masker scan: report</title><style>{_STYLE}</style></head><body>",
        f"<h1>{heading}</h1>",
        '<p class="note">Counts and names of files: nothing that anybody wrote is in here.</p>',
        f'<p class="note">masker {version("masker")}; rules: {escape(rules)}</p>',
        '<ul class="facts">',
        *(f"<li><b>{value:,}</b>{escape(name)}</li>" for name, value in facts),
        "</ul>",
        *_complaints(summary),
    ]
    orders = {"cut": list(CUTS), "sure": list(SURE.values())}
    for name, title in _TITLES.items():
        parts.append(f"<h2>{title}</h2>")
        if name in _NOTES:
            parts.append(f'<p class="note">{_NOTES[name]}</p>')
        order = sorted(counted.by[name]) if name == "month" else orders.get(name)
        parts.append(_chart(counted.by[name], title, order))
    if counted.digests:
        parts += _digests(counted)
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _complaints(summary: Summary) -> list[str]:
    """What needs somebody's attention, by name."""
    told = summary.complaints
    if not told:
        return []
    parts = ["<h2>What was not done</h2>", '<ul class="told">']
    parts += [f"<li>{escape(complaint)}</li>" for complaint in told[:_LISTED]]
    parts.append("</ul>")
    if len(told) > _LISTED:
        more = len(told) - _LISTED
        parts.append(f'<p class="note">{more:,} more are in the JSON report.</p>')
    return parts


def _chart(counts: Counter[str], title: str, order: list[str] | None) -> str:
    """Bars in the order that is told, the rest behind it; or the longest first."""
    if not counts:
        return "<p>Nothing.</p>"
    rows = counts.most_common()
    if order is not None:
        known = {label: place for place, label in enumerate(order)}
        rows.sort(key=lambda row: known.get(row[0], len(known)))
    shown = rows[-_SHOWN:] if title == _TITLES["month"] else rows[:_SHOWN]
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

"""`make demo`: every example through `masker run`, what was typed beside what is stored."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from leaks import FILL, Count, Key, Number, count, key_of
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

HERE = Path(__file__).parent
# Wide enough for two columns of chat, and for a log file that has no width of its own.
WIDTH = 100

Revisions = list[dict[str, Any]]


def run(path: Path) -> tuple[list[dict[str, Any]], Revisions]:
    """What is in a file, and what `masker run` makes of it, through a pipe."""
    lines = path.read_bytes()
    command = [sys.executable, "-m", "masker", "run"]
    done = subprocess.run(command, input=lines, stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in lines.splitlines()], [
        json.loads(line) for line in done.stdout.splitlines()
    ]


def show(
    console: Console, typed: list[dict[str, Any]], stored: Revisions, numbers: list[Number]
) -> None:
    """One table: a message a row, its revisions in the last column."""
    several = len({message["conversation_id"] for message in typed}) > 1
    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("time", style="dim", width=5)
    if several:
        table.add_column("chat", style="dim", no_wrap=True)
    table.add_column("who", style="dim", no_wrap=True)
    table.add_column("typed", ratio=1, overflow="fold")
    table.add_column("stored", ratio=1, overflow="fold")

    planted: dict[Key, set[int]] = {}
    for number in numbers:
        for key, offset, _ in number.places:
            planted.setdefault(key, set()).add(offset)
    revisions: dict[Key, Revisions] = {}
    for message in stored:
        revisions.setdefault(key_of(message), []).append(message)

    shown: set[Key] = set()
    for message in typed:
        key = key_of(message)
        cells: list[str | Text] = [_clock(message["timestamp"])]
        if several:
            cells.append(message["conversation_id"])
        cells += [message["sender"], _typed(message["text"], planted.get(key, set()))]
        again = key in shown
        cells.append(
            Text("(the same message once more)", "dim") if again else _stored(revisions[key])
        )
        shown.add(key)
        table.add_row(*cells)
    console.print(table)


def _clock(timestamp: str | float) -> str:
    if isinstance(timestamp, str):
        return datetime.fromisoformat(timestamp).strftime("%H:%M")
    return datetime.fromtimestamp(timestamp, UTC).strftime("%H:%M")


def _typed(text: str, planted: set[int]) -> Text:
    cell = Text()
    for offset, character in enumerate(text):
        cell.append(character, "bold cyan" if offset in planted else "")
    return cell


def _stored(revisions: Revisions) -> Text:
    """What a message was stored as, and what it became where that is another text.

    Stars that stay are red, those that are lifted later yellow.
    """
    cell = Text()
    final = revisions[-1]["text"]
    texts = {revision["text"]: revision["revision"] for revision in reversed(revisions)}
    for text, revision in reversed(texts.items()):
        if cell:
            cell.append("\n")
        if len(texts) > 1:
            cell.append(f"{revision} ", "dim")
        for offset, character in enumerate(text):
            stays = final[offset : offset + 1] == FILL
            cell.append(character, ("red" if stays else "yellow") if character == FILL else "")
    return cell


def summary(console: Console, numbers: list[Number], counts: list[Count], stored: Revisions) -> int:
    """What was found, held and leaked over all files; the leaked digits."""
    leaked_of: dict[str, int] = {}
    for each in counts:
        leaked_of |= each.leaked
    leaks = Counter[str]()
    for number in numbers:
        leaks[number.rule] += leaked_of[number.name]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("rule", "numbers planted", "digits to hide", "digits ever readable"):
        table.add_column(name, justify="left" if name == "rule" else "right")
    for rule in sorted({number.rule for number in numbers}):
        mine = [number for number in numbers if number.rule == rule]
        hide = sum(number.hidden for number in mine)
        style = "red" if leaks[rule] else ""
        table.add_row(rule, str(len(mine)), str(hide), str(leaks[rule]), style=style)
    console.rule("[bold]What was counted")
    console.print(table)
    messages = len({key_of(message) for message in stored})
    found = Counter(
        finding["rule"] for message in stored if message["final"] for finding in message["findings"]
    )
    rules = ", ".join(f"{rule} {times}" for rule, times in found.most_common())
    leaked = sum(leaks.values())
    changed = sum(each.changed for each in counts)
    lost = sum(each.lost for each in counts)
    returned = sum(each.returned for each in counts)
    for label, value in (
        ("messages, and revisions of them", f"{messages}, {len(stored)}"),
        ("findings in final messages, one a part", rules or "none"),
        ("messages held back at first that came back as typed or in part", returned),
        ("other characters that did not come back", changed),
        ("messages that did not become final exactly once", lost),
    ):
        console.print(f"{label}: [bold]{value}[/]")
    verdict = "green" if leaked == 0 else "red"
    console.print(f"digits that ever leaked, in any revision: [bold {verdict}]{leaked}[/]")
    return leaked + changed + lost


def main() -> int:
    """Show every example; 1 where a digit leaked, a message was lost or other text was changed."""
    console = Console(highlight=False)
    if not console.is_terminal or console.width > WIDTH:
        console = Console(highlight=False, width=WIDTH)
    console.print(
        "Typed: [bold cyan]digits[/] that are planted. Stored: [red]***[/] stays, "
        "[yellow]***[/] is held back and comes back;\n"
        "0, 1, ... are its revisions, where they differ.\n"
    )
    planted = json.loads((HERE / "planted.json").read_bytes())
    numbers: list[Number] = []
    counts: list[Count] = []
    everything: Revisions = []
    for name, file in planted.items():
        # Names are unique over all files once the file stands before them.
        here = [Number.read(f"{name}: {each}", number) for each, number in file["numbers"].items()]
        typed, stored = run(HERE / name)
        console.rule(f"[bold]{file['title']}", align="left")
        show(console, typed, stored, here)
        counts.append(count(typed, stored, here))
        numbers += here
        everything += stored
    return 1 if summary(console, numbers, counts, everything) else 0


if __name__ == "__main__":
    sys.exit(main())

"""`make demo`: every example through `masker run`, what was typed beside what is stored.

The chats go into an encrypted store in SQLite, in a temporary folder. At the end its files are
searched, byte by byte, for what was typed, one conversation is purged, and the receipt is checked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from leaks import FILL, Count, Key, Number, count, key_of
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

HERE = Path(__file__).parent
# Wide enough for two columns of chat, and for a log file that has no width of its own.
WIDTH = 100

# In the demo's folder.
STORE = "sqlite:///transcripts.db"
KEYS = "file:masker.keys"

Revisions = list[dict[str, Any]]


def masker(folder: Path, *arguments: str, data: bytes = b"") -> bytes:
    """What a command prints, with the store and the keys of the demo's folder."""
    command = [sys.executable, "-m", "masker", *arguments]
    done = subprocess.run(command, input=data, capture_output=True, check=False, cwd=folder)
    if done.returncode:
        sys.exit(done.stderr.decode())
    return done.stdout


def run(path: Path, folder: Path) -> tuple[list[dict[str, Any]], Revisions]:
    """What is in a file, and what `masker run` makes of it, through a pipe, into the store."""
    lines = path.read_bytes()
    stored = masker(folder, "run", "--store", STORE, "--keys", KEYS, data=lines)
    return [json.loads(line) for line in lines.splitlines()], [
        json.loads(line) for line in stored.splitlines()
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


def kept(console: Console, folder: Path, typed: Sequence[dict[str, Any]]) -> int:
    """What is in the files of the store, and after a purge; how much of it should not be."""
    console.rule("[bold]What is kept")
    stores = sorted(folder.glob("transcripts*"))
    texts = {message["text"].encode() for message in typed if len(message["text"]) > 3}
    seen = sum(text in path.read_bytes() for path in stores for text in texts)
    sizes = ", ".join(f"{path.name} {path.stat().st_size // 1024} KiB" for path in stores)
    console.print(f"encrypted, in SQLite: [bold]{sizes}[/]")
    console.print(f"messages as typed that a search of their bytes finds: [bold]{seen}[/]")
    conversation = typed[0]["conversation_id"]
    where = ("--store", STORE, "--keys", KEYS)
    before = masker(folder, "transcript", conversation, *where).splitlines()
    receipt = masker(folder, "purge", "--conversation", conversation, "--yes", *where)
    (folder / "receipt.json").write_bytes(receipt)
    masker(folder, "receipt", "verify", "receipt.json")
    said = json.loads(receipt)
    after = masker(folder, "verify", *where)
    console.print(
        f"{conversation}: {len(before)} messages read back, then purged: receipt "
        f"{said['number']} [bold]{said['status']}[/], {said['keys']} keys destroyed, "
        "signature holds"
    )
    console.print(f"every record that is left, checked: {after.decode().strip() or 'whole'}")
    return seen + int(said["messages"] != len(before))


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
    sent: list[dict[str, Any]] = []
    with TemporaryDirectory(prefix="masker-demo-") as temporary:
        folder = Path(temporary)
        masker(folder, "keys", "init", "--keys", KEYS)
        for name, file in planted.items():
            # Names are unique over all files once the file stands before them.
            here = [Number.read(f"{name}: {each}", one) for each, one in file["numbers"].items()]
            typed, stored = run(HERE / name, folder)
            console.rule(f"[bold]{file['title']}", align="left")
            show(console, typed, stored, here)
            counts.append(count(typed, stored, here))
            numbers += here
            everything += stored
            sent += typed
        wrong = kept(console, folder, sent)
    wrong += summary(console, numbers, counts, everything)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

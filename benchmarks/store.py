"""What keeping transcripts sealed costs, beside the same inserts into plain SQLite, in one run.

Both write to files of their own in one folder, both with a write-ahead log and every commit synced.
Two times are told: by the clock, which is mostly the disk's where it is slow or others use it, and
the processor's of this process. Rounds alternate, medians are told.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from masker import Finding, MaskedMessage
from masker.stores import open_store
from masker.stores.keyring import Want
from masker.stores.sealed import SealedStore
from masker.vault.keyfile import make_key_file

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
TEXTS = (
    "您好，我的卡号是 **** **** **** 1111，麻烦帮我查一下上个月的账单",
    "Hello, I ordered two pairs of shoes last week and only one of them came, what now?",
    "ok",
    "my card is ****-****-****-1111, please put the money back on it as you said last week",
    "谢谢，那我再等两天，如果还没有到我再来找你们",
)
FOUND = (Finding("payment-card", "PAYMENT_CARD", 11, 30, 1.0),)
BATCH = 100
SPREADS = (1, 10, 100)
PLAIN = (
    "CREATE TABLE message (conversation TEXT, id TEXT, sender TEXT, text TEXT, timestamp TEXT,"
    " channel TEXT, subject TEXT, extra TEXT, revision INTEGER, final INTEGER, findings TEXT,"
    " PRIMARY KEY (conversation, id))"
)
UPSERT = (
    "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " text = excluded.text, revision = excluded.revision, final = excluded.final,"
    " findings = excluded.findings WHERE excluded.revision > revision"
)


def message(number: int, conversation: str, revision: int = 0) -> MaskedMessage:
    text = TEXTS[number % len(TEXTS)]
    at = NOON + timedelta(seconds=number)
    return MaskedMessage(
        conversation, f"m{number}", "user", text, at, "app", "u-" + conversation, {}, revision,
        bool(revision) or number % 5 != 0, FOUND if "*" in text else (),
    )  # fmt: skip


def batches(count: int, spread: int, name: str) -> list[list[MaskedMessage]]:
    """Batches of 100 messages, each over so many conversations, which are 200 messages long."""
    return [
        [message(start + n, f"{name}-{start // (200 * spread)}-{n % spread}") for n in range(BATCH)]
        for start in range(0, count, BATCH)
    ]


class Plain:
    """The same, unencrypted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()
        self._connection.execute(PLAIN)

    def save_all(self, messages: Iterable[MaskedMessage]) -> None:
        rows = [
            (
                each.conversation_id, each.message_id, each.sender, each.text,
                each.timestamp and each.timestamp.isoformat(), each.channel, each.subject,
                json.dumps(dict(each.extra)), each.revision, each.final,
                json.dumps([(f.rule, f.entity, f.start, f.end, f.score) for f in each.findings]),
            )
            for each in messages
        ]  # fmt: skip
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(UPSERT, rows)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


@dataclass
class Took:
    """Seconds of the clock, and of the processor."""

    clock: float
    processor: float


def took(act: Callable[[], object]) -> Took:
    clock, processor = time.perf_counter(), time.process_time()
    act()
    return Took(time.perf_counter() - clock, time.process_time() - processor)


def each(save: Callable[[Any], object], things: Sequence[Any]) -> Callable[[], None]:
    def act() -> None:
        for thing in things:
            save(thing)

    return act


class Bench:
    def __init__(self, folder: Path, *, messages: int, rounds: int) -> None:
        self.folder = folder
        self.messages = messages
        self.rounds = rounds
        self.figures: dict[str, Any] = {}
        make_key_file(folder / "keys")

    def store(self, name: str) -> SealedStore:
        path = self.folder / f"{name}.db"
        return open_store(f"sqlite:///{path}", f"file:{self.folder / 'keys'}")

    def tell(self, name: str, **figures: float | str) -> None:
        self.figures[name] = figures
        said = ", ".join(
            f"{what} {value:,.2f}" if isinstance(value, float) else f"{what} {value}"
            for what, value in figures.items()
        )
        print(f"{name}: {said}", flush=True)

    def all(self) -> None:
        self.tell("one fdatasync", microseconds=self._sync())
        for spread in SPREADS:
            self._append(spread)
        self._one_by_one()
        self._revise()
        self._read()
        self._purge()
        self._rotate()

    def _sync(self) -> float:
        handle = os.open(self.folder / "sync", os.O_CREAT | os.O_RDWR)
        times = []
        for _ in range(200):
            os.pwrite(handle, os.urandom(4096), 0)
            start = time.perf_counter()
            os.fdatasync(handle)
            times.append(time.perf_counter() - start)
        os.close(handle)
        return median(times) * 1e6

    def _append(self, spread: int) -> None:
        plain, store = Plain(self.folder / f"plain{spread}.db"), self.store(f"store{spread}")
        times: dict[str, list[Took]] = {"plain": [], "store": []}
        for turn in range(self.rounds):
            given = batches(self.messages, spread, f"r{turn}")
            times["plain"].append(took(each(plain.save_all, given)))
            times["store"].append(took(each(store.save_all, given)))
        store.close()
        plain.close()
        clock = {name: median(t.clock for t in found) for name, found in times.items()}
        processor = {name: median(t.processor for t in found) for name, found in times.items()}
        sizes = {
            name: sum(path.stat().st_size for path in self.folder.glob(f"{name}{spread}.*"))
            for name in ("plain", "store")
        }
        total = self.messages * self.rounds
        self.tell(
            f"batches of {BATCH} over {spread} conversations",
            **{
                "messages/s": self.messages / clock["store"],
                "messages/s of processor time": self.messages / processor["store"],
                "times plain SQLite": clock["store"] / clock["plain"],
                "times its processor time": processor["store"] / processor["plain"],
                "bytes a message": sizes["store"] / total,
                "bytes a message, plain": sizes["plain"] / total,
            },
        )

    def _one_by_one(self) -> None:
        plain, store = Plain(self.folder / "plain-one.db"), self.store("one")
        given = [message(n, f"c{n % 50}") for n in range(2000)]
        plainly = took(each(lambda m: plain.save_all([m]), given))
        sealed = took(each(store.save, given))
        self.tell(
            "one by one",
            **{
                "messages/s": len(given) / sealed.clock,
                "messages/s of processor time": len(given) / sealed.processor,
                "times plain SQLite": sealed.clock / plainly.clock,
            },
        )
        store.close()
        plain.close()

    def _revise(self) -> None:
        store = self.store("revise")
        for batch in batches(20_000, 10, "c"):
            store.save_all(batch)
        held = [m for batch in batches(20_000, 10, "c") for m in batch]
        revised = [message(n, m.conversation_id, 1) for n, m in enumerate(held)
                   if m.message_id == f"m{n}"]  # fmt: skip
        single = took(each(store.save, revised[:500]))
        together = [revised[start : start + BATCH] for start in range(1000, 6000, BATCH)]
        batched = took(each(store.save_all, together))
        self.tell(
            "revise",
            **{
                "messages/s one by one": 500 / single.clock,
                "messages/s in batches of 100": 5000 / batched.clock,
                "of processor time": 5000 / batched.processor,
            },
        )
        store.close()

    def _read(self) -> None:
        store = self.store("read")
        for start in range(0, 1000, BATCH):
            store.save_all([message(start + n, "long") for n in range(BATCH)])
        times = [took(lambda: store.transcript("long")) for _ in range(50)]
        self.tell(
            "read 1,000",
            milliseconds=median(t.clock for t in times) * 1e3,
            processor=median(t.processor for t in times) * 1e3,
        )
        store.close()

    def _purge(self) -> None:
        store = self.store("store10")
        for number in range(200):
            store.save_all([message(n, f"gone{number}") for n in range(50)])
        times = [
            took(lambda number=number: store.purge(conversation_id=f"gone{number}"))  # type: ignore[misc]
            for number in range(200)
        ]
        clock = quantiles([t.clock for t in times], n=20)
        self.tell(
            f"purge one of {self.messages * self.rounds:,} messages' conversations",
            **{
                "milliseconds, median": clock[9] * 1e3,
                "p95": clock[18] * 1e3,
                "processor": median(t.processor for t in times) * 1e3,
            },
        )
        store.close()

    def _rotate(self) -> None:
        store = self.store("rotate")
        with store._use() as shelf:
            for start in range(0, 100_000, 10_000):
                with shelf.keys.transaction():
                    shelf.ring.provide(
                        [
                            Want(n.to_bytes(16, "big"), n.to_bytes(16, "big"), 0)
                            for n in range(start, start + 10_000)
                        ]
                    )
        times = took(store.rotate)
        self.tell("rotate 100,000 wraps", seconds=times.clock, processor=times.processor)
        store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; else a temporary one")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="masker-store-", dir=options.folder))
    try:
        bench = Bench(folder, messages=options.messages, rounds=options.rounds)
        bench.all()
    finally:
        shutil.rmtree(folder)
    if options.json:
        options.json.write_text(json.dumps(bench.figures, indent=1))


if __name__ == "__main__":
    sys.exit(main())

"""A store that is killed, or whose disk fails, at random moments; and whether it kept its word.

    python tests/crashing.py FOLDER --kills 1000 --seed 1
    python tests/crashing.py FOLDER --failures 300     (with failing_disk.c preloaded)

What is asked of the store is written to a log before and after. Whoever reads the log knows what
was acknowledged, and that of the last thing asked either all is there or nothing.
"""

from __future__ import annotations

import argparse
import ctypes
import datetime as dt
import errno
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from masker import MaskedMessage, MaskerError
from masker.errors import KeysError, StoreError
from masker.stores import Tombstone
from masker.stores.codec import microseconds
from masker.stores.sealed import SealedStore
from masker.vault.keyfile import make_key_file
from store_kit import Site, sqlite_site

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
CONVERSATIONS = [f"c{number}" for number in range(6)]
# What is drawn how often.
WEIGHTS = {
    "append": 10, "revise": 8, "purge": 3, "subject": 1, "age": 1, "rotate": 2, "move": 2,
    "read": 2,
}  # fmt: skip
# Key files that a rotation moves the store to and fro between.
KEYS = ("here.keys", "there.keys")

Order = dict[str, Any]
Texts = dict[str, dict[str, tuple[str, int, int]]]
"""By conversation and message id: text, revision, and second it was said."""


class Model:
    """What the store must hold, from what was asked of it."""

    def __init__(self) -> None:
        self.texts: Texts = {each: {} for each in CONVERSATIONS}
        self.second = 0
        self.keys = KEYS[0]

    def copy(self) -> Model:
        other = Model()
        other.texts = {name: dict(held) for name, held in self.texts.items()}
        other.second = self.second
        other.keys = self.keys
        return other

    def apply(self, order: Order) -> None:
        self.second = order["second"]
        match order["do"]:
            case "append" | "revise":
                for conversation, message, text, revision, second in order["messages"]:
                    self.texts[conversation][message] = (text, revision, second)
            case "purge" | "subject":
                self.texts[order["conversation"]] = {}
            case "move":
                self.keys = order["keys"]
            case "age":
                for conversation, held in self.texts.items():
                    self.texts[conversation] = {
                        name: each for name, each in held.items() if each[2] >= order["before"]
                    }

    def order(self, chance: random.Random) -> Order:
        """Something to ask for next."""
        self.second += 1
        do = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        order: Order = {"do": do, "second": self.second}
        match do:
            case "append":
                order["messages"] = [
                    (conversation, f"m{self.second}-{n}", _words(chance), 0, self.second)
                    for conversation in chance.sample(CONVERSATIONS, chance.choice((1, 1, 2, 4)))
                    for n in range(chance.choice((1, 1, 2, 9, 40)))
                ]
            case "revise":
                known = [
                    (conversation, name, *each)
                    for conversation, held in self.texts.items()
                    for name, each in held.items()
                ]
                order["messages"] = [
                    (conversation, name, _words(chance), revision + 1, second)
                    for conversation, name, _, revision, second in chance.sample(
                        known, min(len(known), chance.choice((1, 2, 10)))
                    )
                ]
            case "purge" | "subject" | "read":
                order["conversation"] = chance.choice(CONVERSATIONS)
            case "move":
                order["keys"] = chance.choice(KEYS)
            case "age":
                order["before"] = max(0, self.second - chance.randrange(5, 60))
        return order


def _words(chance: random.Random) -> str:
    return f"{chance.getrandbits(64):x} " * chance.choice((1, 2, 5, 30))


class Asker:
    """Asks the store for things, and writes down what was asked and what was acknowledged."""

    def __init__(self, store: SealedStore, model: Model, log: int, folder: Path) -> None:
        self.store = store
        self.model = model
        self._folder = folder
        self._log = log

    def ask(self, order: Order) -> None:
        self._note("asked", order)
        perform(self.store, order, self._folder)
        self._note("done", order)
        self.model.apply(order)

    def _note(self, what: str, order: Order) -> None:
        os.write(self._log, json.dumps([what, order]).encode() + b"\n")


def perform(store: SealedStore, order: Order, folder: Path) -> None:
    match order["do"]:
        case "append" | "revise":
            assert not store.save_all([_message(*each) for each in order["messages"]])
        case "purge":
            assert store.purge(conversation_id=order["conversation"]).status == "complete"
        case "subject":
            assert store.purge(subject=_subject(order["conversation"])).status == "complete"
        case "age":
            assert store.purge(before=_at(order["before"])).status == "complete"
        case "rotate":
            store.rotate()
        case "move":
            store.rotate(f"file:{folder / order['keys']}")
        case "read":
            store.transcript(order["conversation"])


def _message(conversation: str, name: str, text: str, revision: int, second: int) -> MaskedMessage:
    return MaskedMessage(
        conversation, name, "user", text, _at(second), None, _subject(conversation), {}, revision
    )


def _subject(conversation: str) -> str:
    return f"subject of {conversation}"


def _at(second: int) -> dt.datetime:
    return START + dt.timedelta(seconds=second)


class Harness:
    """Kills, looks, goes on."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.model = Model()
        self.site = sqlite_site(folder)
        for name in KEYS:
            make_key_file(folder / name)
        self.site.clock = self._clock  # type: ignore[assignment]  # a logical clock
        self.found: Counter[str] = Counter()
        self.killed: Counter[str] = Counter()
        self.backup: tuple[Path, Model] | None = None

    def _clock(self) -> int:
        # Half a second after what is said in this second: a purge takes it, and nothing later.
        return microseconds(_at(self.model.second)) + 500_000

    def open(self, *models: Model) -> SealedStore:
        """The store, with the keys it must be under: those of one of these models."""
        names = [model.keys for model in models or (self.model,)]
        for name in names[:-1]:
            with suppress(KeysError):
                return self._opened(name)
        return self._opened(names[-1])

    def _opened(self, keys: str) -> SealedStore:
        store = self.site.open(keys=f"file:{self.folder / keys}")
        self.under = keys
        return store

    # -- kills ---------------------------------------------------------------------------------

    def kill_once(self) -> None:
        log = self.folder / "log"
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        child = os.fork()
        if not child:
            self._run_until_killed(handle)
        # Early in opening as well as late in work.
        time.sleep(self.chance.choice((0.001, 0.01, 0.04)) * self.chance.random() * 2)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(handle)
        assert os.WIFSIGNALED(status), "the child ended by itself"
        self.look(_read(log))

    def _run_until_killed(self, log: int) -> None:
        try:
            seed = random.Random(os.urandom(8))
            asker = Asker(self.open(), self.model, log, self.folder)
            while True:
                asker.ask(asker.model.order(seed))
        except BaseException as error:  # noqa: BLE001 - told to the parent by the exit code
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(3)

    def look(self, log: list[tuple[str, Order]]) -> None:
        """Open the store and compare it with what it acknowledged."""
        before = self.model
        for what, order in log:
            if what == "done":
                before.apply(order)
        after = before.copy()
        asked = [order for what, order in log if what == "asked"]
        done = [order for what, order in log if what == "done"]
        if len(asked) > len(done):
            after.apply(asked[-1])
            self.killed[asked[-1]["do"]] += 1
        else:
            self.killed["between" if log else "opening"] += 1
        before.second = after.second = max(before.second, after.second)
        with self.open(before, after) as store:
            for name in ("purges_finished", "keys_destroyed", "rotation_finished"):
                self.found[name] += int(getattr(store.recovery, name))
            assert not store.recovery.purges_pending
            held = held_by(store)
            assert held in (before.texts, after.texts), "neither all of it nor nothing"
            report = store.verify()
            assert report.ok, report.fault
        self.model = after if held == after.texts else before
        self.model.keys = self.under
        self._look_at_backup()

    def _look_at_backup(self) -> None:
        """Now and then: an older copy of the data with today's keys shows nothing purged since."""
        if self.backup is not None and self.chance.random() < 0.05:
            folder, old = self.backup
            shutil.copy2(self.site.key_data, folder / "t.keys.db")
            keys = f"file:{self.folder / self.model.keys}"
            site = Site(folder, f"sqlite:///{folder / 't.db'}", self.site.suite, keys)
            with site.open() as store:
                for conversation, held in old.texts.items():
                    gone = set(held) - set(self.model.texts[conversation])
                    try:
                        seen = store.transcript(conversation)
                    except MaskerError:
                        continue
                    assert not gone & {each.message_id for each in seen}
                    self.found["tombstones in old copies"] += isinstance(seen, Tombstone)
            shutil.rmtree(folder)
            self.backup = None
        if self.backup is None:
            folder = self.folder / "backup"
            folder.mkdir()
            shutil.copy2(self.site.data, folder)
            self.backup = folder, self.model.copy()

    # -- failing disk --------------------------------------------------------------------------

    def fail_once(self, disk: Any) -> None:
        """A write or sync fails, or a few; the same process goes on with what it acknowledged."""
        store = self.open()
        error = self.chance.choice((errno.EIO, errno.ENOSPC))
        disk.fail_after(self.chance.randrange(60), self.chance.choice((1, 1, 3)), error)
        before = disk.failures()
        order: Order = {}
        try:
            for _ in range(60):
                order = self.model.order(self.chance)
                perform(store, order, self.folder)
                self.model.apply(order)
                if disk.failures() > before:
                    # SQLite itself made up for it, or it was of no consequence.
                    self.killed["survived"] += 1
                    break
        except StoreError:
            self.killed[order["do"]] += 1
            after = self.model.copy()
            after.apply(order)
        else:
            after = self.model
        disk.fail_after(-1, 0, 0)
        # The same store goes on by itself, in the same process.
        held = held_by(store)
        assert held in (self.model.texts, after.texts), "neither all of it nor nothing"
        asked = self.model
        self.model = after if held == after.texts else self.model
        assert store.verify().ok, store.verify().fault
        store.close()
        with self.open(asked, after) as store:
            assert held_by(store) == held
        self.model.keys = self.under


def held_by(store: SealedStore) -> Texts:
    return {
        conversation: {
            each.message_id: (
                each.text, each.revision, int((each.timestamp - START).total_seconds()),
            )
            for each in store.transcript(conversation)
            if each.timestamp is not None
        }
        for conversation in CONVERSATIONS
    }  # fmt: skip


def _read(log: Path) -> list[tuple[str, Order]]:
    return [
        (what, order)
        for line in log.read_bytes().split(b"\n")[:-1]
        for what, order in [json.loads(line)]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--failures", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    harness = Harness(options.folder, options.seed)
    rounds: Callable[[], None] = harness.kill_once
    if options.failures:
        disk = ctypes.CDLL(None)
        disk.failures.restype = ctypes.c_long
        rounds = lambda: harness.fail_once(disk)  # noqa: E731 - one of two ways to go
    count = options.failures or options.kills
    for number in range(count):
        rounds()
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{number + 1}/{count}")
    print(json.dumps({"rounds": count, "struck": harness.killed, "found": harness.found}))


if __name__ == "__main__":
    main()

"""Stores for tests: how to make them, fill them, and look at their bytes."""

from __future__ import annotations

import datetime as dt
import itertools
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from masker import Finding, MaskedMessage
from masker.stores import open_store
from masker.stores.codec import microseconds
from masker.stores.sealed import SealedStore
from masker.vault.keyfile import make_key_file

NOON = dt.datetime(2024, 5, 17, 12, 0, tzinfo=dt.UTC)
LATER = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""When purges happen, unless a test says otherwise: after every message."""
FOUND = (Finding("payment-card", "PAYMENT_CARD", 5, 24, 1.0),)
DATABASES = itertools.count()


def message(
    number: int | str,
    conversation: str = "c1",
    *,
    text: str = "card **** **** **** 1111, please",
    sender: str = "user",
    subject: str | None = "u-1",
    channel: str | None = "app",
    revision: int = 0,
    final: bool = True,
    at: dt.datetime | None = NOON,
    extra: dict[str, Any] | None = None,
) -> MaskedMessage:
    """A masked message; `number` orders it in time as well."""
    if at is NOON and isinstance(number, int):
        at = NOON + dt.timedelta(seconds=number)
    return MaskedMessage(
        conversation, f"m{number}", sender, text, at, channel, subject, extra or {}, revision,
        final, FOUND if "****" in text else (),
    )  # fmt: skip


def messages(count: int, conversation: str = "c1", **fields: Any) -> list[MaskedMessage]:
    return [message(number, conversation, **fields) for number in range(count)]


@dataclass
class Ticking:
    """A clock that goes on by a second with every look."""

    now: dt.datetime = LATER

    def __call__(self) -> int:
        self.now += dt.timedelta(seconds=1)
        return microseconds(self.now)


@dataclass
class Site:
    """Where a store of a test is."""

    folder: Path
    url: str
    suite: str
    keys: str
    clock: Ticking = field(default_factory=Ticking)

    def open(self, **options: Any) -> SealedStore:
        options.setdefault("clock", self.clock)
        options.setdefault("suite", self.suite)
        return open_store(self.url, options.pop("keys", self.keys), **options)

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    @property
    def data(self) -> Path:
        return self.folder / "t.db"

    @property
    def key_data(self) -> Path:
        return self.folder / "t.keys.db"

    def files(self) -> dict[str, bytes]:
        """Every file of a SQLite store, as bytes."""
        return {path.name: path.read_bytes() for path in sorted(self.folder.glob("t.*"))}

    def copy(self, folder: Path) -> Site:
        """The same store, copied as a backup would copy it."""
        folder.mkdir(parents=True)
        for path in self.folder.iterdir():
            shutil.copy2(path, folder)
        return Site(folder, f"sqlite:///{folder / 't.db'}", self.suite, self.keys, self.clock)


def quick_folder() -> Path:
    """A folder whose disk is memory, where there is one: a property need not wait for a disk."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    return Path(tempfile.mkdtemp(prefix="masker-", dir=memory if memory.is_dir() else None))


@contextmanager
def quick_site(suite: str = "aes-256-gcm") -> Iterator[Site]:
    """A store for one example of a property."""
    folder = quick_folder()
    try:
        yield sqlite_site(folder, suite)
    finally:
        shutil.rmtree(folder)


def sqlite_site(folder: Path, suite: str = "aes-256-gcm") -> Site:
    make_key_file(folder / "masker.keys")
    return Site(folder, f"sqlite:///{folder / 't.db'}", suite, f"file:{folder / 'masker.keys'}")


def postgres_server(folder: Path) -> Iterator[Callable[[], str]]:
    """A real PostgreSQL, and a way to get a fresh database in it."""
    import psycopg

    with warnings.catch_warnings():
        # platformdirs, which pgserver asks for a folder, complains about machines without a login.
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip("pgserver")
        server = pgserver.get_server(folder / "pg", cleanup_mode="stop")
    admin = server.get_uri()

    def database() -> str:
        name = f"store{next(DATABASES)}"
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return str(admin.replace("/postgres?", f"/{name}?", 1))

    yield database
    server.cleanup()

"""`open_store`: from a URL to a store."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from masker.errors import MissingExtraError, StoreError
from masker.stores.model import Retention
from masker.vault.providers import KeyProvider
from masker.vault.suites import AES_256_GCM, Suite, suite_named

if TYPE_CHECKING:
    from masker.stores.database import Databases
    from masker.stores.sealed import SealedStore

_SQLITE = "sqlite:///"
_POSTGRESQL = ("postgresql://", "postgres://", "postgresql+psycopg://")
_STORE_BYTES = 16
_USAGE = "a store is given as sqlite:///PATH or postgresql://HOST/DATABASE"


def open_store(
    url: str,
    keys: str | KeyProvider,
    *,
    retention: Retention | None = None,
    suite: str = AES_256_GCM.name,
    keys_url: str | None = None,
    create: bool = True,
    clock: Callable[[], int] | None = None,
) -> SealedStore:
    """Open a transcript store; makes one where there is none.

    Args:
        url: `sqlite:///PATH` (its keys lie beside it, in `PATH` with `.keys` before its suffix),
            or `postgresql://...`.
        keys: what its keys are wrapped with: see `masker.vault.providers.open_keys`.
        retention: how long messages are kept, for `expire`.
        suite: the cipher suite of a store that is made; an old one keeps its own.
        keys_url: where the keys are kept, if elsewhere: another path or database.
        create: whether to make a store where there is none.
        clock: microseconds since 1970, in place of the system's time.

    Raises:
        KeysError: the keys are missing, wrong, or open to others; says what to do.
        StoreError: the store cannot be opened, or is damaged.
        TamperedError: its keys were changed.
    """
    try:
        from masker.stores.sealed import SealedStore
    except ModuleNotFoundError as error:
        if error.name != "msgspec":
            raise
        raise MissingExtraError(extra="store") from None
    chosen = suite_named(suite)
    connect: Callable[[], Databases]
    if url.startswith(_SQLITE):
        path = Path(unquote(url[len(_SQLITE) :]))
        if not path.name or path.is_dir():
            raise StoreError(_USAGE)
        keys_path = Path(unquote((keys_url or "").removeprefix(_SQLITE))) if keys_url else None
        connect = _sqlite(path, keys_path or _beside(path), chosen, create=create)
    elif url.startswith(_POSTGRESQL):
        from masker.stores.postgres import connect_postgres

        connect = connect_postgres(url, keys_url, chosen, os.urandom(_STORE_BYTES), create=create)
    else:
        raise StoreError(_USAGE)
    if clock is None:
        return SealedStore(connect, keys, retention=retention)
    return SealedStore(connect, keys, retention=retention, clock=clock)


def _beside(path: Path) -> Path:
    """`transcripts.db` has its keys in `transcripts.keys.db`."""
    return path.with_name(f"{path.stem}.keys{path.suffix}")


def _holds(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _sqlite(path: Path, keys_path: Path, suite: Suite, *, create: bool) -> Callable[[], Databases]:
    def connect() -> Databases:
        from masker.stores import migrations
        from masker.stores.database import Databases
        from masker.stores.sqlite import WORDS, SqliteDatabase

        if _holds(path) and not _holds(keys_path):
            raise StoreError(
                f"{keys_path} is missing, and without it nothing in {path} can be read; "
                "put it back from your copy of the keys"
            )
        if not path.exists() and not create:
            raise StoreError(f"there is no store {path}; masker run --store makes one")
        keys = SqliteDatabase(keys_path)
        try:
            if keys.is_new:
                migrations.found(keys, os.urandom(_STORE_BYTES), suite.number, WORDS)
            migrations.migrate(keys, migrations.KEYS, WORDS, str(keys_path))
            if not keys.execute("SELECT 1 FROM sqlite_master WHERE name = 'anchor'"):
                raise StoreError(f"{keys_path} holds no keys; is it swapped with {path}?")
            anchored = keys.execute("SELECT 1 FROM anchor LIMIT 1")
            if anchored and not _holds(path):
                raise StoreError(
                    f"{path} is missing, though {keys_path} holds keys for it; "
                    "put it back from a backup, or move the keys away to begin anew"
                )
            data = SqliteDatabase(path)
        except BaseException:
            keys.close()
            raise
        try:
            if data.is_new:
                migrations.found(data, *migrations.identity(keys), WORDS)
            migrations.migrate(data, migrations.DATA, WORDS, str(path))
            compacted = data.finish_compaction()
        except BaseException:
            data.close()
            keys.close()
            raise
        return Databases(data, keys, str(path), compacted)

    return connect

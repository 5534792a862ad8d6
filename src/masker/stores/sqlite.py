"""SQLite: a file of data and a file of keys, each of one process at a time.

The settings are those of STORE.md, and are read back: a build of SQLite that ignores one must not
be trusted with keys. `locking_mode=EXCLUSIVE` keeps other processes out and does without the `-shm`
file, into which SQLite copies uninitialised heap when it recovers a torn log.

A record or key is destroyed by overwriting its row with zeros of the same size: SQLite then writes
into the cell where it lies (`btreeOverwriteCell`). Rows are inserted with ascending numbers only
and never deleted, so no page of theirs is ever rebalanced, which would leave copies of rows behind
that `secure_delete` does not reach. What is left is the write-ahead log, and a checkpoint with
TRUNCATE empties that.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from masker.errors import StoreError
from masker.stores.database import Counter, Row

WORDS = {
    "bytes": "BLOB",
    "integer": "INTEGER",
    "text": "TEXT",
    "clustered": "WITHOUT ROWID",
}
# Setting, value to set, value read back.
_PRAGMAS = (
    ("locking_mode", "EXCLUSIVE", "exclusive"),
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("secure_delete", "ON", 1),
    ("temp_store", "MEMORY", 2),
    ("cell_size_check", "ON", 1),
    ("trusted_schema", "OFF", 0),
    ("cache_size", "-65536", -65536),
)
_MODE = 0o600
_COUNTED = {
    "place": "SELECT coalesce(max(place), 0) FROM record",
    "slot": "SELECT coalesce(max(number), 0) FROM slot",
    "conversation": "SELECT coalesce(max(number), 0) FROM conversation",
    "event": "SELECT coalesce(max(number), 0) FROM trail",
}


class SqliteDatabase:
    """One file, opened for this process alone.

    Raises:
        StoreError: it cannot be opened, another process has it, or SQLite does not keep a setting.
    """

    shared = False
    in_place = True
    for_update = ""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next: dict[str, int] = {}
        # What a process before this one left in the log is there as well.
        self._is_written = True
        new = not path.exists()
        try:
            if new:
                # Not left to the umask: a transcript is nobody else's business.
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT, _MODE))
            self._connection = sqlite3.connect(
                path,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
                timeout=0,
            )
        except (sqlite3.Error, OSError) as error:
            raise _failed(path, "opened", error) from None
        try:
            self._configure()
        except BaseException:
            self._connection.close()
            raise

    def __repr__(self) -> str:
        return f"SqliteDatabase({str(self._path)!r})"

    def _configure(self) -> None:
        try:
            for name, value, expected in _PRAGMAS:
                self._connection.execute(f"PRAGMA {name}={value}").fetchall()
                ((kept,),) = self._connection.execute(f"PRAGMA {name}").fetchall()
                if kept != expected:
                    raise StoreError(
                        f"{self._path}: this SQLite does not keep {name}={value}; it is needed to "
                        "destroy what is purged"
                    )
            # Takes the lock now, and not with the first message.
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise _failed(self._path, "opened", error) from None

    @property
    def is_new(self) -> bool:
        """Whether there is nothing in it yet."""
        return not self.execute("SELECT 1 FROM sqlite_schema LIMIT 1")

    def transaction(self) -> AbstractContextManager[None]:
        """Everything within is durable when it ends, or undone where it raises."""
        return self._transaction()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise _failed(self._path, "written", error) from None
        try:
            yield
            self._is_written = True
            connection.execute("COMMIT")
        except BaseException as error:
            # The numbers given out are forgotten with the rest.
            self._next.clear()
            with suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise _failed(self._path, "written", error) from None
            raise

    def lock(self, name: bytes) -> None:
        """There is no other process."""

    def lock_subject(self, name: bytes, *, alone: bool) -> None:
        """There is no other process."""

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a statement; all rows of its answer."""
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise _failed(self._path, "read or written", error) from None

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each of many rows."""
        try:
            self._connection.executemany(sql, rows)
        except sqlite3.Error as error:
            raise _failed(self._path, "written", error) from None

    def allocate(self, counter: Counter, count: int) -> list[int]:
        """Numbers above all there are: rows are only ever added at the end."""
        start = self._next.get(counter)
        if start is None:
            ((highest,),) = self.execute(_COUNTED[counter])
            start = highest + 1
        self._next[counter] = start + count
        return list(range(start, start + count))

    def scrub(self) -> bool:
        """Empty the write-ahead log into the file; False where a reader is in the way."""
        if not self._is_written:
            return True
        try:
            ((busy, _, _),) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                return False
            raise _failed(self._path, "checkpointed", error) from None
        except sqlite3.Error as error:
            raise _failed(self._path, "checkpointed", error) from None
        wal = Path(f"{self._path}-wal")
        self._is_written = bool(busy) or (wal.exists() and wal.stat().st_size > 0)
        return not self._is_written

    def compact(self, deletions: Sequence[str]) -> None:
        """Delete rows and write the file anew.

        Between the two, pages hold copies of rows that were moved. The mark that is committed with
        the deletion has the file written anew by whoever opens it next.
        """
        with self._transaction():
            self.execute("PRAGMA user_version=1")
            for statement in deletions:
                self.execute(statement)
        self.finish_compaction()

    def finish_compaction(self) -> bool:
        """Write the file anew, where a compaction was begun; whether one was."""
        if self.execute("PRAGMA user_version") == [(0,)]:
            return False
        self._is_written = True
        self.execute("VACUUM")
        self.execute("PRAGMA user_version=0")
        self.scrub()
        return True

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Generator[Row]:
        """Rows one at a time; while they are open, nothing can be scrubbed."""
        try:
            with closing(self._connection.execute(sql, parameters)) as cursor:
                yield from cursor
        except sqlite3.Error as error:
            raise _failed(self._path, "read", error) from None

    def close(self) -> None:
        """Give the file back; its log is emptied first, where that is possible."""
        with suppress(sqlite3.Error):
            self._connection.close()


def _failed(path: Path, verb: str, error: sqlite3.Error | OSError) -> StoreError:
    """What happened, by name: SQLite's own texts may quote a statement's values."""
    if isinstance(error, OSError):
        reason = (error.strerror or type(error).__name__).lower()
        return StoreError(f"{path} cannot be {verb}: {reason}")
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(
            f"{path} is in use by another process; a SQLite store has one at a time, "
            "use PostgreSQL for several"
        )
    if name.startswith("SQLITE_NOTADB"):
        return StoreError(f"{path} is no store of masker's, or its first bytes were changed")
    if name.startswith("SQLITE_CORRUPT"):
        return StoreError(f"{path} is damaged; take it from a backup")
    return StoreError(f"{path} cannot be {verb}: {name}")

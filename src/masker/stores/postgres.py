"""PostgreSQL: for several processes at once; data in one schema, keys in another or elsewhere.

Every write locks the row of its conversation, and looks at the head before it trusts what is in
memory. PostgreSQL never overwrites a row where it lies: a destroyed key is gone from every query
with its commit, and from the table's files with the `VACUUM FULL` that follows. Its write-ahead
log and what is archived of it keep old pages for as long as the operator lets them;
`docs/threat-model.md` says what follows from that (keys in a database of their own, whose log is
not archived, or rotation to a new provider).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from masker.errors import MissingExtraError, StoreError
from masker.stores import migrations
from masker.stores.database import Counter, Databases, Row
from masker.vault.suites import Suite

if TYPE_CHECKING:
    import psycopg

WORDS = {"bytes": "BYTEA", "integer": "BIGINT", "text": "TEXT", "clustered": ""}
DATA_SCHEMA = "masker"
KEYS_SCHEMA = "masker_keys"
_COUNTERS = ("place", "slot", "conversation", "event")
_CONNECT_SECONDS = 10
_MAKING = 7_243_190_511
"""The advisory lock that one process holds while it makes or migrates a schema; more follow it."""
_BUCKETS = 1024
"""Locks that names share: for conversations, and as many for subjects."""


class PostgresDatabase:
    """One schema of a PostgreSQL database, through one connection.

    Raises:
        StoreError: it cannot be reached, or is set up so that what it says is not durable.
    """

    shared = True
    in_place = False
    for_update = " FOR UPDATE"

    def __init__(self, url: str, schema: str, vacuums: Sequence[str]) -> None:
        self._name = f"{_shown(url)}, schema {schema}"
        self._schema = schema
        self._vacuums = vacuums
        self._translated: dict[str, str] = {}
        self._written: int | None = None
        driver = _driver()
        self._error: type[Exception] = driver.Error
        try:
            self._connection: psycopg.Connection[Row] = driver.connect(
                url.replace("postgresql+psycopg://", "postgresql://", 1),
                autocommit=True,
                connect_timeout=_CONNECT_SECONDS,
                application_name="masker",
            )
            self._connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
            self._connection.execute(f'SET search_path TO "{schema}"')
            self._connection.execute("SET synchronous_commit TO on")
        except driver.Error as error:
            if getattr(error, "sqlstate", None) is None:
                # The driver's own text may quote the password.
                raise StoreError(
                    f"{self._name} cannot be reached: does the server run, and are host, port, "
                    "user, password and database right?"
                ) from None
            raise self._failed(error) from None
        if self.execute("SHOW fsync") != [("on",)]:
            self.close()
            raise StoreError(f"{self._name}: the server runs with fsync off; nothing is durable")

    def __repr__(self) -> str:
        return f"PostgresDatabase({self._name!r})"

    @property
    def is_new(self) -> bool:
        """Whether there is nothing in it yet."""
        return not self.execute(
            "SELECT 1 FROM pg_tables WHERE schemaname = ? AND tablename = 'store'", (self._schema,)
        )

    @contextmanager
    def making(self) -> Iterator[None]:
        """While a schema is made: other processes wait."""
        self.execute("SELECT pg_advisory_lock(?)", (_MAKING,))
        try:
            yield
        finally:
            self.execute("SELECT pg_advisory_unlock(?)", (_MAKING,))

    def make_counters(self) -> None:
        """Make the sequences that numbers are taken from."""
        for counter in _COUNTERS:
            self.execute(f"CREATE SEQUENCE IF NOT EXISTS {counter}_numbers")

    def transaction(self) -> AbstractContextManager[None]:
        """Everything within is durable when it ends, or undone where it raises."""
        return self._transaction()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with self._connection.transaction():
                yield
                ((number,),) = self._connection.execute(
                    "SELECT pg_current_xact_id_if_assigned()::text::bigint"
                ).fetchall()
        except self._error as error:
            raise self._failed(error) from None
        if number is not None:
            self._written = number

    def lock(self, name: bytes) -> None:
        """Wait for other processes that begin something by this name, until the transaction ends.

        A row that is not there yet cannot be locked. Names share a thousand locks, as the server
        has room for so many; locks follow the order of names, in which all are taken.
        """
        self.execute("SELECT pg_advisory_xact_lock(?)", (_MAKING + 1 + _bucket(name),))

    def lock_subject(self, name: bytes, *, alone: bool) -> None:
        """Wait for who purges this subject; `alone`: and for who saves messages of it.

        Taken before any conversation's lock, and in the order of names.
        """
        shared = "" if alone else "_shared"
        key = _MAKING + 1 + _BUCKETS + _bucket(name)
        self.execute(f"SELECT pg_advisory_xact_lock{shared}(?)", (key,))

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a statement; all rows of its answer."""
        try:
            cursor = self._connection.execute(self._own(sql), parameters or None)
            return cursor.fetchall() if cursor.description else []
        except self._error as error:
            raise self._failed(error) from None

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Generator[Row]:
        """Run a SELECT; its rows one at a time."""
        yield from self.execute(sql, parameters)

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each of many rows."""
        if not rows:
            return
        try:
            with self._connection.cursor() as cursor:
                cursor.executemany(self._own(sql), rows)
        except self._error as error:
            raise self._failed(error) from None

    def allocate(self, counter: Counter, count: int) -> list[int]:
        """Numbers of a sequence: no other process gets them."""
        rows = self.execute(
            f"SELECT nextval('{counter}_numbers') FROM generate_series(1, ?)", (count,)
        )
        return sorted(number for (number,) in rows)

    def scrub(self) -> bool:
        """Write the tables that lost something anew; False while a snapshot still sees it."""
        if self._written is None:
            return True
        readers = self.execute(
            "SELECT 1 FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database() AND backend_xmin IS NOT NULL"
            " AND age(backend_xmin) >= age((?::bigint & 4294967295)::text::xid) LIMIT 1",
            (self._written,),
        )
        if readers:
            return False
        for table in self._vacuums:
            self.execute(f"VACUUM (FULL) {table}")
        self._written = None
        return True

    def compact(self, deletions: Sequence[str]) -> None:
        """Write every table anew."""
        with self.transaction():
            for statement in deletions:
                self.execute(statement)
        self.execute("VACUUM (FULL)")

    def close(self) -> None:
        """Give the connection back."""
        with suppress(self._error):
            self._connection.close()

    def _own(self, sql: str) -> str:
        """The statement in the words of the driver."""
        own = self._translated.get(sql)
        if own is None:
            own = self._translated[sql] = sql.replace("%", "%%").replace("?", "%s")
        return own

    def _failed(self, error: Exception) -> StoreError:
        # The server's own texts may quote a statement's values.
        state = getattr(error, "sqlstate", None) or type(error).__name__
        return StoreError(f"{self._name} cannot be used: {state}")


def connect_postgres(
    url: str, keys_url: str | None, suite: Suite, store: bytes, *, create: bool
) -> Callable[[], Databases]:
    """How to open a store in PostgreSQL; its keys in `keys_url`, or in a schema beside the data."""

    def connect() -> Databases:
        keys = PostgresDatabase(keys_url or url, KEYS_SCHEMA, ("slot", "epoch"))
        try:
            if keys.is_new and not create:
                raise StoreError(
                    f"there is no store in {_shown(url)}; masker run --store makes one"
                )
            with keys.making():
                if keys.is_new:
                    migrations.found(keys, store, suite.number, WORDS)
                migrations.migrate(keys, migrations.KEYS, WORDS, _shown(keys_url or url))
                keys.make_counters()
            data = PostgresDatabase(url, DATA_SCHEMA, ("record",))
        except BaseException:
            keys.close()
            raise
        try:
            with data.making():
                if data.is_new:
                    migrations.found(data, *migrations.identity(keys), WORDS)
                migrations.migrate(data, migrations.DATA, WORDS, _shown(url))
                data.make_counters()
        except BaseException:
            data.close()
            keys.close()
            raise
        return Databases(data, keys, _shown(url))

    return connect


def _bucket(name: bytes) -> int:
    return int.from_bytes(name[:2], "big") * _BUCKETS >> 16


def _driver() -> Any:
    try:
        import psycopg
    except ModuleNotFoundError:
        raise MissingExtraError(extra="postgres") from None
    return psycopg


def _shown(url: str) -> str:
    """A URL without user, password and options."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "postgresql://"
    if "@" in parts.path:  # of a password with a slash in it
        return "postgresql://"
    return f"postgresql://{parts.hostname or ''}{port}{parts.path}"

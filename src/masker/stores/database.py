"""What a store needs of a database: two of them, one for data and one for keys."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, NamedTuple, Protocol

Row = tuple[Any, ...]
Counter = Literal["place", "slot", "conversation", "event"]


class Database(Protocol):
    """One SQL database, used by one thread at a time.

    Statements are written once, with `?` for parameters. Every failure of the database comes out as
    a `StoreError` that names what failed and no value.
    """

    shared: bool
    """Whether other processes may write at the same time."""
    in_place: bool
    """Whether a row that is written again with the same size stays where it lies."""
    for_update: str
    """What a SELECT ends with that locks the rows it reads."""

    def transaction(self) -> AbstractContextManager[None]:
        """Everything within is durable when it ends, or undone where it raises."""

    def lock(self, name: bytes) -> None:
        """Until the transaction ends, other processes that begin this wait."""

    def lock_subject(self, name: bytes, *, alone: bool) -> None:
        """Until the transaction ends, nobody purges this subject; `alone`: nor saves of it."""

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a statement; all rows of its answer."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Generator[Row]:
        """Run a SELECT; its rows one at a time."""

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each of many rows."""

    def allocate(self, counter: Counter, count: int) -> list[int]:
        """Numbers that were never given out before, ascending, within a transaction."""

    def scrub(self) -> bool:
        """See that what was overwritten or deleted is in no file of this database.

        False where something that still reads it is in the way; then it is done later.
        """

    def compact(self, deletions: Sequence[str]) -> None:
        """Run statements that delete rows, and give their space back; all of it or nothing."""

    def close(self) -> None:
        """Give the database back."""


class Databases(NamedTuple):
    """What a backend opens: data, keys, and what is to be said if they do not fit."""

    data: Database
    keys: Database
    name: str
    compacted: bool = False


Connect = Callable[[], Databases]

"""Opening a store: whether data and keys fit, and finishing what was begun and left."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from masker.errors import KeysError, StoreError, TamperedError
from masker.stores import migrations
from masker.stores.database import Databases
from masker.stores.dooming import destroy_doomed
from masker.stores.keyring import Keyring
from masker.stores.model import Recovery
from masker.stores.purging import Purges
from masker.stores.shelf import Shelf
from masker.vault.providers import KeyProvider
from masker.vault.suites import suite_numbered


class Session(NamedTuple):
    """A store that is open, and what was finished of what was begun."""

    shelf: Shelf
    purges: Purges
    recovery: Recovery


def open_session(databases: Databases, provider: KeyProvider, clock: Callable[[], int]) -> Session:
    """Open a store over its databases; they are closed where that fails.

    Raises:
        KeysError: these keys do not open it.
        StoreError, TamperedError: data and keys do not belong together, or were changed.
    """
    try:
        store, suite = migrations.identity(databases.keys)
        if migrations.identity(databases.data) != (store, suite):
            raise StoreError(
                f"{databases.name}: data and keys are of two different stores; "
                "put those together that belong together"
            )
        chosen = suite_numbered(suite)
        try:
            ring = Keyring(databases.keys, chosen, store, provider)
        except KeysError as error:
            raise KeysError(
                f"{error}; {databases.name} was made with other keys: give those (--keys)"
            ) from None
        shelf = Shelf(databases.data, databases.keys, ring, chosen, store)
        purges = Purges(shelf)
        recovery = _recover(shelf, purges, clock, compacted=databases.compacted)
    except BaseException:
        databases.data.close()
        databases.keys.close()
        raise
    return Session(shelf, purges, recovery)


def _recover(
    shelf: Shelf, purges: Purges, clock: Callable[[], int], *, compacted: bool
) -> Recovery:
    destroyed = destroy_doomed(shelf, purges.intents)
    rotating = shelf.ring.is_rotating
    if rotating:
        try:
            shelf.ring.finish_rotation()
        except TamperedError:
            # One damaged key keeps the old epoch alive, and nobody from opening the rest;
            # `verify` and the next `rotate` name it.
            rotating = False
    finished, pending = purges.resume(clock())
    ((waiting,),) = shelf.data.execute(
        "SELECT coalesce(sum(pending), 0) FROM directory WHERE pending > 0"
    )
    return Recovery(
        purges_finished=finished,
        purges_pending=pending,
        keys_destroyed=destroyed,
        rotation_finished=rotating,
        compaction_finished=compacted,
        pending_messages=int(waiting),
    )

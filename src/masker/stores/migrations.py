"""The schemas, from the first version on: a store of any version opens with every later masker.

A step is a list of statements from one version to the next, run in one transaction with the new
version number. Steps are never changed once released; `tests/data` keeps a store of each version.
"""

from __future__ import annotations

from masker.errors import StoreError
from masker.stores.database import Database

# `{bytes}`, `{integer}` and `{clustered}` are the database's own words: see each backend.
_DATA_1 = (
    # One row a sealed record. Only these two columns: a row of the same size is overwritten where
    # it lies, and is never moved, so no copy of it is left in another page.
    "CREATE TABLE record (place {integer} PRIMARY KEY, sealed {bytes} NOT NULL)",
    (
        "CREATE TABLE conversation (number {integer} PRIMARY KEY, name {bytes} NOT NULL UNIQUE,"
        " head {bytes} NOT NULL)"
    ),
    (
        "CREATE TABLE directory (conversation {integer} NOT NULL, first {integer} NOT NULL,"
        " place {integer} NOT NULL, slot {integer} NOT NULL, revision {integer} NOT NULL,"
        " messages {integer} NOT NULL, pending {integer} NOT NULL, oldest {integer} NOT NULL,"
        " newest {integer} NOT NULL, channel {bytes} NOT NULL, PRIMARY KEY (conversation, first))"
        " {clustered}"
    ),
    "CREATE INDEX directory_pending ON directory (conversation) WHERE pending > 0",
    (
        "CREATE TABLE link (subject {bytes} NOT NULL, conversation {integer} NOT NULL,"
        " PRIMARY KEY (subject, conversation)) {clustered}"
    ),
    "CREATE INDEX link_conversation ON link (conversation)",
    # Events in the order they came, each with the number of the one before of its conversation.
    (
        "CREATE TABLE trail (number {integer} PRIMARY KEY, previous {integer} NOT NULL,"
        " entry {bytes} NOT NULL, chain {bytes} NOT NULL)"
    ),
    # Keys of what was replaced or has expired, until they are destroyed; and what a purge by age
    # destroys with each.
    (
        "CREATE TABLE doomed (slot {integer} NOT NULL, mark {bytes} NOT NULL,"
        " intent {integer} NOT NULL, messages {integer} NOT NULL, conversations {integer} NOT NULL)"
    ),
    # Overwritten records, whose places the next records of their size take.
    "CREATE TABLE vacant (place {integer} PRIMARY KEY, size {integer} NOT NULL)",
    "CREATE INDEX vacant_size ON vacant (size)",
)
_KEYS_1 = (
    (
        "CREATE TABLE epoch (number {integer} PRIMARY KEY, provider {text} NOT NULL,"
        " wrapped {bytes} NOT NULL)"
    ),
    "CREATE TABLE slot (number {integer} PRIMARY KEY, wrapped {bytes} NOT NULL)",
    (
        "CREATE TABLE lease (owner {bytes} NOT NULL, slot {integer} NOT NULL,"
        " PRIMARY KEY (owner, slot)) {clustered}"
    ),
    "CREATE TABLE spent (slot {integer} PRIMARY KEY)",
    "CREATE TABLE anchor (name {bytes} PRIMARY KEY, entry {bytes} NOT NULL) {clustered}",
    "CREATE TABLE fence (name {bytes} PRIMARY KEY, entry {bytes} NOT NULL) {clustered}",
    "CREATE TABLE hold (name {bytes} PRIMARY KEY, entry {bytes} NOT NULL) {clustered}",
    "CREATE TABLE intent (number {integer} PRIMARY KEY, entry {bytes} NOT NULL)",
    (
        "CREATE TABLE receipt (number {integer} PRIMARY KEY, scope {bytes} NOT NULL,"
        " body {bytes} NOT NULL)"
    ),
    "CREATE INDEX receipt_scope ON receipt (scope)",
)
DATA: tuple[tuple[str, ...], ...] = (_DATA_1,)
KEYS: tuple[tuple[str, ...], ...] = (_KEYS_1,)
_STORE = (
    "CREATE TABLE store (one {integer} PRIMARY KEY CHECK (one = 1), version {integer} NOT NULL,"
    " id {bytes} NOT NULL, suite {integer} NOT NULL)"
)


def migrate(
    database: Database, steps: tuple[tuple[str, ...], ...], words: dict[str, str], what: str
) -> None:
    """Bring a database to the newest version; `what` names it in an error.

    Raises:
        StoreError: it was made by a later masker.
    """
    version = _version(database)
    if version > len(steps):
        raise StoreError(
            f"{what} is of version {version}, this masker knows up to {len(steps)}; "
            "use a later masker"
        )
    for number, step in enumerate(steps[version:], version + 1):
        with database.transaction():
            for statement in step:
                database.execute(statement.format_map(words))
            database.execute("UPDATE store SET version = ?", (number,))


def found(database: Database, store: bytes, suite: int, words: dict[str, str]) -> None:
    """Make the row that says which store this is, in a database that has none yet."""
    with database.transaction():
        database.execute(_STORE.format_map(words))
        database.execute(
            "INSERT INTO store (one, version, id, suite) VALUES (1, 0, ?, ?)", (store, suite)
        )


def identity(database: Database) -> tuple[bytes, int]:
    """The id of the store and the number of its suite."""
    ((store, suite),) = database.execute("SELECT id, suite FROM store")
    return bytes(store), suite


def _version(database: Database) -> int:
    ((version,),) = database.execute("SELECT version FROM store")
    return int(version)

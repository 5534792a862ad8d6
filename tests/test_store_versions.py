"""A store written today opens with every later masker.

`tests/data/store-1` was written by the first version, by `python tests/test_store_versions.py
FOLDER`. Its files are never written again. A later schema adds a folder of its own.
"""

from __future__ import annotations

import datetime as dt
import shutil
import sys
from pathlib import Path

import pytest

from masker.errors import StoreError
from masker.stores import Tombstone, migrations
from masker.stores.sqlite import SqliteDatabase
from store_kit import LATER, NOON, Site, Ticking, message, messages, sqlite_site

DATA = Path(__file__).parent / "data"
NAMES = ("t.db", "t.keys.db", "masker.keys")


def write(folder: Path, suite: str) -> None:
    """A store with something of everything."""
    site = sqlite_site(folder, suite)
    with site.open() as store:
        for conversation in ("c1", "c2", "gone"):
            store.save_all(messages(150, conversation, extra={"order": 17}))
            for number in range(150, 155):
                store.save(message(number, conversation, final=False))
        store.save(message(7, "c1", revision=1, text="revised"))
        store.save(message("zoned", "c2", at=NOON.astimezone(dt.timezone(dt.timedelta(hours=8)))))
        store.save(message("odd", "c2", text="half \ud800", subject=None, channel=None, at=None))
        store.save_all(messages(3, "held", subject="u-9"))
        store.hold(subject="u-9")
        store.purge(conversation_id="gone")
        store.purge(conversation_id="held")
        store.rotate()


@pytest.fixture(params=sorted(path.name for path in DATA.glob("store-*")))
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """A copy of an old store, at the time it was written."""
    for name in NAMES:
        shutil.copy(DATA / request.param / name, tmp_path / name)
    (tmp_path / "masker.keys").chmod(0o600)
    url, keys = f"sqlite:///{tmp_path / 't.db'}", f"file:{tmp_path / 'masker.keys'}"
    return Site(tmp_path, url, "aes-256-gcm", keys, Ticking(LATER + dt.timedelta(days=1)))


def test_there_is_a_store_of_every_version() -> None:
    assert len(migrations.DATA) == len(migrations.KEYS)
    for version in range(1, len(migrations.DATA) + 1):
        assert list(DATA.glob(f"store-{version}*"))


def test_an_old_store_opens_and_holds_what_it_held(old: Site) -> None:
    with old.open() as store:
        assert store.recovery.pending_messages == 10
        first = store.transcript("c1")
        assert len(first) == 155
        assert first[:7] == messages(7, extra={"order": 17})
        assert first[7].text == "revised"
        odd = {each.message_id: each for each in store.transcript("c2")}
        assert odd["modd"].text == "half \ud800"
        zoned = odd["mzoned"].timestamp
        assert zoned is not None
        assert zoned.utcoffset() == dt.timedelta(hours=8)
        gone = store.transcript("gone")
        assert isinstance(gone, Tombstone)
        assert gone.messages == 155
        assert store.conversations(subject="u-1") == ["c1", "c2"]
        (receipt,) = store.receipts()
        receipt.verify(store.key_status().public_key)
        assert receipt.is_about("gone")
        assert store.verify().ok


def test_an_old_store_goes_on(old: Site) -> None:
    with old.open() as store:
        store.save_all([message(900), message(3, revision=1, text="later")])
        assert [each.status for each in store.release(subject="u-9")] == ["complete"]
        assert store.purge(conversation_id="c2").messages == 157
        store.rotate()
    with old.open() as store:
        assert store.transcript("c1")[3].text == "later"
        assert [each.number for each in store.receipts()] == [1, 2, 3]
        assert store.verify().ok


def test_a_store_of_a_later_version_is_left_alone_and_says_so(old: Site) -> None:
    for path in (old.data, old.key_data):
        database = SqliteDatabase(path)
        with database.transaction():
            database.execute("UPDATE store SET version = version + 1")
        database.close()
    with pytest.raises(StoreError, match="use a later masker"):
        old.open()


def test_migrations_run_once_and_in_order(tmp_path: Path) -> None:
    from masker.stores.sqlite import WORDS

    database = SqliteDatabase(tmp_path / "m.db")
    migrations.found(database, bytes(16), 1, WORDS)
    steps: tuple[tuple[str, ...], ...] = (("CREATE TABLE a (n {integer})",),)
    migrations.migrate(database, steps, WORDS, "m.db")
    steps = (*steps, ("ALTER TABLE a ADD COLUMN m {bytes}", "INSERT INTO a (n) VALUES (1)"))
    for _ in range(2):
        migrations.migrate(database, steps, WORDS, "m.db")
    assert database.execute("SELECT n, m FROM a") == [(1, None)]
    broken = (*steps, ("CREATE TABLE b (n {integer})", "NONSENSE"))
    with pytest.raises(StoreError):
        migrations.migrate(database, broken, WORDS, "m.db")
    assert database.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'b'") == [(0,)]
    migrations.migrate(database, steps, WORDS, "m.db")
    database.close()


if __name__ == "__main__":
    for suite in ("aes-256-gcm", "sm4-gcm"):
        folder = Path(sys.argv[1]) / f"store-{len(migrations.DATA)}-{suite}"
        folder.mkdir(parents=True)
        write(folder, suite)

"""A store in the hands of somebody who can write to its files: nothing false is ever read.

And in the hands of somebody who has every file of it, and every old copy of the data: nothing
that was purged is ever read.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from masker import MaskedMessage
from masker.errors import MaskerError, RolledBackError, StoreError, TamperedError
from masker.stores import Tombstone
from masker.vault.slots import SLOT_BYTES
from store_kit import LATER, Site, message, messages, quick_site, sqlite_site


@pytest.fixture(params=["aes-256-gcm", "sm4-gcm"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with quick_site(request.param) as found:
        yield found


def edit(path: Path, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """What an attacker does to a file while nobody has it open."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(sql, parameters).fetchall()


def read(site: Site, conversation: str = "c1") -> list[MaskedMessage] | str:
    """What is read, or the error that is."""
    try:
        with site.open() as store:
            return store.transcript(conversation)
    except MaskerError as error:
        return f"{type(error).__name__}: {error}"


def is_refused(site: Site, conversation: str = "c1") -> bool:
    return isinstance(read(site, conversation), str)


# --- bits and cuts ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "table", "column", "number"),
    [("data", "record", "sealed", "place"), ("data", "conversation", "head", "number"),
     ("key_data", "slot", "wrapped", "number")],
)  # fmt: skip
def test_every_byte_of_record_head_and_slot_is_watched(
    site: Site, file: str, table: str, column: str, number: str
) -> None:
    """Every bit is flipped in the envelopes' own tests; here every byte, through the database."""
    with site.open() as store:
        store.save(message(1))
    path: Path = getattr(site, file)
    rows = edit(path, f"SELECT {number}, {column} FROM {table}")
    assert rows
    for key, value in rows:
        steps = range(0, len(value), 7 if len(value) > SLOT_BYTES else 5)
        for at in steps:
            changed = bytearray(value)
            changed[at] ^= 1 << at % 8
            edit(path, f"UPDATE {table} SET {column} = ? WHERE {number} = ?", (changed, key))
            assert is_refused(site), (table, at)
        for length in (0, 1, len(value) // 2, len(value) - 1):
            edit(path, f"UPDATE {table} SET {column} = ? WHERE {number} = ?", (value[:length], key))
            assert is_refused(site), (table, length)
        edit(path, f"UPDATE {table} SET {column} = ? WHERE {number} = ?", (value, key))
    assert read(site) == [message(1)]


@pytest.mark.parametrize("column", ["first", "place", "slot", "revision", "messages", "oldest",
                                    "newest"])  # fmt: skip
def test_the_directory_cannot_say_anything_else(site: Site, column: str) -> None:
    with site.open() as store:
        store.save_all(messages(10))
    edit(site.data, f"UPDATE directory SET {column} = {column} + 1")
    assert is_refused(site)


@pytest.mark.parametrize(
    "sql", ["UPDATE directory SET channel = x'0000000000000000'",
            "UPDATE directory SET pending = 7", "DELETE FROM link",
            "UPDATE trail SET entry = x'00'", "DELETE FROM trail"]
)  # fmt: skip
def test_verify_finds_what_reading_does_not_need(site: Site, sql: str) -> None:
    with site.open() as store:
        store.save_all(messages(10))
        assert store.verify().ok
    edit(site.data, sql)
    with site.open() as store:
        report = store.verify()
        assert not report.ok
        assert report.fault


def test_verify_names_the_first_thing_wrong_by_its_place(site: Site) -> None:
    with site.open() as store:
        for number in range(5):
            store.save(message(1, f"c{number}"))
    ((place, sealed),) = edit(
        site.data, "SELECT place, sealed FROM record ORDER BY place LIMIT 1 OFFSET 2"
    )
    edit(site.data, "UPDATE record SET sealed = ? WHERE place = ?", (sealed[:-1] + b"x", place))
    with site.open() as store:
        assert store.verify().fault in (
            "conversation 3, record 0: was changed",
            "conversation 3, record 0: is cut short or has grown",
        )


# --- swaps, removals, rollbacks --------------------------------------------------------


def filled(site: Site) -> None:
    with site.open() as store:
        for conversation in ("c1", "c2"):
            for number in range(4):
                store.save(message(number, conversation))


def test_records_swapped_within_a_conversation_are_detected(site: Site) -> None:
    filled(site)
    (one, first), (two, second) = edit(site.data, "SELECT place, sealed FROM record LIMIT 2")
    for place, sealed in ((one, second), (two, first)):
        edit(site.data, "UPDATE record SET sealed = ? WHERE place = ?", (sealed, place))
    assert is_refused(site)
    assert not is_refused(site, "c2")


def test_conversations_swapped_whole_are_detected(site: Site) -> None:
    filled(site)
    swap = ("SET conversation = conversation + 10", "SET conversation = 13 - conversation")
    for each in swap:
        edit(site.data, f"UPDATE directory {each}")
    assert is_refused(site)
    assert is_refused(site, "c2")
    for each in swap:
        edit(site.data, f"UPDATE directory {each}")
    assert not is_refused(site)
    ((one,), (two,)) = edit(site.data, "SELECT name FROM conversation ORDER BY number")
    edit(site.data, "UPDATE conversation SET name = x'00' WHERE number = 1")
    edit(site.data, "UPDATE conversation SET name = ? WHERE number = 2", (one,))
    edit(site.data, "UPDATE conversation SET name = ? WHERE number = 1", (two,))
    assert is_refused(site)
    assert is_refused(site, "c2")


def test_records_of_another_store_with_the_same_keys_are_detected(site: Site) -> None:
    filled(site)
    with quick_site(site.suite) as other:
        shutil.copy2(site.folder / "masker.keys", other.folder / "masker.keys")
        filled(other)
        for place, sealed in edit(other.data, "SELECT place, sealed FROM record"):
            edit(site.data, "UPDATE record SET sealed = ? WHERE place = ?", (sealed, place))
        assert is_refused(site)
        shutil.copy2(other.key_data, site.key_data)
        assert "two different stores" in str(read(site))


@pytest.mark.parametrize(
    "sql",
    ["DELETE FROM directory WHERE first = 3", "DELETE FROM directory WHERE first = 0",
     "DELETE FROM record WHERE place = 2", "DELETE FROM directory",
     "DELETE FROM conversation WHERE number = 1",
     "DELETE FROM conversation; "],
)  # fmt: skip
def test_what_was_removed_is_missed(site: Site, sql: str) -> None:
    filled(site)
    edit(site.data, sql.rstrip("; "))
    assert is_refused(site)


def test_an_older_copy_of_the_data_is_told_from_today_s(site: Site) -> None:
    filled(site)
    old = site.data.read_bytes()
    with site.open() as store:
        store.save(message(5))
    site.data.write_bytes(old)
    assert str(read(site)).startswith("RolledBackError: conversation 1: is older than its keys")
    assert not is_refused(site, "c2")
    with site.open() as store:
        assert not store.verify().ok
        with pytest.raises(RolledBackError):
            store.save(message(6))


def test_a_conversation_rolled_back_row_by_row_is_told_too(site: Site) -> None:
    filled(site)
    rows = {
        table: edit(site.data, f"SELECT * FROM {table}")
        for table in ("conversation", "directory", "record", "trail")
    }
    with site.open() as store:
        store.save(message(1, revision=1, text="revised"))
    for table, old in rows.items():
        edit(site.data, f"DELETE FROM {table}")
        for row in old:
            marks = ",".join("?" * len(row))
            edit(site.data, f"INSERT INTO {table} VALUES ({marks})", row)
    assert is_refused(site)


def test_an_older_copy_can_be_accepted_and_what_was_purged_stays_purged(site: Site) -> None:
    filled(site)
    old = site.data.read_bytes()
    with site.open() as store:
        store.purge(conversation_id="c2")
        store.save(message(5))
        store.save(message(1, revision=1, text="revised"))
    site.data.write_bytes(old)
    with site.open() as store:
        assert store.accept_restored() == 1
        assert isinstance(store.transcript("c2"), Tombstone)
        # All four shared a key that the revision destroyed.
        assert store.transcript("c1") == []
        assert store.verify().ok
        store.save(message(7))
    assert read(site) == [message(7)]


# --- after a purge ---------------------------------------------------------------------


def secrets_of(site: Site, conversations: Sequence[str]) -> list[bytes]:
    """Whatever of these conversations can be looked for in a file, in pieces of 16 bytes."""
    found: list[bytes] = []
    with site.open() as store, store._use() as shelf:
        for conversation in conversations:
            name = shelf.digests.conversation(conversation)
            state, held = shelf.load(name)
            for entry in state.entries.values():
                ((sealed,),) = shelf.data.execute(
                    "SELECT sealed FROM record WHERE place = ?", (entry.place,)
                )
                # What comes first in a header, other records of the conversation have as well.
                found += [sealed[at : at + 16] for at in range(64, len(sealed) - 16, 16)]
            for slot, wrapped in shelf.ring.leased(state.owner).items():
                found += [wrapped[32:48], wrapped[44:60], wrapped[60:76], wrapped[76:92]]
                if shelf.ring.is_data(slot, wrapped):
                    found.append(shelf.ring.unwrap(state.owner, slot, wrapped).key)
            for each in held:
                found += [each.text.encode(), conversation.encode()]
    # Padding is not a secret, and neither is any piece that other records have as well.
    return [piece for piece in found if len(set(piece)) > 3]


def hits(site: Site, pieces: Sequence[bytes]) -> list[tuple[str, bytes]]:
    files = site.files()
    return [(name, piece) for name, data in files.items() for piece in pieces if piece in data]


def busy(site: Site) -> None:
    """Conversations of many sizes, growing in turns, revised: rows would move about."""
    with site.open() as store:
        for turn in range(12):
            for number in range(12):
                store.save_all(
                    message(
                        turn * 100 + n,
                        f"conversation-{number}",
                        text=f"{number}/{turn}/{n} "
                        + "words and more " * (1 + (n * 7 + number) % 9),
                        subject=f"subject-{number}",
                        final=False,
                    )
                    for n in range(1 + (turn * number) % 7)
                )
            store.save_all(
                message(
                    turn * 100, f"conversation-{number}", revision=1, subject=f"subject-{number}"
                )
                for number in range(0, 12, 1 + turn % 3)
            )


PURGES: list[tuple[str, dict[str, str]]] = [
    ("conversation-3", {"conversation_id": "conversation-3"}),
    ("conversation-7", {"subject": "subject-7"}),
    ("conversation-11", {"conversation_id": "conversation-11"}),
]


def test_after_a_purge_no_file_holds_a_key_a_ciphertext_or_a_text_of_it(site: Site) -> None:
    busy(site)
    pieces = secrets_of(site, [name for name, _ in PURGES])
    assert len(pieces) > 300
    with site.open() as store:
        control = secrets_of_open(store)
        for _, scope in PURGES:
            assert store.purge(**scope).status == "complete"  # type: ignore[arg-type]
        assert not hits(site, pieces)
        assert hits(site, control), "the search finds what is there"
    assert not hits(site, pieces)


def secrets_of_open(store: Any) -> list[bytes]:
    with store._use() as shelf:
        rows = shelf.data.execute("SELECT sealed FROM record WHERE place = 1")
        return [bytes(sealed)[:64] for (sealed,) in rows]


def test_a_revision_leaves_nothing_of_what_it_replaced_once_the_log_is_emptied(site: Site) -> None:
    with site.open() as store:
        store.save_all(messages(20, text="the old words of it", final=False))
    pieces = secrets_of(site, ["c1"])
    with site.open() as store:
        store.save_all(messages(20, text="the new words of it", revision=1))
    assert not hits(site, pieces)
    assert read(site) == messages(20, text="the new words of it", revision=1)


def test_an_old_copy_of_the_data_opens_nothing_that_was_purged(site: Site, tmp_path: Path) -> None:
    busy(site)
    backup = site.copy(tmp_path / "backup")
    with site.open() as store:
        for _, scope in PURGES:
            store.purge(**scope)  # type: ignore[arg-type]
    shutil.copy2(site.key_data, backup.key_data)
    for name, _ in PURGES:
        found = read(backup, name)
        assert isinstance(found, Tombstone)
    assert len(read(backup, "conversation-1")) > 10
    with backup.open() as store:
        names = [name for name, _ in PURGES]
        assert not set(names) & set(store.conversations())
        assert store.save_all([message(1, names[0])])
        for name in names:
            assert store.transcript(name) == []


@pytest.mark.parametrize(
    "sql",
    ["UPDATE conversation SET head = x'00' WHERE number = 1",
     "UPDATE record SET sealed = x'4d4b' WHERE place = 1", "DELETE FROM record WHERE place = 2",
     "DELETE FROM conversation WHERE number = 1", "UPDATE directory SET slot = 99", None],
)  # fmt: skip
def test_what_was_damaged_or_rolled_back_can_still_be_purged(site: Site, sql: str | None) -> None:
    filled(site)
    if sql is None:
        old = site.data.read_bytes()
        with site.open() as store:
            store.save(message(9))
        site.data.write_bytes(old)
    else:
        edit(site.data, sql)
    assert is_refused(site)
    with site.open() as store:
        store.hold(subject="u-1")
        assert store.purge(conversation_id="c1").status == ("held" if sql is None or (
            "DELETE FROM conversation" not in sql) else "complete")  # fmt: skip
        store.release(subject="u-1")
        receipt = store.purge(conversation_id="c1")
        assert (receipt.status, receipt.keys > 0) == ("complete", True)
        assert isinstance(store.transcript("c1"), Tombstone)
        assert store.purge(conversation_id="c1") == receipt


def test_one_damaged_conversation_keeps_no_other_from_its_purge_by_age(site: Site) -> None:
    filled(site)
    edit(site.data, "UPDATE record SET sealed = x'4d4b' WHERE place = 1")
    with site.open() as store:
        receipt = store.purge(before=LATER)
        assert (receipt.status, receipt.messages, receipt.held) == ("complete", 4, 1)
        assert store.transcript("c2") == []
    with site.open() as store:
        assert store.purge(conversation_id="c1").status == "complete"
        assert store.verify().ok


def test_one_damaged_key_keeps_nobody_from_opening_the_rest(site: Site) -> None:
    with site.open() as store:
        for number in range(3):
            store.save(message(1, f"c{number}", subject=f"u-{number}"))
    ((slot, wrapped),) = edit(
        site.key_data, "SELECT number, wrapped FROM slot ORDER BY number LIMIT 1 OFFSET 2"
    )
    edit(site.key_data, "UPDATE slot SET wrapped = ? WHERE number = ?", (wrapped[:-1], slot))
    with site.open() as store, pytest.raises(TamperedError, match=f"key slot {slot}"):
        store.rotate()
    with site.open() as store:
        assert store.key_status().rotating
        assert not store.verify().ok
        read_whole = [number for number in range(3) if not is_damaged(store, f"c{number}")]
        assert len(read_whole) == 2


def is_damaged(store: Any, conversation: str) -> bool:
    try:
        return not store.transcript(conversation)
    except TamperedError:
        return True


def test_data_is_not_readable_with_the_keys_of_later_and_files_of_earlier_mixed(site: Site) -> None:
    filled(site)
    before = site.files()
    with site.open() as store:
        store.purge(conversation_id="c1")
    (site.data).write_bytes(before["t.db"])
    with site.open() as store:
        assert isinstance(store.transcript("c1"), Tombstone)
        # Nothing needs to be asked for: the first write to it overwrites what came back.
        store.purge(conversation_id="c1")
        assert store.verify().ok


def test_a_reader_keeps_a_purge_pending_and_it_says_so(site: Site) -> None:
    with site.open() as store:
        for start in range(0, 600, 100):
            store.save_all([message(n) for n in range(start, start + 100)])
        store.save_all(messages(3, "c2"))
    pieces = secrets_of(site, ["c1"])
    with site.open() as store:
        with store.reading("c1") as reader:
            assert next(reader) == message(0)
            receipt = store.purge(conversation_id="c1")
            assert (receipt.status, receipt.completed_at) == ("pending", None)
            receipt.verify(store.key_status().public_key)
            assert isinstance(store.transcript("c1"), Tombstone)
            with pytest.raises(StoreError, match="purged while it was read"):
                list(reader)
        receipt = store.purge(conversation_id="c1")
        assert (receipt.status, receipt.messages) == ("complete", 600)
        assert not hits(site, pieces)
        assert store.receipts() == [receipt]


def test_purges_that_were_pending_complete_on_opening(site: Site) -> None:
    store = site.open()
    for start in range(0, 600, 100):
        store.save_all([message(n) for n in range(start, start + 100)])
    store.save_all(messages(3, "c2"))
    with store.reading("c1") as reader:
        next(reader)
        for conversation in ("c1", "c2"):
            assert store.purge(conversation_id=conversation).status == "pending"
    with store._use() as shelf:
        store._abandon(shelf)  # as it is after a failure
    with site.open() as store:
        assert store.recovery.purges_finished == 2
        assert [each.messages for each in store.receipts()] == [600, 3]
        assert store.verify().ok


def test_the_files_are_for_their_owner_alone(site: Site) -> None:
    with site.open() as store:
        store.save(message(1))
        for path in site.folder.glob("t.*"):
            assert path.stat().st_mode & 0o077 == 0, path.name
        assert not list(site.folder.glob("*-shm"))


def test_another_process_is_told_that_the_store_is_in_use(site: Site) -> None:
    with site.open(), pytest.raises(StoreError, match="in use by another process"):
        site.open()


@pytest.mark.parametrize(
    ("name", "value"),
    [("secure_delete", 0), ("synchronous", 1), ("journal_mode", "delete")],
)
def test_a_sqlite_that_does_not_keep_a_setting_is_not_trusted(
    site: Site, name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from masker.stores import sqlite

    wrong = tuple(
        (each, {"secure_delete": "OFF", "synchronous": "NORMAL", "journal_mode": "DELETE"}[each]
         if each == name else wanted, expected)
        for each, wanted, expected in sqlite._PRAGMAS
    )  # fmt: skip
    monkeypatch.setattr(sqlite, "_PRAGMAS", wrong)
    with pytest.raises(StoreError, match=f"does not keep {name}"):
        site.open()


def test_settings_are_those_of_the_design(site: Site) -> None:
    with site.open() as store, store._use() as shelf:
        for database in (shelf.data, shelf.keys):
            settings = {
                name: database.execute(f"PRAGMA {name}")[0][0]
                for name in ("journal_mode", "synchronous", "locking_mode", "secure_delete",
                             "temp_store")
            }  # fmt: skip
            assert settings == {
                "journal_mode": "wal",
                "synchronous": 2,
                "locking_mode": "exclusive",
                "secure_delete": 1,
                "temp_store": 2,
            }


@pytest.mark.parametrize("file", ["t.db", "t.keys.db"])
@pytest.mark.parametrize("damage", ["garbage", "empty", "cut", "gone"])
def test_a_damaged_file_is_told_and_nothing_is_made_up(site: Site, file: str, damage: str) -> None:
    with site.open() as store:
        for number in range(30):
            store.save_all(messages(30, f"c{number}"))
    path = site.folder / file
    whole = path.read_bytes()
    match damage:
        case "garbage":
            path.write_bytes(b"not a database " * 1000)
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(whole[: len(whole) // 2])
        case _:
            path.unlink()
    found = [read(site, f"c{number}") for number in range(30)]
    assert any(isinstance(each, str) for each in found)
    for number, each in enumerate(found):
        assert isinstance(each, str) or each == messages(30, f"c{number}")


def test_data_and_keys_that_changed_places_are_told(tmp_path: Path) -> None:
    site = sqlite_site(tmp_path)
    with site.open() as store:
        store.save(message(1))
    other = tmp_path / "other"
    site.data.rename(other)
    site.key_data.rename(site.data)
    other.rename(site.key_data)
    with pytest.raises(StoreError, match=r"t\.keys\.db holds no keys; is it swapped with"):
        site.open()

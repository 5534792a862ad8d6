"""One contract over every backend and cipher suite: what a transcript store promises."""

from __future__ import annotations

import datetime as dt
import itertools
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masker import Finding, MaskedMessage, MaskerError, MessageError
from masker.errors import KeysError, PurgedError, StoreError
from masker.stores import Recovery, Retention, Tombstone, open_store
from masker.stores.keyring import Keyring
from masker.stores.saving import Batch
from masker.stores.sealed import SealedStore
from masker.stores.writing import Writer
from masker.vault.keyfile import make_key_file
from store_kit import (
    LATER,
    NOON,
    Site,
    message,
    messages,
    postgres_server,
    quick_folder,
    quick_site,
    sqlite_site,
)

DAY = dt.timedelta(days=1)


@pytest.fixture(scope="session")
def new_database() -> Iterator[Callable[[], str]]:
    folder = quick_folder()
    yield from postgres_server(folder)
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "sqlite-sm4", "postgresql"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with quick_site("sm4-gcm" if request.param.endswith("sm4") else "aes-256-gcm") as found:
        if request.param == "postgresql":
            found.url = request.getfixturevalue("new_database")()
        yield found


@pytest.fixture
def store(site: Site) -> Iterator[SealedStore]:
    opened = site.open()
    yield opened
    opened.close()


def texts(store: SealedStore, conversation: str = "c1") -> list[str]:
    return [each.text for each in store.transcript(conversation)]


# --- what goes in comes out ------------------------------------------------------------


def test_what_was_saved_comes_back_in_the_order_it_first_came(store: SealedStore) -> None:
    given_ = [message(n) for n in (5, 1, 9, 3)]
    for each in given_[:2]:
        store.save(each)
    assert store.save_all(given_[2:]) == ()
    assert store.transcript("c1") == given_


def test_what_was_saved_is_there_when_the_store_is_opened_again(site: Site) -> None:
    with site.open() as store:
        store.save_all(messages(300))
    with site.open() as store:
        assert store.recovery == Recovery()
        assert store.transcript("c1") == messages(300)
        store.save(message(300))
        assert store.transcript("c1") == messages(301)


def test_a_conversation_nobody_saved_is_empty(store: SealedStore) -> None:
    assert store.transcript("nobody") == []
    assert not isinstance(store.transcript("nobody"), Tombstone)
    assert store.conversations() == []
    assert store.save_all([]) == ()


texts_of_any_kind = st.text(st.characters(exclude_categories=()), max_size=40)
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5)
    | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)  # fmt: skip
zones = st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=8)), dt.timezone(dt.timedelta(0))])
masked_messages = st.builds(
    MaskedMessage,
    conversation_id=st.just("c1"),
    message_id=texts_of_any_kind,
    sender=texts_of_any_kind,
    text=texts_of_any_kind,
    timestamp=st.none() | st.datetimes(
        dt.datetime(1970, 1, 1), dt.datetime(2100, 1, 1), timezones=zones),  # noqa: DTZ001
    channel=st.none() | texts_of_any_kind,
    subject=st.none() | texts_of_any_kind,
    extra=st.dictionaries(st.text(max_size=5), plain_values, max_size=3),
    revision=st.integers(0, 3),
    final=st.booleans(),
    findings=st.lists(
        st.builds(Finding, st.text(max_size=5), st.text(max_size=5), st.integers(0, 9),
                  st.integers(0, 9), st.floats(0, 1)), max_size=2).map(tuple),
)  # fmt: skip


@settings(max_examples=40)
@given(batches=st.lists(st.lists(masked_messages, max_size=6), max_size=4))
def test_any_message_comes_back_as_it_was_highest_revision_first_place(
    batches: list[list[MaskedMessage]],
) -> None:
    expected: dict[str, MaskedMessage] = {}
    with quick_site() as site, site.open() as store:
        for batch in batches:
            store.save_all(batch)
            newest: dict[str, MaskedMessage] = {}
            for each in batch:
                if each.message_id not in newest or (
                    newest[each.message_id].revision <= each.revision
                ):
                    newest[each.message_id] = each
            for each in newest.values():
                known = expected.get(each.message_id)
                if known is None or known.revision < each.revision:
                    expected[each.message_id] = each
            assert store.transcript("c1") == list(expected.values())
        store.close()
        with site.open() as again:
            assert again.transcript("c1") == list(expected.values())
            assert again.verify().ok


def test_raw_fields_of_the_command_line_come_back_as_the_bytes_they_were(
    store: SealedStore,
) -> None:
    raw = {"price": msgspec.Raw(b"1.10"), "id": msgspec.Raw(b"1" * 40)}
    store.save(message(1, extra=raw))
    (back,) = store.transcript("c1")
    assert {name: bytes(value) for name, value in back.extra.items()} == {
        "price": b"1.10",
        "id": b"1" * 40,
    }


@pytest.mark.parametrize("value", [object(), {1, object()}, 2**70, lambda: None, b"\xff" and ...])
def test_what_cannot_be_stored_names_the_message_and_stores_nothing(
    store: SealedStore, value: Any
) -> None:
    with pytest.raises(MessageError, match="message 'm2' of 'c1'"):
        store.save_all([message(1), message(2, extra={"note": value}), message(3)])
    assert store.transcript("c1") == []
    store.save(message(1))
    assert texts(store) == [message(1).text]


def test_a_naive_time_is_refused_and_named(store: SealedStore) -> None:
    with pytest.raises(MessageError, match="timestamp has no time zone"):
        store.save(message(1, at=dt.datetime(2024, 1, 1)))  # noqa: DTZ001 - that is the case


# --- revisions -------------------------------------------------------------------------


def test_the_highest_revision_wins_and_keeps_its_place(store: SealedStore) -> None:
    store.save_all([message(n, text=f"*** {n}", final=False) for n in range(40)])
    store.save(message(7, text="seven, two", revision=2))
    store.save(message(7, text="seven, one", revision=1))
    store.save(message(7, text="seven, two again", revision=2))
    expected = [f"*** {n}" for n in range(40)]
    expected[7] = "seven, two"
    assert texts(store) == expected


def test_a_batch_may_hold_several_revisions_of_a_message(store: SealedStore) -> None:
    store.save_all(
        [message(1, revision=r, text=f"r{r}") for r in (0, 2, 1)] + [message(2), message(1)]
    )
    assert texts(store) == ["r2", message(2).text]


def test_revisions_over_many_segments_and_conversations(site: Site) -> None:
    with site.open() as store:
        for conversation in ("a", "b"):
            for start in range(0, 300, 60):
                store.save_all(
                    message(n, conversation, final=False) for n in range(start, start + 60)
                )
        store.save_all(
            message(n, c, revision=1, text=f"{c}{n}") for n in range(0, 300, 7) for c in ("a", "b")
        )
    with site.open() as store:
        for conversation in ("a", "b"):
            for n, each in enumerate(store.transcript(conversation)):
                assert each.text == (f"{conversation}{n}" if n % 7 == 0 else message(n).text)
                assert each.final == (n % 7 == 0)
        assert store.verify().ok


def test_a_replaced_revision_loses_its_key(store: SealedStore) -> None:
    store.save(message(1, final=False))
    before = store.key_status()
    store.save(message(1, revision=1))
    after = store.key_status()
    assert after.destroyed == before.destroyed + 1
    assert store.verify().ok


# --- who and where ---------------------------------------------------------------------


def test_conversations_are_found_by_subject(store: SealedStore) -> None:
    store.save_all([message(1, "c1"), message(2, "c2", subject="u-2"), message(3, "c3")])
    store.save(message(4, "c2", subject="u-1"))
    store.save(message(5, "c4", subject=None))
    assert store.conversations() == ["c1", "c2", "c3", "c4"]
    assert store.conversations(subject="u-1") == ["c1", "c2", "c3"]
    assert store.conversations("u-2") == ["c2"]
    assert store.conversations("nobody") == []


def test_the_trail_tells_what_happened_by_counts_alone(store: SealedStore) -> None:
    store.save_all([message(1, final=False), message(2, text="hello")])
    store.save(message(1, revision=1))
    store.transcript("c1")
    store.purge(conversation_id="c1")
    events = store.trail(conversation_id="c1")
    assert [(event.kind, event.count, dict(event.rules)) for event in events] == [
        ("received", 2, {}),
        ("masked", 1, {"payment-card": 1}),
        ("revised", 1, {}),
        ("masked", 1, {"payment-card": 1}),
        ("read", 2, {}),
        ("purged", 2, {}),
    ]
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert store.trail(subject="u-1") == events
    assert store.trail(conversation_id="nobody") == []


# --- purging ---------------------------------------------------------------------------


def test_a_purged_conversation_gives_a_tombstone(store: SealedStore) -> None:
    store.save_all([*messages(200), *messages(3, "c2")])
    receipt = store.purge(conversation_id="c1")
    receipt.verify(store.key_status().public_key)
    assert (receipt.status, receipt.scope, receipt.number) == ("complete", "conversation", 1)
    assert (receipt.conversations, receipt.messages) == (1, 200)
    assert receipt.is_about("c1")
    assert not receipt.is_about("c2")
    tombstone = store.transcript("c1")
    assert isinstance(tombstone, Tombstone)
    assert len(tombstone) == 0
    assert (tombstone.receipt, tombstone.messages) == (1, 200)
    assert tombstone.purged_at.year == LATER.year
    assert store.transcript("c2") == messages(3, "c2")
    assert store.conversations() == ["c2"]
    assert store.verify().ok


def test_asking_again_gives_the_same_receipt(site: Site) -> None:
    with site.open() as store:
        store.save_all(messages(3))
        receipt = store.purge(conversation_id="c1")
        assert store.purge(conversation_id="c1") == receipt
    with site.open() as store:
        assert store.purge(conversation_id="c1") == receipt
        assert store.receipts() == [receipt]


def test_purging_what_was_never_there_is_said_and_keeps_late_messages_out(
    store: SealedStore,
) -> None:
    receipt = store.purge(subject="u-1")
    assert (receipt.messages, receipt.status) == (0, "complete")
    assert store.save_all([message(1)])[0].message_id == "m1"


def test_a_subject_is_purged_in_every_conversation_whole(store: SealedStore) -> None:
    store.save_all([message(1, "c1"), message(2, "c1", subject=None, sender="agent")])
    store.save_all([message(1, "c2", subject=None), message(2, "c2")])
    store.save(message(1, "c3", subject="u-2"))
    receipt = store.purge(subject="u-1")
    assert (receipt.conversations, receipt.messages) == (2, 4)
    assert receipt.is_about("u-1")
    assert store.conversations() == ["c3"]
    assert store.conversations("u-1") == []
    assert store.verify().ok


def test_a_late_message_is_refused_and_nothing_is_resurrected(store: SealedStore) -> None:
    store.save_all([message(1, final=False), message(2, "c2", subject="u-2")])
    store.purge(conversation_id="c1")
    for late in (message(1, revision=1), message(2), message(3, at=None)):
        with pytest.raises(PurgedError, match="purged") as caught:
            store.save(late)
        assert late.text not in str(caught.value)
    refused = store.save_all([message(4), message(5, "c2", subject="u-2")])
    assert [each.message_id for each in refused] == ["m4"]
    assert store.transcript("c1") == []
    assert len(store.transcript("c2")) == 2


def test_asking_again_keeps_out_what_was_said_since(site: Site) -> None:
    """A message may wait in a buffer while the store, which has nothing of it, is asked again."""
    with site.open() as store:
        store.save_all([message(1), message(2, "c2")])
        receipts = [store.purge(conversation_id="c1"), store.purge(subject="u-1")]
        site.clock.now += DAY
        waiting = [message(3, at=site.clock.now), message(4, "new", at=site.clock.now)]
        assert [store.purge(conversation_id="c1"), store.purge(subject="u-1")] == receipts
        assert len(store.save_all(waiting)) == 2


def test_a_late_message_of_a_purged_subject_is_refused_in_any_conversation(
    store: SealedStore,
) -> None:
    store.save(message(1))
    store.purge(subject="u-1")
    (refused,) = store.save_all([message(9, "elsewhere"), message(9, "other", subject="u-2")])
    assert (refused.conversation_id, refused.message_id) == ("elsewhere", "m9")


def test_a_person_who_comes_back_after_a_purge_is_heard(site: Site) -> None:
    tomorrow = LATER + DAY
    with site.open() as store:
        store.save_all(messages(3))
        first = store.purge(conversation_id="c1")
        store.save(message("new", at=tomorrow))
        assert texts(store) == [message(1).text]
    with site.open() as store:
        assert [each.message_id for each in store.transcript("c1")] == ["mnew"]
        site.clock.now = tomorrow + DAY
        second = store.purge(conversation_id="c1")
        assert (second.number, second.messages) == (2, 1)
        assert second.previous == first.digest()
        assert store.transcript("c1") == []
        assert store.verify().ok


def test_receipts_form_a_chain(store: SealedStore) -> None:
    for number in range(4):
        store.save(message(number, f"c{number}"))
        store.purge(conversation_id=f"c{number}")
    receipts = store.receipts()
    assert [each.number for each in receipts] == [1, 2, 3, 4]
    for before, after in itertools.pairwise(receipts):
        assert after.previous == before.digest()


def test_purging_by_age_takes_messages_and_not_conversations(site: Site) -> None:
    with site.open() as store:
        store.save_all([*messages(300), *messages(10, "old", at=NOON - DAY)])
        store.save_all(messages(5, "undated", at=None))
        receipt = store.purge(before=NOON + dt.timedelta(seconds=150))
        assert (receipt.scope, receipt.messages, receipt.conversations) == ("before", 160, 2)
        assert receipt.before == "2024-05-17T12:02:30+00:00"
        assert store.transcript("c1") == messages(300)[150:]
        assert store.transcript("old") == []
        assert len(store.transcript("undated")) == 5
        assert store.purge(before=NOON + dt.timedelta(seconds=150)) == receipt
        (refused,) = store.save_all([message(3), message(400)])
        assert refused.message_id == "m3"
        store.save(message(200, revision=1, text="revised"))
    with site.open() as store:
        assert [each.message_id for each in store.transcript("c1")][-1] == "m400"
        assert store.transcript("c1")[50].text == "revised"
        assert store.verify().ok


def test_retention_is_by_channel(site: Site) -> None:
    retention = Retention(days=30, channels={"wechat": 10, "mail": 1000})
    with site.open(retention=retention) as store:
        for channel in ("app", "wechat", "mail", None):
            store.save_all(
                message(n, f"{channel}", channel=channel, at=LATER - n * DAY) for n in range(60)
            )
        mixed = [message(n, "mixed", channel=("wechat", "mail")[n % 2], at=LATER - n * DAY)
                 for n in range(60)]  # fmt: skip
        store.save_all(mixed)
        receipt = store.expire(LATER)
        assert receipt is not None
        receipt.verify(store.key_status().public_key)
        kept = {c: len(store.transcript(c)) for c in ("app", "wechat", "mail", "None", "mixed")}
        assert kept == {"app": 31, "wechat": 11, "mail": 60, "None": 31, "mixed": 6 + 30}
        assert store.transcript("mixed") == [
            each for n, each in enumerate(mixed) if n % 2 or n < 11
        ]
        assert store.expire(LATER) is None
        assert store.verify().ok


def test_messages_without_a_time_expire_by_when_they_were_saved(site: Site) -> None:
    with site.open() as store:
        store.save_all(messages(3, at=None))
        store.save(message(1, at=None, revision=1, text="revised"))
        assert store.expire(LATER + 29 * DAY, Retention(days=30)) is None
        receipt = store.expire(LATER + 31 * DAY, Retention(days=30))
        assert receipt is not None
        assert receipt.messages == 3


def test_expiring_without_a_retention_says_so(store: SealedStore) -> None:
    with pytest.raises(StoreError, match="how many days"):
        store.expire(LATER)


def test_a_legal_hold_defers_a_purge_and_says_so(site: Site) -> None:
    with site.open() as store:
        store.save_all([*messages(3), *messages(2, "c2", subject="u-2")])
        store.hold(subject="u-1")
        receipt = store.purge(conversation_id="c1")
        assert (receipt.status, receipt.held, receipt.pending) == ("held", 1, True)
        assert store.transcript("c1") == messages(3)
        aged = store.purge(before=LATER)
        assert (aged.messages, aged.held) == (2, 1)
        assert "held" in [event.kind for event in store.trail(conversation_id="c1")]
    with site.open() as store:
        assert store.purge(conversation_id="c1").status == "held"
        (receipt,) = store.release(subject="u-1")
        assert (receipt.status, receipt.messages) == ("complete", 3)
        assert isinstance(store.transcript("c1"), Tombstone)
        assert store.purge(conversation_id="c1") == receipt
        assert store.verify().ok


@pytest.mark.parametrize("scope", [{}, {"conversation_id": "c1", "subject": "u-1"}])
def test_a_purge_is_of_one_thing(store: SealedStore, scope: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="say one of: conversation_id, subject, before"):
        store.purge(**scope)


def test_a_receipt_of_a_purge_that_was_held_leaves_nothing_held(store: SealedStore) -> None:
    store.save_all(messages(3))
    store.hold(conversation_id="c1")
    assert store.purge(conversation_id="c1").held == 1
    (receipt,) = store.release(conversation_id="c1")
    assert (receipt.status, receipt.messages, receipt.held) == ("complete", 3, 0)
    assert store.purge(conversation_id="c1") == receipt


def test_a_purge_leaves_no_conversation_that_cannot_be_written_to(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first save that fails leaves keys of a conversation that no record links to anybody."""
    with site.open() as store:
        store.save_all(messages(3, "c1", subject="u-1"))
        with monkeypatch.context() as patch:
            patch.setattr(Writer, "flush", _fails)
            with pytest.raises(StoreError, match="the disk is full"):
                store.save_all(messages(3, "c2", subject="u-1"))
        assert store.transcript("c2") == []
        assert store.purge(subject="u-1").status == "complete"
        later = message(9, "c2", at=LATER + DAY, subject="u-1")
        store.save(later)
        assert store.transcript("c2") == [later]
        assert store.verify().ok
    with site.open() as store:
        assert store.transcript("c2") == [later]


def _fails(*_: object) -> None:
    raise StoreError("the disk is full")


# --- keys ------------------------------------------------------------------------------


def test_rotation_wraps_keys_again_and_leaves_records_as_they_are(site: Site) -> None:
    with site.open() as store:
        for number in range(20):
            store.save_all(messages(5, f"c{number}", subject=f"u-{number}"))
        assert store.rotate() == 22
        assert store.key_status().epoch == 2
        store.save(message(6, "c3", subject="u-3"))
        assert store.verify().ok
    with site.open() as store:
        assert not store.key_status().rotating
        assert len(store.transcript("c3")) == 6
        assert store.rotate() == 22
        assert store.key_status().epoch == 3


def test_rotation_to_other_keys_leaves_the_old_ones_without_use(site: Site) -> None:
    make_key_file(site.folder / "new.keys")
    with site.open() as store:
        store.save_all(messages(5))
        store.rotate(f"file:{site.folder / 'new.keys'}")
        assert store.transcript("c1") == messages(5)
    with pytest.raises(KeysError, match="made with other keys"):
        site.open()
    with site.open(keys=f"file:{site.folder / 'new.keys'}") as store:
        assert store.transcript("c1") == messages(5)


@pytest.mark.parametrize("moment", ["finish_rotation", "_rewrapped", "_end_epochs"])
def test_a_rotation_to_other_keys_that_breaks_off_goes_on_with_these(
    site: Site, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Some keys are under the old epoch then, some under the new one; one provider opens both."""
    make_key_file(site.folder / "new.keys")
    make_key_file(site.folder / "third.keys")
    new, third = (f"file:{site.folder / name}" for name in ("new.keys", "third.keys"))
    calls = itertools.count()
    done = getattr(Keyring, moment)

    def breaks(ring: Keyring, *arguments: Any) -> Any:
        if next(calls) == (moment == "_rewrapped"):
            raise StoreError("the disk is full")
        return done(ring, *arguments)

    with site.open() as store:
        store.save_all([*messages(5), *messages(5, "c2", subject="u-2")])
        with monkeypatch.context() as patch:
            patch.setattr(Keyring, moment, breaks)
            with pytest.raises(StoreError, match="the disk is full"):
                store.rotate(new)
        # The same store goes on by itself, and with others' keys as well.
        assert store.transcript("c1") == messages(5)
        with monkeypatch.context() as patch:
            patch.setattr(Keyring, moment, breaks)
            calls = itertools.count()
            with pytest.raises(StoreError, match="the disk is full"):
                store.rotate(third)
    with pytest.raises(KeysError, match="made with other keys"):
        site.open()
    with site.open(keys=third) as store:
        assert store.transcript("c1") == messages(5)
        assert not store.key_status().rotating
        assert store.verify().ok


def test_a_rotation_to_other_keys_takes_up_one_that_was_left(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key_file(site.folder / "new.keys")
    new = f"file:{site.folder / 'new.keys'}"
    with site.open() as store:
        store.save_all(messages(5))
        with monkeypatch.context() as patch:
            patch.setattr(Keyring, "finish_rotation", lambda *_: 0)
            store.rotate()
            assert store.key_status().rotating
        store.rotate(new)
        assert store.key_status().provider == new
    with site.open(keys=new) as store:
        assert store.transcript("c1") == messages(5)
        assert not store.key_status().rotating


def test_wrong_keys_open_nothing_and_say_what_to_do(site: Site) -> None:
    site.open().close()
    make_key_file(site.folder / "other.keys")
    with pytest.raises(KeysError, match=r"made with other keys: give those \(--keys\)"):
        site.open(keys=f"file:{site.folder / 'other.keys'}")


def test_a_store_keeps_its_suite(site: Site) -> None:
    site.open().close()
    other = "aes-256-gcm" if site.suite == "sm4-gcm" else "sm4-gcm"
    with site.open(suite=other) as store:
        assert store.key_status().suite == site.suite


# --- the rest --------------------------------------------------------------------------


def test_verify_counts_what_it_walked(store: SealedStore) -> None:
    store.save_all([*messages(200), *messages(10, "c2")])
    seen: list[tuple[int, int]] = []
    report = store.verify(progress=lambda done, of: seen.append((done, of)))
    assert report.ok
    assert (report.conversations, report.messages, report.records) == (2, 210, 3)
    assert seen == [(1, 2), (2, 2)]


def test_a_transcript_can_be_read_a_message_at_a_time(store: SealedStore) -> None:
    store.save_all(messages(400))
    with store.reading("c1") as read:
        assert list(read) == messages(400)
    with store.reading("nobody") as read:
        assert list(read) == []


def test_a_closed_store_says_so(store: SealedStore) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.transcript("c1")


def test_space_can_be_given_back(store: SealedStore) -> None:
    for number in range(10):
        store.save_all(messages(100, f"c{number}"))
    for number in range(9):
        store.purge(conversation_id=f"c{number}")
    store.compact()
    assert store.transcript("c9") == messages(100, "c9")
    assert store.verify().ok


def test_nothing_of_a_message_is_in_a_repr_or_an_error(store: SealedStore) -> None:
    secret = "something only two people know"
    store.save(message(1, text=secret))
    receipt = store.purge(conversation_id="c1")
    for shown in (repr(store), repr(receipt), repr(store.transcript("c1")), str(store.recovery)):
        assert secret not in shown
        assert "u-1" not in shown


@pytest.mark.parametrize("url", ["", "t.db", "mysql://x", "sqlite://", "sqlite:///", "postgres:"])
def test_a_url_nobody_knows_says_what_there_is(url: str, tmp_path: Path) -> None:
    site = sqlite_site(tmp_path)
    with pytest.raises(MaskerError, match="a store is given as"):
        open_store(url, site.keys)


def test_several_processes_share_a_store_in_postgresql(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    site = sqlite_site(tmp_path)
    site.url = new_database()
    with site.open() as one, site.open() as two:
        one.save_all(messages(10))
        two.save_all(message(n) for n in range(10, 20))
        one.save(message(3, revision=1, text="three"))
        two.save(message(20))
        assert len(one.transcript("c1")) == len(two.transcript("c1")) == 21
        assert one.transcript("c1")[3].text == "three"
        two.purge(conversation_id="c1")
        (refused,) = one.save_all([message(4)])
        assert refused.message_id == "m4"
        assert isinstance(one.transcript("c1"), Tombstone)
        assert one.verify().ok


def test_threads_may_share_a_store(site: Site) -> None:
    """Two stores where the backend has several processes; one store for all threads elsewhere."""
    with site.open() as one, ExitStack() as stack:
        stores = [one, one] if site.is_sqlite else [one, stack.enter_context(site.open())]

        def save(worker: int) -> None:
            for number in range(20):
                for conversation in ("c1", f"c-{number}"):
                    stores[worker % 2].save(message(f"{worker}-{number}", conversation))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(save, range(4)))
        assert len(one.transcript("c1")) == 80
        assert all(len(one.transcript(f"c-{number}")) == 4 for number in range(20))
        assert one.verify().ok


class CountingKeys:
    """A provider that counts what it is asked."""

    name = "counting"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        self.asked.append(f"wrap {context['epoch']}")
        return bytes(byte ^ 0x55 for byte in key)

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        self.asked.append(f"unwrap {context['epoch']}")
        return bytes(byte ^ 0x55 for byte in wrapped)

    def destroy(self, wrapped: bytes) -> None:
        self.asked.append("destroy")


def test_a_provider_is_asked_once_an_epoch_and_never_for_a_message(site: Site) -> None:
    keys = CountingKeys()
    with site.open(keys=keys) as store:
        for number in range(50):
            store.save(message(number, f"c{number}", subject=f"u-{number}"))
        assert keys.asked == ["wrap 1"]
    with site.open(keys=keys) as store:
        store.transcript("c1")
        store.rotate()
        store.save(message(99))
    assert keys.asked == ["wrap 1", "unwrap 1", "wrap 2", "destroy"]


def test_a_purge_in_postgresql_waits_for_who_saves_of_that_person(
    new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it destroyed the key that a conversation is about to be sealed under."""
    keys_are_made, go_on = threading.Event(), threading.Event()
    provide = Batch._provide

    def slow(batch: Batch, plans: Sequence[Any]) -> None:
        provide(batch, plans)
        if plans[0].conversation_id == "c2":
            keys_are_made.set()
            assert go_on.wait(60)

    with quick_site("aes-256-gcm") as site, ThreadPoolExecutor(2) as threads:
        site.url = new_database()
        with site.open() as saving, site.open() as purging:
            saving.save(message(1, "c1", subject="u-9"))
            monkeypatch.setattr(Batch, "_provide", slow)
            saved = threads.submit(saving.save, message(2, "c2", subject="u-9"))
            assert keys_are_made.wait(60)
            purged = threads.submit(purging.purge, subject="u-9")
            # Time enough to go wrong: it would be over long before the save is.
            wait([purged], timeout=1)
            go_on.set()
            saved.result(60)
            receipt = purged.result(60)
            assert (receipt.conversations, receipt.messages) == (2, 2)
            for conversation in ("c1", "c2"):
                assert isinstance(saving.transcript(conversation), Tombstone)
            assert purging.verify().ok


def test_a_reader_in_postgresql_keeps_a_purge_pending(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    import psycopg

    site = sqlite_site(tmp_path)
    site.url = new_database()
    with site.open() as store:
        store.save_all(messages(200))
        with psycopg.connect(site.url) as reader:
            reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            reader.execute("SELECT count(*) FROM masker.record").fetchall()
            receipt = store.purge(conversation_id="c1")
            assert receipt.status == "pending"
            receipt.verify()
            assert isinstance(store.transcript("c1"), Tombstone)
            assert store.purge(conversation_id="c1").status == "pending"
        assert store.purge(conversation_id="c1").status == "complete"


def test_the_keys_may_be_in_a_database_of_their_own(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    site = sqlite_site(tmp_path)
    site.url, keys_url = new_database(), new_database()
    with site.open(keys_url=keys_url) as store:
        store.save_all(messages(3))
    with site.open(keys_url=keys_url) as store:
        assert store.transcript("c1") == messages(3)
    with pytest.raises(StoreError, match="two different stores"):
        site.open()


@pytest.mark.parametrize(("missing", "extra"), [("msgspec", "store"), ("psycopg", "postgres")])
def test_a_missing_extra_says_what_to_install(missing: str, extra: str, tmp_path: Path) -> None:
    site = sqlite_site(tmp_path)
    url = "postgresql://localhost/none" if extra == "postgres" else site.url
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from masker.errors import MissingExtraError\n"
        "from masker.stores import open_store\n"
        f"try: open_store({url!r}, {site.keys!r})\n"
        "except MissingExtraError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert f"masker[{extra}]" in done.stdout

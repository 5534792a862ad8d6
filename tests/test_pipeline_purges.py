"""A purge takes what is stored and what still waits: in memory, in Redis, in other workers."""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from masker import Masker, Message, MessageError
from masker.buffers import MemoryBuffers, RedisBuffers
from masker.errors import StageError
from masker.middleware import AsyncPipeline, Pipeline, PurgeWords
from masker.middleware.purging import MAX_OF_SUBJECT
from masker.stores import open_store
from masker.vault.keyfile import make_key_file
from pipelines import ListStore
from redis_here import RedisServer, redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masker.stores.sealed import SealedStore

MASKER = Masker(rules=["payment-card", "cn-resident-id"])
KEY = secrets.token_bytes(32)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SealedStore]:
    make_key_file(tmp_path / "keys")
    with open_store(f"sqlite:///{tmp_path}/chat.db", keys=f"file:{tmp_path}/keys") as opened:
        yield opened


def over(server: RedisServer, **options: Any) -> Any:
    buffers = RedisBuffers(server.url, keys=KEY, timeout=0.2, lease_seconds=0.001)
    return MASKER.redactor(buffers=buffers, **options)


def redactors(server: RedisServer) -> list[Any]:
    return [MASKER.redactor(), MASKER.redactor(buffers=MemoryBuffers()), over(server)]


def said(number: int, text: str, conversation_id: str = "c1", **more: Any) -> Message:
    return Message(conversation_id, f"m{number}", "user", text, dt.datetime.now(dt.UTC), **more)


def parts_in(server: RedisServer) -> int:
    client: Any = redis.Redis.from_url(server.url)
    return len(client.keys("*:p:*"))


def test_a_purge_of_a_subject_clears_what_waits_in_every_conversation(
    server: RedisServer, store: SealedStore
) -> None:
    for redactor in redactors(server):
        pipeline = Pipeline(MASKER, store=store, redactor=redactor)
        subject = secrets.token_hex(4)
        pipeline.receive(said(1, "it is 4111 1111", "c1", subject=subject))
        pipeline.receive(said(1, "it is 4111 1111", "c2", subject=subject))
        receipt = pipeline.purge(subject=subject)
        assert (receipt.status, receipt.conversations) == ("complete", 2)
        assert redactor.pending == 0
        assert pipeline.close().revisions == ()
        # What is said next is put together with nothing of what was purged.
        pipeline.receive(said(2, "1111 1111", "c3", subject=subject))
        # With so short a lease it may come out twice.
        assert {m.text for m in pipeline.close().revisions} == {"1111 1111"}
        pipeline.purge(conversation_id="c3")
    assert parts_in(server) == 0


def test_a_purge_clears_what_only_another_worker_knows_of(
    server: RedisServer, store: SealedStore
) -> None:
    one, other = (Pipeline(MASKER, store=store, redactor=over(server)) for _ in range(2))
    one.receive(said(1, "it is 4111 1111", "c1", subject="u1"))
    one.receive(said(2, "see 6225", "c1"))
    assert parts_in(server) > 0
    assert other.purge(subject="u1").status == "complete"
    assert parts_in(server) == 0
    for worker in (one, other):
        assert worker.advance(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).revisions == ()
    assert store.transcript("c1") == []


def test_what_a_purge_dropped_comes_out_of_no_other_worker(
    server: RedisServer, store: SealedStore
) -> None:
    pipeline = Pipeline(MASKER, store=store, redactor=over(server))
    pipeline.receive(said(1, "it is 4111 1111"))
    pipeline.purge(conversation_id="c1")
    time.sleep(0.01)
    assert over(server).advance(dt.datetime.now(dt.UTC)) == []


def test_a_purge_asked_for_in_the_chat_takes_what_waits(
    server: RedisServer, store: SealedStore
) -> None:
    words = PurgeWords(scope="subject")
    one, other = (
        Pipeline(MASKER, store=store, redactor=over(server), purge=words) for _ in range(2)
    )
    one.receive(said(1, "it is 4111 1111", "c1", subject="u1"))
    other.receive(said(1, "delete my data", "c2", subject="u1"))
    assert other.receive(said(2, "yes", "c2", subject="u1")).receipt.conversations == 2
    assert parts_in(server) == 0


def test_a_purge_while_redis_is_away_is_done_in_the_store_and_goes_on_when_asked_again(
    server: RedisServer, store: SealedStore
) -> None:
    pipeline = Pipeline(MASKER, store=store, redactor=over(server))
    pipeline.receive(said(1, "it is 4111 1111", subject="u1"))
    server.freeze()
    with pytest.raises(StageError, match="redactor: drop failed"):
        pipeline.purge(subject="u1")
    assert store.transcript("c1") == []
    server.thaw()
    time.sleep(1.1)
    assert pipeline.purge(subject="u1").status == "complete"
    assert parts_in(server) == 0
    assert pipeline.close().revisions == ()


def test_under_legal_hold_what_waits_is_kept_too(store: SealedStore) -> None:
    pipeline = Pipeline(MASKER, store=store)
    pipeline.receive(said(1, "it is 4111 1111", subject="u1"))
    store.hold(subject="u1")
    assert pipeline.purge(subject="u1").status == "held"
    pipeline.receive(said(2, "1111 1111 ok", subject="u1"))
    pipeline.close()
    assert [m.text for m in store.transcript("c1")] == ["it is **** ****", "**** 1111 ok"]


def test_a_damaged_conversation_keeps_none_from_being_purged(
    tmp_path: Path, store: SealedStore
) -> None:
    pipeline = Pipeline(MASKER, store=store)
    for name in ("c1", "c2"):
        pipeline.receive(said(1, "hello there", name, subject="u1"))
    store.close()
    with sqlite3.connect(tmp_path / "chat.db") as database:
        database.execute("UPDATE record SET sealed = zeroblob(length(sealed)) WHERE place = 1")
    database.close()
    opened = open_store(f"sqlite:///{tmp_path}/chat.db", keys=f"file:{tmp_path}/keys")
    with opened as again:
        assert Pipeline(MASKER, store=again).purge(subject="u1").conversations == 2


def test_an_awaited_purge_is_the_same(server: RedisServer) -> None:
    store = ListStore()

    async def talk() -> Any:
        pipeline = AsyncPipeline(MASKER, store=store, redactor=over(server))
        await pipeline.receive(said(1, "it is 4111 1111", subject="u1"))
        return await pipeline.purge(subject="u1")

    assert asyncio.run(talk()) == "receipt-1"
    assert (store.saved, parts_in(server)) == ([], 0)


def test_what_the_store_had_not_taken_of_a_purge_is_dropped_and_no_more() -> None:
    store = ListStore()
    pipeline = Pipeline(MASKER, store=store)
    store.broken = True
    for message in (said(1, "one", "c1", subject="u1"), said(2, "two", "c2")):
        with pytest.raises(StageError):
            pipeline.receive(message)
    store.broken = False
    pipeline.purge(subject="u1")
    pipeline.close()
    assert [masked.text for masked in store.saved] == ["two"]


@pytest.mark.parametrize("scope", [{}, {"conversation_id": "c1", "subject": "u1"}])
def test_a_purge_is_of_one_thing(scope: Any) -> None:
    with pytest.raises(MessageError, match="a purge is of"):
        Pipeline(MASKER, store=ListStore()).purge(**scope)
    with pytest.raises(MessageError, match="needs a store"):
        Pipeline(MASKER).purge(subject="u1")


def test_somebody_with_a_new_conversation_each_time_takes_no_more_and_more_memory() -> None:
    pipeline = Pipeline(MASKER, store=ListStore(), purge=PurgeWords(scope="subject"))
    for number in range(MAX_OF_SUBJECT + 100):
        pipeline.receive(said(1, "hello", f"c{number}", subject="u1"))
    assert len(pipeline._flow._conversations.of("u1")) == MAX_OF_SUBJECT

"""A pipeline whose workers share Redis: what its store took is acknowledged, and nothing else."""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest

from masker import MaskedMessage, Masker, Message
from masker.buffers import RedisBuffers, SharedRedactor
from masker.errors import StageError
from masker.middleware import AsyncPipeline, Pipeline
from redis_here import RedisServer, redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

MASKER = Masker(rules=["payment-card", "cn-resident-id"])
KEY = secrets.token_bytes(32)
NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)


class Kept:
    """A store in memory; `broken` ones take nothing."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken
        self.messages: list[MaskedMessage] = []

    def save_all(self, messages: Iterable[MaskedMessage]) -> None:
        if self.broken:
            raise OSError
        self.messages += messages

    def purge(self, **_: Any) -> None:
        raise AssertionError


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


def redactor(server: RedisServer) -> SharedRedactor:
    buffers = RedisBuffers(server.url, keys=KEY, lease_seconds=0.001)
    return MASKER.redactor(buffers=buffers, acknowledge="explicitly")


def said(number: int, text: str) -> Message:
    return Message("c1", f"m{number}", "user", text, NOON + dt.timedelta(seconds=number))


def test_what_the_store_took_does_not_come_out_again(server: RedisServer) -> None:
    store = Kept()
    pipeline = Pipeline(MASKER, store=store, redactor=redactor(server))
    pipeline.receive(said(1, "5105 1051"))
    pipeline.receive(said(2, "hello"))
    assert [masked.text for masked in store.messages] == ["**** ****", "hello"]
    time.sleep(0.01)
    assert redactor(server).advance(NOON) == []


def test_what_the_store_did_not_take_comes_out_of_another_worker(server: RedisServer) -> None:
    pipeline = Pipeline(MASKER, store=Kept(broken=True), redactor=redactor(server))
    with pytest.raises(StageError):
        pipeline.receive(said(1, "hello"))
    time.sleep(0.01)
    assert [masked.text for masked in redactor(server).advance(NOON)] == ["hello"]


def test_the_same_where_it_is_awaited(server: RedisServer) -> None:
    store = Kept()
    pipeline = AsyncPipeline(MASKER, store=store, redactor=redactor(server))

    async def chat() -> None:
        await asyncio.gather(*(pipeline.receive(said(n, "hello there")) for n in range(8)))

    asyncio.run(chat())
    assert len(store.messages) == 8
    time.sleep(0.01)
    assert redactor(server).advance(NOON) == []


@pytest.mark.parametrize("policy", ["masked", "original"])
def test_a_message_delivered_again_to_another_worker_is_shown_there(
    server: RedisServer, policy: Any
) -> None:
    """The first may have died between storing it and passing it on."""
    store = Kept()
    text = "order 66, card 5105105105105100"
    first, second = (
        Pipeline(MASKER, store=store, redactor=redactor(server), policy=policy) for _ in range(2)
    )
    first.receive(said(1, text))
    shown = second.receive(said(1, text)).text
    assert shown == (text if policy == "original" else "order **, card ****************")
    assert len(store.messages) == 1

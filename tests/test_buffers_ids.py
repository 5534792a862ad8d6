"""Ids that whoever writes in a chat may choose: none meets another, none is anything but an id."""

from __future__ import annotations

import datetime as dt
import itertools
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

import strategies as my
from events import RULES, Closed, Event, Recalled, Received, events, in_order, tell
from masker import Masker, Message
from masker.buffers import Buffers, MemoryBuffers, RedisBuffers
from masker.buffers.sealing import Sealer
from masker.errors import BuffersError, MessageError
from redis_here import RedisServer, redis_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MASKER = Masker(rules=RULES)
KEY = secrets.token_bytes(32)
NOON = dt.datetime(2024, 5, 17, 12, tzinfo=dt.UTC)
# Separators, what Redis and Lua give a meaning to, halves of characters, nothing, very much.
PIECES = ("", ":", "}", "{", "{}", "{masker}:", "p:", "m:", "epoch", "due", "\0", "\r\n", "\n",
          "*", "*3\r\n$3\r\nDEL\r\n", "\ud83d", "\udc00", "é", "e\u0301", "%s", "' .. 'x", "]]",
          "a", "b", "conversation", "subject", "message", "key", "a" * 70_000)  # fmt: skip
IDS = sorted({"".join(pair) for pair in itertools.product(PIECES[:-1], repeat=2)} | {PIECES[-1]})
ids = st.lists(st.sampled_from(PIECES[:-1]), max_size=4).map("".join) | st.just(PIECES[-1])


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture(scope="module", params=["memory", "redis"])
def made(request: pytest.FixtureRequest, server: RedisServer) -> Callable[[], Buffers]:
    numbers = itertools.count()
    if request.param == "memory":
        return MemoryBuffers
    return lambda: RedisBuffers(server.url, keys=KEY, namespace=f"ids{next(numbers)}")


def test_no_two_things_have_one_name() -> None:
    """Whatever is joined with whatever: each list of ids has a name of its own."""
    sealer = Sealer(KEY)
    some = IDS[::9]
    parts: list[tuple[str, ...]] = [
        (kind, one) for kind in ("conversation", "subject") for one in IDS
    ]
    parts += [("message", one, other) for one in some for other in some]
    parts += [("mark", one, other, third) for one in PIECES for other in PIECES for third in PIECES]
    assert len({sealer.name(*each) for each in parts}) == len(set(parts)) == len(parts)


def renamed(event: Event, names: dict[str, str]) -> Event:
    """The same with other ids."""
    if isinstance(event, Closed) and event.conversation_id is not None:
        return Closed(names[event.conversation_id])
    if isinstance(event, Recalled):
        return Recalled(names[event.conversation_id], names[event.message_id])
    if not isinstance(event, Received):
        return event
    message = event.message
    changed: dict[str, Any] = {
        field: names.get(value, value)
        for field in ("conversation_id", "message_id", "sender", "subject", "channel")
        if isinstance(value := getattr(message, field), str)
    }
    return Received(replace(message, **changed))


@pytest.mark.parametrize("delivery", ["revise", "hold"])
@given(events(), st.lists(ids, min_size=60, max_size=60, unique=True))
def test_ids_of_any_kind_are_only_ids(
    made: Callable[[], Buffers], delivery: my.Delivery, happened: list[Event], chosen: list[str]
) -> None:
    plain, shared = MASKER.redactor(delivery), MASKER.redactor(delivery, buffers=made())
    fresh, names = iter(chosen), dict[str, str]()
    for event in happened:
        message = event.message if isinstance(event, Received) else None
        for name in (
            (message.conversation_id, message.message_id, message.sender) if message else ()
        ):
            if name not in names:
                names[name] = next(fresh, f"more-{len(names)}")
        other = renamed(event, names)
        assert in_order(other, tell(shared, other), delivery) == in_order(
            other, tell(plain, other), delivery
        )
    assert not shared.failures


def test_lanes_whose_ids_are_the_same_once_joined_never_mix(made: Callable[[], Buffers]) -> None:
    """The first half of a card from one, the second from the other: it is nobody's card."""
    pairs = [("a:b", "c"), ("a", "b:c"), ("a:b:c", ""), ("", "a:b:c"), ("a\0b", "c"), ("a", "\0bc")]
    for (one, who), (other, whom) in itertools.permutations(pairs, 2):
        redactor = MASKER.redactor(buffers=made())
        redactor.receive(Message(one, "m1", who, "4111 1111", NOON))
        redactor.receive(Message(other, "m2", whom, "1111 1111", NOON))
        out = {masked.message_id: masked.text for masked in redactor.close()}
        assert out["m2"] == "1111 1111"


def test_a_message_known_by_ids_that_join_to_the_same_is_not_known(
    made: Callable[[], Buffers],
) -> None:
    redactor = MASKER.redactor(buffers=made())
    pairs = [("a", "b:c"), ("a:b", "c"), ("a:b:c", ""), ("", "a:b:c"), ("a:b:", "c")]
    for conversation_id, message_id in pairs:
        out = redactor.receive(Message(conversation_id, message_id, "user", "hello", NOON))
        assert [masked.text for masked in out] == ["hello"]


@pytest.mark.parametrize("field", ["channel", "subject"])
def test_an_id_that_is_no_text_is_refused_and_harms_nobody(
    made: Callable[[], Buffers], field: str
) -> None:
    redactor = MASKER.redactor(buffers=made())
    fields: Any = {field: 5}
    with pytest.raises(MessageError, match=f"{field} is neither a str nor None"):
        redactor.receive(Message("c1", "m1", "user", "it is 4111 1111", NOON, **fields))
    redactor.receive(Message("c1", "m2", "user", "at 9 then", NOON))
    assert [masked.text for masked in redactor.close()] == ["at 9 then"]


def test_redis_holds_only_names_of_ours_whatever_the_ids_are(server: RedisServer) -> None:
    client: Any = redis.Redis.from_url(server.url)
    client.flushall()
    redactor = MASKER.redactor(buffers=RedisBuffers(server.url, keys=KEY, namespace="n"))
    for number, one in enumerate(IDS):
        redactor.receive(Message(one, f"m{number}", one, "it is 4111 1111", NOON, subject=one))
    assert not redactor.failures
    names = client.keys("*")
    kinds = {name[:6] for name in names if len(name) > 12}
    assert kinds == {b"{n}:p:", b"{n}:m:", b"{n}:o:"}
    assert {name for name in names if len(name) <= 12} == {
        b"{n}:epoch",
        b"{n}:due",
        b"{n}:out",
    }
    assert sum(name[:6] == b"{n}:p:" for name in names) == 2 * len(IDS)


@pytest.mark.parametrize(
    "namespace", ["", "a}b", "a{b", "{", "}", "a\0", "\ud83d", "a\nb", "n" * 300]
)
def test_a_namespace_that_would_be_read_otherwise_is_refused(
    server: RedisServer, namespace: str
) -> None:
    with pytest.raises(BuffersError, match="namespace"):
        RedisBuffers(server.url, keys=KEY, namespace=namespace)


def test_what_is_kept_opens_in_no_other_namespace(server: RedisServer) -> None:
    """Who can write to Redis must not answer one application with the words of another."""
    client: Any = redis.Redis.from_url(server.url)
    one = MASKER.redactor(
        buffers=RedisBuffers(server.url, keys=KEY, namespace="one", lease_seconds=0.001),
        acknowledge="explicitly",
    )
    one.receive(Message("c1", "m1", "user", "it is 4111 1111", NOON))
    for name in client.keys("{one}:*"):
        client.copy(name, name.replace(b"{one}", b"{other}"), replace=True)
    other = MASKER.redactor(buffers=RedisBuffers(server.url, keys=KEY, namespace="other"))
    assert other.close() == []
    (masked,) = other.receive(Message("c1", "m1", "user", "it is 4111 1111", NOON))
    assert masked.text == "it is **** ****"

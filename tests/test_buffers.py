"""One suite over every kind of buffers: a redactor over them is a plain redactor."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies as my
from events import RULES, Event, events, in_order, tell
from masker import Masker
from masker.buffers import Buffers, MemoryBuffers, RedisBuffers
from masker.buffers.worktable import Worktable
from redis_here import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

MASKER = Masker(rules=RULES)
KEY = secrets.token_bytes(32)
DELIVERIES: tuple[my.Delivery, ...] = ("revise", "hold")
deliveries = pytest.mark.parametrize("delivery", DELIVERIES)
# Makes as many buffers as there are to be workers, over the same new place.
Make = Callable[[int], list[Buffers]]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with redis_server() as server:
        yield server.url


@pytest.fixture(scope="module", params=["memory", "redis"])
def make(request: pytest.FixtureRequest, url: str) -> Make:
    numbers = itertools.count()

    def in_memory(count: int) -> list[Buffers]:
        return [MemoryBuffers()] * count

    def in_redis(count: int) -> list[Buffers]:
        namespace = f"test{next(numbers)}"
        return [RedisBuffers(url, keys=KEY, namespace=namespace) for _ in range(count)]

    return in_memory if request.param == "memory" else in_redis


@deliveries
@given(events(), st.randoms(use_true_random=False))
def test_several_workers_are_as_one_plain_redactor(
    make: Make, delivery: my.Delivery, happened: list[Event], random: Random
) -> None:
    plain = MASKER.redactor(delivery)
    workers = [MASKER.redactor(delivery, buffers=buffers) for buffers in make(3)]
    for event in happened:
        worker = random.choice(workers)
        expected = in_order(event, tell(plain, event), delivery)
        assert in_order(event, tell(worker, event), delivery) == expected, event
        worker.acknowledge()
    assert not any(worker.failures for worker in workers)


def test_every_attribute_of_a_redactor_is_carried_or_known_not_to_matter() -> None:
    """Whoever gives a `Redactor` new state looks at `Worktable` as well."""
    plain = MASKER.redactor("hold")
    carried = {"_lanes", "_asked", "_open", "_pending", "_order", "_remembered", "_oldest"}
    made_anew = {"_due", "_scheduled", "_count", "failures"}
    given_to_it = {"_rules", "_needs_look", "_window"}
    assert set(vars(plain)) == carried | made_anew | given_to_it
    assert Worktable.__mro__[1] is type(plain)

"""Whatever becomes of Redis, a message comes out masked, final, and comes out."""

from __future__ import annotations

import base64
import datetime as dt
import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest

from masker import MaskedMessage, Masker, Message, MessageError
from masker.buffers import MemoryBuffers, RedisBuffers, SharedRedactor, shared
from masker.buffers.sealing import Sealer
from masker.errors import BuffersError, KeysError, MaskerError
from masker.vault.keyfile import make_key_file, read_key_file
from redis_here import RedisServer, redis_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MASKER = Masker(rules=["payment-card", "cn-resident-id"])
OTHER_RULES = Masker(rules=["payment-card"])
KEY = secrets.token_bytes(32)
NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
FIRST, REST = "5105 1051", "0510 5100"
MASKED = "**** ****"
deliveries = pytest.mark.parametrize("delivery", ["revise", "hold"])


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server(durable=True) as running:
        yield running


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed Redis is asked again at the next call."""
    monkeypatch.setattr(shared, "RETRY_SECONDS", 0.0)


def redactor(server: RedisServer, delivery: Any = "revise", **options: Any) -> SharedRedactor:
    masker: Masker = options.pop("masker", MASKER)
    settings: dict[str, Any] = {"keys": KEY, "timeout": 0.2, **options}
    return masker.redactor(delivery, buffers=RedisBuffers(server.url, **settings))


def message(number: int, text: str, **fields: Any) -> Message:
    at = NOON + dt.timedelta(seconds=number)
    return Message("c1", f"m{number}", "user", text, timestamp=at, **fields)


def finals(out: list[MaskedMessage]) -> dict[str, str]:
    """What is final, by id; each once."""
    texts: dict[str, str] = {}
    for masked in out:
        if masked.final:
            assert masked.message_id not in texts, "final twice"
            texts[masked.message_id] = masked.text
    return texts


@deliveries
@pytest.mark.parametrize("way", ["kill", "freeze", "fill", "demote"])
def test_while_redis_is_away_everything_comes_out_masked(
    server: RedisServer, delivery: str, way: str
) -> None:
    worker = redactor(server, delivery)
    out = worker.receive(message(1, FIRST))
    getattr(server, way)()
    out += worker.receive(message(2, f"{REST}, 66 thanks to Ann"))
    out += worker.receive(message(3, "hello"))
    assert worker.failures == 2
    {"freeze": server.thaw, "kill": server.start, "fill": server.empty,
     "demote": server.promote}[way]()  # fmt: skip
    out += worker.advance(NOON + dt.timedelta(hours=1))
    out += worker.close()
    assert finals(out) == {"m1": MASKED, "m2": f"{MASKED}, ** thanks to Ann", "m3": "hello"}
    assert not any(char.isdigit() for masked in out for char in masked.text)


@deliveries
def test_another_worker_hears_of_what_came_while_redis_was_away(
    server: RedisServer, delivery: str
) -> None:
    """The rest of a number that nobody joined is masked, whoever gets it."""
    one, two = redactor(server, delivery), redactor(server, delivery)
    out = one.receive(message(1, "5105"))
    server.kill()
    out += one.receive(message(2, "1051 05"))
    server.start()
    out += one.advance(NOON)
    out += two.receive(message(3, "10 5100"))
    out += two.receive(message(4, "that is all"))
    out += two.close()
    assert finals(out) == {"m1": "****", "m2": "**** **", "m3": "** ****", "m4": "that is all"}


def test_a_veil_is_lifted_when_nothing_was_said_for_a_window(server: RedisServer) -> None:
    worker = redactor(server)
    server.kill()
    worker.receive(message(1, "12345"))
    server.start()
    out = worker.receive(message(2, "room 402"))
    out += worker.receive(message(601, "room 403"))
    out += worker.receive(message(1202, "room 404"))
    out += worker.close()
    assert list(finals(out).values()) == ["room ***", "room ***", "room 404"]


def flip(server: RedisServer) -> None:
    with server.client() as client:
        for name in client.scan_iter("*p:*"):
            value = bytearray(client.get(name) or b"")
            value[-1] ^= 1
            client.set(name, bytes(value))


def cut(server: RedisServer) -> None:
    with server.client() as client:
        for name in client.scan_iter("*p:*"):
            client.set(name, (client.get(name) or b"")[:20])


def swap(server: RedisServer) -> None:
    """Another conversation's sealed state in this one's place."""
    other = redactor(server)
    other.receive(Message("c2", "m1", "user", "5105 10", timestamp=NOON))
    with server.client() as client:
        names = list(client.scan_iter("*p:*"))
        values = [client.get(name) or b"" for name in names]
        for name, value in zip(names, reversed(values), strict=True):
            client.set(name, value)


def evict(server: RedisServer) -> None:
    with server.client() as client:
        for name in client.scan_iter("*p:*"):
            client.delete(name)


def wipe(server: RedisServer) -> None:
    with server.client() as client:
        client.flushall()


def run_anew(server: RedisServer) -> None:
    server.restart()


@deliveries
@pytest.mark.parametrize("spoil", [flip, cut, swap, evict, wipe, run_anew])
def test_a_state_that_cannot_be_trusted_masks_what_follows(
    server: RedisServer, delivery: str, spoil: Callable[[RedisServer], None]
) -> None:
    worker = redactor(server, delivery)
    out = worker.receive(message(1, FIRST))
    spoil(server)
    out += worker.receive(message(2, "0510 51"))
    out += worker.receive(message(3, "hello"))
    out += [masked for masked in worker.close() if masked.conversation_id == "c1"]
    assert finals(out) == {"m1": MASKED, "m2": "**** **", "m3": "hello"}
    assert not any(char.isdigit() for masked in out for char in masked.text)
    assert worker.failures >= 1


@deliveries
def test_an_old_state_put_back_is_noticed_by_whoever_has_seen_a_newer(
    server: RedisServer, delivery: str
) -> None:
    worker = redactor(server, delivery)
    out = worker.receive(message(1, "5105"))
    with server.client() as client:
        old = {name: client.get(name) or b"" for name in client.scan_iter("*p:*")}
        out += worker.receive(message(2, "1051 05"))
        for name, value in old.items():
            client.set(name, value)
    out += worker.receive(message(3, "10 5100"))
    out += worker.close()
    assert finals(out) == {"m1": "****", "m2": "**** **", "m3": "** ****"}


@pytest.mark.parametrize(
    "other", [{"masker": OTHER_RULES}, {"delivery": "hold"}, {"keys": secrets.token_bytes(32)}],
    ids=["rules", "delivery", "key"],
)  # fmt: skip
def test_states_of_another_kind_of_redactor_are_refused(
    server: RedisServer, other: dict[str, Any]
) -> None:
    one, two = redactor(server), redactor(server, **other)
    one.receive(message(1, FIRST))
    (out,) = two.receive(message(2, "0510 51"))
    assert (out.text, out.final) == ("**** **", True)


def test_nothing_in_redis_tells_an_id_or_a_text(server: RedisServer) -> None:
    worker = redactor(server, keys=KEY)
    said = message(1, "my card is 5105 1051", subject="union-7", channel="wechat",
                   extra={"open": "openid-9"})  # fmt: skip
    worker.receive(said)
    worker.receive(message(2, "hello there"))
    with server.client() as client:
        everything = b""
        for name in client.scan_iter("*"):
            everything += name + (client.dump(name) or b"")
    files = b"".join(file.read_bytes() for file in server.folder.rglob("*") if file.is_file())
    for secret in ("5105", "hello", "card", "union-7", "wechat", "openid-9", "c1", "m1", "user"):
        assert secret.encode() not in everything or len(secret) < 3, secret
        assert secret.encode() not in files or len(secret) < 3, secret
    assert b"payment-card" not in files


def kind_of(name: bytes) -> str:
    return name.split(b":")[1].decode()


def test_states_leave_redis_by_themselves(server: RedisServer) -> None:
    worker = redactor(server, ttl_seconds=5, remember_seconds=7)
    worker.receive(message(1, FIRST))
    with server.client() as client:
        left = {kind_of(name): client.pttl(name) for name in client.scan_iter("*")}
    assert 0 < left["p"] <= 5_000
    assert 0 < left["m"] <= 7_000
    assert 0 < left["o"] <= 7_000


def test_an_idle_conversation_leaves_no_state(server: RedisServer) -> None:
    worker = redactor(server)
    worker.receive(message(1, FIRST))
    worker.receive(message(2, REST))
    worker.advance(NOON + dt.timedelta(hours=1))
    worker.acknowledge()
    with server.client() as client:
        kinds = {kind_of(name) for name in client.scan_iter("*")}
    assert kinds <= {"epoch", "m", "f"}


def test_what_a_dead_worker_gave_out_is_given_out_again(server: RedisServer) -> None:
    dead, alive = (redactor(server, lease_seconds=0.001) for _ in range(2))
    lost = dead.receive(message(1, "my card is 5105105105105100"))
    time.sleep(0.01)
    assert alive.advance(NOON) == lost
    alive.acknowledge()
    time.sleep(0.01)
    assert alive.advance(NOON) == []


def test_a_message_delivered_again_comes_out_again_until_it_is_acknowledged(
    server: RedisServer,
) -> None:
    dead, alive = redactor(server), redactor(server)
    lost = dead.receive(message(1, "hello"))
    assert alive.receive(message(1, "hello")) == lost
    assert alive.receive(message(1, "hello")) == []


def test_only_what_arrived_is_acknowledged(server: RedisServer) -> None:
    buffers = RedisBuffers(server.url, keys=KEY, lease_seconds=0.001)
    worker = MASKER.redactor(buffers=buffers, acknowledge="explicitly")
    first, second = worker.receive(message(1, "one")), worker.receive(message(2, "two"))
    worker.acknowledge(second)
    time.sleep(0.01)
    assert worker.advance(NOON) == first


def broken_at(
    place: str, worker: SharedRedactor, monkeypatch: pytest.MonkeyPatch
) -> list[MaskedMessage]:
    """What comes out of the two parts of a number where this raises for the second."""
    out = worker.receive(message(1, FIRST))

    def explode(*_: object, **__: object) -> None:
        raise ValueError(REST)

    with monkeypatch.context() as patch:
        patch.setattr(place, explode)
        out += worker.receive(message(2, REST))
    return out


def test_an_exception_in_the_engine_masks_the_message(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = redactor(server)
    out = broken_at("masker.core.compact.read", worker, monkeypatch)
    out += worker.close()
    assert finals(out) == {"m1": MASKED, "m2": MASKED}
    assert worker.failures == 1


def test_an_exception_around_the_engine_masks_the_message(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = redactor(server)
    out = broken_at("masker.buffers.worktable.Worktable.lift", worker, monkeypatch)
    out += worker.receive(message(3, "hello"))
    out += worker.close()
    assert finals(out) == {"m1": MASKED, "m2": MASKED, "m3": "hello"}


def test_a_redis_that_never_was_there_masks(tmp_path: Path) -> None:
    buffers = RedisBuffers(f"unix://{tmp_path}/none.sock", keys=KEY, timeout=0.1)
    worker = MASKER.redactor(buffers=buffers)
    (out,) = worker.receive(message(1, "5105 1051 hello"))
    assert (out.text, out.final) == ("**** **** hello", True)
    assert worker.advance(NOON) == []
    assert worker.close() == []


@pytest.mark.parametrize("keys", ["env:NO_SUCH_KEY", "file:/nowhere", "plain", b"short", "env:"])
def test_a_key_that_is_none_is_a_clear_error(keys: Any) -> None:
    with pytest.raises(MaskerError) as caught:
        RedisBuffers("redis://localhost", keys=keys)
    assert "short" not in str(caught.value)


def test_keys_come_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "masker.keys"
    make_key_file(file)
    key = read_key_file(file)
    monkeypatch.setenv("A_KEY", key.hex())
    monkeypatch.setenv("ITS_BASE64", base64.b64encode(key).decode())
    specs = (key, "env:A_KEY", "env:ITS_BASE64", f"file:{file}")
    assert len({Sealer(keys).name("c1") for keys in specs}) == 1
    file.chmod(0o644)
    with pytest.raises(KeysError, match="read by others"):
        Sealer(f"file:{file}")


def test_a_sealed_record_opens_only_where_it_belongs() -> None:
    sealed = Sealer(KEY).seal(b"state", b"here")
    assert Sealer(KEY).open(sealed, b"here") == b"state"
    for other, bound in [(Sealer(KEY), b"there"), (Sealer(KEY, context=b"x"), b"here")]:
        with pytest.raises(BuffersError):
            other.open(sealed, bound)
    for place in range(len(sealed)):
        broken = bytearray(sealed)
        broken[place] ^= 1
        with pytest.raises(BuffersError):
            Sealer(KEY).open(bytes(broken), b"here")


@pytest.mark.parametrize(
    "options", [{"order": "random"}, {"order_seconds": 0}, {"acknowledge": "never"},
                {"delivery": "later"}, {"window_messages": 0}],
)  # fmt: skip
def test_settings_that_cannot_be_are_clear_errors(options: dict[str, Any]) -> None:
    with pytest.raises(MessageError):
        MASKER.redactor(buffers=MemoryBuffers(), **options)


@pytest.mark.parametrize(
    "wrong",
    [
        Message("c1", "m1", "user", 5105),  # type: ignore[arg-type]
        Message("c1", "m1", "user", "x", timestamp=dt.datetime(2026, 1, 2)),  # noqa: DTZ001
        Message("c1", "m1", "user", "my card is 5105", extra={"what": object()}),
        Message(1, "m1", "user", "x"),  # type: ignore[arg-type]
    ],
)
def test_a_message_that_is_none_is_a_clear_error(server: RedisServer, wrong: Message) -> None:
    with pytest.raises(MessageError) as caught:
        redactor(server).receive(wrong)
    assert "5105" not in str(caught.value)

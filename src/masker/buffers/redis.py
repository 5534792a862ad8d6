"""Buffers in Redis, for several workers.

What is sent is sealed, and what it is called tells nothing: whoever reads all of Redis learns how
many conversations wait for something, and how long their states are. Each step is one script: it
puts back all parts it changed, or none where another worker was quicker. Whatever cannot be
trusted (unreadable, older than what this worker has seen, written before the server started
anew) is given out as a part in which something may be missing, and so comes out masked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from hmac import compare_digest
from math import inf
from secrets import token_bytes
from typing import TYPE_CHECKING, Any

from masker.buffers import scripts
from masker.buffers.part import Found, Loaded, Part, Scope, Seen, Step
from masker.core.lanes import Window
from masker.core.messages import MaskedMessage, Message
from masker.core.order import MessageKey
from masker.core.redactor import Delivery
from masker.core.ruleset import RuleSet
from masker.errors import BuffersError, MissingExtraError

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    from masker.buffers.codec import FORMAT, Codec, fingerprint
except ImportError as error:  # pragma: no cover - what a missing extra says is tested apart
    raise MissingExtraError(extra="redis") from error

from masker.buffers.sealing import Sealer

if TYPE_CHECKING:
    from collections.abc import Iterator

# A part as it is kept: format (1), epoch (16), version (8), salt (16, new each time), nonce,
# ciphertext.
EPOCH, VERSION = slice(1, 17), slice(17, 25)
HEADER = 25
TOKEN = slice(scripts.TOKEN_FROM - 1, scripts.TOKEN_TO)
STEP_ID = 16
# How many parts' versions a worker remembers, to know a state that is older than one it has seen.
MAX_VERSIONS = 20_000
MILLISECONDS = 1000
MAX_NAMESPACE = 200
# What keeps a part that nobody looks at: the window, half of it again, and a minute.
_LONGER, _MORE_SECONDS = 1.5, 60.0
# A window may have no end; what waits for it has.
_LONGEST = 7 * 86_400.0


class RedisBuffers:
    """Keeps conversations in one Redis (6.2 or newer, or what speaks its protocol and Lua).

    `keys` is the sealing key: 32 bytes, `env:NAME` or `file:PATH`; every worker has the same. Redis
    must not evict (`maxmemory-policy noeviction`). `namespace` separates several uses of one
    Redis, also under the same key.

    All times are in seconds. `timeout`: what one round trip may take; after that the message comes
    out masked. `ttl_seconds`: how long a part is kept that nobody looks at (default: a little
    above the window). `remember_seconds`: how long a message id is known when it is sent again.
    `lease_seconds`: how long a worker may take to acknowledge what it was given.

    Raises:
        BuffersError: there is no such key, or no such namespace.
        KeysError: the key file cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        keys: bytes | str = "env:MASKER_BUFFERS_KEY",
        namespace: str = "masker",
        timeout: float = 1.0,
        ttl_seconds: float | None = None,
        remember_seconds: float = 3600.0,
        lease_seconds: float = 30.0,
    ) -> None:
        if not (0 < len(namespace) <= MAX_NAMESPACE and namespace.isprintable()) or (
            set(namespace) & set("{}")
        ):
            raise BuffersError(
                f"a namespace is 1 to {MAX_NAMESPACE} printable characters, and no braces"
            )
        self._keys = keys
        self._namespace = namespace
        self._sealer = Sealer(keys, namespace=namespace)
        self._codec: Codec | None = None
        self._client = _client(url, timeout)
        self._prefix = f"{{{namespace}}}:"
        self._epoch_key = f"{self._prefix}epoch"
        self._load = self._client.register_script(scripts.LOAD)
        self._store = self._client.register_script(scripts.STORE)
        self._claim = self._client.register_script(scripts.CLAIM)
        self._ttl_seconds = ttl_seconds
        self._ttl = 0
        self._remember = _milliseconds(remember_seconds)
        self._lease = _milliseconds(lease_seconds)
        self._window: Window | None = None
        self._epoch = b""
        self._declare = False
        self._acknowledged: list[bytes] = []
        self._versions: OrderedDict[str, int] = OrderedDict()
        self.round_trips = 0
        """How often Redis was asked."""
        self.refused = 0
        """Parts that were not to be trusted."""

    def __repr__(self) -> str:
        return f"RedisBuffers({self.round_trips} round trips, {self.refused} states refused)"

    @property
    def counts(self) -> dict[str, int]:
        """How often Redis was asked, and how many states were not to be trusted."""
        return {"round_trips": self.round_trips, "refused": self.refused}

    @property
    def pending(self) -> None:
        """Each worker knows of its own."""
        return

    @property
    def epoch(self) -> bytes:
        """Another one as soon as something in Redis may have been lost."""
        return self._epoch

    def open(self, rules: RuleSet, delivery: Delivery, window: Window) -> None:
        """A redactor begins to use these; what another kind of redactor sealed does not open."""
        if self._codec is not None:
            raise BuffersError("each redactor needs RedisBuffers of its own; they share the Redis")
        self._codec = Codec(rules)
        self._sealer = Sealer(
            self._keys, namespace=self._namespace, context=fingerprint(rules, delivery, window)
        )
        self._window = window
        seconds = self._ttl_seconds or window.seconds * _LONGER + _MORE_SECONDS
        self._ttl = _milliseconds(seconds)
        with suppress(BuffersError):
            # A worker knows from its start on what there was: it sees if that gets lost.
            self.load([])

    def name(self, scope: Scope) -> str:
        """What a part is called; tells nobody of whom."""
        return self._sealer.name(*scope)

    def mark(self, message: Message) -> bytes:
        """A fingerprint that nobody without the key can compare with anything."""
        return self._sealer.digest(
            "mark", message.conversation_id, message.message_id, message.sender, message.text
        )

    def load(
        self,
        names: Sequence[str],
        key: MessageKey | None = None,
        quiet: tuple[Step, Seen] | None = None,
    ) -> Loaded:
        """The parts of these names and what is remembered of the message: one round trip."""
        arguments: list[Any] = [self._prefix, token_bytes(STEP_ID), self._epoch,
                                self._missing_for(), "1" if self._declare else "0",
                                self._sealer.name("key")]  # fmt: skip
        acknowledged = self._acknowledged
        arguments += [len(acknowledged), *acknowledged]
        named = self._message_name(key) if key is not None else ""
        arguments.append(named)
        if quiet is None:
            arguments.append("0")
        else:
            step, seen = quiet
            arguments += ["1", self._sealed_seen(named, step.id, seen), self._remember,
                          step.id, self._sealed_out(step), self._remember]  # fmt: skip
        with _trouble():
            self.round_trips += 1
            answer = self._load(keys=[self._epoch_key], args=[*arguments, *names])
        self._acknowledged = []
        self._declare = False
        self._epoch = answer[0]
        if answer[4] == 1:
            return Loaded((), stored=True)
        missing = "Redis lost something" if answer[1] else None
        version = int(answer[2]) * 1_000_000 + int(answer[3])
        found = tuple(
            self._found(name, kept, version, missing, is_due=due == 1)
            for name, kept, due in zip(names, answer[7][::2], answer[7][1::2], strict=True)
        )
        seen_before, step_id = self._opened_seen(named, answer[5])
        again = self._opened_out(step_id, answer[6])
        return Loaded(found, seen_before, again, step_id if again else b"")

    def store(self, step: Step) -> bool:
        """Put parts back and remember what came out: one round trip, all or nothing."""
        arguments: list[Any] = [self._prefix, self._epoch, len(step.after)]
        versions: list[tuple[str, int]] = []
        for found, part, due in zip(step.before, step.after, step.due, strict=True):
            version = _version(found.token) + 1
            versions.append((part.name, version))
            value = b"" if part.is_empty else self._sealed_part(part, version)
            when = "" if due is None or part.is_empty else "-inf" if due == -inf else repr(due)
            arguments += [part.name, found.token[HEADER:], value, when, self._ttl]
        arguments.append(len(step.seen))
        for key, seen in step.seen.items():
            named = self._message_name(key)
            arguments += [named, self._sealed_seen(named, step.id, seen)]
        arguments.append(len(step.finals))
        for key in step.finals:
            named = self._message_name(key)
            arguments += [named, self._sealer.digest("final", named)]
        out = self._sealed_out(step) if step.out else b""
        arguments += [self._remember, step.id, out, self._remember, step.replaces]
        with _trouble():
            self.round_trips += 1
            stored = bool(self._store(keys=[self._epoch_key], args=arguments) == 1)
        if stored:
            for name, version in versions:
                self._note_version(name, version)
        return stored

    def due(self, now: float | None, limit: int) -> list[str]:
        """Names of parts to be looked at by `now`, over all workers; of all where it is None."""
        until = "+inf" if now is None else now
        with _trouble():
            self.round_trips += 1
            names = self._client.zrangebyscore(
                f"{self._prefix}due", "-inf", until, start=0, num=limit
            )
        return [str(name, "ascii", "replace") for name in names]

    def close(self) -> None:
        """Give back the connections; what is kept stays for the other workers."""
        self._client.close()

    def excess(self) -> list[str]:
        """Nothing: what is not looked at leaves Redis by its TTL."""
        return []

    def acknowledge(self, ids: Sequence[bytes], *, now: bool) -> None:
        """What these steps gave out has arrived; costs a round trip only where it must be `now`."""
        self._acknowledged += ids
        if now:
            self._send_acknowledged()

    def _send_acknowledged(self) -> None:
        if not self._acknowledged:
            return
        names = [f"{self._prefix}o:".encode() + step_id for step_id in self._acknowledged]
        with _trouble(), self._client.pipeline(transaction=True) as pipeline:
            self.round_trips += 1
            pipeline.delete(*names)
            pipeline.zrem(f"{self._prefix}out", *self._acknowledged)
            pipeline.execute()
        self._acknowledged = []

    def unclaimed(self, limit: int) -> list[tuple[bytes, tuple[MaskedMessage, ...]]]:
        """What workers were given and did not acknowledge within the lease."""
        self._send_acknowledged()
        with _trouble():
            self.round_trips += 1
            claimed = self._claim(keys=[self._epoch_key], args=[self._prefix, self._lease, limit])
        return [
            (step_id, self._opened_out(step_id, value))
            for step_id, value in zip(claimed[::2], claimed[1::2], strict=True)
        ]

    def is_final(self, key: MessageKey) -> bool:
        """Whether a message is known to have come out final."""
        named = self._message_name(key)
        with _trouble():
            self.round_trips += 1
            final, kept = self._client.mget(f"{self._prefix}f:{named}", f"{self._prefix}m:{named}")
        seen, _ = self._opened_seen(named, kept)
        is_signed = final is not None and compare_digest(final, self._sealer.digest("final", named))
        return is_signed or (seen is not None and seen.final)

    def lost(self) -> None:
        """Say with the next question that something is missing, and nobody knows where."""
        self._declare = True

    # -- what is kept --------------------------------------------------------------------------

    def _missing_for(self) -> int:
        seconds = self._window.seconds if self._window is not None else 0.0
        return _milliseconds(min(seconds, _LONGEST))

    def _found(
        self, name: str, kept: bytes | None, version: int, missing: str | None, *, is_due: bool
    ) -> Found:
        if kept is None:
            token = bytes(EPOCH.stop) + version.to_bytes(8, "big")
            # Listed as waiting, and not there: it was evicted, or nobody looked at it in time.
            return Found(Part(name), token, "a part is gone" if is_due else missing)
        token = kept[: TOKEN.stop]
        part, reason = Part(name), None
        try:
            opened = self._sealer.open(kept[HEADER:], kept[:HEADER] + name.encode())
            part = self._decoded(opened)
        except BuffersError:
            reason = "a part cannot be read"
            # Whatever stands there now, the next version is later than any that was seen.
            salt = kept[TOKEN] if len(kept) > HEADER else b""
            token = bytes(EPOCH.stop) + version.to_bytes(8, "big") + salt
        else:
            if kept[EPOCH] != self._epoch:
                reason = "a part was written before Redis lost something"
            elif _version(token) < self._versions.get(name, 0):
                reason = "a part is older than one seen before"
                latest = max(version, self._versions[name])
                token = bytes(EPOCH.stop) + latest.to_bytes(8, "big") + kept[TOKEN]
        if reason is not None:
            self.refused += 1
        else:
            self._note_version(name, _version(token))
        return Found(part, token, reason)

    def _decoded(self, opened: bytes) -> Part:
        part = self._coder.decode(opened)
        if not isinstance(part, Part):
            raise BuffersError("a sealed state is no part")
        return part

    def _sealed_part(self, part: Part, version: int) -> bytes:
        header = bytes([FORMAT]) + self._epoch + version.to_bytes(8, "big")
        return header + self._sealer.seal(self._coder.encode(part), header + part.name.encode())

    def _message_name(self, key: MessageKey) -> str:
        return self._sealer.name("message", *key)

    def _sealed_seen(self, named: str, step_id: bytes, seen: Seen) -> bytes:
        bound = b"seen" + step_id + named.encode()
        return step_id + self._sealer.seal(self._coder.encode(tuple(seen)), bound)

    def _opened_seen(self, named: str, kept: bytes | None) -> tuple[Seen | None, bytes]:
        if kept is None:
            return None, b""
        step_id = kept[:STEP_ID]
        try:
            opened = self._sealer.open(kept[STEP_ID:], b"seen" + step_id + named.encode())
            return Seen(*self._coder.decode(opened)), step_id
        except BuffersError:
            # Whoever wrote it, the message may have been received before: it comes out again.
            self.refused += 1
            return None, b""

    def _sealed_out(self, step: Step) -> bytes:
        return self._sealer.seal(self._coder.encode(step.out), b"out" + step.id)

    def _opened_out(self, step_id: bytes, kept: bytes | None) -> tuple[MaskedMessage, ...]:
        if kept is None:
            return ()
        try:
            out = self._coder.decode(self._sealer.open(kept, b"out" + step_id))
        except BuffersError:
            self.refused += 1
            return ()
        return tuple(masked for masked in out if isinstance(masked, MaskedMessage))

    @property
    def _coder(self) -> Codec:
        if self._codec is None:
            raise BuffersError("no redactor has begun to use these buffers")
        return self._codec

    def _note_version(self, name: str, version: int) -> None:
        self._versions[name] = version
        self._versions.move_to_end(name)
        if len(self._versions) > MAX_VERSIONS:
            self._versions.popitem(last=False)


def _version(token: bytes) -> int:
    return int.from_bytes(token[VERSION], "big")


def _milliseconds(seconds: float) -> int:
    if not seconds > 0:
        raise BuffersError("a time is longer than none")
    return max(1, int(min(seconds, _LONGEST) * MILLISECONDS))


def _client(url: str, timeout: float) -> Any:
    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # Once more over a new connection: the old one may be from before a restart. A step that
            # was done twice finds that it was done.
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError:
        raise BuffersError("that is no Redis URL: redis://, rediss:// or unix://") from None


@contextmanager
def _trouble() -> Iterator[None]:
    """What goes wrong with Redis, without what was sent."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise BuffersError(f"Redis does not answer as it should: {type(error).__name__}") from None

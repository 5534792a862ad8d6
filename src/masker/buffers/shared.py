"""The streaming redactor over buffers: several workers, one conversation.

A call loads the parts it concerns, lets a plain redactor work on them, and stores them if nobody
else did in between; otherwise it begins again. So calls on one conversation are as if made one
after the other, whichever workers they were made in.

What a call gives out may be lost with its worker. So a step keeps what it gave out until the worker
says that it has arrived (`acknowledge`); after a lease another worker gives it out again.
A consumer that upserts the highest revision sees no difference.

Where the buffers fail, a message comes out veiled and final, and is owed: once they are back, the
parts it belongs to are veiled before anything else is done with them.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from time import monotonic, sleep
from typing import Literal

from masker.buffers.ledger import Ledger
from masker.buffers.part import Loaded, Part, Scope, Seen, Step
from masker.buffers.protocol import Buffers
from masker.buffers.turns import Order, Turns
from masker.buffers.veil import veiled
from masker.buffers.worktable import MorePartsNeeded, Worktable, conversation, scopes_of
from masker.core.lanes import Window
from masker.core.messages import MaskedMessage, Message
from masker.core.order import MessageKey
from masker.core.redactor import Delivery
from masker.core.ruleset import RuleSet
from masker.errors import BuffersError, MessageError

Acknowledge = Literal["next call", "explicitly"]
Act = Callable[[Worktable, Loaded], list[MaskedMessage]]

# Losing the race this often means that something is wrong with the buffers, not with the others.
ATTEMPTS = 64
# A breath before beginning again; grows with each attempt, with chance in it, to this much.
LONGEST_BREATH = 0.02
# After a failure the buffers are left alone for so long: each try may cost a whole timeout.
RETRY_SECONDS = 1.0
# Parts looked at in one go when time passes.
BATCH = 64
# Steps of others that are given out again in one go.
CLAIMED = 1_000


class SharedRedactor:
    """Masks conversations whose messages come to several workers. Made by `Masker.redactor`.

    The same calls as `Redactor`, and `acknowledge`. Each call may wait for the buffers. May be used
    by several threads: they take turns.
    """

    def __init__(
        self,
        rules: RuleSet,
        *,
        buffers: Buffers,
        delivery: Delivery,
        window: Window,
        order: Order = "arrival",
        order_seconds: float = 5.0,
        acknowledge: Acknowledge = "next call",
    ) -> None:
        if acknowledge not in ("next call", "explicitly"):
            raise MessageError("acknowledge is neither 'next call' nor 'explicitly'")
        # A plain redactor's checks of delivery and window are these as well.
        Worktable(rules, delivery=delivery, window=window)
        buffers.open(rules, delivery, window)
        self.failures = 0
        self.contention = 0
        """How often a call had to begin again because another worker was quicker."""
        self._rules = rules
        self._buffers = buffers
        self._delivery = delivery
        self._window = window
        self._turns = Turns(order, order_seconds)
        self._explicitly = acknowledge == "explicitly"
        self._lock = threading.RLock()
        self._unacknowledged: dict[bytes, set[tuple[str, str, int]]] = {}
        self._ledger = Ledger(window_seconds=window.seconds)
        self._resting_until = 0.0

    def __repr__(self) -> str:
        owed = len(self._ledger.owed)
        return f"SharedRedactor({self.pending} messages pending, {owed} owed)"

    @property
    def pending(self) -> int:
        """Messages that are not final; over Redis, those that this worker received."""
        pending = self._buffers.pending
        return len(self._ledger.pending) if pending is None else pending

    @property
    def at_once(self) -> bool:
        """Whether a message comes out as soon as it comes in: one that does not came before."""
        return self._delivery == "revise" and self._turns.order == "arrival"

    @property
    def counts(self) -> dict[str, int]:
        """What happened between workers and their buffers, so far."""
        return {"contention": self.contention, **self._buffers.counts}

    def receive(self, message: Message) -> list[MaskedMessage]:
        """Take one message in; give out what may be stored now: see `Redactor.receive`.

        Where the buffers fail, the message comes out at once, final, with everything masked that
        could belong to a number.

        Raises:
            MessageError: a field is not what `Message` says.
        """
        self._turns.check(message)
        with self._lock:
            out: list[MaskedMessage] = []
            try:
                self._begin(out)
                out += self._gave(self._receive(message))
            except MessageError:
                raise
            except Exception as error:  # noqa: BLE001 - fail closed, whatever it was
                out += self._blind(message, error)
            else:
                # What cannot be given up now is given up later; this message came out.
                with suppress(Exception):
                    self._trim(out)
            return out

    def advance(self, now: datetime) -> list[MaskedMessage]:
        """Time passes, for all conversations of all workers: see `Redactor.advance`.

        Any worker may call it, and several may. It also gives out again what a worker that died
        did not acknowledge.

        Raises:
            MessageError: `now` has no time zone.
        """
        if now.tzinfo is None:
            raise MessageError("now has no time zone; time is an aware datetime")
        with self._lock:
            out: list[MaskedMessage] = []
            try:
                self._begin(out)
                self._reclaim_steps(out)
                self._over_all(now.timestamp(), lambda work, _: self._advanced(work, now), out)
                self._reclaim(out)
            except Exception as error:  # noqa: BLE001 - fail closed, whatever it was
                self._abandon(out, error)
            return out

    def close(self, conversation_id: str | None = None) -> list[MaskedMessage]:
        """A conversation ends, or all do, over all workers: see `Redactor.close`.

        A worker that stops while others go on does not call it: what it has begun is theirs.
        """
        with self._lock:
            out: list[MaskedMessage] = []
            try:
                self._begin(out)
                if conversation_id is None:
                    self._over_all(
                        None, lambda work, _: self._turns.close(work) + work.close(), out
                    )
                    self._reclaim_steps(out)
                else:
                    out += self._gave(self._closed(conversation_id))
                self._reclaim(out, conversation_id, anyway=True)
            except Exception as error:  # noqa: BLE001 - fail closed, whatever it was
                self._abandon(out, error, conversation_id, anyway=True)
            return out

    def recall(self, conversation_id: str, message_id: str) -> list[MaskedMessage]:
        """The sender took a message back: see `Redactor.recall`."""
        key = (conversation_id, message_id)
        with self._lock:
            out: list[MaskedMessage] = []
            try:
                self._begin(out)
                out += self._gave(self._recalled(key))
            except Exception as error:  # noqa: BLE001 - fail closed, whatever it was
                held = self._ledger.pending.get(key)
                if held is not None:
                    out += self._blind(held.message, error)
                else:
                    self._rest(error)
            return out

    def drop(
        self, *, conversation_id: str | None = None, subject: str | None = None
    ) -> list[MaskedMessage]:
        """A conversation, or all that a subject said, is purged: see `Redactor.drop`.

        Raises:
            BuffersError: the buffers are out of reach, and may still keep it.
        """

        def act(work: Worktable, _: Loaded) -> list[MaskedMessage]:
            return work.drop(subject=subject)

        with self._lock:
            out: list[MaskedMessage] = []
            try:
                self._begin(out)
                if conversation_id is not None:
                    out += self._gave(self._closed(conversation_id))
                if subject is not None:
                    out += self._gave(self._step([("subject", subject)], act))
            except BuffersError as error:
                self._rest(error)
                raise
            self._ledger.drop(conversation_id, subject)
            return out

    def acknowledge(self, out: Iterable[MaskedMessage] | None = None) -> None:
        """What was given out has arrived where it is stored; all of it, where `out` is None.

        Made with `acknowledge="next call"`, a redactor takes its next call as saying so.
        """
        with self._lock:
            if out is None:
                arrived = list(self._unacknowledged)
            else:
                keys = {(m.conversation_id, m.message_id, m.revision) for m in out}
                arrived = []
                for step_id, waiting in self._unacknowledged.items():
                    waiting -= keys
                    if not waiting:
                        arrived.append(step_id)
            self._acknowledge(arrived, now=True)

    def _acknowledge(self, arrived: list[bytes], *, now: bool) -> None:
        for step_id in arrived:
            del self._unacknowledged[step_id]
        if arrived:
            # Not acknowledged, it comes out again after the lease: no harm.
            with suppress(BuffersError):
                self._buffers.acknowledge(arrived, now=now)

    # -- one step ------------------------------------------------------------------------------

    def _begin(self, out: list[MaskedMessage]) -> None:
        """Before anything else: what arrived is acknowledged, what is owed is paid."""
        if monotonic() < self._resting_until:
            raise BuffersError("the buffers failed a moment ago")
        if not self._explicitly and self._unacknowledged:
            self._acknowledge(list(self._unacknowledged), now=False)
        ledger = self._ledger
        if ledger.owes_more:
            self._buffers.lost()
            ledger.owes_more = False
        while ledger.owed:
            key, message = next(iter(ledger.owed.items()))
            try:
                out += self._gave(self._paid(key, message))
            except BuffersError:
                raise
            except Exception:  # noqa: BLE001 - fail closed, whatever it was
                # It would fail again and again, and stand before every other message.
                self._buffers.lost()
            del ledger.owed[key]

    def _step(
        self,
        scopes: Iterable[Scope],
        act: Act,
        key: MessageKey | None = None,
        quiet: tuple[Step, Seen] | None = None,
    ) -> tuple[bytes, list[MaskedMessage]]:
        return self._named_step({self._buffers.name(s): s for s in scopes}, act, key, quiet)

    def _named_step(
        self,
        wanted: dict[str, Scope | None],
        act: Act,
        key: MessageKey | None = None,
        quiet: tuple[Step, Seen] | None = None,
    ) -> tuple[bytes, list[MaskedMessage]]:
        """Load, act, store; again where somebody else was quicker."""
        attempts = 0
        while attempts < ATTEMPTS:
            loaded = self._buffers.load(list(wanted), key, quiet)
            if loaded.stored and quiet is not None:
                return quiet[0].id, list(quiet[0].out)
            for found in loaded.found:
                found.part.scope = wanted[found.part.name] or found.part.scope
            work = Worktable(self._rules, delivery=self._delivery, window=self._window)
            try:
                work.lay(found.part for found in loaded.found)
                out = work.release()
                for found in loaded.found:
                    if found.missing is not None:
                        out += work.veil(_scope(found.part))
                out += act(work, loaded)
                after = work.lift()
            except MorePartsNeeded as more:
                wanted |= {self._buffers.name(scope): scope for scope in more.scopes}
                continue
            step = self._changes(loaded, after, work, out)
            if step is None or self._buffers.store(step):
                self.failures += work.failures
                return step.id if step is not None else b"", out
            attempts += 1
            self.contention += 1
            sleep(min(LONGEST_BREATH, 0.0005 * attempts) * (0.5 + secrets.randbelow(100) / 100))
        raise BuffersError("the state of a conversation changed too often")

    def _changes(
        self, loaded: Loaded, after: list[Part], work: Worktable, out: list[MaskedMessage]
    ) -> Step | None:
        before, seen = loaded.found, work.seen
        if not (out or seen) and all(
            found.part == part and found.missing is None
            for found, part in zip(before, after, strict=True)
        ):
            return None
        finals = tuple(key for masked in out if masked.final and (key := _key(masked)) not in seen)
        due = tuple(self._turns.due(part, work.due(part)) for part in after)
        return Step(secrets.token_bytes(16), before, tuple(after), due, seen, finals, tuple(out),
                    work.replaces)  # fmt: skip

    def _gave(self, step: tuple[bytes, list[MaskedMessage]]) -> list[MaskedMessage]:
        """Note what a step made come out."""
        step_id, out = step
        if self._buffers.epoch is not None:
            if out and step_id:
                self._unacknowledged[step_id] = {(*_key(masked), masked.revision) for masked in out}
            self._ledger.gave(out)
        return out

    # -- acts ----------------------------------------------------------------------------------

    def _receive(self, message: Message) -> tuple[bytes, list[MaskedMessage]]:
        key = (message.conversation_id, message.message_id)
        mark = self._buffers.mark(message)
        quiet = None
        if self._turns.order == "arrival" and self._rules.says_nothing(message.text):
            said = MaskedMessage(
                message.conversation_id, message.message_id, message.sender, message.text,
                message.timestamp, message.channel, message.subject, message.extra,
            )  # fmt: skip
            step = Step(secrets.token_bytes(16), (), (), (), {}, (), (said,))
            quiet = (step, Seen(mark, 1, final=True))

        def act(work: Worktable, loaded: Loaded) -> list[MaskedMessage]:
            seen = loaded.seen
            if seen is not None and seen.mark == mark:
                return _taken_over(work, loaded)
            out = self._turns.take(work, message, seen)
            revision = 1 if seen is None else seen.revision + 2
            work.seen[key] = Seen(mark, revision, any(m.final and _key(m) == key for m in out))
            return out

        step_id, out = self._step(scopes_of(message), act, key, quiet)
        if self._buffers.epoch is not None:
            final = any(m.final and _key(m) == key for m in out)
            self._ledger.received(message, mark, self._buffers.epoch, final=final)
        return step_id, out

    def _advanced(self, work: Worktable, now: datetime) -> list[MaskedMessage]:
        return self._turns.advance(work, now) + work.advance(now)

    def _closed(self, conversation_id: str) -> tuple[bytes, list[MaskedMessage]]:
        def act(work: Worktable, _: Loaded) -> list[MaskedMessage]:
            work.need_subjects(conversation_id)
            return self._turns.close(work) + work.close(conversation_id)

        return self._step([conversation(conversation_id)], act)

    def _recalled(self, key: MessageKey) -> tuple[bytes, list[MaskedMessage]]:
        def act(work: Worktable, _: Loaded) -> list[MaskedMessage]:
            if self._turns.recall(work, key):
                return []
            if not work.is_pending(key):
                work.need_subjects(key[0])
            return work.recall(*key)

        return self._step([conversation(key[0])], act)

    def _over_all(self, now: float | None, act: Act, out: list[MaskedMessage]) -> None:
        done: set[str] = set()
        while True:
            names = [n for n in self._buffers.due(now, BATCH + len(done)) if n not in done]
            if not names:
                return
            for name in names:
                done.add(name)
                out += self._gave(self._named_step({name: None}, act))

    def _trim(self, out: list[MaskedMessage]) -> None:
        """Where the buffers are full, what was used least recently is given up: veiled."""
        for name in self._buffers.excess():
            out += self._gave(self._named_step({name: None}, _give_up))

    # -- when something is lost ----------------------------------------------------------------

    def _rest(self, error: Exception) -> None:
        if isinstance(error, BuffersError):
            self._resting_until = monotonic() + RETRY_SECONDS

    def _blind(self, message: Message, error: Exception) -> list[MaskedMessage]:
        """A message comes out without the buffers, which are told as soon as they can be."""
        self._rest(error)
        revision = self._ledger.owe(message, self._buffers.mark(message))
        if revision is None:
            return []
        self.failures += 1
        return [veiled(self._rules, message, revision)]

    def _paid(self, key: MessageKey, message: Message) -> tuple[bytes, list[MaskedMessage]]:
        """Veil the parts of a message that came out without them."""
        mark = self._buffers.mark(message)

        def act(work: Worktable, loaded: Loaded) -> list[MaskedMessage]:
            # It may have arrived in the buffers after all, before they failed.
            work.forget([key])
            self._turns.forget(work, key)
            out = [*_taken_over(work, loaded), *work.release()]
            for scope in scopes_of(message):
                out += work.veil(scope)
            revision = 1 if loaded.seen is None else loaded.seen.revision + 2
            work.seen[key] = Seen(mark, revision, final=True)
            return [masked for masked in out if _key(masked) != key]

        return self._step(scopes_of(message), act, key)

    def _reclaim_steps(self, out: list[MaskedMessage]) -> None:
        for step_id, again in self._buffers.unclaimed(CLAIMED):
            out += self._gave((step_id, list(again)))

    def _reclaim(
        self, out: list[MaskedMessage], conversation_id: str | None = None, *, anyway: bool = False
    ) -> None:
        """Messages of this worker that are pending, and in no part any more, come out veiled."""
        epoch = self._buffers.epoch
        if epoch is None:
            return
        for held in self._ledger.overdue(conversation_id, epoch, anyway=anyway):
            key = (held.message.conversation_id, held.message.message_id)
            if not self._buffers.is_final(key):
                out += self._gave(self._reclaimed(key, held.message))
                if key in self._ledger.pending:
                    self._ledger.wait_for(held.message, epoch)
            else:
                self._ledger.pending.pop(key, None)

    def _reclaimed(self, key: MessageKey, message: Message) -> tuple[bytes, list[MaskedMessage]]:
        def act(work: Worktable, loaded: Loaded) -> list[MaskedMessage]:
            work.need_subjects(message.conversation_id)
            if self._turns.is_waiting(work, key) or work.is_pending(key):
                return []
            if self._buffers.is_final(key):
                return []  # By another worker, since we asked: its part would still hold it.
            work.failures += 1
            revision = 0 if self._delivery == "hold" else 1
            seen = loaded.seen or Seen(self._buffers.mark(message), 1)
            work.seen[key] = Seen(seen.mark, max(seen.revision, revision + 1), final=True)
            return [veiled(self._rules, message, revision)]

        return self._step(scopes_of(message), act, key)

    def _abandon(
        self,
        out: list[MaskedMessage],
        error: Exception,
        conversation_id: str | None = None,
        *,
        anyway: bool = False,
    ) -> None:
        """The buffers are out of reach: whatever has waited too long comes out without them."""
        self._rest(error)
        epoch = self._buffers.epoch or b""
        for held in self._ledger.overdue(conversation_id, epoch, anyway=anyway):
            out += self._blind(held.message, error)


def _taken_over(work: Worktable, loaded: Loaded) -> list[MaskedMessage]:
    """What was given to a worker that may be dead comes out again, here."""
    work.replaces = loaded.again_id
    return list(loaded.again)


def _give_up(work: Worktable, loaded: Loaded) -> list[MaskedMessage]:
    return work.veil(_scope(loaded.found[0].part))


def _key(masked: MaskedMessage) -> MessageKey:
    return (masked.conversation_id, masked.message_id)


def _scope(part: Part) -> Scope | str:
    return part.scope or part.name

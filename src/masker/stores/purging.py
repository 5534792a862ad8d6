"""Purging: from the first durable word it completes, whatever crashes.

Of a conversation or a subject, in this order:

1. One transaction of the keys: the intent, a fence for each conversation, its keys overwritten.
   From here nothing of it can be read, in this file or in any older copy of the data.
2. One transaction of the data: records overwritten with zeros where they lie, heads moved on.
3. The logs of both are emptied into their files: no copy of a key or of a record is left. A reader
   can be in the way; then the purge is *pending*.
4. What was destroyed is looked at, and the receipt is signed and takes the place of the intent.

Purging by age goes the way of a revision instead: segments that are wholly past their time lose
their record and then their key; one that is so in part is sealed again without what has expired.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from masker.core.messages import MaskedMessage
from masker.errors import StoreError, TamperedError
from masker.stores import codec
from masker.stores.heads import MIXED, Fence
from masker.stores.keyring import Want
from masker.stores.model import Progress
from masker.stores.shelf import Shelf
from masker.stores.states import Doomed, Entry, State
from masker.vault.receipts import FIRST, Receipt, ScopeKind, commitment

_SALT_BYTES = 16
_INTENT_NAME = b"intent"
_CHUNK = 200
"""Conversations that a purge by age looks at in one transaction."""


class Intent(msgspec.Struct, kw_only=True):
    """A purge that was asked for and is not over; `number` is its receipt's, or below 0: held."""

    number: int
    kind: ScopeKind
    scope: bytes
    """The name of what is purged: of a conversation, a subject, or a limit."""
    salt: bytes | None = None
    commitment: str | None = None
    before: int | None = None
    limits: dict[bytes, int] = msgspec.field(default_factory=dict)
    """For retention: the limit of each channel that has one of its own."""
    requested_at: int
    conversations: int = 0
    messages: int = 0
    keys: int = 0
    held: int = 0


class Limits:
    """Until when messages are past their time, by channel."""

    def __init__(self, before: int | None, channels: Mapping[bytes, int]) -> None:
        self._before = before
        self._channels = channels

    @property
    def latest(self) -> int | None:
        """Nothing from then on can be past its time."""
        limits = [*self._channels.values(), *([] if self._before is None else [self._before])]
        return max(limits, default=None)

    def of(self, channel: bytes) -> int | None:
        """The limit of a channel."""
        return self._channels.get(channel, self._before)

    def whole(self, entry: Entry) -> bool:
        """Whether all of a record is past its time, as far as can be told without opening it."""
        limit = self.of(entry.channel)
        return entry.channel != MIXED and limit is not None and entry.newest < limit

    def part(self, entry: Entry) -> bool:
        """Whether some of it may be."""
        limit = self.latest if entry.channel == MIXED else self.of(entry.channel)
        return limit is not None and entry.oldest < limit


class Purges:
    """Carries purges out, one at a time."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    # -- asking --------------------------------------------------------------------------------

    def purge_named(
        self, kind: ScopeKind, identifier: str, now: int, progress: Progress | None
    ) -> Receipt:
        """Purge a conversation or a subject by its id."""
        shelf = self._shelf
        names = shelf.digests
        name = names.subject(identifier) if kind == "subject" else names.conversation(identifier)
        waiting = self._waiting(name)
        if waiting is not None:
            return self._receipt(waiting, "pending" if waiting.number > 0 else "held")
        salt = os.urandom(_SALT_BYTES)
        intent = Intent(
            number=0, kind=kind, scope=name, salt=salt,
            commitment=commitment(kind, identifier, salt), requested_at=now,
        )  # fmt: skip
        return self._carry_out(intent, now, progress)

    def purge_aged(
        self,
        kind: ScopeKind,
        before: int | None,
        limits: Mapping[bytes, int],
        now: int,
        progress: Progress | None,
    ) -> Receipt | None:
        """Purge what is older than a limit; None where nothing is, and this is retention."""
        scope = self._shelf.digests.scope(kind, str(before))
        intent = Intent(
            number=0, kind=kind, scope=scope, before=before, limits=dict(limits), requested_at=now
        )
        aged = Limits(before, limits)
        if not any(self._is_due(number, aged) for number in self._aged(aged)):
            if kind == "retention":
                return None
            earlier = self._earlier(scope)
            if earlier is not None:
                return earlier
        return self._carry_out(intent, now, progress)

    def _carry_out(self, intent: Intent, now: int, progress: Progress | None) -> Receipt:
        shelf = self._shelf
        if intent.kind in ("conversation", "subject"):
            with shelf.data.transaction():
                if intent.kind == "subject":
                    shelf.data.lock_subject(intent.scope, alone=True)
                names = self._targets(intent)
                states = [shelf.condemned(name) for name in names]
                if not any(state.head.messages and not state.is_leftover for state in states):
                    earlier = self._earlier(intent.scope)
                    if earlier is not None:
                        self._erase(states, now)
                        self._move_fences([intent.scope, *names], now)
                        return earlier
                if any(self._is_held(state) for state in states):
                    return self._defer(intent, states, now)
                # What it waited for, if it did, is over.
                intent.held = 0
                destroyed = self._destroy(intent, states, now)
                places = self._erase(states, now)
            for state in states:
                shelf.drop(state.name)
            self._check(destroyed, places)
        else:
            with shelf.keys.transaction():
                self._number(intent)
                self._put(intent)
                if intent.kind == "before" and intent.before is not None:
                    shelf.put_fence(
                        age_fence_name(shelf), Fence(0, intent.before, False, intent.number, 0)
                    )
            self._sweep(intent, now, progress)
        return self._complete(intent, now)

    # -- a conversation, a subject -------------------------------------------------------------

    def _targets(self, intent: Intent) -> list[bytes]:
        if intent.kind == "conversation":
            return [intent.scope]
        rows = self._shelf.data.execute(
            "SELECT c.name FROM link l JOIN conversation c ON c.number = l.conversation"
            " WHERE l.subject = ? ORDER BY c.name",
            (intent.scope,),
        )
        return [bytes(name) for (name,) in rows]

    def _destroy(self, intent: Intent, states: Sequence[State], now: int) -> list[int]:
        """The point of no return: one transaction of the keys."""
        shelf = self._shelf
        destroyed: list[int] = []
        with shelf.keys.transaction():
            self._number(intent)
            for state in states:
                owned = shelf.ring.leased(state.owner)
                destroyed += owned
                shelf.ring.destroy((state.owner, slot) for slot in owned)
                if not state.is_leftover:
                    intent.conversations += bool(state.head.messages)
                    intent.messages += state.head.messages
                    fence = Fence(
                        state.head.incarnation, now, True, intent.number, state.head.messages
                    )
                    shelf.put_fence(state.name, fence)
                    state.fence = fence
                shelf.unanchor(state.name)
            if intent.kind == "subject":
                owned = shelf.ring.leased(intent.scope)
                # Keys made for a conversation whose first message was never saved: it is linked to
                # nobody, and with them it could not be written to for good.
                orphans = shelf.ring.under(owned)
                destroyed += [*owned, *(slot for _, slot in orphans)]
                shelf.ring.destroy(orphans)
                shelf.ring.destroy((intent.scope, slot) for slot in owned)
                shelf.drop_owners({owner for owner, _ in orphans})
                shelf.put_fence(intent.scope, Fence(0, now, True, intent.number, intent.messages))
            intent.keys += len(destroyed)
            self._put(intent)
        return destroyed

    def _move_fences(self, names: Sequence[bytes], now: int) -> None:
        """Asked again, with nothing to destroy: what was said until now is late as well."""
        shelf = self._shelf
        with shelf.keys.transaction():
            for name in names:
                fence = shelf.fence(name)
                if fence is not None and fence.until < now:
                    shelf.put_fence(name, fence._replace(until=now, undated=True))
        for name in names:
            shelf.drop(name)

    def _erase(self, states: Sequence[State], now: int) -> list[int]:
        shelf = self._shelf
        places: list[int] = []
        for state in states:
            if state.is_new or state.fence is None:
                continue
            if state.head.incarnation > state.fence.incarnation:
                continue  # a later life of the conversation, which this purge is not about
            places += shelf.erase_conversation(state)
            count = state.head.messages
            state.head.purged(state.fence.incarnation + 1)
            shelf.add_event(state, now, "purged", count)
            shelf.write_head(state)
        return places

    # -- by age --------------------------------------------------------------------------------

    def _is_due(self, number: int, limits: Limits) -> bool:
        """Whether a purge by age would take something of a conversation."""
        shelf = self._shelf
        name = shelf.named(number)
        with shelf.data.transaction():
            try:
                state, _ = shelf.load(name)
            except TamperedError:
                return False
            if state.is_leftover or self._is_held(state):
                return False
            return any(
                limits.whole(entry)
                or any(
                    self._is_past(message, entry, limits)
                    for message in shelf.open_entries(state, [entry])
                )
                for entry in state.entries.values()
                if limits.part(entry)
            )

    def _aged(self, limits: Limits) -> Iterator[int]:
        """Numbers of conversations in which something may be past its time."""
        latest = limits.latest
        if latest is None:
            return
        rows = self._shelf.data.execute(
            "SELECT DISTINCT conversation, channel, oldest FROM directory WHERE oldest < ?"
            " ORDER BY conversation",
            (latest,),
        )
        last = None
        for number, channel, oldest in rows:
            limit = latest if bytes(channel) == MIXED else limits.of(bytes(channel))
            if number == last or limit is None or oldest >= limit:
                continue
            last = number
            yield number

    def _sweep(self, intent: Intent, now: int, progress: Progress | None = None) -> None:
        shelf = self._shelf
        limits = Limits(intent.before, intent.limits)
        numbers = list(self._aged(limits))
        intent.held = 0
        for start in range(0, len(numbers), _CHUNK):
            self._sweep_some(intent, limits, numbers[start : start + _CHUNK], now)
            if progress is not None:
                progress(min(start + _CHUNK, len(numbers)), len(numbers))

        with shelf.keys.transaction():
            self._put(intent)

    def _sweep_some(self, intent: Intent, limits: Limits, numbers: Sequence[int], now: int) -> None:
        shelf = self._shelf
        doomed: list[Doomed] = []
        names: list[bytes] = []
        with shelf.data.transaction():
            for number in numbers:
                name = shelf.named(number)
                names.append(name)
                shelf.drop(name)
                try:
                    state, _ = shelf.load(name)
                except TamperedError:
                    # One that is damaged does not keep the others: `verify` names it, and a purge
                    # by its id takes it.
                    intent.held += 1
                    continue
                if state.is_leftover:
                    continue
                if self._is_held(state):
                    intent.held += 1
                    continue
                doomed += self._swept(intent, state, limits, now)
            shelf.doom(doomed)
        for name in names:
            shelf.drop(name)
        destroy_doomed(shelf, self)
        current = self._find(intent.number)
        if current is not None:
            held = intent.held
            intent.conversations, intent.messages, intent.keys = (
                current.conversations, current.messages, current.keys,
            )  # fmt: skip
            intent.held = held

    def _swept(self, intent: Intent, state: State, limits: Limits, now: int) -> list[Doomed]:
        """Take what is past its time out of one conversation; the keys that go with it."""
        shelf = self._shelf
        doomed: list[Doomed] = []
        gone = 0
        for slot, segment in list(state.segments.items()):
            entries = sorted(segment.values())
            if not any(limits.part(entry) for entry in entries):
                continue
            kept: list[MaskedMessage] = []
            if not all(limits.whole(entry) for entry in entries):
                kept = [
                    message
                    for entry in entries
                    for message in shelf.open_entries(state, [entry])
                    if not self._is_past(message, entry, limits)
                ]
            count = sum(entry.messages for entry in entries) - len(kept)
            if not count:
                continue
            mark = state.keys[slot].mark
            doomed.append(Doomed(state.owner, slot, mark, intent.number, count, int(not gone)))
            gone += count
            if kept:
                self._reseal(state, entries, kept)
            else:
                shelf.erase(state, entries)
        if gone:
            shelf.add_event(state, now, "purged", gone)
            shelf.write_head(state)
        return doomed

    def _is_past(self, message: MaskedMessage, entry: Entry, limits: Limits) -> bool:
        limit = limits.of(self._shelf.digests.channel(message.channel))
        at = entry.newest if message.timestamp is None else codec.microseconds(message.timestamp)
        return limit is not None and at < limit

    def _reseal(
        self, state: State, entries: Sequence[Entry], kept: Sequence[MaskedMessage]
    ) -> None:
        shelf = self._shelf
        if not state.spare:
            with shelf.keys.transaction():
                want = Want(state.owner, state.owner, 1, state.parent)
                state.spare += shelf.ring.provide([want])[state.owner]
        shelf.write(
            state,
            kept[0].conversation_id,
            kept,
            first=entries[0].first,
            revision=max(entry.revision for entry in entries) + 1,
            key=state.spare.pop(0),
            now=max(entry.newest for entry in entries),
            instead_of=entries,
        )

    # -- to the end ----------------------------------------------------------------------------

    def _check(self, slots: Sequence[int], places: Sequence[int]) -> None:
        """Look at what was destroyed, before a receipt says so."""
        shelf = self._shelf
        if not shelf.ring.is_destroyed(slots):
            raise TamperedError(place="keys", reason="a key that was destroyed is there again")
        for place in places:
            for (sealed,) in shelf.data.execute(
                "SELECT sealed FROM record WHERE place = ?", (place,)
            ):
                if any(bytes(sealed)):
                    raise TamperedError(place=f"place {place}", reason="was not overwritten")

    def _complete(self, intent: Intent, now: int) -> Receipt:
        """Empty the logs, and give the receipt; or say that a reader is in the way."""
        shelf = self._shelf
        if not (shelf.keys.scrub() and shelf.data.scrub()):
            return self._receipt(intent, "pending")
        with shelf.keys.transaction():
            # What a reader kept pending before is done as well now, and comes first in the chain.
            for begun in self._intents():
                if 0 < begun.number <= intent.number:
                    receipt = self._receipt(begun, "complete", now)
                    shelf.keys.execute(
                        "INSERT INTO receipt (number, scope, body) VALUES (?, ?, ?)",
                        (begun.number, begun.scope, receipt.to_json().encode()),
                    )
            shelf.keys.execute(
                "DELETE FROM intent WHERE number > 0 AND number <= ?", (intent.number,)
            )
        return receipt

    def resume(self, now: int) -> tuple[int, int]:
        """Finish purges that were begun; how many are, and how many a reader keeps pending."""
        shelf = self._shelf
        finished = 0
        begun = [intent for intent in self._intents() if intent.number > 0]
        for intent in begun:
            if intent.kind in ("conversation", "subject"):
                with shelf.data.transaction():
                    states = [shelf.condemned(name) for name in self._targets(intent)]
                    places = self._erase(states, now)
                for state in states:
                    shelf.drop(state.name)
                self._check([], places)
            else:
                self._sweep(intent, now)
            if self._complete(intent, now).status == "pending":
                break
            finished += 1
        finished += len(self._deferred(now))
        return finished, sum(intent.number > 0 for intent in self._intents())

    # -- legal hold ----------------------------------------------------------------------------

    def hold(self, name: bytes, now: int) -> None:
        """Put a conversation or subject under legal hold."""
        entry = self._shelf.digests.pack_entry(b"hold", name, now.to_bytes(8, "big", signed=True))
        with self._shelf.keys.transaction():
            self._shelf.keys.execute(
                "INSERT INTO hold (name, entry) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
                (name, entry),
            )

    def release(self, name: bytes, now: int) -> list[Receipt]:
        """Lift a legal hold; the receipts of the purges that waited for it."""
        with self._shelf.keys.transaction():
            self._shelf.keys.execute("DELETE FROM hold WHERE name = ?", (name,))
        return self._deferred(now)

    def _deferred(self, now: int) -> list[Receipt]:
        """Carry out deferred purges that no hold is in the way of any more."""
        receipts = []
        for intent in [intent for intent in self._intents() if intent.number < 0]:
            deferred = intent.number
            receipt = self._carry_out(intent, now, None)
            if receipt.status != "held":
                with self._shelf.keys.transaction():
                    self._shelf.keys.execute("DELETE FROM intent WHERE number = ?", (deferred,))
                receipts.append(receipt)
        return receipts

    def _defer(self, intent: Intent, states: Sequence[State], now: int) -> Receipt:
        shelf = self._shelf
        intent.held = sum(self._is_held(state) for state in states)
        if intent.number >= 0:
            with shelf.keys.transaction():
                ((lowest,),) = shelf.keys.execute("SELECT coalesce(min(number), 0) FROM intent")
                intent.number = min(lowest, 0) - 1
                self._put(intent)
            for state in states:
                if not state.is_new:
                    shelf.add_event(state, now, "held", 0)
                    shelf.write_head(state)
                    shelf.drop(state.name)
        return self._receipt(intent, "held")

    def _is_held(self, state: State) -> bool:
        return any(self._held(name) for name in (state.name, *state.subjects))

    def _held(self, name: bytes) -> bool:
        rows = self._shelf.keys.execute("SELECT entry FROM hold WHERE name = ?", (name,))
        if rows:
            self._shelf.digests.read_entry(b"hold", name, bytes(rows[0][0]), "hold")
        return bool(rows)

    # -- intents and receipts ------------------------------------------------------------------

    def _number(self, intent: Intent) -> None:
        """Give an intent the number of its receipt, within a transaction of the keys."""
        execute = self._shelf.keys.execute
        ((begun,),) = execute("SELECT coalesce(max(number), 0) FROM intent")
        ((complete,),) = execute("SELECT coalesce(max(number), 0) FROM receipt")
        intent.number = max(begun, complete, 0) + 1

    def _put(self, intent: Intent) -> None:
        packed = self._shelf.digests.pack_entry(
            _INTENT_NAME, _INTENT_NAME, msgspec.msgpack.encode(intent)
        )
        self._shelf.keys.execute(
            "INSERT INTO intent (number, entry) VALUES (?, ?)"
            " ON CONFLICT (number) DO UPDATE SET entry = excluded.entry",
            (intent.number, packed),
        )

    def _intents(self) -> list[Intent]:
        rows = self._shelf.keys.execute("SELECT entry FROM intent ORDER BY number")
        return [
            msgspec.msgpack.decode(
                self._shelf.digests.read_entry(_INTENT_NAME, _INTENT_NAME, bytes(entry), "intent"),
                type=Intent,
            )
            for (entry,) in rows
        ]

    def _find(self, number: int) -> Intent | None:
        return next((each for each in self._intents() if each.number == number), None)

    def _waiting(self, scope: bytes) -> Intent | None:
        return next((each for each in self._intents() if each.scope == scope), None)

    def count(self, intent: int, conversations: int, messages: int, keys: int) -> None:
        """Add to what a purge by age has destroyed, within the transaction that destroys it."""
        found = self._find(intent)
        if found is not None:
            found.conversations += conversations
            found.messages += messages
            found.keys += keys
            self._put(found)

    def _earlier(self, scope: bytes) -> Receipt | None:
        rows = self._shelf.keys.execute(
            "SELECT body FROM receipt WHERE scope = ? ORDER BY number DESC LIMIT 1", (scope,)
        )
        return Receipt.from_json(bytes(rows[0][0])) if rows else None

    def receipts(self) -> list[Receipt]:
        """Every receipt, in the order of their chain."""
        rows = self._shelf.keys.execute("SELECT body FROM receipt ORDER BY number")
        return [Receipt.from_json(bytes(body)) for (body,) in rows]

    def _receipt(self, intent: Intent, status: str, now: int | None = None) -> Receipt:
        rows = self._shelf.keys.execute("SELECT body FROM receipt ORDER BY number DESC LIMIT 1")
        previous = Receipt.from_json(bytes(rows[0][0])).digest() if rows else FIRST
        receipt = Receipt(
            store=self._shelf.store.hex(),
            number=max(intent.number, 0),
            status=status,  # type: ignore[arg-type]  # one of the three, by the callers above
            scope=intent.kind,
            commitment=intent.commitment,
            salt=None if intent.salt is None else intent.salt.hex(),
            before=None if intent.before is None else _said(intent.before),
            conversations=intent.conversations,
            messages=intent.messages,
            keys=intent.keys,
            held=intent.held,
            requested_at=_said(intent.requested_at),
            completed_at=None if now is None else _said(now),
            previous=previous,
            public_key="",
        )
        return self._shelf.ring.signer.sign(receipt)


def age_fence_name(shelf: Shelf) -> bytes:
    """Under which name the fence of purges by age stands."""
    return shelf.digests.scope("before", "")


def destroy_doomed(shelf: Shelf, purges: Purges) -> int:
    """Destroy the keys that committed transactions gave up; how many were still there."""
    rows = shelf.data.execute("SELECT slot, mark, intent, messages, conversations FROM doomed")
    if not rows:
        return 0
    marked = {slot: bytes(mark) for slot, mark, *_ in rows}
    with shelf.keys.transaction():
        living = shelf.ring.doomed(marked.items())
        shelf.ring.destroy(living)
        alive = {slot for _, slot in living}
        totals: dict[int, list[int]] = {}
        for slot, _, intent, messages, conversations in rows:
            if slot in alive and intent:
                sums = totals.setdefault(intent, [0, 0, 0])
                sums[0] += conversations
                sums[1] += messages
                sums[2] += 1
        for intent, (conversations, messages, keys) in totals.items():
            purges.count(intent, conversations, messages, keys)
        anchored = shelf.write_anchors()
    shelf.anchored(anchored)
    with shelf.data.transaction():
        shelf.settled += marked.items()
        shelf.settle()
    return len(living)


def to_microseconds(at: datetime, what: str) -> int:
    """A time as it is stored.

    Raises:
        StoreError: it has no time zone.
    """
    if at.tzinfo is None:
        raise StoreError(f"{what} has no time zone; time is an aware datetime")
    return codec.microseconds(at)


def _said(at: int) -> str:
    return codec.instant(at).isoformat()

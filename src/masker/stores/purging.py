"""Purging: from the first durable word it completes, whatever crashes.

Of a conversation or a subject, in this order:

1. One transaction of the keys: the intent, a fence for each conversation, its keys overwritten.
   From here nothing of it can be read, in this file or in any older copy of the data.
2. One transaction of the data: records overwritten with zeros where they lie, heads moved on.
3. The logs of both are emptied into their files: no copy of a key or of a record is left. A reader
   can be in the way; then the purge is *pending*.
4. What was destroyed is looked at, and the receipt is signed and takes the place of the intent.

Purging by age is in `ageing`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime

from masker.errors import StoreError, TamperedError
from masker.stores import codec
from masker.stores.ageing import Ageing, Limits, age_fence_name
from masker.stores.heads import Fence
from masker.stores.holds import Holds
from masker.stores.intents import Intent, Intents
from masker.stores.model import Progress
from masker.stores.shelf import Shelf
from masker.stores.states import State
from masker.vault.receipts import Receipt, ScopeKind, commitment

_SALT_BYTES = 16
_INTENT_NAME = b"intent"
_CHUNK = 200
"""Conversations that a purge by age looks at in one transaction."""


class Purges:
    """Carries purges out, one at a time."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self.intents = Intents(shelf)
        self.holds = Holds(shelf.keys, shelf.digests)
        self._ageing = Ageing(shelf, self.intents, self.holds)

    # -- asking --------------------------------------------------------------------------------

    def purge_named(
        self, kind: ScopeKind, identifier: str, now: int, progress: Progress | None
    ) -> Receipt:
        """Purge a conversation or a subject by its id."""
        shelf = self._shelf
        names = shelf.digests
        name = names.subject(identifier) if kind == "subject" else names.conversation(identifier)
        waiting = self.intents.waiting(name)
        if waiting is not None:
            return self.intents.receipt(waiting, "pending" if waiting.number > 0 else "held")
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
        if not any(self._ageing.is_due(number, aged) for number in self._ageing.aged(aged)):
            if kind == "retention":
                return None
            earlier = self.intents.earlier(scope)
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
                    earlier = self.intents.earlier(intent.scope)
                    if earlier is not None:
                        self._erase(states, now)
                        self._move_fences([intent.scope, *names], now)
                        return earlier
                if any(self.holds.covers(state) for state in states):
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
                self.intents.number(intent)
                self.intents.put(intent)
                if intent.kind == "before" and intent.before is not None:
                    shelf.marks.put_fence(
                        age_fence_name(shelf), Fence(0, intent.before, False, intent.number, 0)
                    )
            self._ageing.sweep(intent, now, progress)
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
            self.intents.number(intent)
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
                    shelf.marks.put_fence(state.name, fence)
                    state.fence = fence
                shelf.marks.unanchor(state.name)
            if intent.kind == "subject":
                owned = shelf.ring.leased(intent.scope)
                # Keys made for a conversation whose first message was never saved: it is linked to
                # nobody, and with them it could not be written to for good.
                orphans = shelf.ring.under(owned)
                destroyed += [*owned, *(slot for _, slot in orphans)]
                shelf.ring.destroy(orphans)
                shelf.ring.destroy((intent.scope, slot) for slot in owned)
                shelf.drop_owners({owner for owner, _ in orphans})
                shelf.marks.put_fence(
                    intent.scope, Fence(0, now, True, intent.number, intent.messages)
                )
            intent.keys += len(destroyed)
            self.intents.put(intent)
        return destroyed

    def _move_fences(self, names: Sequence[bytes], now: int) -> None:
        """Asked again, with nothing to destroy: what was said until now is late as well."""
        shelf = self._shelf
        with shelf.keys.transaction():
            for name in names:
                fence = shelf.marks.fence(name)
                if fence is not None and fence.until < now:
                    shelf.marks.put_fence(name, fence._replace(until=now, undated=True))
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
            places += shelf.writer.erase_conversation(state)
            count = state.head.messages
            state.head.purged(state.fence.incarnation + 1)
            shelf.writer.add_event(state, now, "purged", count)
            shelf.writer.write_head(state)
        return places

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
            return self.intents.receipt(intent, "pending")
        with shelf.keys.transaction():
            # What a reader kept pending before is done as well now, and comes first in the chain.
            for begun in self.intents.begun():
                if 0 < begun.number <= intent.number:
                    receipt = self.intents.receipt(begun, "complete", now)
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
        begun = [intent for intent in self.intents.begun() if intent.number > 0]
        for intent in begun:
            if intent.kind in ("conversation", "subject"):
                with shelf.data.transaction():
                    states = [shelf.condemned(name) for name in self._targets(intent)]
                    places = self._erase(states, now)
                for state in states:
                    shelf.drop(state.name)
                self._check([], places)
            else:
                self._ageing.sweep(intent, now)
            if self._complete(intent, now).status == "pending":
                break
            finished += 1
        finished += len(self._deferred(now))
        return finished, sum(intent.number > 0 for intent in self.intents.begun())

    # -- legal hold ----------------------------------------------------------------------------

    def release(self, name: bytes, now: int) -> list[Receipt]:
        """Lift a legal hold; the receipts of the purges that waited for it."""
        self.holds.lift(name)
        return self._deferred(now)

    def _deferred(self, now: int) -> list[Receipt]:
        """Carry out deferred purges that no hold is in the way of any more."""
        receipts = []
        for intent in [intent for intent in self.intents.begun() if intent.number < 0]:
            deferred = intent.number
            receipt = self._carry_out(intent, now, None)
            if receipt.status != "held":
                with self._shelf.keys.transaction():
                    self._shelf.keys.execute("DELETE FROM intent WHERE number = ?", (deferred,))
                receipts.append(receipt)
        return receipts

    def _defer(self, intent: Intent, states: Sequence[State], now: int) -> Receipt:
        shelf = self._shelf
        intent.held = sum(self.holds.covers(state) for state in states)
        if intent.number >= 0:
            with shelf.keys.transaction():
                ((lowest,),) = shelf.keys.execute("SELECT coalesce(min(number), 0) FROM intent")
                intent.number = min(lowest, 0) - 1
                self.intents.put(intent)
            for state in states:
                if not state.is_new:
                    shelf.writer.add_event(state, now, "held", 0)
                    shelf.writer.write_head(state)
                    shelf.drop(state.name)
        return self.intents.receipt(intent, "held")


def to_microseconds(at: datetime, what: str) -> int:
    """A time as it is stored.

    Raises:
        StoreError: it has no time zone.
    """
    if at.tzinfo is None:
        raise StoreError(f"{what} has no time zone; time is an aware datetime")
    return codec.microseconds(at)

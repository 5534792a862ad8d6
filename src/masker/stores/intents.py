"""The durable words of purges: what was asked for and is not over, and the receipts of what is.

An intent is written before anything is destroyed, and its receipt takes its place in the end.
"""

from __future__ import annotations

import msgspec

from masker.stores import codec
from masker.stores.shelf import Shelf
from masker.vault.receipts import FIRST, Receipt, ScopeKind

_INTENT_NAME = b"intent"


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


class Intents:
    """Intents and receipts, with the keys of a store; each authenticated or signed."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def number(self, intent: Intent) -> None:
        """Give an intent the number of its receipt, within a transaction of the keys."""
        execute = self._shelf.keys.execute
        ((begun,),) = execute("SELECT coalesce(max(number), 0) FROM intent")
        ((complete,),) = execute("SELECT coalesce(max(number), 0) FROM receipt")
        intent.number = max(begun, complete, 0) + 1

    def put(self, intent: Intent) -> None:
        """Write an intent down, within a transaction of the keys."""
        packed = self._shelf.digests.pack_entry(
            _INTENT_NAME, _INTENT_NAME, msgspec.msgpack.encode(intent)
        )
        self._shelf.keys.execute(
            "INSERT INTO intent (number, entry) VALUES (?, ?)"
            " ON CONFLICT (number) DO UPDATE SET entry = excluded.entry",
            (intent.number, packed),
        )

    def begun(self) -> list[Intent]:
        """Purges that are not over; those below 0 are deferred, and come first."""
        rows = self._shelf.keys.execute("SELECT entry FROM intent ORDER BY number")
        return [
            msgspec.msgpack.decode(
                self._shelf.digests.read_entry(_INTENT_NAME, _INTENT_NAME, bytes(entry), "intent"),
                type=Intent,
            )
            for (entry,) in rows
        ]

    def find(self, number: int) -> Intent | None:
        """The intent of a number, while it is not over."""
        return next((each for each in self.begun() if each.number == number), None)

    def waiting(self, scope: bytes) -> Intent | None:
        """The intent to purge something, while it is not over."""
        return next((each for each in self.begun() if each.scope == scope), None)

    def count(self, intent: int, conversations: int, messages: int, keys: int) -> None:
        """Add to what a purge by age has destroyed, within the transaction that destroys it."""
        found = self.find(intent)
        if found is not None:
            found.conversations += conversations
            found.messages += messages
            found.keys += keys
            self.put(found)

    def earlier(self, scope: bytes) -> Receipt | None:
        """The latest receipt of something that was purged before."""
        rows = self._shelf.keys.execute(
            "SELECT body FROM receipt WHERE scope = ? ORDER BY number DESC LIMIT 1", (scope,)
        )
        return Receipt.from_json(bytes(rows[0][0])) if rows else None

    def receipts(self) -> list[Receipt]:
        """Every receipt, in the order of their chain."""
        rows = self._shelf.keys.execute("SELECT body FROM receipt ORDER BY number")
        return [Receipt.from_json(bytes(body)) for (body,) in rows]

    def receipt(self, intent: Intent, status: str, now: int | None = None) -> Receipt:
        """What to say of a purge, signed; that it is complete is said with the time of that."""
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


def _said(at: int) -> str:
    return codec.instant(at).isoformat()

"""The service trail: what happened to a conversation, when; counts and rule names, no content.

Events of a conversation form a chain: each carries a keyed digest of itself and of the one before,
and the head of the conversation carries the last. The trail outlives a purge, which is its last
word.
"""

from __future__ import annotations

import msgspec

from masker.errors import TamperedError
from masker.stores import codec
from masker.stores.database import Database
from masker.stores.heads import Digests
from masker.stores.model import Event, EventKind
from masker.stores.states import State

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, str, int, dict[str, int]]).decode
_KINDS: dict[str, EventKind] = {
    "received": "received",
    "masked": "masked",
    "revised": "revised",
    "read": "read",
    "purged": "purged",
    "held": "held",
    "released": "released",
}


def pack_event(at: int, kind: EventKind, count: int, rules: dict[str, int]) -> bytes:
    """An event as it is stored."""
    return _encode((at, kind, count, rules))


def read_trail(data: Database, digests: Digests, state: State) -> list[Event]:
    """The events of a conversation, oldest first, their chain checked.

    Raises:
        TamperedError: an event was changed, added or removed.
    """
    rows: list[tuple[int, bytes, bytes]] = []
    number = state.head.last
    while number and len(rows) < state.head.events:
        found = data.execute("SELECT previous, entry, chain FROM trail WHERE number = ?", (number,))
        if not found:
            raise TamperedError(place=f"event {number}", reason="is missing")
        previous, entry, link = found[0]
        rows.append((previous, bytes(entry), bytes(link)))
        number = previous
    rows.reverse()
    chain = bytes(len(state.head.chain))
    events = []
    for previous, entry, link in rows:
        chain = digests.event(state.name, previous, chain, entry)
        if chain != link:
            raise TamperedError(place=f"the event after {previous}", reason="was changed")
        at, kind, count, rules = _decode(entry)
        when = codec.instant(at)
        events.append(Event(at=when, kind=_KINDS[kind], count=count))
        if rules:
            masked = sum(rules.values())
            events.append(Event(at=when, kind="masked", count=masked, rules=rules))
    if len(rows) != state.head.events or chain != state.head.chain:
        raise TamperedError(place=f"{state.place}, trail", reason="does not end where it should")
    return events

"""Keys that committed transactions gave up: destroyed now, or by whoever opens the store next."""

from __future__ import annotations

from masker.stores.intents import Intents
from masker.stores.shelf import Shelf


def destroy_doomed(shelf: Shelf, intents: Intents) -> int:
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
            intents.count(intent, conversations, messages, keys)
        anchored = shelf.marks.write_anchors()
    shelf.marks.anchored(anchored)
    with shelf.data.transaction():
        shelf.writer.settled += marked.items()
        shelf.writer.settle()
    return len(living)

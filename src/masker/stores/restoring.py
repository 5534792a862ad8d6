"""An older copy of the data is put back: what was purged since stays purged.

The keys remember how far each conversation had come, and refuse an older one. Who knows that it is
older, because a backup was put back, takes it for the present here. What was saved since is gone,
and so are records whose keys were destroyed since, by a revision or by age.
"""

from __future__ import annotations

from masker.stores.shelf import Shelf


def accept(shelf: Shelf, now: int) -> int:
    """Take the data as they are for the present; how many conversations had been newer.

    May be interrupted, and is then asked for again.
    """
    rows = shelf.data.execute("SELECT name, head FROM conversation ORDER BY number")
    packed = {bytes(name): bytes(head) for name, head in rows}
    newer = [
        bytes(name)
        for name, entry in shelf.keys.execute("SELECT name, entry FROM anchor")
        if not _reaches(shelf, packed.get(bytes(name)), bytes(name), bytes(entry))
    ]
    with shelf.keys.transaction():
        shelf.keys.execute_many("DELETE FROM anchor WHERE name = ?", [(name,) for name in newer])
    shelf.drop_all()
    for name in packed:
        with shelf.data.transaction():
            _settle(shelf, name, now)
        shelf.drop(name)
    with shelf.keys.transaction():
        anchored = shelf.marks.write_anchors()
    shelf.marks.anchored(anchored)
    return len(newer)


def _reaches(shelf: Shelf, packed: bytes | None, name: bytes, entry: bytes) -> bool:
    """Whether a conversation is as far as its anchor."""
    if packed is None:
        return False
    head = shelf.digests.read_head(name, packed, "a conversation")
    anchor = shelf.digests.read_anchor(name, entry)
    if head.generation == anchor.generation:
        return shelf.digests.is_anchored(anchor, packed)
    return head.generation > anchor.generation


def _settle(shelf: Shelf, name: bytes, now: int) -> None:
    """Overwrite what was purged since, and let go of records whose keys are destroyed."""
    state = shelf.outline(name)
    if state.is_leftover:
        assert state.fence is not None
        shelf.writer.erase_conversation(state)
        shelf.writer.add_event(state, now, "purged", state.head.messages)
        state.head.purged(state.fence.incarnation + 1)
    else:
        leased = shelf.ring.leased(state.owner)
        for entry in shelf.records.listed(state):
            state.put(entry)
        lost = [entry for entry in state.entries.values() if entry.slot not in leased]
        if not lost:
            shelf.marks.moved(state)
            return
        shelf.writer.erase(state, lost)
        shelf.writer.add_event(state, now, "purged", sum(entry.messages for entry in lost))
    shelf.writer.write_head(state)
    shelf.marks.moved(state)

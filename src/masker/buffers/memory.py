"""Buffers in this process's memory, which hold no more than they are told to.

What was used least recently is given up when there is too much: it comes out masked, and leaves a
small mark behind, so that the rest of a number that was cut there is masked as well.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from heapq import heappop, heappush
from secrets import token_bytes
from threading import RLock
from time import monotonic

from masker.buffers.part import Found, Loaded, Part, Scope, Seen, Step
from masker.core.lanes import Lane, Window
from masker.core.messages import MaskedMessage, Message
from masker.core.order import MessageKey
from masker.core.redactor import Delivery
from masker.core.ruleset import RuleSet
from masker.errors import BuffersError

# What things take up, in bytes, rounded up; `test_memory_stays_within_its_limit` measures.
_PART, _LANE, _NOTE, _CHARACTER, _RUN, _JOINT, _JOINT_RUN = 1_200, 700, 900, 4, 260, 450, 130
_MARK = 900
_REMEMBERED = 4_096


class MemoryBuffers:
    """Keeps conversations in memory, at most about `max_bytes` of what is pending.

    One process may have several redactors over one of these, all by the same rules. Nothing in it
    outlives the process.
    """

    def __init__(
        self, *, max_bytes: int = 64 * 1024 * 1024, max_remembered: int = _REMEMBERED
    ) -> None:
        if max_bytes < 100 * _PART or max_remembered < 1:
            raise BuffersError(f"max_bytes is at least {100 * _PART}, max_remembered at least 1")
        self._max_bytes = max_bytes
        self._max_remembered = max_remembered
        self._lock = RLock()
        self._opened: tuple[RuleSet, Delivery, Window] | None = None
        self._parts: OrderedDict[str, tuple[Part, bytes, int]] = OrderedDict()
        self._marks: OrderedDict[str, None] = OrderedDict()
        self._seen: OrderedDict[MessageKey, Seen] = OrderedDict()
        self._due: dict[str, float] = {}
        self._soonest: list[tuple[float, str]] = []
        self._size = 0
        self._pending = 0
        self._version = 0
        self._lost_until = 0.0
        self._salt = token_bytes(16)
        self.evictions = 0
        """How many parts were given up because there were too many."""

    def __repr__(self) -> str:
        return f"MemoryBuffers({len(self._parts)} parts, about {self._size} bytes)"

    @property
    def size(self) -> int:
        """About how many bytes what is kept takes up."""
        return self._size

    @property
    def counts(self) -> dict[str, int]:
        """How many parts were given up."""
        return {"evictions": self.evictions}

    @property
    def pending(self) -> int:
        """Messages in all parts that are not final."""
        return self._pending

    @property
    def epoch(self) -> None:
        """Memory is lost only with whoever uses it."""
        return

    def open(self, rules: RuleSet, delivery: Delivery, window: Window) -> None:
        """A redactor begins to use these.

        Raises:
            BuffersError: another one with other rules, delivery or window uses them.
        """
        with self._lock:
            opened = (rules, delivery, window)
            if self._opened is None:
                self._opened = opened
            elif self._opened[0].rules != rules.rules or self._opened[1:] != opened[1:]:
                raise BuffersError("these buffers are used with another delivery, window or rules")

    def name(self, scope: Scope) -> str:
        """Names need hide nothing in a process's own memory."""
        return f"{scope[0]}:{scope[1]}"

    def mark(self, message: Message) -> bytes:
        """A fingerprint of sender and text."""
        source = repr((message.sender, message.text)).encode("utf-8", "backslashreplace")
        return blake2b(source, key=self._salt, digest_size=16).digest()

    def load(
        self,
        names: Sequence[str],
        key: MessageKey | None = None,
        quiet: tuple[Step, Seen] | None = None,
    ) -> Loaded:
        """The parts of these names, and what is remembered of the message."""
        with self._lock:
            seen = self._seen.get(key) if key is not None else None
            missing = "memory was full" if monotonic() < self._lost_until else None
            is_free = seen is None and missing is None and self._parts.keys().isdisjoint(names)
            if quiet is not None and key is not None and is_free:
                self._remember(key, quiet[1])
                return Loaded((), stored=True)
            found = []
            for name in names:
                kept = self._parts.get(name)
                if kept is None:
                    found.append(Found(Part(name), b"", missing))
                else:
                    self._parts.move_to_end(name)
                    found.append(Found(kept[0], kept[1]))
            return Loaded(tuple(found), seen)

    def store(self, step: Step) -> bool:
        """Put parts back, where none of them has changed since it was loaded."""
        with self._lock:
            for found in step.before:
                kept = self._parts.get(found.part.name)
                if found.token != (kept[1] if kept is not None else b""):
                    return False
            for part, due in zip(step.after, step.due, strict=True):
                self._put(part, due)
            for key, seen in step.seen.items():
                self._remember(key, seen)
            return True

    def due(self, now: float | None, limit: int) -> list[str]:
        """Names of parts to be looked at by `now`; of all where it is None."""
        with self._lock:
            if now is None:
                return [name for name, _ in zip(self._parts, range(limit), strict=False)]
            names: list[str] = []
            kept: list[tuple[float, str]] = []
            while self._soonest and self._soonest[0][0] <= now and len(names) < limit:
                when, name = heappop(self._soonest)
                # An entry that no longer says when a part is due is one that was put off.
                if self._due.get(name) == when and name not in names:
                    names.append(name)
                    kept.append((when, name))
            for entry in kept:
                heappush(self._soonest, entry)
            return names

    def excess(self) -> list[str]:
        """Names of parts to be given up so that the rest is within the limit."""
        with self._lock:
            while self._size > self._max_bytes and 2 * len(self._marks) * _MARK > self._max_bytes:
                # More marks than anybody could keep: what they stood for is masked for a window.
                name, _ = self._marks.popitem(last=False)
                self._drop(name)
                self.lost()
            names = []
            over = self._size - self._max_bytes
            if over <= 0:
                return []
            for name, (_, _, size) in self._parts.items():
                if over <= 0:
                    break
                if name not in self._marks:
                    names.append(name)
                    over -= size - _MARK
            self.evictions += len(names)
            return names

    def acknowledge(self, ids: Sequence[bytes], *, now: bool) -> None:
        """Nothing is kept for a worker that may have died: all would be lost with it."""

    def unclaimed(self, limit: int) -> list[tuple[bytes, tuple[MaskedMessage, ...]]]:
        """Nothing: see `acknowledge`."""
        return []

    def is_final(self, key: MessageKey) -> bool:
        """Whether the message is known to have come out final."""
        seen = self._seen.get(key)
        return seen is not None and seen.final

    def lost(self) -> None:
        """Veil whatever begins within the next window."""
        seconds = self._opened[2].seconds if self._opened is not None else 0.0
        self._lost_until = monotonic() + seconds

    def _put(self, part: Part, due: float | None) -> None:
        name = part.name
        self._drop(name)
        if part.is_empty:
            return
        size = _MARK if part.veiled and not part.lanes else _weight(part)
        self._version += 1
        self._parts[name] = (part, self._version.to_bytes(8, "big"), size)
        self._size += size
        self._pending += part.pending
        if part.veiled and not part.lanes:
            self._marks[name] = None
        if due is not None:
            self._due[name] = due
            heappush(self._soonest, (due, name))
            if len(self._soonest) > 64 + 4 * len(self._due):
                self._soonest = sorted((when, name) for name, when in self._due.items())

    def _drop(self, name: str) -> None:
        kept = self._parts.pop(name, None)
        if kept is not None:
            self._size -= kept[2]
            self._pending -= kept[0].pending
        self._marks.pop(name, None)
        self._due.pop(name, None)

    def _remember(self, key: MessageKey, seen: Seen) -> None:
        self._seen[key] = seen
        if len(self._seen) > self._max_remembered:
            self._seen.popitem(last=False)


def _weight(part: Part) -> int:
    """About how many bytes a part takes up."""
    waiting = sum(_NOTE + _CHARACTER * len(one.message.text) for one in part.waiting)
    held = sum(_NOTE + _CHARACTER * place.size for place in part.order)
    return _PART + waiting + held + sum(map(_lane_weight, part.lanes.values()))


def _lane_weight(lane: Lane) -> int:
    notes = sum(
        _NOTE + _CHARACTER * len(note.message.text) + _RUN * len(note.pieces) for note in lane.notes
    )
    runs = [len(joint.parts) for joint in lane.joints]
    runs += [len(found.parts) for found in lane.candidates]
    joints = sum(_JOINT + _JOINT_RUN * size for size in runs)
    return _LANE + notes + joints + _RUN * sum(map(len, lane.recent))

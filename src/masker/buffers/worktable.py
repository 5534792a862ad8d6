"""A plain redactor that works on a few parts, laid before it and taken up again.

This is the one place that knows what a `Redactor` keeps and how it falls into parts. A test
holds it to every attribute a redactor has.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from copy import copy
from datetime import datetime
from math import inf

from masker.buffers.part import Part, Scope, Seen
from masker.buffers.veil import veiled
from masker.core.lanes import EMPTY, Lane, Window
from masker.core.messages import MaskedMessage, Message
from masker.core.order import MessageKey
from masker.core.redactor import Delivery, LaneKey, Redactor
from masker.core.ruleset import RuleSet


class MorePartsNeeded(Exception):  # noqa: N818 - a request, not an error
    """The call concerns these scopes too: load their parts, and begin again."""

    def __init__(self, scopes: Iterable[Scope]) -> None:
        super().__init__()
        self.scopes = frozenset(scopes)


def conversation(conversation_id: str) -> Scope:
    """The scope of a conversation."""
    return ("conversation", conversation_id)


def scopes_of(message: Message) -> list[Scope]:
    """The scopes that a message concerns."""
    own = [conversation(message.conversation_id)]
    return own if message.subject is None else [*own, ("subject", message.subject)]


class Worktable(Redactor):
    """A redactor of a few parts."""

    def __init__(self, rules: RuleSet, *, delivery: Delivery, window: Window) -> None:
        super().__init__(rules, delivery=delivery, window=window)
        self._laid: dict[Scope | str, Part] = {}
        self.seen: dict[MessageKey, Seen] = {}
        """What is to be remembered of message ids when the parts are put back."""
        self.replaces = b""
        """A step whose messages come out again with this one."""

    # -- parts ---------------------------------------------------------------------------------

    def lay(self, parts: Iterable[Part]) -> None:
        """Take parts in.

        Raises:
            MorePartsNeeded: messages of theirs wait in the order of other conversations.
        """
        for part in parts:
            mine = copy(part)
            self._laid[part.scope or part.name] = mine
            self._lanes.update(part.lanes)
            if part.scope is None or part.scope[0] == "subject":
                continue
            conversation_id = part.scope[1]
            if part.asked is not None:
                self._asked[conversation_id] = part.asked
            if self._order is not None and part.order:
                # A place is written on: whoever works on a copy that is thrown away must not.
                self._order[conversation_id] = deque(copy(place) for place in part.order)
        for lane_key, lane in self._lanes.items():
            self._schedule(lane_key, lane)
            for note in lane.notes:
                message = note.message
                self._pending[message.conversation_id, message.message_id] = lane_key
            if lane_key[0] is not None:
                self._open.setdefault(lane_key[0], set()).add(lane_key)
        for scope, part in self._laid.items():
            if isinstance(scope, tuple):
                here = {(None, subject) for subject in part.subjects} & self._lanes.keys()
                if here:
                    self._open.setdefault(scope[1], set()).update(here)
        if self._order is not None:
            self._need(conversation(key[0]) for key in self._pending)
            self._drop_orphans()

    def lift(self) -> list[Part]:
        """The parts as they are now, in the order they were laid."""
        lifted = []
        for scope, part in self._laid.items():
            part.lanes = {}
            if isinstance(scope, str):
                lifted.append(part)
                continue
            kind, name = scope
            if kind == "conversation":
                known = {subject for subject in part.subjects if ("subject", subject) in self._laid}
                here = {key[1] for key in self._open.get(name, ()) if key[0] is None}
                if len(part.subjects | here) // MANY_SUBJECTS > len(part.subjects) // MANY_SUBJECTS:
                    # Most of them may be done with: who is, is known when they are at hand.
                    self.need_subjects(name)
                part.subjects = (part.subjects - known) | here
                times = [self._lanes[None, subject].time for subject in here]
                part.subjects_at = max(
                    [at for at in (part.subjects_at, *times) if at is not None], default=None
                )
                part.asked = self._asked.get(name)
                part.order = tuple(self._order.get(name, ())) if self._order is not None else ()
            lifted.append(part)
        for lane_key, lane in self._lanes.items():
            self._laid[_scope_of(lane_key)].lanes[lane_key] = lane
        return lifted

    @property
    def conversations(self) -> list[Part]:
        """The parts of conversations among them."""
        return [part for part in self._laid.values() if part.scope and part.scope[0] != "subject"]

    def part(self, scope: Scope) -> Part:
        """One of the parts, to be written on."""
        self._need([scope])
        return self._laid[scope]

    def due(self, part: Part) -> float | None:
        """When to look at a part again: as soon as there is a time, where it knows of none."""
        seconds = self._window.seconds
        times = [_later(lane.time, seconds) for lane in part.lanes.values()]
        if part.asked is not None:
            times.append(_later(part.asked.time, seconds))
        if part.veiled:
            times.append(_later(part.veiled_at, seconds))
        if part.turn is not None:
            times.append(_later(part.turn_at, seconds))
        if part.subjects:
            times.append(_later(part.subjects_at, seconds))
        return min(times, default=None)

    def _need(self, scopes: Iterable[Scope]) -> None:
        absent = [scope for scope in scopes if scope not in self._laid]
        if absent:
            raise MorePartsNeeded(absent)

    def need_subjects(self, conversation_id: str) -> None:
        """Have at hand whatever a conversation has something in."""
        part = self._laid[conversation(conversation_id)]
        self._need(("subject", subject) for subject in sorted(part.subjects))

    def _drop_orphans(self) -> None:
        """A place whose message is in no part any more would hold back all behind it."""
        for conversation_id, places in list((self._order or {}).items()):
            if any(p.masked is None and p.key not in self._pending for p in places):
                self.need_subjects(conversation_id)
                kept = [p for p in places if p.masked is not None or p.key in self._pending]
                if self._order is not None:
                    self._order[conversation_id] = deque(kept)

    # -- what a plain redactor does not know ---------------------------------------------------

    def remember(self, key: MessageKey, seen: Seen) -> None:
        """This message's id was used before, for another text."""
        self._remembered[key] = (seen.revision, _NO_FINGERPRINT)

    def forget(self, keys: Iterable[MessageKey]) -> None:
        """These messages came out already, by another way: nothing of them comes out here."""
        for key in keys:
            if key in self._pending:
                self._forget(key)
        if self._order is not None:
            self._drop_orphans()

    def is_pending(self, key: MessageKey) -> bool:
        """Whether a message waits in one of the parts, for its number or for those before it."""
        places = () if self._order is None else self._order.get(key[0], ())
        return key in self._pending or any(place.key == key for place in places)

    def release(self) -> list[MaskedMessage]:
        """Held messages before which nothing waits any more."""
        return [] if self._order is None else self._order.ready(list(self._order))

    def veil(self, scope: Scope | str) -> list[MaskedMessage]:
        """Something said in this part may be missing: what waits in it becomes final, masked."""
        part = self._laid[scope]
        latest = [lane.time for lane in part.lanes.values() if lane.time is not None]
        part.veiled = True
        part.veiled_at = max([*latest, *([part.veiled_at] if part.veiled_at else [])], default=None)
        out: list[MaskedMessage] = []
        for lane_key in list(part.lanes):
            out += self._given_up(lane_key)
            self._keep(lane_key, EMPTY, ())
        if isinstance(scope, tuple) and scope[0] == "conversation":
            self._asked.pop(scope[1], None)
        return out if self._order is None else self._in_order(out)

    def receive(self, message: Message) -> list[MaskedMessage]:
        """Take one message in; where a part it concerns is veiled, it comes out veiled."""
        self._need(scopes_of(message))
        stamp = message.timestamp.timestamp() if message.timestamp is not None else None
        parts = [part for scope in scopes_of(message) if (part := self._laid[scope]).veiled]
        for part in parts:
            if stamp is not None:
                self._unveil(part, stamp)
        if not any(part.veiled for part in parts):
            return super().receive(message)
        if stamp is not None and not self._rules.is_only_talk(message.text):
            for part in parts:
                part.veiled_at = max(stamp, part.veiled_at if part.veiled_at is not None else stamp)
        # The short way out of a plain redactor takes a message for a whole conversation.
        self._needs_look = _always
        out = super().receive(message)
        self._needs_look = self._rules.needs_look
        return out

    def _examined(
        self, message: Message, key: MessageKey, lane_key: LaneKey, lane: Lane | None, revision: int
    ) -> list[MaskedMessage]:
        if any(self._laid[scope].veiled for scope in scopes_of(message)):
            if revision and key in self._pending:
                self._forget(key)
            masked = veiled(self._rules, message, revision)
            self.failures += masked.text != message.text
            return [masked]
        return super()._examined(message, key, lane_key, lane, revision)

    def advance(self, now: datetime) -> list[MaskedMessage]:
        """Time passes, for veils as well."""
        out = super().advance(now)
        stamp = now.timestamp()
        for part in self._laid.values():
            if part.veiled:
                self._unveil(part, stamp)
            if part.subjects and part.scope is not None:
                if part.subjects_at is None:
                    part.subjects_at = stamp
                elif stamp - part.subjects_at >= self._window.seconds:
                    # Once they are at hand, those that are done with are dropped.
                    self.need_subjects(part.scope[1])
                    part.subjects_at = stamp
            if part.turn is not None:
                if part.turn_at is None:
                    part.turn_at = stamp
                elif stamp - part.turn_at >= self._window.seconds and not part.waiting:
                    part.turn = part.turn_at = None
        return out

    def _unveil(self, part: Part, stamp: float) -> None:
        if part.veiled_at is None:
            part.veiled_at = stamp
        elif stamp - part.veiled_at >= self._window.seconds:
            part.veiled, part.veiled_at = False, None


# A conversation of so many subjects, and of each so many more, has its subjects looked at.
MANY_SUBJECTS = 64
# `hash` gives no such value: whatever comes under this id is another text.
_NO_FINGERPRINT = 1 << 80


def _always(text: str) -> bool:
    return True


def _later(time: float | None, seconds: float) -> float:
    return -inf if time is None else time + seconds


def _scope_of(lane_key: LaneKey) -> Scope:
    conversation_id, name = lane_key
    return ("subject", name) if conversation_id is None else ("conversation", conversation_id)

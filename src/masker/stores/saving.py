"""Saving: a batch of messages becomes one record for each conversation, and one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from masker.core.messages import MaskedMessage
from masker.stores import codec
from masker.stores.heads import Fence
from masker.stores.keyring import DataKey, Want
from masker.stores.model import Refused
from masker.stores.shelf import Shelf
from masker.stores.states import Doomed, Entry, State

SEGMENT_MESSAGES = 128
"""Messages under one data key, at most: that many are sealed again when one is revised."""
SEGMENT_RECORDS = 32
_MOST_SPARE = 16
"""Data keys made ahead for a busy conversation, so that few batches wait for both files."""

Group = dict[str, MaskedMessage]


@dataclass(slots=True)
class _Plan:
    """What a batch does to one conversation."""

    conversation_id: str
    state: State
    new: list[MaskedMessage] = field(default_factory=list)
    revised: dict[int, Group] = field(default_factory=dict)
    """By the slot of a segment: its messages that are replaced."""
    stored: dict[int, list[MaskedMessage]] = field(default_factory=dict)
    """Those segments as they are."""
    fresh: int = 0
    """Keys it takes."""


def grouped(messages: Iterable[MaskedMessage]) -> dict[str, Group]:
    """Messages by conversation and id, the highest revision of each."""
    groups: dict[str, Group] = {}
    for message in messages:
        group = groups.get(message.conversation_id)
        if group is None:
            group = groups[message.conversation_id] = {}
        key = message.message_id
        if key not in group or group[key].revision <= message.revision:
            group[key] = message
    return groups


class Batch:
    """One transaction of saving; made for one call and used once."""

    def __init__(self, shelf: Shelf, now: int, age_fence: Fence | None) -> None:
        self._shelf = shelf
        self._now = now
        self._age_fence = age_fence
        self._subjects: dict[str, tuple[bytes, Fence | None]] = {}
        self.refused: list[Refused] = []
        self.doomed: list[Doomed] = []
        self.states: list[State] = []

    def write(self, groups: Mapping[str, Group], *, has_fences: bool) -> None:
        """Everything that is to be written, within a transaction of the data."""
        shelf = self._shelf
        if shelf.data.shared:
            self._lock_subjects(groups)
        names = {each: shelf.digests.conversation(each) for each in groups}
        # Always locked in one order, so that two processes never wait for each other.
        locked = sorted(names, key=names.__getitem__) if shelf.data.shared else names
        plans = {
            each: self._planned(names[each], each, groups[each], has_fences) for each in locked
        }
        self._provide(list(plans.values()))
        shelf.writer.is_gathering = True
        for plan in map(plans.__getitem__, names):
            if plan.new or plan.revised:
                self._write(plan)
        shelf.writer.is_gathering = False
        shelf.writer.flush()
        if self.doomed:
            shelf.writer.doom(self.doomed)

    def _lock_subjects(self, groups: Mapping[str, Group]) -> None:
        """A purge of a subject waits: what is being saved is linked to it only afterwards."""
        shelf = self._shelf
        said = {message.subject for group in groups.values() for message in group.values()}
        for name in sorted(shelf.digests.subject(each) for each in said if each is not None):
            shelf.data.lock_subject(name, alone=False)

    # -- planning ------------------------------------------------------------------------------

    def _planned(self, name: bytes, conversation_id: str, group: Group, has_fences: bool) -> _Plan:
        shelf = self._shelf
        state = shelf.state(name)
        if state.is_leftover:
            state = self._begun_anew(state)
        plan = _Plan(conversation_id, state)
        known = state.known
        if not has_fences and not known:
            plan.new = list(group.values())
        else:
            for message_id, message in group.items():
                if has_fences and (reason := self._refusal(state, message)):
                    self.refused.append(Refused(conversation_id, message_id, reason))
                elif message_id in known:
                    slot = state.entries[known[message_id]].slot
                    plan.revised.setdefault(slot, {})[message_id] = message
                else:
                    plan.new.append(message)
        return plan

    def _begun_anew(self, state: State) -> State:
        """An old copy of the data was put back: what was purged is overwritten once more."""
        shelf = self._shelf
        fence = state.fence
        assert fence is not None
        shelf.writer.erase_conversation(state)
        state.head.purged(fence.incarnation + 1)
        shelf.writer.add_event(state, self._now, "purged", 0)
        shelf.writer.write_head(state)
        shelf.drop(state.name)
        return shelf.load(state.name)[0]

    def _refusal(self, state: State, message: MaskedMessage) -> str | None:
        at = codec.time_of(message)
        fence = state.fence
        if fence is not None and _is_late(fence, at):
            return _why("its conversation", fence, at)
        if message.subject is not None:
            fence = self._subject(message.subject)[1]
            if fence is not None and _is_late(fence, at):
                return _why("its subject", fence, at)
        fence = self._age_fence
        if fence is not None and at is not None and at < fence.until:
            return "it is older than what was purged by age"
        return None

    def _subject(self, subject: str) -> tuple[bytes, Fence | None]:
        found = self._subjects.get(subject)
        if found is None:
            name = self._shelf.digests.subject(subject)
            found = self._subjects[subject] = (name, self._shelf.marks.fence(name))
        return found

    # -- keys ----------------------------------------------------------------------------------

    def _provide(self, plans: Sequence[_Plan]) -> None:
        """Make the keys that are missing, durable before any record needs them."""
        wants = []
        for plan in plans:
            state = plan.state
            self._drop_unchanged(plan)
            plan.fresh = len(plan.revised) + _new_segments(state, plan.new)
            missing = plan.fresh - len(state.spare)
            if missing > 0:
                # The busier a conversation was so far, the more keys it gets ahead; a large batch
                # is seldom the last one.
                state.used += missing
                busy = max(len(state.keys), state.used) - missing
                large = len(plan.new) * 2 // SEGMENT_MESSAGES
                ahead = min(max(busy, large), _MOST_SPARE)
                state.used += ahead
                subject = self._subject_of(plan)
                wants.append(Want(state.owner, subject, missing + ahead, state.parent))
        shelf = self._shelf
        if not wants and not shelf.marks.is_due:
            return
        with shelf.keys.transaction():
            made = shelf.ring.provide(wants) if wants else {}
            anchored = shelf.marks.write_anchors()
        shelf.marks.anchored(anchored)
        for plan in plans:
            plan.state.spare += made.get(plan.state.owner, [])

    def _drop_unchanged(self, plan: _Plan) -> None:
        """Revisions that are not higher than what is stored change nothing."""
        for slot, group in list(plan.revised.items()):
            entries = list(plan.state.segments[slot].values())
            stored = plan.stored[slot] = self._shelf.records.open_entries(plan.state, entries)
            for message in stored:
                newer = group.get(message.message_id)
                if newer is not None and newer.revision <= message.revision:
                    del group[message.message_id]
            if not group:
                del plan.revised[slot]

    def _subject_of(self, plan: _Plan) -> bytes:
        """Under whose key a conversation's keys are: its first subject's, or its own."""
        for message in plan.new:
            if message.subject is not None:
                return self._shelf.digests.subject(message.subject)
        return plan.state.owner

    # -- writing -------------------------------------------------------------------------------

    def _write(self, plan: _Plan) -> None:
        shelf, state, now = self._shelf, plan.state, self._now
        if state.is_new:
            (state.number,) = shelf.data.allocate("conversation", 1)
        revised: dict[str, int] = {}
        replaced = 0
        for slot, group in plan.revised.items():
            entries = sorted(state.segments[slot].values())
            merged = [group.get(message.message_id, message) for message in plan.stored[slot]]
            self._reseal(plan, slot, entries, merged)
            replaced += len(group)
            _count_rules(revised, group.values())
        for chunk in _chunks(plan.new):
            first, key = state.head.next, self._key(state, len(chunk))
            shelf.writer.write(
                state, plan.conversation_id, chunk, first=first, revision=0, key=key, now=now
            )
            state.head.next = first + len(chunk)
            state.known.update(dict.fromkeys([message.message_id for message in chunk], first))
        shelf.grown(len(plan.new))
        self._link(state, plan.new)
        for group in plan.revised.values():
            self._link(state, group.values())
        if plan.new:
            received: dict[str, int] = {}
            _count_rules(received, plan.new)
            shelf.writer.add_event(state, now, "received", len(plan.new), received)
        if replaced:
            shelf.writer.add_event(state, now, "revised", replaced, revised)
        shelf.writer.write_head(state)
        self.states.append(state)

    def _reseal(
        self, plan: _Plan, slot: int, entries: Sequence[Entry], messages: Sequence[MaskedMessage]
    ) -> None:
        shelf, state = self._shelf, plan.state
        old = state.keys.pop(slot)
        first = entries[0].first
        shelf.writer.write(
            state,
            plan.conversation_id,
            messages,
            first=first,
            revision=max(entry.revision for entry in entries) + 1,
            key=state.spare.pop(0),
            now=max(entry.newest for entry in entries),
            instead_of=entries,
        )
        state.known.update(dict.fromkeys([message.message_id for message in messages], first))
        self.doomed.append(Doomed(state.owner, slot, old.mark))

    def _key(self, state: State, count: int) -> DataKey:
        """The key of the newest segment, while there is room in it; or one that is not used yet."""
        newest = state.newest
        if newest is not None and _room(state, newest.slot) >= count:
            return state.keys[newest.slot]
        return state.spare.pop(0)

    def _link(self, state: State, messages: Iterable[MaskedMessage]) -> None:
        for subject in {message.subject for message in messages if message.subject is not None}:
            name = self._shelf.digests.subject(subject)
            if name not in state.subjects:
                self._shelf.data.execute(
                    "INSERT INTO link (subject, conversation) VALUES (?, ?)", (name, state.number)
                )
                state.subjects.add(name)


def _room(state: State, slot: int) -> int:
    """How many messages the newest segment may still take."""
    if len(state.segments[slot]) >= SEGMENT_RECORDS:
        return 0
    return SEGMENT_MESSAGES - state.filled[slot]


def _chunks(messages: Sequence[MaskedMessage]) -> list[Sequence[MaskedMessage]]:
    return [
        messages[start : start + SEGMENT_MESSAGES]
        for start in range(0, len(messages), SEGMENT_MESSAGES)
    ]


def _new_segments(state: State, messages: Sequence[MaskedMessage]) -> int:
    """How many segments new messages begin, at most."""
    if not messages:
        return 0
    chunks = -(-len(messages) // SEGMENT_MESSAGES)
    newest = state.newest
    if chunks == 1 and newest is not None and _room(state, newest.slot) >= len(messages):
        return 0
    return chunks


def _count_rules(rules: dict[str, int], messages: Iterable[MaskedMessage]) -> None:
    for message in messages:
        for finding in message.findings:
            rules[finding.rule] = rules.get(finding.rule, 0) + 1


def _is_late(fence: Fence, at: int | None) -> bool:
    return fence.undated if at is None else at <= fence.until


def _why(what: str, fence: Fence, at: int | None) -> str:
    when = codec.instant(fence.until).isoformat(timespec="seconds")
    if at is None:
        return f"{what} was purged at {when}, and a message without a timestamp may be an older one"
    return f"{what} was purged at {when}, and the message is not younger"

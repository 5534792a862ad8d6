"""The streaming redactor: conversations in, messages that may be stored out.

All knowledge of numbers is in `lanes`; here lanes are found for messages, time
passes, limits hold, and nothing gets out unmasked when something breaks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from heapq import heappop, heappush
from math import inf
from typing import Literal

from masker.core import compact, lanes, masking, questions
from masker.core.evidence import Candidate
from masker.core.lanes import EMPTY, Lane, Window
from masker.core.messages import MaskedMessage, Message
from masker.core.order import MessageKey, Order
from masker.core.questions import NOTHING, Questions
from masker.core.render import Note
from masker.core.ruleset import RuleSet
from masker.core.runs import digit_runs
from masker.errors import MessageError

Delivery = Literal["revise", "hold"]
LaneKey = tuple[str | None, str]

# A lane may hold this much text that is not final; then its oldest messages become so, masked.
MAX_HELD_CHARACTERS = 65_536
# Ids of this many messages are remembered, over all conversations, to know one that is sent again.
MAX_REMEMBERED = 4_096


class Redactor:
    """Masks conversations as they come, whatever pieces their numbers are cut into.

    Made by `Masker.redactor`. Not to be used by several threads at once without a lock.
    `failures` counts messages that came out wholly masked because something broke.
    """

    def __init__(self, rules: RuleSet, *, delivery: Delivery, window: Window) -> None:
        if delivery not in ("revise", "hold"):
            raise MessageError("delivery is neither 'revise' nor 'hold'")
        if window.messages < 1 or not window.seconds > 0:
            raise MessageError("a window is at least one message, and longer than no time")
        self.failures = 0
        self._rules = rules
        self._needs_look = rules.needs_look
        self._window = window
        self._lanes: dict[LaneKey, Lane] = {}
        self._asked = Questions()
        # Which lanes a conversation has something in, and in which a pending message is.
        self._open: dict[str, set[LaneKey]] = {}
        # When to look at a lane again, the soonest first; and lanes that know of no time yet.
        self._due: list[tuple[float, int, LaneKey]] = []
        self._scheduled: set[LaneKey] = set()
        self._count = 0
        self._pending: dict[MessageKey, LaneKey] = {}
        self._remembered: dict[MessageKey, tuple[int, int]] = {}
        # The same ids, the oldest first: a dict finds its first key ever slower as others go.
        self._oldest: deque[MessageKey] = deque()
        self._order = Order() if delivery == "hold" else None

    def __repr__(self) -> str:
        return f"Redactor({len(self._lanes)} lanes, {len(self._pending)} messages pending)"

    @property
    def pending(self) -> int:
        """Messages that are not final yet."""
        return len(self._pending)

    @property
    def at_once(self) -> bool:
        """Whether a message comes out as soon as it comes in: one that does not came before."""
        return self._order is None

    def receive(self, message: Message) -> list[MaskedMessage]:
        """Take one message in; give out what may be stored now.

        With `delivery="revise"` that is this message, and earlier ones that are decided by it, as
        their next revision. With "hold" it is whatever has become final, in its order. A message
        sent again under the same id gives nothing new; the same id with another text is an edit,
        and comes out as a further revision.

        Raises:
            MessageError: a field is not what `Message` says.
        """
        text = message.text
        key = (message.conversation_id, message.message_id)
        if not isinstance(text, str):
            raise MessageError("text is not a str")
        timestamp = message.timestamp
        if timestamp is not None:
            if not isinstance(timestamp, datetime):
                raise MessageError("timestamp is not a datetime")
            if timestamp.tzinfo is None:
                raise MessageError("timestamp has no time zone; a message's is an aware datetime")
        remembered = self._remembered
        seen = remembered.get(key)
        revision = 0
        fingerprint = hash((message.sender, text))
        if seen is not None:
            if seen[1] == fingerprint:
                return []
            revision = seen[0] + 1
        subject = message.subject
        lane_key = (message.conversation_id, message.sender) if subject is None else (None, subject)
        lane = self._lanes.get(lane_key)
        if (
            lane is None
            and seen is None
            and not self._needs_look(text)
            and not (self._asked and self._asked.heed(message, self._rules.holds_number))
        ):
            # Most messages: no digit, no word of a rule, nothing waiting for more.
            out = [
                MaskedMessage(message.conversation_id, message.message_id, message.sender, text,
                              timestamp, message.channel, subject, message.extra)
            ]  # fmt: skip
        elif lane is not None and seen is None and self._is_talk(message, lane, lane_key):
            out = [
                MaskedMessage(message.conversation_id, message.message_id, message.sender, text,
                              timestamp, message.channel, subject, message.extra)
            ]  # fmt: skip
        else:
            out = self._examined(message, key, lane_key, lane, revision)
        remembered[key] = (revision + 1, fingerprint)
        if seen is None:
            oldest = self._oldest
            oldest.append(key)
            if len(oldest) > MAX_REMEMBERED:
                del remembered[oldest.popleft()]
        return out if self._order is None else self._in_order(out, (key, revision, len(text)))

    @property
    def heeds_talk(self) -> bool:
        """Whether anything is begun, or asked for: otherwise talk bears on nothing."""
        return bool(self._lanes or self._asked)

    def waits_for(
        self,
        conversation_id: str,
        sender: str,
        subject: str | None = None,
        *,
        with_digits: bool = False,
    ) -> bool:
        """Whether what this sender says next may bear on what was said, though it needs no look.

        What says nothing (`RuleSet.says_nothing`) bears on nothing where this is false, nor does
        `with_digits` what needs no look (`RuleSet.needs_look`).
        """
        asked = self._asked.get(conversation_id)
        return (
            (conversation_id, sender) if subject is None else (None, subject)
        ) in self._lanes or (
            asked is not None and (with_digits or questions.bears_on(asked, sender))
        )

    def advance(self, now: datetime) -> list[MaskedMessage]:
        """Time passes: what waited for longer than the window is decided.

        Raises:
            MessageError: `now` has no time zone.
        """
        if now.tzinfo is None:
            raise MessageError("now has no time zone; time is an aware datetime")
        stamp = now.timestamp()
        out: list[MaskedMessage] = []
        due, window = self._due, self._window.seconds
        while due and due[0][0] <= stamp:
            _, _, lane_key = heappop(due)
            self._scheduled.discard(lane_key)
            lane = self._lanes.get(lane_key)
            if lane is None:
                continue
            if lane.time is not None and lane.time + window > stamp:
                self._schedule(lane_key, lane)
                continue
            try:
                lane, said = lanes.advance(self._rules, lane, stamp, self._window)
            except Exception:  # noqa: BLE001 - fail closed, whatever it was
                lane, said = EMPTY, self._broken(lane)
            out += said
            self._keep(lane_key, lane, said)
        self._asked.advance(stamp, window)
        return out if self._order is None else self._in_order(out)

    def close(self, conversation_id: str | None = None) -> list[MaskedMessage]:
        """A conversation ends, or all do: everything pending in it becomes final.

        What a `subject` began in a conversation that ends may go on in another: it stays masked.
        """
        out: list[MaskedMessage] = []
        if conversation_id is None:
            for lane_key, lane in list(self._lanes.items()):
                out += self._closed(lane_key, lane)
            self._asked.clear()
            self._open.clear()
        else:
            for lane_key in sorted(self._open.pop(conversation_id, ()), key=str):
                lane = self._lanes[lane_key]
                if lane_key[0] is not None:
                    out += self._closed(lane_key, lane)
                else:
                    out += self._sealed(
                        lane_key,
                        lane,
                        [n for n in lane.notes if n.message.conversation_id == conversation_id],
                    )
            self._asked.pop(conversation_id, None)
        return out if self._order is None else self._in_order(out)

    def recall(self, conversation_id: str, message_id: str) -> list[MaskedMessage]:
        """The sender took a message back: if it is pending, it becomes final as it is, masked.

        What it said of a number is still put together with what follows: others have seen it.
        """
        lane_key = self._pending.get((conversation_id, message_id))
        if lane_key is None:
            return []
        lane = self._lanes[lane_key]
        out = self._sealed(
            lane_key,
            lane,
            [
                note
                for note in lane.notes
                if note.message.message_id == message_id
                and note.message.conversation_id == conversation_id
            ],
        )
        return out if self._order is None else self._in_order(out)

    def drop(
        self, *, conversation_id: str | None = None, subject: str | None = None
    ) -> list[MaskedMessage]:
        """A conversation, or all that a subject said, is purged: nothing of it is kept.

        What waits becomes final: of a subject masked, in whatever conversation it is.
        """
        out = [] if conversation_id is None else self.close(conversation_id)
        if subject is None:
            return out
        lane_key = (None, subject)
        mine = self._given_up(lane_key)
        self._keep(lane_key, EMPTY, ())
        return out + (mine if self._order is None else self._in_order(mine))

    def lane(self, conversation_id: str, sender: str, subject: str | None = None) -> Lane | None:
        """What a sender has begun that may go on, where there is anything: for trying futures."""
        return self._lanes.get((conversation_id, sender) if subject is None else (None, subject))

    # -- one message ---------------------------------------------------------------------------

    def _examined(
        self, message: Message, key: MessageKey, lane_key: LaneKey, lane: Lane | None, revision: int
    ) -> list[MaskedMessage]:
        try:
            if revision and key in self._pending:
                self._forget(key)
                lane = self._lanes.get(lane_key)
            before = lane
            wanted = (
                self._asked.wanted_of(message, self._window.seconds) if self._asked else NOTHING
            )
            talk = compact.listen(self._rules, message.text)
            lane, out = lanes.receive(
                self._rules, lane or EMPTY, message, self._window,
                talk=talk, wanted=wanted, others=self._others(message, lane_key), revision=revision,
            )  # fmt: skip
            if lane.candidates:
                self._read_back(message, lane_key, lanes.given_now(lane))
            if wanted is not NOTHING:
                self._asked.note_answer(message.conversation_id, lanes.given(lane))
            if self._asked:
                self._asked.note_giver(message, self._rules.holds_number)
            if len(out) > 1:
                # The message itself comes first, then those that it decided.
                out.sort(key=lambda said: (said.conversation_id, said.message_id) != key)
            if talk.words:
                self._asked.hear(message, talk, lane.time)
            if lane.notes and lane.held > MAX_HELD_CHARACTERS:
                lane, out = _relieved(lane, out, lane.held - MAX_HELD_CHARACTERS)
            if (
                before is not None
                and len(out) == 1
                and out[0].final
                and not (revision or lane.is_idle)
            ):
                # Talk in a lane that waits for something: it goes on waiting.
                self._lanes[lane_key] = lane
            else:
                self._keep(lane_key, lane, out, message.conversation_id)
        except Exception:  # noqa: BLE001 - fail closed, whatever it was
            # Whatever it was, the text does not get out; and no detail of it does either.
            # The parts that waited for this message stay masked: it may have been the rest of them.
            self.failures += 1
            return [_blank(message, revision), *self._given_up(lane_key)]
        return out

    def _is_talk(self, message: Message, lane: Lane, lane_key: LaneKey) -> bool:
        """Whether a message says nothing to a lane that waits; notes that it was said."""
        text, rules = message.text, self._rules
        if (
            self._needs_look(text)
            or rules.holds_number(text)
            or (lane.has_begun and rules.may_hold_digits(text) and digit_runs(text))
            or (self._asked and self._asked.heed(message, rules.holds_number))
        ):
            return False
        after = lanes.talked(lane, message, self._window)
        if after is None:
            return False
        self._lanes[lane_key] = after
        return True

    def _others(self, message: Message, lane_key: LaneKey) -> list[Candidate]:
        """The numbers that other people gave in this conversation: this message may repeat them."""
        keys = self._others_of(message.conversation_id, lane_key)
        if not keys or not self._rules.may_hold_digits(message.text):
            return []
        return [one for key in keys for one in lanes.numbers(self._rules, self._lanes[key])]

    def _others_of(self, conversation_id: str, lane_key: LaneKey) -> list[LaneKey]:
        """The other lanes of a conversation; no subject's, which not every worker has at hand."""
        open_lanes = self._open.get(conversation_id)
        if open_lanes is None:
            return []
        return sorted(
            key
            for key in open_lanes
            if key != lane_key and key[0] is not None and key in self._lanes
        )

    def _read_back(self, message: Message, lane_key: LaneKey, numbers: list[Candidate]) -> None:
        """Others may have said parts of these numbers while they were given."""
        if numbers:
            for key in self._others_of(message.conversation_id, lane_key):
                self._lanes[key] = lanes.read_back(self._lanes[key], numbers)

    def _keep(
        self,
        lane_key: LaneKey,
        lane: Lane,
        said: Iterable[MaskedMessage],
        conversation_id: str | None = None,
    ) -> None:
        """Put a lane back, or drop it where nothing of it matters any more."""
        for masked in said:
            key = (masked.conversation_id, masked.message_id)
            if masked.final:
                self._pending.pop(key, None)
            else:
                self._pending[key] = lane_key
        if not lane.is_idle:
            self._lanes[lane_key] = lane
            if lane_key not in self._scheduled:
                self._schedule(lane_key, lane)
            if conversation_id is not None:
                self._open.setdefault(conversation_id, set()).add(lane_key)
        elif lane_key in self._lanes:
            del self._lanes[lane_key]
            for conversation, lane_keys in (
                list(self._open.items())
                if lane_key[0] is None
                else [(lane_key[0], self._open.get(lane_key[0], set()))]
            ):
                lane_keys.discard(lane_key)
                if not lane_keys:
                    self._open.pop(conversation, None)

    def _schedule(self, lane_key: LaneKey, lane: Lane) -> None:
        # A lane whose messages have no time is looked at as soon as there is one.
        when = -inf if lane.time is None else lane.time + self._window.seconds
        self._scheduled.add(lane_key)
        self._count += 1
        heappush(self._due, (when, self._count, lane_key))

    def _forget(self, key: MessageKey) -> None:
        """An edit takes the place of a message that is still pending."""
        lane_key = self._pending.pop(key)
        lane = self._lanes[lane_key]
        kept = tuple(
            note
            for note in lane.notes
            if (note.message.conversation_id, note.message.message_id) != key
        )
        self._lanes[lane_key] = lane._replace(notes=kept)

    def _closed(self, lane_key: LaneKey, lane: Lane) -> list[MaskedMessage]:
        try:
            out = lanes.close(self._rules, lane, self._window)
        except Exception:  # noqa: BLE001 - fail closed, whatever it was
            out = self._broken(lane)
        self._keep(lane_key, EMPTY, out)
        return out

    def _sealed(self, lane_key: LaneKey, lane: Lane, notes: list[Note]) -> list[MaskedMessage]:
        lane, out = lanes.seal(lane, frozenset(note.seq for note in notes))
        self._keep(lane_key, lane, out)
        return out

    def _given_up(self, lane_key: LaneKey) -> list[MaskedMessage]:
        lane = self._lanes.get(lane_key)
        if lane is None:
            return []
        try:
            return self._sealed(lane_key, lane, list(lane.notes))
        except Exception:  # noqa: BLE001 - fail closed, whatever it was
            out = self._broken(lane)
            self._keep(lane_key, EMPTY, out)
            return out

    def _broken(self, lane: Lane) -> list[MaskedMessage]:
        self.failures += len(lane.notes)
        return [_blank(note.message, note.revision) for note in lane.notes]

    def _in_order(
        self, out: list[MaskedMessage], fresh: tuple[MessageKey, int, int] | None = None
    ) -> list[MaskedMessage]:
        """Give messages out once, final, in the order of their conversation."""
        order = self._order
        if order is None:
            return out
        if fresh is not None:
            order.expect(*fresh)
        released = order.release(out)
        if fresh is not None and order.size(fresh[0][0]) > MAX_HELD_CHARACTERS:
            # Too much waits behind a pending message: that one becomes final, masked.
            released += self.recall(*order[fresh[0][0]][0].key)
        return released


def _relieved(
    lane: Lane, out: list[MaskedMessage], excess: int
) -> tuple[Lane, list[MaskedMessage]]:
    """A lane that holds too much: its oldest messages become final, masked."""
    seqs = set()
    for note in lane.notes:
        if excess <= 0:
            break
        seqs.add(note.seq)
        excess -= len(note.message.text)
    lane, sealed = lanes.seal(lane, frozenset(seqs))
    keys = {(masked.conversation_id, masked.message_id) for masked in sealed}
    # A message that has not come out at all yet comes out once, final.
    kept = [said for said in out if (said.conversation_id, said.message_id) not in keys]
    held_back = len(out) - len(kept)
    if held_back:
        first = out[0]
        sealed = [
            replace(masked, revision=first.revision)
            if (masked.conversation_id, masked.message_id)
            == (first.conversation_id, first.message_id)
            else masked
            for masked in sealed
        ]
    return lane, kept + sealed


def _blank(message: Message, revision: int) -> MaskedMessage:
    """A message of which nothing may be read."""
    return MaskedMessage(
        message.conversation_id, message.message_id, message.sender,
        masking.blank(message.text), message.timestamp, message.channel,
        message.subject, message.extra, revision, True,
    )  # fmt: skip

"""The second pass: conversations in the order of their time, through the redactor.

What comes in is sorted by component (a conversation, or several that share a subject), time and
place. What goes out is edits and findings, and neither holds any text.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

import regex

from masker import Finding, MaskedMessage, Masker, Message, Redactor
from masker.archive.extraction import (
    KEY,
    Lane,
    Payload,
    lane_of,
    read_lane,
    read_mark,
    read_payload,
)
from masker.archive.records import Edit, carried_over, stars, to_datetime
from masker.archive.sifting import LOOK, MARK, SMALL
from masker.core.characters import COMPACT

# As many as the redactor knows again.
_REMEMBERED = 4096
_EPOCH = 1 << 61
_COMPONENT_SIZE = 4
_KIND = KEY.size - 1


class Place(NamedTuple):
    """Where a text stands, and what its edits must say; `copy` where it is dressed otherwise."""

    source: int
    start: int
    end: int
    spelling: str
    copy: str | None = None


class Found(NamedTuple):
    """One finding, for the report: no content, and a digest only under a key."""

    rule: str
    low: int
    high: int
    score: float
    messages: int
    """Over how many messages the number was cut; 0 where this is a further part of it."""
    lines: bool
    month: str
    channel: str
    digest: str


Written = Callable[[Place, Edit], None]
Reported = Callable[[Place, Found], None]


class _Open:
    """A message that is in the redactor, and every place where exactly it stands."""

    __slots__ = ("given", "places", "shown", "text")

    def __init__(self, given: str, text: str, places: list[Place]) -> None:
        self.given = given
        self.text = text
        self.places = places
        # As it came out last.
        self.shown = text


class Conversations:
    """Masks sorted records; gives edits and findings to whoever asked for them."""

    def __init__(
        self,
        masker: Masker,
        write: Written,
        report: Reported,
        *,
        digest_key: bytes | None = None,
        keep: Callable[[MaskedMessage], None] | None = None,
    ) -> None:
        self._masker = masker
        self._write = write
        self._report = report
        self._keep = keep
        self._digest_key = digest_key
        self._patterns = {
            rule.id: None if rule.view == "text" else regex.compile(rule.pattern)
            for rule in masker.rules
        }
        self._redactor: Redactor | None = None
        self._component: bytes | None = None
        self._lanes: dict[bytes, Lane] = {}
        self._open: dict[tuple[str, str], _Open] = {}
        # Of what came out as it was, the text is all that is to be known again.
        self._done: OrderedDict[tuple[str, str], _Open | str] = OrderedDict()
        self._same: dict[tuple[str, str, str], dict[int, list[str]]] = {}
        self._tick: int | None = None
        # Whose an id is, while it is stored: some exports count those of each sender by itself.
        self._owners: dict[tuple[str, str], str] = {}
        self.failures = 0

    def mask(self, records: Iterable[bytes]) -> None:
        """All records of a partition, sorted."""
        take, is_stored = self.take, self._keep is not None
        for record in records:
            redactor = self._redactor
            # It says nothing, and nobody waits for what it says: so are most.
            if (
                record[_KIND] >= SMALL
                or is_stored
                or (redactor is not None and redactor.heeds_talk)
            ):
                take(record)
        self.end()

    def take(self, record: bytes) -> None:
        """The next record."""
        if record[:_COMPONENT_SIZE] != self._component:
            self.end()
            self._component = record[:_COMPONENT_SIZE]
        kind, redactor = record[_KIND], self._redactor
        is_heeded = kind == LOOK or self._keep is not None
        if not (is_heeded or kind == SMALL or (redactor is not None and redactor.heeds_talk)):
            return
        written = lane_of(record)
        lane = self._lanes.get(written)
        if lane is None:
            lane = self._lanes[written] = read_lane(written)
        if redactor is not None and not is_heeded:
            is_heeded = redactor.waits_for(
                lane.conversation, lane.sender, lane.subject, with_digits=kind == SMALL
            )
        if not is_heeded and kind != SMALL:
            return
        is_mark = kind == MARK and self._keep is None
        payload = read_mark(record, written) if is_mark else read_payload(record, written)
        _, time, source, start, _ = KEY.unpack_from(record)
        self._receive(lane, payload, time, source, start, is_heeded=is_heeded)

    def waiting(self) -> Iterator[int]:
        """Where the texts start that are not decided yet."""
        return (place.start for message in self._open.values() for place in message.places)

    def _receive(
        self, lane: Lane, payload: Payload, time: int, source: int, start: int, *, is_heeded: bool
    ) -> None:
        text = payload.text
        if payload.raw is not None:
            text = payload.raw.decode("utf-8", "surrogatepass")
        if payload.id is not None:
            identity = f"{payload.id}\0{lane.sender}"
        else:
            identity = self._identity(lane, payload, text, time, source, start)
        key = (lane.conversation, identity)
        known = self._open.get(key)
        done = self._done.get(key) if known is None else None
        if (known is not None or done is not None) and self._is_known(
            key, known, done, text, _places(payload, source, start)
        ):
            return
        if not is_heeded:
            # It is only to be known again, should somebody wait by then.
            self._remember(key, text)
            return
        redactor = self._redactor
        if redactor is None:
            redactor = self._redactor = self._masker.redactor()
        timestamp = to_datetime(time - _EPOCH) if lane.timed else None
        # Where nothing is begun or asked for, nothing is decided as time passes.
        if timestamp is not None and redactor.heeds_talk:
            decided = redactor.advance(timestamp)
            if decided:
                self._take(decided)
        if known is not None:
            # An edit takes the place of what was pending: that stays as it was shown last.
            before = self._open.pop(key, None)
            if before is not None:
                for old in before.places:
                    self._edit(before, old)
        if known is not None or done is not None:
            self._done.pop(key, None)
        message = Message(
            lane.conversation, identity, lane.sender, text, timestamp, payload.channel, lane.subject
        )
        out = redactor.receive(message)
        if self._keep is None and len(out) == 1 and _is_as_it_was(out[0], text):
            # Nothing in it, and nothing decided by it: so are most of those that get so far.
            self._remember(key, text)
            return
        given = self._given(lane, payload, source, start) if self._keep is not None else ""
        self._open[key] = _Open(given, text, _places(payload, source, start))
        self._take(out)

    def _is_known(
        self,
        key: tuple[str, str],
        known: _Open | None,
        done: _Open | str | None,
        text: str,
        places: list[Place],
    ) -> bool:
        """Whether this is the same once more, in another file or twice in this one.

        Then it comes out the same.
        """
        if isinstance(done, str):
            return done == text
        known = known or done
        if known is None or known.text != text:
            return False
        known.places += places
        if done is not None:
            for again in places:
                self._edit(known, again)
        return True

    def _remember(self, key: tuple[str, str], message: _Open | str) -> None:
        self._done[key] = message
        if len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)

    def _given(self, lane: Lane, payload: Payload, source: int, start: int) -> str:
        """The id under which a store keeps a message: the archive's, where it is of one sender."""
        if payload.id is None:
            return f"row {source}:{start}"
        owner = self._owners.setdefault((lane.conversation, payload.id), lane.sender)
        name = payload.id if owner == lane.sender else f"{payload.id} of {lane.sender}"
        return _name(name)

    def _identity(
        self, lane: Lane, payload: Payload, text: str, time: int, source: int, start: int
    ) -> str:
        """What a message without an id is known by: its place.

        Overlapping exports hold the same rows: without ids, the nth row of one file with a time,
        sender and text is the nth such row of another.
        """
        own = f"\0{source}:{start}:{payload.end}:{payload.spelling}"
        if not lane.timed:
            return own
        if time != self._tick:
            self._tick = time
            self._same.clear()
        rows = self._same.setdefault((lane.conversation, lane.sender, text), {})
        mine = rows.setdefault(source, [])
        longest = max(rows.values(), key=len)
        name = longest[len(mine)] if len(longest) > len(mine) else own
        mine.append(name)
        return name

    def _take(self, out: list[MaskedMessage]) -> None:
        batch: list[tuple[MaskedMessage, _Open]] = []
        for masked in out:
            key = (masked.conversation_id, masked.message_id)
            message = self._open.get(key)
            if message is None:
                continue
            message.shown = masked.text
            if self._keep is not None:
                self._keep(replace(masked, message_id=message.given, sender=_name(masked.sender)))
            if not masked.final:
                continue
            del self._open[key]
            self._remember(key, message)
            for place in message.places:
                self._edit(message, place)
            if masked.findings:
                batch.append((masked, message))
        if batch:
            self._tell(batch)

    def _edit(self, message: _Open, place: Place) -> None:
        text = message.text
        if message.shown != text:
            ranges = stars(text, message.shown)
            if place.copy is not None:
                text, ranges = place.copy, carried_over(ranges, text, place.copy)
            self._write(place, Edit(place.start, place.end, place.spelling, len(text), ranges))

    def end(self) -> None:
        """There are no more records: whatever is open is decided."""
        if self._redactor is not None:
            self._take(self._redactor.close())
            self.failures += self._redactor.failures
            self._redactor = None
        # Whatever is still open was forgotten for an edit of it: it stays as it was shown last.
        for message in self._open.values():
            for place in message.places:
                self._edit(message, place)
        self._open.clear()
        self._done.clear()
        self._same.clear()
        self._owners.clear()
        self._lanes.clear()
        self._tick = None

    # -- findings ------------------------------------------------------------------------------

    def _tell(self, batch: list[tuple[MaskedMessage, _Open]]) -> None:
        """Report findings; those that are parts of one number are counted as one."""
        lanes: dict[tuple[str, str, str], list[tuple[MaskedMessage, _Open, Finding, str]]] = {}
        batch.sort(key=lambda pair: (pair[1].places[0].source, pair[1].places[0].start))
        for masked, message in batch:
            for finding in masked.findings:
                value = _compact(message.text[finding.start : finding.end])
                part = (masked, message, finding, value)
                if self._is_whole(finding.rule, value):
                    self._tell_number([part])
                else:
                    lane = (masked.conversation_id, masked.sender, finding.rule)
                    parts = lanes.setdefault(lane, [])
                    parts.append(part)
                    if self._is_whole(finding.rule, "".join(part[3] for part in parts)):
                        self._tell_number(lanes.pop(lane))
        for parts in lanes.values():
            self._tell_number(parts)

    def _is_whole(self, rule: str, value: str) -> bool:
        pattern = self._patterns[rule]
        return pattern is None or pattern.fullmatch(value) is not None

    def _tell_number(self, parts: list[tuple[MaskedMessage, _Open, Finding, str]]) -> None:
        messages = len({id(message) for _, message, _, _ in parts})
        digest = ""
        if self._digest_key is not None:
            value = "".join(value for _, _, _, value in parts).encode()
            digest = hmac.new(self._digest_key, value, sha256).hexdigest()[:32]
        for number, (masked, message, finding, _) in enumerate(parts):
            lines = "\n" in message.text[finding.start : finding.end]
            for place in message.places:
                if place.copy is not None:
                    continue
                self._report(
                    place,
                    Found(
                        finding.rule,
                        finding.start,
                        finding.end,
                        finding.score,
                        0 if number else messages,
                        lines,
                        _month(masked.timestamp),
                        masked.channel or "",
                        digest,
                    ),
                )


def _places(payload: Payload, source: int, start: int) -> list[Place]:
    """Where a message stands: its own place, and those of its copies."""
    own = Place(source, start, payload.end, payload.spelling)
    return [own, *(Place(source, *copy) for copy in payload.copies)]


def _is_as_it_was(masked: MaskedMessage, text: str) -> bool:
    return masked.final and not masked.findings and masked.text == text


def _name(name: str) -> str:
    """A name without the marks that tell the texts of one message apart."""
    return name.replace("\0", " ")


def _compact(text: str) -> str:
    return "".join([COMPACT.get(ord(char), "") for char in text])


def _month(timestamp: datetime | None) -> str:
    return "" if timestamp is None else timestamp.strftime("%Y-%m")

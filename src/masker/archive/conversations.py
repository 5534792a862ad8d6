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

import msgspec
import regex

from masker import Finding, MaskedMessage, Masker, Message, Redactor
from masker.archive.extraction import KEY, Payload, read_mark
from masker.archive.records import Edit, carried_over, stars, to_datetime
from masker.core.characters import COMPACT

# As many as the redactor knows again.
_REMEMBERED = 4096
_EPOCH = 1 << 61
_decode = msgspec.msgpack.Decoder(Payload).decode


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
        self.shown: tuple[tuple[int, int], ...] = ()


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
        self._component: int | None = None
        self._open: dict[tuple[str, str], _Open] = {}
        self._done: OrderedDict[tuple[str, str], _Open] = OrderedDict()
        self._same: dict[tuple[str, str, str], dict[int, list[str]]] = {}
        self._tick: int | None = None
        # Whose an id is, while it is stored: some exports count those of each sender by itself.
        self._owners: dict[tuple[str, str], str] = {}
        self.failures = 0

    def mask(self, records: Iterable[bytes]) -> None:
        """All records of a partition, sorted."""
        take = self.take
        for record in records:
            take(record)
        self.end()

    def take(self, record: bytes) -> None:
        """The next record."""
        mine, time, source, start, has_text = KEY.unpack_from(record)
        if mine != self._component:
            self.end()
            self._component = mine
        redactor = self._redactor
        if has_text:
            payload = _decode(memoryview(record)[KEY.size :])
        elif redactor is None:
            return
        else:
            lane, identity = read_mark(record)
            payload = Payload(
                0, "", False, lane.timed, lane.conversation, lane.sender, identity, lane.subject,
                None, "",
            )  # fmt: skip
        if not (payload.look or self._keep) and (
            redactor is None
            or not redactor.waits_for(payload.conversation, payload.sender, payload.subject)
        ):
            # It says nothing, and nobody waits for what it says.
            return
        if redactor is None:
            redactor = self._redactor = self._masker.redactor()
        place = Place(source, start, payload.end, payload.spelling)
        self._receive(redactor, payload, time, place)

    def waiting(self) -> Iterator[int]:
        """Where the texts start that are not decided yet."""
        return (place.start for message in self._open.values() for place in message.places)

    def _receive(self, redactor: Redactor, payload: Payload, time: int, place: Place) -> None:
        text = payload.text
        if payload.raw is not None:
            text = payload.raw.decode("utf-8", "surrogatepass")
        identity = self._identity(payload, text, time, place)
        key = (payload.conversation, identity)
        timestamp = to_datetime(time - _EPOCH) if payload.timed else None
        known = self._open.get(key) or self._done.get(key)
        places = [place]
        places += [Place(place.source, *copy) for copy in payload.copies]
        if known is not None and known.text == text:
            # The same once more, in another file or twice in this one: it comes out the same.
            known.places += places
            if key in self._done:
                for again in places:
                    self._edit(known, again)
            return
        if timestamp is not None:
            self._take(redactor.advance(timestamp))
        before = self._open.pop(key, None)
        if before is not None:
            # An edit takes the place of what was pending: that stays as it was shown last.
            for old in before.places:
                self._edit(before, old)
        self._done.pop(key, None)
        given = self._given(payload, place) if self._keep is not None else ""
        self._open[key] = _Open(given, text, places)
        self._take(
            redactor.receive(
                Message(
                    payload.conversation,
                    identity,
                    payload.sender,
                    text,
                    timestamp,
                    payload.channel,
                    payload.subject,
                )
            )
        )

    def _given(self, payload: Payload, place: Place) -> str:
        """The id under which a store keeps a message: the archive's, where it is of one sender."""
        if payload.id is None:
            return f"row {place.source}:{place.start}"
        owner = self._owners.setdefault((payload.conversation, payload.id), payload.sender)
        name = payload.id if owner == payload.sender else f"{payload.id} of {payload.sender}"
        return _name(name)

    def _identity(self, payload: Payload, text: str, time: int, place: Place) -> str:
        """The message's id; one by its place where it has none.

        Overlapping exports hold the same rows: without ids, the nth row of one file with a time,
        sender and text is the nth such row of another.
        """
        if payload.id is not None:
            return f"{payload.id}\0{payload.sender}"
        own = f"\0{place.source}:{place.start}:{place.end}:{place.spelling}"
        if not payload.timed:
            return own
        if time != self._tick:
            self._tick = time
            self._same.clear()
        rows = self._same.setdefault((payload.conversation, payload.sender, text), {})
        mine = rows.setdefault(place.source, [])
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
            message.shown = stars(message.text, masked.text)
            if self._keep is not None:
                self._keep(replace(masked, message_id=message.given, sender=_name(masked.sender)))
            if not masked.final:
                continue
            del self._open[key]
            self._done[key] = message
            if len(self._done) > _REMEMBERED:
                self._done.popitem(last=False)
            for place in message.places:
                self._edit(message, place)
            if masked.findings:
                batch.append((masked, message))
        if batch:
            self._tell(batch)

    def _edit(self, message: _Open, place: Place) -> None:
        if message.shown:
            text, ranges = message.text, message.shown
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


def _name(name: str) -> str:
    """A name without the marks that tell the texts of one message apart."""
    return name.replace("\0", " ")


def _compact(text: str) -> str:
    return "".join([COMPACT.get(ord(char), "") for char in text])


def _month(timestamp: datetime | None) -> str:
    return "" if timestamp is None else timestamp.strftime("%Y-%m")

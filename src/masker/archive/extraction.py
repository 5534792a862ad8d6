"""The first pass: which texts can matter, and to whom.

Every text is sifted once. What has nothing that the engine must look at leaves only a mark,
that somebody said something then: it counts towards the window of a number that is being given.
Everything else goes, sealed, to the partition of its conversation.

A record is a key, by which records are sorted, with what kind of text it is of; then whose it is;
and then the message's id, or all of a payload.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import cast
from zlib import crc32

import msgspec

from masker import Masker
from masker.archive.partitions import Partitions, Sorter
from masker.archive.records import Copy, Edit, Record, Rows, Unreadable, is_full, reason_of
from masker.archive.sifting import MARK, Sieve
from masker.archive.spelling import BLANK

# Component, time, source, place: what records are sorted by; and the kind of text, as sifted.
KEY = struct.Struct(">IQIQB")
EDIT = struct.Struct(">IQ")
# Times before 1970 sort before it.
_EPOCH = 1 << 61
# Subjects link conversations; of more links than this nobody keeps track, and all is one component.
MAX_LINKS = 250_000
MAX_REPORTED = 10
# So many records are sifted at once where a reader gives them one by one.
_TOGETHER = 1024
_encode = msgspec.msgpack.Encoder().encode
_SIZE = struct.Struct(">I")
_size_in = _SIZE.unpack_from
# Where in a record it says whose it is.
_LANE = KEY.size + _SIZE.size


class Payload(msgspec.Struct, array_like=True, frozen=True):
    """What a partition holds of a text that may matter, behind its key and its lane."""

    end: int
    spelling: str
    id: str | None
    channel: str | None
    text: str
    copies: list[Copy] = []
    raw: bytes | None = None
    """The text where it is no Unicode: halves of surrogate pairs, bytes that are no UTF-8."""


class Lane(msgspec.Struct, array_like=True, frozen=True):
    """Who said something, and whether it is known when."""

    timed: bool
    conversation: str
    sender: str
    subject: str | None


_lane = msgspec.msgpack.Decoder(Lane).decode
_payload = msgspec.msgpack.Decoder(Payload).decode


class Extracted(msgspec.Struct):
    """What was found in one source, or in a range of it."""

    texts: int = 0
    unreadable: int = 0
    reported: list[str] = []
    links: set[int] | None = set()
    """Pairs of a conversation and a subject; None where there are too many."""
    failed: str | None = None


class Extraction:
    """Puts the records of sources into partitions; one a process."""

    def __init__(
        self,
        masker: Masker,
        folder: Path,
        key: bytes,
        count: int,
        *,
        keep_all: bool,
        per_file: bool,
    ) -> None:
        self._sieve = Sieve(masker._rules)
        self._count = count
        self._partitions = Partitions(folder, count, key)
        self._blanks = Sorter(folder, None)
        self._keep_all = keep_all
        self._per_file = per_file

    def take(
        self, source: int, records: Iterable[Record | Rows | Unreadable], name: str
    ) -> Extracted:
        """Extract one source, or a range of it; what is broken in it is part of the answer."""
        found = Extracted(links=set(), reported=[])
        try:
            self._take(source, records, name, found)
        except Exception as error:
            if is_full(error):
                raise
            found.failed = reason_of(error)
        return found

    def flush(self) -> None:
        """Write everything that waits."""
        self._partitions.flush()

    def blanks(self) -> list[Path]:
        """Edits for what could not be read, as sorted files."""
        return self._blanks.runs()

    def _take(
        self,
        source: int,
        records: Iterable[Record | Rows | Unreadable],
        name: str,
        found: Extracted,
    ) -> None:
        latest = _EPOCH
        waiting: list[Record] = []
        for record in records:
            if isinstance(record, Record):
                waiting.append(record)
                if len(waiting) < _TOGETHER:
                    continue
            latest = self._take_records(source, waiting, name, found, latest)
            waiting.clear()
            if isinstance(record, Rows):
                latest = self._take_rows(source, record, name, found, latest)
            elif isinstance(record, Unreadable):
                self._blank(source, record, name, found)
        self._take_records(source, waiting, name, found, latest)

    def _take_records(
        self, source: int, records: list[Record], name: str, found: Extracted, latest: int
    ) -> int:
        kinds = self._sieve.kinds([record.text for record in records])
        for record, kind in zip(records, kinds, strict=True):
            latest = self._take_one(source, record, kind, name, found, latest)
        return latest

    def _take_one(
        self, source: int, record: Record, kind: int, name: str, found: Extracted, latest: int
    ) -> int:
        start, end, spelling, text, conversation, sender, identity, time, channel = record[:9]
        subject, copies = record[9:]
        if time is not None:
            latest = time + _EPOCH
        if self._per_file:
            conversation = f"{name}\0{conversation}"
        found.texts += 1
        component = self._component(conversation, subject, found)
        head = KEY.pack(component, latest, source, start, kind)
        head += lane_record((time is not None, conversation, sender, subject))
        if kind == MARK and not self._keep_all:
            data = _identity(identity)
        else:
            payload = (end, spelling, identity, channel, text, copies)
            try:
                data = _encode(payload)
            except UnicodeEncodeError:
                data = _encode(_without_surrogates(payload))
        self._partitions.add(component % self._count, head + data)
        return latest

    def _take_rows(self, source: int, rows: Rows, name: str, found: Extracted, latest: int) -> int:
        # The same as above for many rows, column by column: what most of an archive goes through.
        if not rows.texts:
            return latest
        found.texts += len(rows.texts)
        conversations = rows.conversations
        if self._per_file:
            conversations = [f"{name}\0{conversation}" for conversation in conversations]
        times, latest = _times(rows.times, latest)
        timed = [time is not None for time in rows.times]
        # Nearly all rows of a batch are of few people: what is known of those is looked up.
        people = _People(self._component, self._count, found)
        kinds = self._sieve.kinds(rows.texts)
        marked = -1 if self._keep_all else MARK
        pack, encode, spelling = KEY.pack, _encode, rows.spelling
        whose = zip(timed, conversations, rows.senders, rows.subjects, strict=True)
        theirs = list(map(people.__getitem__, whose))
        records = [
            pack(component, time, source, start, kind)
            + head
            + (
                (b"" if identity is None else identity.encode())
                if kind == marked
                else encode((end, spelling, identity, channel, text))
            )
            for (head, component, _), time, start, kind, identity, end, channel, text in zip(
                theirs,
                times,
                rows.starts,
                kinds,
                rows.ids,
                rows.ends,
                rows.channels,
                rows.texts,
                strict=True,
            )
        ]
        self._partitions.extend([partition for _, _, partition in theirs], records)
        return latest

    def _component(self, conversation: str, subject: str | None, found: Extracted) -> int:
        component = crc32(conversation.encode("utf-8", "surrogatepass"))
        if subject is not None and found.links is not None:
            found.links.add(component << 32 | crc32(subject.encode("utf-8", "surrogatepass")))
            if len(found.links) > MAX_LINKS:
                found.links = None
        return component

    def _blank(self, source: int, broken: Unreadable, name: str, found: Extracted) -> None:
        found.unreadable += 1
        if len(found.reported) < MAX_REPORTED:
            found.reported.append(f"{name}: line {broken.line}: {broken.reason}")
        edit = Edit(broken.start, broken.end, BLANK, 0, ())
        self._blanks.add(edit_record(source, edit))


class _People(dict[tuple[bool, str, str, str | None], tuple[bytes, int, int]]):
    """Whose rows are: how that is written, of what component it is, and in what partition."""

    def __init__(
        self,
        component: Callable[[str, str | None, Extracted], int],
        count: int,
        found: Extracted,
    ) -> None:
        super().__init__()
        self._component = component
        self._count = count
        self._found = found

    def __missing__(self, whose: tuple[bool, str, str, str | None]) -> tuple[bytes, int, int]:
        _, conversation, _, subject = whose
        component = self._component(conversation, subject, self._found)
        known = self[whose] = (lane_record(whose), component, component % self._count)
        return known


def _times(told: Sequence[int | None], latest: int) -> tuple[list[int], int]:
    """When each was said; what has no time stands where the one before it stands."""
    if told and None not in told:
        times = [time + _EPOCH for time in cast(Sequence[int], told)]
        return times, times[-1]
    times = []
    for time in told:
        if time is not None:
            latest = time + _EPOCH
        times.append(latest)
    return times, latest


def lane_record(lane: tuple[object, ...]) -> bytes:
    """Whose a record is, with its size before it."""
    try:
        data = _encode(lane)
    except UnicodeEncodeError:
        data = _encode([_printable(value) for value in lane])
    return _SIZE.pack(len(data)) + data


def _identity(identity: str | None) -> bytes:
    return b"" if identity is None else identity.encode("utf-8", "backslashreplace")


def lane_of(record: bytes) -> bytes:
    """Whose a record is, still written."""
    return record[_LANE : _LANE + _size_in(record, KEY.size)[0]]


def read_lane(written: bytes) -> Lane:
    """Whose a record is."""
    return _lane(written)


def read_payload(record: bytes, written: bytes) -> Payload:
    """What a record holds behind its lane, where it is no mark."""
    return _payload(record[_LANE + len(written) :])


def read_mark(record: bytes, written: bytes) -> Payload:
    """The same for a mark, which says nothing."""
    identity = record[_LANE + len(written) :].decode()
    return Payload(0, "", identity or None, None, "")


def edit_record(source: int, edit: Edit) -> bytes:
    """An edit, to be sorted by source and place."""
    return EDIT.pack(source, edit.start) + _encode(tuple(edit)[1:])


def _without_surrogates(
    payload: tuple[int, str, str | None, str | None, str, tuple[Copy, ...]],
) -> tuple[object, ...]:
    *others, text, copies = payload
    raw = text.encode("utf-8", "surrogatepass")
    printed = [[_printable(value) for value in copy] for copy in copies]
    return (*map(_printable, others), "", printed, raw)


def _printable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def roots_of(links: set[int]) -> dict[int, int]:
    """Conversations that share a subject, as one component: union and find.

    >>> roots_of({(1 << 32) | 7, (2 << 32) | 7, (3 << 32) | 8})
    {2: 1}
    """
    parents: dict[int, int] = {}

    def find(node: int) -> int:
        while parents.get(node, node) != node:
            parents[node] = parents.get(parents[node], parents[node])
            node = parents[node]
        return node

    first: dict[int, int] = {}
    for link in sorted(links):
        conversation, subject = link >> 32, link & 0xFFFFFFFF
        if subject in first:
            one, other = find(first[subject]), find(conversation)
            parents[max(one, other)] = min(one, other)
        else:
            first[subject] = conversation
    return {node: root for node in parents if (root := find(node)) != node}

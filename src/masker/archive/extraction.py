"""The first pass: which texts can matter, and to whom.

Every text is looked at once. What has nothing that the engine must look at leaves only a mark,
that somebody said something then: it counts towards the window of a number that is being given.
Everything else goes, sealed, to the partition of its conversation.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from zlib import crc32

import msgspec

from masker import Masker
from masker.archive.partitions import Partitions, Sorter
from masker.archive.records import Copy, Edit, Record, Rows, Unreadable, is_full, reason_of
from masker.archive.spelling import BLANK
from masker.core import characters

# Component, time, source, place: what records are sorted by; and whether more than a mark follows.
KEY = struct.Struct(">IQIQ?")
EDIT = struct.Struct(">IQ")
# Times before 1970 sort before it.
_EPOCH = 1 << 61
# Subjects link conversations; of more links than this nobody keeps track, and all is one component.
MAX_LINKS = 250_000
MAX_REPORTED = 10
_encode = msgspec.msgpack.Encoder().encode
_SIZE = struct.Struct(">I")

_BASIC_PLANE = 0xFFFF
# Anything of which a digit or a check character could be made, in any script. All that lies beyond
# the basic plane is among it: a class of that plane alone is one look at a table for a character.
_ANY_DIGIT = re.compile(
    "["
    + characters.character_class(
        code for code in (*characters.VALUE, *map(ord, characters.X_FORMS)) if code <= _BASIC_PLANE
    )
    + f"{chr(_BASIC_PLANE + 1)}-{chr(sys.maxunicode)}]"
).search


class Payload(msgspec.Struct, array_like=True, frozen=True):
    """What a partition holds of a record, behind its key."""

    end: int
    spelling: str
    look: bool
    timed: bool
    conversation: str
    sender: str
    id: str | None
    subject: str | None
    channel: str | None
    text: str
    copies: list[Copy] = []
    raw: bytes | None = None
    """The text where it is no Unicode: halves of surrogate pairs, bytes that are no UTF-8."""


class Lane(msgspec.Struct, array_like=True, frozen=True):
    """What a mark holds behind its key, before the id: who said something."""

    timed: bool
    conversation: str
    sender: str
    subject: str | None


_lane = msgspec.msgpack.Decoder(Lane).decode


class Extracted(msgspec.Struct):
    """What was found in one source, or in a range of it."""

    texts: int = 0
    looked: int = 0
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
        self._needs_look: Callable[[str], bool] = masker._rules.needs_look
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
        for record in records:
            if isinstance(record, Rows):
                latest = self._take_rows(source, record, name, found, latest)
            elif isinstance(record, Unreadable):
                self._blank(source, record, name, found)
            else:
                latest = self._take_one(source, record, name, found, latest)

    def _take_one(
        self, source: int, record: Record, name: str, found: Extracted, latest: int
    ) -> int:
        start, end, spelling, text, conversation, sender, identity, time, channel = record[:9]
        subject, copies = record[9:]
        if time is not None:
            latest = time + _EPOCH
        if self._per_file:
            conversation = f"{name}\0{conversation}"
        look = self._needs_look(text)
        found.texts += 1
        found.looked += look
        component = self._component(conversation, subject, found)
        key = (component, latest, source, start)
        if look or self._keep_all or _ANY_DIGIT(text):
            payload = (
                end, spelling, look, time is not None, conversation, sender, identity, subject,
                channel, text, copies,
            )  # fmt: skip
            try:
                data = _encode(payload)
            except UnicodeEncodeError:
                data = _encode(_without_surrogates(payload))
            record_bytes = KEY.pack(*key, True) + data
        else:
            mark = _mark((time is not None, conversation, sender, subject))
            record_bytes = KEY.pack(*key, False) + mark + _identity(identity)
        self._partitions.add(component % self._count, record_bytes)
        return latest

    def _take_rows(self, source: int, rows: Rows, name: str, found: Extracted, latest: int) -> int:
        # The same as above for many rows: what most of an archive goes through.
        count, per_file = self._count, self._per_file
        any_digit = _ANY_DIGIT if not self._keep_all else _always
        pack, add, encode, spelling = KEY.pack, self._partitions.add, _encode, rows.spelling
        marks: dict[tuple[object, ...], bytes] = {}
        components: dict[str, int] = {}
        looks = list(map(self._needs_look, rows.texts))
        found.texts += len(looks)
        found.looked += sum(looks)
        for look, start, end, text, conversation, sender, identity, time, channel, subject in zip(
            looks, *rows[1:], strict=True
        ):
            if time is not None:
                latest = time + _EPOCH
            if per_file:
                conversation = f"{name}\0{conversation}"
            component = components.get(conversation)
            if component is None or subject is not None:
                component = self._component(conversation, subject, found)
                components[conversation] = component
            if look or any_digit(text):
                data = encode(
                    (end, spelling, look, time is not None, conversation, sender, identity, subject,
                     channel, text)
                )  # fmt: skip
                add(component % count, pack(component, latest, source, start, True) + data)
                continue
            lane = (time is not None, conversation, sender, subject)
            mark = marks.get(lane)
            if mark is None:
                mark = marks[lane] = _mark(lane)
            data = mark if identity is None else mark + identity.encode()
            add(component % count, pack(component, latest, source, start, False) + data)
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


def _always(_: str) -> bool:
    return True


def _mark(lane: tuple[object, ...]) -> bytes:
    try:
        data = _encode(lane)
    except UnicodeEncodeError:
        data = _encode([_printable(value) for value in lane])
    return _SIZE.pack(len(data)) + data


def _identity(identity: str | None) -> bytes:
    return b"" if identity is None else identity.encode("utf-8", "backslashreplace")


def read_mark(record: bytes) -> tuple[Lane, str | None]:
    """Who a mark is of, and the message's id."""
    at = KEY.size + _SIZE.size
    end = at + _SIZE.unpack_from(record, KEY.size)[0]
    return _lane(record[at:end]), record[end:].decode() or None


def edit_record(source: int, edit: Edit) -> bytes:
    """An edit, to be sorted by source and place."""
    return EDIT.pack(source, edit.start) + _encode(tuple(edit)[1:])


def _without_surrogates(payload: tuple[object, ...]) -> tuple[object, ...]:
    *others, text = payload[:10]
    assert isinstance(text, str)
    raw = text.encode("utf-8", "surrogatepass")
    copies = [[_printable(value) for value in copy] for copy in payload[10]]  # type: ignore[attr-defined]  # copies
    return (*map(_printable, others), "", copies, raw)


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

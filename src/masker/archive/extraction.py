"""The first pass: which texts can matter, and to whom.

Every text is looked at once. What has nothing that the engine must look at leaves only a mark,
that somebody said something then: it counts towards the window of a number that is being given.
Everything else goes, sealed, to the partition of its conversation.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from zlib import crc32

import msgspec

from masker import Masker
from masker.archive.partitions import Partitions, Sorter
from masker.archive.records import ArchiveError, Copy, Edit, Record, Unreadable
from masker.archive.spelling import BLANK
from masker.core import characters

# Component, time, source, place: what records are sorted by.
KEY = struct.Struct(">IQIQ")
EDIT = struct.Struct(">IQ")
# Times before 1970 sort before it.
_EPOCH = 1 << 61
# Subjects link conversations; of more links than this nobody keeps track, and all is one component.
MAX_LINKS = 250_000
MAX_REPORTED = 10
_encode = msgspec.msgpack.Encoder().encode

# Anything of which a digit or a check character could be made, in any script.
_ANY_DIGIT = re.compile(
    f"[{characters.DIGIT_CLASS}{characters.HANZI_CLASS}{re.escape(characters.X_FORMS)}]"
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

    def take(self, source: int, records: Iterable[Record | Unreadable], name: str) -> Extracted:
        """Extract one source, or a range of it; what is broken in it is part of the answer."""
        found = Extracted(links=set(), reported=[])
        try:
            self._take(source, records, name, found)
        except ArchiveError as error:
            found.failed = str(error)
        except (OSError, EOFError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            found.failed = "is broken"
        return found

    def flush(self) -> None:
        """Write everything that waits."""
        self._partitions.flush()

    def blanks(self) -> list[Path]:
        """Edits for what could not be read, as sorted files."""
        return self._blanks.runs()

    def _take(
        self, source: int, records: Iterable[Record | Unreadable], name: str, found: Extracted
    ) -> None:
        needs_look, any_digit, count = self._needs_look, _ANY_DIGIT, self._count
        pack, add, keep_all = KEY.pack, self._partitions.add, self._keep_all
        links = found.links
        latest = _EPOCH
        texts = looked = 0
        for record in records:
            if isinstance(record, Unreadable):
                self._blank(source, record, name, found)
                continue
            start, end, spelling, text, conversation, sender, identity, time, channel = record[:9]
            subject, copies = record[9:]
            texts += 1
            if time is not None:
                latest = time + _EPOCH
            if self._per_file:
                conversation = f"{name}\0{conversation}"
            look = needs_look(text)
            looked += look
            if not (look or keep_all or any_digit(text)):
                text, copies = "", ()
            component = crc32(conversation.encode("utf-8", "surrogatepass"))
            if subject is not None and links is not None:
                links.add(component << 32 | crc32(subject.encode("utf-8", "surrogatepass")))
                if len(links) > MAX_LINKS:
                    links = None
            payload: tuple[object, ...] = (
                end, spelling, look, time is not None, conversation, sender, identity, subject,
                channel, text,
            )  # fmt: skip
            if copies:
                payload = (*payload, copies)
            try:
                data = _encode(payload)
            except UnicodeEncodeError:
                data = _encode(_without_surrogates(payload))
            add(component % count, pack(component, latest, source, start) + data)
        found.links = links
        found.texts += texts
        found.looked += looked

    def _blank(self, source: int, broken: Unreadable, name: str, found: Extracted) -> None:
        found.unreadable += 1
        if len(found.reported) < MAX_REPORTED:
            found.reported.append(f"{name}: line {broken.line}: {broken.reason}")
        edit = Edit(broken.start, broken.end, BLANK, 0, ())
        self._blanks.add(edit_record(source, edit))


def edit_record(source: int, edit: Edit) -> bytes:
    """An edit, to be sorted by source and place."""
    return EDIT.pack(source, edit.start) + _encode(tuple(edit)[1:])


def _without_surrogates(payload: tuple[object, ...]) -> tuple[object, ...]:
    *others, text = payload[:10]
    plain = [
        value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for value in others
    ]
    assert isinstance(text, str)
    return (*plain, "", [], text.encode("utf-8", "surrogatepass"))


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

"""What a reader gives, and what is written back: places in a file, never copies of it.

A file is seen as one *plain stream*: its bytes after decompression, as UTF-8. A record is a text
in that stream: the region of bytes it stands in, how it is spelled there (the spelling), and
whose message it is. Masking gives edits: of the text in that region, these characters become
stars. All other bytes of the stream are copied, which is why key order, spacing, escapes, line
ends and encodings stay as they were.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import chain
from typing import NamedTuple, cast

from masker import MaskerError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# Seconds until the year 5138; what is larger counts milliseconds, microseconds or nanoseconds.
_MAX_SECONDS = 1e11
MAX_MICROSECONDS = 1 << 60


class ArchiveError(MaskerError):
    """An archive cannot be read, or its output not be written; names file and place."""


_STARS = re.compile(r"\*+")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def reason_of(error: Exception) -> str:
    """Why a file cannot be read or written, without a word of what is in it.

    Whatever a library raises over a broken file ends the reading of this file, and no more.
    """
    if isinstance(error, ArchiveError):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    return f"is broken ({type(error).__name__})"


def is_full(error: Exception) -> bool:
    """Whether there is no room where something was to be written."""
    return isinstance(error, OSError) and error.errno in _FULL


class Copy(NamedTuple):
    """Where a record's text stands once more, dressed otherwise: as HTML beside plain text, say."""

    start: int
    end: int
    spelling: str
    text: str


class Record(NamedTuple):
    """One text of a file. `time` is in microseconds since 1970; None where the file tells none."""

    start: int
    end: int
    spelling: str
    text: str
    conversation: str
    sender: str
    id: str | None = None
    time: int | None = None
    channel: str | None = None
    subject: str | None = None
    copies: tuple[Copy, ...] = ()


class Rows(NamedTuple):
    """Many records of one kind at once, column by column: `None` for a column that is not there.

    For the common case, where a tuple for each record would be most of the work.
    """

    spelling: str
    starts: list[int]
    ends: list[int]
    texts: list[str]
    conversations: list[str]
    senders: list[str]
    ids: list[str | None]
    times: list[int | None]
    channels: list[str | None]
    subjects: list[str | None]


class Unreadable(NamedTuple):
    """A region that is no record although one should stand there: it is blanked."""

    start: int
    end: int
    line: int
    reason: str


class Edit(NamedTuple):
    """What changes in one region: `ranges` of code points of a text of `size` become stars."""

    start: int
    end: int
    spelling: str
    size: int
    ranges: tuple[tuple[int, int], ...]


def with_copies(records: list[Record]) -> list[Record]:
    """The texts of one message: those that say the same as the first are copies of it.

    A copy is masked where the first is, whatever else the copy alone would look like: so what is
    hidden in one of them is readable in none.
    """
    if len(records) < 2:
        return records
    first, *others = records
    letters = [char for char in first.text if char.isalnum()]
    copies = tuple(
        Copy(other.start, other.end, other.spelling, other.text)
        for other in others
        if [char for char in other.text if char.isalnum()] == letters
    )
    same = {(copy.start, copy.end, copy.spelling) for copy in copies}
    kept = [other for other in others if (other.start, other.end, other.spelling) not in same]
    return [first._replace(copies=copies), *kept]


def carried_over(
    ranges: tuple[tuple[int, int], ...], text: str, copy: str
) -> tuple[tuple[int, int], ...]:
    """Ranges of a text as ranges of a copy of it, letter for letter and digit for digit.

    >>> carried_over(((0, 2), (3, 5)), "41-11 ok", " 4111 <ok>")
    ((1, 5),)
    """
    hidden = {place for low, high in ranges for place in range(low, high)}
    marks = [place in hidden for place, char in enumerate(text) if char.isalnum()]
    masked = list(copy)
    places = [place for place, char in enumerate(copy) if char.isalnum()]
    for place, mark in zip(places, marks, strict=True):
        if mark:
            masked[place] = "\0"
    return stars(copy, "".join(masked))


def stars(before: str, after: str) -> tuple[tuple[int, int], ...]:
    """Where a masked text differs from what it was.

    >>> stars("card 4111", "card ****")
    ((5, 9),)
    """
    if before == after:
        return ()
    if len(before) != len(after):
        return ((0, len(before)),)
    ranges: list[tuple[int, int]] = []
    if "*" not in before:
        # Every star hides something, if nothing else was changed.
        ranges = [found.span() for found in _STARS.finditer(after)]
        bounds = [0, *chain.from_iterable(ranges), len(before)]
        kept = zip(bounds[::2], bounds[1::2], strict=True)
        if all(before[low:high] == after[low:high] for low, high in kept):
            return tuple(ranges)
        ranges = []
    first = -1
    for place, (was, now) in enumerate(zip(before, after, strict=True)):
        if was != now:
            if first < 0:
                first = place
        elif first >= 0:
            ranges.append((first, place))
            first = -1
    if first >= 0:
        ranges.append((first, len(before)))
    return tuple(ranges)


def microseconds(value: object, zone: tzinfo = UTC) -> int | None:
    """A time as exports write it: ISO 8601, or a number of seconds, milli-, micro- or nanoseconds.

    A time without an offset is one of `zone`. None where it cannot be told.

    >>> microseconds("1970-01-01T00:00:01Z"), microseconds("1512085950.000216")
    (1000000, 1512085950000216)
    """
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, datetime):
        return from_datetime(value, zone)
    if isinstance(value, str):
        try:
            return from_datetime(datetime.fromisoformat(value), zone)
        except ValueError:
            text = value.strip()
        try:
            value = int(text) if text.isdecimal() else float(text)
        except ValueError:
            return _written(text, zone)
    if not isinstance(value, int | float):
        return None
    if value != value or abs(value) == float("inf"):
        return None
    size, scale = abs(value), 1_000_000
    while size >= _MAX_SECONDS and scale:
        size, scale = size / 1000, scale // 1000
    # What counts nanoseconds is larger than a microsecond count.
    micros = round(value * scale) if scale else round(value / 1000)
    return micros if abs(micros) < MAX_MICROSECONDS else None


_STRINGS = {str, type(None)}


def strings(told: Sequence[object]) -> list[str | None]:
    """Values as strings; most columns are strings, or not there at all."""
    if set(map(type, told)) <= _STRINGS:
        return list(cast(Sequence[str | None], told))
    return [None if value is None else str(value) for value in told]


def all_microseconds(values: Sequence[object], zone: tzinfo = UTC) -> list[int | None]:
    """The same for many; quick where all are ISO 8601 with an offset, as most are."""
    try:
        moments = map(datetime.fromisoformat, cast(Sequence[str], values))
        return [(moment - EPOCH) // _MICROSECOND for moment in moments]
    except (TypeError, ValueError):
        return [microseconds(value, zone) for value in values]


_WRITTEN = (
    "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y-%m-%d %H:%M:%S.%f %Z", "%Y-%m-%d %H:%M:%S %Z",
    "%a, %d %b %Y %H:%M:%S %z", "%d %b %Y %H:%M:%S %z", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M",
    "%A, %B %d, %Y at %I:%M:%S %p %Z",
    "%Y.%m.%d %H:%M:%S", "%Y年%m月%d日 %H:%M:%S", "%Y年%m月%d日 %H:%M",
)  # fmt: skip


def _written(text: str, zone: tzinfo) -> int | None:
    for form in _WRITTEN:
        try:
            return from_datetime(datetime.strptime(text, form), zone)  # noqa: DTZ007 - zone follows
        except ValueError:
            continue
    return None


def from_datetime(moment: datetime, zone: tzinfo = UTC) -> int:
    """Microseconds since 1970."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return (moment - EPOCH) // _MICROSECOND


def to_datetime(micros: int | None) -> datetime | None:
    """The same back, aware; None where it is out of a datetime's range."""
    if micros is None:
        return None
    try:
        return EPOCH + timedelta(0, 0, micros)
    except OverflowError:
        return None

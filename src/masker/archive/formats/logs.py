"""Chats as plain text: a line begins with a time and a speaker, and goes on until the next one.

One reader for all of them; how a message begins is told by `heads`. A file is one conversation in
the order it is written: its clock may be set back (summer time), or tell minutes only, and so time
never runs backwards here.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from masker.archive.formats.base import Context, Format, Read
from masker.archive.formats.heads import BY_NAME, layout_of
from masker.archive.records import Record, from_datetime, microseconds
from masker.archive.spelling import decoded

_CHUNK = 1 << 20
# A message longer than this is read in parts, at line ends where there are any.
_MAX_TEXT = 1 << 20
_DAY_FIRST, _MONTH_FIRST, _YEAR_FIRST = "dmy", "mdy", "ymd"
# A name with so many digits may be a number that is to be masked.
_MANY_DIGITS = 12
_EACH_LINE = re.compile(rb"^(?P<who>)", re.MULTILINE)


class _Chat(Format):
    def recognises(self, head: bytes, path: Path) -> bool:
        layout = layout_of(head)
        return layout is not None and BY_NAME[layout].format == self.name

    def prepare(self, head: bytes, context: Context) -> None:
        layout = layout_of(head)
        if layout is not None:
            context.hints["layout"] = layout
            context.hints["dates"] = _date_order(head, BY_NAME[layout].head)

    def read(self, stream: BinaryIO, context: Context, start: int, end: int | None) -> Read:
        clock = _Clock(context)
        for begin, raw, match in _messages(stream, self.head(context)):
            groups = match.groupdict() if match else {}
            who = groups.get("who") or b""
            if match and _digits_in(who) >= _MANY_DIGITS:
                yield Record(
                    begin + match.start("who") - match.end(),
                    begin + match.end("who") - match.end(),
                    "plain",
                    decoded(who),
                    f"{context.name}\0names",
                    "page",
                )
            yield Record(
                begin,
                begin + len(raw),
                "plain",
                decoded(raw),
                context.name,
                decoded(who).strip() or "system",
                None,
                clock.read(groups.get("time")),
            )

    def head(self, context: Context) -> re.Pattern[bytes]:
        """How messages begin in this file."""
        name = context.hints.get("layout")
        return BY_NAME[name].head if name else _EACH_LINE


def _digits_in(name: bytes) -> int:
    return sum(char.isdecimal() for char in decoded(name))


class WhatsApp(_Chat):
    """WhatsApp's "Export chat" of Android and iOS: `12/31/23, 10:15 PM - Ann: text`."""

    name = "whatsapp"


class WeChatText(_Chat):
    """Text of the common WeChat exporters: a line with time and name, then the message."""

    name = "wechat"


class Log(_Chat):
    """A plain log with a time and a speaker, or one of them, on each line."""

    name = "log"


class PlainText(_Chat):
    """Text of no known kind: one speaker, a line a message."""

    name = "text"

    def recognises(self, head: bytes, path: Path) -> bool:
        return True

    def head(self, context: Context) -> re.Pattern[bytes]:
        return _EACH_LINE


_Message = tuple[int, bytes, re.Match[bytes] | None]


def _messages(stream: BinaryIO, head: re.Pattern[bytes]) -> Iterator[_Message]:
    """Where each text begins, its bytes without the last line end, and how it was headed."""
    buffer, offset = b"", 0
    more = True
    while more:
        chunk = stream.read(_CHUNK)
        more = bool(chunk)
        buffer += chunk
        heads = list(head.finditer(buffer))
        done = 0
        if heads and heads[0].start() > 0:
            yield from _said(buffer, 0, heads[0].start(), offset, None)
            done = heads[0].start()
        for match, following in itertools.pairwise(heads):
            # What is behind the last head may go on in the next chunk, and so may that head.
            yield from _said(buffer, match.end(), following.start(), offset, match)
            done = following.start()
        if not more:
            if heads:
                yield from _said(buffer, heads[-1].end(), len(buffer), offset, heads[-1])
            elif buffer:
                yield from _said(buffer, 0, len(buffer), offset, None)
        elif len(buffer) - done > _MAX_TEXT:
            # One message without end: its lines so far, the rest as a message of its own.
            stop = buffer.rfind(b"\n", done) + 1
            stop = stop if stop > done else len(buffer)
            last = heads[-1] if heads else None
            yield from _said(buffer, last.end() if last else done, stop, offset, last)
            done = stop
        buffer, offset = buffer[done:], offset + done


def _said(
    buffer: bytes, low: int, high: int, offset: int, match: re.Match[bytes] | None
) -> Iterator[_Message]:
    text = buffer[low:high]
    text = text.removesuffix(b"\n").removesuffix(b"\r")
    if text:
        yield offset + low, text, match


def _date_order(head: bytes, pattern: re.Pattern[bytes]) -> str:
    """Whether dates like 3/4/2024 begin with the day or the month, as the first ones tell."""
    told = [match.groupdict().get("time") or b"" for match in pattern.finditer(head)]
    dates = [
        [int(part) for part in re.findall(r"\d+", decoded(time))[:3]]
        for time in told
        if _NUMERIC.match(decoded(time))
    ]
    if any(date[0] > 31 for date in dates):
        return _YEAR_FIRST
    if any(date[0] > 12 for date in dates):
        return _DAY_FIRST
    if any(date[1] > 12 for date in dates):
        return _MONTH_FIRST
    # Both are possible: in a chat time goes on, and by days more often than by months.
    steps = [(one[0] != two[0], one[1] != two[1]) for one, two in itertools.pairwise(dates)]
    return _MONTH_FIRST if sum(b for _, b in steps) > sum(a for a, _ in steps) else _DAY_FIRST


# Three numbers and no clock yet.
_NUMERIC = re.compile(r"\D*\d+[^\d:]+\d+[^\d:]+\d+")
_CLOCK = re.compile(r"(\d{1,2})(?:[:.]|\s?h\s?)(\d{2})(?:[:.](\d{2}))?\D*$")
_OFFSET = re.compile(r"\s?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})$")
_PARTS = re.compile(r"(?<=:\d{2})[.,]\d{1,9}(?!\d)")
_PASSED = re.compile(r"(?:(\d+)h )?(?:(\d+)m )?(\d+)s$")
_MARKS = re.compile("[\u200b-\u200f\u202a-\u202e\u2066-\u2069\u061c\ufeff]")
_LATE = re.compile(r"[Pp]\.?\s?[Mm]\b|下午|中午|晚上|午後|오후|م|ب\.ظ|μ\.μ|e pasdites")
_EARLY = re.compile(r"[Aa]\.?\s?[Mm]\b|上午|凌晨|清晨|早上|午前|오전|ص|ق\.ظ|π\.μ|e paradites")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = re.compile(r"\b(" + "|".join(_MONTHS) + r")[a-z]*", re.IGNORECASE)
# The years of the Thai calendar are 543 more.
_THAI_YEARS, _FIRST_THAI_YEAR = 543, 2400


class _Clock:
    """Times of one file, which never go back."""

    def __init__(self, context: Context) -> None:
        self._zone = context.zone
        self._order = context.hints.get("dates", _DAY_FIRST)
        self._latest: int | None = None
        self._day = datetime(1970, 1, 1)  # noqa: DTZ001 - a clock without dates counts from anywhere

    def read(self, told: bytes | None) -> int | None:
        """Microseconds since 1970; what cannot be read is the time before."""
        time = self._parsed(_MARKS.sub("", decoded(told)).strip()) if told else None
        if time is None or (self._latest is not None and time < self._latest):
            return self._latest
        self._latest = time
        return time

    def _parsed(self, told: str) -> int | None:
        passed = _PASSED.match(told)
        if passed:
            hours, minutes, seconds = (int(part or 0) for part in passed.groups())
            return from_datetime(self._day) + (hours * 3600 + minutes * 60 + seconds) * 1_000_000
        if re.match(r"\d{4}-\d{2}-\d{2}|\d{10}", told) and told.isascii():
            found = microseconds(told.replace(",", "."), self._zone)
            if found is not None:
                return found
        bare = _PARTS.sub("", _OFFSET.sub("", told))
        clock = _CLOCK.search(bare)
        if clock is None:
            return None
        hour, minute, second = (int(part or 0) for part in clock.groups())
        if _LATE.search(told):
            hour = hour % 12 + 12
        elif _EARLY.search(told):
            hour %= 12
        date = self._date(bare[: clock.start()])
        try:
            if date is None:
                return self._of_day(hour, minute, second)
            moment = datetime(*date, hour, minute, second)  # noqa: DTZ001 - the zone is put in beside it
            return from_datetime(moment, self._zone)
        except ValueError:
            return None

    def _date(self, told: str) -> tuple[int, int, int] | None:
        """Year, month and day; None where there is only a clock."""
        numbers = [int(part) for part in re.findall(r"\d+", told)]
        month = _MONTH.search(told)
        if month is not None and numbers:
            year = numbers[1] if len(numbers) > 1 else self._day.year
            return self._year(year), _MONTHS.index(month[1].lower()) + 1, numbers[0]
        if len(numbers) == 2:
            first, second = numbers
            number, day = (second, first) if first > 12 else (first, second)
            return self._day.year, number, day
        if len(numbers) != 3:
            return None
        order = _YEAR_FIRST if numbers[0] > 31 else self._order
        for turned in (order, _DAY_FIRST, _MONTH_FIRST):
            year, number, day = (numbers[turned.index(unit)] for unit in "ymd")
            if 1 <= number <= 12 and 1 <= day <= 31:
                return self._year(year), number, day
        return None

    def _year(self, year: int) -> int:
        year += 2000 * (year < 100)
        return year - _THAI_YEARS if year > _FIRST_THAI_YEAR else year

    def _of_day(self, hour: int, minute: int, second: int) -> int | None:
        moment = self._day.replace(hour=hour, minute=minute, second=second)
        time = from_datetime(moment, self._zone)
        if self._latest is not None and time < self._latest:
            # Past midnight.
            self._day += timedelta(days=1)
            time = from_datetime(moment + timedelta(days=1), self._zone)
        return time

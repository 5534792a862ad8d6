"""Chats as plain text: a line begins with a time and a speaker, and goes on until the next one.

One reader for all of them; a dialect is the expression by which a message begins. A file is one
conversation in the order it is written: its clock may be set back (summer time), or tell minutes
only, and so time never runs backwards here.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, NamedTuple

from masker.archive.formats.base import Context, Format, Read
from masker.archive.records import Record, from_datetime, microseconds
from masker.archive.spelling import decoded

_CHUNK = 1 << 20
# A message longer than this is read in parts, at line ends where there are any.
_MAX_TEXT = 1 << 20
_SAMPLE_LINES = 400
_TITLE_LINES = 12
_DAY_FIRST, _MONTH_FIRST, _YEAR_FIRST = "dmy", "mdy", "ymd"


class Dialect(NamedTuple):
    """How a message begins: groups `time` or `date` and `clock`, `who`; the text follows."""

    head: re.Pattern[bytes]
    share: float
    """Of the first lines so many begin a message, or more."""


_CLOCK = rb"\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?:[\s\xc2\xa0\xe2\x80\xaf]*[AaPp]\.?\s?[Mm]\.?)?"
_OFFSET = rb"(?:\s?Z|\s?[+-]\d{2}:?\d{2})?"
_ISO = rb"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}[T ]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?" + _OFFSET
_MARK = rb"(?:\xe2\x80\x8e)?"

_DATED = rb"(?P<date%s>\d{1,4}[./-]\d{1,2}[./-]\d{1,4}),?\s(?P<clock%s>" + _CLOCK + rb")"
WHATSAPP = Dialect(
    re.compile(
        rb"^(?:\xef\xbb\xbf)?"
        + _MARK
        + rb"(?:\["
        + _DATED % (b"", b"")
        + rb"\]|"
        + _DATED % (b"2", b"2")
        + rb"\s-)\s"
        + _MARK
        + rb"(?:(?P<who>[^:\r\n]{1,100}?):[ ]|(?=\S))",
        re.MULTILINE,
    ),
    0.05,
)
WECHAT = Dialect(
    re.compile(
        rb"^(?:\xef\xbb\xbf)?(?:(?P<time>" + _ISO + rb")[ \t]+(?P<who>[^\r\n:]{1,80}?)"
        rb"|(?P<who2>[^\r\n:]{1,80}?)[ \t]+(?P<time2>" + _ISO + rb"))[ \t]*:?[ \t]*\r?\n",
        re.MULTILINE,
    ),
    0.05,
)
LOG = Dialect(
    re.compile(
        rb"^(?:\xef\xbb\xbf)?[\[(]?(?P<time>" + _ISO + rb"|\d{1,2}:\d{2}(?::\d{2})?)[\])]?[ \t,|-]+"
        rb"(?:<(?P<who>[^>\r\n]{1,80})>|\[(?P<who2>[^\]\r\n]{1,80})\]:?"
        rb"|(?P<who3>[^:\r\n\t]{1,80}?)[ ]?(?::|\t|[ ]\|))"
        rb"[ \t]?",
        re.MULTILINE,
    ),
    0.3,
)


class _Chat(Format):
    dialect: Dialect

    def recognises(self, head: bytes, path: Path) -> bool:
        lines = [line for line in head.split(b"\n")[:_SAMPLE_LINES] if line.strip()]
        begun = list(self.dialect.head.finditer(b"\n".join(lines) + b"\n"))
        if not begun or len(begun) < len(lines) * self.dialect.share:
            return False
        # A chat begins with a message, or after a few lines of a title.
        return head.count(b"\n", 0, begun[0].start()) <= _TITLE_LINES

    def prepare(self, head: bytes, context: Context) -> None:
        context.hints["dates"] = _date_order(head, self.dialect.head)

    def read(self, stream: BinaryIO, context: Context, start: int, end: int | None) -> Read:
        clock = _Clock(context)
        for begin, raw, match in _messages(stream, self.dialect.head):
            groups = match.groupdict() if match else {}
            who = next((groups[name] for name in _WHO if groups.get(name)), b"")
            told = groups.get("time") or groups.get("time2")
            for more in ("", "2"):
                if told is None and groups.get(f"date{more}"):
                    told = groups[f"date{more}"] + b" " + groups[f"clock{more}"]
            yield Record(
                begin,
                begin + len(raw),
                "plain",
                decoded(raw),
                context.name,
                decoded(who).strip() or "system",
                None,
                clock.read(told),
            )


class WhatsApp(_Chat):
    """WhatsApp's "Export chat" of Android and iOS: `12/31/23, 10:15 PM - Ann: text`."""

    name = "whatsapp"
    dialect = WHATSAPP


class WeChatText(_Chat):
    """Text of the common WeChat exporters: a line with time and name, then the message."""

    name = "wechat"
    dialect = WECHAT


class Log(_Chat):
    """A plain log with a time and a speaker on each line."""

    name = "log"
    dialect = LOG


class PlainText(_Chat):
    """Text of no known kind: one speaker, a line a message."""

    name = "text"
    dialect = Dialect(re.compile(rb"^", re.MULTILINE), 0)

    def recognises(self, head: bytes, path: Path) -> bool:
        return True


_WHO = ("who", "who2", "who3")
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
    told = [
        groups.get("date") or groups.get("date2")
        for groups in (match.groupdict() for match in pattern.finditer(head))
    ]
    dates = [[int(part) for part in re.split(rb"[./-]", date)] for date in told if date]
    if any(date[0] > 31 for date in dates):
        return _YEAR_FIRST
    if any(date[0] > 12 for date in dates):
        return _DAY_FIRST
    if any(date[1] > 12 for date in dates):
        return _MONTH_FIRST
    # Both are possible: in a chat time goes on, and by days more often than by months.
    steps = [(one[0] != two[0], one[1] != two[1]) for one, two in itertools.pairwise(dates)]
    return _MONTH_FIRST if sum(b for _, b in steps) > sum(a for a, _ in steps) else _DAY_FIRST


class _Clock:
    """Times of one file, which never go back."""

    def __init__(self, context: Context) -> None:
        self._zone = context.zone
        self._order = context.hints.get("dates", _DAY_FIRST)
        self._latest: int | None = None
        self._day = datetime(1970, 1, 1)  # noqa: DTZ001 - a clock without dates counts from anywhere

    def read(self, told: bytes | None) -> int | None:
        """Microseconds since 1970; what cannot be read is the time before."""
        time = self._parsed(told.decode("ascii", "ignore")) if told else None
        if time is None or (self._latest is not None and time < self._latest):
            return self._latest
        self._latest = time
        return time

    def _parsed(self, told: str) -> int | None:
        numbers = [int(part) for part in re.findall(r"\d+", told)]
        late = re.search(r"([AaPp])\.?\s?[Mm]", told)
        if len(numbers) in {2, 3} and re.match(r"\d{1,2}:", told):
            return self._of_day(numbers)
        if late is None and re.match(r"\d{4}-\d{2}-\d{2}", told):
            found = microseconds(told.replace(",", "."), self._zone)
            if found is not None:
                return found
        if len(numbers) < 5:
            return None
        date, clock = numbers[:3], ([*numbers[3:6], 0])[:3]
        order = _YEAR_FIRST if date[0] > 31 else self._order
        for turned in (order, _DAY_FIRST, _MONTH_FIRST):
            year, month, day = (date[turned.index(unit)] for unit in "ymd")
            hour = clock[0] % 12 + 12 * (late[1] in "Pp") if late else clock[0]
            try:
                moment = datetime(  # noqa: DTZ001 - the zone is put in beside it
                    year + 2000 * (year < 100), month, day, hour, clock[1], clock[2]
                )
            except ValueError:
                continue
            return from_datetime(moment, self._zone)
        return None

    def _of_day(self, numbers: list[int]) -> int | None:
        hour, minute, second = ([*numbers, 0])[:3]
        if hour > 23 or minute > 59 or second > 59:
            return None
        moment = self._day.replace(hour=hour, minute=minute, second=second)
        time = from_datetime(moment, self._zone)
        if self._latest is not None and time < self._latest:
            # Past midnight.
            self._day += timedelta(days=1)
            time = from_datetime(moment + timedelta(days=1), self._zone)
        return time

"""How the messages of a chat begin where it is plain text: a time, a speaker, or both.

Every tool, locale and version writes that otherwise. So a head is put together from parts: a
*stamp* (a date in any order and script, a clock, or both), a speaker, and what stands around
them; a *layout* is one order of these. Which layout a file has is told by its first lines: who
speaks, speaks again, so it is one that finds many messages of few speakers.

What stands in a head is not masked. So a date has a month and a day that there are, and a clock an
hour and minutes: nothing else of many digits is taken for one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_SAMPLE_LINES = 400
_TITLE_LINES = 12
_NEARLY = 0.6


class Layout(NamedTuple):
    """One way in which messages begin: groups `time`, `who` or both; the text follows."""

    name: str
    format: str
    head: re.Pattern[bytes]
    share: float
    """Of the first lines so many begin a message, or more."""


def _any(*words: str) -> bytes:
    return rb"(?:" + b"|".join(re.escape(word.encode()) for word in words) + rb")"


# Direction marks, joiners of nothing, a byte order mark.
_MARK = rb"(?:\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]|\xd8\x9c|\xef\xbb\xbf)"
_SPACE = rb"(?:[ \t]|\xc2\xa0|\xe2\x80[\x89\xaf]|\xe3\x80\x80|" + _MARK + rb")"
_S = _SPACE + rb"{0,4}"
# Arabic, Persian, Devanagari and Bengali digits: phones write dates in them.
_FAR = rb"(?:\xd9[\xa0-\xa9]|\xdb[\xb0-\xb9]|\xe0[\xa5\xa7][\xa6-\xaf])"
_DAY = rb"(?:[0-3]?[0-9]|" + _FAR + rb"{1,2})"
_YEAR = rb"(?:[12][0-9]{3}|[0-9]{2}|" + _FAR + rb"{2,4})"
_JOIN = (
    rb"(?:" + _MARK + rb"{0,2}[./-]" + _MARK + rb"{0,2}[ ]?|"
    + _any("年", "月", "년", "월") + rb"[ ]?)"
)  # fmt: skip
_DATE_END = rb"(?:\.|" + _any("日", "일") + rb"|[ ]" + _any("г.") + rb")?"
_MONTH = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_WEEKDAY = rb"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},?[ ])?"
_DATE = (
    rb"(?:" + _DAY + _JOIN + _DAY + _JOIN + _YEAR + _DATE_END
    + rb"|" + _YEAR + _JOIN + _DAY + _JOIN + _DAY + _DATE_END
    + rb"|" + _WEEKDAY + _DAY + rb"[ -]" + _MONTH + rb"(?:,?[ -]" + _YEAR + rb")?"
    + rb"|" + _WEEKDAY + _MONTH + rb"[ ]{1,2}" + _DAY + rb"(?:,?[ ][12][0-9]{3})?"
    + rb"|" + _DAY + rb"[/-]" + _DAY + rb")"
)  # fmt: skip
_HALVES = _any(
    "上午", "下午", "凌晨", "清晨", "早上", "中午", "晚上", "午前", "午後", "오전", "오후"
)
_AM_PM = (
    rb"(?:[AaPp]\.?" + _SPACE + rb"?[Mm]\b\.?|"
    + _any("ص", "م", "ق.ظ.", "ب.ظ.", "π.μ.", "μ.μ.") + rb")"
)  # fmt: skip
_HOUR = rb"(?:[01]?[0-9]|2[0-4]|" + _FAR + rb"{1,2})"
_SIXTY = rb"(?:[0-5][0-9]|" + _FAR + rb"{2})"
_CLOCK = (
    rb"(?:" + _HALVES + _S + rb")?" + _HOUR + rb"(?:[:.]|[ ]?h[ ]?)" + _SIXTY
    + rb"(?:[:.]" + _SIXTY + rb"(?:[.,][0-9]{1,9})?)?(?:" + _S + _AM_PM + rb")?"
)  # fmt: skip
_OFFSET = rb"(?:[ ]?(?:Z\b|[+-][0-9]{2}:?[0-9]{2}\b|UTC|GMT))?"
# "17.05.2024 klo 14.03", "17/05/2024 à 14:03", "17.05.24 г., 14:03", with or without a comma.
_BETWEEN = rb"(?:[,T]|\xd8\x8c)?" + _S + rb"(?:(?:klo|kl\.|at|um|\xc3\xa0|\xc3\xa0s|a[ ]las)[ ])?"
_DATED = _DATE + _BETWEEN + _CLOCK + _OFFSET
# Seconds or milliseconds since 1970, of this century's first decades.
_EPOCH = rb"1[0-9]{9}(?:[0-9]{3}|\.[0-9]{1,9})?(?![0-9])"
_PASSED = rb"(?:[0-9]{1,3}h[ ])?(?:[0-9]{1,4}m[ ])?[0-9]{1,5}s"
# Where there is no date, numbers with dots between are one.
_UNDATED = rb"(?:(?![0-9]+\.)" + _CLOCK + _OFFSET + rb"|" + _EPOCH + rb")"
_STAMP = rb"(?:" + _DATED + rb"|" + _UNDATED + rb")"
_BEGIN = rb"^" + _MARK + rb"{0,3}+"
_OPEN, _CLOSE = rb"(?:[\[(<]|\xef\xbc\x88|\xe3\x80\x90)", rb"(?:[\])>]|\xef\xbc\x89|\xe3\x80\x91)"
_COLON = rb"(?::|\xef\xbc\x9a)"
_END = rb"[ \t]*\r?\n"
_LONGEST_NAME = rb"{1,80}?"


def _time(pattern: bytes) -> bytes:
    return rb"(?P<time>" + pattern + rb")"


def _who(pattern: bytes) -> bytes:
    return rb"(?P<who>" + pattern + rb")"


# Who speaks may be called by a number, but not by a date, a clock or a part of one.
_NO_STAMP = (
    rb"(?![\[(]?" + _SPACE + rb"?(?:" + _DATE + rb"|" + _STAMP + rb"|[0-9]{1,4}[:\t|]))"
)  # fmt: skip
_NAME = _NO_STAMP + _who(rb"[^:\r\n\t|<>]" + _LONGEST_NAME)
_NAME_ALONE = _NO_STAMP + _who(rb"[^:\r\n]" + _LONGEST_NAME)
# What some locales write behind a clock, where it is plain where that ends.
_WORDS = rb"(?:" + _S + rb"[A-Za-z.\x80-\xff]{1,12}){0,2}?"


def _layout(name: str, form: str, share: float, *parts: bytes) -> Layout:
    return Layout(name, form, re.compile(_BEGIN + b"".join(parts), re.MULTILINE), share)


def _logs(stamp: bytes) -> list[Layout]:
    """Lines with one kind of stamp: in a chat that tells dates, a clock alone begins nothing."""
    return [
        # [14:03:05] <Ann> text
        _layout(
            "<name>", "log", 0.2,
            _OPEN, rb"?", _time(stamp), _CLOSE, rb"?[ \t,|-]+<", _who(rb"[^>\r\n]{1,80}"),
            rb">[ \t]?",
        ),
        # 14:03:05 [Ann]: text
        _layout(
            "[name]", "log", 0.2,
            _OPEN, rb"?", _time(stamp), _CLOSE, rb"?[ \t,|-]+\[", _who(rb"[^\]\r\n]{1,80}"),
            rb"\]:?[ \t]?",
        ),
        # [2024-05-17 14:03:05] Ann: text
        _layout(
            "name:", "log", 0.2,
            _OPEN, rb"?[ ]?", _time(stamp), rb"[ ]?", _CLOSE, rb"?[ \t,|-]+", _NAME, rb"[ ]?(?:",
            _COLON, rb"|\t|[ ]?\|)[ \t]?",
        ),
        # Ann (14:03): text
        _layout(
            "name (time)", "log", 0.2,
            rb"\*{0,2}\[?", _NAME, rb"\]?\*{0,2}[ \t]*", _OPEN, _time(stamp), _CLOSE, rb"[ ]?",
            _COLON, rb"?[ ]?",
        ),
        # Ann 14:03: text
        _layout("name time", "log", 0.2, _NAME, rb"[ \t]+", _time(stamp), _COLON, rb"[ ]?"),
    ]  # fmt: skip


LAYOUTS = (
    # [17.05.24, 14:03:05] Ann: text
    _layout(
        "bracket", "whatsapp", 0.05,
        rb"\[", _time(_DATED + _WORDS), rb"\]", _SPACE, _S,
        rb"(?:", _who(rb"[^:\r\n]{1,100}?"), rb":[ ]|(?=\S))",
    ),
    # 5/17/24, 2:03 PM - Ann: text
    _layout(
        "dash", "whatsapp", 0.05,
        _time(_DATED + _WORDS), _SPACE, _S, rb"(?:-|\xe2\x80\x93)[ ]", _S,
        rb"(?:", _who(rb"[^:\r\n]{1,100}?"), rb":[ ]|(?=\S))",
    ),
    # 2024년 5월 17일 오후 2:03, Ann : text
    _layout(
        "comma", "whatsapp", 0.05, _time(_DATED), rb",[ ]", _who(rb"[^:\r\n]{1,100}?"), rb"[ ]:[ ]"
    ),
    # 2024-05-17 14:03:05 Ann, and the text on the next lines
    _layout(
        "line", "wechat", 0.05,
        _OPEN, rb"?", _time(_DATED), _CLOSE, rb"?[ \t]+", _NAME_ALONE, rb"[ \t]*:?", _END,
    ),
    _layout(
        "name line", "wechat", 0.05,
        _NAME_ALONE, rb"[ \t]*", _OPEN, rb"?", _time(_DATED), _CLOSE, rb"?[ \t]*:?", _END,
    ),
    *_logs(_DATED),
    *_logs(_UNDATED),
    # ( 1m 12s ) Ann: text
    _layout(
        "passed", "log", 0.2, rb"\([ ]?", _time(_PASSED), rb"[ ]?\)[ ]", _NAME, _COLON, rb"[ ]?"
    ),
    # 00:14:03.000 --> 00:14:05.000, and the next line: Ann: text
    _layout(
        "captions", "log", 0.1,
        rb"(?:[0-9]{1,6}\r?\n)?", _time(_CLOCK), rb"[ ]-->[ ]", _CLOCK, rb"[^\r\n]*\r?\n",
        rb"(?:<v[ ][^>\r\n]*>)?(?:", _NAME, _COLON, rb"[ ])?",
    ),
    # [2:03 PM] Ann, and the text on the next lines
    _layout(
        "clock line", "log", 0.1,
        _OPEN, rb"?", _time(_STAMP), _CLOSE, rb"?[ \t]+", _NAME_ALONE, rb"[ \t]*:?", _END,
    ),
    # Ann: text. A name has few digits: what has many is no name.
    _layout(
        "names", "log", 0.6,
        _NO_STAMP, _who(rb"[^:\r\n\t0-9]{1,40}?[0-9]{0,5}"), _COLON, rb"[ ]?",
    ),
)  # fmt: skip
BY_NAME = {f"{place} {layout.name}": layout for place, layout in enumerate(LAYOUTS)}


@lru_cache(maxsize=8)
def layout_of(head: bytes) -> str | None:
    """How the messages of a file that begins so begin, a name in `BY_NAME`; None for no chat."""
    lines = [line for line in head.split(b"\n")[:_SAMPLE_LINES] if line.strip()]
    sample = b"\n".join(lines) + b"\n"
    scores: dict[str, int] = {}
    for name, layout in BY_NAME.items():
        begun = list(layout.head.finditer(sample))
        if not begun or len(begun) < len(lines) * layout.share:
            continue
        # A chat begins with a message, or after a few lines of a title.
        if sample.count(b"\n", 0, begun[0].start()) > _TITLE_LINES:
            continue
        names = [match["who"] for match in begun if match["who"]]
        # What is said is said once, but who says it says more.
        scores[name] = len(names) - len(set(names))
        if "time" not in layout.head.groupindex and (not scores[name] or len(scores) > 1):
            del scores[name]
    # The first that does nearly as well as any: what comes first asks for more.
    enough = _NEARLY * max(scores.values(), default=0)
    return next((name for name, score in scores.items() if score >= enough), None)

"""How a text is spelled in its region: which bytes stand for which character.

A spelling takes a region apart into characters, each with its bytes. Only regions with something
to mask are ever taken apart. `mask_region` gives the region back with some characters replaced
by `*`; where a region does not spell what was read from it, all of it is blanked.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import json
import re
from collections.abc import Callable, Iterable, Sequence

from masker.archive import encoded_words
from masker.core.masking import FILL, blank

Spelled = list[tuple[str, int, int]]
"""Characters with the start and end of what stands for each."""

STAR = FILL.encode()
# One UTF-8 character (RFC 3629, so that what Python calls invalid is invalid here too).
_UTF8 = (
    rb"[\x00-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]"
    rb"|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|."
)
_PLAIN = re.compile(_UTF8, re.DOTALL)
_PAIR = rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_JSON = re.compile(_PAIR + rb"|\\u[0-9a-fA-F]{4}|\\.|" + _UTF8, re.DOTALL)
_SCRIPT = re.compile(
    _PAIR + rb"|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\(?:" + _UTF8 + rb")|" + _UTF8, re.DOTALL
)
_QUOTED = re.compile(rb'""|' + _UTF8, re.DOTALL)
_BACKSLASHED = re.compile(rb"\\(?:" + _UTF8 + rb")|" + _UTF8, re.DOTALL)
_COLON = re.compile(rb'[ \t]*:[ \t]*"')
_PRINTABLE = re.compile(rb"=[0-9A-Fa-f]{2}|=[ \t]*\r?\n|.", re.DOTALL)
_HTML = re.compile(
    r"<!--.*?-->|<(script|style)\b.*?</\1\s*>|<[!/?a-zA-Z][^>]*>|&(?:#[0-9]+|#[xX][0-9a-fA-F]+|\w+);|.",
    re.DOTALL | re.IGNORECASE,
)
# No rule is of a number of fewer.
_MANY_DIGITS = 8
_MARKUP = re.compile(
    r"</?(?:a|b|body|br|div|em|html|i|li|ol|p|pre|span|strong|table|td|tr|u|ul)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_BREAK = re.compile(r"</?(?:br|p|div|li|tr|td|th|h[1-6])\b", re.IGNORECASE)


def decoded(raw: bytes) -> str:
    """UTF-8, and whatever is not UTF-8 as it is."""
    return raw.decode("utf-8", "surrogateescape")


def encoded(text: str) -> bytes:
    """The same back."""
    return text.encode("utf-8", "surrogateescape")


def is_markup(text: str) -> bool:
    """Whether a text is written as HTML."""
    return "<" in text and _MARKUP.search(text) is not None


_SCHEME = re.compile(r"\b(?:tel|callto|sms|facetime|whatsapp|phone|mobile):", re.IGNORECASE)


def hides_number(text: str) -> bool:
    """Whether tags and comments of a text that is HTML hold digits enough for a number."""
    return any(
        sum(map(str.isdecimal, token)) >= _MANY_DIGITS
        for token in (match.group() for match in _HTML.finditer(text))
        if token[0] == "<" and len(token) > 1
    )


def without_schemes(text: str) -> str:
    """A text of tags without what calls any digits in a link a phone number, as long as it was.

    Programs make such links of whatever has digits enough.
    """
    return _SCHEME.sub(lambda found: " " * len(found[0]), text)


def text_of(region: bytes, spelling: str) -> str:
    """The text of a region."""
    return "".join([char for char, _, _ in spell(region, spelling)])


def mask_region(
    region: bytes, spelling: str, size: int, ranges: Iterable[tuple[int, int]]
) -> tuple[bytes, bool]:
    """The region with these characters of its text masked; False where it had to be blanked."""
    if spelling == BLANK:
        return blanked(region), True
    name, _, charset = spelling.partition(":")
    if name == "json-line":
        masked = _masked_plainly(region, charset, size, ranges)
        if masked is not None:
            return masked, True
    try:
        if name == ENCODED_WORDS:
            return encoded_words.mask(region, size, ranges), True
        if name == "base64":
            return _mask_base64(region, charset, size, ranges), True
        characters = spell(region, spelling)
    except (ValueError, LookupError, IndexError):
        return blanked(region), False
    if len(characters) != size:
        return blanked(region), False
    out = bytearray()
    done = 0
    for low, high in ranges:
        for _, start, end in characters[low:high]:
            # A keycap or an entity may be several characters of one spelling: one star is enough.
            if end > start >= done:
                out += region[done:start] + STAR
                done = end
    masked = bytes(out + region[done:])
    return (b'"%b"' % masked if name == "json-number" and done else masked), True


def _masked_plainly(
    region: bytes, key: str, size: int, ranges: Iterable[tuple[int, int]]
) -> bytes | None:
    """A line as most are: its key stands there once, and its value has no escapes."""
    name = _named(key)
    start = region.find(name)
    if start < 0 or region.find(name, start + 1) >= 0:
        return None
    colon = _COLON.match(region, start + len(name))
    if colon is None:
        return None
    low = colon.end()
    high = region.find(b'"', low)
    value = region[low:high]
    if high < 0 or b"\\" in value:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    if len(text) != size:
        return None
    characters = list(text)
    for start, end in ranges:
        characters[start:end] = FILL * (min(end, size) - start)
    return region[:low] + "".join(characters).encode() + region[high:]


def blanked(region: bytes) -> bytes:
    """The region with nothing left to read in it; its line ends stay."""
    return encoded(blank(decoded(region)))


def spell(region: bytes, spelling: str) -> Spelled:
    """The characters of a region's text.

    Raises:
        ValueError: the region is not spelled so.
    """
    name, _, rest = spelling.partition(":")
    return _SPELLINGS[name](region, rest)


def _plain(region: bytes, _: str = "") -> Spelled:
    return [(decoded(m.group()), m.start(), m.end()) for m in _PLAIN.finditer(region)]


def _json(region: bytes, _: str = "", at: int = 0, end: int | None = None) -> Spelled:
    """A string literal, quotes included."""
    end = len(region) if end is None else end
    if end - at < 2 or region[at] != 0x22 or region[end - 1] != 0x22:
        raise ValueError
    return [
        (_unescaped(m.group()), m.start(), m.end()) for m in _JSON.finditer(region, at + 1, end - 1)
    ]


def _unescaped(raw: bytes) -> str:
    if raw[0] == 0x5C:
        char: str = json.loads(b'"' + raw + b'"')
        return char
    return decoded(raw)


_SCRIPT_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}


def _script(region: bytes, _: str = "") -> Spelled:
    """A string of JavaScript, in whichever quotes."""
    if len(region) < 2 or region[0] not in b"\"'" or region[-1] != region[0]:
        raise ValueError
    return [
        (_unescaped_script(m.group()), m.start(), m.end())
        for m in _SCRIPT.finditer(region, 1, len(region) - 1)
    ]


def _unescaped_script(raw: bytes) -> str:
    if raw[0] != 0x5C:
        return decoded(raw)
    if raw[1:2] in b"ux" and len(raw) > 2:
        # Two escapes that are one character together are a pair of surrogates.
        codes = [int(code, 16) for code in re.split(rb"\\[ux]", raw)[1:]]
        text = "".join(map(chr, codes))
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    char = decoded(raw[1:])
    return _SCRIPT_ESCAPES.get(char, char)


def _json_part(region: bytes, _: str = "") -> Spelled:
    """A part of a string literal, without its quotes."""
    return [(_unescaped(m.group()), m.start(), m.end()) for m in _JSON.finditer(region)]


def _json_number(region: bytes, _: str = "") -> Spelled:
    """A number; with stars in it, it is a string."""
    return [(chr(byte), place, place + 1) for place, byte in enumerate(region)]


def _json_texts(region: bytes, _: str = "") -> Spelled:
    """An array of strings and of objects with a `text`: all of them, one after the other."""
    characters: Spelled = []
    for start, end in text_literals(region):
        characters += _json(region, at=start, end=end)
    return characters


_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:]', re.DOTALL)


def text_literals(region: bytes) -> list[tuple[int, int]]:
    """The strings of an array that are text: its own, and those called text in its objects."""
    found: list[tuple[int, int]] = []
    stack: list[int] = []
    key: bytes | None = None
    last: tuple[int, int] | None = None
    is_value = False
    for match in _TOKEN.finditer(region):
        first = region[match.start()]
        if first == 0x22:
            inside = stack[-1] if stack else 0
            if inside == 0x5B and len(stack) == 1:
                found.append(match.span())
            elif inside == 0x7B:
                if is_value:
                    if key == b'"text"':
                        found.append(match.span())
                    is_value = False
                else:
                    last = match.span()
        elif first == 0x3A:
            key = region[slice(*last)] if last else None
            is_value = True
        elif first in b"{[":
            stack.append(first)
            is_value = False
        else:
            if stack:
                stack.pop()
            is_value = False
    return found


def _named(key: str) -> bytes:
    return encoded(json.dumps(key, ensure_ascii=False))


def _json_line(region: bytes, key: str) -> Spelled:
    """The value of a key at the top of an object: `json-line:KEY`."""
    name = _named(key)
    depth = 0
    before: bytes | None = None
    for match in _TOKEN.finditer(region):
        token = match.group()
        if token in b"{[":
            depth += 1
        elif token in b"}]":
            depth -= 1
        elif token[0] == 0x22 and depth == 1 and before == name:
            return _json(region, at=match.start(), end=match.end())
        # A key, then its colon: the next string is the value.
        before = before if token == b":" and before is not None else token
        if token not in (b":", name) or (token == name and depth != 1):
            before = None
    raise ValueError


def _csv(region: bytes, rest: str) -> Spelled:
    """One field of a row: `csv:DELIMITER QUOTED COLUMN`, QUOTED as in `field_spans`."""
    delimiter, quoted, column = rest.split(" ")
    start, end = field_spans(region, int(delimiter), quoted)[int(column)]
    pattern = _BACKSLASHED if quoted == "2" else _PLAIN
    if quoted != "0" and end - start >= 2 and region[start] == region[end - 1] == 0x22:
        start, end = start + 1, end - 1
        pattern = _QUOTED if quoted == "1" else _BACKSLASHED
    return [
        (_field_char(m.group()), m.start(), m.end()) for m in pattern.finditer(region, start, end)
    ]


def _field_char(raw: bytes) -> str:
    r"""One character of a field: `""` and `\"` are a quote."""
    return decoded(raw[1:] if len(raw) > 1 and raw[0] in b'\\"' else raw)


def field_spans(row: bytes, delimiter: int, quoted: str) -> list[tuple[int, int]]:
    """Where the fields of a CSV row stand, quotes included.

    `quoted` is 0 where quotes mean nothing, 1 where a quote in a field is doubled, and 2 where a
    backslash stands before it.

    Raises:
        ValueError: a quote is not closed.
    """
    end = len(row)
    while end and row[end - 1] in b"\r\n":
        end -= 1
    cut = bytes([delimiter])
    spans: list[tuple[int, int]] = []
    at = 0
    while True:
        stop = at
        if quoted != "0" and at < end and row[at] == 0x22:
            stop = _closing(row, at + 1, end, quoted)
        found = row.find(cut, stop, end)
        while quoted == "2" and found > 0 and _is_escaped(row, found, stop):
            found = row.find(cut, found + 1, end)
        if found < 0:
            spans.append((at, end))
            return spans
        spans.append((at, found))
        at = found + 1


def _closing(row: bytes, at: int, end: int, quoted: str) -> int:
    """Behind the quote that closes a field."""
    while True:
        place = row.index(b'"', at, end)
        if quoted == "2" and _is_escaped(row, place, at):
            at = place + 1
        elif quoted == "1" and row[place + 1 : place + 2] == b'"' and place + 1 < end:
            at = place + 2
        else:
            return place + 1


def _is_escaped(row: bytes, place: int, low: int) -> bool:
    """Whether an odd number of backslashes stands before this place."""
    before = place
    while before > low and row[before - 1] == 0x5C:
        before -= 1
    return (place - before) % 2 == 1


def _html_text(text: str) -> list[tuple[str, int, int]]:
    characters: list[tuple[str, int, int]] = []
    for match in _HTML.finditer(text):
        token = match.group()
        start, end = match.span()
        if token[0] == "<" and len(token) > 1:
            if _BREAK.match(token) and characters and characters[-1][0] != "\n":
                characters.append(("\n", start, start))
        elif token[0] == "&" and len(token) > 1:
            characters += [(char, start, end) for char in html.unescape(token)]
        else:
            characters.append((token, start, end))
    return characters


def _html(region: bytes, _: str = "") -> Spelled:
    return _over(_plain(region))


def _json_html(region: bytes, _: str = "") -> Spelled:
    return _over(_json(region))


def _json_part_html(region: bytes, _: str = "") -> Spelled:
    return _over(_json_part(region))


def _script_html(region: bytes, _: str = "") -> Spelled:
    return _over(_script(region))


def _over(characters: Spelled) -> Spelled:
    """HTML spelled by characters that are spelled by bytes."""
    found: Spelled = []
    for char, start, end in _html_text("".join([char for char, _, _ in characters])):
        if end > start:
            found.append((char, characters[start][1], characters[end - 1][2]))
        else:
            found.append((char, 0, 0))
    return found


def _quoted_printable(region: bytes, charset: str) -> Spelled:
    """RFC 2045: =XX, soft line breaks, the rest as it is."""
    octets: list[tuple[bytes, int, int]] = []
    for match in _PRINTABLE.finditer(region):
        raw = match.group()
        if raw[:1] == b"=" and len(raw) > 1:
            if raw.endswith(b"\n"):
                continue
            octets.append((binascii.unhexlify(raw[1:]), *match.span()))
        else:
            octets.append((raw, *match.span()))
    return _characters(octets, charset)


def _characters(octets: Sequence[tuple[bytes, int, int]], charset: str) -> Spelled:
    found: Spelled = []
    make: Callable[[], codecs.IncrementalDecoder] = lambda: codecs.getincrementaldecoder(charset)(  # noqa: E731
        "replace"
    )
    decoder = make()
    start = -1
    for octet, low, high in octets:
        if start < 0:
            start = low
        for char in decoder.decode(octet):
            found.append((char, start, high))
            start = -1
    return found


def _charset(region: bytes, charset: str) -> Spelled:
    octets = [(region[at : at + 1], at, at + 1) for at in range(len(region))]
    return _characters(octets, charset)


def _encoded_words(region: bytes, _: str = "") -> Spelled:
    """Only to read, as the next."""
    return [(char, 0, 0) for char in encoded_words.text_of(region)]


def _base64(region: bytes, charset: str) -> Spelled:
    """Only to read: characters of base64 have no bytes of their own."""
    text = base64.b64decode(region, validate=False).decode(charset, "replace")
    return [(char, 0, 0) for char in text]


def _mask_base64(
    region: bytes, charset: str, size: int, ranges: Iterable[tuple[int, int]]
) -> bytes:
    text = base64.b64decode(region, validate=False).decode(charset, "replace")
    if len(text) != size:
        raise ValueError
    characters = list(text)
    for low, high in ranges:
        characters[low:high] = FILL * (high - low)
    lines = region.splitlines(keepends=True)
    first = lines[0] if lines else b""
    width = len(first.rstrip(b"\r\n")) or 76
    end = first[len(first.rstrip(b"\r\n")) :] or b"\n"
    plain = base64.b64encode("".join(characters).encode(charset, "replace"))
    out = end.join(plain[at : at + width] for at in range(0, len(plain), width))
    return out + region[len(region.rstrip()) :]


BLANK = "blank"
ENCODED_WORDS = "encoded-words"
_SPELLINGS: dict[str, Callable[[bytes, str], Spelled]] = {
    "plain": _plain,
    "json": _json,
    "json-number": _json_number,
    "json-line": _json_line,
    "json-texts": _json_texts,
    "json-html": _json_html,
    "json-part-html": _json_part_html,
    "script": _script,
    "script-html": _script_html,
    "csv": _csv,
    "html": _html,
    "quoted-printable": _quoted_printable,
    "charset": _charset,
    "base64": _base64,
    ENCODED_WORDS: _encoded_words,
}

"""Headers of mail in other letters than ASCII: encoded words, RFC 2047.

`=?utf-8?B?5Y2h5Y+3?=` is a text in base64 or quoted-printable in the midst of a header. Where
something in it is masked, that word is written again, in its own charset and coding.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from masker.core.masking import FILL

_WORD = re.compile(rb"=\?([^?\s*]+)(?:\*[^?\s]*)?\?([bBqQ])\?([^?\s]*)\?=")
_SPACE = re.compile(rb"[ \t\r\n]+")
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")


class Piece(NamedTuple):
    """A stretch of a header: its bytes as they stand, and what they say."""

    raw: bytes
    text: str
    charset: str | None
    """None where it stands there as it is."""
    coding: str


def pieces(header: bytes) -> Iterator[Piece]:
    """A header as its words and what stands between them; blanks between two words say nothing."""
    at = 0
    for match in _WORD.finditer(header):
        between = header[at : match.start()]
        if between:
            is_blank = at > 0 and _SPACE.fullmatch(between) is not None
            yield Piece(between, "" if is_blank else _plain(between), None, "")
        charset, coding = match[1].decode("ascii", "replace"), match[2].decode().upper()
        text = _decoded(match[3], charset, coding)
        if text is None:
            yield Piece(match.group(), _plain(match.group()), None, "")
        else:
            yield Piece(match.group(), text, charset, coding)
        at = match.end()
    if header[at:]:
        yield Piece(header[at:], _plain(header[at:]), None, "")


def text_of(header: bytes) -> str:
    """What a header says.

    >>> text_of(b"Re: =?utf-8?Q?a_=C3=A9?= =?utf-8?B?NDE=?= b")
    'Re: a é41 b'
    """
    return "".join(piece.text for piece in pieces(header))


def mask(header: bytes, size: int, ranges: Iterable[tuple[int, int]]) -> bytes:
    """The header with these characters of what it says masked.

    Raises:
        ValueError: it does not say so much.
    """
    found = list(pieces(header))
    characters = list("".join(piece.text for piece in found))
    if len(characters) != size:
        raise ValueError
    for low, high in ranges:
        characters[low:high] = FILL * (high - low)
    out, at = b"", 0
    for piece in found:
        text = "".join(characters[at : at + len(piece.text)])
        at += len(piece.text)
        out += piece.raw if text == piece.text else _written(piece, text)
    return out


def _plain(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _decoded(data: bytes, charset: str, coding: str) -> str | None:
    try:
        if coding == "B":
            octets = base64.b64decode(data + b"=" * (-len(data) % 4))
        else:
            octets = binascii.a2b_qp(data, header=True)
        return octets.decode(charset, "replace")
    except (ValueError, LookupError):
        return None


def _written(piece: Piece, text: str) -> bytes:
    if piece.charset is None:
        return text.encode("utf-8", "surrogateescape")
    octets = text.encode(piece.charset, "replace")
    if piece.coding == "B":
        data = base64.b64encode(octets)
    else:
        data = b"".join(
            b"_" if octet == 0x20 else bytes([octet]) if octet in _SAFE else b"=%02X" % octet
            for octet in octets
        )
    return b"=?%b?%b?%b?=" % (piece.charset.encode(), piece.coding.encode(), data)

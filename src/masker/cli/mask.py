"""`masker mask`: plain text in, masked text out, as soon as it is decided."""

from __future__ import annotations

import codecs
from io import BufferedReader
from typing import BinaryIO

from masker import Masker

CHUNK_BYTES = 1 << 16


def mask_text(masker: Masker, text: str, sink: BinaryIO) -> None:
    """Write one whole text, masked, and a line end."""
    sink.write(_encoded(masker.mask(text).text) + b"\n")
    sink.flush()


def mask_stream(masker: Masker, source: BufferedReader, sink: BinaryIO) -> None:
    """Mask what comes, when it comes; bytes that are not UTF-8 come out as they are."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    stream = masker.stream()
    # read1 gives what there is; read would wait until the chunk is full.
    while chunk := source.read1(CHUNK_BYTES):
        sink.write(_encoded(stream.feed(decoder.decode(chunk))))
        sink.flush()
    rest = stream.feed(decoder.decode(b"", final=True))
    sink.write(_encoded(rest + stream.close()))
    sink.flush()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")

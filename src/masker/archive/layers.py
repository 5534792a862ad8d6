"""From a file to its plain stream and back: compression, and encodings other than UTF-8.

Readers see UTF-8 bytes only. A file in UTF-16 or GB18030 is read as UTF-8 and written back in its
own encoding; that works only if it comes back byte for byte, which is checked while it is read.
"""

from __future__ import annotations

import codecs
import gzip
import io
import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast
from zipfile import BadZipFile, ZipFile, ZipInfo, is_zipfile

import zstandard

from masker.archive.records import ArchiveError

GZIP, ZSTD, ZIP, PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"PAR1"
EMPTY_ZIP = b"PK\x05\x06"
_CONTAINERS = (
    (GZIP, "gzip"), (ZSTD, "zstd"), (ZIP, "zip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07", "rar"), (b"\x04\x22\x4d\x18", "lz4"),
)  # fmt: skip
_TABLES = (
    (b"SQLite format 3\0", "a SQLite database"), (b"ARROW1\0\0", "Arrow IPC"), (b"ORC", "ORC"),
    (b"Obj\x01", "Avro"), (b"!BDN", "an Outlook mailbox"),
)  # fmt: skip
_TAR_PLACE = 257
_OFFICE = {"[Content_Types].xml", "META-INF/MANIFEST.MF", "mimetype"}
CHUNK = 1 << 20
HEAD = 1 << 16
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ZSTD_LEVEL = 3


class Layers(NamedTuple):
    """How a plain stream is wrapped in its file."""

    compression: str | None
    """gzip, zstd or none."""
    encoding: str
    """utf-8, or what is transcoded; "binary" where it is no text."""


@contextmanager
def opened(path: Path, member: str | None = None) -> Iterator[BinaryIO]:
    """The raw bytes of a file, or of a member of a zip."""
    with ExitStack() as stack:
        if member is None:
            yield stack.enter_context(path.open("rb", buffering=CHUNK))
            return
        archive = stack.enter_context(ZipFile(path))
        yield cast(BinaryIO, stack.enter_context(archive.open(member)))


def decompressed(raw: BinaryIO, compression: str | None) -> BinaryIO:
    """The stream inside a compression."""
    if compression == "gzip":
        return cast(BinaryIO, io.BufferedReader(gzip.GzipFile(fileobj=raw), CHUNK))
    if compression == "zstd":
        reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, reader), CHUNK))
    return raw


@contextmanager
def plain(path: Path, member: str | None, layers: Layers) -> Iterator[BinaryIO]:
    """The plain stream of a file."""
    with opened(path, member) as raw:
        stream = decompressed(raw, layers.compression)
        if layers.encoding in {"utf-8", "binary"}:
            yield stream
        else:
            transcoded = cast(io.RawIOBase, _Transcoded(stream, layers.encoding))
            yield cast(BinaryIO, io.BufferedReader(transcoded, CHUNK))


class _Transcoded(io.RawIOBase):
    """A stream in another encoding, as UTF-8."""

    def __init__(self, source: BinaryIO, encoding: str) -> None:
        self._source = source
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._kept = b""
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]  # the protocol's own
        while not self._ready:
            raw = self._source.read(CHUNK)
            before = self._decoder.getstate()[0]
            try:
                text = self._decoder.decode(raw, not raw)
            except UnicodeDecodeError:
                raise ArchiveError(f"is not all {self._encoding}") from None
            after = self._decoder.getstate()[0]
            if text.encode(self._encoding) != (before + raw)[: len(before + raw) - len(after)]:
                raise ArchiveError(f"would not come back the same in {self._encoding}")
            self._ready = text.encode("utf-8")
            if not raw:
                break
        part, self._ready = self._ready[: len(target)], self._ready[len(target) :]
        target[: len(part)] = part
        return len(part)


class Recoding:
    """A sink for UTF-8 that writes another encoding."""

    def __init__(self, sink: BinaryIO, encoding: str) -> None:
        self._sink = sink
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def write(self, data: bytes) -> None:
        """Write UTF-8 bytes, cut anywhere."""
        self._sink.write(self._decoder.decode(data).encode(self._encoding))


@contextmanager
def sink_for(sink: BinaryIO, layers: Layers, header: bytes, size: int = -1) -> Iterator[BinaryIO]:
    """Where to write a plain stream so that it is wrapped as its file was.

    `header` is how that began; `size` is how much will be written, where the wrapping tells it.
    """
    with ExitStack() as stack:
        inner: BinaryIO = sink
        if layers.compression == "gzip":
            inner = stack.enter_context(_gzip_like(sink, header))
        elif layers.compression == "zstd":
            parameters = zstandard.get_frame_parameters(header)
            compressor = zstandard.ZstdCompressor(
                level=_ZSTD_LEVEL, write_checksum=bool(parameters.has_checksum)
            )
            writer = compressor.stream_writer(sink, size=size, closefd=False)
            inner = cast(BinaryIO, stack.enter_context(writer))
        if layers.encoding in {"utf-8", "binary"}:
            yield inner
        else:
            yield cast(BinaryIO, Recoding(inner, layers.encoding))


def tells_size(layers: Layers, header: bytes) -> bool:
    """Whether how much is inside stands at the beginning of a file."""
    if layers.compression != "zstd":
        return False
    size: int = zstandard.get_frame_parameters(header).content_size
    return size != zstandard.CONTENTSIZE_UNKNOWN


class Counting:
    """A sink that keeps nothing but how much it was given."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes) -> None:
        """Count it."""
        self.size += len(data)


def _gzip_like(sink: BinaryIO, header: bytes) -> BinaryIO:
    """A gzip stream with the name, time and level that the original tells (RFC 1952)."""
    _, _, flags, mtime, extra_flags, _ = struct.unpack("<HBBIBB", header[:10])
    name = b""
    if flags & 0x08 and not flags & 0x04:
        name = header[10:].split(b"\0", 1)[0]
    level = {2: 9, 4: 1}.get(extra_flags, 6)
    return cast(
        BinaryIO,
        gzip.GzipFile(name.decode("latin-1"), "wb", level, sink, mtime=mtime),
    )


def recognised(raw: BinaryIO, encoding: str | None) -> tuple[Layers, bytes]:
    """How a stream is wrapped, and the first bytes of what is inside, as UTF-8.

    Raises:
        ArchiveError: it is broken.
    """
    start = raw.read(HEAD)
    compression = "gzip" if start[:2] == GZIP else "zstd" if start[:4] == ZSTD else None
    if compression:
        try:
            head = decompressed(cast(BinaryIO, _Rewound(start, raw)), compression).read(HEAD)
        except (OSError, EOFError, zstandard.ZstdError):
            raise ArchiveError(f"is broken {compression}") from None
    else:
        head = start
    found = encoding or _encoding_of(head)
    if found in {"utf-8", "binary"}:
        return Layers(compression, found), head
    try:
        text = codecs.getincrementaldecoder(found)().decode(head)
    except (UnicodeDecodeError, LookupError):
        raise ArchiveError(f"is not {found}") from None
    return Layers(compression, found), text.encode()


def _encoding_of(head: bytes) -> str:
    for bom, name in _BOMS:
        if head.startswith(bom):
            return name
    if head[:4] == PARQUET:
        return "binary"
    if b"\0" in head:
        wide = _utf16_without_bom(head)
        # A zero byte here and there is a broken line of a text, and no reason not to read the rest.
        if wide is not None or _has_controls(head):
            return wide or "binary"
    for name in ("utf-8", "gb18030"):
        try:
            codecs.getincrementaldecoder(name)().decode(head, False)
        except UnicodeDecodeError:
            continue
        return name
    # Mostly UTF-8 with a broken character stays UTF-8: bytes that are none come out as they are.
    return "binary" if _has_controls(head) else "utf-8"


def _has_controls(head: bytes) -> bool:
    """Whether more bytes are control characters than a text with broken ones has."""
    control = sum(byte < 9 or 13 < byte < 32 for byte in head)
    return control > len(head) // 100


def _utf16_without_bom(head: bytes) -> str | None:
    pairs = len(head) // 2
    low, high = head[1::2].count(0), head[0::2].count(0)
    if pairs < 16 or max(low, high) < pairs // 4 or min(low, high) > pairs // 50:
        return None
    name = "utf-16-le" if low > high else "utf-16-be"
    text = codecs.getincrementaldecoder(name)("replace").decode(head)
    return name if not any(char < " " and char not in "\t\r\n" for char in text) else None


class _Rewound(io.RawIOBase):
    """A stream of which a beginning has been read."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._start:
            taken = len(self._start) if size < 0 else size
            part, self._start = self._start[:taken], self._start[taken:]
            return part
        return self._rest.read(size)


def container(head: bytes) -> str | None:
    """What holds other files, and is not read: its name where these bytes begin one."""
    if head[_TAR_PLACE : _TAR_PLACE + 5] == b"ustar":
        return "tar"
    return next((name for start, name in _CONTAINERS if head.startswith(start)), None)


def tables(head: bytes) -> str | None:
    """What holds rows or mails in a form that is not read: its name where these bytes begin one."""
    return next((name for start, name in _TABLES if head.startswith(start)), None)


def is_zip(path: Path) -> bool:
    """Whether a file is a zip with something before it: a program that unpacks itself, say."""
    return is_zipfile(path)


def is_office(names: Iterable[str]) -> bool:
    """Whether a zip with these members is a document of an office program, an app or a book."""
    return not _OFFICE.isdisjoint(names)


def holds_office(path: Path, member: str) -> bool:
    """The same of a zip that is a member of a zip."""
    with opened(path, member) as raw:
        try:
            return is_office(ZipFile(raw).namelist())
        except BadZipFile:
            return False


def members(path: Path) -> list[ZipInfo]:
    """What is in a zip.

    Raises:
        ArchiveError: it is broken or encrypted, or two of its members have one name.
    """
    try:
        with ZipFile(path) as archive:
            infos = archive.infolist()
    except (BadZipFile, OSError, NotImplementedError):
        raise ArchiveError("is a broken zip") from None
    if any(info.flag_bits & 1 for info in infos):
        raise ArchiveError("is an encrypted zip")
    names = [info.filename for info in infos]
    if len(set(names)) < len(names) and not is_office(names):
        raise ArchiveError("is a zip with two members of one name")
    return infos

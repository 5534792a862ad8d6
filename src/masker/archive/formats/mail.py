"""Mail, in mbox files or one a file: a message is a mail, a conversation a thread.

Only text parts are read, wherever in a mail they stand, and the subject; other headers,
attachments and boundaries are copied. Mails of a thread are found by the first of their references.
"""

from __future__ import annotations

import email.policy
import email.utils
import re
from collections.abc import Iterator
from email.message import Message as Headers
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import BinaryIO

from masker.archive.formats.base import Context, Format, Read
from masker.archive.records import Record, Unreadable, from_datetime, with_copies
from masker.archive.spelling import ENCODED_WORDS, text_of

_MAX_MAIL = 1 << 27
_BLANK = re.compile(rb"\r?\n\r?\n")
_SUBJECT = re.compile(rb"^Subject:[ \t]*(.*(?:\r?\n[ \t].*)*)", re.MULTILINE | re.IGNORECASE)
_BOM = b"\xef\xbb\xbf"
# A line of headers, or one that goes on with the line before it.
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:|[ \t]+\S")
_OF_MAIL = {
    b"date", b"delivered-to", b"message-id", b"mime-version", b"received", b"return-path",
    b"subject", b"to", b"content-type",
}  # fmt: skip
_MAX_DEPTH = 24
_headers = BytesHeaderParser(policy=email.policy.compat32)


class Mbox(Format):
    """A Unix mailbox, RFC 4155."""

    name = "mbox"

    def recognises(self, head: bytes, path: Path) -> bool:
        first, _, rest = head.partition(b"\n")
        return (
            first.startswith(b"From ")
            and re.match(rb"[A-Za-z][A-Za-z0-9-]*:|>From ", rest) is not None
        )

    def mails(self, stream: BinaryIO) -> Iterator[tuple[int, int, int, bytes]]:
        """Each mail, with its place, size and line; of one that is too large only a beginning."""
        return _mails(stream)

    def read(self, stream: BinaryIO, context: Context, start: int, end: int | None) -> Read:
        for offset, size, line, mail in self.mails(stream):
            if size > _MAX_MAIL:
                yield Unreadable(offset, offset + size, line, "is a mail of more than 128 MB")
                continue
            try:
                yield from _records(mail, offset, context)
            except (ValueError, LookupError, RecursionError):
                yield Unreadable(offset, offset + len(mail), line, "is no mail")


class Mail(Mbox):
    """One mail as it was sent, RFC 5322: a file of a Maildir, or one called `.eml`."""

    name = "eml"

    def recognises(self, head: bytes, path: Path) -> bool:
        head = head.removeprefix(_BOM)
        split = _BLANK.search(head)
        if split is None and not _FIELD.match(head):
            return False
        lines = (head[: split.start()] if split else head).splitlines()
        if not split:
            lines.pop()
        if not all(map(_FIELD.match, lines)):
            return False
        names = {line.partition(b":")[0].lower() for line in lines if line[:1] not in b" \t"}
        return b"from" in names and len(names & _OF_MAIL) > 1

    def mails(self, stream: BinaryIO) -> Iterator[tuple[int, int, int, bytes]]:
        mail = stream.read(_MAX_MAIL)
        skipped = len(_BOM) if mail.startswith(_BOM) else 0
        size = len(mail) - skipped
        while more := stream.read(1 << 20):
            size += len(more)
        yield skipped, size, 1, mail[skipped:]


def _mails(stream: BinaryIO) -> Iterator[tuple[int, int, int, bytes]]:
    """Each mail without its From line, with its place, size and line."""
    lines: list[bytes] = []
    offset = begin = number = first = 0
    blank = True
    while line := stream.readline(1 << 20):
        number += 1
        if blank and line.startswith(b"From "):
            if lines:
                yield begin, offset - begin, first, b"".join(lines)
            lines = []
            begin, first = offset + len(line), number + 1
        elif offset - begin <= _MAX_MAIL:
            lines.append(line)
        offset += len(line)
        blank = line in (b"\n", b"\r\n")
    if lines:
        yield begin, offset - begin, first, b"".join(lines)


def _records(mail: bytes, offset: int, context: Context) -> Iterator[Record]:
    split = _BLANK.search(mail)
    top = mail[: split.end()] if split else mail
    headers = _headers.parsebytes(top)
    sender = email.utils.parseaddr(str(headers.get("From", "")))[1] or "user"
    identity = str(headers.get("Message-ID", "")).strip() or None
    references = f"{headers.get('References', '')} {headers.get('In-Reply-To', '')}".split()
    thread = references[0] if references else identity or f"{context.name}#{offset}"
    time = None
    try:
        told = headers.get("Date")
        time = (
            from_datetime(email.utils.parsedate_to_datetime(str(told)), context.zone)
            if told
            else None
        )
    except ValueError:
        time = None
    parts = [*_subject(mail, 0, len(top)), *_texts(mail, 0, len(mail), 0)]
    records = []
    for number, (start, end, spelling, kind) in enumerate(parts):
        text = text_of(mail[start:end], spelling)
        records.append(
            Record(
                offset + start, offset + end, spelling, text, thread,
                sender if kind == "text/plain" else f"{sender}\0{kind}",
                f"{identity}\0{number}" if identity else None, time, "mail",
            )
        )  # fmt: skip
    has_subject = bool(parts) and parts[0][3] == "subject"
    yield from records[:has_subject]
    yield from with_copies(records[has_subject:])


def _subject(mail: bytes, start: int, end: int) -> Iterator[tuple[int, int, str, str]]:
    """Where the subject stands in these headers."""
    subject = _SUBJECT.search(mail, start, end)
    if subject and subject[1].strip():
        spelling = ENCODED_WORDS if b"=?" in subject[1] else "charset:utf-8"
        yield (*subject.span(1), spelling, "subject")


def _texts(mail: bytes, start: int, end: int, depth: int) -> Iterator[tuple[int, int, str, str]]:
    """Where the text parts of an entity stand, and how they are spelled."""
    split = _BLANK.search(mail, start, end)
    if split is None or depth > _MAX_DEPTH:
        return
    headers = _headers.parsebytes(mail[start : split.end()])
    body = split.end()
    if headers.get_content_maintype() == "multipart":
        boundary = headers.get_boundary()
        if boundary:
            yield from _parts(mail, body, end, boundary.encode("utf-8", "surrogateescape"), depth)
    elif headers.get_content_type() == "message/rfc822":
        inner = _BLANK.search(mail, body, end)
        yield from _subject(mail, body, inner.start() if inner else end)
        yield from _texts(mail, body, end, depth + 1)
    elif headers.get_content_maintype() == "text":
        kind = headers.get_content_type()
        spelling = _spelling(headers, html=kind == "text/html")
        if end > body:
            yield body, end, spelling, kind


def _spelling(headers: Headers, *, html: bool) -> str:
    charset = str(headers.get_content_charset("utf-8") or "utf-8")
    try:
        "".encode(charset)
    except LookupError:
        charset = "latin-1"
    coding = str(headers.get("Content-Transfer-Encoding", "")).strip().casefold()
    if coding in {"base64", "quoted-printable"}:
        return f"{coding}:{charset}"
    return "html" if html and charset in {"utf-8", "us-ascii"} else f"charset:{charset}"


def _parts(
    mail: bytes, start: int, end: int, boundary: bytes, depth: int
) -> Iterator[tuple[int, int, str, str]]:
    marks = list(
        # The first boundary mostly follows the headers at once: its line has no end before it here.
        re.compile(
            rb"(?:\r?\n|(?<=\n))--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r?\n|$)"
        ).finditer(mail, start, end)
    )
    for one, two in zip(marks, [*marks[1:], None], strict=True):
        if one[1]:
            return
        yield from _texts(mail, one.end(), two.start() if two else end, depth + 1)

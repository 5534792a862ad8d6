"""What a body is, by its headers, and whether it is let through."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from masker.errors import MaskerError

MAX_BODY = 1 << 20

# Nobody reads numbers in these, and a browser needs them.
PASSED = (
    "image/*", "audio/*", "video/*", "font/*", "text/css", "text/javascript",
    "application/javascript", "application/wasm",
)  # fmt: skip
_NDJSON = (
    "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonl",
    "application/json-lines", "application/jsonlines", "application/stream+json",
)  # fmt: skip
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Bodies:
    """Which bodies are looked at, and what becomes of the others.

    `passed` are content types that pass unread. `unknown` says what becomes of a type that is
    not text, JSON or a form and not among these, `compressed` of a body with a content
    encoding: "refuse" or "pass". `limit` is the greatest length, in bytes, of a body, line, event
    or WebSocket message that has to be read as a whole.
    """

    passed: tuple[str, ...] = PASSED
    unknown: Literal["refuse", "pass"] = "refuse"
    compressed: Literal["refuse", "pass"] = "refuse"
    limit: int = MAX_BODY


class RefusedError(MaskerError):
    """A body is of a kind that is not let through."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(reason)


def content_type(headers: dict[bytes, bytes]) -> tuple[str, str]:
    """The type in lower case, and its charset."""
    kind, _, rest = headers.get(b"content-type", b"").decode("latin-1").partition(";")
    charset = "utf-8"
    for parameter in rest.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip('"').lower()
    return kind.strip().lower(), charset


def way_of(kind: str, headers: dict[bytes, bytes], bodies: Bodies, *, is_request: bool) -> str:
    """How a body of this type is read: "json", "lines", "events", "form", "text" or "pass".

    Raises:
        RefusedError: it is not.
    """
    if any(fnmatchcase(kind, pattern) for pattern in bodies.passed):
        return "pass"
    if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"", b"identity"):
        if bodies.compressed == "pass":
            return "pass"
        raise RefusedError(415, "a body with a content encoding is not let through")
    if kind in _NDJSON:
        return "lines"
    if kind == "application/json" or kind.endswith("+json") or kind == "text/json":
        return "json"
    if kind == "text/event-stream":
        return "events"
    if kind == _FORM and is_request:
        return "form"
    if kind.startswith("text/"):
        return "text"
    if bodies.unknown == "pass":
        return "pass"
    raise RefusedError(415, "a body of this content type is not let through")


def says_body(headers: dict[bytes, bytes]) -> bool:
    """Whether a header says that there is a body."""
    length = headers.get(b"content-length", b"0").strip()
    return b"transfer-encoding" in headers or length not in (b"", b"0")


def may_have_body(scope: Any, headers: dict[bytes, bytes]) -> bool:
    """Whether there may be a body: only in HTTP/1 must a header say so (RFC 9112, 6.3)."""
    is_first = str(scope.get("http_version", "1.1")).startswith("1")
    return says_body(headers) or not is_first


def is_plain(charset: str) -> bool:
    """Whether text in this charset is ASCII where it looks like it, whatever stands before.

    Raises:
        RefusedError: the charset is not known.
    """
    plain = bytes(range(128))
    try:
        return plain.decode(charset) == plain.decode("ascii")
    except LookupError:
        raise RefusedError(415, "the charset is not known") from None
    except UnicodeError:
        return False

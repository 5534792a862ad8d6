"""What goes in and what comes out.

None of these shows its text in a `repr`: a traceback or a log line that
prints one names the message, not what it says (promise 7).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Finding:
    """One number, or the part of it that stands in this text; never its value.

    `start` and `end` are code points of the text given; `score` says how sure:
    1.0 a check digit holds and words call it by name, 0.9 a check digit holds,
    0.75 a shape or words alone, 0.5 a number that was begun and never finished.
    """

    rule: str
    entity: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Masked:
    """One whole text, masked; `findings` stand in the order of the text."""

    text: str
    findings: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        return f"Masked({len(self.text)} characters, {len(self.findings)} findings)"


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it was sent.

    `timestamp` is an aware datetime. `subject` is the sender's identity across
    conversations and channels (a union id), where it is known; `extra` is
    carried through untouched.
    """

    conversation_id: str
    message_id: str
    sender: str
    text: str
    timestamp: datetime | None = None
    channel: str | None = None
    subject: str | None = None
    extra: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    def __repr__(self) -> str:
        return (
            f"Message({self.conversation_id!r}, {self.message_id!r}, {len(self.text)} characters)"
        )


@dataclass(frozen=True, slots=True)
class MaskedMessage:
    """A message as it may be stored: no number in it shows more than its last four.

    A consumer keeps, for each `(conversation_id, message_id)`, the highest
    `revision`; after one with `final` set no other follows.
    """

    conversation_id: str
    message_id: str
    sender: str
    text: str
    timestamp: datetime | None = None
    channel: str | None = None
    subject: str | None = None
    extra: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    revision: int = 0
    final: bool = True
    findings: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        state = "final" if self.final else "pending"
        return (
            f"MaskedMessage({self.conversation_id!r}, {self.message_id!r}, "
            f"revision {self.revision}, {state}, {len(self.findings)} findings)"
        )

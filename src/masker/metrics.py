"""What can be measured of a redactor, and nothing of what it reads.

`Measured` goes around any redactor and tells a `Meter` counts, latencies and what is pending.
Labels are names of rules, entities and calls: no text, no id, no sender ever becomes one. A meter
that fails is no reason for a message not to come out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from time import perf_counter
from typing import Any, Literal, NamedTuple, Protocol

from masker.core.messages import MaskedMessage, Message


class Instrument(NamedTuple):
    """One thing that is measured."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    unit: str
    """As UCUM writes it: `s`, or `{message}` for a count of messages."""
    description: str
    labels: tuple[str, ...] = ()


INSTRUMENTS = (
    Instrument("masker.messages", "counter", "{message}", "Messages received."),
    Instrument(
        "masker.revisions", "counter", "{message}", "Masked messages given out.", ("state",)
    ),
    Instrument(
        "masker.findings", "counter", "{finding}", "Numbers found in final messages, by rule.",
        ("rule", "entity"),
    ),
    Instrument(
        "masker.failures", "counter", "{message}", "Messages masked as a whole for a failure."
    ),
    Instrument(
        "masker.buffers", "counter", "{event}", "What happened between workers and buffers.",
        ("event",),
    ),
    Instrument("masker.duration", "histogram", "s", "How long a call took.", ("call",)),
    Instrument("masker.pending", "gauge", "{message}", "Messages that are not final yet."),
)  # fmt: skip


class Meter(Protocol):
    """Where measurements go: `masker.middleware` has one for Prometheus, one for OpenTelemetry."""

    def add(self, name: str, amount: int, labels: Mapping[str, str]) -> None:
        """Count up."""

    def record(self, name: str, seconds: float, labels: Mapping[str, str]) -> None:
        """One duration."""

    def set(self, name: str, value: int) -> None:
        """What something stands at."""


class Measured:
    """A redactor whose calls are measured; whatever else it has is that redactor's."""

    def __init__(self, redactor: Any, meter: Meter) -> None:
        self._redactor = redactor
        self._meter = meter
        self._failures = 0
        self._counts: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"Measured({self._redactor!r})"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._redactor, name)

    @property
    def failures(self) -> int:
        """Messages that came out masked as a whole because something broke."""
        failures: int = self._redactor.failures
        return failures

    def receive(self, message: Message) -> list[MaskedMessage]:
        """Take one message in; give out what may be stored now."""
        with suppress(Exception):
            self._meter.add("masker.messages", 1, {})
        return self._measured("receive", lambda: self._redactor.receive(message))

    def advance(self, now: datetime) -> list[MaskedMessage]:
        """Time passes."""
        return self._measured("advance", lambda: self._redactor.advance(now))

    def close(self, conversation_id: str | None = None) -> list[MaskedMessage]:
        """A conversation ends, or all do."""
        return self._measured("close", lambda: self._redactor.close(conversation_id))

    def recall(self, conversation_id: str, message_id: str) -> list[MaskedMessage]:
        """The sender took a message back."""
        return self._measured("recall", lambda: self._redactor.recall(conversation_id, message_id))

    def _measured(self, call: str, act: Callable[[], list[MaskedMessage]]) -> list[MaskedMessage]:
        began = perf_counter()
        out = act()
        took = perf_counter() - began
        with suppress(Exception):
            self._tell(call, took, out)
        return out

    def _tell(self, call: str, took: float, out: list[MaskedMessage]) -> None:
        meter = self._meter
        meter.record("masker.duration", took, {"call": call})
        for masked in out:
            meter.add("masker.revisions", 1, {"state": "final" if masked.final else "pending"})
            if masked.final:
                for found in masked.findings:
                    meter.add("masker.findings", 1, {"rule": found.rule, "entity": found.entity})
        meter.set("masker.pending", self._redactor.pending)
        failures = self._redactor.failures
        if failures > self._failures:
            meter.add("masker.failures", failures - self._failures, {})
            self._failures = failures
        for event, count in getattr(self._redactor, "counts", {}).items():
            before = self._counts.get(event, 0)
            if count > before:
                meter.add("masker.buffers", count - before, {"event": event})
                self._counts[event] = count

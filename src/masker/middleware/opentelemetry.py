"""Numbers in telemetry: processors for OpenTelemetry's spans and logs.

    provider.add_span_processor(MaskingSpanProcessor(Masker(), BatchSpanProcessor(exporter)))
    provider.add_log_record_processor(
        MaskingLogRecordProcessor(Masker(), BatchLogRecordProcessor(exporter)))

Each goes around the processor that exports, which sees only what is masked; a processor that is
registered beside it sees the original. A span is whole when it ends, so its events are put together
exactly, in their order: a number cut over the events of a stream is found, and what turns out
harmless stays. Log records go out one by one: see `records`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from masker import Masker, Message
from masker.core.masking import blank
from masker.errors import MissingExtraError
from masker.middleware.records import UNREADABLE, RecordMasker

try:
    from opentelemetry.context import Context
    from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
    from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor
    from opentelemetry.trace import Link, Status
except ImportError as error:
    raise MissingExtraError(extra="opentelemetry") from error

_NANOSECONDS = 1_000_000_000


class MaskingSpanProcessor(SpanProcessor):
    """Masks names, attributes, events, links and status of a span before `exporting` sees it."""

    def __init__(self, masker: Masker, exporting: SpanProcessor) -> None:
        self._masker = masker
        self._exporting = exporting

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing to mask yet; what is set later is masked at the end."""
        self._exporting.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass on a masked copy."""
        try:
            masked = self._copied(span)
        except Exception:  # noqa: BLE001 - fail closed, whatever it was
            masked = ReadableSpan(
                name=UNREADABLE, context=span.context, parent=span.parent, kind=span.kind,
                start_time=span.start_time, end_time=span.end_time,
                instrumentation_scope=span.instrumentation_scope,
            )  # fmt: skip
        self._exporting.on_end(masked)

    def shutdown(self) -> None:
        """Of the processor that exports."""
        self._exporting.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Of the processor that exports."""
        return self._exporting.force_flush(timeout_millis)

    def _copied(self, span: ReadableSpan) -> ReadableSpan:
        texts = _Texts(self._masker)
        attributes = texts.attributes(span.attributes, "span")
        events = [(event, texts.attributes(event.attributes, event.name)) for event in span.events]
        links = [(link, texts.attributes(link.attributes, "link")) for link in span.links]
        texts.finish()
        status = span.status
        return ReadableSpan(
            name=texts.alone(span.name),
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=texts.read(attributes),
            events=[
                Event(texts.alone(event.name), texts.read(values), event.timestamp)
                for event, values in events
            ],
            links=[Link(link.context, texts.read(values)) for link, values in links],
            kind=span.kind,
            status=Status(
                status.status_code,
                texts.alone(status.description) if status.description else None,
            ),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )


class MaskingLogRecordProcessor(LogRecordProcessor):
    """Masks body and attributes of a log record before `exporting` sees it."""

    def __init__(
        self, masker: Masker, exporting: LogRecordProcessor, *, context: str = "conversation_id"
    ) -> None:
        self._records = RecordMasker(masker)
        self._exporting = exporting
        self._context = context

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Mask in place, and pass on."""
        record = log_record.log_record
        try:
            attributes = record.attributes
            found = attributes.get(self._context) if attributes else None
            context = None if found is None else str(found)
            if isinstance(record.body, str):
                stamp = record.timestamp or record.observed_timestamp
                at = datetime.fromtimestamp(stamp / _NANOSECONDS, UTC) if stamp else None
                record.body = self._records.text(record.body, context, at)
            else:
                record.body = self._records.value(record.body, context)
            masked = self._attributes(attributes, context)
            if record.event_name:
                record.event_name = self._records.alone(record.event_name)
        except Exception:  # noqa: BLE001 - fail closed, whatever it was
            record.body, masked = UNREADABLE, {}
        record.attributes = masked
        if getattr(record, "exception", None) is not None:
            # Its text is in the attributes already; an exporter must not write it anew.
            record.exception = None
        self._exporting.on_emit(log_record)

    def shutdown(self) -> None:
        """Of the processor that exports."""
        self._exporting.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Of the processor that exports."""
        return self._exporting.force_flush(timeout_millis)

    def _attributes(
        self, attributes: Mapping[str, Any] | None, context: str | None
    ) -> dict[str, Any]:
        masked: dict[str, Any] = {}
        for name, value in (attributes or {}).items():
            if name in ("exception.stacktrace", "exception.message") and isinstance(value, str):
                masked[name] = self._records.trace(value, context)
            else:
                own = None if name == self._context else context
                masked[name] = self._records.value(value, own)
        return masked


class _Texts:
    """All texts of one span: those under one name are a conversation, which ends with it."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._redactor = masker.redactor()
        self._said: list[str] = []
        self._masked: dict[int, str] = {}

    def attributes(self, attributes: Mapping[str, Any] | None, lane: str) -> dict[str, Any]:
        return {
            name: self._noted(value, f"{lane}\0{name}")
            for name, value in (attributes or {}).items()
        }

    def finish(self) -> None:
        for out in self._redactor.close():
            self._masked[int(out.message_id)] = out.text

    def read(self, attributes: dict[str, Any]) -> dict[str, Any]:
        return {self.alone(name): self._read(value) for name, value in attributes.items()}

    def alone(self, text: str) -> str:
        return self._masker.mask(text).text

    def _noted(self, value: Any, lane: str) -> Any:
        if isinstance(value, str):
            number = len(self._said)
            self._said.append(value)
            for out in self._redactor.receive(Message("span", str(number), lane, value)):
                self._masked[int(out.message_id)] = out.text
            return _Note(number)
        if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
            return [self._noted(one, lane) for one in value]
        return value

    def _read(self, value: Any) -> Any:
        if isinstance(value, _Note):
            return self._masked.get(value.number, blank(self._said[value.number]))
        if isinstance(value, list):
            return tuple(self._read(one) for one in value)
        if isinstance(value, bytes):
            masked = self.alone(value.decode("utf-8", "replace"))
            return value if masked == value.decode("utf-8", "replace") else masked
        masked = self.alone(str(value))
        return value if masked == str(value) else masked


class _Note:
    """Where a text will stand."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

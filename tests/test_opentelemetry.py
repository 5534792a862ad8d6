"""Spans and log records, through the real SDK: what is exported shows no number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, StatusCode

import strategies as my
from masker import Masker
from masker.middleware import opentelemetry as adapter
from masker.middleware import records
from masker.middleware.opentelemetry import MaskingLogRecordProcessor, MaskingSpanProcessor

if TYPE_CHECKING:
    from collections.abc import Iterator

MASKER = Masker(rules=["payment-card", "cn-resident-id"])
CARD, MASKED = "5105105105105100", "************5100"
FIRST, REST = "51051051", "05105100"


@pytest.fixture
def spans() -> Iterator[tuple[Any, InMemorySpanExporter]]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(MaskingSpanProcessor(MASKER, SimpleSpanProcessor(exporter)))
    yield provider.get_tracer("tests"), exporter
    provider.shutdown()


@pytest.fixture
def logs() -> Iterator[tuple[Any, InMemoryLogRecordExporter]]:
    exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(
        MaskingLogRecordProcessor(MASKER, SimpleLogRecordProcessor(exporter))
    )
    yield provider.get_logger("tests"), exporter
    provider.shutdown()


def test_nothing_of_a_span_shows_a_number(spans: tuple[Any, InMemorySpanExporter]) -> None:
    tracer, exporter = spans
    with tracer.start_as_current_span("parent") as parent:
        link = Link(parent.get_span_context(), {"card": CARD})
        with tracer.start_as_current_span(
            f"pay {CARD}", kind=SpanKind.CLIENT, links=[link],
            attributes={"card": CARD, "number": int(CARD), "cards": [CARD, "ok"], CARD: "key"},
        ) as span:  # fmt: skip
            span.add_event(f"card {CARD}", {"text": CARD})
            span.record_exception(ValueError(CARD))
            span.set_status(StatusCode.ERROR, f"refused {CARD}")
            span.set_attribute("count", 402)
    done, _ = exporter.get_finished_spans()
    assert CARD not in done.to_json()
    assert done.name == f"pay {MASKED}"
    assert done.attributes is not None
    assert dict(done.attributes) == {
        "card": MASKED, "number": MASKED, "cards": (MASKED, "ok"), MASKED: "key", "count": 402,
    }  # fmt: skip
    assert done.events[0].attributes == {"text": MASKED}
    assert done.status.status_code is StatusCode.ERROR
    assert done.kind is SpanKind.CLIENT
    assert done.parent is not None
    assert done.end_time is not None


@given(my.conversations(most=8))
def test_a_number_cut_over_the_events_of_a_span_is_masked_exactly(scene: my.Scene) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(MaskingSpanProcessor(MASKER, SimpleSpanProcessor(exporter)))
    sent = [one for one in scene.sent if one.message.sender != "agent"]
    with provider.get_tracer("tests").start_as_current_span("chat") as span:
        for one in sent:
            span.add_event("chunk", {"text": one.written.text})
    provider.shutdown()
    (done,) = exporter.get_finished_spans()
    shown = set()
    for event, one in zip(done.events, sent, strict=True):
        text = str((event.attributes or {})["text"])
        for after, before, mark in zip(text, one.written.text, one.written.marks, strict=True):
            if mark is None:
                assert after == before
            elif after == before:
                shown.add(mark[1])
    (number,) = scene.numbers
    assert shown == set(range(len(number) - my.KEEP, len(number)))


def test_nothing_of_a_log_record_shows_a_number(
    logs: tuple[Any, InMemoryLogRecordExporter],
) -> None:
    logger, exporter = logs
    bodies: list[Any] = [f"card {CARD}", {"card": CARD, "deep": [CARD, 7]}, [CARD], int(CARD), None]
    for body in bodies:
        logger.emit(
            LogRecord(body=body, attributes={"card": CARD, "n": int(CARD), "ok": True},
                      severity_number=SeverityNumber.WARN)
        )  # fmt: skip
    done = exporter.get_finished_logs()
    assert [CARD in one.to_json() for one in done] == [False] * len(bodies)
    assert done[1].log_record.body == {"card": MASKED, "deep": [MASKED, 7]}
    assert dict(done[0].log_record.attributes or {})["ok"] is True
    assert done[0].log_record.severity_number is SeverityNumber.WARN


def test_an_exception_of_a_log_record_is_masked(
    logs: tuple[Any, InMemoryLogRecordExporter],
) -> None:
    logger, exporter = logs
    try:
        raise ValueError(CARD)
    except ValueError as error:
        logger.emit(LogRecord(body="failed", exception=error))
    (done,) = exporter.get_finished_logs()
    assert CARD not in done.to_json()
    assert getattr(done.log_record, "exception", None) is None


def test_log_records_of_one_conversation_are_joined(
    logs: tuple[Any, InMemoryLogRecordExporter],
) -> None:
    logger, exporter = logs
    for body in (FIRST, REST):
        logger.emit(LogRecord(body=body, attributes={"conversation_id": "c1"}))
    one, two = (str(done.log_record.body) for done in exporter.get_finished_logs())
    assert one == "********"
    assert two.startswith("****")


def explode(*_: object, **__: object) -> Any:
    raise RuntimeError(CARD)


def test_processors_that_break_export_nothing_of_it(
    spans: tuple[Any, InMemorySpanExporter],
    logs: tuple[Any, InMemoryLogRecordExporter],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adapter._Texts, "attributes", explode)
    monkeypatch.setattr(records.RecordMasker, "text", explode)
    tracer, finished = spans
    with tracer.start_as_current_span(CARD, attributes={"card": CARD}):
        pass
    logger, exported = logs
    logger.emit(LogRecord(body=CARD, attributes={"card": CARD}))
    (span,), (record,) = finished.get_finished_spans(), exported.get_finished_logs()
    assert CARD not in span.to_json() + record.to_json()
    assert span.name == records.UNREADABLE
    assert record.log_record.body == records.UNREADABLE

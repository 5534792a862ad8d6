"""Measurements, read with the real libraries; nothing of what was said is in them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, generate_latest

from masker import Masker, Message
from masker.buffers import MemoryBuffers
from masker.metrics import INSTRUMENTS, Measured
from masker.middleware.opentelemetry_metrics import OpenTelemetryMeter
from masker.middleware.prometheus import PrometheusMeter

if TYPE_CHECKING:
    from masker.buffers import ConversationRedactor

MASKER = Masker(rules=["payment-card", "cn-resident-id"])
NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
SAID = ["conversation-7", "message-", "user-9", "5105", "0510", "5100", "hello", "channel-3"]


def explode(*_: object, **__: object) -> None:
    raise ValueError("5105 1051")


def chat(redactor: ConversationRedactor, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["hello", "5105 1051", "0510 5100", "5105 10"]
    for number, text in enumerate(texts):
        redactor.receive(
            Message("conversation-7", f"message-{number}", "user-9", text, NOON, "channel-3")
        )
    redactor.recall("conversation-7", "message-3")
    redactor.advance(NOON)
    with monkeypatch.context() as patch:
        patch.setattr("masker.core.compact.read", explode)
        redactor.receive(Message("conversation-7", "message-9", "user-9", "5105"))
    redactor.receive(Message("conversation-7", "message-10", "user-9", "5105 1051"))


def redactors() -> list[Any]:
    return [MASKER.redactor(), MASKER.redactor(buffers=MemoryBuffers())]


@pytest.mark.parametrize("redactor", redactors(), ids=["plain", "buffers"])
def test_prometheus_reads_counts_latencies_and_what_is_pending(
    redactor: ConversationRedactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = CollectorRegistry()
    chat(Measured(redactor, PrometheusMeter(registry)), monkeypatch)
    value = registry.get_sample_value
    assert value("masker_messages_total") == 6
    assert value("masker_failures_total") == 1
    assert value("masker_pending") == 1
    # Its two parts, and twice the beginning of it said again.
    assert value("masker_findings_total", {"rule": "payment-card", "entity": "PAYMENT_CARD"}) == 4
    assert value("masker_duration_seconds_count", {"call": "receive"}) == 6
    assert value("masker_duration_seconds_count", {"call": "recall"}) == 1
    final = value("masker_revisions_total", {"state": "final"})
    assert final == 5
    # Values are counts and times, and a time is digits; names and labels are the rest of a line.
    page = "\n".join(
        line.rpartition(" ")[0] for line in generate_latest(registry).decode().splitlines()
    )
    assert "masker_duration_seconds_bucket{" in page
    assert not [said for said in SAID if said in page]


@pytest.mark.parametrize("redactor", redactors(), ids=["plain", "buffers"])
def test_opentelemetry_reads_the_same(
    redactor: ConversationRedactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    chat(Measured(redactor, OpenTelemetryMeter(provider)), monkeypatch)
    data = reader.get_metrics_data()
    assert data is not None
    read = {
        metric.name: metric.data.data_points
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    points: Any = read["masker.messages"]
    assert [point.value for point in points] == [6]
    points = read["masker.duration"]
    assert {point.attributes["call"]: point.count for point in points} == {
        "receive": 6, "recall": 1, "advance": 1,
    }  # fmt: skip
    points = read["masker.pending"]
    assert [point.value for point in points] == [1]
    # Points carry times as well, and a time is digits.
    points = [point for several in read.values() for point in several]
    written = repr([list(read), *(dict(point.attributes or {}) for point in points)])
    assert not [said for said in SAID if said in written]
    provider.shutdown()


def test_a_meter_that_fails_loses_no_message() -> None:
    class Broken:
        add = record = set = explode

    redactor = Measured(MASKER.redactor(), Broken())
    assert [out.text for out in redactor.receive(Message("c", "m", "u", "hello"))] == ["hello"]


def test_what_only_one_kind_of_redactor_has_is_there_as_well() -> None:
    redactor = Measured(
        MASKER.redactor(buffers=MemoryBuffers()), PrometheusMeter(CollectorRegistry())
    )
    redactor.receive(Message("c", "m", "u", "5105 10"))
    redactor.acknowledge()
    assert redactor.counts == {"contention": 0, "evictions": 0}
    assert len(redactor.close()) == 1


def test_every_instrument_says_what_it_is() -> None:
    assert all(one.description.endswith(".") and one.unit for one in INSTRUMENTS)
    assert len({one.name for one in INSTRUMENTS}) == len(INSTRUMENTS)

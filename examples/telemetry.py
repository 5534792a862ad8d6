"""Telemetry without numbers: spans masked before their export, and metrics of masker itself."""

from __future__ import annotations

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from masker import Masker, Message
from masker.metrics import Measured
from masker.middleware.opentelemetry import MaskingSpanProcessor
from masker.middleware.opentelemetry_metrics import OpenTelemetryMeter

masker = Masker()

exporter = InMemorySpanExporter()  # your own: OTLPSpanExporter in a BatchSpanProcessor
provider = TracerProvider()
provider.add_span_processor(MaskingSpanProcessor(masker, SimpleSpanProcessor(exporter)))
with provider.get_tracer("support").start_as_current_span("answer") as span:
    span.set_attribute("prompt", "my card is 5105105105105100")
    for chunk in ("Your card 5105", "1051 0510", "5100 is fine"):
        span.add_event("chunk", {"text": chunk})
for done in exporter.get_finished_spans():
    print(dict(done.attributes or {}), [dict(event.attributes or {}) for event in done.events])

reader = InMemoryMetricReader()
meter = OpenTelemetryMeter(MeterProvider([reader]))
redactor = Measured(masker.redactor(), meter)
for number, text in enumerate(["hello", "my card is 5105 1051 0510 5100", "bye"]):
    redactor.receive(Message("c1", str(number), "user", text))
redactor.close()
data = reader.get_metrics_data()
for resource in data.resource_metrics if data else ():
    for metric in resource.scope_metrics[0].metrics:
        if metric.name == "masker.findings":
            print(metric.name, [dict(point.attributes or {}) for point in metric.data.data_points])

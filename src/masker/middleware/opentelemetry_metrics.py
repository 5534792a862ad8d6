"""Measurements for OpenTelemetry: `Measured(redactor, OpenTelemetryMeter())`.

Only the API is used: what exports them, and where to, is the application's (`pip install
'masker[opentelemetry]'` brings the SDK as well).
"""

from __future__ import annotations

from collections.abc import Mapping

from masker.errors import MissingExtraError
from masker.metrics import INSTRUMENTS

try:
    from opentelemetry import metrics
except ImportError as error:
    raise MissingExtraError(extra="opentelemetry") from error


class OpenTelemetryMeter:
    """Measures with the given meter provider, or the global one."""

    def __init__(self, provider: metrics.MeterProvider | None = None) -> None:
        meter = metrics.get_meter("masker", meter_provider=provider)
        self._counters = {
            name: meter.create_counter(name, unit, text)
            for name, kind, unit, text, _ in INSTRUMENTS
            if kind == "counter"
        }
        self._histograms = {
            name: meter.create_histogram(name, unit, text)
            for name, kind, unit, text, _ in INSTRUMENTS
            if kind == "histogram"
        }
        self._gauges = {
            name: meter.create_gauge(name, unit, text)
            for name, kind, unit, text, _ in INSTRUMENTS
            if kind == "gauge"
        }

    def add(self, name: str, amount: int, labels: Mapping[str, str]) -> None:
        """Count up."""
        self._counters[name].add(amount, dict(labels))

    def record(self, name: str, seconds: float, labels: Mapping[str, str]) -> None:
        """One duration."""
        self._histograms[name].record(seconds, dict(labels))

    def set(self, name: str, value: int) -> None:
        """What something stands at."""
        self._gauges[name].set(value)

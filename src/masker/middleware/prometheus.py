"""Measurements for Prometheus: `Measured(redactor, PrometheusMeter())`.

`pip install 'masker[prometheus]'`. Names are those of `masker.metrics`, as Prometheus writes them
(`masker_messages_total`, `masker_duration_seconds`, ...).
"""

from __future__ import annotations

from collections.abc import Mapping

from masker.errors import MissingExtraError
from masker.metrics import INSTRUMENTS

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
except ImportError as error:
    raise MissingExtraError(extra="prometheus") from error

# A call takes tens of microseconds in memory, and up to a timeout over a network.
BUCKETS = (
    0.00005,
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.5,
    1,
    5,
)


class PrometheusMeter:
    """Measures into a registry; one for each registry and process."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._gauges: dict[str, Gauge] = {}
        for name, kind, unit, text, labels in INSTRUMENTS:
            written = name.replace(".", "_")
            if kind == "counter":
                self._counters[name] = Counter(written, text, labels, registry=registry)
            elif kind == "gauge":
                self._gauges[name] = Gauge(written, text, labels, registry=registry)
            else:
                self._histograms[name] = Histogram(
                    written, text, labels, registry=registry, buckets=BUCKETS,
                    unit="seconds" if unit == "s" else "",
                )  # fmt: skip

    def add(self, name: str, amount: int, labels: Mapping[str, str]) -> None:
        """Count up."""
        counter = self._counters[name]
        (counter.labels(**labels) if labels else counter).inc(amount)

    def record(self, name: str, seconds: float, labels: Mapping[str, str]) -> None:
        """One duration."""
        self._histograms[name].labels(**labels).observe(seconds)

    def set(self, name: str, value: int) -> None:
        """What something stands at."""
        self._gauges[name].set(value)

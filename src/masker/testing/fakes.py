"""Stand-ins that a test can steer: a clock, and buffers that fail when they are told to."""

from __future__ import annotations

import datetime as dt
from typing import Any

from masker.buffers import MemoryBuffers
from masker.errors import BuffersError
from masker.testing.scenes import NOON


class FakeClock:
    """Time that passes only when it is told to.

    >>> clock = FakeClock()
    >>> clock.pass_(minutes=11)
    >>> clock().isoformat()
    '2024-05-17T12:11:00+00:00'
    """

    def __init__(self, at: dt.datetime = NOON) -> None:
        self.at = at

    def __call__(self) -> dt.datetime:
        """What time it is: an aware datetime."""
        return self.at

    def pass_(self, **time: float) -> None:
        """Let so many `seconds`, `minutes`, `hours` or `days` pass."""
        self.at += dt.timedelta(**time)


class FakeBuffers(MemoryBuffers):
    """Buffers in memory that fail on demand, as a server does that has gone.

    >>> buffers = FakeBuffers()
    >>> buffers.fail(1)
    >>> buffers.load([])
    Traceback (most recent call last):
    masker.errors.BuffersError: the buffers were told to fail
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.failing = 0
        self.calls = 0
        """How often parts were loaded or stored."""

    def fail(self, times: int) -> None:
        """Let the next so many calls fail."""
        self.failing = times

    def load(self, *arguments: Any, **options: Any) -> Any:
        """As `MemoryBuffers.load`, or `BuffersError`."""
        self._called()
        return super().load(*arguments, **options)

    def store(self, *arguments: Any, **options: Any) -> Any:
        """As `MemoryBuffers.store`, or `BuffersError`."""
        self._called()
        return super().store(*arguments, **options)

    def _called(self) -> None:
        self.calls += 1
        if self.failing:
            self.failing -= 1
            raise BuffersError("the buffers were told to fail")

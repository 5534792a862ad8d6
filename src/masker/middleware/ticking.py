"""Time that passes for what waits, where nobody else tells the pipeline of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from masker.errors import MaskerError
from masker.middleware.pipeline import AsyncPipeline

# How often, in seconds.
TICK = 15.0


class Ticker:
    """A task of the event loop that is there for as long as anything waits."""

    def __init__(self, pipeline: AsyncPipeline) -> None:
        self._pipeline = pipeline
        self._task: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Something may wait now."""
        if self._pipeline.is_waiting and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._tick())

    def stop(self) -> None:
        """Whoever stops it decides what waits by itself."""
        if self._task is not None:
            self._task.cancel()

    async def _tick(self) -> None:
        while self._pipeline.is_waiting:
            await asyncio.sleep(TICK)
            # A store that is away gets it with a later tick.
            with suppress(MaskerError):
                await self._pipeline.advance(datetime.now(UTC))

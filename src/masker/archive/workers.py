"""Several processes for one scan; none of them outlives it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from masker.archive.records import ArchiveError

Task = TypeVar("Task")
Answer = TypeVar("Answer")
_POLL_SECONDS = 0.3
_ORPHANED_SECONDS = 0.5


class Workers:
    """Runs tasks in `jobs` processes, or in this one where that is one.

    Every process calls `begin(*arguments)` once, and then its tasks.
    """

    def __init__(self, jobs: int, begin: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self._jobs = jobs
        self._pool: ProcessPoolExecutor | None = None
        self._done: Any = _Count()
        if jobs > 1:
            self._done = multiprocessing.get_context("spawn").Value("Q", 0)
            self._pool = ProcessPoolExecutor(
                jobs,
                # Not forked: this process may have threads, and a fork of those is not safe.
                multiprocessing.get_context("spawn"),
                _begin,
                (os.getpid(), self._done, begin, arguments),
            )
        else:
            _count_into(self._done)
            begin(*arguments)

    def run(
        self,
        work: Callable[[Task], Answer],
        tasks: Iterable[Task],
        watch: Callable[[int], None] | None = None,
    ) -> Iterator[tuple[Task, Answer]]:
        """Each task with its answer, as they come; `watch` is told how much is done.

        Raises:
            ArchiveError: a process was ended from outside.
        """
        tell = watch or (lambda _: None)
        if self._pool is None:
            for task in tasks:
                answer = work(task)
                tell(self._done.value)
                yield task, answer
            return
        waiting: dict[Future[Answer], Task] = {}
        rest = iter(tasks)
        try:
            while True:
                for task in islice(rest, 2 * self._jobs - len(waiting)):
                    waiting[self._pool.submit(work, task)] = task
                if not waiting:
                    return
                ready, _ = wait(waiting, _POLL_SECONDS, FIRST_COMPLETED)
                tell(self._done.value)
                for future in ready:
                    yield waiting.pop(future), future.result()
        except BrokenProcessPool:
            raise ArchiveError("a worker process was ended; nothing of its work is kept") from None

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


class _Count:
    """What one process counts for itself."""

    def __init__(self) -> None:
        self.value = 0

    @contextmanager
    def get_lock(self) -> Iterator[None]:
        """There is nobody to be kept out."""
        yield


_progress: Any = None


def _count_into(counter: Any) -> None:
    global _progress
    _progress = counter


def tick(amount: int) -> None:
    """Say that so much more is done; callable wherever work is done."""
    if _progress is not None:
        with _progress.get_lock():
            _progress.value += amount


def _begin(
    parent: int, counter: Any, begin: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    # Ctrl-C reaches the whole group; the parent decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _count_into(counter)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    begin(*arguments)


def _follow(parent: int) -> None:
    """End with the parent, even if that is killed and can tell nobody."""
    while os.getppid() == parent:
        time.sleep(_ORPHANED_SECONDS)
    os._exit(1)

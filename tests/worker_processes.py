"""Workers as they are deployed: processes of their own, that may be killed at any point."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from events import RULES, Closed, Event, Passed, Recalled, Received, tell
from masker import MaskedMessage, Masker, Message
from masker.buffers import RedisBuffers

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

# Scales the runs over real processes; a nightly run sets it to a thousand and more.
CONVERSATIONS = int(os.environ.get("MASKER_WORKER_CONVERSATIONS", "30"))

_EVENTS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Received, Passed, Closed, Recalled)
}


class Dead(Exception):  # noqa: N818 - what a killed worker is
    """A worker was killed, or has nothing more to say."""


class Worker:
    """One process, with one redactor over the Redis that all of them share."""

    def __init__(self, settings: dict[str, Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, settings), daemon=True)
        self._process.start()
        theirs.close()
        self._asked = 0

    def use(self, namespace: str, delivery: str, **options: Any) -> None:
        """Begin with a redactor over a namespace of its own."""
        self._ask("use", (namespace, delivery, options))

    def tell(self, event: Event) -> list[MaskedMessage]:
        return self.answer(self.send(event))

    def send(self, event: Event) -> int:
        """Tell it something without waiting; gives what to ask for the answer with."""
        return self._send("tell", _packed(event))

    def answer(self, asked: int) -> list[MaskedMessage]:
        return [MaskedMessage(**values) for values in self._answer(asked)]

    def acknowledge(self) -> None:
        self._ask("acknowledge", None)

    def failures(self) -> int:
        count: int = self._ask("failures", None)
        return count

    def _ask(self, what: str, arguments: Any) -> Any:
        return self._answer(self._send(what, arguments))

    def _send(self, what: str, arguments: Any) -> int:
        self._asked += 1
        with contextlib.suppress(OSError):
            self._connection.send((self._asked, what, arguments))
        return self._asked

    def _answer(self, asked: int) -> Any:
        try:
            while True:
                answered, said = self._connection.recv()
                if answered == asked:
                    return said
        except (EOFError, OSError):
            raise Dead from None

    def kill(self) -> None:
        """SIGKILL: it says nothing more, and cleans nothing up."""
        self._process.kill()
        self._process.join()
        self._connection.close()


@contextlib.contextmanager
def workers(count: int, settings: dict[str, Any]) -> Iterator[list[Worker]]:
    started = [Worker(settings) for _ in range(count)]
    try:
        yield started
    finally:
        for worker in started:
            worker.kill()


def _packed(event: Event) -> tuple[str, Any]:
    # A message's empty `extra` is a view that does not pickle.
    return type(event).__name__, (
        [_values(event.message)] if isinstance(event, Received) else list(event)
    )


def _values(message: Message | MaskedMessage) -> dict[str, Any]:
    values = {field.name: getattr(message, field.name) for field in fields(message)}
    return {**values, "extra": dict(message.extra)}


def _serve(connection: Connection, settings: dict[str, Any]) -> None:
    masker = Masker(rules=RULES)
    redactor = None
    while True:
        try:
            asked, what, arguments = connection.recv()
        except (EOFError, OSError):
            return
        if what == "use":
            namespace, delivery, options = arguments
            redactor = masker.redactor(
                delivery, buffers=RedisBuffers(**settings, namespace=namespace), **options
            )
            connection.send((asked, None))
            continue
        assert redactor is not None
        if what == "tell":
            name, values = arguments
            if name == "Received":
                values = [Message(**values[0])]
            out = tell(redactor, _EVENTS[name](*values))
            connection.send((asked, [_values(masked) for masked in out]))
        elif what == "acknowledge":
            redactor.acknowledge()
            connection.send((asked, None))
        else:
            connection.send((asked, redactor.failures))

"""Real servers on loopback, each in a thread, for as long as a test needs one."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import uvicorn


@contextlib.contextmanager
def served(app: Any, **settings: Any) -> Iterator[str]:
    """The application under uvicorn; gives its address, as host:port."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    settings = {
        "log_level": "critical",
        "lifespan": "auto",
        "timeout_graceful_shutdown": 5,
        **settings,
    }
    server = uvicorn.Server(uvicorn.Config(app, **settings))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline, "the server did not start in time"
        time.sleep(0.01)
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()

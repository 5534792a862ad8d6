"""Two workers, one conversation, one Redis.

    python examples/workers.py redis://localhost

Each message goes to one of the workers; the number is joined as if there were one. The key is the
same for all workers: `masker keys init --keys file:masker.keys` makes one.
"""

from __future__ import annotations

import secrets
import sys
from datetime import UTC, datetime, timedelta

from masker import Masker, Message
from masker.buffers import RedisBuffers

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
CHAT = ["前面是5105 1051", "稍等我找下眼镜", "后面是0510 5100", "就这些"]


def main(url: str) -> None:
    masker = Masker()
    key = secrets.token_bytes(32)
    one, two = (masker.redactor(buffers=RedisBuffers(url, keys=key)) for _ in range(2))
    stored = {}
    for number, text in enumerate(CHAT):
        worker = (one, two)[number % 2]
        at = NOON + timedelta(seconds=number)
        for out in worker.receive(Message("c1", f"m{number}", "user", text, timestamp=at)):
            stored[out.message_id] = out  # upsert: the highest revision wins
    for out in two.advance(NOON + timedelta(minutes=11)):
        stored[out.message_id] = out
    for out in stored.values():
        print(out.message_id, out.final, out.text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/workers.py redis://localhost")
    main(sys.argv[1])

"""Where conversations rest between two calls, so that several workers can share them.

`Masker.redactor(buffers=...)` takes `MemoryBuffers` (one process, a limit) or `RedisBuffers`
(several workers; `pip install 'masker[redis]'`). docs/workers.md says what is guaranteed.
"""

from typing import TYPE_CHECKING, Any

from masker.buffers.memory import MemoryBuffers
from masker.buffers.protocol import Buffers, ConversationRedactor
from masker.buffers.shared import SharedRedactor

if TYPE_CHECKING:
    from masker.buffers.redis import RedisBuffers

__all__ = ["Buffers", "ConversationRedactor", "MemoryBuffers", "RedisBuffers", "SharedRedactor"]


def __getattr__(name: str) -> Any:
    # Only who asks for Redis needs its library.
    if name == "RedisBuffers":
        from masker.buffers.redis import RedisBuffers

        return RedisBuffers
    raise AttributeError(name)

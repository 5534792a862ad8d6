"""masker around a chat pipeline: `Pipeline`, `AsyncPipeline`, and adapters, one file each.

An adapter is imported by its own name (`masker.middleware.asgi`) and brings its library
with it; nothing of them is imported here.
"""

from masker.middleware.flow import Policy
from masker.middleware.pipeline import AsyncPipeline, AsyncReply, Pipeline, Reply
from masker.middleware.purging import PurgeWords
from masker.middleware.stages import ConversationRedactor, Store, Turn

__all__ = [
    "AsyncPipeline",
    "AsyncReply",
    "ConversationRedactor",
    "Pipeline",
    "Policy",
    "PurgeWords",
    "Reply",
    "Store",
    "Turn",
]

"""What LiteLLM tells its loggers of a call, masked: what was asked, what came back, in every copy.

LiteLLM notes a request before any guardrail has seen it, and an answer as the model gave it. Both
are given to whatever logs calls (a database of spending, traces, callbacks). Here each of those
notes is replaced by a masked copy; what is on its way to the client is another object.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, MutableMapping
from typing import Any

# What of the details of a call says something; the rest is LiteLLM's own.
SAID = (
    "messages", "input", "prompt", "query", "documents", "original_response", "additional_args",
    "optional_params", "response", "result", "complete_streaming_response",
    "async_complete_streaming_response", "raw_request_typed_dict",
)  # fmt: skip
_PAYLOAD = "standard_logging_object"
_PAYLOAD_SAID = ("messages", "response", "error_str", "error_information", "model_parameters")

Mask = Callable[[Any], Any]


def mask_details(details: MutableMapping[str, Any], mask: Mask) -> None:
    """Mask every note of what was said; one that cannot be masked is left out."""
    _mask_named(details, SAID, mask)
    payload = details.get(_PAYLOAD)
    if isinstance(payload, dict):
        payload = dict(payload)
        _mask_named(payload, _PAYLOAD_SAID, mask)
        details[_PAYLOAD] = payload


def mask_request(log: Any, mask: Mask) -> None:
    """The same where nothing was answered yet: of the request that LiteLLM noted."""
    mask_details(log.model_call_details, mask)
    log.messages = _masked(log.messages, mask)


def _mask_named(held: MutableMapping[str, Any], names: tuple[str, ...], mask: Mask) -> None:
    for name in names:
        if held.get(name) is not None:
            held[name] = _masked(held[name], mask)


def _masked(value: Any, mask: Mask) -> Any:
    try:
        return mask(copy.deepcopy(value))
    except Exception:  # noqa: BLE001 - fail closed: LiteLLM would log what it has
        return None

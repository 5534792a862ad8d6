"""masker: card and ID numbers, put together from the messages they came in, and masked."""

from masker.core.messages import Finding, Masked, MaskedMessage, Message
from masker.core.redactor import Redactor
from masker.core.stream import Stream
from masker.errors import ClosedError, MaskerError, MessageError, RuleError, UnknownRuleError
from masker.masker import Masker

__all__ = [
    "ClosedError",
    "Finding",
    "Masked",
    "MaskedMessage",
    "Masker",
    "MaskerError",
    "Message",
    "MessageError",
    "Redactor",
    "RuleError",
    "Stream",
    "UnknownRuleError",
]

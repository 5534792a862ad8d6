"""Detection in one whole text: a conversation of one message, which ends at once."""

from __future__ import annotations

from masker.core import lanes, masking
from masker.core.lanes import EMPTY, Window
from masker.core.messages import Masked, MaskedMessage, Message
from masker.core.ruleset import RuleSet
from masker.errors import MessageError

_WINDOW = Window()


def mask(rules: RuleSet, text: str) -> Masked:
    """The text with every number in it masked, and where they are.

    Raises:
        MessageError: the text is not a `str`.
    """
    if not isinstance(text, str):
        raise MessageError("text is not a str")
    try:
        if not rules.needs_look(text):
            return Masked(text)
        masked = whole(rules, text)
    except Exception:  # noqa: BLE001 - fail closed, whatever it was
        # Whatever broke, the text does not get out, nor does any detail of it.
        return Masked(masking.blank(text))
    return Masked(masked.text, masked.findings)


def whole(rules: RuleSet, text: str) -> MaskedMessage:
    """The text as the one message of a conversation that is over."""
    lane, out = lanes.receive(rules, EMPTY, Message("", "", "", text), _WINDOW)
    return (lanes.close(rules, lane, _WINDOW) or out)[-1]

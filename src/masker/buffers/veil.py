"""What can still be shown of a message where nobody knows what was said before it."""

from __future__ import annotations

from masker.core import compact, detect, masking, texts
from masker.core.messages import MaskedMessage, Message
from masker.core.ruleset import RuleSet
from masker.core.words import lower


def veil(rules: RuleSet, text: str) -> str:
    """The text with every character masked that could belong to a number of any rule.

    >>> from masker import Masker
    >>> veil(Masker()._rules, "order 66 for Luke, 后面是 ０１２")
    'order ** for Luke, 后面是 ***'
    """
    try:
        if rules.is_only_talk(text):
            return text
        lowered = lower(text)
        places: set[int] = set()
        for pieces in compact.read(rules, text):
            for piece in pieces:
                places.update(range(piece.start, piece.end))
        for span in texts.text_spans(rules, text, lowered):
            places.update(range(span.start, span.end))
        for finding in detect.mask(rules, text).findings:
            places.update(range(finding.start, finding.end))
        return masking.replace(text, (place for place in places if text[place].isalnum()))
    except Exception:  # noqa: BLE001 - fail closed, whatever it was
        return masking.blank(text)


def veiled(rules: RuleSet, message: Message, revision: int) -> MaskedMessage:
    """A message veiled, as it is stored for good."""
    return MaskedMessage(
        message.conversation_id, message.message_id, message.sender,
        veil(rules, message.text), message.timestamp, message.channel,
        message.subject, message.extra, revision, True,
    )  # fmt: skip

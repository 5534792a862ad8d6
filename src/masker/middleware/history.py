"""Texts that come all at once: a conversation sent along whole, or one text by itself.

A language model is sent all that was said with every request. There is nothing to remember
then: all messages go through a redactor of their own, and each comes out with what it is
known to hold once the last has been read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from masker.core import masking
from masker.core.messages import MaskedMessage, Message
from masker.masker import Masker
from masker.middleware.tokens import TokenMaps, fill, insert

Unfinished = Literal["masked", "shown"]


def scan(
    masker: Masker,
    messages: Sequence[Message],
    tokens: TokenMaps | None = None,
    *,
    restore: bool = False,
    unfinished: Unfinished = "masked",
) -> list[str]:
    """The messages' texts, masked, in their order; ids are not looked at, senders are."""
    redactor = masker.redactor()
    newest: dict[str, MaskedMessage] = {}
    said: list[Message] = []
    lifts: list[list[str]] = []
    for number, message in enumerate(messages):
        text = message.text
        lifted: list[str] = []
        if tokens is not None:
            text, lifted = tokens.of(message.conversation_id).lift(text)
        message = replace(message, message_id=str(number), text=text)
        said.append(message)
        lifts.append(lifted)
        for out in redactor.receive(message):
            newest[out.message_id] = out
    if unfinished == "shown":
        newest |= {out.message_id: out for out in redactor.close()}
    texts = []
    for message, lifted in zip(said, lifts, strict=True):
        masked = newest.get(message.message_id)
        if masked is None:
            texts.append(masking.blank(message.text))
            continue
        places = []
        if tokens is not None and not restore:
            places = tokens.places(message, masked, said)
        text = insert(masked.text, places)
        if lifted and tokens is not None:
            of = tokens.of(message.conversation_id)
            text = fill(text, list(map(of.original, lifted)) if restore else lifted)
        texts.append(text)
    return texts


def alone(
    masker: Masker,
    conversation_id: str,
    text: str,
    tokens: TokenMaps | None = None,
    *,
    restore: bool = False,
) -> str:
    """One text by itself, masked; with tokens for what is found, or with what they stand for."""
    if tokens is None:
        return masker.mask(text).text
    of = tokens.of(conversation_id)
    lifted_text, lifted = of.lift(text)
    masked = masker.mask(lifted_text)
    if restore:
        return fill(masked.text, list(map(of.original, lifted)))
    message = Message(conversation_id, "", "", lifted_text)
    found = MaskedMessage(conversation_id, "", "", masked.text, findings=masked.findings)
    return fill(insert(masked.text, tokens.places(message, found, [message])), lifted)

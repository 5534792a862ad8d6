"""What may happen to a redactor, as data: so that several can be told the same."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import strategies as st

import strategies as my
from masker import MaskedMessage, Message

if TYPE_CHECKING:
    from masker.buffers import ConversationRedactor

RULES = ["payment-card", "cn-resident-id"]

ONE_CONVERSATION = st.one_of(
    my.conversations(most=6),
    my.conversations(label=True, most=5),
    my.conversations(chat=True, smallest=3),
    my.conversations(chat=True, asked=True, most=8),
    my.conversations(resend=True, most=6),
    my.conversations(parties=2, most=6),
)
SCENES = st.one_of(
    ONE_CONVERSATION,
    my.conversations(subject=True, most=6),
    my.conversations(parties=2, subject=True, most=6),
)


class Received(NamedTuple):
    message: Message


class Passed(NamedTuple):
    now: dt.datetime


class Closed(NamedTuple):
    conversation_id: str | None


class Recalled(NamedTuple):
    conversation_id: str
    message_id: str


Event = Received | Passed | Closed | Recalled


@st.composite
def events(draw: st.DrawFn, *, timed: bool = True) -> list[Event]:
    """A conversation, or several of one subject, with all that may befall it, and its end."""
    happened: list[Event] = []
    later = dt.timedelta()
    has_times = timed and draw(st.integers(0, 7)) > 0
    received: list[Message] = []
    for sent in draw(SCENES).sent:
        message = sent.message
        at = message.timestamp
        assert at is not None
        message = replace(message, timestamp=at + later if has_times else None)
        happened.append(Received(message))
        received.append(message)
        what = draw(st.integers(0, 60))
        if what == 0:
            happened.append(Closed(message.conversation_id))
        elif what == 1:
            old = draw(st.sampled_from(received))
            happened.append(Recalled(old.conversation_id, old.message_id))
        elif what == 2:
            old = draw(st.sampled_from(received))
            happened.append(Received(replace(old, text=draw(st.sampled_from(EDITS)))))
        elif what in (3, 4):
            happened.append(Received(draw(st.sampled_from(received))))
        elif what in (5, 6):
            later += dt.timedelta(seconds=draw(st.sampled_from([30, 300, 599, 600, 601, 2000])))
            happened.append(Passed(at + later))
    if timed and draw(st.booleans()):
        happened.append(Passed(my.NOON + later + dt.timedelta(hours=3)))
        happened.append(Passed(my.NOON + later + dt.timedelta(hours=6)))
    happened.append(Closed(None))
    return happened


EDITS = ["never mind", "其实是 1234", "5105 1051", "算了", "0510 5100"]


def tell(redactor: ConversationRedactor, event: Event) -> list[MaskedMessage]:
    if isinstance(event, Received):
        return redactor.receive(event.message)
    if isinstance(event, Passed):
        return redactor.advance(event.now)
    if isinstance(event, Closed):
        return redactor.close(event.conversation_id)
    return redactor.recall(event.conversation_id, event.message_id)


def in_order(
    event: Event, out: Sequence[MaskedMessage], delivery: my.Delivery
) -> list[MaskedMessage]:
    """What an event made come out, in an order that is promised where it concerns many lanes."""
    if isinstance(event, (Received, Recalled)):
        return list(out)
    if delivery == "hold":
        return sorted(out, key=lambda masked: masked.conversation_id)
    return sorted(out, key=lambda masked: (masked.conversation_id, masked.message_id))

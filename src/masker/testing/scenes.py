"""Conversations in which numbers are given: who says what, in which order, under which id."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from hypothesis import strategies as st

from masker.core.messages import Message
from masker.testing.talk import OTHER_PARTY, labels, small_talk, surroundings
from masker.testing.writing import Written, cuts, parts_of, plain

Delivery = Literal["revise", "hold"]
# How a written number may be cut: the lengths of its parts, in characters of the number.
Sizes = Callable[[tuple[Written, ...]], st.SearchStrategy[tuple[int, ...]]]
NOON = dt.datetime(2024, 5, 17, 12, 0, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Sent:
    """One message as it is received, with what it shows."""

    message: Message
    written: Written

    @property
    def key(self) -> tuple[str, str]:
        """What the message is known by: its conversation, and its id in it."""
        return self.message.conversation_id, self.message.message_id


@dataclass(slots=True)
class Scene:
    """Messages in the order they arrive, and the numbers given in them."""

    sent: list[Sent]
    numbers: tuple[str, ...]

    def __repr__(self) -> str:
        lines = [
            f"  {s.message.conversation_id}/{s.message.message_id} "
            f"{s.message.subject or '-'} {s.message.sender}: {s.message.text!r}"
            for s in self.sent
        ]
        return "\n".join([f"Scene of {self.numbers}:", *lines])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Hypothesis would print every field of every message."""
        printer.text(repr(self))


@dataclass(slots=True)
class Timeline:
    """Hands out messages: ids count up, a few seconds pass between them."""

    at: dt.datetime = NOON
    count: int = 0
    step: float = 5.0
    sent: list[Sent] = field(default_factory=list)

    def say(
        self,
        written: Written | str,
        *,
        sender: str = "user",
        conversation: str = "c1",
        subject: str | None = None,
        message_id: str | None = None,
        channel: str | None = None,
    ) -> Sent:
        """One more message, a step later."""
        if isinstance(written, str):
            written = plain(written)
        self.at += dt.timedelta(seconds=self.step)
        self.count += 1
        message = Message(
            conversation_id=conversation,
            message_id=message_id if message_id is not None else f"m{self.count}",
            sender=sender,
            text=written.text,
            timestamp=self.at,
            subject=subject,
            channel=channel,
        )
        one = Sent(message, written)
        self.sent.append(one)
        return one

    def repeat(self, earlier: Sent) -> Sent:
        """The same message once more: a network retry."""
        self.sent.append(earlier)
        return earlier


@st.composite
def dictations(
    draw: st.DrawFn,
    number: st.SearchStrategy[tuple[Written, ...]],
    *,
    smallest: int = 1,
    most: int | None = None,
    chat: bool = False,
    label: bool = False,
    resend: bool = False,
    around: st.SearchStrategy[tuple[str, str]] | None = None,
    sizes: Sizes | None = None,
) -> list[tuple[str, Written]]:
    """What one person sends to give a number: ("part" | "talk" | "again", text) in order.

    `around` gives the words before its first part and behind its last; `sizes` the lengths of the
    parts, where not any cut will do.
    """
    digits = draw(number)
    size = len(digits)
    cut = sizes(digits) if sizes else cuts(size, smallest=smallest, most=most)
    pieces = parts_of(digits, draw(cut))
    before, after = draw(around if around is not None else surroundings())
    texts: list[tuple[str, Written]] = []
    repeated = draw(st.integers(0, len(pieces) - 1)) if resend else -1
    for place, piece in enumerate(pieces):
        text = piece
        if label:
            text = plain(draw(labels(place, len(pieces), len(piece.digits)))) + text
        elif place == 0:
            text = plain(before) + text
        if place == len(pieces) - 1:
            text = text + plain(after)
        texts.append(("part", text))
        if place == repeated:
            texts.append((draw(st.sampled_from(["again", "part"])), text))
        if chat and place < len(pieces) - 1:
            talk = draw(st.lists(small_talk(), max_size=2))
            texts.extend(("talk", plain(line)) for line in talk)
    return texts


@st.composite
def conversations(
    draw: st.DrawFn,
    number: st.SearchStrategy[tuple[Written, ...]],
    *,
    parties: int = 1,
    smallest: int = 1,
    most: int | None = None,
    chat: bool = False,
    label: bool = False,
    resend: bool = False,
    question: Callable[[tuple[str, ...]], st.SearchStrategy[str]] | None = None,
    subject: bool = False,
    around: st.SearchStrategy[tuple[str, str]] | None = None,
    sizes: Sizes | None = None,
) -> Scene:
    """One or more people dictate a number each, at once, while another party talks too.

    `question` gives, for the numbers to come, what the other party asks first.
    """
    scripts_by_party = [
        list(
            draw(
                dictations(
                    number,
                    smallest=smallest,
                    most=most,
                    chat=chat,
                    label=label,
                    resend=resend,
                    around=around,
                    sizes=sizes,
                )
            )
        )
        for _ in range(parties)
    ]
    given = tuple(
        dict.fromkeys(mark[0] for lines in scripts_by_party for _, w in lines for mark in w.digits)
    )
    timeline = Timeline()
    if question is not None:
        timeline.say(draw(question(given)), sender="agent")
    latest: dict[int, Sent] = {}
    while any(scripts_by_party):
        party = draw(st.sampled_from([i for i, lines in enumerate(scripts_by_party) if lines]))
        kind, text = scripts_by_party[party].pop(0)
        if kind == "again" and party in latest:
            timeline.repeat(latest[party])
        else:
            name = f"user{party}"
            conversation = draw(st.sampled_from(["c1", "c2", "c3"])) if subject else "c1"
            latest[party] = timeline.say(
                text,
                sender=name,
                conversation=conversation,
                subject=f"subject{party}" if subject else None,
                channel=draw(st.sampled_from(["app", "web"])) if subject else None,
            )
        if not draw(st.integers(0, 3)):
            timeline.say(draw(st.sampled_from(OTHER_PARTY)), sender="agent")
    return Scene(timeline.sent, given)

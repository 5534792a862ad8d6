"""A purge that somebody asks for in the chat itself.

The first message that is one of the configured phrases, and nothing else, is answered with a
question; if the same person's next message in that conversation confirms it, the purge is
done, and the answer tells of the receipt. Anything else they say is a no. Nothing here does
anything: it recognises, and the pipeline acts.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

from masker.core.messages import Message

MAX_CONVERSATIONS = 10_000
MAX_OF_SUBJECT = 1_000
# No phrase is longer: what is, is not looked at.
_MAX_PHRASE = 200


@dataclass(frozen=True, slots=True)
class PurgeWords:
    """What people say to have their history deleted, and what they are told.

    `scope` says what a purge takes: this conversation, or, where the message names a
    `subject`, everything of that person. `{receipt}` in `done` is the receipt's id.
    """

    phrases: tuple[str, ...] = ("清除我的记录", "删除我的记录", "delete my data")
    confirmations: tuple[str, ...] = ("确认", "是", "yes", "confirm")
    question: str = (
        "将永久删除您的聊天记录, 无法恢复。回复“确认”继续。 / "
        "This deletes your chat history for good. Reply “yes” to go on."
    )
    done: str = "您的记录已删除。回执: {receipt} / Your records are deleted. Receipt: {receipt}"
    pending: str = (
        "您的记录已无法读取, 正在清除。回执: {receipt} / "
        "Nobody can read your records any more; their erasure goes on. Receipt: {receipt}"
    )
    held: str = (
        "依法须保留, 您的记录未删除。回执: {receipt} / "
        "Your records have to be kept for now and are not deleted. Receipt: {receipt}"
    )
    scope: Literal["conversation", "subject"] = "conversation"


@dataclass(frozen=True, slots=True)
class Ask:
    """Somebody asked for a purge: whether it is meant has to be asked."""

    question: str


@dataclass(frozen=True, slots=True)
class Confirm:
    """Somebody confirmed: purge this."""

    conversation_id: str | None
    subject: str | None
    words: PurgeWords

    def answer(self, receipt: Any) -> str:
        """What to say of what was done."""
        name = next(
            (
                str(getattr(receipt, field))
                for field in ("receipt_id", "id")
                if getattr(receipt, field, None) is not None
            ),
            receipt if isinstance(receipt, str) else "-",
        )
        said = {"pending": self.words.pending, "held": self.words.held}
        told = said.get(str(getattr(receipt, "status", "")), self.words.done)
        return told.replace("{receipt}", name)


class Conversations:
    """Who was asked for a confirmation, and which conversations a subject has."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str], None] = {}
        self._of_subject: dict[str, dict[str, None]] = {}

    def __repr__(self) -> str:
        return f"Conversations({len(self._asked)} asked)"

    def note(self, message: Message) -> None:
        """A message of a subject, in one of its conversations."""
        if message.subject is not None:
            held = self._of_subject.pop(message.subject, {})
            held[message.conversation_id] = None
            if len(held) > MAX_OF_SUBJECT:
                del held[next(iter(held))]
            self._of_subject[message.subject] = held
            if len(self._of_subject) > MAX_CONVERSATIONS:
                del self._of_subject[next(iter(self._of_subject))]

    def of(self, subject: str) -> tuple[str, ...]:
        """The conversations of a subject, as far as they are known here."""
        return tuple(self._of_subject.get(subject, ()))

    def ask(self, message: Message) -> None:
        """The sender is being asked for a confirmation."""
        self._asked[message.conversation_id, message.sender] = None
        if len(self._asked) > MAX_CONVERSATIONS:
            del self._asked[next(iter(self._asked))]

    def answered(self, message: Message) -> bool:
        """Whether the sender was asked for a confirmation, and this is the answer."""
        return self._asked.pop((message.conversation_id, message.sender), False) is None


def recognize(
    words: PurgeWords, conversations: Conversations, message: Message
) -> Ask | Confirm | None:
    """What a message orders the chat itself to do; most order nothing.

    >>> isinstance(
    ...     recognize(PurgeWords(), Conversations(), Message("c", "m", "user", "Delete my data!")),
    ...     Ask,
    ... )
    True
    """
    said = _plain(message.text)
    if conversations.answered(message) and said in {_plain(each) for each in words.confirmations}:
        if words.scope == "subject" and message.subject is not None:
            return Confirm(None, message.subject, words)
        return Confirm(message.conversation_id, None, words)
    if said in {_plain(each) for each in words.phrases}:
        conversations.ask(message)
        return Ask(words.question)
    return None


def _plain(text: str) -> str:
    """A phrase without case, width, punctuation and outer space."""
    if len(text) > _MAX_PHRASE:
        return ""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = [char for char in folded if char.isalnum() or char.isspace()]
    return " ".join("".join(kept).split())

"""One chat pipeline, without its input and output.

A message comes in, its masked form goes to the store and on to whatever is next, and
the reply comes back through a stream redactor. Each step is a generator: it yields the
acts it wants done (ask the redactor, save, purge) and is sent what they gave, or has
thrown in what they raised. So this is written once, and knows neither threads nor event
loops; `pipeline` holds the two drivers that do the acts, one blocking, one awaiting.

What a step gives is a `Turn`: the text that the next stage may see, what came out masked,
and an answer, where the chat itself gives one (a purge is asked for or done). When
the redactor breaks, the message comes out wholly masked, under either policy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, TypeAlias

from masker.buffers.veil import veil
from masker.core import masking
from masker.core.lanes import Lane
from masker.core.messages import MaskedMessage, Message
from masker.errors import MessageError, StageError
from masker.masker import Masker
from masker.middleware.history import Unfinished, alone, scan
from masker.middleware.purging import Ask, Confirm, Conversations, PurgeWords, recognize
from masker.middleware.recent import Key, Recent
from masker.middleware.replies import ReplyText, expand
from masker.middleware.stages import Act, Turn
from masker.middleware.tokens import Place, TokenMaps, fill, insert

Policy = Literal["masked", "original"]

# Revisions that a broken store could not take wait for it. Where there are so many, no further
# message is taken before it has them: whoever sent it sends it again.
MAX_UNSAVED = 10_000
# Messages whose text as shown is remembered, to answer one that is sent again.
MAX_SHOWN = 4_096


Step: TypeAlias = Generator[Act, Any, Turn]


class Flow:
    """The pipeline's state and steps; a driver runs them. See `Pipeline` for the parameters."""

    def __init__(
        self,
        masker: Masker,
        *,
        store: bool = False,
        policy: Policy = "masked",
        tokens: bool = False,
        purge: PurgeWords | None = None,
        join_replies: bool = False,
        unfinished: Unfinished = "masked",
        at_once: bool = False,
    ) -> None:
        if policy not in ("masked", "original"):
            raise MessageError("policy is neither 'masked' nor 'original'")
        if unfinished not in ("masked", "shown"):
            raise MessageError("unfinished is neither 'masked' nor 'shown'")
        if tokens and policy == "original":
            raise MessageError("tokens stand in masked text; policy 'original' has none")
        if purge is not None and not store:
            raise MessageError("a purge needs a store")
        self.failures = 0
        self.tokens = TokenMaps(masker) if tokens else None
        self._masker = masker
        self._stores = store
        self._policy = policy
        self._purge = purge
        self._join_replies = join_replies
        self._unfinished = unfinished
        self._at_once = at_once
        self._conversations = Conversations()
        self._shown = Recent(MAX_SHOWN)
        self._replied = Recent(MAX_SHOWN)
        self._unsaved: list[MaskedMessage] = []
        self._late: deque[MaskedMessage] = deque()
        self._refused: dict[Key, MaskedMessage] = {}
        # Messages that are not final and have tokens in them: the masks of what these stand for.
        self._given: dict[Key, tuple[str, ...]] = {}

    @property
    def unsaved(self) -> int:
        """Revisions that wait for the store."""
        return len(self._unsaved) + len(self._late)

    # -- messages in ---------------------------------------------------------------------------

    def receive(self, message: Message) -> Step:
        """One message of the chat."""
        key = (message.conversation_id, message.message_id)
        known = self._shown.of(key, message.text)
        if known is not None:
            saved = yield from self._saved(self._mended(message, key))
            return Turn(known, _newest(saved, key), tuple(saved))
        yield from self._with_room()
        self._conversations.note(message)
        order = None
        if self._purge is not None:
            order = recognize(self._purge, self._conversations, message)
        try:
            return (yield from self._received(message, key, order))
        except BaseException:
            # Sent again it is what it was: a question that was not asked, a "yes" not yet done.
            if isinstance(order, Ask):
                self._conversations.answered(message)
            elif order is not None:
                self._conversations.ask(message)
            raise

    def _received(self, message: Message, key: Key, order: Ask | Confirm | None) -> Step:
        said, lifted = self._lifted(message)
        out, sound = yield from self._redacted(said)
        text = self._next_text(message, said, _newest(out, key), lifted, sound=sound)
        if text is not None and order is None:
            # Before it is stored: what the store does not take is sent again, and shown then.
            self._shown.keep(key, message.text, text)
        saved = yield from self._saved([self._expanded(each) for each in out])
        stored = _newest(saved, key)
        if isinstance(order, Ask):
            return Turn(None, stored, tuple(saved), answer=order.question)
        if order is not None:
            return (yield from self._purged(order))
        return Turn(text, stored, tuple(saved))

    def advance(self, now: datetime) -> Step:
        """Time passes."""
        return (yield from self._told(Act("redactor", "advance", (now,))))

    def recall(self, conversation_id: str, message_id: str) -> Step:
        """The sender took a message back."""
        return (yield from self._told(Act("redactor", "recall", (conversation_id, message_id))))

    def close(self, conversation_id: str | None = None) -> Step:
        """A conversation ends, or all do: what stood for its numbers is forgotten."""
        turn = yield from self._told(Act("redactor", "close", (conversation_id,)))
        self._forget(conversation_id)
        return turn

    # -- replies out ---------------------------------------------------------------------------

    def reply_lane(
        self, conversation_id: str, sender: str, subject: str | None
    ) -> Generator[Act, Any, Lane | None]:
        """What the reply's sender has begun in earlier replies, where the redactor can tell."""
        if not self._join_replies:
            return None
        lane = yield from self._done(Act("redactor", "lane", (conversation_id, sender, subject)))
        return lane if isinstance(lane, Lane) else None

    def respond(self, message: Message) -> Step:
        """A whole message of the next stage: masked, and given back what its tokens stand for.

        What may be the start of a number stays masked, as in any message. A message that was
        received may be sent back; under its id nothing else is.
        """
        key = (message.conversation_id, message.message_id)
        known = self._shown.of(key, message.text)
        if known is not None and known == message.text:
            return Turn(self._restored(message.conversation_id, known))
        while self._shown.has(key):
            message = replace(message, message_id=f"{message.message_id}#reply")
            key = (message.conversation_id, message.message_id)
        said, lifted = self._lifted(message)
        text = self._replied.of(key, message.text)
        out: list[MaskedMessage] = []
        if text is None:
            yield from self._with_room()
            out, _ = yield from self._redacted(said)
            mine = _newest(out, key)
            text = self._veiled(said.text) if mine is None else mine.text
            self._replied.keep(key, message.text, text)
        if self.tokens is not None:
            tokens = self.tokens.of(message.conversation_id)
            text = fill(text, list(map(tokens.original, lifted)))
        saved = yield from self._saved([self._expanded(each) for each in out])
        return Turn(text, _newest(saved, key), tuple(saved))

    def _restored(self, conversation_id: str, text: str) -> str:
        return text if self.tokens is None else self.tokens.of(conversation_id).restore(text)

    def scan(self, messages: Sequence[Message], *, restore: bool = False) -> list[str]:
        """The texts of a whole conversation that is sent along, as the next stage sees them.

        Nothing of it is stored or remembered. With `restore` it is an answer: tokens are
        replaced by what they stand for.
        """
        if self._policy == "original" and not restore:
            return [message.text for message in messages]
        try:
            return scan(
                self._masker, messages, self.tokens, restore=restore, unfinished=self._unfinished
            )
        except MessageError:
            raise
        except Exception:  # noqa: BLE001 - fail closed, whatever it was
            self.failures += 1
            return [masking.blank(message.text) for message in messages]

    def mask(self, conversation_id: str, text: str, *, restore: bool = False) -> str:
        """A text by itself, as the next stage sees it, or with `restore` as it is answered."""
        if self._policy == "original" and not restore:
            return text
        return alone(self._masker, conversation_id, text, self.tokens, restore=restore)

    def reply_text(self, message: Message, lane: Lane | None) -> ReplyText:
        """The redactor of a reply that comes in chunks."""
        tokens = self.tokens.of(message.conversation_id) if self.tokens else None
        return ReplyText(
            self._masker.rule_set, message, lane=lane, tokens=tokens, join=self._join_replies
        )

    def replied(self, message: Message, text: ReplyText) -> Step:
        """A reply is whole: it takes its place in the conversation and goes to the store."""
        stands = text.stands_for
        message = text.as_message(message)
        if stands:
            self._given[message.conversation_id, message.message_id] = stands
        out, _ = yield from self._redacted(message)
        saved = yield from self._saved([self._expanded(each) for each in out])
        key = (message.conversation_id, message.message_id)
        return Turn(None, _newest(saved, key), tuple(saved))

    def came_late(self, out: Iterable[MaskedMessage]) -> None:
        """What came out when nobody waited for it any more; the store gets it with the next.

        May be called in another thread.
        """
        self._late.extend(out)

    # -- parts of steps ------------------------------------------------------------------------

    def _redacted(self, message: Message) -> Generator[Act, Any, tuple[list[MaskedMessage], bool]]:
        """What comes out of the redactor; the message wholly masked where it breaks."""
        try:
            out = yield Act("redactor", "receive", (message,))
            return list(out), True
        except MessageError:
            raise
        except Exception:  # noqa: BLE001 - fail closed, whatever it was
            self.failures += 1
            return [wholly_masked(message)], False

    def _lifted(self, message: Message) -> tuple[Message, list[str]]:
        """The message with a stand-in for each token in it: a token is no number."""
        if self.tokens is None or not isinstance(message.text, str):
            return message, []
        tokens = self.tokens.of(message.conversation_id)
        text, lifted = tokens.lift(message.text)
        if not lifted:
            return message, lifted
        key = (message.conversation_id, message.message_id)
        self._given[key] = tuple(map(tokens.masked, lifted))
        return replace(message, text=text), lifted

    def _next_text(
        self,
        message: Message,
        said: Message,
        mine: MaskedMessage | None,
        lifted: Sequence[str],
        *,
        sound: bool,
    ) -> str | None:
        """What the next stage sees; `None` where nothing of the message came out (yet)."""
        if mine is None and not self._at_once:
            return None
        if self._policy == "original" and sound:
            return message.text
        if mine is None:
            # It came before, to another worker or long ago: how it was shown is not known here.
            return fill(self._veiled(said.text), lifted)
        if self.tokens is None:
            return mine.text
        places: list[Place] = []
        try:
            places = self.tokens.learn(said, mine)
        except Exception:  # noqa: BLE001 - fail closed: a mask where a token cannot be had
            self.failures += 1
        return fill(insert(mine.text, places), lifted)

    def _veiled(self, text: str) -> str:
        return veil(self._masker.rule_set, text)

    def _told(self, act: Act) -> Step:
        """The redactor is told of something that makes messages come out."""
        out = yield from self._done(act)
        saved = yield from self._saved([self._expanded(each) for each in out])
        return Turn(None, None, tuple(saved))

    def _done(self, act: Act) -> Generator[Act, Any, Any]:
        """An act whose failure is an error that says nothing of any message."""
        try:
            return (yield act)
        except MessageError:
            raise
        except Exception as error:  # noqa: BLE001 - its text may hold a message
            self.failures += 1
            raise StageError(stage=act.of, act=act.verb, kind=type(error).__name__) from None

    def _mended(self, message: Message, key: Key) -> list[MaskedMessage]:
        """What the store would not have of a message that is sent again, as it now is."""
        refused = self._refused.pop(key, None)
        if refused is None:
            return []
        return [
            replace(
                refused, timestamp=message.timestamp, channel=message.channel,
                subject=message.subject, extra=message.extra,
            )
        ]  # fmt: skip

    def _came_late(self) -> list[MaskedMessage]:
        return [self._expanded(self._late.popleft()) for _ in range(len(self._late))]

    def _with_room(self) -> Generator[Act, Any, None]:
        """Where too much waits for the store, that goes first; an error where it cannot."""
        if len(self._unsaved) >= MAX_UNSAVED:
            yield from self._saved([])

    def _saved(self, out: Sequence[MaskedMessage]) -> Generator[Act, Any, list[MaskedMessage]]:
        """Save what came out, and before it what a broken store could not take; all of it."""
        unsaved, self._unsaved = [*self._unsaved, *self._came_late(), *out], []
        if not self._stores or not unsaved:
            return unsaved
        refused: MessageError | None = None
        try:
            yield from self._kept(unsaved)
        except MessageError as error:
            # One of them cannot be stored, and would keep all others from it for ever.
            refused = error
            for place, each in enumerate(unsaved):
                try:
                    yield from self._kept([each], unsaved[place:])
                except MessageError:
                    self.failures += 1
                    self._refused[each.conversation_id, each.message_id] = each
                    if len(self._refused) > MAX_SHOWN:
                        del self._refused[next(iter(self._refused))]
        # A redactor over buffers keeps what it gave out until it hears that it is stored. Where it
        # does not hear, it comes out once more: no harm, and no reason to fail.
        with suppress(Exception):
            yield Act("redactor", "acknowledge", (unsaved,))
        if refused is not None:
            raise refused
        return unsaved

    def _kept(
        self, messages: list[MaskedMessage], waiting: list[MaskedMessage] | None = None
    ) -> Generator[Act, Any, None]:
        """Messages go to the store; where it does not take them they wait, with what else does."""
        try:
            yield Act("store", "save_all", (messages,))
        except MessageError:
            raise
        except BaseException as error:
            # Cancelled, nobody knows whether they are stored: they are stored again, to no harm.
            self._unsaved = [*(waiting or messages), *self._unsaved]
            if not isinstance(error, Exception):
                raise
            raise StageError(
                stage="store", act="save_all", kind=type(error).__name__,
                waiting=len(self._unsaved),
            ) from None  # fmt: skip

    def _expanded(self, masked: MaskedMessage) -> MaskedMessage:
        """A message as it is stored: what its tokens stand for, masked."""
        key = (masked.conversation_id, masked.message_id)
        stands = self._given.get(key)
        if stands is None:
            return masked
        if masked.final:
            del self._given[key]
        return expand(masked, stands)

    def purge(
        self, *, conversation_id: str | None = None, subject: str | None = None
    ) -> Generator[Act, Any, Any]:
        """Purge what is stored, and drop what waits: nothing may be saved behind it."""
        if (conversation_id is None) == (subject is None):
            raise MessageError("a purge is of a conversation_id, or of a subject")
        if not self._stores:
            raise MessageError("a purge needs a store")
        scope = {"conversation_id": conversation_id} if subject is None else {"subject": subject}
        # The store comes first: it refuses from now on what comes late of what was purged.
        known = [] if conversation_id is None else [conversation_id]
        if subject is not None:
            stored: Iterable[str] = ()
            # One that is damaged cannot be listed, and keeps none from being purged.
            with suppress(StageError):
                stored = (yield from self._done(Act("store", "conversations", (subject,)))) or ()
            known = list(dict.fromkeys([*self._conversations.of(subject), *stored]))
        receipt = yield from self._done(Act("store", "purge", (), tuple(scope.items())))
        if getattr(receipt, "status", None) == "held":
            return receipt
        dropped: list[MaskedMessage] = []
        for named in [*({"conversation_id": each} for each in known), scope]:
            drop = Act("redactor", "drop", (), tuple(named.items()))
            dropped += (yield from self._done(drop)) or ()
        # Kept for another worker to give out, should this one die, it would come out again.
        yield from self._done(Act("redactor", "acknowledge", (dropped,)))
        for each in known:
            self._forget(each)
        self._unsaved = [
            waiting
            for waiting in (*self._unsaved, *self._came_late())
            if waiting.conversation_id not in known
            and (subject is None or waiting.subject != subject)
        ]
        return receipt

    def _purged(self, order: Confirm) -> Step:
        receipt = yield from self.purge(
            conversation_id=order.conversation_id, subject=order.subject
        )
        return Turn(None, answer=order.answer(receipt), receipt=receipt)

    def _forget(self, conversation_id: str | None) -> None:
        self._shown.forget(conversation_id)
        self._replied.forget(conversation_id)
        for key in [key for key in self._refused if conversation_id in (None, key[0])]:
            del self._refused[key]
        for key in [key for key in self._given if conversation_id in (None, key[0])]:
            del self._given[key]
        if self.tokens is not None:
            self.tokens.forget(conversation_id)


def _newest(out: Iterable[MaskedMessage], key: Key) -> MaskedMessage | None:
    """The latest revision of a message, where it is among these."""
    mine = [each for each in out if (each.conversation_id, each.message_id) == key]
    return mine[-1] if mine else None


def wholly_masked(message: Message) -> MaskedMessage:
    """A message of which nothing may be read: for when something broke."""
    return MaskedMessage(
        message.conversation_id, message.message_id, message.sender,
        masking.blank(message.text), message.timestamp, message.channel,
        message.subject, message.extra, 0, True,
    )  # fmt: skip

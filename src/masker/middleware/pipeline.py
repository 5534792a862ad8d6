"""The two drivers of the pipeline: one blocks, one awaits; all that is decided is in `flow`."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any, Self, TypeVar
from uuid import uuid4

from masker.core.messages import Message
from masker.core.redactor import Redactor
from masker.errors import StageError
from masker.masker import Masker
from masker.middleware.flow import Flow, Policy
from masker.middleware.history import Unfinished
from masker.middleware.purging import PurgeWords
from masker.middleware.replies import ReplyText
from masker.middleware.stages import Act, ConversationRedactor, Store, Turn
from masker.middleware.tokens import TokenMap

Result = TypeVar("Result")

# More characters than a loop should wait for: a twentieth of a second, or a second of hostile ones.
LONG = 16_384


class _Stages:
    """What both drivers are made of.

    * `store`: gets every masked message (`save_all`), and is asked to `purge`.
    * `policy`: the next stage sees the "masked" text, or the "original" while only the store
      sees the mask. Where masking fails it sees a wholly masked text under either.
    * `tokens`: the next stage sees `<CARD_1>` in the place of a number, and a reply that says
      `<CARD_1>` is given the number back; what goes to the store has stars.
    * `redactor`: what puts numbers together, `masker.redactor(buffers=...)` where several workers
      share conversations; one in memory if none is given.
    * `purge`: what people say in the chat to have their records deleted.
    * `join_replies`: a reply is shown as one text by itself, like `Masker.stream` shows one. True:
      a number cut over several replies is put together, and so what may be the start of one
      at the end of a reply is shown masked ("see page *"). What is stored is joined either way.

    * `unfinished`: in a conversation that is sent along whole (`scan`), what the last messages may
      be the start of is masked, as anywhere. "shown": it is shown, unless words call it a number.

    Raises:
        MessageError: parameters that contradict each other.
    """

    def __init__(
        self,
        masker: Masker,
        *,
        store: Store | None = None,
        policy: Policy = "masked",
        tokens: bool = False,
        redactor: ConversationRedactor | None = None,
        purge: PurgeWords | None = None,
        join_replies: bool = False,
        unfinished: Unfinished = "masked",
    ) -> None:
        self.masker = masker
        self._alike: dict[str, Any] = {
            "policy": policy, "tokens": tokens, "join_replies": join_replies,
            "unfinished": unfinished,
        }  # fmt: skip
        self._redactor = redactor if redactor is not None else masker.redactor()
        self._store = store
        self._flow = Flow(
            masker, store=store is not None, policy=policy, tokens=tokens, purge=purge,
            join_replies=join_replies, unfinished=unfinished,
            at_once=bool(getattr(self._redactor, "at_once", False)),
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._redactor!r})"

    @property
    def failures(self) -> int:
        """Messages that came out wholly masked because something broke."""
        return self._flow.failures + int(getattr(self._redactor, "failures", 0))

    @property
    def is_waiting(self) -> bool:
        """Whether anything waits that the time decides: for a rest, an answer, or the store."""
        waits = self._flow.unsaved, *(getattr(self._redactor, each, 0) for each in _WAITING)
        return any(waits)

    def without_store(self) -> Self:
        """A pipeline like this one that stores nothing, with a redactor of its own."""
        return type(self)(self.masker, **self._alike)

    def tokens_of(self, conversation_id: str) -> TokenMap | None:
        """The tokens of a conversation; `None` where there are to be none."""
        tokens = self._flow.tokens
        return None if tokens is None else tokens.of(conversation_id)

    def restore(self, conversation_id: str, text: str) -> str:
        """A text with the tokens of a conversation replaced by what they stand for."""
        tokens = self._flow.tokens
        return text if tokens is None else tokens.of(conversation_id).restore(text)

    def scan(self, messages: Sequence[Message], *, restore: bool = False) -> list[str]:
        """The texts of a conversation that is sent along whole, as the next stage sees them.

        Nothing of it is stored or remembered. With `restore` it is an answer: tokens are
        replaced by what they stand for.
        """
        return self._flow.scan(messages, restore=restore)

    def mask(self, conversation_id: str, text: str, *, restore: bool = False) -> str:
        """A text by itself, as the next stage sees it, or with `restore` as it is answered."""
        return self._flow.mask(conversation_id, text, restore=restore)

    def _method(self, act: Act) -> Any:
        target = self._redactor if act.of == "redactor" else self._store
        method = getattr(target, act.verb, None)
        return getattr(self, _OFFERED[act.verb]) if method is None else method

    def _begin(
        self, conversation_id: str, message_id: str | None, sender: str, **fields: Any
    ) -> Message:
        message_id = message_id if message_id is not None else f"reply-{uuid4()}"
        return Message(conversation_id, message_id, sender, "", **fields)

    def _nothing(self, *_: Any) -> None:
        return None

    def _close(self, *, conversation_id: str | None = None, subject: str | None = None) -> Any:
        return None if conversation_id is None else self._redactor.close(conversation_id)


# What of a redactor says that something waits in it.
_WAITING = ("pending", "lanes")
# What a redactor or store may offer, and need not: what is done in its place.
_OFFERED = {
    "lane": "_nothing", "acknowledge": "_nothing", "conversations": "_nothing", "drop": "_close",
}  # fmt: skip


class Pipeline(_Stages):
    """The pipeline for code that blocks. Several threads may use one: they take turns."""

    __doc__ = f"{__doc__}\n\n    {(_Stages.__doc__ or '').strip()}\n"

    def __init__(self, masker: Masker, **parameters: Any) -> None:
        super().__init__(masker, **parameters)
        self._lock = threading.RLock()

    def receive(self, message: Message) -> Turn:
        """Take one message of the chat: mask it, store it, say what the next stage sees.

        Raises:
            MessageError: the message cannot be used as it is.
            StageError: the store failed; what it could not take waits for the next time.
        """
        return self._run(self._flow.receive(message))

    def respond(self, message: Message) -> Turn:
        """Take a whole message of the next stage: mask it, store it, say what may be shown.

        Unlike a reply in chunks it is joined with other messages of its sender.
        """
        return self._run(self._flow.respond(message))

    def advance(self, now: datetime) -> Turn:
        """Time passes: what waited for too long comes out, as `revisions`."""
        return self._run(self._flow.advance(now))

    def close(self, conversation_id: str | None = None) -> Turn:
        """A conversation ends, or all do; its tokens are forgotten."""
        return self._run(self._flow.close(conversation_id))

    def recall(self, conversation_id: str, message_id: str) -> Turn:
        """The sender took a message back."""
        return self._run(self._flow.recall(conversation_id, message_id))

    def purge(self, *, conversation_id: str | None = None, subject: str | None = None) -> Any:
        """Purge a conversation, or all of a subject, in the store and in what waits; the receipt.

        `store.purge` alone knows nothing of the redactor, which may hold parts of numbers.

        Raises:
            StageError: one of the two failed; called again it goes on.
        """
        return self._run(self._flow.purge(conversation_id=conversation_id, subject=subject))

    def reply(
        self,
        conversation_id: str,
        message_id: str | None = None,
        sender: str = "assistant",
        **fields: Any,
    ) -> Reply:
        """A reply that is about to come in chunks; `fields` are further ones of `Message`."""
        message = self._begin(conversation_id, message_id, sender, **fields)
        lane = self._run(self._flow.reply_lane(conversation_id, sender, message.subject))
        return Reply(self, message, self._flow.reply_text(message, lane))

    def answer(self, conversation_id: str, text: str, **fields: Any) -> str:
        """A whole reply, as it may be shown."""
        reply = self.reply(conversation_id, **fields)
        return reply.feed(text) + reply.close()

    def stream(self, conversation_id: str, chunks: Iterable[str], **fields: Any) -> Iterator[str]:
        """A reply in chunks, as it may be shown; what has come is stored, however it ends."""
        reply = self.reply(conversation_id, **fields)
        try:
            for chunk in chunks:
                if piece := reply.feed(chunk):
                    yield piece
        except BaseException:
            reply.close()
            raise
        try:
            rest = reply.close()
        except StageError:
            # What the store did not take waits for it; who is answered is answered to the end.
            if reply.rest:
                yield reply.rest
            raise
        if rest:
            yield rest

    def _run(self, step: Generator[Act, Any, Result]) -> Result:
        with self._lock:
            try:
                act = next(step)
                while True:
                    try:
                        result = self._method(act)(*act.arguments, **dict(act.named))
                    except Exception as error:  # noqa: BLE001 - the step says what becomes of it
                        act = step.throw(error)
                    else:
                        act = step.send(result)
            except StopIteration as stop:
                result_of_step: Result = stop.value
                return result_of_step
            finally:
                # Where it was interrupted, what it holds is kept now, not when it is collected.
                step.close()


class Reply:
    """A reply in chunks, made by `Pipeline.reply`; `turn` is what was stored of it."""

    def __init__(self, pipeline: Pipeline, message: Message, text: ReplyText) -> None:
        self._pipeline = pipeline
        self._message = message
        self._text = text
        self.turn: Turn | None = None
        self.rest = ""
        """What `close` gives, where it failed; called again, it gives this."""

    def feed(self, chunk: str) -> str:
        """Take the next chunk; give what is safe to show now, which may be nothing."""
        return self._text.feed(chunk)

    @property
    def is_long(self) -> bool:
        """Whether it is better to go on in another reply: much was said, and nothing is held."""
        return self._text.is_long

    def close(self) -> str:
        """The reply is over: give the rest, and store it.

        Raises:
            StageError: the store failed; called again it gives the rest.
        """
        self.rest += self._text.close()
        if self.turn is None:
            self.turn = self._pipeline._run(self._pipeline._flow.replied(self._message, self._text))
        rest, self.rest = self.rest, ""
        return rest


class AsyncPipeline(_Stages):
    """The pipeline for an event loop.

    Methods of store and redactor that are coroutine functions are awaited; others are called in
    threads, and the loop goes on meanwhile: those of the redactor one after the other in a thread
    of its own, those of the store in the loop's. A plain redactor in memory never waits for
    anything, and is called as it is, but for very long messages.
    """

    __doc__ = f"{__doc__}\n    {(_Stages.__doc__ or '').strip()}\n"

    def __init__(self, masker: Masker, **parameters: Any) -> None:
        super().__init__(masker, **parameters)
        # It begins with the first call, and ends with the pipeline.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="masker-redactor")
        self._last: Future[Any] | None = None

    async def receive(self, message: Message) -> Turn:
        """Take one message of the chat: mask it, store it, say what the next stage sees.

        Raises:
            MessageError: the message cannot be used as it is.
            StageError: the store failed; what it could not take waits for the next time.
        """
        return await self._run(self._flow.receive(message))

    async def respond(self, message: Message) -> Turn:
        """Take a whole message of the next stage: mask it, store it, say what may be shown.

        Unlike a reply in chunks it is joined with other messages of its sender.
        """
        return await self._run(self._flow.respond(message))

    async def advance(self, now: datetime) -> Turn:
        """Time passes: what waited for too long comes out, as `revisions`."""
        return await self._run(self._flow.advance(now))

    async def close(self, conversation_id: str | None = None) -> Turn:
        """A conversation ends, or all do; its tokens are forgotten."""
        return await self._run(self._flow.close(conversation_id))

    async def recall(self, conversation_id: str, message_id: str) -> Turn:
        """The sender took a message back."""
        return await self._run(self._flow.recall(conversation_id, message_id))

    async def purge(self, *, conversation_id: str | None = None, subject: str | None = None) -> Any:
        """Purge a conversation, or all of a subject, in the store and in what waits; the receipt.

        `store.purge` alone knows nothing of the redactor, which may hold parts of numbers.

        Raises:
            StageError: one of the two failed; called again it goes on.
        """
        return await self._run(self._flow.purge(conversation_id=conversation_id, subject=subject))

    async def reply(
        self,
        conversation_id: str,
        message_id: str | None = None,
        sender: str = "assistant",
        **fields: Any,
    ) -> AsyncReply:
        """A reply that is about to come in chunks; `fields` are further ones of `Message`."""
        message = self._begin(conversation_id, message_id, sender, **fields)
        lane = await self._run(self._flow.reply_lane(conversation_id, sender, message.subject))
        return AsyncReply(self, message, self._flow.reply_text(message, lane))

    async def answer(self, conversation_id: str, text: str, **fields: Any) -> str:
        """A whole reply, as it may be shown."""
        reply = await self.reply(conversation_id, **fields)
        return reply.feed(text) + await reply.close()

    async def stream(
        self, conversation_id: str, chunks: AsyncIterable[str], **fields: Any
    ) -> AsyncIterator[str]:
        """A reply in chunks, as it may be shown; what has come is stored, however it ends."""
        reply = await self.reply(conversation_id, **fields)
        try:
            async for chunk in chunks:
                if piece := reply.feed(chunk):
                    yield piece
        except BaseException:
            await reply.close()
            raise
        try:
            rest = await reply.close()
        except StageError:
            # What the store did not take waits for it; who is answered is answered to the end.
            if reply.rest:
                yield reply.rest
            raise
        if rest:
            yield rest

    async def _run(self, step: Generator[Act, Any, Result]) -> Result:
        try:
            act = next(step)
            while True:
                try:
                    result = await self._do(act)
                except Exception as error:  # noqa: BLE001 - the step says what becomes of it
                    act = step.throw(error)
                else:
                    act = step.send(result)
        except StopIteration as stop:
            result_of_step: Result = stop.value
            return result_of_step
        finally:
            # Where it was cancelled, what it holds is kept now, not when it is collected.
            step.close()

    async def _do(self, act: Act) -> Any:
        method = self._method(act)
        if inspect.iscoroutinefunction(method):
            return await method(*act.arguments, **dict(act.named))
        if act.of == "store":
            return await asyncio.to_thread(method, *act.arguments, **dict(act.named))
        if act.verb == "lane" or (isinstance(self._redactor, Redactor) and self._is_quick(act)):
            return method(*act.arguments, **dict(act.named))
        # More threads would only wait for each other, and take those of others away.
        run = contextvars.copy_context().run
        call = self._thread.submit(run, method, *act.arguments, **dict(act.named))
        self._last = call
        try:
            return await asyncio.wrap_future(call)
        except asyncio.CancelledError:
            call.add_done_callback(self._came_late)
            raise

    def _is_quick(self, act: Act) -> bool:
        """Whether a redactor in memory can be asked at once: it is not at work, and never long."""
        if self._last is not None and not self._last.done():
            return False
        return act.verb != "receive" or len(act.arguments[0].text) <= LONG

    async def aside(self, size: int, work: Callable[[], Result]) -> Result:
        """Work on so many characters; in a thread where that takes long, and changes nothing.

        The loop goes on meanwhile. Tokens are given out one after the other, in the loop.
        """
        if size <= LONG or self._flow.tokens is not None:
            return work()
        return await asyncio.to_thread(work)

    async def give_way(self) -> None:
        """Others have their turn, between two of very many messages."""
        await asyncio.sleep(0)

    def _came_late(self, call: Future[Any]) -> None:
        """The task was cancelled while the redactor was at work, which gave something after all."""
        if not call.cancelled() and call.exception() is None:
            self._flow.came_late(call.result() or ())


class AsyncReply:
    """A reply in chunks, made by `AsyncPipeline.reply`; `turn` is what was stored of it."""

    def __init__(self, pipeline: AsyncPipeline, message: Message, text: ReplyText) -> None:
        self._pipeline = pipeline
        self._message = message
        self._text = text
        self.turn: Turn | None = None
        self.rest = ""
        """What `close` gives, where it failed; called again, it gives this."""

    def feed(self, chunk: str) -> str:
        """Take the next chunk; give what is safe to show now, which may be nothing."""
        return self._text.feed(chunk)

    @property
    def is_long(self) -> bool:
        """Whether it is better to go on in another reply: much was said, and nothing is held."""
        return self._text.is_long

    async def close(self) -> str:
        """The reply is over: give the rest, and store it.

        Raises:
            StageError: the store failed; called again it gives the rest.
        """
        self.rest += self._text.close()
        if self.turn is None:
            step = self._pipeline._flow.replied(self._message, self._text)
            self.turn = await self._pipeline._run(step)
        rest, self.rest = self.rest, ""
        return rest

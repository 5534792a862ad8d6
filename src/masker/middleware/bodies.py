"""What goes over a connection, masked as it goes: documents, texts, lines, events.

A `Talk` is one connection's part in a conversation. What the other side sends is received by
the pipeline, and what the application sends is its answer: a whole document is made of
messages, an event or a line may be a chunk of a longer text. Of a text in chunks every
place in a document is a stream of its own; when it is over, what still waited is sent
in a copy of its last event.
"""

from __future__ import annotations

import codecs
import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias, TypeVar
from uuid import uuid4

from masker.core.messages import Message
from masker.errors import BodyError
from masker.middleware import documents
from masker.middleware.documents import Document, Fields, Slot
from masker.middleware.events import Event, Events, Lines
from masker.middleware.pipeline import AsyncPipeline, AsyncReply
from masker.middleware.stages import Turn

Result = TypeVar("Result")

_DONE = b"[DONE]"
_MESSAGE = 100
_JSON_STARTS = ("{", "[", '"')


class Talk:
    """One connection's part in a conversation; `conversation_id` holds until a field says other.

    `unnamed` is the pipeline for as long as no conversation is named: it stores nothing. A talk
    `for_model` sends all that was said with each request, and each answer is a text by itself.
    """

    def __init__(
        self,
        pipeline: AsyncPipeline,
        unnamed: AsyncPipeline,
        fields: Fields,
        conversation_id: str | None,
        *,
        for_model: bool = False,
    ) -> None:
        self.fields = fields
        self._for_model = for_model
        self._named = pipeline
        self._unnamed = unnamed
        self._own_id = f"connection-{uuid4()}"
        self._named_id = conversation_id

    def __repr__(self) -> str:
        return f"Talk({self.conversation_id!r})"

    @property
    def pipeline(self) -> AsyncPipeline:
        """Where the messages of this connection go."""
        return self._unnamed if self._named_id is None else self._named

    @property
    def conversation_id(self) -> str:
        """The conversation that this connection is part of, as far as it is known."""
        return self._named_id or self._own_id

    async def end(self) -> None:
        """The connection is over, and with it a conversation that was only its own."""
        await self._unnamed.close(self._own_id)

    def read(self, source: bytes | str, *, inbound: bool) -> Document:
        """A document of either side.

        Raises:
            ValueError: it is not JSON.
        """
        return documents.read(source, self.alone if inbound else self._plain)

    def document(self, source: bytes, *, inbound: bool) -> Document | None:
        """A document of either side; `None` where it is a text."""
        try:
            # A reader of JSON tells UTF-16, UTF-32 and a byte order mark by themselves.
            encoding = json.detect_encoding(source)
            text = source.decode(encoding, "surrogatepass")
            # A bare number is JSON as well, and is what somebody said.
            if not text.lstrip().startswith(_JSON_STARTS):
                return None
            document = self.read(text, inbound=inbound)
        except ValueError:
            return None
        document.encoding = encoding
        return document

    def alone(self, text: str) -> str:
        """A text of the other side that is no message, as the application sees it."""
        return self.pipeline.mask(self.conversation_id, text)

    def _plain(self, text: str) -> str:
        return self.pipeline.masker.mask(text).text

    async def receive(self, text: str, slot: Slot | None = None) -> Turn:
        """What the other side said."""
        return await self.pipeline.receive(self._message(text, slot, "user"))

    async def respond(self, text: str, slot: Slot | None = None) -> str:
        """What the application said, as it may be shown."""
        turn = await self.pipeline.respond(self._message(text, slot, "assistant"))
        assert turn.text is not None
        return turn.text

    async def take(self, document: Document) -> Turn | None:
        """Mask a document of the other side; a turn where the chat itself has an answer to it."""
        found = self._found(document)
        await self._aside(found, lambda: self._mask_alone(document, found, restore=False))
        answered: Turn | None = None
        for group in _groups(found):
            await self.pipeline.give_way()
            if len(group) > 1 or (self._for_model and self._named_id is None):
                messages = [self._message(slot.text, slot, "user") for slot in group]
                await self._scan(document, group, messages, restore=False)
                if self._named_id is None:
                    continue
                # What was said before came with earlier requests; the last of it is new.
                turn = await self.pipeline.receive(messages[-1])
            else:
                turn = await self.receive(group[0].text, group[0])
                document.put(group[0], turn.text if turn.text is not None else "")
            if turn.answer is not None:
                answered = turn
        return answered

    async def give(self, document: Document) -> None:
        """Mask a document of the application: whole messages."""
        found = self._found(document)
        await self._aside(found, lambda: self._mask_alone(document, found, restore=True))
        for group in _groups(found):
            await self.pipeline.give_way()
            if len(group) > 1:
                messages = [self._message(slot.text, slot, "assistant") for slot in group]
                await self._scan(document, group, messages, restore=True)
            else:
                shown = await self.respond(group[0].text, group[0])
                if self._for_model:
                    shown = self.masked(group[0], group[0].text, restore=True)
                document.put(group[0], shown)

    async def _scan(
        self, document: Document, group: list[Slot], messages: list[Message], *, restore: bool
    ) -> None:
        texts = await self._aside(group, lambda: self.pipeline.scan(messages, restore=restore))
        for slot, text in zip(group, texts, strict=True):
            document.put(slot, text)

    async def _aside(self, found: list[Slot], work: Callable[[], Result]) -> Result:
        # A message of one digit takes as long as a hundred characters of others.
        size = sum(len(slot.text) + _MESSAGE for slot in found)
        return await self.pipeline.aside(size, work)

    def scan(self, document: Document) -> None:
        """Mask a document that tells of what was said: nothing of it is stored or remembered."""
        found = self._found(document)
        self._mask_alone(document, found, restore=False)
        for group in _groups(found):
            messages = [self._message(slot.text, slot, "user") for slot in group]
            for slot, text in zip(group, self.pipeline.scan(messages), strict=True):
                document.put(slot, text)

    def give_alone(self, document: Document) -> None:
        """Mask a document of the application whose every text is whole and by itself."""
        for slot in self._found(document):
            document.put(slot, self.masked(slot, slot.text, restore=True))

    def chunks_of(self, document: Document) -> list[Slot]:
        """The texts of a document that are chunks; all other strings of it are masked."""
        found = self._found(document)
        self._mask_alone(document, [slot for slot in found if not slot.is_document], restore=True)
        return [slot for slot in found if slot.is_text or slot.is_document]

    def masked(self, slot: Slot, text: str, *, restore: bool) -> str:
        """A string of a document, masked by itself; one that is a document stays one."""
        conversation_id = self._of(slot)
        if slot.is_document:
            plain = self._plain if restore else self.alone
            try:
                document = documents.read(text, plain)
            except ValueError:
                return self.pipeline.mask(conversation_id, text, restore=restore)
            for inner in documents.slots(document, documents.ALL):
                shown = self.pipeline.mask(conversation_id, inner.text, restore=restore)
                document.put(inner, shown)
            return document.write().decode() if document.altered else text
        return self.pipeline.mask(conversation_id, text, restore=restore)

    async def reply(self, slot: Slot | None = None) -> AsyncReply | ArgumentReply:
        """A text of the application that comes in chunks."""
        if slot is not None and slot.is_document:
            return ArgumentReply(self, slot)
        sender = (slot.sender if slot else None) or "assistant"
        return await self.pipeline.reply(self._of(slot), sender=sender)

    def _found(self, document: Document) -> list[Slot]:
        found = documents.slots(document, self.fields)
        named = next((slot.conversation_id for slot in found if slot.conversation_id), None)
        if self._named_id is None:
            self._named_id = named
        return found

    def _mask_alone(self, document: Document, found: list[Slot], *, restore: bool) -> None:
        for slot in found:
            if not slot.is_text:
                document.put(slot, self.masked(slot, slot.text, restore=restore))

    def _of(self, slot: Slot | None) -> str:
        return (slot.conversation_id if slot else None) or self.conversation_id

    def _message(self, text: str, slot: Slot | None, sender: str) -> Message:
        return Message(
            self._of(slot),
            (slot.message_id if slot else None) or f"message-{uuid4()}",
            (slot.sender if slot else None) or sender,
            text,
            # When it came: a store needs to know whether that was before a purge.
            datetime.now(UTC),
            subject=slot.subject if slot else None,
        )


class ArgumentReply:
    """A document in chunks within other documents: it comes out whole, when it is over."""

    is_long = False

    def __init__(self, talk: Talk, slot: Slot) -> None:
        self._talk = talk
        self._slot = slot
        self._chunks: list[str] = []

    def feed(self, chunk: str) -> str:
        """Take the next chunk; nothing is given yet."""
        self._chunks.append(chunk)
        return ""

    async def close(self) -> str:
        """The document is over: give it, masked."""
        whole, self._chunks = "".join(self._chunks), []
        return self._talk.masked(self._slot, whole, restore=True) if whole else ""


def _groups(found: list[Slot]) -> list[list[Slot]]:
    """Texts that are the elements of one list together, every other by itself."""
    lists: dict[documents.Path, list[Slot]] = {}
    groups: list[list[Slot]] = []
    for slot in found:
        if not slot.is_text:
            continue
        if slot.in_list is None:
            groups.append([slot])
        elif slot.in_list in lists:
            lists[slot.in_list].append(slot)
        else:
            lists[slot.in_list] = [slot]
            groups.append(lists[slot.in_list])
    return groups


Reply: TypeAlias = AsyncReply | ArgumentReply


class Body(Protocol):
    """A body of the application's, masked as it comes."""

    async def feed(self, piece: bytes, *, last: bool) -> bytes:
        """Take the next piece; give what is safe to send now, which may be nothing."""


class TextBody:
    """One text in chunks, in an encoding; bytes that it cannot read stay as they are."""

    def __init__(self, talk: Talk, charset: str) -> None:
        # Raises LookupError for what Python has no codec for.
        self._decoder = codecs.getincrementaldecoder(charset)("surrogateescape")
        self._charset = charset
        self._talk = talk
        self._reply: Reply | None = None

    async def feed(self, piece: bytes, *, last: bool) -> bytes:
        """Take the next piece; give what is safe to send now, which may be nothing."""
        if self._reply is None:
            self._reply = await self._talk.reply()
        text = self._reply.feed(self._decoder.decode(piece, last))
        if last or self._reply.is_long:
            text += await self._reply.close()
            self._reply = None
        return text.encode(self._charset, "surrogateescape")


class DocumentBody:
    """A document, put together before anything of it is sent."""

    def __init__(self, talk: Talk, limit: int) -> None:
        self._talk = talk
        self._limit = limit
        self._held = bytearray()

    async def feed(self, piece: bytes, *, last: bool) -> bytes:
        """Take the next piece; give all of it with the last.

        Raises:
            BodyError: it is longer than the limit.
        """
        self._held += piece
        if len(self._held) > self._limit:
            raise BodyError(what="document", limit=self._limit)
        return await given(self._talk, bytes(self._held)) if last and self._held else b""


async def given(talk: Talk, source: bytes) -> bytes:
    """A whole document of the application's, or a text where it is none."""
    document = talk.document(source, inbound=False)
    if document is None:
        text = source.decode("utf-8", "surrogateescape")
        return (await talk.respond(text)).encode("utf-8", "surrogateescape")
    await talk.give(document)
    return document.write() if document.altered else source


class Chunks:
    """Documents that hold chunks: a stream for each place of a text."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._open: dict[Any, tuple[Reply, Document, Slot]] = {}
        self._senders: dict[Any, str] = {}

    def _key(self, slot: Slot, names: documents.Path) -> Any:
        """Which stream a text is a chunk of; many say who speaks in the first chunk alone."""
        place = (slot.conversation_id, names, slot.index)
        sender = slot.sender or self._senders.get(place, "assistant")
        self._senders[place] = sender
        return (*place, sender)

    async def feed(self, document: Document) -> None:
        """Each text of the document becomes what of its stream is safe to send now."""
        ends = documents.is_end(document)
        for slot in self._talk.chunks_of(document):
            names = tuple(step for step in slot.path if isinstance(step, str))
            key = self._key(slot, names)
            held = self._open.get(key)
            reply = held[0] if held else await self._talk.reply(slot)
            text = reply.feed(slot.text)
            if ends:
                text += await reply.close()
                self._open.pop(key, None)
            else:
                if reply.is_long:
                    text += await reply.close()
                    reply = await self._talk.reply(slot)
                self._open[key] = (reply, document, slot)
            document.put(slot, text)

    async def end(self, by: Document | None = None) -> list[Document]:
        """All texts are over, or those that a document speaks of: what still waited.

        Each rest is in a copy of its text's last document, which says nothing else again.
        """
        rests = []
        of = documents.index_of(by) if by is not None else {}
        for key, (reply, document, slot) in list(self._open.items()):
            if any(name in of and index not in of[name] for name, index in slot.index):
                continue
            del self._open[key]
            if rest := await reply.close():
                document = copy.deepcopy(document)
                for other in documents.slots(document, self._talk.fields):
                    if other.is_text or other.is_document:
                        document.put(other, rest if other.path == slot.path else "")
                rests.append(document)
        return rests


class LineBody:
    """Documents, one a line; each is a message or a chunk, as it says itself."""

    def __init__(self, talk: Talk, limit: int) -> None:
        self._talk = talk
        self._lines = Lines(limit, newline_only=True)
        self._chunks = Chunks(talk)

    async def feed(self, piece: bytes, *, last: bool) -> bytes:
        """Take the next piece; give the lines that may be sent now.

        Raises:
            BodyError: a line is longer than the limit.
        """
        out = []
        for line, end in self._lines.feed(piece, last=last):
            out.append(await self._line(line, end or b"\n") if line.strip() else line + end)
        if last:
            out += [rest.write() + b"\n" for rest in await self._chunks.end()]
        return b"".join(out)

    async def _line(self, line: bytes, end: bytes) -> bytes:
        document = self._talk.document(line, inbound=False)
        if document is None:
            return await given(self._talk, line) + end
        if not documents.is_chunk(document, default=False):
            before = await self._before(document)
            return before + await given(self._talk, line) + end
        before = b"" if self._talk.chunks_of(document) else await self._before(document)
        await self._chunks.feed(document)
        return before + (document.write() if document.altered else line) + end

    async def _before(self, document: Document) -> bytes:
        """What has to come out before a document that ends its texts and holds none of them."""
        if not documents.is_end(document):
            return b""
        return b"".join([rest.write() + b"\n" for rest in await self._chunks.end(document)])


class EventBody:
    """Server-sent events: each a chunk of a text, unless it says that it is whole."""

    def __init__(self, talk: Talk, limit: int) -> None:
        self._talk = talk
        self._events = Events(limit)
        self._chunks = Chunks(talk)
        self._plain: tuple[Reply, Event] | None = None
        # The name of the last event with a chunk in it.
        self._name: list[bytes] = []

    async def feed(self, piece: bytes, *, last: bool) -> bytes:
        """Take the next piece; give the events that may be sent now.

        Raises:
            BodyError: an event is longer than the limit.
        """
        out = [await self._event(event) for event in self._events.feed(piece, last=last)]
        if last:
            out.append(await self._rest())
        return b"".join(out)

    async def _event(self, event: Event) -> bytes:
        lines = [self._without_text(line) for line in event.lines]
        if event.data is None:
            return event.write(None, lines=lines)
        if event.data.strip() == _DONE:
            return await self._rest() + event.write(event.data, lines=lines)
        text = event.data.decode("utf-8", "surrogateescape")
        is_end = documents.names_end(event.name)
        document = self._talk.document(event.data, inbound=False)
        if document is None:
            before = await self._rest() if is_end else b""
            data = await self._plain_text(text, event)
            return before + event.write(data.encode("utf-8", "surrogateescape"), lines=lines)
        ends = is_end or documents.is_end(document)
        is_chunk = documents.is_chunk(document, default=not is_end)
        before = b""
        if not is_chunk:
            before = await self._rest(document) if ends else b""
            self._talk.give_alone(document)
        else:
            if ends and not self._talk.chunks_of(document):
                before = await self._rest(document)
            await self._chunks.feed(document)
            self._name = [line for line in lines if line.startswith(b"event:")]
        data_out = document.write() if document.altered else event.data
        return before + event.write(data_out, lines=lines)

    async def _plain_text(self, text: str, event: Event) -> str:
        if self._plain is None:
            self._plain = (await self._talk.reply(), event)
        reply, _ = self._plain
        shown = reply.feed(text)
        if reply.is_long:
            shown += await reply.close()
            reply = await self._talk.reply()
        self._plain = (reply, event)
        return shown

    async def _rest(self, by: Document | None = None) -> bytes:
        """All texts are over, or those a document speaks of: what waited, as further events."""
        rests = await self._chunks.end(by)
        out = [Event().write(rest.write(), lines=self._name) for rest in rests]
        if self._plain is not None:
            reply, event = self._plain
            self._plain = None
            if rest := await reply.close():
                name = [line for line in event.lines if line.startswith(b"event:")]
                out.append(event.write(rest.encode("utf-8", "surrogateescape"), lines=name))
        return b"".join(out)

    def _without_text(self, line: bytes) -> bytes:
        """A comment, or a field other than the data: masked by itself."""
        text = line.decode("utf-8", "surrogateescape")
        return self._talk.pipeline.masker.mask(text).text.encode("utf-8", "surrogateescape")

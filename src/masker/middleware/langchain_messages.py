"""Messages of LangChain, masked: whole ones, and answers that come in chunks."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

from masker.errors import MaskerError, MissingExtraError

try:
    from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
    from langchain_core.outputs import ChatGenerationChunk
except ImportError as error:
    raise MissingExtraError(extra="langchain") from error

from masker.core.messages import Message
from masker.middleware import documents
from masker.middleware.pipeline import Pipeline
from masker.middleware.replies import ReplyText

# What a text stands under in a block of content, and what holds no text.
_TEXTS = ("text", "reasoning", "thinking")
_KEPT = frozenset({
    "id", "type", "name", "index", "role", "model", "model_name", "finish_reason", "mime_type",
    "signature", "encrypted_content", "tool_call_id", "system_fingerprint", "model_provider",
})  # fmt: skip
_BLOBS = frozenset({"data", "base64", "url", "image_url", "file_data"})
# Objects that somebody else made the keys of.
_VALUES = frozenset({"args", "input", "arguments"})
# Strings that hold JSON.
_DOCUMENTS = frozenset({"arguments", "partial_json"})
_SENDERS = {"human": "user", "ai": "assistant"}
# How often the pipeline is told that time passes, at most.
TICK = timedelta(seconds=15)
# Token probabilities say a text again, in pieces.
_DROPPED = "logprobs"


class Talk(NamedTuple):
    """The conversation that messages are of; where it is remembered they come one by one."""

    conversation_id: str
    remembered: bool


class MessageMasker:
    """How the messages of LangChain go through a pipeline."""

    def __init__(self, pipeline: Pipeline, *, restores: bool) -> None:
        self.pipeline = pipeline
        self.restores = restores
        self._passed = datetime.now(UTC)

    def messages(self, messages: Sequence[BaseMessage], talk: Talk) -> list[BaseMessage]:
        """All messages of a conversation, as a model may see them."""
        conversation = talk.conversation_id
        said = [
            Message(
                conversation,
                f"{message.id or uuid4()}:{number}",
                _SENDERS.get(message.type, message.type),
                text,
                # When it came: a store needs to know whether that was before a purge.
                datetime.now(UTC) if talk.remembered else None,
            )
            for message in messages
            for number, text in enumerate(_texts(message.content))
        ]
        if talk.remembered:
            self._pass_time()
            texts = [self.pipeline.receive(each).text or "" for each in said]
        else:
            texts = self.pipeline.scan(said)
        shown = iter(texts)
        return [self._message(message, shown, conversation) for message in messages]

    def _pass_time(self) -> None:
        """What waits is decided when its window is over; nobody else tells the pipeline of it."""
        now = datetime.now(UTC)
        if now - self._passed >= TICK:
            self._passed = now
            with suppress(MaskerError):
                self.pipeline.advance(now)

    def message(self, message: BaseMessage, conversation: str) -> BaseMessage:
        """One message by itself."""
        texts = iter([self.pipeline.mask(conversation, text) for text in _texts(message.content)])
        return self._message(message, texts, conversation)

    def _message(
        self, message: BaseMessage, shown: Iterator[str], conversation: str
    ) -> BaseMessage:
        update: dict[str, Any] = {"content": _with_texts(message.content, shown)}
        if message.name is not None:
            update["name"] = self.pipeline.mask(conversation, message.name)
        if isinstance(update["content"], list):
            update["content"] = [
                block if isinstance(block, str) else self.value(block, conversation, texts=True)
                for block in update["content"]
            ]
        for name in ("additional_kwargs", "response_metadata"):
            update[name] = self.value(getattr(message, name), conversation)
        if isinstance(message, AIMessage):
            for name in ("tool_calls", "invalid_tool_calls"):
                update[name] = self.value(getattr(message, name), conversation)
        if isinstance(message, ToolMessage):
            update["artifact"] = self.value(message.artifact, conversation, named=False)
        if all(getattr(message, name) == value for name, value in update.items()):
            return message
        return message.model_copy(update=update)

    def value(
        self, value: Any, conversation: str, *, texts: bool = False, named: bool = True
    ) -> Any:
        """Anything made of dicts and lists, with every string in it masked by itself.

        `texts`: what stands under the name of a text is masked already. `named`: keys mean what
        LangChain means by them.
        """
        if isinstance(value, str):
            return self.pipeline.mask(conversation, value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            shown = self.pipeline.mask(conversation, str(value))
            return value if shown == str(value) else shown
        if isinstance(value, BaseMessage):
            return self.message(value, conversation)
        if isinstance(value, dict):
            held: dict[Any, Any] = {}
            for name, each in value.items():
                if named and name == _DROPPED:
                    continue
                key = self._key(name, held, conversation)
                if named and _is_kept(name, each, texts=texts):
                    held[key] = each
                elif named and name in _DOCUMENTS and isinstance(each, str):
                    held[key] = self.document(each, conversation)
                else:
                    inner = named and name not in _VALUES
                    held[key] = self.value(each, conversation, named=inner)
            return held
        if isinstance(value, list | tuple):
            items = [self.value(each, conversation, named=named) for each in value]
            return tuple(items) if type(value) is tuple else items
        return value

    def _key(self, name: Any, taken: Container[Any], conversation: str) -> Any:
        """The name of a value; two that are masked alike stay two."""
        shown = self.pipeline.mask(conversation, name) if isinstance(name, str) else name
        while shown in taken:
            shown = f"{shown}*"
        return shown

    def document(self, text: str, conversation: str) -> str:
        """A string that holds JSON, such as the arguments of a call: masked, it still does."""
        pipeline = self.pipeline
        try:
            document = documents.read(text, lambda each: pipeline.mask(conversation, each))
        except ValueError:
            return pipeline.mask(conversation, text)
        for slot in documents.slots(document, documents.ALL):
            document.put(slot, pipeline.mask(conversation, slot.text))
        return document.write().decode() if document.altered else text

    def restored(self, value: Any, conversation: str) -> Any:
        """Anything made of dicts and lists, with what its tokens stand for."""
        if isinstance(value, str):
            return self.pipeline.restore(conversation, value)
        if isinstance(value, dict):
            return {name: self.restored(each, conversation) for name, each in value.items()}
        if isinstance(value, list):
            return [self.restored(each, conversation) for each in value]
        return value

    def answer(self, message: BaseMessage, conversation: str) -> BaseMessage:
        """What a model said, whole."""
        restore = self.restores
        texts = [
            self.pipeline.mask(conversation, text, restore=restore)
            for text in _texts(message.content)
        ]
        return self._message(message, iter(texts), conversation)


def _is_kept(name: str, value: Any, *, texts: bool) -> bool:
    if name in _BLOBS:
        return isinstance(value, str) and documents.is_blob(value)
    return name in _KEPT or (texts and name in _TEXTS)


def _texts(content: Any) -> list[str]:
    """The texts of a message's content, in their order."""
    if isinstance(content, str):
        return [content]
    found = []
    for block in content:
        if isinstance(block, str):
            found.append(block)
        else:
            found += [block[name] for name in _TEXTS if isinstance(block.get(name), str)]
    return found


def _with_texts(content: Any, shown: Iterator[str]) -> Any:
    """The content with other texts."""
    if isinstance(content, str):
        return next(shown)
    blocks: list[Any] = []
    for block in content:
        if isinstance(block, str):
            blocks.append(next(shown))
        else:
            names = [name for name in _TEXTS if isinstance(block.get(name), str)]
            blocks.append({**block, **{name: next(shown) for name in names}})
    return blocks


# Where a text of a streamed answer stands: the blocks around it, outermost first, each by the name
# it stands under, its type and its index.
_Place = tuple[tuple[str, str | None, int | None], ...]
_PLAIN: _Place = (("", "text", None),)
_ADDITIONAL: _Place = (("additional_kwargs", None, None),)


def _block_with(text: str, place: _Place, name: str) -> dict[str, Any]:
    """A block with nothing in it but a text in that place."""
    held: dict[str, Any] = {name: text}
    for under, kind, index in reversed(place):
        own = {"type": kind, "index": index}
        held |= {each: value for each, value in own.items() if value is not None}
        if under:
            held = {under: [held]}
    return held


class AnswerStream:
    """One streamed answer: a redactor for each text in it, arguments whole at the end."""

    def __init__(self, masking: MessageMasker, talk: Talk) -> None:
        self._masking = masking
        self._conversation = talk.conversation_id
        self._replies: dict[Any, ReplyText] = {}
        self._arguments: dict[Any, dict[str, Any]] = {}
        self._in_blocks = False

    def feed(self, chunk: ChatGenerationChunk) -> ChatGenerationChunk:
        """The chunk with what is safe to show now."""
        message = chunk.message
        update: dict[str, Any] = {
            "content": self._content(message.content),
            "additional_kwargs": self._additional(message.additional_kwargs),
            "response_metadata": self._masking.value(message.response_metadata, self._conversation),
        }
        if isinstance(message, AIMessageChunk):
            update["tool_call_chunks"] = [self._call(call) for call in message.tool_call_chunks]
            if message.chunk_position == "last":
                self._end(update)
            shown: Any = AIMessageChunk(
                **update, id=message.id, name=message.name, usage_metadata=message.usage_metadata,
                chunk_position=message.chunk_position,
            )  # fmt: skip
        else:
            shown = message.model_copy(update=update)
        info = chunk.generation_info
        info = self._masking.value(info, self._conversation) if info else info
        return ChatGenerationChunk(message=shown, generation_info=info)

    def close(self) -> ChatGenerationChunk | None:
        """The answer is over: what still waited, where there is anything."""
        update: dict[str, Any] = {"content": [] if self._in_blocks else "", "tool_call_chunks": []}
        self._end(update)
        if not any(update.values()):
            return None
        return ChatGenerationChunk(message=AIMessageChunk(**update))

    def _end(self, update: dict[str, Any]) -> None:
        for key, reply in self._replies.items():
            rest = reply.close()
            if not rest:
                continue
            place, name = key
            if place == _ADDITIONAL:
                held = update.setdefault("additional_kwargs", {})
                held[name] = held.get(name, "") + rest
            elif isinstance(update["content"], str):
                update["content"] += rest
            else:
                update["content"].append(_block_with(rest, place, name))
        for call in self._arguments.values():
            whole, call["args"] = call["args"], ""
            if whole:
                arguments = self._masking.document(whole, self._conversation)
                update["tool_call_chunks"].append({**call, "args": arguments})
        self._replies.clear()
        self._arguments.clear()

    def _content(self, content: Any) -> Any:
        if isinstance(content, str):
            return self._reply((_PLAIN, "text")).feed(content)
        self._in_blocks = True
        blocks: list[Any] = []
        for block in content:
            if isinstance(block, str):
                blocks.append(self._reply((_PLAIN, "text")).feed(block))
                continue
            if block.get("type") in ("tool_call_chunk", "input_json_delta", "tool_use"):
                # The same call is in the message's own list of them.
                continue
            blocks.append(
                self._block(block, (("", block.get("type", "text"), block.get("index")),))
            )
        return blocks

    def _block(self, block: dict[str, Any], place: _Place) -> dict[str, Any]:
        """A block, and the blocks in it: each text of each is a stream."""
        shown: dict[str, Any] = self._masking.value(block, self._conversation, texts=True)
        for name, held in block.items():
            if name in _TEXTS and isinstance(held, str):
                shown[name] = self._reply((place, name)).feed(held)
            elif name not in _VALUES and isinstance(held, list):
                shown[name] = [
                    self._block(each, (*place, (name, each.get("type"), each.get("index", at))))
                    if isinstance(each, dict)
                    else self._masking.value(each, self._conversation)
                    for at, each in enumerate(held)
                ]
        return shown

    def _additional(self, values: dict[str, Any]) -> dict[str, Any]:
        shown = {}
        for name, value in values.items():
            if isinstance(value, str) and name not in _KEPT:
                shown[name] = self._reply((_ADDITIONAL, name)).feed(value)
            elif name not in ("tool_calls", "function_call"):
                shown[name] = self._masking.value(value, self._conversation)
        return shown

    def _call(self, call: Any) -> dict[str, Any]:
        key = call.get("index") if call.get("index") is not None else call.get("id")
        held = self._arguments.setdefault(
            key, {"name": None, "id": None, "index": call.get("index"), "args": ""}
        )
        held["args"] += call.get("args") or ""
        return {**call, "args": ""}

    def _reply(self, key: Any) -> ReplyText:
        reply = self._replies.get(key)
        if reply is None:
            tokens = self._masking.pipeline.tokens_of(self._conversation)
            message = Message(self._conversation, f"reply-{uuid4()}", "assistant", "")
            rules = self._masking.pipeline.masker.rule_set
            reply = ReplyText(rules, message, tokens=tokens if self._masking.restores else None)
            self._replies[key] = reply
        return reply

"""masker in a LangChain agent: `create_agent(model, middleware=[MaskerMiddleware(masker)])`.

Numbers are masked where they come in, so that nothing behind can see them, whatever other
middleware there is and in whatever order:

* `before_agent` masks every message of the state, the history included, before any other hook
  reads it; `before_model` does the same for what was added since.
* The model that is called is one that masks: what it is sent, and what it says, chunk by
  chunk, before any callback is told. So streams of every kind show masked text.
* What a tool gives is masked before it is in the state.

With a `thread_id` a number may come in several runs: what was said in the thread is remembered
(`redactor=` for several workers). Without one, each run is a conversation of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple, NotRequired
from uuid import uuid4

from masker.errors import MissingExtraError

try:
    from langchain.agents.middleware import (
        AgentMiddleware,
        AgentState,
        ModelRequest,
        ModelResponse,
    )
    from langchain.agents.middleware.types import PrivateStateAttr
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
    from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
    from langchain_core.runnables import Runnable, RunnableBinding
    from langgraph.config import get_config
    from langgraph.types import Command
    from pydantic import PrivateAttr
except ImportError as error:
    raise MissingExtraError(extra="langchain") from error

from masker.core.messages import Message
from masker.masker import Masker
from masker.middleware import documents
from masker.middleware.flow import ConversationRedactor, Store
from masker.middleware.history import Unfinished
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
# Token probabilities say a text again, in pieces.
_DROPPED = "logprobs"


class _Talk(NamedTuple):
    """The conversation that messages are of; where it is remembered they come one by one."""

    conversation_id: str
    remembered: bool


class _Masking:
    """How the messages of LangChain go through a pipeline."""

    def __init__(self, pipeline: Pipeline, *, restores: bool) -> None:
        self.pipeline = pipeline
        self.restores = restores

    def messages(self, messages: Sequence[BaseMessage], talk: _Talk) -> list[BaseMessage]:
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
            texts = [self.pipeline.receive(each).text or "" for each in said]
        else:
            texts = self.pipeline.scan(said)
        shown = iter(texts)
        return [self._message(message, shown, conversation) for message in messages]

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


class _Stream:
    """One streamed answer: a redactor for each text in it, arguments whole at the end."""

    def __init__(self, masking: _Masking, talk: _Talk) -> None:
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


class MaskedChatModel(BaseChatModel):
    """A chat model that is sent masked messages, and whose answers are masked as they come.

    It may be used without an agent; within one, `MaskerMiddleware` puts it around the model.
    Callbacks, tracers and caches see what it sees. Those of the model inside are not called.
    """

    inner: BaseChatModel
    _masking: _Masking = PrivateAttr()
    _talk: _Talk | None = PrivateAttr(default=None)

    def __init__(
        self,
        inner: BaseChatModel,
        masker: Masker | None = None,
        *,
        tokens: bool = False,
        unfinished: Unfinished = "masked",
        _masking: _Masking | None = None,
        _talk: _Talk | None = None,
    ) -> None:
        streams = (
            type(inner)._stream is not BaseChatModel._stream
            or type(inner)._astream is not BaseChatModel._astream
        )
        fields: dict[str, Any] = {
            "inner": inner,
            "cache": inner.cache,
            "rate_limiter": inner.rate_limiter,
            "disable_streaming": inner.disable_streaming if streams else True,
            "profile": inner.profile,
            "output_version": inner.output_version,
        }
        super().__init__(**fields)
        self._masking = _masking or _Masking(
            Pipeline(masker or Masker(), tokens=tokens, unfinished=unfinished), restores=tokens
        )
        self._talk = _talk

    @property
    def _llm_type(self) -> str:
        return self.inner._llm_type

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return dict(self.inner._identifying_params)

    @property
    def model_name(self) -> str:
        """The name of the model inside."""
        names = ("model_name", "model", "model_id")
        return next((str(name) for at in names if (name := getattr(self.inner, at, None))), "")

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return self.inner._get_ls_params(stop=stop, **kwargs)

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[Any, AIMessage]:
        """The same model, with tools as the model inside wants them described."""
        bound = self.inner.bind_tools(tools, **kwargs)
        if not isinstance(bound, RunnableBinding):
            raise TypeError("the model's bind_tools gives no binding")
        return self.bind(**bound.kwargs)

    @contextmanager
    def _talking(self) -> Iterator[_Talk]:
        """The conversation of one call; where it has none, it is one by itself."""
        if self._talk is not None:
            yield self._talk
            return
        talk = _Talk(f"call-{uuid4()}", remembered=False)
        try:
            yield talk
        finally:
            self._masking.pipeline.close(talk.conversation_id)

    def _answer(self, result: ChatResult, talk: _Talk) -> ChatResult:
        conversation = talk.conversation_id
        generations = [
            ChatGeneration(
                message=self._masking.answer(each.message, conversation),
                generation_info=self._masking.value(each.generation_info, conversation),
            )
            for each in result.generations
        ]
        output = self._masking.value(result.llm_output, conversation)
        return ChatResult(generations=generations, llm_output=output)

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:  # fmt: skip
        with self._talking() as talk:
            masked = self._masking.messages(messages, talk)
            return self._answer(self.inner._generate(masked, stop=stop, **kwargs), talk)

    async def _agenerate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:  # fmt: skip
        with self._talking() as talk:
            masked = self._masking.messages(messages, talk)
            return self._answer(await self.inner._agenerate(masked, stop=stop, **kwargs), talk)

    def _stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:  # fmt: skip
        with self._talking() as talk:
            stream = _Stream(self._masking, talk)
            masked = self._masking.messages(messages, talk)
            for chunk in self.inner._stream(masked, stop=stop, **kwargs):
                yield stream.feed(chunk)
            if rest := stream.close():
                yield rest

    async def _astream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:  # fmt: skip
        with self._talking() as talk:
            stream = _Stream(self._masking, talk)
            masked = self._masking.messages(messages, talk)
            async for chunk in self.inner._astream(masked, stop=stop, **kwargs):
                yield stream.feed(chunk)
            if rest := stream.close():
                yield rest


class _State(AgentState[Any]):
    """A run without a thread has a name of its own, for its tokens."""

    masker_run: NotRequired[Annotated[str, PrivateStateAttr]]


class MaskerMiddleware(AgentMiddleware[Any, Any, Any]):
    """Masks what an agent reads and says.

    * `tokens`: the model sees `<CARD_1>`; a tool that it calls with it gets the original, and so
      does who reads the stream of its answer. The state of a thread, and with it every checkpoint,
      keeps the token, and `restore` gives back what it stands for; an answer without a thread
      is given the original back at once.
    * `unfinished="shown"`: without a thread, the model sees the "4" of a last "see page 4", which
      may be the start of a number, as long as no word calls it one.
    * `store`: takes what was said in threads, masked.
    * `redactor`: what puts the numbers of threads together.
    """

    state_schema = _State

    def __init__(
        self,
        masker: Masker | None = None,
        *,
        tokens: bool = False,
        unfinished: Unfinished = "masked",
        store: Store | None = None,
        redactor: ConversationRedactor | None = None,
    ) -> None:
        super().__init__()
        pipeline = Pipeline(
            masker or Masker(), tokens=tokens, unfinished=unfinished, store=store,
            redactor=redactor,
        )  # fmt: skip
        self._masking = _Masking(pipeline, restores=tokens)
        self._tokens = tokens

    def restore(self, thread_id: str, text: str) -> str:
        """A text with what the tokens of a thread stand for."""
        return self._masking.pipeline.restore(thread_id, text)

    def forget(self, thread_id: str) -> None:
        """A thread is over: nothing of its numbers is remembered."""
        self._masking.pipeline.close(thread_id)

    def _state(self, state: Any) -> dict[str, Any] | None:
        messages = state["messages"]
        masked = self._masking.messages(messages, self._talk(state))
        changed = [
            after for before, after in zip(messages, masked, strict=True) if after is not before
        ]
        return {"messages": changed} if changed else None

    def before_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """Mask all messages, before anything else reads them."""
        run = f"run-{uuid4()}"
        update = self._state({**state, "masker_run": run})
        return {**(update or {}), "masker_run": run}

    async def abefore_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """Mask all messages, before anything else reads them."""
        return self.before_agent(state, runtime)

    def before_model(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """Mask what was added since."""
        return self._state(state)

    async def abefore_model(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """Mask what was added since."""
        return self._state(state)

    def after_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """Store the answer; where nothing of the run is kept, give it the originals instead."""
        talk = self._talk(state)
        if talk.remembered:
            return self._state(state)
        last = state["messages"][-1] if state["messages"] else None
        update = None
        if self._tokens and isinstance(last, AIMessage):
            content = self._masking.restored(last.content, talk.conversation_id)
            if content != last.content:
                update = {"messages": [last.model_copy(update={"content": content})]}
        self._masking.pipeline.close(talk.conversation_id)
        return update

    async def aafter_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """Store the answer; where nothing of the run is kept, give it the originals instead."""
        return self.after_agent(state, runtime)

    def _request(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        model = request.model
        if not isinstance(model, MaskedChatModel):
            talk = self._talk(request.state)
            model = MaskedChatModel(model, _masking=self._masking, _talk=talk)
        return request.override(model=model)

    def _response(self, response: Any, state: Any) -> Any:
        """What goes into the state: tokens again for what was shown to who reads the stream."""
        if not self._tokens or not isinstance(response, ModelResponse):
            return response
        conversation = self._talk(state).conversation_id
        response.result = [self._masking.message(each, conversation) for each in response.result]
        return response

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> Any:
        """Call a model that masks."""
        return self._response(handler(self._request(request)), request.state)

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> Any:
        """Call a model that masks."""
        return self._response(await handler(self._request(request)), request.state)

    def _call(self, request: Any) -> Any:
        if not self._tokens:
            return request
        call = request.tool_call
        conversation = self._talk(request.state).conversation_id
        arguments = self._masking.restored(call["args"], conversation)
        return request.override(tool_call={**call, "args": arguments})

    def _result(self, result: Any, state: Any) -> Any:
        conversation = self._talk(state).conversation_id
        if isinstance(result, ToolMessage):
            return self._masking.message(result, conversation)
        if isinstance(result, Command):
            update = self._masking.value(result.update, conversation, named=False)
            return Command(
                graph=result.graph, update=update, resume=result.resume, goto=result.goto
            )
        return result

    def wrap_tool_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Give a tool the originals, and mask what it gives."""
        return self._result(handler(self._call(request)), request.state)

    async def awrap_tool_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Give a tool the originals, and mask what it gives."""
        return self._result(await handler(self._call(request)), request.state)

    def _talk(self, state: Any) -> _Talk:
        try:
            configurable = get_config().get("configurable", {})
        except RuntimeError:
            configurable = {}
        thread = configurable.get("thread_id")
        if thread is not None:
            return _Talk(str(thread), remembered=True)
        run = state.get("masker_run") if isinstance(state, dict) else None
        return _Talk(run or f"run-{uuid4()}", remembered=False)

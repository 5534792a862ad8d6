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

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NotRequired
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
    from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
    from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
    from langchain_core.runnables import Runnable, RunnableBinding
    from langgraph.config import get_config
    from langgraph.types import Command
    from pydantic import PrivateAttr
except ImportError as error:
    raise MissingExtraError(extra="langchain") from error

from masker.masker import Masker
from masker.middleware.history import Unfinished
from masker.middleware.langchain_messages import AnswerStream, MessageMasker, Talk
from masker.middleware.pipeline import Pipeline
from masker.middleware.stages import ConversationRedactor, Store


class MaskedChatModel(BaseChatModel):
    """A chat model that is sent masked messages, and whose answers are masked as they come.

    It may be used without an agent; within one, `MaskerMiddleware` puts it around the model.
    Callbacks, tracers and caches see what it sees. Those of the model inside are not called.
    """

    inner: BaseChatModel
    _masking: MessageMasker = PrivateAttr()
    _talk: Talk | None = PrivateAttr(default=None)

    def __init__(
        self,
        inner: BaseChatModel,
        masker: Masker | None = None,
        *,
        tokens: bool = False,
        unfinished: Unfinished = "masked",
        _masking: MessageMasker | None = None,
        _talk: Talk | None = None,
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
        self._masking = _masking or MessageMasker(
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
    def _talking(self) -> Iterator[Talk]:
        """The conversation of one call; where it has none, it is one by itself."""
        if self._talk is not None:
            yield self._talk
            return
        talk = Talk(f"call-{uuid4()}", remembered=False)
        try:
            yield talk
        finally:
            self._masking.pipeline.close(talk.conversation_id)

    def _answer(self, result: ChatResult, talk: Talk) -> ChatResult:
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
            stream = AnswerStream(self._masking, talk)
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
            stream = AnswerStream(self._masking, talk)
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
        self._masking = MessageMasker(pipeline, restores=tokens)
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

    def _talk(self, state: Any) -> Talk:
        try:
            configurable = get_config().get("configurable", {})
        except RuntimeError:
            configurable = {}
        thread = configurable.get("thread_id")
        if thread is not None:
            return Talk(str(thread), remembered=True)
        run = state.get("masker_run") if isinstance(state, dict) else None
        return Talk(run or f"run-{uuid4()}", remembered=False)

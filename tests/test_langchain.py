"""A LangChain agent: what its models, tools, summaries, streams and checkpoints see."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from langchain.agents import create_agent
from langchain.agents.middleware import PIIMiddleware, SummarizationMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import Field

from masker import Masker
from masker.middleware.langchain import MaskedChatModel, MaskerMiddleware
from models import Model
from pipelines import ListStore, chunked, seeds
from servers import served
from strategies import Written, join, written_numbers

MASKER = Masker()
CARD = "4111111111111111"
SPACED = "4111 1111 1111 1111"
MASKED = "**** **** **** 1111"


class Scripted(BaseChatModel):
    """A model that remembers what it was asked, and says what it is told to, chunk by chunk."""

    asked: list[list[BaseMessage]] = Field(default_factory=list)
    script: list[list[AIMessageChunk]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def seen(self) -> str:
        return str(self.asked)

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.bind(tools=[each.name for each in tools])

    def _next(self, messages: list[BaseMessage]) -> list[AIMessageChunk]:
        self.asked.append(messages)
        return self.script.pop(0) if self.script else [AIMessageChunk(content="fine")]

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> ChatResult:
        chunks = self._next(messages)
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole = whole + chunk
        message = AIMessage(content=whole.content, tool_calls=whole.tool_calls)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self._next(messages):
            yield ChatGenerationChunk(message=chunk)

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._next(messages):
            yield ChatGenerationChunk(message=chunk)


def says(*texts: str) -> list[AIMessageChunk]:
    return [AIMessageChunk(content=text) for text in texts]


def calls(name: str, *arguments: str) -> list[AIMessageChunk]:
    """A tool call whose arguments come in these chunks."""
    first = {"name": name, "args": "", "id": "call_1", "index": 0}
    rest = [{"name": None, "args": piece, "id": None, "index": 0} for piece in arguments]
    return [AIMessageChunk(content="", tool_call_chunks=[call]) for call in [first, *rest]]  # type: ignore[list-item]


def model(*script: list[AIMessageChunk]) -> Scripted:
    return Scripted(asked=[], script=list(script))


def agent_of(chat: BaseChatModel, *middleware: Any, tools: Sequence[Any] = (), **more: Any) -> Any:
    return create_agent(chat, tools=list(tools), middleware=list(middleware), **more)


HISTORY = [
    HumanMessage(f"my card is {SPACED}, thank you"),
    AIMessage("noted"),
    HumanMessage("what is the weather?"),
]


# -- what the issues say ----------------------------------------------------------------------


def test_issue_40704_a_number_in_the_history_does_not_reach_the_model() -> None:
    """Langchain 40704: PIIMiddleware looks at the newest message of each kind alone."""
    theirs = model()
    agent_of(theirs, PIIMiddleware("credit_card", strategy="mask")).invoke({"messages": HISTORY})
    assert SPACED in theirs.seen
    ours = model()
    agent_of(ours, MaskerMiddleware(MASKER)).invoke({"messages": HISTORY})
    assert SPACED not in ours.seen
    assert "**** **** ****" in ours.seen


@pytest.mark.parametrize("summary_first", [True, False])
def test_issue_40725_the_summary_model_sees_no_number(summary_first: bool) -> None:
    """Langchain 40725: a summary is made of the raw history, in whatever order the hooks stand."""

    def prompt_of(guard: Any) -> str:
        summarizer = model(says("they talked"))
        summarizing: Any = SummarizationMiddleware(
            model=summarizer, trigger=("messages", 2), keep=("messages", 1)
        )
        order = [summarizing, guard] if summary_first else [guard, summarizing]
        agent_of(model(), *order).invoke({"messages": HISTORY})
        assert len(summarizer.asked) == 1
        return summarizer.seen

    assert SPACED in prompt_of(PIIMiddleware("credit_card", strategy="mask"))
    assert SPACED not in prompt_of(MaskerMiddleware(MASKER))


PIECES = ("your card is 41", "11 1111 11", "11 1111", ", is it not?")


def test_issue_35011_streamed_tokens_are_masked() -> None:
    """Langchain 35011: streamed tokens go out before output middleware has seen them."""

    def shown_by(guard: Any) -> str:
        agent = agent_of(model(says(*PIECES)), guard)
        stream = agent.stream({"messages": [HumanMessage("hi")]}, stream_mode="messages")
        return "".join(str(c.content) for c, _ in stream if isinstance(c, AIMessageChunk))

    theirs = shown_by(PIIMiddleware("credit_card", strategy="mask", apply_to_output=True))
    assert SPACED in theirs
    assert shown_by(MaskerMiddleware(MASKER)) == f"your card is {MASKED}, is it not?"


# -- streams ----------------------------------------------------------------------------------


@settings(max_examples=12)
@given(written_numbers(), seeds())
def test_a_streamed_answer_is_what_the_whole_would_be(
    digits: tuple[Written, ...], seed: int
) -> None:
    whole = "this is it: " + join(digits).text + " and so on, for a while."
    expected = MASKER.mask(whole).text
    agent = agent_of(model(says(*chunked(whole, seed))), MaskerMiddleware(MASKER))
    stream = agent.stream({"messages": [HumanMessage("hi")]}, stream_mode="messages")
    assert "".join(chunk.content for chunk, _ in stream) == expected
    agent = agent_of(model(says(*chunked(whole, seed))), MaskerMiddleware(MASKER))
    assert agent.invoke({"messages": [HumanMessage("hi")]})["messages"][-1].content == expected


def test_every_way_to_stream_is_masked() -> None:
    async def everything() -> str:
        seen = []
        for mode in ("messages", "updates", "values", "debug"):
            agent = agent_of(model(says(*PIECES)), MaskerMiddleware(MASKER))
            asked = {"messages": [HumanMessage("hi")]}
            seen += [str(each) async for each in agent.astream(asked, stream_mode=mode)]
        agent = agent_of(model(says(*PIECES)), MaskerMiddleware(MASKER))
        asked = {"messages": [HumanMessage("hi")]}
        seen += [str(each) async for each in agent.astream_events(asked, version="v2")]
        return "".join(seen)

    shown = asyncio.run(everything())
    assert "your card is" in shown
    assert SPACED not in shown
    assert "41" not in shown.replace(MASKED, "").split("your card is", 1)[1][:40]


def test_blocks_of_content_are_streams_of_their_own() -> None:
    def block(kind: str, index: int, text: str) -> AIMessageChunk:
        name = "reasoning" if kind == "reasoning" else "text"
        return AIMessageChunk(content=[{"type": kind, name: text, "index": index}])

    script = [
        block("reasoning", 0, "it was 4111 11"), block("reasoning", 0, "11 1111 1111, I think"),
        block("text", 1, "4111 "), block("text", 1, "1111 1111 1111"),
    ]  # fmt: skip
    chat = MaskedChatModel(model(script), MASKER)
    chunks = list(chat.stream("hi"))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    blocks: Any = whole.content
    assert [(b["type"], b.get("text") or b.get("reasoning")) for b in blocks] == [
        ("reasoning", f"it was {MASKED}, I think"),
        ("text", MASKED),
    ]


# -- tools ------------------------------------------------------------------------------------


def test_what_a_tool_gives_is_masked_before_anything_reads_it() -> None:
    @tool
    def lookup(name: str) -> str:
        """Look a card up."""
        return f"the card of {name} is {SPACED}, it is good"

    chat = model(calls("lookup", '{"name": ', '"Ann"}'), says("done"))
    agent = agent_of(chat, MaskerMiddleware(MASKER), tools=[lookup])
    result = agent.invoke({"messages": [HumanMessage("look it up")]})
    assert SPACED not in chat.seen + str(result)
    assert [m.content for m in result["messages"] if isinstance(m, ToolMessage)] == [
        f"the card of Ann is {MASKED}, it is good"
    ]


def test_arguments_of_tool_calls_are_masked_and_stay_documents() -> None:
    given_to: list[Any] = []

    @tool
    def charge(card: str, cents: int) -> str:
        """Charge a card."""
        given_to.append((card, cents))
        return "ok"

    for streamed in (False, True):
        script = calls("charge", '{"card": 4111', "11111111", '1111, "cents": 1250}')
        chat = model(script, says("done"))
        agent = agent_of(chat, MaskerMiddleware(MASKER), tools=[charge])
        asked = {"messages": [HumanMessage("charge it")]}
        if streamed:
            seen = str(list(agent.stream(asked, stream_mode="messages")))
        else:
            seen = str(agent.invoke(asked))
        assert CARD not in seen
        assert "41111111" not in seen
    assert given_to == [("************1111", 1250)] * 2


@pytest.mark.parametrize("threaded", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_and_the_reader_get_the_original_and_the_model_a_token(
    threaded: bool, streamed: bool
) -> None:
    given_to: list[str] = []

    @tool
    def charge(card: str) -> str:
        """Charge a card."""
        given_to.append(card)
        return f"charged {card} today"

    chat = model(
        calls("charge", '{"card": "<CAR', 'D_1>"}'), says("I charged <CA", "RD_1", "> now")
    )
    saver = InMemorySaver() if threaded else None
    guard = MaskerMiddleware(MASKER, tokens=True)
    agent = agent_of(chat, guard, tools=[charge], checkpointer=saver)
    config = {"configurable": {"thread_id": "t1"}} if threaded else {}
    asked = {"messages": [HumanMessage(f"charge {CARD}, please")]}
    if streamed:
        stream = list(agent.stream(asked, config, stream_mode="messages"))
        shown = "".join(str(c.content) for c, _ in stream if isinstance(c, AIMessageChunk))
        assert shown == f"I charged {CARD} now"
    else:
        answer = agent.invoke(asked, config)["messages"][-1].content
        assert answer == f"I charged {'<CARD_1>' if threaded else CARD} now"
        if threaded:
            assert guard.restore("t1", answer) == f"I charged {CARD} now"
    assert given_to == [CARD]
    assert CARD not in chat.seen
    assert "charge <CARD_1>, please" in chat.seen
    assert "charged <CARD_1> today" in chat.seen
    if threaded:
        state = str(agent.get_state(config).values)
        assert CARD not in state
        guard.forget("t1")
        assert guard.restore("t1", "<CARD_1>") == "<CARD_1>"


def test_no_key_of_an_argument_hides_a_number() -> None:
    @tool
    def note(data: str, id: str, name: str) -> str:  # noqa: A002 - what a tool may well call it
        """Note something."""
        return "ok"

    arguments = json.dumps({"data": CARD, "id": CARD, "name": CARD})
    for streamed in (False, True):
        chat = model(calls("note", arguments), says("done"))
        agent = agent_of(chat, MaskerMiddleware(MASKER), tools=[note])
        asked: Any = {"messages": [HumanMessage("note it")]}
        seen = agent.stream(asked, stream_mode="messages") if streamed else [agent.invoke(asked)]
        assert CARD not in str(list(seen)) + chat.seen


# -- threads ----------------------------------------------------------------------------------


def test_a_number_over_several_runs_of_a_thread_is_put_together() -> None:
    store = ListStore()
    chat = model()
    guard = MaskerMiddleware(MASKER, store=store)
    agent = agent_of(chat, guard, checkpointer=InMemorySaver())
    for thread in ("t1", "t2"):
        config = {"configurable": {"thread_id": thread}}
        for part in ("前面是6222 0212", "后面是3456 789", "最后0128，就这些"):
            agent.invoke({"messages": [HumanMessage(part)]}, config)
        said = [m.content for m in chat.asked[-1] if isinstance(m, HumanMessage)]
        assert said[:2] == ["前面是**** ****", "后面是**** ***"]
        assert set(said[2]) <= set("最后，就这些*0128")
        state = agent.get_state(config).values["messages"]
        assert [m.content for m in state if isinstance(m, HumanMessage)] == said
    assert "6222" not in str([message.text for message in store.saved])
    assert len(store.transcript) == 12


def test_parts_in_one_run_are_put_together() -> None:
    chat = model()
    parts = [
        HumanMessage(part) for part in ("前面是6222 0212", "后面是3456 789", "最后0128，就这些")
    ]
    agent_of(chat, MaskerMiddleware(MASKER)).invoke({"messages": parts})
    assert [m.content for m in chat.asked[-1]][:2] == ["前面是**** ****", "后面是**** ***"]


def test_what_a_question_ends_with_is_masked_unless_it_is_to_be_shown() -> None:
    for unfinished, seen in (("masked", "see page *"), ("shown", "see page 4")):
        chat = model()
        guard = MaskerMiddleware(MASKER, unfinished=unfinished)  # type: ignore[arg-type]
        agent_of(chat, guard).invoke({"messages": [HumanMessage("see page 4")]})
        assert chat.asked[-1][0].content == seen


def test_system_prompts_and_blocks_are_masked() -> None:
    chat = model()
    agent = agent_of(chat, MaskerMiddleware(MASKER), system_prompt=f"the card {SPACED} is ours")
    content: Any = [
        {"type": "text", "text": f"is {SPACED} good?"},
        {"type": "image", "base64": "iVBORw0KGgo4" * 40, "mime_type": "image/png"},
    ]
    agent.invoke({"messages": [HumanMessage(content)]})
    system, human = chat.asked[-1]
    assert isinstance(system, SystemMessage)
    assert SPACED not in str(system)
    assert SPACED not in str(human)
    assert human.content[1] == content[1]


# -- failures ---------------------------------------------------------------------------------


def test_masking_that_breaks_lets_nothing_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise ValueError

    with monkeypatch.context() as patch:
        patch.setattr("masker.middleware.flow.scan", broken)
        chat = model()
        agent_of(chat, MaskerMiddleware(MASKER)).invoke({"messages": [HumanMessage(SPACED)]})
        assert "4111" not in chat.seen
        assert "**** **** **** ****" in chat.seen
    with monkeypatch.context() as patch:
        patch.setattr("masker.middleware.replies.first_undecided", broken)
        patch.setattr("masker.middleware.replies.detect.mask", broken)
        agent = agent_of(model(says(*PIECES)), MaskerMiddleware(MASKER))
        stream = agent.stream({"messages": [HumanMessage("hi")]}, stream_mode="messages")
        assert not any(char.isdigit() for chunk, _ in stream for char in chunk.content)


def test_an_error_of_the_model_is_an_error() -> None:
    class Failing(Scripted):
        def _next(self, messages: list[BaseMessage]) -> list[AIMessageChunk]:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        agent_of(Failing(), MaskerMiddleware(MASKER)).invoke({"messages": [HumanMessage("hi")]})


# -- a real model class over HTTP ----------------------------------------------------------------


@pytest.fixture(scope="module")
def served_model() -> Iterator[tuple[Model, str]]:
    spoken = Model()
    with served(spoken.app()) as address:
        yield spoken, f"http://{address}/v1"


@pytest.mark.parametrize("responses", [False, True])
def test_an_openai_model_is_masked_both_ways(
    served_model: tuple[Model, str], responses: bool
) -> None:
    spoken, address = served_model
    spoken.__init__()  # type: ignore[misc]
    spoken.chunks = list(PIECES)
    chat = ChatOpenAI(
        model="m", base_url=address, api_key="none",  # type: ignore[arg-type]
        use_responses_api=responses,
    )  # fmt: skip
    agent = agent_of(chat, MaskerMiddleware(MASKER))
    asked = {"messages": [HumanMessage(f"is {SPACED} mine? I think so.")]}
    assert agent.invoke(asked)["messages"][-1].text == f"your card is {MASKED}, is it not?"
    assert SPACED not in spoken.seen
    stream = agent.stream(asked, stream_mode="messages")
    assert "".join(chunk.text for chunk, _ in stream) == f"your card is {MASKED}, is it not?"


@pytest.mark.parametrize("streamed", [False, True])
def test_an_openai_model_calls_its_tools(served_model: tuple[Model, str], streamed: bool) -> None:
    given_to: list[str] = []

    @tool
    def charge(card: str) -> str:
        """Charge a card."""
        given_to.append(card)
        spoken.arguments = []
        return "ok"

    spoken, address = served_model
    spoken.__init__()  # type: ignore[misc]
    spoken.arguments = ['{"card": "<CA', 'RD_1>"}']
    chat = ChatOpenAI(model="m", base_url=address, api_key="none")  # type: ignore[arg-type]
    agent = agent_of(chat, MaskerMiddleware(MASKER, tokens=True), tools=[charge])
    asked = {"messages": [HumanMessage(f"charge {CARD}, please")]}
    if streamed:
        assert list(agent.stream(asked, stream_mode="messages"))
    else:
        agent.invoke(asked)
    assert given_to == [CARD]
    assert CARD not in json.dumps(spoken.asked)

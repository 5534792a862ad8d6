"""LangChain: every part of a message, and whatever a tool puts into the state of an agent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents import AgentState, create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.tools import tool
from langgraph.types import Command

from masker import Masker
from masker.middleware.langchain import MaskedChatModel, MaskerMiddleware

MASKER = Masker()
CARD = "4111111111111111"
MASKED = "************1111"


class Fake(GenericFakeChatModel):
    """A model that says what it is told to, and remembers what it was asked."""

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Any:
        self.metadata = {"asked": messages}
        return super()._generate(messages, *args, **kwargs)

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=[each.name for each in tools])

    @property
    def asked(self) -> list[BaseMessage]:
        return list((self.metadata or {})["asked"])


def call(arguments: dict[str, Any]) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": "t", "id": "1", "args": arguments}])


def function(arguments: Any) -> AIMessage:
    held = {"name": "t", "arguments": json.dumps(arguments)}
    return AIMessage("", additional_kwargs={"function_call": held})


@pytest.mark.parametrize(
    "message",
    [
        HumanMessage("x", name=f"who has {CARD}"),
        SystemMessage("x", response_metadata={"a": [CARD], f"of {CARD}": 1}),
        HumanMessage("x", additional_kwargs={"a": CARD, CARD: 1}),
        ToolMessage("x", tool_call_id="1", artifact={"card": CARD, CARD: [(CARD, int(CARD))]}),
        ToolMessage("x", tool_call_id="1", artifact=CARD),
        call({"n": int(CARD)}),
        call({"n": float(CARD)}),
        call({CARD: {"id": CARD}}),
        function({"n": int(CARD), "s": CARD, CARD: 1}),
        HumanMessage([{"type": "image_url", "image_url": {"url": f"data:text/plain,{CARD:.<80}"}}]),
    ],
)  # fmt: skip
def test_no_part_of_a_message_shows_a_number(message: BaseMessage) -> None:
    chat = Fake(messages=iter([message if isinstance(message, AIMessage) else AIMessage("ok")]))
    said = MaskedChatModel(chat, MASKER).invoke([message])
    assert CARD not in repr(chat.asked) + repr(said)
    for each in (*chat.asked, said):
        if "function_call" in each.additional_kwargs:
            json.loads(each.additional_kwargs["function_call"]["arguments"])


def test_names_that_are_masked_alike_stay_two() -> None:
    other = "5105105105101111"
    chat = Fake(messages=iter([AIMessage("ok")]))
    message = HumanMessage("x", additional_kwargs={CARD: 1, MASKED: 2, "plain": 3, other: 4})
    MaskedChatModel(chat, MASKER).invoke([message])
    assert sorted(chat.asked[0].additional_kwargs.values()) == [1, 2, 3, 4]


def test_a_picture_in_base64_comes_through() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo4111="}}
    chat = Fake(messages=iter([AIMessage("ok")]))
    MaskedChatModel(chat, MASKER).invoke([HumanMessage([picture])])
    assert chat.asked[0].content == [picture]


class State(AgentState[Any]):
    """What the tools below write to."""

    notes: str
    things: list[Any]


@tool(response_format="content_and_artifact")
def with_artifact(name: str) -> Any:
    """Give more than the model reads."""
    return "ok", {"card": CARD, "cards": [int(CARD)]}


@tool
def with_state(name: str) -> Any:
    """Write to the state."""
    message = ToolMessage(f"it is {CARD}", tool_call_id="1", artifact=[CARD])
    things = [CARD, {"card": CARD, CARD: 1}, (int(CARD),), HumanMessage(CARD)]
    return Command(update={"messages": [message], "notes": f"note {CARD}", "things": things})


@pytest.mark.parametrize("used", [with_artifact, with_state], ids=lambda used: used.name)
def test_nothing_that_a_tool_gives_is_in_the_state_unmasked(used: Any) -> None:
    calls = [{"name": used.name, "id": "1", "args": {"name": "Ann"}}]
    chat = Fake(messages=iter([AIMessage("", tool_calls=calls), AIMessage("done")]))
    agent = create_agent(
        chat, [used], middleware=[MaskerMiddleware(MASKER)], state_schema=State
    )  # fmt: skip
    state = agent.invoke({"messages": [HumanMessage("look it up")]})
    assert CARD not in repr(state) + repr(chat.asked)
    assert MASKED in repr(state)
    if used is with_state:
        assert state["notes"] == f"note {MASKED}"
        assert state["things"][:3] == [MASKED, {"card": MASKED, MASKED: 1}, (MASKED,)]


class Thinking(Fake):
    """A model whose reasoning comes as summaries within a block, in chunks."""

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        for part in ("it was 4111 11", "11 1111 11", "11, I think"):
            summary = [{"type": "summary_text", "index": 0, "text": part}]
            block = {"type": "reasoning", "index": 0, "summary": summary}
            yield ChatGenerationChunk(message=AIMessageChunk(content=[block]))


def test_a_text_within_a_block_is_a_stream_as_well() -> None:
    chat = MaskedChatModel(Thinking(messages=iter([])), MASKER)
    chunks = list(chat.stream("hi"))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    blocks: Any = whole.content
    (block,) = blocks
    texts = [each["text"] for each in block["summary"]]
    assert "".join(texts) == "it was **** **** **** 1111, I think"
    assert block["type"] == "reasoning"

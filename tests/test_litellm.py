"""LiteLLM: its calls, its proxy's hooks, and what its own guardrail lets through."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given, settings

# LiteLLM fetches a price list when it is imported, unless it is told to take its own.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.types.utils import Delta, ModelResponseStream, StreamingChoices
from pydantic import BaseModel

from masker import Masker
from masker.errors import UnknownRuleError
from masker.middleware.litellm import MaskerGuardrail, MaskingError, ModeRefusedError
from models import Model
from pipelines import chunked, seeds
from servers import served
from strategies import Written, join, written_numbers

# LiteLLM's own types make pydantic warn when they are first used.
pytestmark = pytest.mark.filterwarnings("ignore:.*using the `ReadOnly` qualifier:UserWarning")

MASKER = Masker()
CARD = "4111111111111111"
SPACED = "4111 1111 1111 1111"
MASKED = "**** **** **** 1111"


def chunk(text: str | None, finish: str | None = None, index: int = 0) -> ModelResponseStream:
    delta = Delta(content=text, role="assistant")
    choice = StreamingChoices(index=index, delta=delta, finish_reason=finish)
    return ModelResponseStream(choices=[choice])


async def streamed(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


def texts_of(items: list[Any]) -> list[str]:
    return [item.choices[0].delta.content or "" for item in items]


def through(guard: Any, *items: Any, **more: Any) -> list[Any]:
    """What the proxy sends of a stream behind this guardrail."""

    async def run() -> list[Any]:
        data = {"model": "m", "metadata": {}, "litellm_call_id": "1"}
        hook = guard.async_post_call_streaming_iterator_hook(
            response=streamed(*items), request_data=data, **{"user_api_key_dict": None} | more
        )
        return [item async for item in hook]

    return asyncio.run(run())


# -- what the issue says ----------------------------------------------------------------------


def test_issue_41611_a_value_split_over_chunks_is_masked() -> None:
    """Litellm 41611: its guardrails look at streamed chunks one at a time."""
    from litellm.proxy._types import UserAPIKeyAuth
    from litellm.proxy.guardrails.guardrail_hooks.litellm_content_filter.content_filter import (
        ContentFilterGuardrail,
    )
    from litellm.proxy.guardrails.guardrail_hooks.unified_guardrail.unified_guardrail import (
        UnifiedLLMGuardrails,
    )
    from litellm.types.guardrails import (
        ContentFilterAction,
        ContentFilterPattern,
        GuardrailEventHooks,
    )

    def answer() -> list[Any]:
        pieces = ("your card is 4111 ", "1111 ", "1111 ", "1111, is it not?")
        return [*map(chunk, pieces), chunk(None, "stop")]

    visa = ContentFilterPattern(
        pattern_type="prebuilt", pattern_name="visa", action=ContentFilterAction.MASK
    )
    theirs = ContentFilterGuardrail(
        guardrail_name="theirs", patterns=[visa], default_on=True,
        event_hook=GuardrailEventHooks.post_call,
    )  # fmt: skip
    whole = asyncio.run(
        theirs.apply_guardrail({"texts": [f"it is {SPACED} ok"]}, {}, input_type="response")
    )
    assert SPACED not in str(whole)
    shown = through(
        UnifiedLLMGuardrails(),  # type: ignore[no-untyped-call]
        *answer(),
        user_api_key_dict=UserAPIKeyAuth(request_route="/v1/chat/completions"),
        guardrail_to_apply=theirs,
    )
    assert "".join(texts_of(shown)) == f"your card is {SPACED}, is it not?"
    ours = through(MaskerGuardrail(MASKER), *answer())
    assert "".join(texts_of(ours)) == f"your card is {MASKED}, is it not?"


# -- hooks of the proxy ------------------------------------------------------------------------


@settings(max_examples=15)
@given(written_numbers(), seeds())
def test_a_streamed_answer_is_what_the_whole_would_be(
    digits: tuple[Written, ...], seed: int
) -> None:
    whole = "this is it: " + join(digits).text + " and so on, for a while."
    items = [*map(chunk, chunked(whole, seed)), chunk(None, "stop")]
    for item in items[1:]:
        # Who speaks is said once, as models do.
        item.choices[0].delta.role = None
    shown = through(MaskerGuardrail(MASKER), *items)
    assert "".join(texts_of(shown)) == MASKER.mask(whole).text
    assert shown[-1].choices[0].finish_reason == "stop"


def test_choices_are_streams_of_their_own() -> None:
    items = [chunk("a 4111 11", index=0), chunk("b 4111 1111 ", index=1),
             chunk("11 1111 1111 ok", index=0), chunk("x", index=1),
             chunk(None, "stop", 0), chunk(None, "stop", 1)]  # fmt: skip
    shown = {0: "", 1: ""}
    for item in through(MaskerGuardrail(MASKER), *items):
        shown[item.choices[0].index] += item.choices[0].delta.content or ""
    assert shown == {0: f"a {MASKED} ok", 1: "b 4111 1111 x"}


@pytest.mark.parametrize("as_text", [False, True])
def test_raw_events_of_another_protocol_are_masked(as_text: bool) -> None:
    def event(kind: str, **fields: Any) -> Any:
        raw = f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"
        return raw if as_text else raw.encode()

    def delta(**fields: Any) -> Any:
        return event("content_block_delta", index=0, delta=fields)

    def part(text: str) -> Any:
        return delta(type="input_json_delta", partial_json=text)

    out = through(
        MaskerGuardrail(MASKER),
        event("message_start", message={"id": "msg_1", "role": "assistant", "content": []}),
        delta(type="text_delta", text="it is 4111 11"),
        delta(type="text_delta", text="11 1111 1111 ok"),
        event("content_block_stop", index=0),
        part('{"card": 41111111'),
        part("11111111}"),
        event("content_block_stop", index=0),
        event("message_stop"),
    )
    raw = "".join(item if as_text else item.decode() for item in out)
    events = [json.loads(line[6:]) for line in raw.splitlines() if line.startswith("data: ")]
    deltas = [found["delta"] for found in events if found["type"] == "content_block_delta"]
    assert "".join(found.get("text", "") for found in deltas) == f"it is {MASKED} ok"
    arguments = "".join(found.get("partial_json", "") for found in deltas)
    assert json.loads(arguments) == {"card": "************1111"}
    assert [found["type"] for found in events if "delta" not in found["type"]] == [
        "message_start", "content_block_stop", "content_block_stop", "message_stop",
    ]  # fmt: skip
    assert raw.count("event: content_block_delta") == len(deltas)


def test_the_request_and_what_the_proxy_keeps_of_it_are_masked() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "前面是6222 0212"},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "call_1", "type": "function",
             "function": {"name": "f", "arguments": json.dumps({"card": CARD})}}]},
        {"role": "user", "content": [{"type": "text", "text": "后面是3456 789"}]},
        {"role": "user", "content": "最后0128，就这些"},
    ]  # fmt: skip
    data: dict[str, Any] = {
        "model": "m", "messages": messages, "litellm_call_id": "1", "metadata": {"x": 1},
        "proxy_server_request": {"url": "u", "body": {"model": "m", "messages": messages}},
    }  # fmt: skip
    guard = MaskerGuardrail(MASKER)
    after = asyncio.run(guard.async_pre_call_hook(None, None, data, "acompletion"))
    said = json.dumps([after["messages"], after["proxy_server_request"]], ensure_ascii=False)
    assert "6222" not in said
    assert CARD not in said
    assert after["messages"][0]["content"] == "前面是**** ****"
    assert after["messages"][1]["tool_calls"][0]["id"] == "call_1"
    assert messages[0]["content"] == "前面是6222 0212"


def test_no_key_of_an_argument_hides_a_number() -> None:
    used = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"id": CARD, "url": CARD}}
    picture = {"type": "image_url", "image_url": {"url": f"https://x.example/?card={CARD}"}}
    data: dict[str, Any] = {
        "litellm_call_id": "1",
        "messages": [
            {"role": "assistant", "content": [used]},
            {"role": "user", "content": [picture]},
        ],
    }
    asyncio.run(MaskerGuardrail(MASKER).async_pre_call_hook(None, None, data, "acompletion"))
    assert CARD not in json.dumps(data["messages"])
    assert data["messages"][0]["content"][0]["id"] == "toolu_1"


TOOL_USE = {"type": "tool_use", "id": "1", "name": "pay"}


@pytest.mark.parametrize(
    "said",
    [
        {"messages": [{"role": "user", "content": [{**TOOL_USE, "input": {"n": int(CARD)}}]}]},
        {"messages": [{"role": "user", "content": [{**TOOL_USE, "input": {"n": float(CARD)}}]}]},
        {"messages": [{"role": "user", "content": [{**TOOL_USE, "input": {CARD: 1}}]}]},
        {"messages": ({"role": "user", "content": f"card {CARD}"},)},
        {"messages": [litellm.Message(role="assistant", content=f"card {CARD}")]},
        {"query": "which card", "documents": [f"card {CARD}", {"text": f"card {CARD}"}]},
        {"messages": [], "tools": [{"type": "function", "function": {"description": CARD}}]},
        {"messages": [], "functions": [{"name": "pay", "description": f"as in {CARD}"}]},
        {"messages": [], "prediction": {"type": "content", "content": f"card {CARD}"}},
        {"messages": [], "response_format": {"json_schema": {"description": CARD}}},
        {"messages": [], "extra_body": {"note": CARD, CARD: int(CARD)}},
        {"prompt": "card", "suffix": f"card {CARD}"},
    ],
)
def test_whatever_a_request_says_something_in_is_masked(said: dict[str, Any]) -> None:
    asked = asyncio.run(
        MaskerGuardrail(MASKER).async_pre_call_hook(None, None, dict(said), "completion")
    )
    assert CARD not in repr(asked)
    assert "*" in repr(asked)


def test_what_is_no_text_of_a_request_is_what_it_was() -> None:
    class Answer(BaseModel):
        total: int

    said = {"messages": [], "response_format": Answer, "tools": [{"name": "a", "strict": True}]}
    asked = asyncio.run(
        MaskerGuardrail(MASKER).async_pre_call_hook(None, None, dict(said), "completion")
    )
    assert {name: asked[name] for name in said} == said


def test_no_number_in_an_answers_values_is_left() -> None:
    call = {"name": "pay", "arguments": json.dumps({"n": int(CARD)})}
    values = {"note": CARD, "n": int(CARD), CARD: [float(CARD)]}
    message = litellm.Message(
        role="assistant", content=f"card {CARD}", provider_specific_fields=values,
        tool_calls=[{"id": "1", "type": "function", "function": call}],
    )  # fmt: skip
    answer = litellm.ModelResponse(choices=[litellm.Choices(message=message)])
    asyncio.run(MaskerGuardrail(MASKER).async_post_call_success_hook({}, None, answer))
    assert CARD not in repr(answer.model_dump())
    json.loads(answer.choices[0].message.tool_calls[0].function.arguments)


def test_tokens_live_as_long_as_the_call() -> None:
    guard = MaskerGuardrail(MASKER, tokens=True)
    data: dict[str, Any] = {
        "messages": [{"role": "user", "content": f"use {CARD}, please"}],
        "litellm_call_id": "1",
    }
    asyncio.run(guard.async_pre_call_hook(None, None, data, "acompletion"))
    assert data["messages"] == [{"role": "user", "content": "use <CARD_1>, please"}]
    items = [*map(chunk, ("used <CA", "RD", "_1", "> and 4000 0000 ", "0000 0002 ok"))]
    shown = through(guard, *items, chunk(None, "stop"))
    assert "".join(texts_of(shown)) == f"used {CARD} and **** **** **** 0002 ok"
    assert guard._calls == {}
    again = through(guard, chunk("used <CARD_1>!"), chunk(None, "stop"))
    assert "".join(texts_of(again)) == "used <CARD_1>!"


def test_masking_that_breaks_lets_nothing_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Any:
        # LiteLLM tells the client, and its log, the text of whatever is raised.
        raise ValueError(SPACED)

    guard = MaskerGuardrail(MASKER)
    monkeypatch.setattr("masker.middleware.documents.slots", broken)
    messages = [{"role": "user", "content": SPACED}]
    data: dict[str, Any] = {
        "messages": messages, "litellm_call_id": "1", "model": "m",
        "proxy_server_request": {"body": {"messages": messages}},
    }  # fmt: skip
    with pytest.raises(MaskingError, match=r"^masking failed$"):
        asyncio.run(guard.async_pre_call_hook(None, None, data, "acompletion"))
    # What it could not do, the proxy logs with the request.
    assert "1111" not in str(data)
    with pytest.raises(MaskingError, match=r"^masking failed$"):
        through(guard, chunk(SPACED), chunk(None, "stop"))
    answer = litellm.ModelResponse(
        choices=[litellm.Choices(message=litellm.Message(content=SPACED))]
    )
    with pytest.raises(MaskingError, match=r"^masking failed$"):
        asyncio.run(guard.async_post_call_success_hook({"litellm_call_id": "1"}, None, answer))
    # LiteLLM goes on with the answer it has where this hook raises: so it is emptied.
    shown = asyncio.run(
        guard.async_post_call_success_deployment_hook({"litellm_call_id": "1"}, answer, None)
    )
    assert "1111" not in str(shown) + str(answer)


# -- calls of the SDK, over HTTP -----------------------------------------------------------------


@pytest.fixture(scope="module")
def served_model() -> Iterator[tuple[Model, str]]:
    spoken = Model()
    with served(spoken.app()) as address:
        yield spoken, f"http://{address}/v1"


def ask(
    served_model: tuple[Model, str], guard: Any, content: str, *, stream: bool, **more: Any
) -> Any:
    """A call with this guardrail: the answer, or all chunks of it."""

    async def call() -> Any:
        acompletion = guard.acompletion if stream else litellm.acompletion
        answer = await acompletion(
            model="openai/m", api_base=served_model[1], api_key="none", stream=stream,
            messages=[{"role": "user", "content": content}], **more,
        )  # fmt: skip
        return [item async for item in answer] if stream else answer

    kept = litellm.callbacks
    litellm.callbacks = [guard]
    try:
        return asyncio.run(call())
    finally:
        litellm.callbacks = kept


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("tokens", [False, True])
def test_calls_are_masked_both_ways(
    served_model: tuple[Model, str], stream: bool, tokens: bool
) -> None:
    spoken, _ = served_model
    spoken.__init__()  # type: ignore[misc]
    spoken.chunks = ["your card <CAR", "D_1> is 41", "11 1111 11", "11 1111, is it", " not?"]
    guard = MaskerGuardrail(MASKER, tokens=tokens)
    answer = ask(served_model, guard, f"is {CARD} mine? I think so.", stream=stream)
    text = "".join(texts_of(answer)) if stream else answer.choices[0].message.content
    assert text.startswith(f"your card {CARD} is " if tokens else "your card <CARD_")
    assert text.endswith(f"> is {MASKED}, is it not?"[2 if tokens else 0 :])
    seen = spoken.asked[-1]["messages"][0]["content"]
    assert seen == (
        "is <CARD_1> mine? I think so." if tokens else "is ************1111 mine? I think so."
    )


def test_a_stream_that_nothing_would_mask_is_refused(served_model: tuple[Model, str]) -> None:
    async def call() -> Any:
        return await litellm.acompletion(
            model="openai/m", api_base=served_model[1], api_key="none", stream=True,
            messages=[{"role": "user", "content": "hi"}],
        )  # fmt: skip

    litellm.callbacks = [MaskerGuardrail(MASKER)]
    try:
        with pytest.raises(Exception, match=r"use MaskerGuardrail\.acompletion"):
            asyncio.run(call())
    finally:
        litellm.callbacks = []


def test_what_ends_an_answer_comes_with_it(served_model: tuple[Model, str]) -> None:
    spoken, _ = served_model
    spoken.__init__()  # type: ignore[misc]
    spoken.chunks = ["see page ", "41", "11"]
    items = ask(served_model, MaskerGuardrail(MASKER), "hi", stream=True)
    assert "".join(texts_of(items)) == "see page 4111"
    spoken.arguments = ['{"card": 4111', "11111111", "1111}"]
    items = ask(served_model, MaskerGuardrail(MASKER), "hi", stream=True)
    calls = [item.choices[0].delta.tool_calls for item in items]
    arguments = "".join(call[0].function.arguments or "" for call in calls if call)
    assert json.loads(arguments) == {"card": "************1111"}


def test_a_guardrail_that_is_off_runs_where_it_is_named(served_model: tuple[Model, str]) -> None:
    spoken, _ = served_model
    spoken.__init__()  # type: ignore[misc]
    guard = MaskerGuardrail(MASKER, default_on=False)
    ask(served_model, guard, f"is {SPACED} mine?", stream=False)
    assert SPACED in spoken.seen
    ask(served_model, guard, f"is {SPACED} mine?", stream=False, guardrails=["masker"])
    assert SPACED not in spoken.seen


# -- what is logged ------------------------------------------------------------------------------


class Logged(CustomLogger):  # type: ignore[misc,unused-ignore] # untyped base
    """A callback that keeps all that LiteLLM tells of a call."""

    def __init__(self) -> None:
        super().__init__()
        self.told = ""
        self.heard = asyncio.Event()

    async def async_log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self.told += f"{kwargs} {response_obj}"
        self.heard.set()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_what_is_logged_of_a_call_is_masked(
    served_model: tuple[Model, str], stream: bool, first: bool
) -> None:
    spoken, address = served_model
    spoken.chunks = ["it is ", *SPACED, ", yes"]
    guard, logged = MaskerGuardrail(MASKER), Logged()

    async def call() -> None:
        answer = await (guard if stream else litellm).acompletion(
            model="openai/m", api_base=address, api_key="none", stream=stream,
            messages=[{"role": "user", "content": f"card {CARD} ok"}],
        )  # fmt: skip
        if stream:
            async for _ in answer:
                pass
        await asyncio.wait_for(logged.heard.wait(), 30)

    kept = litellm.callbacks
    litellm.callbacks = [guard, logged] if first else [logged, guard]
    try:
        asyncio.run(call())
    finally:
        litellm.callbacks = kept
    assert "**** **** **** " in logged.told
    assert CARD not in logged.told.replace(" ", "")


def test_what_cannot_be_masked_is_not_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise ValueError(SPACED)

    guard = MaskerGuardrail(MASKER)
    monkeypatch.setattr("masker.middleware.documents.slots", broken)
    answer = litellm.ModelResponse(
        choices=[litellm.Choices(message=litellm.Message(content=SPACED))]
    )
    details: dict[str, Any] = {
        "messages": [{"role": "user", "content": SPACED}], "original_response": SPACED,
        "standard_logging_object": {"id": "1", "messages": SPACED, "response": {"x": SPACED}},
    }  # fmt: skip
    told = asyncio.run(guard.async_logging_hook(details, answer, "acompletion"))
    assert "4111" not in str(told)
    assert told[0]["standard_logging_object"]["id"] == "1"
    # What is on its way to the client is not what is logged.
    assert "4111" in str(answer)


# -- the proxy's configuration --------------------------------------------------------------------


def test_a_configuration_that_would_mask_nothing_stops_the_proxy() -> None:
    """At a `ValueError` or `TypeError` the proxy starts without its guardrail, and says so once."""
    with pytest.raises(ModeRefusedError) as mode:
        MaskerGuardrail(event_hook="during_call")
    with pytest.raises(ModeRefusedError):
        MaskerGuardrail(event_hook=["pre_call", "pre_mcp_call"])
    with pytest.raises(UnknownRuleError) as rule:
        MaskerGuardrail(rule_names=["payment-cart"])
    assert not isinstance(mode.value, ValueError | TypeError)
    assert not isinstance(rule.value, ValueError | TypeError)


def test_the_rules_of_a_guardrail_may_stand_in_the_configuration() -> None:
    guard = MaskerGuardrail(rule_names=["cn-resident-id"], event_hook="pre_call", default_on=None)
    data = {"messages": [{"role": "user", "content": f"card {CARD} ok"}], "litellm_call_id": "1"}
    after = asyncio.run(guard.async_pre_call_hook(None, None, data, "acompletion"))
    assert after["messages"][0]["content"] == f"card {CARD} ok"
    assert guard.default_on is False

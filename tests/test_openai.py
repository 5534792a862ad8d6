"""The OpenAI client, against a server that speaks its protocol: what the model and we read."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given, settings
from openai import AsyncOpenAI, OpenAI

from masker import Masker
from masker.middleware.openai import AsyncMaskedClient, MaskedClient, RefusedError
from models import Model
from pipelines import ListStore, chunked, seeds
from servers import served
from strategies import Written, join, written_numbers

MASKER = Masker()
CARD = "4111111111111111"
SPACED = "4111 1111 1111 1111"
MASKED = "**** **** **** 1111"


class Site:
    """A model, and clients that speak with it through masker."""

    def __init__(self, model: Model, address: str) -> None:
        self.model = model
        self.settings: dict[str, Any] = {
            "api_key": "none", "base_url": f"http://{address}/v1", "max_retries": 0,
        }  # fmt: skip

    def client(self, **parameters: Any) -> OpenAI:
        return OpenAI(http_client=MaskedClient(MASKER, **parameters), **self.settings)

    def async_client(self, **parameters: Any) -> AsyncOpenAI:
        return AsyncOpenAI(http_client=AsyncMaskedClient(MASKER, **parameters), **self.settings)


@pytest.fixture(scope="module")
def running() -> Iterator[Site]:
    model = Model()
    with served(model.app()) as address:
        yield Site(model, address)


@pytest.fixture
def site(running: Site) -> Site:
    running.model.__init__()  # type: ignore[misc]
    return running


def user(*texts: str) -> list[Any]:
    return [{"role": "user", "content": text} for text in texts]


def test_the_model_never_sees_what_was_said_in_parts(site: Site) -> None:
    messages: list[Any] = [
        {"role": "system", "content": f"the owner's card is {SPACED}, keep it"},
        {"role": "user", "content": "前面是6222 0212"},
        {"role": "assistant", "content": "请继续"},
        {"role": "user", "content": [{"type": "text", "text": "后面是3456 789"}]},
        {"role": "user", "content": "最后0128，就这些"},
    ]
    with site.client() as client:
        client.chat.completions.create(model="m", messages=messages)
    said = [message["content"] for message in site.model.asked[-1]["messages"]]
    assert said == [
        "the owner's card is **** **** **** ****, keep it",
        "前面是**** ****",
        "请继续",
        [{"type": "text", "text": "后面是**** ***"}],
        "最后0128，就这些",
    ]


def test_harmless_requests_and_answers_are_what_they_were(site: Site) -> None:
    site.model.chunks = ["it is 4 in the afternoon, see page 12"]
    with site.client() as client:
        answer = client.chat.completions.create(model="m", messages=user("hello there"), seed=7)
        assert answer.choices[0].message.content == site.model.chunks[0]
        assert answer.id == "chatcmpl-1"
    assert site.model.asked[-1] == {"model": "m", "messages": user("hello there"), "seed": 7}


def test_what_a_question_ends_with_is_masked_unless_it_is_to_be_shown(site: Site) -> None:
    with site.client() as client:
        client.chat.completions.create(model="m", messages=user("sum up chapter 4"))
    assert site.model.asked[-1]["messages"] == user("sum up chapter *")
    with site.client(unfinished="shown") as client:
        client.chat.completions.create(model="m", messages=user("sum up chapter 4"))
        assert site.model.asked[-1]["messages"] == user("sum up chapter 4")
        parts = user("my card is 6222", "0212 3456")
        client.chat.completions.create(model="m", messages=parts)
        assert site.model.asked[-1]["messages"] == user("my card is ****", "**** ****")


@settings(max_examples=15)
@given(written_numbers(), seeds())
def test_a_streamed_answer_is_what_the_whole_would_be(
    running: Site, digits: tuple[Written, ...], seed: int
) -> None:
    whole = "this is it: " + join(digits).text + " and so on, for a while."
    expected = MASKER.mask(whole).text
    running.model.__init__()  # type: ignore[misc]
    running.model.chunks = chunked(whole, seed)
    with running.client() as client:
        stream = client.chat.completions.create(model="m", messages=user("hi"), stream=True)
        shown = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
        assert "".join(shown) == expected
        answer = client.chat.completions.create(model="m", messages=user("hi"))
        assert answer.choices[0].message.content is not None
        events = list(client.responses.create(model="m", input="hi", stream=True))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == expected
    wholes = [event.text for event in events if event.type == "response.output_text.done"]
    assert wholes == [expected]
    completed = [event for event in events if event.type == "response.completed"]
    assert completed[0].response.output_text == expected


def test_the_awaiting_client_is_masked_as_well(site: Site) -> None:
    site.model.chunks = ["it is 4111 11", "11 1111 11", "11 ok"]

    async def talk() -> tuple[str, str]:
        async with site.async_client() as client:
            stream = await client.chat.completions.create(
                model="m", messages=user(f"card {SPACED} ok"), stream=True
            )
            shown = [c.choices[0].delta.content or "" async for c in stream if c.choices]
            answer = await client.responses.create(model="m", input=f"card {SPACED} ok")
            return "".join(shown), answer.output_text

    streamed, whole = asyncio.run(talk())
    assert streamed == f"it is {MASKED} ok"
    assert CARD not in whole.replace(" ", "")
    assert all(SPACED not in json.dumps(asked) for asked in site.model.asked)


@pytest.mark.parametrize("cut", [1, 3, 7])
def test_arguments_of_tool_calls_stay_documents(site: Site, cut: int) -> None:
    arguments = json.dumps({"card": int(CARD), "note": f"for {SPACED}", "cents": 1250, "ok": True})
    site.model.arguments = [arguments[at : at + cut] for at in range(0, len(arguments), cut)]
    expected = {"card": "************1111", "note": f"for {MASKED}", "cents": 1250, "ok": True}
    with site.client() as client:
        answer = client.chat.completions.create(model="m", messages=user("hi"))
        calls: Any = answer.choices[0].message.tool_calls
        assert json.loads(calls[0].function.arguments) == expected
        with client.chat.completions.stream(model="m", messages=user("hi")) as stream:
            final = stream.get_final_completion()
        calls = final.choices[0].message.tool_calls
        assert json.loads(calls[0].function.arguments) == expected
        with client.responses.stream(model="m", input="hi") as responses:
            output: Any = responses.get_final_response().output[0]
        assert json.loads(output.arguments) == expected
        events: Any = list(client.responses.create(model="m", input="hi", stream=True))
    deltas = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
    assert json.loads("".join(deltas)) == expected


def test_arguments_and_results_in_a_history_are_masked(site: Site) -> None:
    call = {"id": "call_1", "type": "function",
            "function": {"name": "f", "arguments": json.dumps({"card": CARD})}}  # fmt: skip
    messages: list[Any] = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": f"the card {SPACED} is good"},
    ]
    with site.client() as client:
        client.chat.completions.create(model="m", messages=messages)
    assert CARD not in site.model.seen.replace(" ", "")
    asked = site.model.asked[-1]["messages"]
    assert asked[1]["tool_call_id"] == "call_1"
    assert json.loads(asked[0]["tool_calls"][0]["function"]["arguments"]) == {
        "card": "************1111"
    }


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_go_out_and_originals_come_back(site: Site, stream: bool) -> None:
    site.model.chunks = [
        "charged <CA",
        "RD",
        "_1>",
        ", not <CARD_2> nor 4000 0000 ",
        "0000 0002 ok",
    ]
    messages = user(f"use 4111-1111-1111-1111 or {CARD}", "not 5500 0055", "5555 5559, ok?")
    with site.client(tokens=True) as client:
        answer: Any = client.chat.completions.create(model="m", messages=messages, stream=stream)
        if stream:
            shown = "".join(chunk.choices[0].delta.content or "" for chunk in answer)
        else:
            shown = answer.choices[0].message.content
    assert [m["content"] for m in site.model.asked[-1]["messages"]] == [
        "use <CARD_1> or <CARD_1>",
        "not <CARD_2>",
        "<CARD_2>, ok?",
    ]
    assert shown.startswith("charged 4111-1111-1111-1111, not 5500 0055 5555 5559 nor ")
    assert "4000 0000" not in shown


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_with_the_original(site: Site, stream: bool) -> None:
    site.model.arguments = ['{"card": "\\u003cCA', 'RD_1>"', ', "cents": 5}']
    with site.client(tokens=True) as client:
        messages = user(f"charge {CARD} please")
        answer: Any = client.chat.completions.create(model="m", messages=messages, stream=stream)
        if stream:
            calls = [c.choices[0].delta.tool_calls for c in answer]
            arguments = "".join(call[0].function.arguments for call in calls if call)
        else:
            arguments = answer.choices[0].message.tool_calls[0].function.arguments
    assert json.loads(arguments) == {"card": CARD, "cents": 5}


def test_requests_of_a_named_conversation_are_joined_and_stored(site: Site) -> None:
    store = ListStore()
    with site.client(store=store) as client:
        for part in ("it is 6222 0212", "3456 7890 128"):
            client.responses.create(
                model="m", input=part, extra_headers={"x-conversation-id": "c1"}
            )
            assert "x-conversation-id" not in site.model.headers[-1]
        client.responses.create(model="m", input="just this once")
    assert [asked["input"] for asked in site.model.asked[:2]] == [
        "it is **** ****", "**** **** ***"]  # fmt: skip
    texts = [message.text for message in store.saved if message.sender == "user"]
    assert "it is **** ****" in texts
    assert "just this once" not in texts


def test_an_error_of_the_model_is_masked(site: Site) -> None:
    site.model.status = 400
    site.model.chunks = [SPACED]
    with site.client() as client, pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="m", messages=user("hi"))
    assert SPACED not in str(caught.value)
    assert "cannot say" in str(caught.value)


def test_embeddings_and_raw_responses_go_through(site: Site) -> None:
    with site.client() as client:
        made = client.embeddings.create(model="m", input=[f"a {SPACED} b", "c"])
        assert made.data[0].embedding == [0.25, 0.5]
        assert SPACED not in site.model.seen
        raw = client.chat.completions.with_raw_response.create(model="m", messages=user("hi"))
        assert raw.status_code == 200
        assert raw.parse().choices[0].message.content == "hello"


def test_what_cannot_be_read_never_leaves(site: Site) -> None:
    with site.client() as client, pytest.raises(openai.APIConnectionError) as caught:
        client.audio.transcriptions.create(model="m", file=("a.txt", SPACED.encode()))
    assert "not let through" in str(caught.value.__cause__)
    assert isinstance(caught.value.__cause__, RefusedError)
    assert site.model.asked == []


def test_no_name_of_metadata_is_an_id(site: Site) -> None:
    held = {"id": CARD, "type": CARD, f"of {CARD}": "x", "plan": "gold"}
    with site.client() as client:
        client.chat.completions.create(model="m", messages=user("hi"), metadata=held)
    assert CARD not in site.model.seen
    assert site.model.asked[-1]["metadata"]["plan"] == "gold"


def test_a_request_that_is_no_json_is_in_no_error(site: Site) -> None:
    with site.client() as client, pytest.raises(openai.APIConnectionError) as caught:
        client.post(
            "/chat/completions", cast_to=object, content=f'{{"a": "{SPACED}" oops'.encode(),
            options={"headers": {"content-type": "application/json"}},
        )  # fmt: skip
    error: BaseException | None = caught.value.__cause__
    while error is not None:
        assert not isinstance(error, json.JSONDecodeError), "it holds the document"
        assert SPACED not in repr(error)
        error = error.__cause__
    assert site.model.asked == []


def test_an_answer_that_nobody_reads_to_its_end_is_stored_as_far_as_it_came(site: Site) -> None:
    store = ListStore()
    site.model.chunks = ["the card is 4111 1111 ", "1111 1111, and", " so on", " and so on"]
    named: Any = {"extra_headers": {"x-conversation-id": "c1"}}
    with site.client(store=store) as client:
        stream = client.chat.completions.create(
            model="m", messages=user("hi"), stream=True, **named
        )
        shown = next(text for each in stream if (text := each.choices[0].delta.content))
        stream.close()
    assert shown == "the card is "
    said = [message.text for message in store.saved if message.sender == "assistant"]
    assert said
    assert said[0].startswith("the card is ")
    assert "4111" not in said[0]


def test_the_client_may_speak_through_httpx2() -> None:
    """As openai 3 does; here an older one that takes the one for the other."""
    example = Path(__file__).parent.parent / "examples" / "openai_client.py"
    script = (
        "import runpy, sys, httpx2\n"
        "sys.modules['httpx'] = httpx2\n"
        "import masker.middleware.openai as adapter\n"
        "assert adapter.httpx is httpx2, adapter.httpx\n"
        f"runpy.run_path({str(example)!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "you read:        I noted 5105 1051 0510 5100, not **** **** **** 0002." in done.stdout


def test_masking_that_breaks_lets_nothing_through(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise ValueError

    site.model.chunks = [SPACED]
    with site.client() as client:
        with monkeypatch.context() as patch:
            patch.setattr("masker.middleware.documents.slots", broken)
            with pytest.raises(openai.APIConnectionError):
                client.chat.completions.create(model="m", messages=user(SPACED))
        assert site.model.asked == []
        with monkeypatch.context() as patch:
            patch.setattr("masker.middleware.bodies.EventBody.feed", broken)
            stream = client.chat.completions.create(model="m", messages=user("x"), stream=True)
            with pytest.raises(ValueError, match=r"^$"):
                list(stream)


def test_the_http_client_is_a_common_one_besides(site: Site) -> None:
    client = MaskedClient(MASKER, timeout=5, headers={"x-mine": "1"})
    assert isinstance(client, httpx.Client)
    with OpenAI(http_client=client, **site.settings) as spoken:
        spoken.chat.completions.create(model="m", messages=user("hi"))
    assert site.model.headers[-1]["x-mine"] == "1"
    assert client.is_closed

"""ASGI: what the application, the client and the store see, through a real server."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI
from hypothesis import given, settings
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.sync.client import connect

from masker import Masker
from masker.middleware import PurgeWords
from masker.middleware.asgi import Bodies, MaskerMiddleware
from pipelines import ListStore, chunked, leaked, readable, seeds
from servers import served
from strategies import Written, conversations, join, parts_of, plain, written_numbers

MASKER = Masker()
CARD = "4111111111111111"
SPACED = "4111 1111 1111 1111"
MASKED = "**** **** **** 1111"


class Said(BaseModel):
    conversation_id: str
    text: str


class Recorder:
    """What the application saw and did."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.after: list[str] = []


def echo_app(recorder: Recorder) -> Starlette:
    async def echo(request: Request) -> Response:
        body = await request.body()
        recorder.seen.append(body)
        headers = {"x-kept": "yes", "etag": '"1"'}
        return Response(body, 201, headers, media_type=request.headers.get("content-type"))

    async def seen(request: Request) -> Response:
        recorder.seen.append(dict(request.query_params))
        return JSONResponse({"ok": True, "query": str(request.url.query)})

    async def sse(request: Request) -> Response:
        chunks = (await request.json())["chunks"]

        async def events() -> AsyncIterator[str]:
            for chunk in chunks:
                choice = {"index": 0, "delta": {"content": chunk}}
                yield f"data: {json.dumps({'choices': [choice]})}\n\n"
            yield "data: [DONE]\n\n"
            recorder.after.append("sent")

        return StreamingResponse(events(), media_type="text/event-stream")

    async def text(request: Request) -> Response:
        chunks = (await request.json())["chunks"]

        async def pieces() -> AsyncIterator[str]:
            for chunk in chunks:
                yield chunk

        return StreamingResponse(pieces(), media_type="text/plain; charset=utf-8")

    async def lines(request: Request) -> Response:
        body = await request.json()

        async def pieces() -> AsyncIterator[str]:
            for line in body["lines"]:
                yield json.dumps(line, ensure_ascii=False) + "\n"

        return StreamingResponse(pieces(), media_type="application/x-ndjson")

    async def fails(_: Request) -> Response:
        raise RuntimeError(f"the card is {SPACED}")

    async def picture(_: Request) -> Response:
        return Response(b"\x89PNG 4111111111111111", media_type="image/png")

    async def squeezed(_: Request) -> Response:
        body = gzip.compress(json.dumps({"text": SPACED}).encode())
        return Response(body, headers={"content-encoding": "gzip"}, media_type="application/json")

    async def odd(_: Request) -> Response:
        return Response(SPACED.encode(), media_type="application/x-odd")

    async def file(_: Request) -> Response:
        return FileResponse(__file__, media_type="text/x-python")

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                event = await websocket.receive()
                if event["type"] == "websocket.disconnect":
                    recorder.after.append("disconnected")
                    return
                recorder.seen.append(event.get("text") or event.get("bytes"))
                if event.get("text") is not None:
                    await websocket.send_text(event["text"])
                else:
                    await websocket.send_bytes(event["bytes"])
        except WebSocketDisconnect:
            recorder.after.append("disconnected")

    async def speaks(websocket: WebSocket) -> None:
        await websocket.accept()
        for line in json.loads(await websocket.receive_text())["lines"]:
            await websocket.send_text(line)
        await websocket.close()

    return Starlette(
        routes=[
            Route("/echo", echo, methods=["POST", "PUT"]),
            Route("/seen", seen, methods=["GET"]),
            Route("/sse", sse, methods=["POST"]),
            Route("/text", text, methods=["POST"]),
            Route("/lines", lines, methods=["POST"]),
            Route("/fails", fails),
            Route("/picture", picture),
            Route("/squeezed", squeezed),
            Route("/odd", odd),
            Route("/file", file),
            WebSocketRoute("/ws", socket),
            WebSocketRoute("/speaks", speaks),
        ]
    )


class Site:
    """A served application and a client for it."""

    def __init__(self, address: str, recorder: Recorder) -> None:
        self.address = address
        self.recorder = recorder
        self.client = httpx.Client(base_url=f"http://{address}", timeout=30)
        self._ids = itertools.count()

    def conversation(self) -> str:
        return f"c{next(self._ids)}"

    def echo(self, document: Any, **headers: str) -> Any:
        answer = self.client.post("/echo", json=document, headers=headers)
        assert answer.status_code == 201, answer.text
        assert int(answer.headers["content-length"]) == len(answer.content)
        return answer.json()


def site_of(app: Any, recorder: Recorder) -> Iterator[Site]:
    with served(app) as address:
        site = Site(address, recorder)
        with site.client:
            yield site


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """The echo application, masked, as it comes."""
    recorder = Recorder()
    yield from site_of(MaskerMiddleware(echo_app(recorder), MASKER), recorder)


# -- requests and responses -------------------------------------------------------------------


def test_a_request_and_its_response_are_masked_and_their_lengths_right(site: Site) -> None:
    document = {
        "conversation_id": site.conversation(),
        "text": f"卡号{CARD}谢谢",
        "n": 1.50,
        "ok": None,
    }
    back = site.echo(document)
    sent = json.loads(site.recorder.seen[-1])
    assert CARD not in str(sent)
    assert back == sent == {**document, "text": sent["text"]}
    assert len(sent["text"]) == len(f"卡号{CARD}谢谢")


def test_what_holds_no_number_comes_through_byte_for_byte(site: Site) -> None:
    body = b'{"text" : "hello there",\n "items": [1, 2.50, 1e3, true], "id": "a-1"}'
    answer = site.client.post("/echo", content=body, headers={"content-type": "application/json"})
    assert site.recorder.seen[-1] == body
    assert answer.content == body
    assert answer.headers["x-kept"] == "yes"


@settings(max_examples=12)
@given(conversations(chat=True))
def test_no_cut_over_requests_shows_either_side_more_than_the_last_four(
    site: Site, scene: Any
) -> None:
    conversation = site.conversation()
    seen: dict[str, set[int]] = {}
    for sent in scene.sent:
        back = site.echo(
            {
                "conversation_id": conversation + sent.message.conversation_id,
                "message_id": sent.message.message_id,
                "sender": sent.message.sender,
                "text": sent.message.text,
            }
        )
        readable(sent.written, json.loads(site.recorder.seen[-1])["text"], seen)
        readable(sent.written, back["text"], seen)
    assert leaked(seen) == {}


def test_the_conversation_may_be_named_by_a_header_or_the_query(site: Site) -> None:
    for more in (
        {"headers": {"x-conversation-id": "by-header"}},
        {"params": {"conversation_id": "q"}},
    ):
        for part in ("6222 0212", "3456 7890 128"):
            answer = site.client.post("/echo", json={"text": part}, **more)  # type: ignore[arg-type]
            assert set(answer.json()["text"]) <= set("* 0128")


def test_a_history_is_masked_as_one(site: Site) -> None:
    messages = [
        {"role": "user", "content": "前面是6222 0212"},
        {"role": "assistant", "content": "请继续"},
        {"role": "user", "content": [{"type": "text", "text": "后面是3456 789"}]},
        {"role": "user", "content": "最后0128，就这些"},
    ]
    site.echo({"model": "m", "messages": messages})
    sent = json.loads(site.recorder.seen[-1])["messages"]
    assert sent[0]["content"] == "前面是**** ****"
    assert sent[1]["content"] == "请继续"
    assert sent[2]["content"][0]["text"] == "后面是**** ***"


@pytest.mark.parametrize(
    ("document", "gone"),
    [
        ({"note": f"x {SPACED} y"}, SPACED),
        ({"card": int(CARD)}, CARD),
        ({"deep": [{"a": {"b": [CARD]}}]}, CARD),
        ({CARD: 1}, CARD),
        ([CARD, "x"], CARD),
    ],
)
def test_numbers_anywhere_in_a_document_are_masked(site: Site, document: Any, gone: str) -> None:
    back = site.echo(document)
    assert gone not in json.dumps(json.loads(site.recorder.seen[-1]))
    assert gone not in json.dumps(back)


def test_a_key_that_stands_twice_hides_nothing(site: Site) -> None:
    body = f'{{"text": "{CARD}", "text": "hello"}}'.encode()
    answer = site.client.post("/echo", content=body, headers={"content-type": "application/json"})
    assert CARD.encode() not in site.recorder.seen[-1] + answer.content


def test_what_is_no_json_is_masked_like_a_text(site: Site) -> None:
    for body in (f'{{"text": "{CARD}" oops', CARD, "[" * 100_000 + CARD):
        answer = site.client.post(
            "/echo", content=body.encode(), headers={"content-type": "application/json"}
        )
        assert CARD.encode() not in site.recorder.seen[-1] + answer.content


def test_text_forms_and_queries_are_masked(site: Site) -> None:
    answer = site.client.post(
        "/echo", content=f"my card: {CARD}", headers={"content-type": "text/plain"}
    )
    assert CARD.encode() not in site.recorder.seen[-1]
    assert CARD not in answer.text
    site.client.post("/seen", data={})
    answer = site.client.get("/seen", params={"q": f"card {CARD}", "page": "2"})
    assert site.recorder.seen[-1] == {"q": "card ************1111", "page": "2"}
    assert CARD not in answer.text
    # A form is no type that a response of this application may have: only the way in is looked at.
    site.client.post("/echo", data={"text": f"card {CARD}", "page": "2"})
    assert CARD.encode() not in site.recorder.seen[-1]
    assert b"page=2" in site.recorder.seen[-1]


def test_lines_of_documents_are_masked_both_ways(site: Site) -> None:
    lines = [{"sender": "u", "text": "it is 6222 0212"}, {"sender": "u", "text": "3456 7890 128"}]
    body = "".join(json.dumps(line) + "\n" for line in lines)
    answer = site.client.post(
        "/echo",
        content=body,
        headers={"content-type": "application/x-ndjson", "x-conversation-id": "l"},
    )
    for masked in (site.recorder.seen[-1].decode(), answer.text):
        texts = [json.loads(line)["text"] for line in masked.splitlines()]
        assert texts[0] == "it is **** ****"
        assert set(texts[1]) <= set("* 0128")


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/x-odd"}, 415),
        ({"content-type": "multipart/form-data; boundary=x"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-type": "text/plain; charset=klingon"}, 415),
        ({}, 415),
    ],
)
def test_a_request_that_cannot_be_read_is_refused(site: Site, headers: Any, status: int) -> None:
    before = len(site.recorder.seen)
    answer = site.client.post("/echo", content=CARD.encode(), headers=headers)
    assert answer.status_code == status
    assert CARD not in answer.text
    assert len(site.recorder.seen) == before


def test_a_body_that_is_too_long_is_refused(site: Site) -> None:
    body = json.dumps({"text": "a" * (1 << 20)})
    answer = site.client.post("/echo", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert "1048576 bytes" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/squeezed", "/odd"])
def test_a_response_that_cannot_be_read_is_refused(site: Site, path: str) -> None:
    answer = site.client.get(path)
    assert answer.status_code == 500
    assert answer.json() == {"detail": "masker: a response of this type is not let through"}


def test_a_policy_lets_other_bodies_pass() -> None:
    recorder = Recorder()
    bodies = Bodies(unknown="pass", compressed="pass")
    app = MaskerMiddleware(echo_app(recorder), MASKER, bodies=bodies)
    for site in site_of(app, recorder):
        assert site.client.get("/odd").text == SPACED
        assert site.client.get("/squeezed").json() == {"text": SPACED}


def test_an_application_that_compresses_is_asked_not_to() -> None:
    from starlette.middleware.gzip import GZipMiddleware

    recorder = Recorder()
    app = MaskerMiddleware(GZipMiddleware(echo_app(recorder), minimum_size=1), MASKER)
    for site in site_of(app, recorder):
        answer = site.client.post("/echo", json={"text": f"{SPACED} and so on"})
        assert answer.status_code == 201
        assert SPACED not in answer.text


def test_pictures_and_files_come_through(site: Site) -> None:
    assert site.client.get("/picture").content == b"\x89PNG 4111111111111111"
    answer = site.client.get("/file", headers={"range": "bytes=0-20"})
    assert answer.status_code == 200
    assert answer.text.startswith('"""ASGI')
    assert CARD not in answer.text


def test_paths_that_are_not_masked_come_through() -> None:
    recorder = Recorder()
    app = MaskerMiddleware(echo_app(recorder), MASKER, paths=["/chat*"])
    for site in site_of(app, recorder):
        assert site.echo({"text": CARD}) == {"text": CARD}


# -- streams ----------------------------------------------------------------------------------


def events_of(body: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in body.split("\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


@settings(max_examples=12)
@given(written_numbers(), seeds())
def test_a_number_cut_over_events_is_what_the_whole_text_gives(
    site: Site, digits: tuple[Written, ...], seed: int
) -> None:
    whole = "here it is: " + join(digits).text + " and so on, for a while."
    answer = site.client.post("/sse", json={"chunks": chunked(whole, seed)}, params={"x": "1"})
    # The request is masked as well, chunk by chunk: ask for the same text past it.
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "content-length" not in answer.headers
    events = events_of(answer.text)
    assert events[-1] == "[DONE]"
    shown = "".join(event["choices"][0]["delta"]["content"] for event in events[:-1])
    sent: dict[str, set[int]] = {}
    readable(plain("here it is: ") + join(digits) + plain(" and so on, for a while."), shown, sent)
    assert leaked(sent) == {}


def source_app(kind: str, pieces: list[bytes]) -> Any:
    """An application that answers with this, in these pieces."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        headers = [(b"content-type", kind.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app


def answered(app: Any, **parameters: Any) -> tuple[dict[str, str], bytes]:
    """What a client gets of an application behind the middleware."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    asyncio.run(MaskerMiddleware(app, MASKER, **parameters)(scope, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert sent[0]["type"] == "http.response.start"
    assert [event["more_body"] for event in sent[1:]] == [True] * (len(sent) - 2) + [False]
    return headers, b"".join(event["body"] for event in sent[1:])


def cut(body: bytes, seed: int) -> list[bytes]:
    """Bytes in pieces, through the middle of characters and lines."""
    return [piece.encode("latin-1") for piece in chunked(body.decode("latin-1"), seed)]


WORDS = "你好，这个是 "


@settings(max_examples=25)
@given(written_numbers(), seeds(), seeds())
def test_events_lines_and_texts_give_what_the_whole_text_gives(
    digits: tuple[Written, ...], seed: int, other: int
) -> None:
    whole = WORDS + join(digits).text + " and so on, for a while."
    expected = MASKER.mask(whole).text
    chunks = chunked(whole, seed)
    documents = [{"delta": {"text": chunk}, "n": n} for n, chunk in enumerate(chunks)]
    events = "".join(f"event: x\ndata: {json.dumps(d)}\n\n" for d in documents).encode()
    _, body = answered(source_app("text/event-stream", cut(events, other)))
    lines = [line for line in body.decode().split("\n") if line.startswith("data: ")]
    assert "".join(json.loads(line[6:])["delta"]["text"] for line in lines) == expected
    ndjson = "".join(json.dumps(d, ensure_ascii=False) + "\n" for d in documents).encode()
    _, body = answered(source_app("application/x-ndjson", cut(ndjson, other)))
    assert "".join(json.loads(line)["delta"]["text"] for line in body.splitlines()) == expected
    raw = "".join(f"data: {chunk}\r\n\r\n" for chunk in chunks if chunk.strip() == chunk)
    _, body = answered(source_app("text/event-stream", cut(raw.encode(), other)))
    shown = "".join(line[6:] for line in body.decode().split("\r\n") if line.startswith("data: "))
    assert shown == MASKER.mask("".join(c for c in chunks if c.strip() == c)).text
    _, body = answered(source_app("text/plain; charset=utf-8", cut(whole.encode(), other)))
    assert body.decode() == expected


def test_two_choices_are_two_streams() -> None:
    def event(index: int, text: str) -> bytes:
        choice = {"index": index, "delta": {"content": text}}
        return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()

    pieces = [event(0, "a 4111 11"), event(1, "b 4111 1111 "), event(0, "11 1111 1111 ok"),
              event(1, "x"), b": 4111111111111111\n\n", b"data: [DONE]\n\n"]  # fmt: skip
    _, body = answered(source_app("text/event-stream", pieces))
    assert b"4111111111111111" not in body
    shown = {0: "", 1: ""}
    for found in events_of(
        "\n".join(line for line in body.decode().split("\n") if line[:1] != ":")
    ):
        if found != "[DONE]":
            shown[found["choices"][0]["index"]] += found["choices"][0]["delta"]["content"]
    assert shown == {0: f"a {MASKED} ok", 1: "b 4111 1111 x"}


def test_the_rest_of_a_text_comes_before_what_ends_it() -> None:
    finish = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    first = b'data: {"choices":[{"index":0,"delta":{"content":"code 4111 1111"}}]}\n\n'
    for end in (finish, b"data: [DONE]\n\n", b"event: done\ndata: bye\n\n"):
        _, body = answered(source_app("text/event-stream", [first, end]))
        assert body.endswith(end)
        assert b"4111 1111" in body.replace(b'code "', b"")


def test_whole_documents_in_lines_are_messages() -> None:
    lines = [{"message_id": f"m{n}", "sender": "agent", "text": text}
             for n, text in enumerate(["it says 6222 0212", "3456 7890 128"])]  # fmt: skip
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    _, out = answered(source_app("application/x-ndjson", [body]))
    texts = [json.loads(line)["text"] for line in out.splitlines()]
    assert texts[0] == "it says **** ****"
    assert set(texts[1]) <= set("* 0128")


def test_a_line_without_end_is_refused() -> None:
    _, body = answered(
        source_app("application/x-ndjson", [b'{"text": "', b"9" * 300]), bodies=Bodies(limit=100)
    )
    assert b"999" not in body


# -- what the application does besides ---------------------------------------------------------


def test_an_error_of_the_application_is_the_servers_to_answer(site: Site) -> None:
    answer = site.client.get("/fails")
    assert answer.status_code == 500
    assert SPACED not in answer.text


def test_a_wrapped_fastapi_application_keeps_its_ways() -> None:
    done: list[str] = []
    app = FastAPI()

    @app.post("/chat")
    async def chat(said: Said, tasks: BackgroundTasks) -> dict[str, str]:
        tasks.add_task(done.append, said.text)
        return {"reply": f"you said: {said.text}"}

    @app.get("/head")
    async def head() -> dict[str, int]:
        return {"n": 1}

    app.add_middleware(MaskerMiddleware, masker=MASKER)
    for site in site_of(app, Recorder()):
        first = site.client.post("/chat", json={"conversation_id": "f1", "text": "6222 0212"})
        assert first.json() == {"reply": "you said: **** ****"}
        wrong = site.client.post("/chat", json={"text": CARD})
        assert wrong.status_code == 422
        assert CARD not in wrong.text
        assert site.client.post("/nowhere", json={}).status_code == 404
        assert site.client.request("OPTIONS", "/chat").status_code == 405
        assert site.client.get("/openapi.json").json()["openapi"].startswith("3.")
        assert "swagger" in site.client.get("/docs").text
    assert done == ["**** ****"]


def test_a_client_that_goes_away_is_told_of_and_what_came_is_stored() -> None:
    store = ListStore()
    told: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: it is 41\n\n", "more_body": True})
        told.append((await receive())["type"])

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(event: Any) -> None:
        return None

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"",
             "headers": [(b"x-conversation-id", b"c1")]}  # fmt: skip
    asyncio.run(MaskerMiddleware(app, MASKER, store=store)(scope, receive, send))
    assert told == ["http.disconnect"]
    assert [message.text for message in store.saved] == ["it is **"]


def test_a_request_that_breaks_off_never_reaches_the_application() -> None:
    events = iter([{"type": "http.request", "body": b'{"text": "4111', "more_body": True},
                   {"type": "http.disconnect"}])  # fmt: skip
    reached: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append("app")

    async def receive() -> Any:
        return next(events)

    async def send(event: Any) -> None:
        reached.append("send")

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"",
             "headers": [(b"content-type", b"application/json"),
                         (b"content-length", b"99")]}  # fmt: skip
    asyncio.run(MaskerMiddleware(app, MASKER)(scope, receive, send))
    assert reached == []
    assert ClientDisconnect is not None


def test_shutdown_decides_and_stores_what_waits() -> None:
    store = ListStore()
    recorder = Recorder()
    app = MaskerMiddleware(echo_app(recorder), MASKER, store=store)
    for site in site_of(app, recorder):
        site.echo({"conversation_id": "c1", "message_id": "m1", "text": "it says 6225"})
    assert store.transcript["c1", "m1"].text == "it says 6225"
    assert store.transcript["c1", "m1"].final


# -- failures ---------------------------------------------------------------------------------


def test_masking_that_breaks_lets_nothing_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise ValueError(SPACED)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        recorder.seen.append(body)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    recorder = Recorder()
    for site in site_of(MaskerMiddleware(app, MASKER), recorder):
        monkeypatch.setattr("masker.middleware.documents.slots", broken)
        answer = site.client.post("/", json={"text": CARD})
        assert (answer.status_code, answer.json()) == (500, {"detail": "masker: masking failed"})
        assert recorder.seen == []
        answer = site.client.get("/", headers={"content-length": "0"})
        assert CARD not in answer.text
        monkeypatch.undo()
        monkeypatch.setattr("masker.core.redactor.Redactor.receive", broken)
        answer = site.client.post("/", json={"text": CARD})
        assert CARD.encode() not in recorder.seen[-1]
        assert CARD not in answer.text


def test_a_stream_in_which_masking_breaks_ends() -> None:
    class Broken(Masker):
        def mask(self, text: str) -> Any:
            raise ValueError(text)

    app = source_app("application/x-ndjson", [f'{{"note": "{CARD}"}}\n'.encode()])
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    asyncio.run(MaskerMiddleware(app, Broken())(scope, receive, send))
    assert CARD not in str(sent)
    assert sent[0]["status"] == 500


# -- WebSocket --------------------------------------------------------------------------------


@settings(max_examples=12)
@given(written_numbers(), seeds())
def test_numbers_cut_over_websocket_messages_are_masked_both_ways(
    site: Site, digits: tuple[Written, ...], seed: int
) -> None:
    parts = parts_of(digits, (len(digits) // 2, len(digits) - len(digits) // 2))
    seen: dict[str, set[int]] = {}
    with connect(f"ws://{site.address}/ws") as socket:
        for number, part in enumerate(parts):
            as_bytes = seed % 2 == number
            document = json.dumps({"text": part.text}) if seed % 3 else part.text
            socket.send(document.encode() if as_bytes else document)
            back = socket.recv()
            text = back.decode() if isinstance(back, bytes) else back
            assert isinstance(back, bytes) is as_bytes
            readable(part, json.loads(text)["text"] if seed % 3 else text, seen)
    assert leaked(seen) == {}


def test_what_the_application_says_over_messages_is_masked(site: Site) -> None:
    """The application is the only one who says it: each of its messages is half a number."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for text in ("6222 0212", json.dumps({"reply": "3456 7890 128"})):
            await send({"type": "websocket.send", "text": text})
        await send({"type": "websocket.close", "code": 1000})

    for other in site_of(MaskerMiddleware(app, MASKER), Recorder()):
        with connect(f"ws://{other.address}/") as socket:
            assert socket.recv() == "**** ****"
            assert set(json.loads(socket.recv())["reply"]) <= set("* 0128")


def test_a_websocket_message_that_cannot_be_read_ends_the_connection(site: Site) -> None:
    with connect(f"ws://{site.address}/ws") as socket:
        socket.send(b"\xff\xfe4111111111111111")
        with pytest.raises(Exception, match="1011"):
            socket.recv()


def test_a_websocket_that_closes_is_told_to_the_application(site: Site) -> None:
    before = len(site.recorder.after)
    with connect(f"ws://{site.address}/ws") as socket:
        socket.send("hello")
        assert socket.recv() == "hello"
    for _ in range(200):
        if len(site.recorder.after) > before:
            break
        asyncio.run(asyncio.sleep(0.01))
    assert site.recorder.after[before:] == ["disconnected"]


# -- policies ---------------------------------------------------------------------------------


def test_under_policy_original_the_application_sees_what_was_sent() -> None:
    store = ListStore()
    recorder = Recorder()
    app = MaskerMiddleware(echo_app(recorder), MASKER, policy="original", store=store)
    for site in site_of(app, recorder):
        back = site.echo({"conversation_id": "c1", "text": f"card {CARD} ok", "n": int(CARD)})
        assert json.loads(recorder.seen[-1])["text"] == f"card {CARD} ok"
        assert json.loads(recorder.seen[-1])["n"] == int(CARD)
        assert CARD not in json.dumps(back)
    assert all(CARD not in message.text for message in store.saved)


def test_tokens_go_in_and_originals_come_back() -> None:
    recorder = Recorder()
    app = MaskerMiddleware(echo_app(recorder), MASKER, tokens=True)
    for site in site_of(app, recorder):
        said = {"conversation_id": "c1", "text": f"card {SPACED} ok"}
        assert site.echo(said)["text"] == said["text"]
        assert json.loads(recorder.seen[-1])["text"] == "card <CARD_1> ok"
        answer = site.client.post(
            "/sse", params={"conversation_id": "c1"},
            json={"chunks": ["it is <CA", "RD", "_1", "> and 4000 0000 ", "0000 0002 ", "ok"]},
        )  # fmt: skip
        shown = "".join(
            event["choices"][0]["delta"]["content"] for event in events_of(answer.text)[:-1]
        )
        assert shown == f"it is {SPACED} and **** **** **** 0002 ok"


def test_a_purge_is_asked_for_and_answered_without_the_application() -> None:
    store = ListStore()
    recorder = Recorder()
    app = MaskerMiddleware(echo_app(recorder), MASKER, store=store, purge=PurgeWords())
    for site in site_of(app, recorder):
        said = {"conversation_id": "c1", "sender": "u1"}
        site.echo({**said, "text": f"card {CARD} ok"})
        before = len(recorder.seen)
        asked = site.client.post("/echo", json={**said, "text": "清除我的记录"})
        assert asked.status_code == 200
        assert asked.json() == {"text": PurgeWords().question}
        done = site.client.post("/echo", json={**said, "text": "确认"})
        assert "receipt-1" in done.json()["text"]
        assert len(recorder.seen) == before
        assert store.saved == []
        with connect(f"ws://{site.address}/ws?conversation_id=c2") as socket:
            socket.send("delete my data")
            assert json.loads(socket.recv()) == {"text": PurgeWords().question}
            socket.send("no, wait")
            assert socket.recv() == "no, wait"


def test_plain_text_may_be_answered_too(site: Site) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(f"it is {SPACED} ok")(scope, receive, send)

    headers, body = answered(app)
    assert body.decode() == f"it is {MASKED} ok"
    assert int(headers["content-length"]) == len(body)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json; charset=utf-16", json.dumps({"text": CARD}).encode("utf-16")),
        ("application/json", b"\xef\xbb\xbf" + json.dumps({"text": CARD}).encode()),
        ("application/json", b'{"note": "\\u0034111111111111111"}'),
        ("application/json", b'{"n": 4111111111111111.0, "m": 4.111111111111111e15}'),
        ("text/plain; charset=utf-16", f"card {CARD}, you know".encode("utf-16")),
        ("text/html; charset=latin-1", f"caf\xe9 {CARD} ok".encode("latin-1")),
        ("text/plain", b"\xff\xfe 4111111111111111 ok"),
        ("text/event-stream", b"data: 4111 1111\ndata: 1111 1111 ok\n\n"),
        ("text/event-stream", b"id: 4111111111111111\r\rdata: 4111111111111111 ok\r\r"),
    ],
)
def test_no_way_to_write_a_body_hides_a_number(kind: str, body: bytes) -> None:
    _, out = answered(source_app(kind, [body]))
    text = out.decode("utf-16" if "utf-16" in kind else "latin-1")
    assert "*" in text
    digits = "".join(char for char in text if char.isdigit() or char == "*")
    assert "1111111" not in digits.replace("*", " ")

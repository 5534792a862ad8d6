"""ASGI: bodies that are something else than they seem; nothing in them comes through unmasked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

import pytest

from masker import Masker
from masker.middleware import documents
from masker.middleware.asgi import MaskerMiddleware

MASKER = Masker()
CARD = "4111111111111111"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
Header = tuple[bytes, bytes]


class Exchange:
    """One request to a masked application, as a server would bring it."""

    def __init__(
        self,
        body: bytes,
        headers: Sequence[Header],
        *,
        http_version: str = "1.1",
        answer: Sequence[bytes] = (b"ok",),
        answer_type: bytes = b"text/plain",
    ) -> None:
        self.seen: bytes | None = None
        self.sent: list[Any] = []
        self._body = [body]
        self._answer = answer
        self._answer_type = answer_type
        scope = {
            "type": "http", "http_version": http_version, "method": "POST", "path": "/",
            "query_string": b"", "headers": list(headers),
        }  # fmt: skip
        asyncio.run(MaskerMiddleware(self._app, MASKER)(scope, self._receive, self._send))

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        seen, more = b"", True
        while more:
            event = await receive()
            seen += event.get("body", b"")
            more = event.get("more_body", False)
        self.seen = seen
        start = [(b"content-type", self._answer_type)]
        await send({"type": "http.response.start", "status": 200, "headers": start})
        for piece in self._answer:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _receive(self) -> Any:
        if self._body:
            return {"type": "http.request", "body": self._body.pop(), "more_body": False}
        return {"type": "http.disconnect"}

    async def _send(self, event: Any) -> None:
        self.sent.append(event)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def answer(self) -> bytes:
        return b"".join(event.get("body", b"") for event in self.sent)


def posted(body: bytes, kind: str, **settings: Any) -> Exchange:
    length = str(len(body)).encode()
    return Exchange(
        body, [(b"content-type", kind.encode()), (b"content-length", length)], **settings
    )


@pytest.mark.parametrize(
    "body",
    [
        f"text={CARD}&text=hello",
        f"text=hello&text={CARD}",
        f"text={CARD}&text={CARD}&page=2&text=x",
        f"{CARD}=x",
        f"a{CARD}=x&text=hello",
        CARD,
        f"text=hi&text=4111+1111&{CARD}=1&text=1111+1111",
    ],
)
def test_a_form_hides_nothing_in_its_names_or_in_one_that_stands_twice(body: str) -> None:
    exchange = posted(body.encode(), FORM)
    assert exchange.seen is not None
    before = parse_qsl(body, keep_blank_values=True)
    after = parse_qsl(exchange.seen.decode(), keep_blank_values=True)
    assert [(len(name), len(value)) for name, value in after] == [
        (len(name), len(value)) for name, value in before
    ]
    assert CARD not in exchange.seen.decode()
    assert "4111" not in exchange.seen.decode()


def test_a_form_without_a_number_comes_through_byte_for_byte() -> None:
    body = b"text=%68ello&text=there+&page=2"
    assert posted(body, FORM).seen == body


@pytest.mark.parametrize("http_version", ["2", "3"])
def test_a_body_that_no_header_speaks_of_is_masked(http_version: str) -> None:
    """In HTTP/2 a body needs neither content-length nor transfer-encoding."""
    body = json.dumps({"text": f"card {CARD}"}).encode()
    exchange = Exchange(body, [(b"content-type", JSON.encode())], http_version=http_version)
    assert exchange.status == 200
    assert exchange.seen is not None
    assert b"card" in exchange.seen
    assert CARD.encode() not in exchange.seen
    assert Exchange(body, [], http_version=http_version).status == 415


@pytest.mark.parametrize("http_version", ["1.1", "2", "3"])
def test_a_request_without_a_body_needs_no_content_type(http_version: str) -> None:
    exchange = Exchange(b"", [], http_version=http_version)
    assert (exchange.status, exchange.seen) == (200, b"")


def test_of_two_content_types_none_is_believed() -> None:
    body = json.dumps({"text": CARD}).encode()
    for kinds in ((b"image/png", JSON.encode()), (JSON.encode(), b"image/png")):
        headers = [(b"content-length", str(len(body)).encode())]
        headers += [(b"content-type", kind) for kind in kinds]
        exchange = Exchange(body, headers)
        assert (exchange.status, exchange.seen) == (415, None)


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]
)
def test_escapes_are_read_in_every_encoding_that_json_may_have(encoding: str) -> None:
    escaped = "".join(f"\\u{ord(digit):04x}" for digit in CARD)
    exchange = posted(f'{{"text": "{escaped}", "note": "{escaped}"}}'.encode(encoding), JSON)
    assert exchange.seen is not None
    # As json.loads reads bytes, and so any framework does.
    assert json.loads(exchange.seen) == {"text": "*" * 16, "note": "*" * 12 + "1111"}
    same = '{"text": "h\\u00e9llo", "n": 1}'.encode(encoding)
    assert posted(same, JSON).seen == same


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be", "utf-32", "cp037", "utf-7"])
def test_a_text_is_not_hidden_by_a_charset_that_it_is_not_in(charset: str) -> None:
    for body in (f"my card {CARD}, thanks", f"+ADQ-{CARD}, thanks!"):
        exchange = posted(body.encode(), f"text/plain; charset={charset}")
        assert CARD.encode() not in (exchange.seen or b"")
    form = posted(b"text=" + "".join(f"%{ord(each):x}" for each in CARD).encode() + b"&a=b",
                  f"{FORM}; charset={charset}")  # fmt: skip
    assert (form.status, form.seen) == (415, None)


def test_a_text_in_its_own_charset_is_masked_in_it() -> None:
    for charset in ("utf-16", "utf-16-le", "gb18030", "shift_jis", "cp037"):
        body = f"my number is {CARD}, the order was 20240506"
        exchange = posted(body.encode(charset), f"text/plain; charset={charset}")
        assert exchange.seen is not None
        seen = exchange.seen.decode(charset)
        assert CARD not in seen
        assert seen.startswith("my number is ")


@pytest.mark.parametrize(
    "name", ["content", "refusal", "reasoning", "reasoning_content", "thinking", "text"]
)
def test_a_number_cut_over_chunks_is_one_whatever_a_model_says_it_as(name: str) -> None:
    parts = ("it is 4111 1111 ", "1111 ", "1111, so")
    events = [{"choices": [{"index": 0, "delta": {name: part}}]} for part in parts]
    exchange = posted(
        b"", FORM, answer=[f"data: {json.dumps(event)}\n\n".encode() for event in events],
        answer_type=b"text/event-stream",
    )  # fmt: skip
    lines = [line for line in exchange.answer.decode().splitlines() if line]
    deltas = [json.loads(line[6:])["choices"][0]["delta"][name] for line in lines]
    assert "".join(deltas) == "it is **** **** **** 1111, so"


@pytest.mark.parametrize("name", ["append", "text.append", "sender", "calendar", "pendingText"])
def test_a_name_that_only_has_an_end_in_its_letters_ends_nothing(name: str) -> None:
    """Else each event would be a whole text, and a number cut over them several harmless ones."""
    assert not documents.names_end(name)
    parts = ("4111 1111 ", "1111 1111")
    by_event = [f'event: {name}\ndata: {{"text": "{part}"}}\n\n' for part in parts]
    by_type = [f'data: {{"type": "{name}", "text": "{part}"}}\n\n' for part in parts]
    for events in (by_event, by_type):
        exchange = posted(
            b"", FORM, answer=[event.encode() for event in events],
            answer_type=b"text/event-stream",
        )  # fmt: skip
        shown = exchange.answer.decode()
        assert "4111" not in shown
        assert "**** **** **** 1111" in shown


@pytest.mark.parametrize(
    "name",
    [
        "done", "response.output_text.done", "message_stop", "message_end", "MessageEnd",
        "response.completed", "response.failed", "response.incomplete", "workflow_finished",
        "STREAM_ERROR", "streamComplete",
    ],
)  # fmt: skip
def test_what_ends_a_text_is_known_by_its_last_word(name: str) -> None:
    assert documents.names_end(name)


def through_a_socket(*events: dict[str, Any], answers: Sequence[dict[str, Any]] = ()) -> str:
    """All that an application sees of a WebSocket, and all that is sent of what it answers."""
    waiting = [{"type": "websocket.connect"}, *events, {"type": "websocket.disconnect"}]
    passed: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        passed.extend([await receive() for _ in events])
        for answer in answers:
            await send(answer)

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(event: Any) -> None:
        passed.append(event)

    scope = {"type": "websocket", "path": "/", "query_string": b"", "headers": []}
    asyncio.run(MaskerMiddleware(app, MASKER)(scope, receive, send))
    return json.dumps(passed)


def test_a_list_of_texts_without_a_name_is_what_somebody_said() -> None:
    parts = json.dumps(["it is 4111 1111", "1111 1111"])
    said = {"type": "websocket.receive", "text": parts}
    answer = {"type": "websocket.send", "text": parts}
    assert "4111 1111" not in through_a_socket(said, answers=[answer])
    exchange = posted(parts.encode(), JSON, answer=[parts.encode()], answer_type=JSON.encode())
    for masked in (exchange.seen, exchange.answer):
        assert masked is not None
        shown = json.loads(masked)
        assert shown[0] == "it is **** ****"
        assert set(shown[1]) <= set("* 1")
        assert "4111" not in shown[1]


def test_why_a_connection_ends_is_a_text() -> None:
    ended = {"type": "websocket.disconnect", "code": 1000, "reason": f"card {CARD}"}
    closed = {"type": "websocket.close", "code": 1000, "reason": f"card {CARD}"}
    passed = through_a_socket(ended, answers=[closed])
    assert CARD not in passed
    assert passed.count("card ************1111") == 2

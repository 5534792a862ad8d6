"""masker around an ASGI application: `app = MaskerMiddleware(app, masker=Masker())`.

Requests, responses and WebSocket messages are masked in both directions, under any ASGI
server and framework; nothing of a framework is imported. What a body is, its content type
says: JSON, NDJSON, server-sent events, a form, or text. A body of another type, an encoded
one and one that is too long is refused, unless the policy lets its type pass. When masking
itself breaks, the other side gets an error without content.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote_plus, urlencode

from masker.errors import BodyError, MaskerError
from masker.masker import Masker
from masker.middleware.bodies import (
    Body,
    DocumentBody,
    EventBody,
    LineBody,
    Talk,
    TextBody,
    given,
)
from masker.middleware.documents import Fields
from masker.middleware.flow import Policy
from masker.middleware.forms import masked_form
from masker.middleware.kinds import (
    Bodies,
    RefusedError,
    content_type,
    is_plain,
    may_have_body,
    says_body,
    way_of,
)
from masker.middleware.pipeline import AsyncPipeline
from masker.middleware.purging import PurgeWords
from masker.middleware.stages import ConversationRedactor, Store, Turn
from masker.middleware.ticking import Ticker

__all__ = ["Bodies", "Fields", "MaskerMiddleware"]

# Servers and frameworks differ in how they type these.
Scope: TypeAlias = Any
Event: TypeAlias = Any
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

# What says how the body was before it was masked.
_OF_THE_BODY = (b"content-md5", b"digest", b"content-digest", b"repr-digest", b"etag")
# Extensions by which an application sends a body past this middleware.
_WAYS_AROUND = ("http.response.pathsend", "http.response.zerocopysend")
# Statuses without a body (RFC 9110, 15.3.5 and 15.4.5).
_BODILESS = (204, 304)


class MaskerMiddleware:
    """The middleware; from `store` on the parameters are those of `AsyncPipeline`.

    `fields` says which keys of documents hold texts and ids. The conversation is what such a key
    says, or else the request header `header`, or else the query parameter of that name; where
    none says anything each request, or WebSocket, is a conversation of its own.
    `paths` limits masking to paths that match one of these patterns ("/chat*"); other requests
    pass unread. While anything waits, the middleware has the pipeline's time pass.
    """

    def __init__(
        self,
        app: Any,
        masker: Masker | None = None,
        *,
        pipeline: AsyncPipeline | None = None,
        fields: Fields | None = None,
        bodies: Bodies | None = None,
        header: str = "x-conversation-id",
        query: str = "conversation_id",
        paths: Sequence[str] = ("*",),
        store: Store | None = None,
        policy: Policy = "masked",
        tokens: bool = False,
        redactor: ConversationRedactor | None = None,
        purge: PurgeWords | None = None,
        join_replies: bool = False,
    ) -> None:
        self.app: App = app
        self.pipeline = pipeline or AsyncPipeline(
            masker or Masker(), store=store, policy=policy, tokens=tokens, redactor=redactor,
            purge=purge, join_replies=join_replies,
        )  # fmt: skip
        # What has no conversation is put together all the same, and stored nowhere.
        self._unnamed = self.pipeline.without_store()
        self._fields = fields or Fields()
        self._bodies = bodies or Bodies()
        self._header = header.lower().encode("latin-1")
        self._query = query
        self._paths = tuple(paths)
        self._ticker = Ticker(self.pipeline)

    def __repr__(self) -> str:
        return f"MaskerMiddleware({self.pipeline!r})"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self.app(scope, self._until_shutdown(receive), send)
        elif not any(fnmatchcase(scope["path"], pattern) for pattern in self._paths):
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _until_shutdown(self, receive: Receive) -> Receive:
        async def received() -> Event:
            event = await receive()
            if event["type"] == "lifespan.shutdown":
                self._ticker.stop()
                # What waits is decided and stored before the application closes its store.
                await self.pipeline.close()
            return event

        return received

    def _talk(self, scope: Scope) -> Talk:
        held = dict(scope["headers"]).get(self._header, b"").decode("latin-1") or None
        if held is None:
            pairs = parse_qsl(scope.get("query_string", b"").decode("latin-1"))
            held = dict(pairs).get(self._query)
        return Talk(self.pipeline, self._unnamed, self._fields, held)

    def _masked_scope(self, scope: Scope, talk: Talk) -> Scope:
        """The scope as the application sees it; it can neither compress nor send around us."""
        scope = dict(scope)
        scope["headers"] = [
            (name, value)
            for name, value in scope["headers"]
            if name not in (b"accept-encoding", b"range", b"if-range")
        ]
        extensions = dict(scope.get("extensions") or {})
        for name in _WAYS_AROUND:
            extensions.pop(name, None)
        scope["extensions"] = extensions
        if scope.get("query_string"):
            scope["query_string"] = _masked_query(scope["query_string"], talk)
        return scope

    # -- HTTP ----------------------------------------------------------------------------------

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        talk = self._talk(scope)
        response = _Response(talk, self._bodies, send, head=scope["method"] == "HEAD")
        try:
            try:
                scope = self._masked_scope(scope, talk)
                source = await self._request_body(scope, receive, talk)
            except RefusedError as error:
                await _say(send, error.status, str(error))
                return
            except BodyError as error:
                await _say(send, 413, str(error))
                return
            except Exception:  # noqa: BLE001 - fail closed: nothing of the request goes on
                await _say(send, 500, "masking failed")
                return
            if source is None:
                return
            if isinstance(source, Turn):
                await _answer(send, source, self._fields)
                return
            await self.app(scope, source, response.send)
        finally:
            await response.end()
            await talk.end()
            self._ticker.watch()

    async def _request_body(
        self, scope: Scope, receive: Receive, talk: Talk
    ) -> Receive | Turn | None:
        """What gives the application the masked body; `None` where the client has gone."""
        headers = dict(scope["headers"])
        if not may_have_body(scope, headers):
            return receive
        body: bytes | None = None
        if not says_body(headers):
            # HTTP/2 needs no header to say that there is a body.
            body = await _whole(receive, self._bodies.limit)
            if not body:
                return None if body is None else _replayed(body, receive)
        if len({value for name, value in scope["headers"] if name == b"content-type"}) > 1:
            raise RefusedError(415, "a body of two content types is not let through")
        kind, charset = content_type(headers)
        way = way_of(kind, headers, self._bodies, is_request=True)
        if way == "pass":
            return receive if body is None else _replayed(body, receive)
        if body is None:
            body = await _whole(receive, self._bodies.limit)
        if body is None:
            return None
        turn, masked = await self._masked_request(body, charset, talk, way) if body else (
            None, body)  # fmt: skip
        if turn is not None:
            return turn
        scope["headers"] = _with_length(scope["headers"], len(masked))
        return _replayed(masked, receive)

    async def _masked_request(
        self, body: bytes, charset: str, talk: Talk, way: str
    ) -> tuple[Turn | None, bytes]:
        if way in ("json", "lines"):
            # Each line of NDJSON is a document; a JSON body is one.
            parts = body.splitlines(keepends=True) if way == "lines" else [body]
            masked = [await self._masked_document(part, talk) for part in parts]
            answered = [turn for turn, _ in masked if turn is not None]
            return (answered[-1] if answered else None), b"".join(part for _, part in masked)
        plain = is_plain(charset)
        if way == "form":
            if not plain:
                raise RefusedError(415, "a form in this charset is not let through")
            return await masked_form(body, charset, talk)
        turn = await talk.receive(body.decode(charset, "surrogateescape"))
        shown = turn.text if turn.text is not None else ""
        out = shown.encode(charset, "surrogateescape")
        if not plain:
            # To an application that does not ask for the charset it is another text.
            other = out.decode("latin-1")
            if talk.alone(other) != other:
                raise RefusedError(415, "the charset is not that of the body")
        return (turn if turn.answer is not None else None), out

    async def _masked_document(self, source: bytes, talk: Talk) -> tuple[Turn | None, bytes]:
        if not source.strip():
            return None, source
        document = talk.document(source, inbound=True)
        if document is None:
            # Whatever the application makes of it, it is masked like a text.
            turn = await talk.receive(source.decode("utf-8", "surrogateescape"))
            text = turn.text if turn.text is not None else ""
            answered = turn if turn.answer is not None else None
            return answered, text.encode("utf-8", "surrogateescape")
        turn_or_none = await talk.take(document)
        end = source[len(source.rstrip(b"\r\n")) :]
        return turn_or_none, document.write() + end if document.altered else source

    # -- WebSocket -----------------------------------------------------------------------------

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        talk = self._talk(scope)
        limit = self._bodies.limit

        async def received() -> Event:
            while True:
                event = await receive()
                if event["type"] != "websocket.receive":
                    return _with_reason(event, talk, restore=False)
                try:
                    body, is_text = _frame(event, limit)
                    turn, masked = await self._masked_document(body, talk)
                except Exception:  # noqa: BLE001 - fail closed: the connection ends
                    await send({"type": "websocket.close", "code": 1011})
                    return {"type": "websocket.disconnect", "code": 1011}
                self._ticker.watch()
                if turn is None:
                    return _framed("websocket.receive", masked, is_text=is_text)
                await send(
                    _framed("websocket.send", _answer_body(turn, self._fields), is_text=True)
                )

        async def sent(event: Event) -> None:
            if event["type"] == "websocket.send":
                try:
                    body, is_text = _frame(event, limit)
                    event = _framed("websocket.send", await given(talk, body), is_text=is_text)
                except Exception:  # noqa: BLE001 - fail closed: the connection ends
                    event = {"type": "websocket.close", "code": 1011}
            elif event["type"] == "websocket.http.response.body":
                # A refusal of the handshake: its body is a text by itself.
                body = event.get("body", b"")
                event = {**event, "body": await given(talk, body) if body else body}
            elif event["type"] == "websocket.http.response.start":
                event = {**event, "headers": _without_length(event.get("headers", []))}
            await send(_with_reason(event, talk, restore=True))

        try:
            await self.app(self._masked_scope(scope, talk), received, sent)
        finally:
            await talk.end()
            self._ticker.watch()


class _Response:
    """The response of one request, on its way out."""

    def __init__(self, talk: Talk, bodies: Bodies, send: Send, *, head: bool) -> None:
        self._talk = talk
        self._bodies = bodies
        self._send = send
        self._head = head
        self._start: Event | None = None
        self._body: Body | None = None
        self._started = False
        self._over = False

    async def send(self, event: Event) -> None:
        """What the application sends."""
        kind = event["type"]
        if self._over and kind != "http.response.trailers":
            return
        if kind == "http.response.start":
            self._start = event
            return
        if kind != "http.response.body" or self._start is None:
            await self._send(event)
            return
        try:
            await self._masked(event)
        except Exception:  # noqa: BLE001 - fail closed: nothing of the body goes on
            await self._fail(500, "masking failed")

    async def end(self) -> None:
        """The application is done, or gave up: what came of an unfinished body is stored."""
        if self._body is not None and not self._over:
            self._over = True
            with suppress(MaskerError):
                await self._body.feed(b"", last=True)

    async def _masked(self, event: Event) -> None:
        assert self._start is not None
        piece, last = event.get("body", b""), not event.get("more_body", False)
        if self._body is None and not self._started:
            # Lower case is what the specification asks for, and not what everybody does.
            held = self._start.get("headers", [])
            headers = {bytes(name).lower(): bytes(value) for name, value in held}
            kind, charset = content_type(headers)
            bodiless = self._head or self._start["status"] in _BODILESS or (last and not piece)
            try:
                way = "pass" if bodiless else way_of(kind, headers, self._bodies, is_request=False)
                self._body = self._body_of(way, charset)
            except (RefusedError, LookupError):
                await self._fail(500, "a response of this type is not let through")
                return
        if self._body is None:
            await self._begin(None)
            await self._send(event)
            return
        try:
            out = await self._body.feed(piece, last=last)
        except BodyError as error:
            await self._fail(500, str(error))
            return
        if isinstance(self._body, DocumentBody) and not last:
            return
        await self._begin(len(out) if last else None)
        self._over = last
        await self._send({"type": "http.response.body", "body": out, "more_body": not last})

    def _body_of(self, way: str, charset: str) -> Body | None:
        if way == "json":
            return DocumentBody(self._talk, self._bodies.limit)
        if way == "lines":
            return LineBody(self._talk, self._bodies.limit)
        if way == "events":
            return EventBody(self._talk, self._bodies.limit)
        return None if way == "pass" else TextBody(self._talk, charset)

    async def _begin(self, length: int | None) -> None:
        """Send the start that was held back; `length` where the whole body is known."""
        if self._started:
            return
        assert self._start is not None
        self._started = True
        if self._body is not None:
            headers = _without_length(self._start.get("headers", []))
            if length is not None:
                headers.append((b"content-length", str(length).encode()))
            self._start = {**self._start, "headers": headers}
        await self._send(self._start)

    async def _fail(self, status: int, reason: str) -> None:
        self._over = True
        if self._started:
            # The rest is missing, and nobody can say so any more but by ending here.
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            self._started = True
            await _say(self._send, status, reason)


async def _whole(receive: Receive, limit: int) -> bytes | None:
    """A request's body; `None` where the client goes before it is whole.

    Raises:
        BodyError: it is longer than the limit.
    """
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        body += event.get("body", b"")
        if len(body) > limit:
            raise BodyError(what="body", limit=limit)
        if not event.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """First the masked body, then what the server says (that the client has gone)."""
    waiting = [body]

    async def received() -> Event:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return received


def _with_length(headers: Headers, length: int) -> Headers:
    kept = [
        (name, value)
        for name, value in headers
        if name not in (b"content-length", b"transfer-encoding", b"content-md5", b"digest")
    ]
    return [*kept, (b"content-length", str(length).encode())]


def _without_length(headers: Any) -> Headers:
    gone = (b"content-length", *_OF_THE_BODY)
    return [(name, value) for name, value in headers if bytes(name).lower() not in gone]


def _masked_query(query: bytes, talk: Talk) -> bytes:
    """The query with its values masked; as it was where there is nothing to mask."""
    plain = unquote_plus(query.decode("latin-1"))
    if not any(char.isdigit() or not char.isascii() for char in plain):
        return query
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    masked = [(talk.alone(name), talk.alone(value)) for name, value in pairs]
    return query if masked == pairs else urlencode(masked).encode("ascii")


def _frame(event: Event, limit: int) -> tuple[bytes, bool]:
    """What a WebSocket message says, and whether it is text.

    Raises:
        BodyError: it is longer than the limit.
        UnicodeDecodeError: it is neither text nor anything that can be read as such.
    """
    text = event.get("text")
    if text is not None:
        body = text.encode("utf-8", "surrogatepass")
    else:
        body = event.get("bytes") or b""
        body.decode("utf-8")
    if len(body) > limit:
        raise BodyError(what="message", limit=limit)
    return body, text is not None


def _with_reason(event: Event, talk: Talk, *, restore: bool) -> Event:
    """Why a connection ends is a text as well."""
    reason = event.get("reason")
    if not isinstance(reason, str):
        return event
    try:
        shown = talk.pipeline.mask(talk.conversation_id, reason, restore=restore)
    except Exception:  # noqa: BLE001 - fail closed: it ends without a reason
        shown = ""
    return {**event, "reason": shown}


def _framed(kind: str, body: bytes, *, is_text: bool) -> Event:
    if is_text:
        return {"type": kind, "text": body.decode("utf-8", "surrogateescape")}
    return {"type": kind, "bytes": body}


def _answer_body(turn: Turn, fields: Fields) -> bytes:
    return json.dumps({fields.text[0]: turn.answer}, ensure_ascii=False).encode()


async def _answer(send: Send, turn: Turn, fields: Fields) -> None:
    """What the chat itself has to say to a request that the application never sees."""
    await _json(send, 200, _answer_body(turn, fields))


async def _say(send: Send, status: int, reason: str) -> None:
    await _json(send, status, json.dumps({"detail": f"masker: {reason}"}).encode())


async def _json(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"),
               (b"content-length", str(len(body)).encode())]  # fmt: skip
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})

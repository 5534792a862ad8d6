"""masker around the OpenAI client, which speaks through it.

    client = OpenAI(http_client=MaskedClient(masker))
    client = AsyncOpenAI(http_client=AsyncMaskedClient(masker))

It is the HTTP client of the client, and so nothing gets past it: chat completions, responses,
embeddings, whatever the library adds, streamed or not, parsed or raw. Every request's document is
masked before it leaves, every answer before it is read, tool-call arguments included (in a
stream they come in one piece, when they are whole). Servers that speak the same protocol are
served the same way.

A request says all that was said, so each is a conversation of its own. With the header
`x-conversation-id` (`extra_headers=`), which is not sent on, or the `conversation` of the Responses
API, several are one.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from masker.errors import BodyError, MaskerError, MissingExtraError

try:
    from openai import DefaultAsyncHttpxClient, DefaultHttpxClient

    if TYPE_CHECKING:
        import httpx
    else:
        # The library that the client itself speaks through: openai 3 has httpx2 for httpx, which
        # is the same but for its name.
        _base = next(base for base in DefaultHttpxClient.__mro__ if base.__name__ == "Client")
        httpx = import_module(_base.__module__.partition(".")[0])
except ImportError as error:
    raise MissingExtraError(extra="openai") from error

from masker.masker import Masker
from masker.middleware.bodies import Body, DocumentBody, EventBody, LineBody, Talk, TextBody
from masker.middleware.documents import Fields
from masker.middleware.history import Unfinished
from masker.middleware.kinds import Bodies, RefusedError, content_type, way_of
from masker.middleware.pipeline import AsyncPipeline
from masker.middleware.stages import Act, ConversationRedactor, Store

Result = TypeVar("Result")

HEADER = "x-conversation-id"

# Ids and settings that stand beside what was said; token probabilities say it again, in pieces.
FIELDS = Fields(
    text=(
        "text", "content", "input", "output", "prompt", "refusal", "delta", "transcript",
        "reasoning", "reasoning_content", "thinking", "summary", "output_text",
    ),
    conversation=("conversation",),
    sender=("role",),
    message_id=(),
    subject=(),
    documents=("arguments",),
    kept=(
        "id", "call_id", "tool_call_id", "item_id", "response_id", "previous_response_id", "model",
        "object", "type", "system_fingerprint", "obfuscation", "encrypted_content", "file_id",
        "finish_reason", "status",
    ),
    values=("input", "args", "arguments", "metadata"),
    blobs=("file_data", "image_url", "url", "data", "b64_json"),
    dropped=("logprobs",),
)  # fmt: skip
LIMIT = 1 << 26


class MaskingError(RefusedError, httpx.RequestError):
    """A request was not sent, or its answer not read, because it could not be masked.

    A `RequestError`, for that is what every release of the client takes for a failed connection.
    """


@contextmanager
def _closed_on_failure() -> Iterator[None]:
    """Whatever breaks in masking ends the call, without a word of what was said."""
    try:
        yield
    except (httpx.HTTPError, httpx.StreamError):
        raise
    except MaskerError as error:
        raise MaskingError(getattr(error, "status", 500), str(error)) from None
    except Exception as error:  # noqa: BLE001 - its text may hold a message
        raise MaskingError(500, f"masking failed ({type(error).__name__})") from None


class _Immediate(AsyncPipeline):
    """A pipeline whose acts block: its coroutines never wait for anything else."""

    async def _do(self, act: Act) -> Any:
        return self._method(act)(*act.arguments, **dict(act.named))

    async def aside(self, size: int, work: Callable[[], Result]) -> Result:
        """Work, here and now."""
        return work()

    async def give_way(self) -> None:
        """There is nobody else: who calls it waits for it."""


def _now(step: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that never waits."""
    try:
        step.send(None)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    step.close()
    raise RuntimeError("a step of a blocking client waited for an event loop")


class _Masking:
    """What both clients do with a request and its answer."""

    def __init__(
        self, pipeline: AsyncPipeline, fields: Fields | None, bodies: Bodies | None
    ) -> None:
        self._pipeline = pipeline
        self._unnamed = pipeline.without_store()
        self._fields = fields or FIELDS
        self._bodies = bodies or Bodies(limit=LIMIT)
        self._lock = threading.RLock()

    def now(self, step: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine that never waits; threads take turns."""
        with self._lock:
            return _now(step)

    async def request(self, request: httpx.Request) -> tuple[httpx.Request, Talk]:
        """The request as it may leave."""
        headers = httpx.Headers(request.headers)
        named = headers.pop(HEADER, None)
        talk = Talk(self._pipeline, self._unnamed, self._fields, named, for_model=True)
        content = request.content
        if content:
            raw = {name.lower(): value for name, value in headers.raw}
            kind, _ = content_type(raw)
            way = way_of(kind, raw, self._bodies, is_request=True)
            if way != "pass":
                if way != "json":
                    raise RefusedError(415, "a request that is no JSON is not let through")
                try:
                    document = talk.read(content, inbound=True)
                except ValueError:
                    # The parser's own error carries what it could not read.
                    raise RefusedError(
                        415, "a request that is no JSON is not let through"
                    ) from None
                await talk.take(document)
                content = document.write() if document.altered else content
        headers.pop("content-length", None)
        headers.pop("transfer-encoding", None)
        masked = httpx.Request(
            request.method, request.url, headers=headers, content=content,
            extensions=request.extensions,
        )  # fmt: skip
        return masked, talk

    def body_of(self, response: httpx.Response, talk: Talk) -> Body | None:
        """What masks the response's body; `None` where it passes as it is."""
        # What is read of a response is decoded already.
        headers = {
            name.lower(): value
            for name, value in response.headers.raw
            if name.lower() != b"content-encoding"
        }
        kind, charset = content_type(headers)
        if not kind and response.headers.get("content-length") == "0":
            return None
        way = way_of(kind, headers, self._bodies, is_request=False)
        if way == "json":
            return DocumentBody(talk, self._bodies.limit)
        if way == "events":
            return EventBody(talk, self._bodies.limit)
        if way == "lines":
            return LineBody(talk, self._bodies.limit)
        return None if way == "pass" else TextBody(talk, charset)

    @staticmethod
    def answer(
        request: httpx.Request,
        response: httpx.Response,
        stream: httpx.SyncByteStream | httpx.AsyncByteStream,
    ) -> httpx.Response:
        """The response as it may be read, without what says how its body was before."""
        headers = httpx.Headers(response.headers)
        for name in ("content-length", "content-encoding", "transfer-encoding", "etag"):
            headers.pop(name, None)
        return httpx.Response(
            response.status_code, headers=headers, request=request, stream=stream,
            extensions=response.extensions, history=response.history,
        )  # fmt: skip


async def _end(body: Body | None, talk: Talk, *, is_over: bool) -> None:
    """A response is over, or nobody reads on: what came of it is stored."""
    if body is not None and not is_over:
        with suppress(MaskerError):
            await body.feed(b"", last=True)
    await talk.end()


class MaskedClient(DefaultHttpxClient):
    """An HTTP client for `OpenAI(http_client=...)`; keyword arguments are `httpx.Client`'s too.

    `tokens`: the model sees `<CARD_1>`, and its answer and its tool calls are given the
    number back. `unfinished="shown"`: the model sees the "4" of a last "see page 4", which may be
    the start of a number, as long as no word calls it one. `store` takes what was said
    in conversations that have a name, masked.

    Raises, from a call of the client, as the cause of its `APIConnectionError`:
        MaskingError: a body cannot be masked, or is of a kind that is not let through (`bodies`
            says which are).
    """

    def __init__(
        self,
        masker: Masker | None = None,
        *,
        tokens: bool = False,
        unfinished: Unfinished = "masked",
        store: Store | None = None,
        redactor: ConversationRedactor | None = None,
        fields: Fields | None = None,
        bodies: Bodies | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        pipeline = _Immediate(
            masker or Masker(), tokens=tokens, unfinished=unfinished, store=store,
            redactor=redactor,
        )  # fmt: skip
        self._masking = _Masking(pipeline, fields, bodies)

    def send(self, request: httpx.Request, **settings: Any) -> httpx.Response:
        """Send a request masked; give its response masked."""
        stream = settings.pop("stream", False)
        request.read()
        with _closed_on_failure():
            masked, talk = self._masking.now(self._masking.request(request))
        response = super().send(masked, stream=True, **settings)
        with _closed_on_failure():
            try:
                body = self._masking.body_of(response, talk)
            except BaseException:
                response.close()
                raise
            masked_body = _Masked(response, body, talk, self._masking)
            answer = self._masking.answer(request, response, masked_body)
            if not stream:
                answer.read()
        return answer


class _Masked(httpx.SyncByteStream):
    """A response's body, masked as it is read."""

    def __init__(
        self, response: httpx.Response, body: Body | None, talk: Talk, masking: _Masking
    ) -> None:
        self._response = response
        self._body = body
        self._talk = talk
        self._now = masking.now
        self._is_over = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._response.iter_bytes():
            if (
                out := piece
                if self._body is None
                else self._now(self._body.feed(piece, last=False))
            ):
                yield out
        self._is_over = True
        if self._body is not None and (out := self._now(self._body.feed(b"", last=True))):
            yield out

    def close(self) -> None:
        is_over, self._is_over = self._is_over, True
        try:
            self._response.close()
        finally:
            self._now(_end(self._body, self._talk, is_over=is_over))


class AsyncMaskedClient(DefaultAsyncHttpxClient):
    """An HTTP client for `AsyncOpenAI(http_client=...)`: see `MaskedClient`."""

    def __init__(
        self,
        masker: Masker | None = None,
        *,
        tokens: bool = False,
        unfinished: Unfinished = "masked",
        store: Store | None = None,
        redactor: ConversationRedactor | None = None,
        fields: Fields | None = None,
        bodies: Bodies | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        pipeline = AsyncPipeline(
            masker or Masker(), tokens=tokens, unfinished=unfinished, store=store,
            redactor=redactor,
        )  # fmt: skip
        self._masking = _Masking(pipeline, fields, bodies)

    async def send(self, request: httpx.Request, **settings: Any) -> httpx.Response:
        """Send a request masked; give its response masked."""
        stream = settings.pop("stream", False)
        await request.aread()
        with _closed_on_failure():
            masked, talk = await self._masking.request(request)
        response = await super().send(masked, stream=True, **settings)
        with _closed_on_failure():
            try:
                body = self._masking.body_of(response, talk)
            except BaseException:
                await response.aclose()
                raise
            masked_body = _AsyncMasked(response, body, talk)
            answer = self._masking.answer(request, response, masked_body)
            if not stream:
                await answer.aread()
        return answer


class _AsyncMasked(httpx.AsyncByteStream):
    """A response's body, masked as it is read."""

    def __init__(self, response: httpx.Response, body: Body | None, talk: Talk) -> None:
        self._response = response
        self._body = body
        self._talk = talk
        self._is_over = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._response.aiter_bytes():
            if out := piece if self._body is None else await self._body.feed(piece, last=False):
                yield out
        self._is_over = True
        if self._body is not None and (out := await self._body.feed(b"", last=True)):
            yield out

    async def aclose(self) -> None:
        is_over, self._is_over = self._is_over, True
        try:
            await self._response.aclose()
        finally:
            await _end(self._body, self._talk, is_over=is_over)


__all__ = [
    "FIELDS",
    "AsyncMaskedClient",
    "BodyError",
    "MaskedClient",
    "MaskingError",
    "RefusedError",
    "httpx",
]

"""A server that speaks the OpenAI protocol, and says what a test wants it to say."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


class Model:
    """What the model was asked, and what it is to answer."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.chunks: list[str] = ["hello"]
        # Chunks of the arguments of a tool call, in the place of a text.
        self.arguments: list[str] = []
        self.status = 200

    @property
    def seen(self) -> str:
        """All of the last request, as the model read it."""
        return json.dumps(self.asked[-1], ensure_ascii=False)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/v1/responses", self._responses, methods=["POST"]),
                Route("/v1/embeddings", self._embeddings, methods=["POST"]),
            ]
        )

    async def _take(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = await request.json()
        self.asked.append(body)
        self.headers.append(dict(request.headers))
        return body

    async def _chat(self, request: Request) -> Response:
        body = await self._take(request)
        if self.status != 200:
            error = {"message": f"cannot say {''.join(self.chunks)}", "type": "bad", "code": None}
            return JSONResponse({"error": error}, self.status)
        base = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
        if body.get("stream"):
            return _streamed(
                json.dumps(base | {"object": "chat.completion.chunk", "choices": [choice]})
                for choice in self._choices()
            )
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self.chunks)}
        if self.arguments:
            function = {"name": "charge", "arguments": "".join(self.arguments)}
            call = {"id": "call_1", "type": "function", "function": function}
            message |= {"content": None, "tool_calls": [call]}
        reason = "tool_calls" if self.arguments else "stop"
        choice = {"index": 0, "message": message, "finish_reason": reason}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        answer = base | {"object": "chat.completion", "choices": [choice], "usage": usage}
        return JSONResponse(answer)

    def _choices(self) -> Iterator[dict[str, Any]]:
        def choice(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
            return {"index": 0, "delta": delta, "finish_reason": reason}

        yield choice({"role": "assistant", "content": None if self.arguments else ""})
        if self.arguments:
            function: dict[str, str] = {"name": "charge", "arguments": ""}
            call = {"index": 0, "id": "call_1", "type": "function", "function": function}
            yield choice({"tool_calls": [call]})
            for piece in self.arguments:
                yield choice({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        else:
            for piece in self.chunks:
                yield choice({"content": piece})
        yield choice({}, "tool_calls" if self.arguments else "stop")

    async def _responses(self, request: Request) -> Response:
        body = await self._take(request)
        if self.arguments:
            whole = "".join(self.arguments)
            item: dict[str, Any] = {
                "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "charge",
                "arguments": whole, "status": "completed",
            }  # fmt: skip
        else:
            part = {"type": "output_text", "text": "".join(self.chunks), "annotations": []}
            item = {
                "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                "content": [part],
            }  # fmt: skip
        answer = {
            "id": "resp_1", "object": "response", "created_at": 1, "model": body["model"],
            "status": "completed", "output": [item], "parallel_tool_calls": True,
            "tool_choice": "auto", "tools": [],
        }  # fmt: skip
        if not body.get("stream"):
            return JSONResponse(answer)
        return _streamed(map(json.dumps, self._events(answer, item)), done=False)

    def _events(self, answer: dict[str, Any], item: dict[str, Any]) -> Iterator[dict[str, Any]]:
        where = {"output_index": 0, "item_id": item["id"]}
        yield {"type": "response.created", "response": {**answer, "output": []}}
        started = {**item, "status": "in_progress"}
        if self.arguments:
            started["arguments"] = ""
            yield {"type": "response.output_item.added", "output_index": 0, "item": started}
            kind = "response.function_call_arguments"
            for piece in self.arguments:
                yield {"type": f"{kind}.delta", "delta": piece, **where}
            yield {"type": f"{kind}.done", "arguments": item["arguments"], **where}
        else:
            where |= {"content_index": 0}
            started["content"] = []
            yield {"type": "response.output_item.added", "output_index": 0, "item": started}
            empty = {**item["content"][0], "text": ""}
            yield {"type": "response.content_part.added", "part": empty, **where}
            for piece in self.chunks:
                yield {
                    "type": "response.output_text.delta",
                    "delta": piece,
                    "logprobs": [],
                    **where,
                }
            text = item["content"][0]["text"]
            yield {"type": "response.output_text.done", "text": text, "logprobs": [], **where}
            yield {"type": "response.content_part.done", "part": item["content"][0], **where}
        yield {"type": "response.output_item.done", "output_index": 0, "item": item}
        yield {"type": "response.completed", "response": answer}

    async def _embeddings(self, request: Request) -> Response:
        body = await self._take(request)
        data = [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return JSONResponse(
            {"object": "list", "data": data, "model": body["model"], "usage": usage}
        )


def _streamed(events: Iterator[str], *, done: bool = True) -> Response:
    async def pieces() -> AsyncIterator[str]:
        for number, event in enumerate(events):
            kind = json.loads(event).get("type")
            if kind is not None:
                document = json.loads(event) | {"sequence_number": number}
                event = json.dumps(document)
                yield f"event: {kind}\n"
            yield f"data: {event}\n\n"
        if done:
            yield "data: [DONE]\n\n"

    return StreamingResponse(pieces(), media_type="text/event-stream")

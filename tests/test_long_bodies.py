"""Very long requests: the event loop that serves everybody else goes on meanwhile."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from masker import Masker
from masker.middleware.asgi import MaskerMiddleware

MASKER = Masker()
CARDS = "4111 1111 1111 1111, " * 2_000
LONG: dict[str, Any] = {
    "a text": {"text": CARDS},
    "a text of a conversation": {"conversation_id": "c1", "text": CARDS},
    "a text that is none": {"note": CARDS},
    "messages": {"messages": [{"text": "4111"}] * 500},
    "texts": ["4111"] * 500,
}


@pytest.mark.parametrize("name", LONG)
def test_others_are_served_while_a_long_request_is_masked(name: str) -> None:
    seen: list[Any] = []

    async def answer(request: Request) -> JSONResponse:
        seen.append(await request.json())
        return JSONResponse({"ok": True})

    app = MaskerMiddleware(Starlette(routes=[Route("/", answer, methods=["POST"])]), MASKER)

    async def chat() -> int:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://chat") as client:
            request = asyncio.create_task(client.post("/", json=LONG[name]))
            turns = 0
            while not request.done():
                # Each is one that somebody else had.
                await asyncio.sleep(0.001)
                turns += 1
            assert (await request).is_success
            return turns

    assert asyncio.run(chat()) > 20
    assert "4111 1111 1111" not in json.dumps(seen)


def test_messages_of_a_conversation_keep_their_order_around_a_long_one() -> None:
    """A long one is masked in a thread; what comes meanwhile is not put before it."""
    seen: list[Any] = []

    async def answer(request: Request) -> JSONResponse:
        seen.append((await request.json())["text"])
        return JSONResponse({"ok": True})

    app = MaskerMiddleware(Starlette(routes=[Route("/", answer, methods=["POST"])]), MASKER)

    async def chat() -> None:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://chat") as client:
            texts = ["my card is 4111 1111", "so, " * 50_000, "1111 1111 it is"]
            requests = []
            for text in texts:
                body = {"conversation_id": "c1", "text": text}
                requests.append(asyncio.create_task(client.post("/", json=body)))
                # Each is under way when the next one comes.
                await asyncio.sleep(0.005)
            await asyncio.gather(*requests)

    asyncio.run(chat())
    assert sorted(seen, key=len) == [
        "**** **** it is", "my card is **** ****", "so, " * 50_000,
    ]  # fmt: skip

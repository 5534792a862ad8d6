"""A FastAPI application behind masker; the same for any other ASGI application.

masker needs nothing for it; this example needs `pip install fastapi httpx`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from masker import Masker
from masker.middleware.asgi import MaskerMiddleware

app = FastAPI()
app.add_middleware(MaskerMiddleware, masker=Masker())


@app.post("/chat")
async def chat(said: dict[str, Any]) -> dict[str, str]:
    print("the application reads:", said["text"])
    return {"reply": "thank you, go on"}


@app.get("/answer")
async def answer() -> StreamingResponse:
    async def events() -> AsyncIterator[str]:
        for chunk in ("your card 51", "05 1051 05", "10 5100", " is active"):
            yield f"data: {json.dumps({'delta': chunk})}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


async def main() -> None:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://chat") as client:
        for text in ("my card is 5105 1051", "0510 5100"):
            await client.post("/chat", json={"conversation_id": "c1", "text": text})
        lines = (await client.get("/answer")).text.split("\n")
        chunks = [json.loads(line[6:])["delta"] for line in lines if line]
        print("the client reads:     ", "".join(chunks))


asyncio.run(main())

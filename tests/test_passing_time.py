"""Adapters tell their pipeline that time passes where nobody else does: nothing waits for ever."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from langchain_core.messages import HumanMessage
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from masker import Masker
from masker.middleware import Pipeline
from masker.middleware.asgi import MaskerMiddleware
from masker.middleware.langchain_messages import MessageMasker, Talk
from pipelines import ListStore

MASKER = Masker()
PART = "it is 4111 1111"


async def until(happened: Any) -> None:
    """Wait for something; a minute at most."""
    for _ in range(6_000):
        if happened():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


@pytest.mark.parametrize("breaks", [False, True])
def test_what_a_request_left_waiting_is_decided_without_another(
    monkeypatch: pytest.MonkeyPatch, breaks: bool
) -> None:
    monkeypatch.setattr("masker.middleware.ticking.TICK", 0.01)
    store = ListStore()

    async def answer(request: Request) -> JSONResponse:
        await request.json()
        return JSONResponse({"ok": True})

    app = MaskerMiddleware(
        Starlette(routes=[Route("/", answer, methods=["POST"])]), MASKER, store=store,
        redactor=MASKER.redactor(window_seconds=0.05),
    )  # fmt: skip

    async def chat() -> None:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://chat") as client:
            for number in range(3):
                said = {"conversation_id": f"c{number}", "message_id": "m1", "text": PART}
                assert (await client.post("/", json=said)).is_success
            store.broken = breaks
            if breaks:
                # It is decided while the store is away, and stored once that is back.
                await until(lambda: app.pipeline._flow.unsaved == 3)
                store.broken = False
        await until(lambda: [m.text for m in store.transcript.values()] == [PART] * 3)
        await until(lambda: not app.pipeline.is_waiting)

    asyncio.run(chat())


def test_threads_of_an_agent_are_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("masker.middleware.langchain_messages.TICK", timedelta())
    redactor = MASKER.redactor(window_seconds=1e-6)
    pipeline = Pipeline(MASKER, redactor=redactor)
    masking = MessageMasker(pipeline, restores=False)
    for number in range(50):
        masking.messages([HumanMessage(PART, id="m1")], Talk(f"t{number}", remembered=True))
    assert redactor.pending <= 1

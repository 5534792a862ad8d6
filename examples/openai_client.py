"""The OpenAI client, speaking through masker: the model reads tokens, you read the originals."""

from __future__ import annotations

import json

from openai import OpenAI

from masker import Masker
from masker.middleware.openai import MaskedClient, httpx


def model(request: httpx.Request) -> httpx.Response:
    """Stands for the model, so that this runs without one: leave `transport=` away."""
    messages = json.loads(request.content)["messages"]
    print("the model reads:", [message["content"] for message in messages])
    message = {"role": "assistant", "content": "I noted <CARD_1>, not 4000 0000 0000 0002."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
    return httpx.Response(200, json={**answer, "choices": [choice]})


http = MaskedClient(Masker(), tokens=True, transport=httpx.MockTransport(model))
with OpenAI(api_key="none", http_client=http) as client:
    answer = client.chat.completions.create(
        model="m",
        messages=[
            {"role": "user", "content": "my card is 5105 1051"},
            {"role": "user", "content": "0510 5100, please note it"},
        ],
    )
    print("you read:       ", answer.choices[0].message.content)

"""LiteLLM with masker as a guardrail; in the proxy, name it in the configuration instead.

guardrails:
  - guardrail_name: masker
    litellm_params:
      guardrail: masker.middleware.litellm.MaskerGuardrail  # or a function of yours that makes one
      mode: [pre_call, post_call]
      default_on: true
"""

from __future__ import annotations

import asyncio
import os

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # no price list from the network

import litellm

from masker import Masker
from masker.middleware.litellm import MaskerGuardrail

guardrail = MaskerGuardrail(Masker())
litellm.callbacks = [guardrail]


async def main() -> None:
    call = {
        "model": "openai/m",
        "messages": [{"role": "user", "content": "what is my number?"}],
        "mock_response": "it is 5105 1051 0510 5100, as you know",  # stands for a model
    }
    answer = await litellm.acompletion(**call)
    print("whole:   ", answer.choices[0].message.content)
    stream = await guardrail.acompletion(**call, stream=True)
    print("streamed:", "".join([part.choices[0].delta.content or "" async for part in stream]))


asyncio.run(main())

"""masker inside a running LiteLLM proxy, over HTTP on both sides.

The proxy needs other releases of what the tests need. So it has an environment of its own, whose
Python `MASKER_LITELLM_PYTHON` names; without it these tests are left out:

    python -m venv DIR && DIR/bin/pip install 'litellm[proxy]' cryptography python-stdnum regex
    MASKER_LITELLM_PYTHON=DIR/bin/python pytest tests/test_litellm_proxy.py
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from models import Model
from servers import served

PYTHON = os.environ.get("MASKER_LITELLM_PYTHON", "")
pytestmark = pytest.mark.skipif(not PYTHON, reason="MASKER_LITELLM_PYTHON names no environment")

ROOT = Path(__file__).parents[1]
CARD = "4111 1111 1111 1111"
ANSWER = "it is **** **** **** 1111, as you know"
PARTS = [
    {"role": "user", "content": "my card is 5105 1051"},
    {"role": "assistant", "content": "go on"},
    {"role": "user", "content": "0510 5100 thanks"},
]
LOGGER = """
from litellm.integrations.custom_logger import CustomLogger

class Told(CustomLogger):
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        open("told", "a").write(f"{kwargs} {response_obj}\\n")
    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        open("told", "a").write(f"{kwargs} {response_obj}\\n")

told = Told()
"""


class Proxy:
    """A proxy in a process of its own, its client, and the model behind it."""

    def __init__(self, folder: Path, model: Model, upstream: str, guardrails: Any) -> None:
        self.model = model
        self._folder = folder
        (folder / "my_logger.py").write_text(LOGGER)
        (folder / "config.yaml").write_text(
            yaml.safe_dump(
                {
                    "model_list": [
                        _model("m", f"http://{upstream}/v1"),
                        _model("down", f"http://127.0.0.1:{_free_port()}/v1"),
                    ],
                    "litellm_settings": {"callbacks": "my_logger.told"},
                    **guardrails,
                }
            )
        )
        key, port = f"sk-{secrets.token_hex(32)}", _free_port()
        self._log = (folder / "log").open("w")
        self._process = subprocess.Popen(
            [PYTHON, "-m", "litellm.proxy.proxy_cli", "--config", "config.yaml",
             "--port", str(port)],
            cwd=folder, stdout=self._log, stderr=subprocess.STDOUT,
            env={
                **os.environ, "LITELLM_MASTER_KEY": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "PYTHONPATH": f"{ROOT / 'src'}:{folder}", "NO_PROXY": "*",
            },
        )  # fmt: skip
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {key}"},
            timeout=60, trust_env=False,
        )  # fmt: skip

    def starts(self) -> bool:
        """Whether it answers, in the end."""
        for _ in range(600):
            if self._process.poll() is not None:
                return False
            try:
                return self.client.get("/health/liveliness").is_success
            except httpx.TransportError:
                time.sleep(0.1)
        return False

    def told(self, count: int) -> str:
        """What its loggers were told of so many calls."""
        for _ in range(300):
            path = self._folder / "told"
            text = path.read_text() if path.exists() else ""
            if text.count("\n") >= count:
                path.unlink()
                return text
            time.sleep(0.1)
        raise AssertionError("the proxy logged too little")

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()

    def close(self) -> None:
        self.client.close()
        self._process.terminate()
        self._process.wait()
        self._log.close()


def _free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port: int = opened.getsockname()[1]
        return port


def _model(name: str, base: str) -> dict[str, Any]:
    params = {"model": f"openai/{name}", "api_base": base, "api_key": "none", "max_retries": 0}
    return {"model_name": name, "litellm_params": params}


def documented() -> Any:
    """The configuration that the example shows."""
    source = (ROOT / "examples" / "litellm_guardrail.py").read_text()
    shown = re.search(r"\nguardrails:\n.*?\n(?=\"\"\"|\n)", source, re.DOTALL)
    assert shown is not None
    return yaml.safe_load(shown[0])


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    spoken = Model()
    with served(spoken.app()) as address:
        running = Proxy(tmp_path_factory.mktemp("proxy"), spoken, address, documented())
        try:
            assert running.starts(), running.log
            yield running
        finally:
            running.close()


def streamed(text: str) -> list[Any]:
    found = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(each) for each in found if each != "[DONE]"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_card_over_several_messages_never_reaches_the_model(proxy: Proxy, stream: bool) -> None:
    proxy.model.chunks = ["hello"]
    body = {"model": "m", "stream": stream, "messages": PARTS}
    assert proxy.client.post("/v1/chat/completions", json=body).is_success
    said = [message["content"] for message in proxy.model.asked[-1]["messages"]]
    assert said == ["my card is **** ****", "go on", "**** **** thanks"]
    told = proxy.told(1)
    assert "**** **** thanks" in told
    assert not re.search("5105 1051|0510 5100", told + proxy.log)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_masked_whatever_it_is_cut_into(proxy: Proxy, stream: bool) -> None:
    proxy.model.chunks = ["it is 41", "11 11", *"11 1111", " 1", "111, as you", " know"]
    body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": "well?"}]}
    answer = proxy.client.post("/v1/chat/completions", json=body)
    if stream:
        parts = [each["choices"][0]["delta"] for each in streamed(answer.text) if each["choices"]]
        assert "".join(part.get("content") or "" for part in parts) == ANSWER
    else:
        assert answer.json()["choices"][0]["message"]["content"] == ANSWER
    told = proxy.told(1)
    assert "**** 1111" in told
    assert CARD not in told + proxy.log


@pytest.mark.parametrize("stream", [False, True])
def test_arguments_of_tool_calls_are_masked(proxy: Proxy, stream: bool) -> None:
    proxy.model.arguments = ['{"ca', 'rd": "4111 11', '11 1111 1111", "n": 41111', "11111111111}"]
    body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": "pay"}]}
    try:
        answer = proxy.client.post("/v1/chat/completions", json=body)
    finally:
        proxy.model.arguments = []
    if stream:
        parts = [each["choices"][0]["delta"] for each in streamed(answer.text) if each["choices"]]
        calls = [call for part in parts for call in part.get("tool_calls") or ()]
        written = "".join(call["function"].get("arguments") or "" for call in calls)
    else:
        (call,) = answer.json()["choices"][0]["message"]["tool_calls"]
        written = call["function"]["arguments"]
    assert json.loads(written) == {"card": "**** **** **** 1111", "n": "************1111"}
    assert "411111" not in proxy.told(1).replace(" ", "")


@pytest.mark.parametrize("stream", [False, True])
def test_responses_are_masked_and_logged_masked(proxy: Proxy, stream: bool) -> None:
    proxy.model.chunks = ["it is 4111 ", "1111 1111 1111, yes"]
    body = {"model": "m", "stream": stream, "input": f"card {CARD} ok"}
    answer = proxy.client.post("/v1/responses", json=body)
    assert "1111, yes" in answer.text.replace('"', "")
    assert CARD not in answer.text
    assert proxy.model.asked[-1]["input"] == "card **** **** **** **** ok"
    told = proxy.told(1)
    assert "card **** **** **** **** ok" in told
    assert CARD not in told + proxy.log


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_a_call_that_fails_tells_nothing(proxy: Proxy, path: str) -> None:
    said = {"messages": [{"role": "user", "content": f"card {CARD} ok"}]}
    body = {"model": "down"} | (said if "chat" in path else {"input": f"card {CARD} ok"})
    answer = proxy.client.post(path, json=body)
    assert answer.status_code >= 500
    assert CARD not in answer.text + proxy.told(1) + proxy.log


@pytest.mark.parametrize(
    "changed", [{"mode": "during_call"}, {"rule_names": ["payment-cart"]}, {"rules_path": "gone/"}]
)
def test_a_proxy_that_would_not_mask_does_not_start(tmp_path: Path, changed: Any) -> None:
    guardrails = documented()
    guardrails["guardrails"][0]["litellm_params"] |= changed
    proxy = Proxy(tmp_path, Model(), "127.0.0.1:1", guardrails)
    try:
        assert not proxy.starts()
    finally:
        proxy.close()

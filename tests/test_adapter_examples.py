"""The examples of adapters run, each as it stands, and show no number."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from redis_here import redis_server

EXAMPLES = Path(__file__).parent.parent / "examples"
# No more than a last four.
DIGITS = re.compile("[0-9]{5}")


def run(name: str, *arguments: str, interpreter: tuple[str, ...] = ()) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", *interpreter, str(EXAMPLES / name), *arguments],
        capture_output=True, check=True, text=True, encoding="utf-8",
    )  # fmt: skip
    assert done.stderr == ""
    assert DIGITS.search(done.stdout) is None
    return done.stdout.splitlines()


def test_two_workers_over_redis() -> None:
    with redis_server() as server:
        assert run("workers.py", server.url) == [
            "m0 True 前面是**** ****",
            "m1 True 稍等我找下眼镜",
            "m2 True 后面是**** 5100",
            "m3 True 就这些",
        ]


def test_logs() -> None:
    lines = run("logs.py")
    assert lines[:3] == [
        "INFO:support:charged card ************5100",
        "INFO:support:user wrote: **** ****",
        "INFO:support:user wrote: **** ****",
    ]
    assert "ValueError: no such card: ************5100" in lines
    assert lines[-1] == '{"card": "************5100", "attempts": 2, "event": "charged"}'


def test_telemetry() -> None:
    spans, metrics = run("telemetry.py")
    assert "'my card is ************5100'" in spans
    assert spans.endswith("{'text': '5100 is fine'}]")
    assert metrics == "masker.findings [{'rule': 'payment-card', 'entity': 'PAYMENT_CARD'}]"


def test_wechat() -> None:
    assert run("wechat.py") == [
        "openid-1 0 卡号是**** ****", "200 OK", "success",
        "openid-1 0 **** ****", "200 OK", "success",
    ]  # fmt: skip


def test_a_pipeline_around_a_model() -> None:
    assert run("pipeline.py") == [
        "model reads:    <CARD_1>, that is all of it",
        "customer reads: I have charged 5105 1051 0510 5100 as you asked.",
        "stored:         please charge **** ****",
        "stored:         **** ****, that is all of it",
        "stored:         I have charged **** **** **** 5100 as you asked.",
        "customer reads: This deletes your chat history for good. Reply “yes” to go on.",
        "customer reads: Your records are deleted. Receipt",
        "left:           []",
    ]


def test_an_application_behind_the_middleware() -> None:
    assert run("asgi.py") == [
        "the application reads: my card is **** ****",
        "the application reads: **** ****",
        "the client reads:      your card **** **** **** 5100 is active",
    ]


def test_an_openai_client() -> None:
    assert run("openai_client.py") == [
        "the model reads: ['my card is **** ****', '<CARD_1>, please note it']",
        "you read:        I noted 5105 1051 0510 5100, not **** **** **** 0002.",
    ]


def test_a_langchain_agent() -> None:
    assert run("langchain_agent.py") == [
        "streamed: the number **** **** **** 5100 it is",
        (
            "state:    ['my card is **** ****', 'please go on', '**** ****, can you say it again?'"
            ", 'the number **** **** **** 5100 it is']"
        ),
    ]


def test_a_litellm_guardrail() -> None:
    # LiteLLM's own types make pydantic warn when they are first used.
    ignored = ("-W", "ignore:Item:UserWarning")
    assert run("litellm_guardrail.py", interpreter=ignored) == [
        "whole:    it is **** **** **** 5100, as you know",
        "streamed: it is **** **** **** 5100, as you know",
    ]

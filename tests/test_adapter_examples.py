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


def run(name: str, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
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

"""A missing extra is one clear line that says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

ADAPTERS = [
    ("masker.buffers.redis", "redis", "redis"),
    ("masker.buffers.redis", "msgspec", "redis"),
    ("masker.middleware.wechat", "wechatpy", "wechat"),
    ("masker.middleware.prometheus", "prometheus_client", "prometheus"),
    ("masker.middleware.opentelemetry", "opentelemetry", "opentelemetry"),
    ("masker.middleware.opentelemetry_metrics", "opentelemetry", "opentelemetry"),
]


@pytest.mark.parametrize(("module", "library", "extra"), ADAPTERS)
def test_an_adapter_without_its_library_says_what_to_install(
    module: str, library: str, extra: str
) -> None:
    script = (
        f"import sys; sys.modules[{library!r}] = None\n"
        f"try: import {module}\n"
        "except ImportError as error: print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert done.stdout.startswith("MissingExtraError ")
    assert f"pip install 'masker[{extra}]'" in done.stdout
    assert done.stdout.count("\n") == 1


def test_buffers_logs_and_metrics_need_no_library_of_others() -> None:
    names = ["redis", "msgspec", "structlog", "opentelemetry", "prometheus_client", "wechatpy"]
    script = (
        "import sys\n"
        f"for name in {names!r}: sys.modules[name] = None\n"
        "import masker.metrics, masker.middleware.logging, masker.middleware.structlog\n"
        "from masker import Masker, Message\n"
        "from masker.buffers import MemoryBuffers\n"
        "redactor = Masker().redactor(buffers=MemoryBuffers())\n"
        "print(redactor.receive(Message('c', 'm', 'u', '5105 1051'))[0].text)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert done.stdout == "**** ****\n"

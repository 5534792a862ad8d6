"""An extra brings what its part needs; a missing one is one clear line that says what to do."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent

ADAPTERS = [
    ("masker.archive", "msgspec", "archive"),
    ("masker.archive", "pyarrow", "archive"),
    ("masker.archive.spark", "zstandard", "archive"),
    ("masker.cli.scan", "pyarrow", "archive"),
    ("masker.buffers.redis", "redis", "redis"),
    ("masker.buffers.redis", "msgspec", "redis"),
    ("masker.middleware.openai", "openai", "openai"),
    ("masker.middleware.langchain", "langchain", "langchain"),
    ("masker.middleware.litellm", "litellm", "litellm"),
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


# What README and docs/ promise of each extra: modules that are imported, a command, an example.
PROMISED = {
    "": ["import masker, masker.middleware.asgi, masker.middleware.logging, masker.metrics"],
    "asgi": ["import masker.middleware.asgi"],
    "aws": ["from masker.vault.aws import AwsKmsKeys; AwsKmsKeys('k')"],
    "archive": ["import masker.archive, masker.cli.scan, masker.archive.formats.parquet"],
    "cli": ["masker mask 5105105105105100", "masker rules list", "masker keys --help"],
    "langchain": ["examples/langchain_agent.py"],
    "litellm": ["examples/litellm_guardrail.py"],
    "openai": ["examples/openai_client.py"],
    "opentelemetry": [
        "import masker.middleware.opentelemetry, masker.middleware.opentelemetry_metrics",
        "examples/telemetry.py",
    ],
    "postgres": ["import masker.stores.sealed, masker.stores.postgres, psycopg"],
    "prometheus": ["import masker.middleware.prometheus"],
    "redis": ["import masker.buffers.redis"],
    "spark": ["import masker.archive.spark, pyspark, pandas"],
    "store": ["import masker.stores.sealed, masker.stores.sqlite", "examples/pipeline.py"],
    "structlog": ["import masker.middleware.structlog, structlog", "examples/logs.py"],
    "testing": [
        "from masker.testing import check_packs, arrivals, keep_all, LeakCounter",
        "masker rules explain payment-card 4111111111111111",
        "masker rules new acme-member",
        "masker rules check rules/jp.toml --budget 1 --jobs 1",
    ],
    "wechat": ["examples/wechat.py"],
}


TAKEN_AWAY = """import sys
class TakenAway:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {gone!r}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, TakenAway())
"""


def brought(extra: str) -> set[str]:
    """The distributions that `pip install masker[extra]` brings, of those that are here."""
    found: set[str] = set()
    waiting = [("masker", frozenset({extra} if extra else ()))]
    seen = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found.add(name)
        for line in distribution(name).requires or ():
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": each}) for each in extras or {""}):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found


@pytest.mark.parametrize("extra", sorted(PROMISED))
def test_an_extra_alone_brings_what_its_part_needs(extra: str) -> None:
    """Libraries that the extra does not bring are taken away, and what is promised still works."""
    here = brought(extra)
    gone = sorted(
        module
        for module, names in packages_distributions().items()
        if not any(canonicalize_name(name) in here for name in names)
        # Parts of the installation itself, and what a .pth file has loaded before anything runs.
        and module not in {"pip", "setuptools", "_distutils_hack", "pkg_resources"}
    )
    for promise in PROMISED[extra]:
        run = promise
        if promise.startswith("masker "):
            run = f"sys.argv = {promise.split()!r}; from masker.cli import main; main()"
        elif promise.endswith(".py"):
            run = f"import runpy; runpy.run_path({promise!r}, run_name='__main__')"
        script = f"{TAKEN_AWAY.format(gone=gone)}{run}\n"
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script],
            cwd=ROOT, capture_output=True, check=False, text=True,
            env={"PATH": "", "AWS_DEFAULT_REGION": "eu-west-1"},
        )  # fmt: skip
        assert done.returncode == 0, f"{extra}: {promise}: {done.stderr[-600:]}"


def test_every_extra_is_promised_something() -> None:
    extras = set(distribution("masker").metadata.get_all("Provides-Extra") or ())
    assert extras - {"test", "dev"} == set(PROMISED) - {""}

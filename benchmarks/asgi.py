"""What masker adds to an ASGI application, under a real load generator.

An application that answers with the document it was sent, under uvicorn in a process of its own:
bare, behind a middleware that does nothing, behind one that reads and writes every document
(any that looks at bodies has to do that), and behind masker. `wrk` (`apt-get install wrk`)
sends conversations of eight messages to each in turn, round by round: requests a second, and the
50th and 99th percentile of the time a request takes, and the CPU time of the server for one, which
says most where other work is done on the machine. Ratios, of CPU time, are within a round.

    .venv/bin/python benchmarks/asgi.py [--seconds 5] [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

SYSTEMS = ("bare", "middleware", "documents", "masker")
TEXTS = (
    "好的，我看一下",
    "hello, when will my parcel arrive?",
    "the parcel is still not here, could you look it up please?",
    "订单号 2024051700123 一直没有发货",
    "that was on 12 May, around 3 pm",
    "thank you so much!",
    "帮我查一下，三天了还没到账",
    "卡号4111 1111 1111 1111，麻烦了",
)
SCRIPT = """
local texts = {%s}
local number = 0
request = function()
  number = number + 1
  local body = string.format('{"conversation_id":"%%s-%%d","sender":"user","text":%%s}',
                             tostring(id), number / #texts, texts[number %% #texts + 1])
  return wrk.format("POST", "/", {["content-type"] = "application/json"}, body)
end
setup = function(thread) thread:set("id", tostring(thread)) end
done = function(summary, latency, requests)
  io.write(string.format("RESULT %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status
    + summary.errors.timeout))
end
"""


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers with what it was sent."""
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Documents:
    """Reads and writes every document, and changes nothing."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def received() -> Any:
            event = await receive()
            return {**event, "body": _again(event.get("body", b""))}

        async def sent(event: Any) -> None:
            if event["type"] == "http.response.body":
                event = {**event, "body": _again(event["body"])}
            await send(event)

        await self.app(scope, received, sent)


def _again(body: bytes) -> bytes:
    return json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":")).encode()


def app_of(system: str) -> Any:
    if system == "middleware":

        async def through(scope: Any, receive: Any, send: Any) -> None:
            await echo(scope, receive, send)

        return through
    if system == "documents":
        return Documents(echo)
    if system == "masker":
        from masker import Masker
        from masker.middleware.asgi import MaskerMiddleware

        return MaskerMiddleware(echo, Masker())
    return echo


def serve(system: str, port: int) -> None:
    import uvicorn

    uvicorn.run(app_of(system), port=port, log_level="critical", lifespan="off", access_log=False)


def measured(wrk: str, port: int, seconds: int, connections: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "chat.lua"
        script.write_text(SCRIPT % _lua(TEXTS), encoding="utf-8")
        command = [
            wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script),
            f"http://127.0.0.1:{port}/",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", done.stdout)
    if found is None:
        raise SystemExit(f"wrk gave no result: {done.stdout}{done.stderr}")
    requests, duration, p50, p99, errors = map(int, found.groups())
    if errors:
        raise SystemExit(f"{errors} requests failed")
    return {
        "requests a second": requests / duration * 1e6,
        "p50 ms": p50 / 1e3,
        "p99 ms": p99 / 1e3,
    }


def _lua(texts: tuple[str, ...]) -> str:
    """Texts as Lua strings that hold JSON strings."""
    return ", ".join(f"[==[{json.dumps(text, ensure_ascii=False)}]==]" for text in texts)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def started(system: str, port: int) -> subprocess.Popen[bytes]:
    server = subprocess.Popen([sys.executable, __file__, "--serve", system, "--port", str(port)])
    body = json.dumps({"conversation_id": "first", "text": TEXTS[-1]}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/", body, {"content-type": "application/json"}
    )
    for _ in range(400):
        try:
            answer = urllib.request.urlopen(request, timeout=5).read().decode()  # noqa: S310 - ours
        except OSError:
            time.sleep(0.05)
            continue
        if ("4111 1111 1111 1111" in answer) is (system == "masker"):
            raise SystemExit(f"{system}: the answer is not what it should be")
        return server
    raise SystemExit(f"{system}: the server did not start")


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, user and system; 0 where there is no /proc."""
    path = Path(f"/proc/{pid}/stat")
    if not path.exists():
        return 0.0
    fields = path.read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=int, default=5, help="of load on each, each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--serve", choices=SYSTEMS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.port)
        return
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("this needs wrk: apt-get install wrk")
    servers = []
    rounds: dict[str, list[dict[str, float]]] = {system: [] for system in SYSTEMS}
    try:
        ports = {system: free_port() for system in SYSTEMS}
        servers = [started(system, port) for system, port in ports.items()]
        for _ in range(options.rounds):
            for (system, port), server in zip(ports.items(), servers, strict=True):
                before = cpu_seconds(server.pid)
                figures = measured(wrk, port, options.seconds, options.connections)
                used = cpu_seconds(server.pid) - before
                count = figures["requests a second"] * options.seconds
                rounds[system].append({**figures, "CPU us": used / count * 1e6})
    finally:
        for server in servers:
            server.terminate()
            server.wait()
    report(rounds, options.json)


def report(rounds: dict[str, list[dict[str, float]]], target: Path | None) -> None:
    """Medians of the rounds, and ratios of CPU time within each."""
    figures: dict[str, dict[str, float]] = {}
    print("system        requests/s   p50 ms   p99 ms   CPU us  of bare  of documents")
    for system, runs in rounds.items():
        each = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        for other in ("bare", "documents"):
            pairs = zip(runs, rounds[other], strict=True)
            ratios = [mine["CPU us"] / max(theirs["CPU us"], 1e-9) for mine, theirs in pairs]
            each[f"of {other}"] = statistics.median(ratios)
        figures[system] = each
        print(
            f"{system:<12}{each['requests a second']:>12.0f}{each['p50 ms']:>9.2f}"
            f"{each['p99 ms']:>9.2f}{each['CPU us']:>9.0f}{each['of bare']:>9.2f}"
            f"{each['of documents']:>14.2f}"
        )
    if target:
        target.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()

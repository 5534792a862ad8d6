"""MB a second of `masker scan` over an archive, beside a floor and beside peers, and its memory.

The archive is `corpus.py`'s chat, from one seed after the other until it is as large as asked, as
JSONL and as Parquet. The floor decodes and encodes the same lines with msgspec (the same
row groups with pyarrow) and does nothing else. Peers get each text of a sample by itself, with the
same decoding and encoding around, in an environment of their own. MB are those of the JSONL, also
where Parquet holds the same in less. CPU time is what is compared, for the machine may be busy, and
the imports are not in it; what two processes win is told in time on the wall.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PEERS = {"datafog": "DataFog", "presidio-no-nlp": "Presidio, no NLP"}
RULES = ("payment-card", "cn-resident-id")
BASE_MESSAGES = 50_000
# Megabytes; what is larger holds the same chats several times.
LARGEST_CORPUS = 500


def lines(megabytes: float) -> Iterator[list[dict[str, Any]]]:
    """The archive's rows, a corpus at a time."""
    from corpus import DEFAULT_SEED, corpus

    size, turn = 0, 0
    while size < megabytes * 1e6:
        messages = corpus(BASE_MESSAGES, seed=DEFAULT_SEED + turn).messages
        rows = [
            {
                "conversation_id": f"{one.conversation_id}.{turn}",
                "message_id": one.message_id,
                "sender": one.sender,
                "text": one.text,
                "timestamp": one.timestamp.isoformat(),
                "channel": "app",
            }
            for one in messages
        ]
        size += sum(len(json.dumps(row, ensure_ascii=False).encode()) + 1 for row in rows)
        turn += 1
        yield rows


def write_archive(folder: Path, megabytes: float) -> tuple[Path, Path]:
    """The same archive as JSONL and as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    plain, columns = folder / "archive.jsonl", folder / "archive.parquet"
    writer: Any = None
    with plain.open("wb") as out:
        for rows in lines(megabytes):
            for row in rows:
                out.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
            table = pa.Table.from_pylist(rows)
            writer = writer or pq.ParquetWriter(columns, table.schema, compression="zstd")
            writer.write_table(table)
    writer.close()
    return plain, columns


def write_large(folder: Path, megabytes: float) -> Path:
    """JSONL of any size: the same chats once more, under other ids, where it is to be large."""
    plain, columns = write_archive(folder, min(megabytes, LARGEST_CORPUS))
    columns.unlink()
    large = folder / "large.jsonl"
    size = turn = 0
    with large.open("wb") as out:
        while size < megabytes * 1e6:
            with plain.open("rb") as source:
                for line in source:
                    size += out.write(line.replace(b'", "message', b'.%d", "message' % turn, 1))
            turn += 1
    plain.unlink()
    return large


def floor_lines(source: Path, target: Path) -> None:
    """Decode and encode every line."""
    import msgspec

    decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
    with source.open("rb") as lines_in, target.open("wb") as out:
        for line in lines_in:
            out.write(encode(decode(line)) + b"\n")


def floor_parquet(source: Path, target: Path) -> None:
    """Decode and encode every row group, the texts as Python's."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(source)
    with pq.ParquetWriter(target, file.schema_arrow, compression="zstd") as writer:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            place = table.schema.get_field_index("text")
            texts = pa.array(table.column("text").to_pylist())
            writer.write_table(table.set_column(place, table.schema.field(place), texts))


def peer(name: str, source: Path, target: Path) -> None:
    """A peer over the texts of a JSONL file; runs in the peer's environment."""
    from systems import SYSTEMS

    system: Any = SYSTEMS[name]()
    with source.open("rb") as lines_in, target.open("wb") as out:
        began = time.process_time()
        for line in lines_in:
            row = json.loads(line)
            row["text"] = system.masked(row["text"])
            out.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        taken = time.process_time() - began
    sys.stdout.write(json.dumps({"cpu": taken, "bytes": source.stat().st_size}) + "\n")


def measured(source: Path, out: Path, jobs: int, rules: tuple[str, ...]) -> dict[str, float]:
    """One scan in this process, which does nothing else; its time and memory, children included."""
    from masker.archive import Options
    from masker.archive import scan as scan_archive

    class Silent:
        def note(self, text: str) -> None: ...
        def phase(self, name: str, total: int) -> None: ...
        def advance(self, done: int) -> None: ...

    began = time.perf_counter()
    cpu = time.process_time()
    scan_archive([str(source)], Options(out=out, jobs=jobs, rules=rules), Silent())
    wall = time.perf_counter() - began
    theirs = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "cpu": time.process_time() - cpu + theirs.ru_utime + theirs.ru_stime,
        "wall": wall,
        "peak_mb": max(_own_peak(), theirs.ru_maxrss) / 1024,
    }


def _own_peak() -> int:
    """Kilobytes; not `ru_maxrss`, which knows the process that started this one, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def scan(source: Path, folder: Path, *, jobs: int, rules: tuple[str, ...] = ()) -> dict[str, float]:
    """`measured` in a process of its own; the memory is that of the largest process."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, str(Path(__file__)), "--measure", str(source), str(out), str(jobs)]
    done = subprocess.run([*command, *rules], capture_output=True, check=True)
    shutil.rmtree(out, ignore_errors=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def timed(work: Callable[[], None]) -> dict[str, float]:
    """CPU time of something done here."""
    began, wall = time.process_time(), time.perf_counter()
    work()
    return {"cpu": time.process_time() - began, "wall": time.perf_counter() - wall}


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything that was asked for."""
    results: dict[str, Any] = {"megabytes": arguments.megabytes}

    def tell(name: str, of: Path, taken: dict[str, float]) -> None:
        size = of.stat().st_size / 1e6
        taken = {**taken, "mb": size, "mb_per_cpu_second": size / taken["cpu"]}
        if "wall" in taken:
            taken["mb_per_second"] = size / taken["wall"]
        results[name] = taken
        print(
            f"{name:34} {size:8.1f} MB {taken['mb_per_cpu_second']:8.1f} MB/CPU s "
            f"{taken.get('mb_per_second', 0):8.1f} MB/s  peak {taken.get('peak_mb', 0):6.0f} MB",
            flush=True,
        )

    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        if arguments.megabytes:
            speeds(arguments, folder, tell)
        for size in arguments.memory:
            large = write_large(folder, size)
            taken = scan(large, folder, jobs=arguments.memory_jobs, rules=RULES)
            tell(f"masker, JSONL, {arguments.memory_jobs} jobs", large, taken)
    return results


def speeds(
    arguments: argparse.Namespace,
    folder: Path,
    tell: Callable[[str, Path, dict[str, float]], None],
) -> None:
    """Floor, masker and peers."""
    plain, columns = write_archive(folder, arguments.megabytes)
    tell("floor, JSONL", plain, timed(lambda: floor_lines(plain, folder / "floor")))
    for jobs in (1, 2):
        tell(f"masker, JSONL, {jobs} jobs", plain, scan(plain, folder, jobs=jobs, rules=RULES))
    tell("masker, JSONL, all rules, 1 jobs", plain, scan(plain, folder, jobs=1))
    tell("floor, Parquet", plain, timed(lambda: floor_parquet(columns, folder / "floor")))
    for jobs in (1, 2):
        taken = scan(columns, folder, jobs=jobs, rules=RULES)
        tell(f"masker, Parquet, {jobs} jobs", plain, taken)
    sample = folder / "sample.jsonl"
    with plain.open("rb") as source, sample.open("wb") as out:
        out.writelines(line for _, line in zip(range(arguments.sample), source, strict=False))
    tell("masker, the sample", sample, scan(sample, folder, jobs=1, rules=RULES))
    for peer_name, title in PEERS.items():
        python = HERE / ".venv" / "peers" / "bin" / "python"
        python = Path(os.environ.get("PEERS_PYTHON", python))
        command = [str(python), str(Path(__file__)), "--peer", peer_name, str(sample),
                   str(folder / "peer")]  # fmt: skip
        if not python.exists():
            print(f"{title}: not installed (benchmarks/setup.sh peers)")
            continue
        done = subprocess.run(command, capture_output=True, check=True)
        tell(f"{title}, the sample", sample, json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """The command line."""
    if sys.argv[1:2] == ["--measure"]:
        source, out, jobs, *rules = sys.argv[2:]
        found = measured(Path(source), Path(out), int(jobs), tuple(rules))
        sys.stdout.write(json.dumps(found) + "\n")
        return
    if sys.argv[1:2] == ["--peer"]:
        peer(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=500)
    parser.add_argument("--sample", type=int, default=20_000, help="messages for the peers")
    parser.add_argument(
        "--memory", type=float, nargs="*", default=[50, 2000], help="one scan each, MB"
    )
    parser.add_argument("--memory-jobs", type=int, default=1, help="processes for these")
    parser.add_argument("--folder", help="where the archives are made (default: the system's)")
    parser.add_argument("--json", type=Path, help="write the results here too")
    arguments = parser.parse_args()
    results = run(arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

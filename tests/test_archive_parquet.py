"""Parquet comes out as it was, whatever its columns are, but for what is masked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from masker.archive import Options, scan
from test_archive_formats import Quiet

# Rows of one conversation; a card is cut over two of them.
SAID = ["hello", None, "my card is 4111 1111", "", "1111 1111 ok", "好的，三天", "😂 bye", None]
MASKED = ["hello", None, "my card is **** ****", "", "**** 1111 ok", "好的，三天", "😂 bye", None]

KINDS = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.int32(), pa.string()),
    pa.dictionary(pa.int32(), pa.large_string()),
]


def rows(texts: list[str | None], kind: pa.DataType) -> pa.Table:
    plain = pa.array(texts, pa.large_string())
    if pa.types.is_dictionary(kind):
        said = pa.array(texts, kind.value_type).dictionary_encode().cast(kind)
    else:
        said = plain.cast(kind)
    others = {
        "conversation_id": pa.array(["c"] * len(texts)),
        "labels": pa.array([["a", None], [], None, ["b"]] * (len(texts) // 4)),
        "meta": pa.array([{"n": place} for place in range(len(texts))]),
    }
    return pa.table({**others, "text": said})


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("group", [1, 3, 100])
def test_a_column_of_any_kind_of_text_keeps_its_kind(
    kind: pa.DataType, group: int, tmp_path: Path
) -> None:
    source, masked = tmp_path / "in.parquet", tmp_path / "out/in.parquet"
    pq.write_table(rows(SAID, kind), source, row_group_size=group)
    scan(
        [str(source)],
        Options(out=tmp_path / "out", fields={"conversation": "conversation_id"}),
        Quiet(),
    )
    before, after = pq.ParquetFile(source), pq.ParquetFile(masked)
    assert after.read().to_pylist() == rows(MASKED, kind).to_pylist()
    assert after.schema_arrow.equals(before.schema_arrow, check_metadata=True)
    assert after.metadata.num_row_groups == before.metadata.num_row_groups


@pytest.mark.parametrize(
    "column",
    [
        pa.array([{"note": "4111111111111111"}]),
        pa.array([[{"role": "user", "content": "4111111111111111"}]]),
        pa.array([[["4111111111111111"]]]),
        pa.array([[("a", "4111111111111111")]], pa.map_(pa.string(), pa.string())),
    ],
)
def test_text_within_a_column_does_not_pass_for_masked(column: pa.Array, tmp_path: Path) -> None:
    table = pa.table({"conversation_id": ["c"], "text": ["hello"], "parts": column})
    pq.write_table(table, tmp_path / "in.parquet")
    heard = Quiet()
    summary = scan([str(tmp_path / "in.parquet")], Options(out=tmp_path / "out"), heard)
    assert summary.failed == 1
    assert any("has text within its column 'parts'" in note for note in heard.notes)
    assert not (tmp_path / "out/in.parquet").exists()


def test_a_scan_does_not_load_pandas(tmp_path: Path) -> None:
    """Pyarrow loads it, where it is there, for much of what it does: half of a scan's memory."""
    pq.write_table(rows(SAID, pa.string()), tmp_path / "in.parquet")
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps({'text': one})}\n" for one in MASKED))
    code = (
        "import sys; from masker.cli import main\n"
        f"sys.argv[1:] = ['scan', {str(tmp_path)!r}, '--out', {str(tmp_path / 'out')!r}]\n"
        "try: main()\nfinally: print('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False"

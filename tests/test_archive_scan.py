"""Archives as they really are: several files, any order, broken lines, links, kills, full disks."""

from __future__ import annotations

import csv
import json
import os
import random
import resource
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archive_files as files
from archive_files import NOON, Said, jsonl, masked, said
from masker import MaskedMessage, Masker, Message
from masker.archive import ArchiveError, Options, Summary, extraction, partitions, report, scan
from masker.archive.records import microseconds, stars
from masker.archive.tally import Tally, tally
from masker.stores import open_store
from masker.vault.keyfile import make_key_file
from strategies import conversations
from test_archive_formats import Quiet

CARD = "4111111111111111"
scanning = sys.modules["masker.archive.scan"]
KILLS = int(os.environ.get("MASKER_KILLS", "6"))
MASKER = [sys.executable, "-m", "masker"]


def run(source: Path | list[str], out: Path | None, **options: Any) -> tuple[Summary, list[str]]:
    heard = Quiet()
    paths = source if isinstance(source, list) else [str(source)]
    return scan(paths, Options(out=out, **options), heard), heard.notes


def cut_card(conversation: str = "c1") -> list[Said]:
    return said("my card is 4111 1111", "1111", "1111 thanks", conversation=conversation)


def put(path: Path, messages: list[Said]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jsonl(messages))
    return path


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# --- conversations ---------------------------------------------------------------------


def test_a_number_is_put_together_across_files_and_formats(tmp_path: Path) -> None:
    one, two, three = cut_card()
    put(tmp_path / "in/b.jsonl", [one])
    (tmp_path / "in/a.csv").write_bytes(files.csv_file([three]))
    (tmp_path / "in/c.parquet").write_bytes(files.parquet([two]))
    run(tmp_path / "in", tmp_path / "out")
    m1, m2, m3 = masked([one, two, three])
    assert (tmp_path / "out/b.jsonl").read_bytes() == jsonl([m1])
    assert (tmp_path / "out/a.csv").read_bytes() == files.csv_file([m3])
    assert (tmp_path / "out/c.parquet").read_bytes() == files.parquet([m2])
    assert "4111" not in m1.text


@given(st.randoms(use_true_random=False))
@settings(max_examples=15)
def test_the_order_of_rows_does_not_matter(tmp_path_factory: Any, rng: random.Random) -> None:
    folder = tmp_path_factory.mktemp("order")
    messages = cut_card("c1") + cut_card("c2") + said("hello", "see you at 5", conversation="c3")
    rng.shuffle(messages)
    put(folder / "in.jsonl", messages)
    run(folder / "in.jsonl", folder / "out")
    assert (folder / "out/in.jsonl").read_bytes() == jsonl(masked(messages))


def test_times_with_different_offsets_are_put_in_order(tmp_path: Path) -> None:
    one, two = said("my card is 4111 1111", "1111 1111")
    rows = [
        {"text": two.text, "timestamp": "2024-05-17T20:00:20+08:00", "conversation_id": "c"},
        {"text": one.text, "timestamp": "2024-05-17T12:00:00", "conversation_id": "c"},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(tmp_path / "in.jsonl", tmp_path / "out")
    lines = (tmp_path / "out/in.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["**** 1111", "my card is **** ****"]


def test_the_time_zone_of_times_without_one_can_be_told() -> None:
    from zoneinfo import ZoneInfo

    utc = microseconds("2024-05-17T12:00:00Z")
    assert microseconds("2024-05-17 20:00:00", ZoneInfo("Asia/Shanghai")) == utc
    assert microseconds(1715947200) == microseconds("1715947200000") == utc
    assert microseconds("2024/5/17 12:00") == utc


def test_rows_that_stand_twice_come_out_the_same_both_times(tmp_path: Path) -> None:
    one, two, three = cut_card()
    messages = [one, one, two, three, two]
    put(tmp_path / "in/a.jsonl", messages)
    put(tmp_path / "in/b.jsonl", [three, one])
    run(tmp_path / "in", tmp_path / "out")
    m1, m2, m3 = masked([one, two, three])
    assert (tmp_path / "out/a.jsonl").read_bytes() == jsonl([m1, m1, m2, m3, m2])
    assert (tmp_path / "out/b.jsonl").read_bytes() == jsonl([m3, m1])


def test_overlapping_exports_without_ids_are_one_conversation(tmp_path: Path) -> None:
    rows = [
        {"conversation_id": "c", "sender": "Ann", "timestamp": "2024-05-17T12:00:00Z", "text": part}
        for part in ("4111", "1111", "1111", "1111")
    ]
    for name in ("a", "b"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / f"in/{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(tmp_path / "in", tmp_path / "out")
    for name in ("a", "b"):
        lines = (tmp_path / f"out/{name}.jsonl").read_text().splitlines()
        assert [json.loads(line)["text"] for line in lines] == ["****", "****", "****", "1111"]


def test_an_edited_message_never_shows_what_its_other_version_hides(tmp_path: Path) -> None:
    one, two = said("card 4111 1111 1111", "hello")
    edited = replace(one, text="card 4111 1111 1111 1111", time=one.time + timedelta(seconds=5))
    put(tmp_path / "in.jsonl", [one, two, edited])
    run(tmp_path / "in.jsonl", tmp_path / "out")
    texts = [row["text"] for row in rows_of(tmp_path / "out/in.jsonl")]
    assert texts == ["card **** **** ****", "hello", "card **** **** **** 1111"]


def test_files_without_conversations_are_conversations(tmp_path: Path) -> None:
    for name, part in (("a", "4111 1111"), ("b", "1111 1111")):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / f"in/{name}.jsonl").write_text(json.dumps({"text": part}) + "\n")
    summary, _ = run(tmp_path / "in", tmp_path / "out")
    assert summary.numbers == 0


def test_conversation_ids_can_be_kept_apart_by_file(tmp_path: Path) -> None:
    one, two, three = cut_card()
    put(tmp_path / "in/a.jsonl", [one, two])
    put(tmp_path / "in/b.jsonl", [three])
    assert run(tmp_path / "in", tmp_path / "out")[0].numbers == 1
    run(tmp_path / "in", tmp_path / "apart", per_file=True)
    assert (tmp_path / "apart/b.jsonl").read_bytes() == jsonl([three])
    assert (tmp_path / "out/b.jsonl").read_bytes() == jsonl(masked([one, two, three])[2:])


def test_subjects_join_over_conversations_as_in_the_library(tmp_path: Path) -> None:
    rows = [
        {"conversation_id": c, "message_id": c, "sender": s, "subject": "u1", "text": text,
         "timestamp": (NOON + timedelta(seconds=number)).isoformat()}
        for number, (c, s, text) in enumerate(
            [("web", "a", "my card is 4111 1111"), ("app", "b", "1111"), ("mail", "c", "1111 ok")]
        )
    ]  # fmt: skip
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    redactor = Masker().redactor()
    texts = {}
    for row in rows:
        out = redactor.receive(
            Message(
                row["conversation_id"], row["message_id"], row["sender"], row["text"], subject="u1"
            )
        )
        texts.update({one.conversation_id: one.text for one in out})
    texts.update({one.conversation_id: one.text for one in redactor.close()})
    run(tmp_path / "in.jsonl", tmp_path / "out")
    found = rows_of(tmp_path / "out/in.jsonl")
    assert {row["conversation_id"]: row["text"] for row in found} == texts
    assert "4111" not in texts["web"]


def test_partitions_that_do_not_fit_into_memory_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [one for n in range(40) for one in cut_card(f"c{n}")]
    random.Random(3).shuffle(messages)
    put(tmp_path / "in.jsonl", messages)
    monkeypatch.setattr(partitions, "BUFFERED_BYTES", 2000)
    monkeypatch.setattr(partitions.Sorter.__init__, "__defaults__", (1500,))
    monkeypatch.setattr(partitions, "_FAN_IN", 2)
    monkeypatch.setattr(partitions, "_BLOCK", 300)
    monkeypatch.setattr(extraction, "MAX_LINKS", 2)
    run(tmp_path / "in.jsonl", tmp_path / "out")
    assert (tmp_path / "out/in.jsonl").read_bytes() == jsonl(masked(messages))


@pytest.mark.parametrize("subject", [False, True])
@given(data=st.data())
@settings(max_examples=8)
def test_dictations_of_every_kind_come_out_as_the_library_masks_them(
    tmp_path_factory: Any, subject: bool, data: st.DataObject
) -> None:
    scenes = data.draw(
        st.lists(
            conversations(parties=2, chat=True, label=True, resend=True, subject=subject),
            min_size=2,
            max_size=8,
        )
    )
    rows: list[dict[str, Any]] = []
    texts: dict[tuple[str, str], str] = {}
    for number, scene in enumerate(scenes):
        redactor = Masker().redactor()
        outs: list[MaskedMessage] = []
        for sent in scene.sent:
            one = sent.message
            assert one.timestamp is not None
            rows.append(
                {"conversation_id": f"{number}/{one.conversation_id}", "sender": one.sender,
                 "message_id": one.message_id, "timestamp": one.timestamp.isoformat(),
                 "subject": one.subject and f"{number}/{one.subject}", "text": one.text}
            )  # fmt: skip
            outs += redactor.receive(one)
        for out in outs + redactor.close():
            texts[f"{number}/{out.conversation_id}", out.message_id] = out.text
    data.draw(st.randoms(use_true_random=False)).shuffle(rows)
    folder = tmp_path_factory.mktemp("dictations")
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(folder / "in.jsonl", folder / "out")
    found = rows_of(folder / "out/in.jsonl")
    expected = [{**row, "text": texts[row["conversation_id"], row["message_id"]]} for row in rows]
    assert found == expected


def test_ranges_of_a_large_file_give_what_the_whole_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [one for n in range(30) for one in cut_card(f"c{n}")]
    random.Random(4).shuffle(messages)
    source = put(tmp_path / "in.jsonl", messages)
    whole = source.read_bytes()
    broken = whole.index(b"\n", len(whole) // 2) + 1
    source.write_bytes(whole[:broken] + b"broken\n" + whole[broken:])
    monkeypatch.setattr(scanning, "RANGE_BYTES", 333)
    summary, notes = run(source, tmp_path / "out")
    expected = jsonl(masked(messages))
    assert (tmp_path / "out/in.jsonl").read_bytes().replace(b"******\n", b"") == expected
    assert summary.unreadable == 1
    line = whole[:broken].count(b"\n") + 1
    assert any(note.endswith(f": line {line}: is not JSON") for note in notes)


def test_titles_are_texts_and_masker_s_own_subjects_are_not(tmp_path: Path) -> None:
    (tmp_path / "mail.csv").write_text(f"id,subject,text,date\n1,card {CARD},hello,2024-05-06\n")
    (tmp_path / "own.jsonl").write_text(
        json.dumps({"text": "hi", "conversation_id": "c", "subject": CARD}) + "\n"
    )
    run([str(tmp_path / "mail.csv"), str(tmp_path / "own.jsonl")], tmp_path / "out")
    assert "card ************1111,hello" in (tmp_path / "out/mail.csv").read_text()
    assert (tmp_path / "out/own.jsonl").read_bytes() == (tmp_path / "own.jsonl").read_bytes()


def test_rows_of_another_width_show_nothing_that_should_be_masked(tmp_path: Path) -> None:
    rows = f"sender,text,note\nAnn,card {CARD}\nAnn,one,two,{CARD}\nAnn,{CARD},x\n"
    (tmp_path / "in.csv").write_text(rows)
    summary, _ = run(tmp_path / "in.csv", tmp_path / "out")
    assert summary.unreadable == 1
    assert (tmp_path / "out/in.csv").read_text() == (
        "sender,text,note\nAnn,card ************1111\n***,***,***,****************\n"
        "Ann,************1111,x\n"
    )


def test_file_names_may_be_any_bytes(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jsonl")
    put(tmp_path / "in" / name, said("my card is 4111 1111", "1111 1111"))
    (tmp_path / "in" / "plain.jsonl").write_text(json.dumps({"text": CARD}) + "\n")
    for path in [tmp_path / f"r.{kind}" for kind in report.KINDS]:

        def write(summary: Summary, path: Path = path) -> None:
            report.write(path, summary, tally(summary))

        options = Options(out=tmp_path / "out", jobs=1)
        summary = scan([str(tmp_path / "in")], options, Quiet(), report=write)
        assert (summary.numbers, summary.failed) == (2, 0)
        assert "caf" in path.read_text() or path.suffix == ".html"
    assert b"4111" not in (tmp_path / "out" / name).read_bytes()


def test_in_place_a_file_with_lines_that_cannot_be_read_stays_as_it_is(tmp_path: Path) -> None:
    source = put(tmp_path / "in/a.jsonl", cut_card())
    source.write_bytes(source.read_bytes() + b"{broken\n")
    before = source.read_bytes()
    summary, notes = run(tmp_path / "in", None, in_place=True)
    assert source.read_bytes() == before
    assert (summary.failed, summary.unreadable) == (1, 1)
    assert "stays as it is" in notes[-1]


def test_one_process_and_two_give_the_same(tmp_path: Path) -> None:
    rng = random.Random(5)
    messages = [
        one
        for n in range(9000)
        for one in (
            cut_card(f"c{n}") if n % 50 == 0 else said(*["words " * 15] * 4, conversation=f"c{n}")
        )
    ]
    rng.shuffle(messages)
    put(tmp_path / "in/a.jsonl", messages[:20000])
    put(tmp_path / "in/b.jsonl", messages[20000:])
    assert (tmp_path / "in/a.jsonl").stat().st_size > 4 << 20
    for jobs in (1, 2):
        summary, notes = run(tmp_path / "in", tmp_path / f"out{jobs}", jobs=jobs)
        assert (summary.numbers, summary.failed) == (180, 0), notes
    for name in ("a.jsonl", "b.jsonl"):
        assert (tmp_path / "out1" / name).read_bytes() == (tmp_path / "out2" / name).read_bytes()


# --- what is broken --------------------------------------------------------------------


def test_a_broken_line_is_named_and_blanked_and_the_rest_goes_on(tmp_path: Path) -> None:
    one, two, three = cut_card()
    broken = b'{"text": "' + CARD.encode() + b"\n"
    (tmp_path / "in.jsonl").write_bytes(jsonl([one]) + broken + jsonl([two, three]))
    summary, notes = run(tmp_path / "in.jsonl", tmp_path / "out")
    assert summary.unreadable == 1
    assert any(note.endswith("in.jsonl: line 2: is not JSON") for note in notes)
    lines = (tmp_path / "out/in.jsonl").read_bytes().splitlines(keepends=True)
    assert b"".join(lines[:1] + lines[2:]) == jsonl(masked([one, two, three]))
    assert CARD.encode() not in lines[1]
    assert len(lines[1]) == len(broken)
    assert not any(CARD in note for note in notes)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b'[{"text": "4111111111111111"'),
        ("a.jsonl.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03broken"),
        ("a.parquet", b"PAR1 and nothing else"),
        ("a.zip", b"PK\x03\x04 and nothing else"),
        ("a.csv", b"name,age\nAnn,41\n"),
        ("a.jsonl", b'{"shoe": "4111111111111111"}\n{"shoe": "size 9"}\n'),
        ("a.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x00\x00"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_named_and_not_written(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(content)
    put(tmp_path / "in/good.jsonl", cut_card())
    paths = [str(tmp_path / "in" / name), str(tmp_path / "in/good.jsonl")]
    summary, notes = run(paths, tmp_path / "out")
    assert summary.failed == 1
    assert any(name in note for note in notes)
    assert not (tmp_path / "out" / name).exists()
    assert (tmp_path / "out/good.jsonl").read_bytes() == jsonl(masked(cut_card()))


def test_what_is_no_text_passes_through_a_folder_untouched(tmp_path: Path) -> None:
    photo = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + random.Random(1).randbytes(3000)
    put(tmp_path / "in/chat.jsonl", cut_card())
    (tmp_path / "in/photo.jpg").write_bytes(photo)
    (tmp_path / "in/empty.txt").write_bytes(b"")
    summary, _ = run(tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out/photo.jpg").read_bytes() == photo
    assert (tmp_path / "out/empty.txt").read_bytes() == b""
    assert (summary.copied, summary.failed) == (2, 0)


def test_a_file_that_changes_while_it_is_scanned_is_not_written(tmp_path: Path) -> None:
    source = put(tmp_path / "in.jsonl", cut_card())

    class Meddler(Quiet):
        def phase(self, name: str, total: int) -> None:
            if name == "writing":
                source.write_bytes(jsonl(said("something else")))

    heard = Meddler()
    summary = scan([str(source)], Options(out=tmp_path / "out"), heard)
    assert summary.failed == 1
    assert "was changed" in heard.notes[-1]
    assert not (tmp_path / "out").exists()


def test_a_scan_that_cannot_begin_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="does not exist"):
        run(tmp_path / "nowhere", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_output_disk_that_fills_up_leaves_nothing_half_written(tmp_path: Path) -> None:
    put(tmp_path / "in/a.jsonl", cut_card())
    put(tmp_path / "in/b.jsonl", cut_card("c2") + said(*["words " * 20] * 800, conversation="c3"))

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, 90_000))

    command = [*MASKER, "scan", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, check=False, preexec_fn=small)
    assert done.returncode == 2
    assert b"b.jsonl" in done.stderr
    assert (tmp_path / "out/a.jsonl").read_bytes() == jsonl(masked(cut_card()))
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_file()] == ["a.jsonl"]
    # With room again, what is left is done.
    again = subprocess.run([*command, "--resume"], capture_output=True, check=False)
    assert again.returncode == 0, again.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jsonl", "b.jsonl"]


# --- paths -----------------------------------------------------------------------------


def test_other_names_of_a_file_are_masked_with_it(tmp_path: Path) -> None:
    source = put(tmp_path / "in/a.jsonl", cut_card())
    (tmp_path / "in/hard.jsonl").hardlink_to(source)
    (tmp_path / "in/soft.jsonl").symlink_to(source)
    summary, _ = run(tmp_path / "in", tmp_path / "out")
    expected = jsonl(masked(cut_card()))
    for name in ("a.jsonl", "hard.jsonl", "soft.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == expected
        assert not (tmp_path / "out" / name).is_symlink()
    assert summary.files == 1


def test_in_place_masks_every_name_or_refuses(tmp_path: Path) -> None:
    source = put(tmp_path / "in/a.jsonl", cut_card())
    other = tmp_path / "elsewhere.jsonl"
    other.hardlink_to(source)
    with pytest.raises(ArchiveError, match="hard links"):
        run(tmp_path / "in", None, in_place=True)
    assert source.read_bytes() == other.read_bytes() == jsonl(cut_card())
    run([str(tmp_path / "in"), str(other)], None, in_place=True)
    assert source.read_bytes() == other.read_bytes() == jsonl(masked(cut_card()))
    assert source.samefile(other)


def test_in_place_leaves_mode_and_untouched_files_as_they_were(tmp_path: Path) -> None:
    source = put(tmp_path / "in/a.jsonl", cut_card())
    source.chmod(0o640)
    quiet = put(tmp_path / "in/b.jsonl", said("hello"))
    before = quiet.stat()
    run(tmp_path / "in", None, in_place=True)
    assert source.read_bytes() == jsonl(masked(cut_card()))
    assert source.stat().st_mode & 0o777 == 0o640
    assert (quiet.stat().st_ino, quiet.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["a.jsonl", "b.jsonl"]


def test_an_output_that_is_a_file_is_said_to_be_one(tmp_path: Path) -> None:
    given = tmp_path / "in.jsonl"
    given.write_text('{"text":"5105105105105100"}\n')
    with pytest.raises(ArchiveError, match="go into a folder"):
        scan([str(given)], Options(out=given), Quiet())
    assert given.read_text() == '{"text":"5105105105105100"}\n'


def test_an_output_folder_inside_the_input_is_no_input(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", cut_card())
    for _ in range(2):
        summary, _ = run(tmp_path, tmp_path / "masked")
        assert summary.files == 1
    assert [path.name for path in (tmp_path / "masked").iterdir()] == ["a.jsonl"]


def test_nothing_is_written_over_itself_or_over_another(tmp_path: Path) -> None:
    put(tmp_path / "in/a.jsonl", cut_card())
    put(tmp_path / "other/a.jsonl", cut_card("c2"))
    with pytest.raises(ArchiveError, match="over itself"):
        run([str(tmp_path / "in/a.jsonl")], tmp_path / "in")
    with pytest.raises(ArchiveError, match="both be written"):
        run([str(tmp_path / "in/a.jsonl"), str(tmp_path / "other/a.jsonl")], tmp_path / "out")
    run([str(tmp_path / "in"), str(tmp_path / "other")], tmp_path / "out")
    assert sorted(
        str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.jsonl")
    ) == [
        "in/a.jsonl",
        "other/a.jsonl",
    ]


def test_globs_are_expanded_and_keep_their_folders(tmp_path: Path) -> None:
    put(tmp_path / "in/x/a.jsonl", cut_card())
    put(tmp_path / "in/y/a.jsonl", cut_card("c2"))
    put(tmp_path / "in/y/b.txt", cut_card("c3"))
    run([f"{tmp_path}/in/*/*.jsonl"], tmp_path / "out")
    assert sorted(
        str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*")
    ) == [
        "x/a.jsonl",
        "y/a.jsonl",
    ]


# --- killed and resumed ----------------------------------------------------------------


@pytest.mark.parametrize("where", ["out", "in-place"])
def test_scans_killed_at_any_moment_and_resumed_give_the_same_bytes(where: str) -> None:
    """`MASKER_KILLS=200` kills as often as that."""
    here = Path(__file__).parent
    command = [sys.executable, str(here / "archive_kills.py"), str(KILLS), "1", where]
    paths = os.pathsep.join([str(here), str(here.parent / "src")])
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.startswith(b"%d kills, all the same bytes" % KILLS)


def test_a_scan_with_other_options_does_not_go_on_with_this_one(tmp_path: Path) -> None:
    put(tmp_path / "in.jsonl", cut_card())

    class Interrupted(Quiet):
        def phase(self, name: str, total: int) -> None:
            if name == "writing":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan([str(tmp_path / "in.jsonl")], Options(out=tmp_path / "out"), Interrupted())
    with pytest.raises(ArchiveError, match="--resume"):
        run(tmp_path / "in.jsonl", tmp_path / "out")
    with pytest.raises(ArchiveError, match="other paths or options"):
        run(tmp_path / "in.jsonl", tmp_path / "out", resume=True, per_file=True)
    run(tmp_path / "in.jsonl", tmp_path / "out", resume=True)
    assert (tmp_path / "out/in.jsonl").read_bytes() == jsonl(masked(cut_card()))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["in.jsonl"]


def test_what_lies_on_disk_meanwhile_shows_no_text(tmp_path: Path) -> None:
    put(
        tmp_path / "in.jsonl",
        cut_card() + said("the weather, password: hunter2zebra", conversation="c9"),
    )
    seen: list[bytes] = []

    class Spy(Quiet):
        def phase(self, name: str, total: int) -> None:
            state = tmp_path / "out/.masker-scan"
            seen.extend(path.read_bytes() for path in state.rglob("*") if path.is_file())
            assert state.stat().st_mode & 0o077 == 0

    scan([str(tmp_path / "in.jsonl")], Options(out=tmp_path / "out"), Spy())
    assert sum(map(len, seen)) > 400
    for secret in (b"4111", b"1111", b"hunter2", b"weather", b"thanks"):
        assert not any(secret in data for data in seen)


# --- the command -----------------------------------------------------------------------


def test_the_command_says_what_was_found_by_its_exit_code(tmp_path: Path) -> None:
    source = put(tmp_path / "in/a.jsonl", cut_card())

    def code(*arguments: str, stdin: bytes = b"") -> int:
        done = subprocess.run(
            [*MASKER, "scan", *arguments], input=stdin, capture_output=True, check=False
        )
        assert CARD.encode() not in done.stderr + done.stdout
        assert b"4111" not in done.stderr
        return done.returncode

    assert code(str(source), "--dry-run") == 0
    assert code(str(source), "--dry-run", "--fail-on-findings") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert code(str(source)) == 2
    assert code(str(source), "--out", str(tmp_path / "out"), "--field", "shoe=body") == 2
    assert code(str(source), "--out", str(tmp_path / "out"), "--format", "sonnet") == 2
    assert code(str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")) == 2
    assert (
        code(str(source), "--out", str(tmp_path / "out"), "--report", str(tmp_path / "r.doc")) == 2
    )
    (tmp_path / "in/b.jsonl").write_text(f'{{"text": "{CARD}\n')
    assert code(str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--fail-on-findings") == 2


def test_standard_input_is_scanned_to_standard_output() -> None:
    done = subprocess.run(
        [*MASKER, "scan", "-", "--out", "-"],
        input=jsonl(cut_card()),
        capture_output=True,
        check=True,
    )
    assert done.stdout == jsonl(masked(cut_card()))


def test_fields_can_be_told(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(f"who;what\nAnn;card {CARD}\n")
    summary, notes = run(tmp_path / "in.csv", tmp_path / "out")
    assert summary.failed == 1
    assert any("--field text=NAME" in note for note in notes)
    run(
        tmp_path / "in.csv", tmp_path / "out", fields={"text": "what", "sender": "who"}, resume=True
    )
    assert (tmp_path / "out/in.csv").read_text() == "who;what\nAnn;card ************1111\n"


# --- the store -------------------------------------------------------------------------


def test_an_archive_goes_into_the_store_as_the_library_would_put_it(tmp_path: Path) -> None:
    one, two = cut_card("c1"), said("hello", ("agent", "yes?"), f"card {CARD}", conversation="c2")
    messages = [line for pair in zip(one, two, strict=True) for line in pair]
    put(tmp_path / "in/a.jsonl", messages[1:])
    put(tmp_path / "in/b.jsonl", messages[:1])
    keys = f"file:{tmp_path / 'masker.keys'}"
    make_key_file(tmp_path / "masker.keys")
    url = f"sqlite:///{tmp_path / 't.db'}"
    command = [*MASKER, "scan", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    for _ in range(2):
        # Once more changes nothing.
        done = subprocess.run(
            [*command, "--store", url, "--keys", keys], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        with open_store(url, keys) as store:
            for conversation, given in (("c1", one), ("c2", two)):
                found = [(m.message_id, m.sender, m.text) for m in store.transcript(conversation)]
                assert found == [(m.id, m.sender, m.text) for m in masked(given)]
                assert all(m.final for m in store.transcript(conversation))
    assert CARD.encode() not in (tmp_path / "t.db").read_bytes()
    assert (tmp_path / "out/a.jsonl").read_bytes() == jsonl(masked(messages)[1:])


# --- reports ---------------------------------------------------------------------------


def test_reports_count_and_show_nothing(tmp_path: Path) -> None:
    put(tmp_path / "in/a.jsonl", cut_card() + said(f"card {CARD}", conversation="c2"))
    put(tmp_path / "in/b.jsonl", said(f"again {CARD}", conversation="c3"))
    (tmp_path / "key").write_bytes(b"0123456789abcdef")
    names = ["r.html", "r.json", "r.csv", "r.sarif"]
    command = [*MASKER, "scan", str(tmp_path / "in"), "--out", str(tmp_path / "out"),
               "--digest-key", f"file:{tmp_path / 'key'}"]  # fmt: skip
    for name in names:
        command += ["--report", str(tmp_path / name)]
    subprocess.run(command, check=True, capture_output=True)
    for name in names:
        text = (tmp_path / name).read_text()
        assert "payment-card" in text
        assert not any(secret in text for secret in (CARD, "4111", "again", "my card", "thanks"))
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["numbers"] == 3
    assert found["by_cut"] == {"over 3 messages": 1, "whole": 2}
    assert found["by_month"] == {"2024-05": 3}
    # The same card each time: one digest, in two files.
    (digest,) = found["digests"]
    assert sorted(digest["files"].values()) == [1, 2]
    rows = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
    assert sum(int(row["numbers"]) for row in rows) == 3
    results = json.loads((tmp_path / "r.sarif").read_text())["runs"][0]["results"]
    assert len(results) == 5
    page = (tmp_path / "r.html").read_text()
    assert "<svg" in page
    assert "http" not in page.replace("http-equiv", "")


def test_file_names_are_references_in_sarif_and_no_markup_in_the_page(tmp_path: Path) -> None:
    name = "<img src=x> 聊天 #1 100%.jsonl"
    put(tmp_path / "in" / name, cut_card())
    command = [*MASKER, "scan", str(tmp_path / "in"), "--dry-run"]
    for kind in ("sarif", "html"):
        command += ["--report", str(tmp_path / f"r.{kind}")]
    subprocess.run(command, check=True, capture_output=True)
    results = json.loads((tmp_path / "r.sarif").read_text())["runs"][0]["results"]
    for result in results:
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert uri.isascii()
        assert not set(uri) & set(" <>#")
        assert unquote(uri) == str(tmp_path / "in" / name)
    assert "<img" not in (tmp_path / "r.html").read_text()


def test_digests_depend_on_the_key_and_need_one(tmp_path: Path) -> None:
    put(tmp_path / "in.jsonl", said(f"card {CARD}"))
    seen = set()
    for key in (None, b"k" * 16, b"K" * 16):
        kept: list[Tally] = []
        scan(
            [str(tmp_path / "in.jsonl")],
            Options(dry_run=True, digest_key=key),
            Quiet(),
            report=lambda summary: kept.append(tally(summary)),  # noqa: B023 - called at once
        )
        seen.add(frozenset(kept[0].digests))
    assert len(seen) == 3
    assert frozenset() in seen


# --- small parts -----------------------------------------------------------------------


@given(st.text(), st.data())
def test_stars_are_where_a_text_was_masked(text: str, data: st.DataObject) -> None:
    places = data.draw(st.sets(st.integers(0, max(0, len(text) - 1)))) if text else set()
    after = "".join("*" if place in places else char for place, char in enumerate(text))
    changed = {place for low, high in stars(text, after) for place in range(low, high)}
    assert changed == {place for place in places if text[place] != "*"}

"""Archives that somebody made to get a number through, or that broke on their way."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import signal
import subprocess
import tarfile
import time
import zipfile
from email import message_from_string
from email.charset import BASE64, QP, Charset
from email.header import Header, decode_header, make_header
from pathlib import Path

import pytest

from archive_files import Said, jsonl, masked, said, telegram_page
from test_archive_scan import CARD, MASKER, cut_card, put, rows_of, run

CUT = cut_card()


def in_zip(*members: tuple[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as made:
        for name, data in members:
            made.writestr(name, data)
    return sink.getvalue()


def in_tar(name: str, data: bytes) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as made:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        made.addfile(info, io.BytesIO(data))
    return sink.getvalue()


DATA = jsonl(CUT)
HIDDEN = {
    "a zip in a zip": ("x.zip", in_zip(("in.zip", in_zip(("a.jsonl", DATA))))),
    "a zip in a gzip": ("x.gz", gzip.compress(in_zip(("a.jsonl", DATA)))),
    "a gzip in a gzip": ("x.jsonl.gz", gzip.compress(gzip.compress(DATA))),
    "a tar": ("x.tar", in_tar("a.jsonl", DATA)),
    "a tar in a gzip": ("x.tar.gz", gzip.compress(in_tar("a.jsonl", DATA))),
    "bzip2": ("x.jsonl.bz2", bz2.compress(DATA)),
    "xz": ("x.jsonl.xz", lzma.compress(DATA)),
    "xz in a zip": ("x.zip", in_zip(("a.jsonl.xz", lzma.compress(DATA)))),
    "zeros in a text": ("x.jsonl", b"\0" * 500 + DATA),
    "text of another kind": ("x.txt", bytes(range(32)) * 4 + DATA),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_what_may_hide_text_is_not_copied_as_if_it_held_none(name: str, tmp_path: Path) -> None:
    file, data = HIDDEN[name]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / file).write_bytes(data)
    put(tmp_path / "in/good.jsonl", CUT)
    summary, notes = run(tmp_path / "in", tmp_path / "out")
    assert summary.failed == 1
    assert any(file in note for note in notes)
    assert not (tmp_path / "out" / file).exists()
    assert (tmp_path / "out/good.jsonl").read_bytes() == jsonl(masked(CUT))


def test_office_documents_and_pictures_pass_also_in_a_zip(tmp_path: Path) -> None:
    book = in_zip(("[Content_Types].xml", b"<Types/>"), ("word/document.xml", b"<w/>"))
    whole = in_zip(("a.docx", book), ("b.jpg", b"\xff\xd8\xff\xe0\0" + bytes(range(256))))
    (tmp_path / "in").mkdir()
    (tmp_path / "in/x.zip").write_bytes(whole)
    (tmp_path / "in/y.docx").write_bytes(book)
    summary, notes = run(tmp_path / "in", tmp_path / "out")
    assert not summary.failed, notes
    assert (tmp_path / "out/x.zip").read_bytes() == whole
    assert (tmp_path / "out/y.docx").read_bytes() == book


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_with_two_members_of_one_name_loses_neither(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/x.zip").write_bytes(in_zip(("a.jsonl", DATA), ("a.jsonl", DATA[:-1])))
    summary, notes = run(tmp_path / "in", tmp_path / "out")
    assert summary.failed == 1
    assert any("two members of one name" in note for note in notes)
    assert not (tmp_path / "out/x.zip").exists()


def test_a_zero_byte_here_and_there_makes_a_text_no_picture(tmp_path: Path) -> None:
    lines = jsonl(CUT).splitlines(keepends=True)
    source = tmp_path / "in.jsonl"
    source.write_bytes(lines[0] + b"\0\0\n" + lines[1] + b'{"text":"\xff ' + b"\n" + lines[2])
    summary, notes = run(source, tmp_path / "out")
    assert summary.unreadable == 2
    assert any("line 2: is not JSON" in note for note in notes)
    out = (tmp_path / "out/in.jsonl").read_bytes().splitlines(keepends=True)
    assert out[:1] + out[2:3] + out[4:] == jsonl(masked(CUT)).splitlines(keepends=True)


@pytest.mark.parametrize(
    "line", [f'"{CARD}"', CARD, f'["{CARD}"]', f"[{CARD}]", f'[["{CARD}"], 1]']
)
def test_a_line_that_is_no_object_is_blanked_and_named(line: str, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    good = jsonl(CUT)
    source.write_bytes(good + line.encode() + b"\nnull\n[]\n")
    summary, notes = run(source, tmp_path / "out")
    assert summary.unreadable == 1
    assert any("line 4: is no object" in note for note in notes)
    found = (tmp_path / "out/in.jsonl").read_bytes()
    assert found.startswith(jsonl(masked(CUT)))
    assert found.endswith(b"\nnull\n[]\n")
    assert CARD.encode() not in found


@pytest.mark.parametrize("name", ["in.jsonl", "in.json"])
def test_a_text_that_was_written_as_a_number_is_masked_as_one(name: str, tmp_path: Path) -> None:
    rows = [
        {"conversation_id": "c", "message_id": str(at), "sender": "Ann", "text": text}
        for at, text in enumerate(["card", 41111111, 11111111, 94105, int(CARD), 1.5])
    ]
    written = [json.dumps(row) for row in rows]
    lines = name.endswith("l")
    whole = "\n".join(written) + "\n" if lines else f"[{', '.join(written)}]"
    (tmp_path / name).write_text(whole)
    run(tmp_path / name, tmp_path / "out")
    text = (tmp_path / "out" / name).read_text()
    found = [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)
    assert [row["text"] for row in found] == [
        "card", "********", "****1111", 94105, "************1111", 1.5,
    ]  # fmt: skip


def test_huge_lines_and_lines_that_end_in_every_way(tmp_path: Path) -> None:
    one, two, three = jsonl(CUT).splitlines()
    long = json.dumps(
        {"conversation_id": "d", "text": "x" * 3_000_000 + f" {CARD} thanks"}
    ).encode()
    ends = b"\xef\xbb\xbf" + one + b"\r\n\r\n" + two + b"\n\n  \n" + long + b"\r\n" + three
    (tmp_path / "in.jsonl").write_bytes(ends)
    summary, notes = run(tmp_path / "in.jsonl", tmp_path / "out")
    assert not summary.unreadable, notes
    m1, m2, m3 = jsonl(masked(CUT)).splitlines()
    expected = ends.replace(one, m1).replace(two, m2).replace(three, m3)
    # So long a text is not held until it is known what follows: the last four are hidden too.
    expected = expected.replace(CARD.encode(), b"*" * 16)
    assert (tmp_path / "out/in.jsonl").read_bytes() == expected


def test_a_quote_that_is_not_closed_shows_nothing_behind_it(tmp_path: Path) -> None:
    rows = f'conversation_id,text\nc1,"card 4111 1111\nc1,1111 1111\nc2,{CARD}\n'
    (tmp_path / "in.csv").write_text(rows)
    summary, notes = run(tmp_path / "in.csv", tmp_path / "out")
    assert summary.unreadable == 1
    assert any("line 2: has a quote that is not closed" in note for note in notes)
    found = (tmp_path / "out/in.csv").read_text()
    assert "1" not in found
    assert found.count("\n") == rows.count("\n")


def test_one_conversation_line_by_line_over_many_files(tmp_path: Path) -> None:
    messages: list[Said] = [one for n in range(30) for one in cut_card(f"c{n}")]
    for place, message in enumerate(messages):
        put(tmp_path / f"in/{(place * 37) % 90:02d}/{place}.jsonl", [message])
    run(tmp_path / "in", tmp_path / "out")
    expected = masked(messages)
    for place, message in enumerate(expected):
        path = tmp_path / f"out/{(place * 37) % 90:02d}/{place}.jsonl"
        assert path.read_bytes() == jsonl([message])


def test_an_output_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    source = put(tmp_path / "in.jsonl", CUT)
    (tmp_path / "taken").write_text("mine")
    command = [*MASKER, "scan", str(source), "--out", str(tmp_path / "taken/out")]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"taken" in done.stderr
    assert b"Traceback" not in done.stderr
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_file_whose_place_is_taken_is_named_and_the_others_are_written(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        put(tmp_path / f"in/{name}.jsonl", CUT)
    (tmp_path / "out/b.jsonl/mine").mkdir(parents=True)
    summary, notes = run(tmp_path / "in", tmp_path / "out")
    assert summary.failed == 1
    assert any("b.jsonl: is a directory" in note for note in notes)
    for name in ("a", "c"):
        assert (tmp_path / f"out/{name}.jsonl").read_bytes() == jsonl(masked(CUT))
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == [
        "a.jsonl", "b.jsonl", "c.jsonl", "mine",
    ]  # fmt: skip


def _alive(group: int) -> list[str]:
    """The processes of a group that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, rest = path.read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, _, its_group = rest.split()[:3]
        if its_group == str(group) and state != "Z":
            found.append(path.parent.name)
    return found


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_leaves_nothing_unmasked_and_nothing_running(jobs: str, tmp_path: Path) -> None:
    messages = [one for n in range(9000) for one in cut_card(f"c{n}")]
    source = put(tmp_path / "in.jsonl", messages)
    assert source.stat().st_size > 4 << 20
    command = [*MASKER, "scan", str(source), "--out", str(tmp_path / "out"), "--jobs", jobs]
    scan = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    until = time.monotonic() + 60
    while not list((tmp_path / "out").glob(".masker-scan/attempt-*/0*")):
        assert scan.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    os.killpg(scan.pid, signal.SIGINT)
    _, told = scan.communicate(timeout=60)
    assert scan.returncode != 0
    assert b"Traceback" not in told
    assert not (tmp_path / "out/in.jsonl").exists()
    assert not list(tmp_path.rglob("*.masker-part"))
    while _alive(scan.pid):
        assert time.monotonic() < until + 30
        time.sleep(0.05)
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    done = subprocess.run([*command, "--resume"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(rows_of(tmp_path / "out/in.jsonl")) == len(messages)


def test_the_report_names_what_was_not_done(tmp_path: Path) -> None:
    put(tmp_path / "in/good.jsonl", CUT)
    (tmp_path / "in/in<zip>.zip").write_bytes(in_zip(("in.zip", in_zip(("a.jsonl", DATA)))))
    (tmp_path / "in/bad.jsonl").write_bytes(DATA + CARD.encode() + b"\n")
    reports = [f"--report={tmp_path}/report.{kind}" for kind in ("html", "json")]
    rules = ["--rule", "payment-card", "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [*MASKER, "scan", str(tmp_path / "in"), *rules, *reports], capture_output=True, check=False
    )
    assert done.returncode == 2, done.stderr
    page = (tmp_path / "report.html").read_text()
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["rules"] == ["payment-card"]
    assert [one.rpartition(": ")[2] for one in told["complaints"]] == [
        "unpack it first",
        "is no object",
    ]
    for words in ("line 4: is no object", "in&lt;zip&gt;.zip: holds zip inside", "payment-card"):
        assert words in page
    assert "4111" not in page + str(told)


@pytest.mark.parametrize(
    "more",
    [
        {"comment": CARD},
        {"内容": CARD},
        {"Plain-Body": CARD},
        {"extra": {"body": CARD}},
        {"extra": [{"deep": [{"title": CARD}]}]},
        {"extra": {"bod#": CARD}},
        {"comment": int(CARD)},
    ],
    ids=["comment", "hanzi", "spelled otherwise", "nested", "deep", "escaped", "number"],
)
@pytest.mark.parametrize("when", ["at once", "late"])
def test_every_text_field_of_a_line_is_masked_wherever_it_stands(
    more: dict[str, object], when: str, tmp_path: Path
) -> None:
    """Also where the other lines have one text field alone, and are read the quick way."""
    plain = {"conversation_id": "c", "sender": "Ann", "text": "hello", "extra": {"order": 17}}
    rows = [plain] * (0 if when == "at once" else 30_000)
    lines = [json.dumps(row) for row in [*rows, {**plain, **more}, plain]]
    # "#" stands for a letter that is written as an escape.
    (tmp_path / "in.jsonl").write_text("\n".join(lines).replace("bod#", "bod\\u0079") + "\n")
    run(tmp_path / "in.jsonl", tmp_path / "out")
    shown = (tmp_path / "out/in.jsonl").read_text()
    assert CARD[:12] not in shown
    assert CARD[12:] in shown


@pytest.mark.parametrize(
    "value",
    [
        [["2024-05-06T10:00:00", "Ann", f"my card is {CARD}"]],
        {"log": [{"u": "Ann", "m": "hello"}, {"u": "Ann", "m": CARD}]},
        [f"Ann: my card is {CARD}"],
        {"a": {"b": {"c": ["x", f"卡号{CARD}"]}}},
    ],
    ids=["rows", "unknown names", "strings", "deep"],
)
def test_a_document_without_a_known_text_is_text_wherever_it_says_something(
    value: object, tmp_path: Path
) -> None:
    (tmp_path / "in.json").write_text(json.dumps(value))
    _, told = run(tmp_path / "in.json", tmp_path / "out")
    assert any("no field is known as text" in line for line in told)
    assert CARD[:12] not in (tmp_path / "out/in.json").read_text()


PAGES = {
    "attribute": f'<p>hello <a title="{CARD}">call</a></p>',
    "element": f'<div data-card="{CARD}">hello</div>',
    "comment": f"<p>hello <!-- {CARD} --> you</p>",
    "script": f"<script>var card = '{CARD}', rows = [[1, 2]]; f({CARD});</script>",
    "both": f'<p>my card is {CARD[:8]}<b title="{CARD}">{CARD[8:]}</b></p>',
}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("form", ["page", "json", "jsonl"])
def test_tags_and_scripts_hide_no_number(name: str, form: str, tmp_path: Path) -> None:
    page = PAGES[name]
    if form == "page":
        file, data = "in.html", f"<!DOCTYPE html><html><body>{page}</body></html>"
    else:
        row = json.dumps({"text": page, "sender": "Ann", "timestamp": 1})
        file, data = f"in.{form}", f"[{row}]" if form == "json" else f"{row}\n{row}\n"
    (tmp_path / file).write_text(data)
    run(tmp_path / file, tmp_path / "out")
    shown = (tmp_path / "out" / file).read_text()
    assert len(shown) == len(data)
    assert CARD[:8] not in shown
    assert CARD[8:14] not in shown


def test_a_script_longer_than_what_is_read_at_once_is_one_script(tmp_path: Path) -> None:
    rows = [
        f"{{type:1,text:'{one.text}',displayname:'Ann',timestamp:{int(one.time.timestamp())}}}"
        for one in [*said(*["hello there"] * 30_000), *cut_card("late")]
    ]
    page = f"<html><title>微信</title><script>var chat = [{','.join(rows)}]</script></html>"
    (tmp_path / "in.html").write_text(page)
    run(tmp_path / "in.html", tmp_path / "out")
    expected = page.replace("4111 1111", "**** ****").replace("'1111'", "'****'")
    assert (tmp_path / "out/in.html").read_text() == expected


def test_a_program_that_is_a_zip_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/unpack.exe").write_bytes(b"MZ\0\1\2\3" * 20 + in_zip(("a.jsonl", DATA)))
    _, told = run(tmp_path / "in", tmp_path / "out")
    assert any("holds zip inside" in line for line in told)
    assert not (tmp_path / "out/unpack.exe").exists()


def test_one_id_for_a_chat_and_for_a_message_of_it_is_no_other_conversation(
    tmp_path: Path,
) -> None:
    messages = [
        {"id": number, "from": "Ann", "date": 1715954585 + number, "text": text}
        for number, text in enumerate(["my card is 4111 1111", "1111", "1111 thanks"])
    ]
    (tmp_path / "in.json").write_text(json.dumps({"id": 1, "messages": messages}))
    run(tmp_path / "in.json", tmp_path / "out")
    shown = json.loads((tmp_path / "out/in.json").read_text())
    assert [one["text"] for one in shown["messages"]] == [
        "my card is **** ****",
        "****",
        "1111 thanks",
    ]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (f"card {CARD}", f"card {'*' * 12}1111"),
        (f"卡号{CARD}谢谢", f"卡号{'*' * 12}1111谢谢"),
        ("é 4111 1111 1111 1111", "é **** **** **** 1111"),
    ],
)
@pytest.mark.parametrize("charset", ["utf-8", "gb18030"])
@pytest.mark.parametrize("coding", ["b", "q"])
def test_subjects_of_mails_are_masked_in_their_own_coding(
    subject: str, expected: str, charset: str, coding: str, tmp_path: Path
) -> None:
    header = Charset(charset)
    header.header_encoding = BASE64 if coding == "b" else QP
    # Long enough for several words, folded over lines.
    written = Header("再次 " * 20 + subject, header, 60, "Subject").encode()
    mail = f"From a@b Fri May 17 12:00:00 2024\nSubject: {written}\nFrom: a@b\n\nhello\n\n"
    (tmp_path / "in.mbox").write_text(mail)
    run(tmp_path / "in.mbox", tmp_path / "out")
    shown = message_from_string((tmp_path / "out/in.mbox").read_text().partition("\n")[2])
    assert str(make_header(decode_header(shown["Subject"]))) == "再次 " * 20 + expected
    assert shown.get_payload() == "hello\n\n"
    (tmp_path / "plain.mbox").write_text(mail.replace(written, written[:40].split("\n")[0]))
    run(tmp_path / "plain.mbox", tmp_path / "out2")
    assert (tmp_path / "out2/plain.mbox").read_bytes() == (tmp_path / "plain.mbox").read_bytes()


def test_conversations_are_told_apart_by_the_headings_that_desks_use(tmp_path: Path) -> None:
    """Two tickets take turns; taken for one, each would stand in the way of the other's number."""
    rows = ["Ticket Number,Created Date,From Name,Message Text"]
    parts = ["my card is 4111 1111", "1111", "1111 thanks"]
    rows += [
        f"{ticket},2024-05-06T10:00:{number:02},Ann,{part}"
        for number, part in enumerate(parts)
        for ticket in (8, 9)
    ]
    (tmp_path / "in.csv").write_text("\n".join(rows) + "\n")
    run(tmp_path / "in.csv", tmp_path / "out")
    shown = (tmp_path / "out/in.csv").read_text()
    assert (
        shown
        == "\n".join(rows).replace("4111 1111", "**** ****").replace(",1111\n", ",****\n") + "\n"
    )


def test_a_telegram_chat_goes_on_in_the_next_page_of_its_folder(tmp_path: Path) -> None:
    for chat in ("ChatExport_1", "ChatExport_2"):
        folder = tmp_path / "in" / chat
        folder.mkdir(parents=True)
        for name, one in zip(["", "2", "10"], CUT, strict=True):
            (folder / f"messages{name}.html").write_bytes(telegram_page([one]))
    run(tmp_path / "in", tmp_path / "out")
    for chat in ("ChatExport_1", "ChatExport_2"):
        shown = [
            (tmp_path / "out" / chat / f"messages{name}.html").read_bytes()
            for name in ("", "2", "10")
        ]
        assert shown == [telegram_page([one]) for one in masked(CUT)]

"""What nobody says, and yet can be read: links in tags, and databases beside the chats."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import feather

from masker.archive import Options, Summary, scan
from test_archive_formats import Quiet

CARD, HIDDEN = "4111111111111111", "************1111"
LINKS = [
    '<a href="tel:{0}">call</a>', '<a href="tel:{0}">{0}</a>', "<a href='TEL:{0}'>x</a> and y",
    '<a data-phone="x" href="callto:{0}">x</a>',
]  # fmt: skip


def scanned(folder: Path) -> tuple[Summary, Quiet]:
    heard = Quiet()
    options = Options(out=folder / "out", rules=("payment-card",))
    return scan([str(folder / "in")], options, heard), heard


@pytest.mark.parametrize("link", LINKS)
def test_a_link_hides_no_number(link: str, tmp_path: Path) -> None:
    """Programs make telephone links of all digits that are long enough."""
    (tmp_path / "in").mkdir()
    shown, masked = link.format(CARD), link.format(HIDDEN)
    page = "<!DOCTYPE html><html><body><p>{}</p></body></html>\n"
    (tmp_path / "in/a.html").write_text(page.format(shown))
    said = {"id": 1, "author_id": 5, "html_body": f"<p>{shown}</p>", "body": "x"}
    (tmp_path / "in/b.json").write_text(json.dumps({"comments": [said]}))
    scanned(tmp_path)
    assert (tmp_path / "out/a.html").read_text() == page.format(masked)
    found = json.loads((tmp_path / "out/b.json").read_text())
    assert found["comments"][0]["html_body"] == f"<p>{masked}</p>"


def test_a_telephone_number_in_a_link_stays(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    page = '<html><body><a href="tel:+14155550123">+1 415 555 0123</a></body></html>'
    (tmp_path / "in/a.html").write_text(page)
    scanned(tmp_path)
    assert (tmp_path / "out/a.html").read_text() == page


def test_a_database_does_not_pass_for_masked(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with sqlite3.connect(tmp_path / "in/msgstore.db") as database:
        database.execute("CREATE TABLE message (text)")
        database.execute("INSERT INTO message VALUES (?)", [CARD])
    database.close()
    feather.write_feather(pa.table({"text": [CARD]}), tmp_path / "in/chat.feather")
    (tmp_path / "in/photo.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    (tmp_path / "in/orc.txt").write_text("ORC: hello\nElf: hi\n")
    summary, heard = scanned(tmp_path)
    assert summary.failed == 2
    assert sum("which is not read: export it first" in note for note in heard.notes) == 2
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"photo.png", "orc.txt"}

"""Mail: one a file, mails within mails, and mails that are too large."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from masker.archive import Options, Summary, scan
from masker.archive.formats import mail, recognised
from test_archive_formats import Quiet

CARD, HIDDEN = "4111111111111111", "************1111"


def written(text: str, number: int, coding: str, **headers: str) -> EmailMessage:
    made = EmailMessage(policy=policy.SMTP if number % 2 else policy.default)
    made["From"] = "Ann <ann@example.org>"
    made["Date"] = f"Fri, 17 May 2024 12:00:0{number} +0000"
    made["Message-ID"] = f"<{number}@example.org>"
    if number:
        made["In-Reply-To"] = "<0@example.org>"
    for name, value in headers.items():
        made[name] = value
    made.set_content(text, cte=coding)
    return made


def scanned(folder: Path) -> Summary:
    return scan([str(folder / "in")], Options(out=folder / "out"), Quiet())


def read(path: Path) -> EmailMessage:
    found = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


@pytest.mark.parametrize("coding", ["7bit", "8bit", "quoted-printable", "base64"])
@pytest.mark.parametrize("names", [("a.eml", "b.eml"), ("171.M1.host:2,S", "172.M1.host:2,")])
def test_a_number_over_two_mails_of_a_thread_is_found(
    coding: str, names: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    said = ["my card is 4111 1111\n", "1111 1111 and thanks\n"]
    expected = ["my card is **** ****", "**** 1111 and thanks"]
    for number, (name, text) in enumerate(zip(names, said, strict=True)):
        (tmp_path / "in" / name).write_bytes(bytes(written(text, number, coding)))
    assert scanned(tmp_path).numbers == 1
    for name, text in zip(names, expected, strict=True):
        assert read(tmp_path / "out" / name).get_content().strip() == text


def test_the_subject_of_a_mail_within_a_mail_is_masked(tmp_path: Path) -> None:
    inner = written(f"see {CARD}\n", 0, "7bit", Subject=f"card {CARD}, 谢谢")
    outer = written("forwarded\n", 1, "7bit", Subject=f"Fwd: card {CARD}")
    outer.add_attachment(inner)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.eml").write_bytes(bytes(outer))
    assert scanned(tmp_path).failures == 0
    found = read(tmp_path / "out/a.eml")
    assert found["Subject"] == f"Fwd: card {HIDDEN}"
    (attached,) = found.iter_attachments()
    shown = attached.get_content()
    assert shown["Subject"] == f"card {HIDDEN}, 谢谢"
    assert shown.get_content().strip() == f"see {HIDDEN}"


@pytest.mark.parametrize("name", ["a.eml", "a.mbox"])
def test_a_mail_that_is_too_large_is_blanked_to_its_end(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "_MAX_MAIL", 4096)
    (tmp_path / "in").mkdir()
    large = bytes(written("hello\n" * 1000 + CARD + "\n", 0, "7bit")) + b"\n"
    small = bytes(written(f"{CARD}\n", 2, "7bit"))
    line = b"From a@example.org Fri May 17 12:00:00 2024\n"
    is_mbox = name == "a.mbox"
    data = line + large + line + small if is_mbox else large
    (tmp_path / "in" / name).write_bytes(data)
    assert scanned(tmp_path).unreadable == 1
    masked = (tmp_path / "out" / name).read_bytes()
    assert b"hello" not in masked
    assert len(masked) == len(data)
    assert CARD.encode() not in masked
    assert masked.endswith(small.replace(CARD.encode(), HIDDEN.encode())) == is_mbox


@pytest.mark.parametrize(
    "head",
    [
        b"Ann: hi\nBob: from where?\nAnn: here\n",
        b"From: ann\nhello\n\nDate: today\n",
        b"From: a\n\nhi",
    ],
)
def test_what_only_looks_like_headers_is_no_mail(head: bytes) -> None:
    assert recognised(head, Path("a.txt")).name != "eml"

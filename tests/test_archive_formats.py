"""One contract for every format: a scan masks as the library does, and changes nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

import archive_files as files
from archive_files import KINDS, Kind, Said, said
from masker.archive import Options, scan
from masker.archive.formats import recognised
from masker.archive.layers import recognised as unwrapped

CARD = "4111111111111111"
ID = "11010519491231002X"
TALK = [
    ("Ann", 'my "usual", card <is> & this'),
    ("agent", "好的，请稍等一下 😂"),
    ("Ann", "see you at 5 pm, order 17"),
    ("agent", "ok; tab, comma | bar"),
]
NUMBERS = [
    ("Ann", "my card is 4111 1111"),
    ("agent", "go on please"),
    ("Ann", "１１１１ 1111 thanks"),
    ("agent", "请提供一下您的身份证号码"),
    ("Ann", f"就是{ID}，谢谢 \"é\" & <b>"),
    ("agent", f"was it {CARD}?"),
    ("Ann", "all of it"),
]  # fmt: skip


class Quiet:
    """Hears what a scan says."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def phase(self, name: str, total: int) -> None:
        assert name
        assert total >= 0

    def advance(self, done: int) -> None:
        assert done >= 0


def scanned(kind: Kind, messages: list[Said], folder: Path, **options: object) -> bytes:
    source = folder / "in" / kind.file
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_bytes(kind.write(messages))
    heard = Quiet()
    summary = scan([str(source)], Options(out=folder / "out", **options), heard)  # type: ignore[arg-type]  # any option
    assert not summary.failed, heard.notes
    assert not summary.unreadable, heard.notes
    return (folder / "out" / kind.file).read_bytes()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_has_nothing_to_mask_comes_out_byte_for_byte(kind: Kind, tmp_path: Path) -> None:
    assert scanned(kind, said(*TALK), tmp_path) == kind.write(said(*TALK))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_numbers_are_masked_as_the_library_masks_them_and_nothing_else_changes(
    kind: Kind, tmp_path: Path
) -> None:
    messages = said(*NUMBERS)
    expected = files.masked(messages)
    assert [one.text for one in expected] != [one.text for one in messages]
    assert scanned(kind, messages, tmp_path) == kind.write(expected)


@pytest.mark.parametrize("kind", [k for k in KINDS if k.lines], ids=lambda kind: kind.name)
def test_texts_of_several_lines(kind: Kind, tmp_path: Path) -> None:
    messages = said(
        ("Ann", "my card:\n4111 1111\n1111 1111\nok?"), ("agent", "one\ntwo"), ("Ann", "bye")
    )
    assert scanned(kind, messages, tmp_path) == kind.write(files.masked(messages))


@pytest.mark.parametrize("kind", [k for k in KINDS if k.conversations], ids=lambda kind: kind.name)
def test_conversations_that_take_turns_in_a_file_never_mix(kind: Kind, tmp_path: Path) -> None:
    one = said("my card is 4111 1111", "1111 1111", "thanks", conversation="c1")
    two = said("12345", "card 5500 0000", "0000 0004", conversation="c2")
    messages = [line for pair in zip(one, two, strict=True) for line in pair]
    assert scanned(kind, messages, tmp_path) == kind.write(files.masked(messages))


@pytest.mark.parametrize(
    "kind", [k for k in KINDS if not k.file.endswith(".zip")], ids=lambda kind: kind.name
)
def test_the_format_is_told_by_content(kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / kind.file
    path.write_bytes(kind.write(said(*TALK)))
    with path.open("rb") as raw:
        _, head = unwrapped(raw, None)
    name = recognised(head, Path("unknown")).name
    assert kind.name.startswith(name.removesuffix("-html")) or (kind.name, name) in {
        ("tsv", "csv"), ("csv-gb18030", "csv"), ("irc", "log"), ("wechat-csv", "csv"),
    }  # fmt: skip

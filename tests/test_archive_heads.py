"""Chats as plain text, however tools, locales and versions write who speaks and when."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest

from archive_files import NOON, Said, masked, said
from masker.archive.formats import FORMATS, Context, recognised
from masker.archive.formats.heads import LAYOUTS, Layout
from masker.archive.records import Record
from test_archive_scan import run

ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
HINDI = str.maketrans("0123456789", "०१२३४५६७८९")

# How a message begins: strftime with %w for who speaks, and %i for the hour of twelve; then the
# text, and behind it a line end.
WHATSAPP = [
    "%-m/%-d/%y, %i:%M %p - %w: ", "%-m/%-d/%y, %i:%M\u202f%p - %w: ", "%d/%m/%Y, %H:%M - %w: ",
    "%d.%m.%y, %H:%M - %w: ", "%-d/%-m/%y, %i:%M p.\u00a0m. - %w: ",
    "%-d/%-m/%Y, %i:%M p. m. - %w: ", "%-d/%-m/%Y, %i:%M\u202fp.\u00a0m. - %w: ",
    "%d/%m/%Y %H:%M - %w: ", "%d/%m/%Y à %H:%M - %w: ", "%d-%m-%Y %H:%M - %w: ",
    "%Y-%m-%d %H:%M - %w: ", "%-d.%-m.%Y klo %H.%M - %w: ", "%d.%m.%Y %H.%M - %w: ",
    "%d/%m/%y %H.%M - %w: ", "%Y. %m. %d. %H:%M - %w: ", "%-d. %-m. %Y %H:%M - %w: ",
    "%d.%m.%y г., %H:%M - %w: ", "%Y/%-m/%-d 下午%i:%M - %w: ", "%Y/%-m/%-d 下午 %i:%M - %w: ",
    "%-d/%-m/%Y 下午%i:%M - %w: ", "%Y年%-m月%-d日 %H:%M - %w: ",
    "%Y년 %-m월 %-d일 오후 %i:%M, %w : ", "%Y. %-m. %-d. 오후 %i:%M - %w: ",
    "%-d\u200f/%-m\u200f/%Y، %i:%M م - %w: ", "%-d/%-m/%y, %i:%M μ.μ. - %w: ",
    "%-d.%-m.%y, %i:%M e pasdites - %w: ", "%Y-%m-%d %H h %M - %w: ", "%d/%m/%Y, %H:%M – %w: ",
    "[%d/%m/%Y, %H:%M:%S] %w: ", "[%d.%m.%y, %H:%M:%S] %w: ", "[%d.%m.%Y klo %H.%M.%S] %w: ",
    "[%-m/%-d/%y, %i:%M:%S\u202f%p] %w: ", "[%-d/%-m/%y, %i:%M:%S\u202fp.\u00a0m.] %w: ",
    "[%Y/%-m/%-d 下午%i:%M:%S] %w: ", "[%Y. %-m. %-d. 오후 %i:%M:%S] %w: ",
    "\u200e[%d/%m/%Y, %H:%M:%S] ~\u202f%w: ", "[%-d.%-m.%Y, %H:%M:%S] \u200f%w: ",
]  # fmt: skip
FAR = [
    ("%-d\u200f/%-m\u200f/%Y، %i:%M م - ", ARABIC),
    ("[%-d\u200f/%-m\u200f/%Y، %i:%M:%S م] ", ARABIC),
    ("%Y/%-m/%-d،\u200f %H:%M - ", PERSIAN),
    ("%d/%m/%y, %i:%M PM - ", HINDI),
]
DATED = [
    "%Y-%m-%d %H:%M:%S %w: ", "[%Y-%m-%d %H:%M:%S] %w: ", "[%Y-%m-%dT%H:%M:%S.123Z] %w: ",
    "%Y-%m-%d %H:%M:%S\t%w\t", "(%m/%d/%Y %I:%M:%S %p) %w: ", "%w (%Y-%m-%d %H:%M:%S): ",
    "%w (%Y-%m-%d %H:%M:%S):", "%d/%m/%Y %H:%M:%S %w: ", "[%m/%d/%Y %I:%M:%S %p] %w: ",
    "%d.%m.%Y %H:%M %w: ", "%Y年%-m月%-d日 %H:%M:%S %w：", "%Y-%m-%d %H:%M:%S %w：",
    "%d %b %Y, %H:%M:%S %w: ", "%Y-%m-%d %H:%M:%S,123 INFO chat.session - %w: ",
    "%Y-%m-%d %H:%M:%S | %w | ", "%Y-%m-%d %H:%M:%S|%w|", "%s %w: ", "[%s000] %w: ",
    "%w(%Y-%m-%d %H:%M:%S):", "%w（%Y-%m-%d %H:%M:%S）：", "%a, %d %b %Y %H:%M:%S +0000 %w: ",
    "[%d-%b-%y %i:%M %p] %w\n", "[%m/%d/%Y %H:%M] %w\n", "%Y-%m-%d %-H:%M:%S %w(10000)\n",
    "%w %Y-%m-%d %H:%M:%S\n", "%w  %Y/%m/%d %H:%M\n",
]  # fmt: skip
UNDATED = [
    "[%H:%M:%S] <%w> ", "%H:%M < %w> ", "%H:%M %w: ", "%H:%M:%S - %w: ", "%i:%M %p %w: ",
    "[%i:%M:%S %p] %w: ", "(%i:%M:%S %p) %w: ", "%w (%H:%M:%S): ", "%w [%H:%M]: ", "%w %H:%M:%S: ",
    "%b %d %H:%M:%S %w: ", "( %Mm %Ss ) %w: ", "%w: ", "%w：", "[%-m/%-d %i:%M %p] %w\n",
    "[%i:%M %p] %w\n    ", "%H:%M:%S From %w to Everyone:\n\t", "%H:%M\t%w\t",
    "[%w] [오후 %i:%M] ", "%w %m-%d %H:%M:%S\n", "**%w** (%H:%M): ",
    "%H:%M:%S.123 --> %H:%M:%S.987\n%w: ",
]  # fmt: skip

CHAT = [
    ("Shop", "Hello, how can I help?"), ("Ann", "my order 4417 cost 25.90"),
    ("Shop", "Please send your card number"), ("Ann", "it is 4111 11"), ("Shop", "and the rest?"),
    ("Ann", "11 1111"), ("Ann", "1111, that is it"), ("Shop", "请把身份证号发给我"),
    ("Ann", "110105"), ("Shop", "嗯"), ("Ann", "19491231"), ("Ann", "002X"), ("Ann", "thanks: bye"),
]  # fmt: skip


def begun(head: str, one: Said) -> str:
    """How this message begins."""
    hour = str(one.time.hour % 12 or 12)
    head = head.replace("%s", str(int(one.time.timestamp()))).replace("%i", hour)
    return one.time.strftime(head.replace("%w", "@@")).replace("@@", one.sender)


def written(head: str, messages: list[Said]) -> bytes:
    return "".join(f"{begun(head, one)}{one.text}\n" for one in messages).encode()


def require_masked(path: Path, told: list[Said], made: bytes, expected: bytes) -> None:
    path.write_bytes(made)
    run(path, path.parent / "out")
    assert (path.parent / "out" / path.name).read_bytes() == expected
    assert b"4111 11" not in expected
    assert b"19491231" not in expected
    assert len(told) == len(CHAT)


@pytest.mark.parametrize("head", WHATSAPP + DATED + UNDATED)
def test_who_speaks_is_told_apart_however_a_line_begins(head: str, tmp_path: Path) -> None:
    told = said(*CHAT, step=60)
    require_masked(tmp_path / "chat.txt", told, written(head, told), written(head, masked(told)))


@pytest.mark.parametrize(("head", "digits"), FAR)
def test_dates_in_other_digits_are_dates(head: str, digits: dict[int, int], tmp_path: Path) -> None:
    def whole(messages: list[Said]) -> bytes:
        return "".join(
            f"{begun(head, one).translate(digits)}{one.sender}: {one.text}\n" for one in messages
        ).encode()

    told = said(*CHAT, step=60)
    require_masked(tmp_path / "chat.txt", told, whole(told), whole(masked(told)))


@pytest.mark.parametrize("head", WHATSAPP + DATED)
def test_times_are_read_as_they_are_meant(head: str) -> None:
    told = said(*CHAT, step=60)
    data = written(head, told)
    form = recognised(data, Path("chat.txt"))
    context = Context("chat.txt")
    form.prepare(data, context)
    records = list(form.read(io.BytesIO(data), context, 0, None))
    times = [one.time for one in records if isinstance(one, Record)]
    assert [time and time // 60_000_000 for time in times] == [
        int(one.time.timestamp()) // 60 for one in told
    ]


@pytest.mark.parametrize("form", ["whatsapp", "wechat", "log"])
def test_lines_in_the_midst_of_a_message_are_no_heads(form: str, tmp_path: Path) -> None:
    """What could be a head in another file, and what has digits and no date, is text."""
    heads = {"whatsapp": WHATSAPP[3], "wechat": DATED[-2], "log": DATED[0]}
    text = (
        "look:\n12:30 Bob: 4111 1111\n4539-12-34 56:78 - 1111: x\nBob (2024-05-06 12:00): 1111 1111"
    )
    told = said("hello", text, "ok")
    head = heads[form]
    path = tmp_path / "chat.txt"
    path.write_bytes(written(head, told))
    assert recognised(path.read_bytes(), path).name == form
    run(path, tmp_path / "out")
    assert (tmp_path / "out/chat.txt").read_bytes() == written(head, masked(told))


def test_a_number_in_place_of_a_name_is_masked(tmp_path: Path) -> None:
    path = tmp_path / "chat.log"
    path.write_bytes(written(DATED[0], said(("4111 1111 1111 1111", "hi"), ("Ann", "hello"))))
    run(path, tmp_path / "out")
    assert "4111" not in (tmp_path / "out/chat.log").read_text()


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_no_line_takes_long_to_look_at(layout: Layout) -> None:
    """Lines that nearly begin a message, a hundred thousand characters of them: in one pass."""
    rng = random.Random(7)
    for alphabet in ("[(1 ", "1:. ", "a ", "1/:,aA ", "\u202f1م", " \t-|", "1 年月日下午"):
        line = "".join(rng.choice(alphabet) for _ in range(100_000))
        assert len(list(layout.head.finditer(line.encode()))) <= 1


def test_every_kind_of_chat_has_a_layout() -> None:
    assert {layout.format for layout in LAYOUTS} <= set(FORMATS)
    assert NOON.hour == 12, "the heads say p.m."

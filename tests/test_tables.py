"""Cells of tables and lists are never joined, however well they fit; a card among numbers is found.

Tables are as bad as they can be: the cells in question make a card whose check digit holds.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from stdnum import luhn

from masker import Masker

MASKER = Masker(rules=["payment-card", "cn-resident-id"])
EVERY = Masker()
CARD = "4111 1111 1111 1111"
HIDDEN = "**** **** **** 1111"


@st.composite
def fours(draw: st.DrawFn) -> list[str]:
    """The four cells that make a card, of which no other card begins at any but the first."""
    rest = [cell(draw) for _ in range(3)]
    first = f"4{draw(st.integers(0, 999)):03}"
    rest[2] = rest[2][:3] + luhn.calc_check_digit("".join([first, *rest])[:-1])
    return [first, *rest]


def cell(draw: st.DrawFn) -> str:
    """A cell with which no card begins, and behind which none: it is no expiry date either."""
    return f"00{draw(st.integers(0, 99)):02}"


@st.composite
def tables(draw: st.DrawFn) -> str:
    """Rows of cells of four digits, and in the midst of them, over two rows, those of a card."""
    columns = draw(st.integers(3, 9))
    gap = draw(st.sampled_from([" ", "  ", ",", ", ", " - "]))
    before = draw(st.integers(2, 20))
    # In the first place of a row they might be a card.
    assume(before % columns and before % columns + 4 > columns)
    # Four cells before it might be a mistyped one.
    assume(before != 4)
    cells = [cell(draw) for _ in range(before)] + draw(fours())
    cells += [cell(draw) for _ in range(draw(st.integers(columns, 20)))]
    rows = [gap.join(cells[at : at + columns]) for at in range(0, len(cells), columns)]
    return "\n".join([*draw(st.sampled_from([[], ["一月 二月 三月"], ["totals:"]])), *rows])


@st.composite
def lists(draw: st.DrawFn) -> str:
    """One list, in a line or a column, and in the midst of it the cells of a card."""
    gap = draw(st.sampled_from([" ", ", ", ",", "\n", ";\n", "、", " / "]))
    before = [cell(draw) for _ in range(draw(st.sampled_from([2, 3, 5, 6, 9])))]
    behind = [cell(draw) for _ in range(draw(st.integers(3, 9)))]
    return gap.join([*before, *draw(fours()), *behind])


@given(text=st.one_of(tables(), lists()))
@settings(max_examples=300)
def test_cells_are_not_joined(text: str) -> None:
    assert MASKER.mask(text).text == text
    stream = MASKER.stream()
    assert stream.feed(text) + stream.close() == text


@given(groups=fours())
def test_the_same_cells_by_themselves_are_a_card(groups: list[str]) -> None:
    text = " ".join(groups)
    assert MASKER.mask(f"take {text} please").text == f"take **** **** **** {groups[3]} please"
    assert MASKER.mask("\n".join(groups)).text == "\n".join([*["****"] * 3, groups[3]])


# A card is found beside other numbers, as people write them, and in lists of cards.
AMONG = [
    "13800138000 {}",
    "138 0013 8000 {}",
    "138-0013-8000\n{}",
    "2 {} 12/27 123",
    "2024 {}",
    "{} 138 0013 8000",
    "{}\n2024-05-11 12:30\n138.50",
    "4111 1111 1111 1112 {}",
    "4111 1111 1111 1112\n{}\n5105 1051 0510 5101",
    "张三 13800138000\n李四 13800138001\n{}",
    "1. 0001\n2. 0002\n{}",
    "5105-1051-0510-5101, {}, 0123",
    "12, 13, 14\n{}",
    "12 13 14\n{}\n15 16 17",
]


@pytest.mark.parametrize("text", AMONG)
def test_a_card_among_other_numbers_is_found(text: str) -> None:
    assert HIDDEN in MASKER.mask(text.format(CARD)).text
    assert "*" * 12 in MASKER.mask(text.format(CARD.replace(" ", ""))).text


@pytest.mark.parametrize("text", AMONG)
def test_a_card_over_lines_is_found_among_other_lines(text: str) -> None:
    in_lines = "\n{}" in text or text.startswith("{}\n")
    lines = "4111\n1111\n1111\n1111" if in_lines else "4111 1111\n1111 1111"
    assert HIDDEN in MASKER.mask(text.format(lines)).text.replace("\n", " ")


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-13 POS +35780.45 226543.69\n2024-05-12 POS -67463.73 735315.16",
        "39.985249, 116.311524, 90\n39.606441, 116.345134, 72",
    ],
)
def test_amounts_and_coordinates_are_not_joined_in_rows(text: str) -> None:
    """Whatever their digits: each is filled until they pass as a card."""
    chance = random.Random(5)
    for _ in range(400):
        made = "".join(str(chance.randint(1, 9)) if one.isdigit() else one for one in text)
        assert MASKER.mask(made).text == made


@pytest.mark.parametrize("number", ["4111111111111111", CARD, "6222021234567890128", "13800138000"])
@pytest.mark.parametrize(
    "word", ["cvv {}", "my cvv is {}", "验证码 {}", "验证码：{}，", "otp: {};"]
)
@pytest.mark.parametrize("code", ["123", "482913"])
def test_a_code_is_masked_though_a_number_stands_behind_it(
    number: str, word: str, code: str
) -> None:
    if ("cvv" in word) == (len(code) == 3):
        text = f"{word.format(code)} {number}"
        masked = EVERY.mask(text).text
        assert masked.startswith(word.format("*" * len(code)))
        assert EVERY.mask(masked).text == masked


@given(text=st.one_of(tables(), lists()), behind=st.booleans())
@settings(max_examples=200)
def test_a_masked_table_is_masked_as_it_was(text: str, behind: bool) -> None:
    said = f"{text}\n卡号 {CARD}" if behind else f"卡号 {CARD}\n{text}"
    masked = MASKER.mask(said).text
    assert MASKER.mask(masked).text == masked

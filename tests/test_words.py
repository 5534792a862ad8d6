"""What is said is found quickly: a quick look says no only where a slow one says no."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from masker import Masker
from masker.core import compact
from masker.core.words import NAMES_A_NUMBER, NARROW, NUMBER_FOLLOWS
from masker.testing.talk import small_talk

EVERY = Masker()
CARDS = Masker(rules=["payment-card", "cn-resident-id"])
WIDE = {narrow: chr(wide) for wide, narrow in NARROW.items()}
SAID = sorted({word for masker in (EVERY, CARDS) for word in masker._rules.words.all})
BITS = [
    "号",
    "號",
    "编号",
    " number",
    " no",
    " id",
    " #",
    "#",
    "的",
    "'s",
    "s",
    " ",
    "，",
    "a",
    "1",
]
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(SAID),
        st.sampled_from(SAID).map(str.upper),
        st.sampled_from(BITS),
        st.sampled_from(BITS),
        small_talk(),
    ),
    max_size=5,
).map("".join)


@pytest.mark.parametrize("masker", [EVERY, CARDS])
@given(text=TEXTS)
@example(text="订单id")
@example(text="订单的编号")
@example(text="TICKETS # is")
@settings(max_examples=500)
def test_what_bears_on_other_messages_is_looked_at(masker: Masker, text: str) -> None:
    rules = masker._rules
    talk = compact.listen(rules, text)
    bears = talk.mentions != 0 or any(
        NAMES_A_NUMBER.search(talk.lowered, start, end) or NUMBER_FOLLOWS.match(talk.lowered, end)
        for start, end, _, _ in talk.words
    )
    assert rules.needs_look(text) or not bears


def test_what_only_speaks_against_a_rule_needs_no_look_where_nothing_is_asked() -> None:
    assert not CARDS._rules.needs_look("我的快递怎么还没到")
    assert CARDS._rules.needs_look("请提供订单号")


@pytest.mark.parametrize("word", sorted(EVERY._rules.keywords))
def test_keywords_are_found_in_full_width_letters(word: str) -> None:
    wide = "".join(WIDE.get(char, char) for char in word)
    said = wide + "someone" if "＠" in wide else f"{wide}：Tulip-Meadow"
    assert EVERY._rules.needs_look(said)


def test_a_password_without_a_digit_is_masked_in_full_width_letters() -> None:
    assert EVERY.mask("ｐａｓｓｗｏｒｄ：Tulip").text == "ｐａｓｓｗｏｒｄ：*****"
    assert EVERY.mask("我的ＰＷ：Tulip").text == "我的ＰＷ：*****"

"""Promise 8 over messages: a conversation that is masked already stays as it is.

What is masked is gone, so a second look knows less than the first: it must not take the last four
that are still shown, or the answers that follow, for a number that nobody has given yet.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies as my
from masker import Masker, Message

MASKER = Masker()
DELIVERIES = ("revise", "hold")
Said = tuple[str, str]

QUESTIONS = {
    "card": ("请提供您的银行卡号", "卡号发我一下", "What is your card number?"),
    "id": ("请提供您的身份证号码", "麻烦报一下身份证号", "Please send your ID card number"),
}
NAMES = {
    "card": ("我的卡号是", "卡号", "my card number is"),
    "id": ("我的身份证号是", "身份证号码", "my ID card number is"),
}
OTHERS = (
    ("订单号多少？", "2025064011369689"),
    ("邮编？", "100020"),
    ("What is the zip code?", "94105"),
    ("您的生日是哪天？", "1990-03-07"),
    ("When was it?", "5/6/2024"),
    ("请问金额多少？", "1500"),
    ("订单号呢", "20250640"),
)
TALK = ("稍等", "one moment", "在找卡", "ok", "信号不好", "let me see")
LABELS = ("", "", "", "然后", "后面是", "then ", "next ")


def masked(said: Iterable[Said], delivery: my.Delivery) -> list[Said]:
    said = list(said)
    redactor = MASKER.redactor(delivery=delivery)
    last: dict[str, str] = {}
    for number, (sender, text) in enumerate(said):
        for out in redactor.receive(Message("c", str(number), sender, text)):
            last[out.message_id] = out.text
    for out in redactor.close():
        last[out.message_id] = out.text
    return [(sender, last[str(number)]) for number, (sender, _) in enumerate(said)]


@st.composite
def given_numbers(draw: st.DrawFn) -> list[Said]:
    """One number, asked for or announced, in parts."""
    kind = draw(st.sampled_from(["card", "id"]))
    number = draw(my.card_numbers() if kind == "card" else my.resident_ids())
    if draw(st.booleans()):
        said = [("agent", draw(st.sampled_from(QUESTIONS[kind])))]
    else:
        said = [("user", draw(st.sampled_from(NAMES[kind])))]
    at = 0
    for size in draw(my.cuts(len(number), least=2)):
        label = draw(st.sampled_from(LABELS))
        said.append(("user", label + number[at : at + size]))
        at += size
        if draw(st.integers(0, 3)) == 0:
            said.append((draw(st.sampled_from(["user", "agent"])), draw(st.sampled_from(TALK))))
    return said


@st.composite
def desks(draw: st.DrawFn) -> list[Said]:
    """Numbers and other answers, one after the other."""
    said: list[Said] = []
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            question, answer = draw(st.sampled_from(OTHERS))
            said += [("agent", question), ("user", answer)]
        said += draw(given_numbers())
    question, answer = draw(st.sampled_from(OTHERS))
    return [*said, ("agent", question), ("user", answer)]


@pytest.mark.parametrize("delivery", DELIVERIES)
@given(said=desks())
def test_a_masked_conversation_stays_as_it_is(delivery: my.Delivery, said: list[Said]) -> None:
    once = masked(said, delivery)
    assert masked(once, delivery) == once


@pytest.mark.parametrize(
    "said",
    [
        [("agent", "身份证号发我"), ("user", "110101199003071"), ("user", "233"),
         ("agent", "邮编？"), ("user", "100020")],
        [("agent", "请提供您的银行卡号和身份证号"), ("user", "6222"), ("user", "0212"),
         ("user", "3456"), ("user", "7894"), ("agent", "好的，身份证呢？"), ("user", "110101"),
         ("user", "19900307"), ("user", "1233")],
        [("agent", "Please send name, phone number and ID card number"),
         ("user", "415 555 0123"), ("user", "110101199003071"), ("user", "233"), ("user", "500")],
        [("user", "my ID card number is"), *[("user", one) for one in "110101199003071233"],
         ("agent", "What is the order number?"), ("user", "5697021738")],
        [("user", "card no:"), ("user", "4389355116"), ("user", "1759۴۵, cvv 382")],
    ],
)  # fmt: skip
@pytest.mark.parametrize("delivery", DELIVERIES)
def test_the_last_four_in_messages_of_their_own_stay(
    delivery: my.Delivery, said: list[Said]
) -> None:
    once = masked(said, delivery)
    assert once != said
    assert masked(once, delivery) == once


@pytest.mark.parametrize("shown", ["", "**** **** **** 1111", "************1111"])
def test_what_was_masked_before_hides_no_new_number(shown: str) -> None:
    said = [("user", f"my card is {shown}"), ("user", "4111"), ("user", "1111"), ("user", "1111"),
            ("user", "1111")]  # fmt: skip
    assert [text for _, text in masked(said, "revise")[1:]] == ["****", "****", "****", "1111"]


def test_emphasis_and_lists_are_no_masked_digits() -> None:
    said = [("agent", "**Card number:** please"), ("user", "* card"), ("user", "4111 1111"),
            ("agent", "*thanks*"), ("user", "1111 1112")]  # fmt: skip
    assert [text for _, text in masked(said, "revise")[2::2]] == ["**** ****", "**** 1112"]


def test_a_question_is_answered_by_a_number_that_is_masked() -> None:
    said = [("agent", "请提供银行卡号"), ("user", "************7894"), ("user", "123456789012")]
    assert masked(said, "revise") == said

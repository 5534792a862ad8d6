"""What was called for and dictated stays masked, whatever chance reading takes the rest of it.

One reading in ten has a check digit that holds. Where it takes some parts of a number that words or
a question called for, the others are still parts of that number.
"""

from __future__ import annotations

import pytest

from masker import Masker, Message

MASKER = Masker(rules=["payment-card", "cn-resident-id"])
Said = tuple[str, str]


def stored(*said: Said | str) -> list[str]:
    redactor = MASKER.redactor()
    last: dict[str, str] = {}
    messages = [("user", one) if isinstance(one, str) else one for one in said]
    for number, (sender, text) in enumerate(messages):
        for out in redactor.receive(Message("c", str(number), sender, text)):
            last[out.message_id] = out.text
    for out in redactor.close():
        last[out.message_id] = out.text
    return [last[str(number)] for number in range(len(messages))]


def test_a_part_of_an_answer_with_a_year_before_it() -> None:
    said = stored(
        ("agent", "Sure, please type your debit card number here"),
        "649316870633", "39", "got it in 2019", "77362",
    )  # fmt: skip
    assert said[-1] == "*****"


def test_a_part_of_an_answer_beside_a_phone_number() -> None:
    said = stored(
        ("agent", "can I have your ID card number"), "35", "616058980", "020319810925", "2022"
    )
    assert said[1] == "**"
    assert said[3] == "************"


def test_a_wrong_first_part_that_words_call() -> None:
    assert stored("card #: 5222", "oops 6222", "0224", "9451", "3610") == [
        "card #: ****", "oops ****", "****", "****", "3610",
    ]  # fmt: skip


def test_what_is_called_an_id_is_no_part_of_the_card_before() -> None:
    # 4891 6047 5092 3701 passes the card's check by chance.
    said = stored(
        "卡号", "4891", "6047", "5092", "8767", "我的证件号是: 3701-02", "接着1987", "最后0816",
        "前面是6310", "不对，是9310，好了",
    )  # fmt: skip
    assert said[1:5] == ["****", "****", "****", "8767"]
    assert said[5:8] == ["我的证件号是: ****-**", "接着****", "最后****"]


@pytest.mark.parametrize(
    "said",
    [
        [("agent", "Please send name, phone number and card number"), "415 555 0123"],
        [("agent", "Please send name, phone number and ID card number"), "415 555 0123",
         "110101199003071", "233"],
        [("agent", "请提供姓名、手机号和身份证号"), "13812345678", "110101199003071233"],
        [("agent", "卡号后四位"), "1234"],
        ["the card 1234 was charged", "1500"],
    ],
)  # fmt: skip
def test_what_else_is_answered_stays(said: list[Said | str]) -> None:
    text = said[1] if isinstance(said[0], tuple) else said[0]
    assert stored(*said)[0 if text == said[0] else 1] == text


def test_a_card_that_is_asked_for_again_is_no_end_of_the_one_before() -> None:
    # 6 01 190 3494844 67 6225 passes a card's check by chance.
    said = stored(
        ("agent", "好的，请发一下您的储蓄卡卡号"), "还有6", "再来01", "中间是190", "再来8",
        "接着3494844", "再来67", ("agent", "您的卡号是多少？"), "6225", "3480", "0305",
        "不好意思", "3853", ("agent", "您的手机号是多少？"), "13286310638",
    )  # fmt: skip
    assert said[8:11] == ["****"] * 3

"""What the other party's words say of the numbers that answer them."""

import pytest

from masker import Masker, Message

MASKER = Masker(rules=["payment-card", "cn-resident-id"])
ID = "110101199003070759"
CARD = "6222021234567890128"
MISTYPED = "6222021234567890129"
ORDER = "2026090812345678"


def stored(*said: tuple[str, str]) -> list[str]:
    """What is kept of each message in the end."""
    redactor = MASKER.redactor()
    texts: dict[str, str] = {}
    for number, (sender, text) in enumerate(said):
        for out in redactor.receive(Message("c", str(number), sender, text)):
            texts[out.message_id] = out.text
    for out in redactor.close():
        texts[out.message_id] = out.text
    return [texts[str(number)] for number in range(len(said))]


@pytest.mark.parametrize(
    "prompt",
    [
        "请提供您的银行卡号", "卡号呢", "卡号", "卡号：", "还有卡号", "那卡号也要", "您的卡号",
        "卡号发我", "銀行卡號發過來", "身份证号码", "证件号报给我",
        "麻烦报下身份信息", "您的卡是哪一张？", "现在是卡号",
        "您的身份证发我", "念一下身份证", "您的身份证没听清", "姓名、手机号、身份证",
        "Thanks, now the card.",
        "Whats ur card", "that card is not valid, try again",
        "卡号中间几位没听清，再报一遍",
        "Card number", "and your card number", "then the card no.", "ID number:", "your card #",
        "go ahead with the card number", "I'd like the number on your card next",
        "What's your card number?",
    ],
)  # fmt: skip
def test_what_answers_a_prompt_is_masked_though_mistyped(prompt: str) -> None:
    assert stored(("agent", prompt), ("user", MISTYPED))[1] == "*" * 15 + "0129"


def test_what_is_only_mentioned_speaks_for_a_number_that_comes_by_itself() -> None:
    said = ("agent", "卡号我们会保密的")
    assert stored(said, ("user", "62220212345"), ("user", "67890129"))[1:] == ["*" * 11, "****0129"]
    assert stored(said, ("user", "62220"))[1] == "62220"


@pytest.mark.parametrize(
    "prompt", ["订单号呢", "订单号", "订单号发我", "请问订单号是多少", "Order number:"]
)
def test_a_prompt_for_another_number_takes_back_the_one_before(prompt: str) -> None:
    said = [("agent", "请提供您的身份证号"), ("user", ID), ("agent", prompt), ("user", ORDER)]
    assert stored(*said) == [said[0][1], "*" * 14 + "0759", prompt, ORDER]


def test_a_statement_takes_back_no_question() -> None:
    said = [("agent", "请提供您的银行卡号"), ("agent", "订单号我看到了"), ("user", MISTYPED)]
    assert stored(*said)[2] == "*" * 15 + "0129"


def test_a_sender_who_speaks_of_a_number_of_theirs_asks_for_none() -> None:
    assert stored(("user", "我的卡号"), ("agent", "400-820-8820"))[1] == "400-820-8820"


@pytest.mark.parametrize("harmless", ["2026-09-08", "20260908", "62000", "320106", "4500 1200"])
@pytest.mark.parametrize(
    ("prompt", "number"), [("身份证号和卡号分别是多少？", ""), ("卡号？", CARD), ("身份证号？", ID)]
)
def test_a_question_that_is_answered_hides_nothing_that_follows(
    prompt: str, number: str, harmless: str
) -> None:
    given = [number] if number else [ID, CARD]
    said = [("agent", prompt), *[("user", one) for one in given], ("user", harmless)]
    assert stored(*said)[-1] == harmless


@pytest.mark.parametrize("cut", [(18,), (6, 12), (4, 4, 4, 6)])
def test_who_asked_for_a_number_may_be_given_two(cut: tuple[int, ...]) -> None:
    second = "110101199203070759"  # Its check digit fails.
    parts, start = [], 0
    for size in cut:
        parts.append(("user", second[start : start + size]))
        start += size
    kept = stored(("agent", "两位的身份证号发一下"), ("user", ID), *parts)
    assert "".join(kept[2:]) == "*" * 14 + "0759"


@pytest.mark.parametrize(
    "question",
    [
        "卡号后四位是多少？", "卡号的后四位", "last 4 of your card?", "身份证带了吗？",
        "which card? last four digits please", "身份证有效期到什么时候", "卡的额度是多少？",
        "How much was charged to your card?",
    ],
)  # fmt: skip
def test_a_question_about_a_card_that_is_not_for_its_number_calls_none(question: str) -> None:
    assert stored(("agent", question), ("user", "62220212"))[1] == "62220212"


@pytest.mark.parametrize(
    "next_question", ["date of birth then?", "那收货地址发一下", "billing zip?"]
)
def test_a_question_ends_with_the_next_one(next_question: str) -> None:
    said = [("agent", "card number please"), ("user", "I don't have it with me")]
    assert stored(*said, ("user", "62220212"))[2] == "*" * 8
    assert stored(*said, ("agent", next_question), ("user", "62220212"))[3] == "62220212"


def test_two_questions_in_a_row_are_both_open() -> None:
    said = [("agent", "请提供卡号"), ("agent", "还有订单号"), ("user", MISTYPED)]
    assert stored(*said)[2] == "*" * 15 + "0129"


@pytest.mark.parametrize(
    ("question", "phone"),
    [
        ("Please send name, phone number and card number", "415 555 0123"),
        ("请提供姓名、手机号和身份证号", "13812345678"),
    ],
)
def test_each_of_several_numbers_asked_for_is_masked_and_no_other(
    question: str, phone: str
) -> None:
    said = [("agent", question), ("user", phone), ("user", MISTYPED)]
    assert stored(*said)[1:] == [phone, "*" * 15 + "0129"]


@pytest.mark.parametrize(
    "first", [["卡号：6217", "9890", "3450", "6481074"], ["卡号", "6217989034506481074"]]
)
def test_who_named_a_number_and_gave_it_may_be_asked_for_it_again(first: list[str]) -> None:
    said = [("user", text) for text in first] + [("agent", "卡号发我一下"), ("user", MISTYPED)]
    assert stored(*said)[-1] == "*" * 15 + "0129"


@pytest.mark.parametrize(
    "question", ["什么时候开的卡？", "when did you get the card?", "卡是在哪里办的？"]
)
def test_when_and_where_a_card_came_is_no_question_for_its_number(question: str) -> None:
    assert stored(("agent", question), ("user", "20130508"))[1] == "20130508"

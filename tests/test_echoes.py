"""What else is said of a number that was found: parts sent too early, read back, or mistyped."""

import pytest

from masker import Masker, Message

MASKER = Masker(rules=["payment-card", "cn-resident-id"])
CARD, ID = "6222021234567890128", "11010519491231002X"
QUESTION = ("agent", "您的卡号是多少？")


def stored(*said: str | tuple[str, str]) -> list[str]:
    """What is kept of each message in the end."""
    redactor = MASKER.redactor()
    texts: dict[str, str] = {}
    for number, one in enumerate(said):
        sender, text = one if isinstance(one, tuple) else ("user", one)
        for out in redactor.receive(Message("c", str(number), sender, text)):
            texts[out.message_id] = out.text
    for out in redactor.close():
        texts[out.message_id] = out.text
    return [texts[str(number)] for number in range(len(said))]


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize(
    ("said", "kept"),
    [
        # sent too early, and then whole
        (["622202123456", CARD], ["*" * 12, "*" * 15 + "0128"]),
        (["622202123456", "发早了", CARD], ["*" * 12, "发早了", "*" * 15 + "0128"]),
        (["62220212", "345", "34567890128"], ["*" * 8, "***", "*" * 7 + "0128"]),
        (["62220212", "34567", CARD], ["*" * 8, "*" * 5, "*" * 15 + "0128"]),
        # mistyped, and then right
        (["6222021234567890129", CARD], ["*" * 15 + "0129", "*" * 15 + "0128"]),
        (["622202123456789012", CARD], ["*" * 14 + "9012", "*" * 15 + "0128"]),
        (["62220212345", "sorry", CARD], ["*" * 11, "sorry", "*" * 15 + "0128"]),
        # said again, in part
        ([CARD, "34567890128"], ["*" * 15 + "0128", "*" * 7 + "0128"]),
        ([CARD, "中间是3456789"], ["*" * 15 + "0128", "中间是*******"]),
        ([CARD, "前面是6222 0212"], ["*" * 15 + "0128", "前面是**** ****"]),
        (["6222021", "234567890128", "确认下6222021?"],
         ["*" * 7, "*" * 8 + "0128", "确认下*******?"]),
        ([ID, "生日19491231"], ["*" * 14 + "002X", "生日********"]),
        # what is no part of it
        ([CARD, "最后128", "0128"], ["*" * 15 + "0128", "最后128", "0128"]),
        ([CARD, "400-820-8820", "2027"], ["*" * 15 + "0128", "400-820-8820", "2027"]),
    ],
)  # fmt: skip
def test_a_part_of_a_number_is_masked_whenever_it_is_said(
    said: list[str], kept: list[str], asked: bool
) -> None:
    assert stored(*([QUESTION] if asked else []), *said)[asked:] == kept


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        # each group said back, one of them missed
        (
            [("agent", "您好，身份证号是多少？"), "4403", ("agent", "4403"), "0520", "0111",
             ("agent", "收到 0111"), "0140", ("agent", "0140"), "31"],
            ["您好，身份证号是多少？", "****", "****", "****", "****",
             "收到 ****", "**40", "****", "31"],
        ),
        (
            [CARD, ("agent", "好的，34567890128 对吗")],
            ["*" * 15 + "0128", "好的，*******0128 对吗"],
        ),
        # what is said back is no beginning of any number
        (
            [("agent", "What is your card number?"), "5105", "1051", ("agent", "1051, okay."),
             "0510", "5100"],
            ["What is your card number?", "****", "****", "****, okay.", "****", "5100"],
        ),
        # other numbers of theirs stay
        (
            [CARD, ("agent", "工单 20261123，尾号0128")],
            ["*" * 15 + "0128", "工单 20261123，尾号0128"],
        ),
    ],
)  # fmt: skip
def test_what_another_reads_back_is_masked_too(
    said: list[str | tuple[str, str]], kept: list[str]
) -> None:
    assert stored(*said) == kept


@pytest.mark.parametrize("said", ["71 ok", "71，对吗", "71?", "好的71", "71"])
def test_a_part_of_two_digits_is_masked_where_it_is_read_back_at_once(said: str) -> None:
    heard = stored(
        ("a", "请提供身份证号码"), ("u", "110101"), ("u", "19"), ("u", "71"), ("a", said)
    )
    assert heard[-1] == said.replace("71", "**")


@pytest.mark.parametrize(
    "said",
    [
        "第二段改成%s",
        "第二段错了 %s",
        "0222写错了，是%s",
        "the second group should be %s",
        "sorry, %s",
    ],
)
def test_a_group_that_is_put_right_when_all_were_given_is_no_last_four(said: str) -> None:
    # Luhn's check holds for groups of four in whatever order they come.
    parts = ["6222", "0222", "3456", "7894"]
    heard = stored(("a", "请提供您的银行卡号"), *parts, said % "0212")
    assert heard[1:4] == ["****"] * 3
    assert heard[-1].replace("0222", "****") == said.replace("0222", "****") % "****"
    assert "0222" not in heard[-1]


def test_a_last_group_that_is_put_right_is_shown() -> None:
    heard = stored(("a", "请提供您的银行卡号"), "6222", "0212", "3456", "7895", "不对，是7894")
    assert heard[1:4] == ["****"] * 3
    assert heard[-1].endswith("7894")


def test_a_part_that_is_read_back_and_a_number_by_chance_shows_nothing() -> None:
    # 4403052002012 is as long as a card, and its check digit holds.
    heard = stored(
        ("a", "请您报一下身份证号码"), "4403052002012", ("a", "4403052002012，对吗"), "7", "3360"
    )
    assert heard[2] == "*************，对吗"


def test_a_whole_number_that_is_read_back_shows_its_last_four() -> None:
    heard = stored(
        "my card number", "6217", "0071", "2080", "7455", "616",
        ("a", "so that is 6217 0071 2080 7455 616?"),
    )  # fmt: skip
    assert heard[-1] == "so that is **** **** **** ***5 616?"


def test_the_end_of_ones_own_number_is_no_echo_of_anothers() -> None:
    heard = stored(("b", "1"), ("b", "1"), ("b", "010120010102187"), "卡号6", ("b", "6"))
    assert heard[-1] == "6"

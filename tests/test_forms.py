"""Forms filled in in one message: each number in them is masked, whatever stands beside it."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

import strategies as my
from masker import Masker, Message

MASKER = Masker()
SEPARATORS = st.sampled_from(["，", ", ", "\n", " ", "; ", "；", " / ", "、", "。", "\t", " | "])
HARMLESS = st.sampled_from(
    ["name 张三", "地址：朝阳区建国路88号", "订单号20260512001", "金额128.50元", "2026-05-12",
     "张三", "Order 10023"]
)  # fmt: skip


class Field(NamedTuple):
    """A line of a form: a number as it is written, and how much of it may be seen."""

    text: str
    start: int
    value: str
    keep_last: int


def field(
    values: st.SearchStrategy[str], labels: list[str], keep_last: int = 4
) -> st.SearchStrategy[Field]:
    def made(label: str, value: str) -> Field:
        return Field(label.replace("{}", value), label.index("{}"), value, keep_last)

    return st.builds(made, st.sampled_from(labels), values)


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=count, max_size=count)


MOBILES = st.builds("".join, st.tuples(st.sampled_from(["138", "139", "150", "186"]), digits(8)))
LANDLINES = st.builds(
    "{}{}{}{}".format, st.sampled_from(["010", "021", "0755"]), st.sampled_from(["-", " ", ""]),
    st.sampled_from("235678"), digits(7),
)  # fmt: skip
PASSPORTS = st.one_of(
    st.builds("{}{}".format, st.sampled_from("EG"), digits(8)),
    st.builds("E{}{}".format, st.sampled_from("ABH"), digits(7)),
)
FIELDS = st.one_of(
    field(MOBILES, ["手机号{}", "手机：{}", "联系电话 {}", "mobile: {}", "{}", "phone {}"]),
    field(MOBILES.map(lambda one: f"{one[:3]} {one[3:7]} {one[7:]}"), ["手机号{}", "电话{}", "{}"]),
    field(LANDLINES, ["座机{}", "电话{}", "tel {}", "固话：{}"]),
    field(my.resident_ids(), ["身份证{}", "身份证号：{}", "证件号 {}", "ID: {}", "{}"]),
    field(my.card_numbers(), ["卡号{}", "银行卡：{}", "card {}", "card no. {}", "{}"]),
    field(
        my.digit_strings(15, "4").map(my.with_luhn).map(
            lambda card: " ".join(card[at : at + 4] for at in range(0, 16, 4))
        ),
        ["卡号{}", "card: {}", "{}"],
    ),
    field(PASSPORTS, ["护照{}", "护照号：{}", "passport no. {}"]),
    field(
        st.builds(
            "{}-{}-{}".format,
            st.integers(100, 665), st.integers(11, 99), st.integers(1000, 9999),
        ),
        ["SSN {}", "social security number: {}"],
    ),
    field(digits(6), ["验证码{}", "OTP {}", "verification code: {}"], 0),
    field(digits(3), ["cvv {}", "安全码{}"], 0),
    field(digits(3).map("Tulip{}".format), ["密码：{}", "password: {}"], 0),
)  # fmt: skip


@given(
    fields=st.lists(st.one_of(FIELDS, FIELDS, HARMLESS), min_size=2, max_size=6),
    separator=SEPARATORS,
)
@settings(max_examples=600)
@example(
    [Field("密码：Tulip245", 3, "Tulip245", 0), Field("139 7866 4557", 0, "139 7866 4557", 4)], " "
)
@example(["2026-05-12", Field("4788 0457 3519 9163", 0, "4788 0457 3519 9163", 4)], " ")
@example([Field("手机号131 7217 7330", 3, "131 7217 7330", 4), "2026-05-12"], "，")
def test_every_number_of_a_form_is_masked(fields: list[Field | str], separator: str) -> None:
    text = separator.join(one if isinstance(one, str) else one.text for one in fields)
    masked = MASKER.mask(text).text
    at = 0
    for one in fields:
        if isinstance(one, Field):
            places = [at + one.start + i for i, char in enumerate(one.value) if char.isalnum()]
            hidden = places[: len(places) - one.keep_last]
            assert {masked[place] for place in hidden} == {"*"}
        at += len(one if isinstance(one, str) else one.text) + len(separator)


ASKED = st.sampled_from(
    ["请提供姓名、身份证号、手机号、银行卡号", "请提供身份证号、手机号和银行卡号",
     "身份证号、卡号、手机号发我一下",
     "为了核实身份，请告知姓名、证件号、预留手机号以及卡号",
     "please provide your name, ID number, phone and card number"]
)  # fmt: skip
NAMES = st.sampled_from(["张三", "李四", "王小明", "Lee", ""])


@st.composite
def mistyped(draw: st.DrawFn, number: str) -> str:
    """A number with another digit somewhere behind its sixth, so that its check digit fails."""
    place = draw(st.integers(6, len(number) - 2))
    other = draw(st.integers(1, 9))
    return number[:place] + str((int(number[place]) + other) % 10) + number[place + 1 :]


@given(
    question=ASKED, name=NAMES, separator=SEPARATORS, order=st.permutations(range(4)),
    identity=my.resident_ids().flatmap(mistyped), mobile=MOBILES, apart=st.booleans(),
    card=my.digit_strings(15, "4").map(my.with_luhn).flatmap(mistyped),
)  # fmt: skip
@settings(max_examples=400)
@example("请提供姓名、身份证号、手机号、银行卡号", "张三", "，", [0, 1, 2, 3], "440305178506083736",
         "18640909079", False, "4041494045740710")  # fmt: skip
def test_mistyped_numbers_of_a_form_that_was_asked_for_are_masked(
    question: str, name: str, separator: str, order: list[int], identity: str, mobile: str,
    apart: bool, card: str,
) -> None:  # fmt: skip
    answers = [one for one in ([name, identity, mobile, card][place] for place in order) if one]
    said = answers if apart else [separator.join(answers)]
    redactor = MASKER.redactor()
    shown = [
        masked.text
        for place, (sender, text) in enumerate([("agent", question), *[("user", t) for t in said]])
        for masked in redactor.receive(Message("c", str(place), sender, text))
    ]
    shown += [masked.text for masked in redactor.close()]
    for number in (identity, card):
        assert not any(number[:-4] in text for text in shown)
        assert not any(number[place : place + 6] in t for t in shown for place in range(0, 12, 3))

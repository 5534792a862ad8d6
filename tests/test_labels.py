"""What people say around the parts of a number and between them, and how they count them."""

from __future__ import annotations

import itertools

import pytest
import regex

import strategies as my
from masker import Masker, Message
from masker.core import gaps
from masker.testing.scenes import Scene

MASKER = Masker(rules=["payment-card", "cn-resident-id"])
# Issued test numbers, and a generated ID.
CARD, LONG_CARD, ID = "5105105105105100", "6222021234567890128", "440106199912018745"
CUTS = {CARD: (4, 8, 12), LONG_CARD: (6, 11), ID: (6, 14)}

# What is said with the first part, with those after it, and with the last.
LABELS = [
    # counted
    ("1/3 %s", "2/3 %s", "3/3 %s"),
    ("(1/3) %s", "(2/3) %s", "(3/3) %s"),
    ("%s (1/3)", "%s (2/3)", "%s (3/3)"),
    ("%s 1/3", "%s 2/3", "%s 3/3"),
    ("1) %s", "2) %s", "3) %s"),
    ("1. %s", "2. %s", "3. %s"),
    ("[1] %s", "[2] %s", "[3] %s"),
    ("#1 %s", "#2 %s", "#3 %s"),
    ("1st: %s", "2nd: %s", "3rd: %s"),
    ("part 1: %s", "part 2: %s", "part 3: %s"),
    ("part 1 of 3: %s", "part 2 of 3: %s", "part 3 of 3: %s"),
    ("digits 1-6: %s", "digits 7-12: %s", "rest: %s"),
    ("a) %s", "b) %s", "c) %s"),
    ("①%s", "②%s", "③%s"),
    ("1、%s", "2、%s", "3、%s"),
    ("（1）%s", "（2）%s", "（3）%s"),
    ("一、%s", "二、%s", "三、%s"),
    ("第1段 %s", "第2段 %s", "第3段 %s"),
    # announced
    ("start: %s", "mid: %s", "end: %s"),
    ("%s to be continued", "%s cont", "%s end"),
    ("the first digits are %s", "the middle ones are %s", "the last ones are %s"),
    ("首先是%s", "其次是%s", "最后是%s"),
    ("%s", "之后是%s", "再往后%s"),
    ("%s", "紧跟着%s", "此后是%s"),
    ("%s先发这个", "%s继续", "%s完了"),
    ("%s逗号", "%s", "%s"),
    ("%s，", "%s，", "%s。"),
    # with what chats put beside it
    ("[微笑]%s", "[OK]%s", "[抱拳]%s"),
    ("%s[微笑]", "%s[OK]", "%s[抱拳]"),
    ("%s😊", "%s👌", "%s🙏"),
    ("@客服 %s", "@客服 %s", "@support %s"),
    ("%s\n\nSent from my iPhone", "%s\n\nSent from my iPhone", "%s\n\nSent from my iPhone"),
]
# Any talk may be where the other party asked.
TALK = [
    ("%s 等我翻个面", "%s 看不清了", "%s 就是这些"),
    ("let me look... %s", "%s hard to read", "%s phew"),
]
# What people say between bare parts that has other digits in it, or is nothing but them.
STRAYS = [
    "这卡是2019年办的",
    "订单号是20231108112233",
    "my order number is 998877",
    "电话13800138000",
    "call me at 415-555-0134",
    "邮编100000",
    "I'm at 192.168.1.1",
    "单号SF1234567890123",
    "v2.3.1",
    "it says 1288 and 4 more",
    "666",
    "520",
]
QUESTIONS = {CARD: "请报一下卡号", LONG_CARD: "card number please?", ID: "请提供身份证号"}


def parts(number: str, cuts: tuple[int, ...], label: tuple[str, str, str]) -> list[my.Written]:
    """The number in parts, each with what is said with it."""
    edges = list(itertools.pairwise((0, *cuts, len(number))))
    said = []
    for place, (low, high) in enumerate(edges):
        template = label[0] if place == 0 else label[2] if place == len(edges) - 1 else label[1]
        before, behind = template.split("%s")
        digits = my.Written(number[low:high], tuple((number, at) for at in range(low, high)))
        said.append(my.plain(before) + digits + my.plain(behind))
    return said


def is_counted(said: my.Written) -> bool:
    """Whether any digit is said beside the number's."""
    beside = zip(said.text, said.marks, strict=True)
    return any(char.isnumeric() for char, mark in beside if mark is None)


def hidden(said: list[my.Written], number: str, question: str | None = None) -> set[int]:
    """Which digits are masked in the end; that no other was ever shown is asserted here."""
    timeline = my.Timeline()
    if question is not None:
        timeline.say(question, sender="agent")
    for one in said:
        timeline.say(one)
    redactor = MASKER.redactor()
    counter = my.play(Scene(timeline.sent, (number,)), redactor.receive, redactor.close)
    assert not counter.leaks()
    # A count may make a number with the part behind it, by chance: it is masked then.
    if not any(is_counted(one) for one in said):
        assert not counter.changed_elsewhere()
    return counter.masked_at_the_end()[number]


@pytest.mark.parametrize("label", LABELS, ids=" / ".join)
@pytest.mark.parametrize("number", CUTS)
def test_labels_and_counts_do_not_part_a_number(number: str, label: tuple[str, str, str]) -> None:
    assert hidden(parts(number, CUTS[number], label), number) == set(range(len(number) - 4))


@pytest.mark.parametrize("label", LABELS + TALK, ids=" / ".join)
@pytest.mark.parametrize("number", CUTS)
def test_where_it_was_asked_for_no_talk_does(number: str, label: tuple[str, str, str]) -> None:
    said = parts(number, CUTS[number], label)
    assert hidden(said, number, QUESTIONS[number]) >= set(range(len(number) - 4))


@pytest.mark.parametrize("label", TALK, ids=" / ".join)
def test_few_digits_in_talk_are_a_part_where_they_answer_a_question(
    label: tuple[str, str, str],
) -> None:
    said = parts(ID, (3, 6, 9, 12, 15), label)
    assert hidden(said, ID, QUESTIONS[ID]) == set(range(14))


@pytest.mark.parametrize("stray", STRAYS)
@pytest.mark.parametrize("cuts", [(4, 8, 12), (8,)])
def test_other_digits_between_bare_parts_do_not_end_them(cuts: tuple[int, ...], stray: str) -> None:
    first, *others = parts(CARD, cuts, ("%s", "%s", "%s"))
    said = [first] + [one for part in others for one in (my.plain(stray), part)]
    assert hidden(said, CARD) >= set(range(12))


@pytest.mark.parametrize("aside", ["[a]", "[ok]", " @b", "[OK] "])
def test_a_label_is_read_in_one_way(aside: str) -> None:
    # Read in two ways each, so many would never come to an end.
    assert not gaps.is_label(aside * 500 + " Q")
    assert gaps.is_label(aside * 500 + " then")
    assert regex.fullmatch(gaps.LABEL_SOURCE, aside * 500 + " Q", partial=True) is None


def test_a_digit_that_may_count_may_be_of_the_number() -> None:
    assert hidden(parts(CARD, (1,), ("%s", "%s", "%s")), CARD) == set(range(12))
    said = [
        my.Written("510510510510", tuple((CARD, at) for at in range(12))),
        my.Written("5, 100", ((CARD, 12), None, None, (CARD, 13), (CARD, 14), (CARD, 15))),
    ]
    assert hidden(said, CARD) == set(range(12))


@pytest.mark.parametrize(
    "said",
    [
        ["1-8位：62220212", "9-16位：34567894"],
        ["第1-8位62220212\n第9-16位34567894"],
        ["digits 1-8: 62220212, digits 9-16: 34567894"],
        ["1 to 8: 62220212", "9 to 16: 34567894"],
        ["8位：62220212\n8位：34567894"],
        ["62220212（8位）", "34567894（8位）"],
        ["62220212，8位了\n34567894，齐了16位"],
    ],
)
@pytest.mark.parametrize("question", ["请提供您的银行卡号", "What is your card number?"])
def test_the_places_and_lengths_of_parts_are_no_digits_of_theirs(
    question: str, said: list[str]
) -> None:
    redactor = MASKER.redactor()
    last: dict[str, str] = {}
    for number, text in enumerate([question, *said]):
        sender = "user" if number else "agent"
        for out in redactor.receive(Message("c", str(number), sender, text)):
            last[out.message_id] = out.text
    for out in redactor.close():
        last[out.message_id] = out.text
    assert "\n".join(last[str(number)] for number in range(1, len(last))) == "\n".join(
        said
    ).replace("62220212", "*" * 8).replace("34567894", "****7894")


@pytest.mark.parametrize("mark", ["：", ":", ". ", ") ", "、", " - "])
@pytest.mark.parametrize("asked", [True, False])
def test_the_last_part_of_counted_ones_may_be_short(mark: str, asked: bool) -> None:
    parts = ("4401", "0619", "9912", "0187", "45")
    question = ["好的，您的身份证号发我"] if asked else []
    redactor = MASKER.redactor()
    last: dict[str, str] = {}
    for number, part in enumerate([*question, *parts]):
        text, sender = f"{number + (not asked)}{mark}{part}", "user"
        if asked and not number:
            text, sender = part, "agent"
        for out in redactor.receive(Message("c", str(number), sender, text)):
            last[out.message_id] = out.text
    for out in redactor.close():
        last[out.message_id] = out.text
    shown = [text[1:].strip("".join((*mark, "*"))) for text in last.values()][len(question) :]
    assert shown == ["", "", "", "87", "45"]

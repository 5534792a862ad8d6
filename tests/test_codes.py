"""What must never be stored is masked whole, whatever stands beside it, in every revision."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from masker import Masker, Message

MASKER = Masker()
CARDS = st.sampled_from(
    ["4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "6222021234567890128",
     "6222 0212 3456 7890 128"]
)  # fmt: skip
EXPIRIES = st.sampled_from(
    ["12/27", "12/2027", "1227", "12 27", "12-27", "2027-12", "exp 12/27", "有效期12/27",
     "expires 12/27", "valid thru 12/27"]
)  # fmt: skip
LABELLED = st.sampled_from(
    ["cvv {}", "CVV: {}", "cvv is {}", "cvc {}", "CVV2 {}", "cvv{}", "cvv码 {}",
     "安全码{}", "安全码是{}", "security code {}", "{} cvv", "卡背面三位{}",
     "the 3 digits on the back are {}"]
)  # fmt: skip
SEPARATORS = st.sampled_from([" ", ", ", "，", "\n", " / ", "; ", "  ", "、", " and ", " | "])
CODES = st.text("0123456789", min_size=3, max_size=3)
TALK = st.sampled_from(["稍等", "ok", "one sec", "好的"])
ASKED_AT_ONCE = st.sampled_from(
    ["card number, expiry and cvv please", "请提供卡号、有效期和安全码", "卡号，有效期，CVV",
     "卡号和卡背面后三位", "can I have your card number, expiration date and security code?",
     "Please provide the card details: number, expiry, CVV"]
)  # fmt: skip
ASKED_IN_TURN = st.sampled_from(
    [("card number please", "expiry date?", "cvv?"), ("请提供卡号", "有效期", "安全码"),
     ("卡号是多少", "有效期到什么时候", "背面三位数"),
     ("card number?", "and the expiry?", "and the three digits on the back")]
)  # fmt: skip
BARE = st.sampled_from(["{}", "cvv {}", "{} 谢谢", "安全码{}", "and {}", "ok {}"])
CODE_QUESTIONS = st.sampled_from(
    ["请提供短信验证码", "验证码发一下", "验证码是多少", "收到的验证码是？", "短信里的数字念一下",
     "请输入动态码", "Please enter the verification code we sent", "what is the OTP?",
     "what code did you receive", "can you read me the 6-digit code"]
)  # fmt: skip
CODE_ANSWERS = st.sampled_from(
    ["{}", "是{}", "{}。", "验证码{}", "my code is {}", "it is {}", "{}收到了吗", "ok {}",
     "我看一下 {}", "刚收到：{}", "it says {}", "{} is the code", "sure, {}",
     "【某银行】验证码{}，5分钟内有效", "{}，手机号13800138000", "{} 13800138000",
     "code: {} (expires in 10 min)"]
)  # fmt: skip


def chat(*said: tuple[str, str]) -> list[list[str]]:
    """Every text that each message came out with."""
    redactor = MASKER.redactor()
    out: list[list[str]] = [[] for _ in said]
    for place, (sender, text) in enumerate(said):
        for masked in redactor.receive(Message("c", str(place), sender, text)):
            out[int(masked.message_id)].append(masked.text)
    for masked in redactor.close():
        out[int(masked.message_id)].append(masked.text)
    return out


def written(template: str, code: str) -> tuple[str, int]:
    """A text with the code in it, and where that is."""
    return template.replace("{}", code), template.index("{}")


@given(
    card=CARDS, expiry=st.none() | EXPIRIES, label=LABELLED, order=st.permutations(range(3)),
    separator=SEPARATORS, code=CODES,
)  # fmt: skip
@settings(max_examples=400)
@example("4111111111111111", None, "cvv {}", [2, 1, 0], " ", "123")
@example("4111111111111111", "1227", "{} cvv", [0, 1, 2], ", ", "464")
def test_a_labelled_security_code_is_masked_beside_its_card(
    card: str, expiry: str | None, label: str, order: list[int], separator: str, code: str
) -> None:
    parts = (card, expiry, label)
    text, at = written(separator.join(one for one in (parts[i] for i in order) if one), code)
    assert MASKER.mask(text).text[at : at + 3] == "***"


@given(
    question=ASKED_AT_ONCE, card=CARDS, expiry=st.none() | EXPIRIES, form=BARE,
    order=st.permutations(range(3)), separator=st.none() | SEPARATORS, code=CODES,
    talk=st.none() | TALK,
)  # fmt: skip
@settings(max_examples=400)
def test_a_security_code_that_was_asked_for_is_masked_in_any_answer(
    question: str, card: str, expiry: str | None, form: str, order: list[int],
    separator: str | None, code: str, talk: str | None,
) -> None:  # fmt: skip
    parts = (card, expiry, form)
    given = [one for one in (parts[place] for place in order) if one]
    if separator is not None:
        # In the midst of others it needs a word.
        assume(form.startswith(("cvv", "安全码")) or given[1] != form or len(given) == 2)
        assume(separator not in {" and ", " | "})
        given = [separator.join(given)]
    said = [("agent", question), *([("user", talk)] if talk else [])]
    said += [("user", one.replace("{}", code)) for one in given]
    place = next(at for at, one in enumerate(given) if "{}" in one) + len(said) - len(given)
    _, at = written(next(one for one in given if "{}" in one), code)
    assert all(text[at : at + 3] == "***" for text in chat(*said)[place])


@given(
    questions=ASKED_IN_TURN, card=CARDS, expiry=EXPIRIES, form=BARE, code=CODES,
    talk=st.none() | TALK,
)  # fmt: skip
@settings(max_examples=200)
def test_a_security_code_that_is_asked_for_last_is_masked(
    questions: tuple[str, str, str], card: str, expiry: str, form: str, code: str, talk: str | None
) -> None:
    number, until, proof = questions
    answer, at = written(form, code)
    said = [("agent", number), ("user", card), ("agent", until), ("user", expiry), ("agent", proof)]
    said += [("user", talk)] if talk else []
    assert all(text[at : at + 3] == "***" for text in chat(*said, ("user", answer))[-1])


@given(
    question=CODE_QUESTIONS, form=CODE_ANSWERS, code=st.text("0123456789", min_size=4, max_size=8),
    talk=st.none() | TALK,
)  # fmt: skip
@settings(max_examples=400)
def test_a_one_time_code_that_was_asked_for_is_masked(
    question: str, form: str, code: str, talk: str | None
) -> None:
    answer, at = written(form, code)
    said = [("agent", question), *([("user", talk)] if talk else []), ("user", answer)]
    assert all(text[at : at + len(code)] == "*" * len(code) for text in chat(*said)[-1])


@pytest.mark.parametrize("code", ["482913", "0717", "77120934"])
@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_one_time_code_in_pieces_is_masked(code: str, cut: int) -> None:
    shown = chat(("agent", "验证码是多少"), ("user", code[:cut]), ("user", code[cut:]))
    assert {text for texts in shown[1:] for text in texts} <= {"*" * cut, "*" * (len(code) - cut)}


@pytest.mark.parametrize(
    "text",
    ["the last 4 digits", "a 6 digit code", "请输入6位密码", "卡号后4位"],
)
def test_digits_of_a_word_are_no_numbers(text: str) -> None:
    assert MASKER.mask(text).text == text
    assert chat(("agent", "cvv?"), ("user", text))[1] == [text]

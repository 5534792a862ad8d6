"""Chunk streams: any chunking gives what the whole text gives, and holds no longer than it must.

The oracle is brute force. A character may be shown when every continuation, up to a length
that is enough for the tiny rules used here, leaves it as it is.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies as my
from masker import Masker
from masker.errors import MaskerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MASKER = Masker(rules=["payment-card", "cn-resident-id"])

PACK = """
schema = 1
name = "tiny"
description = "small enough for brute force"

[[rules]]
id = "tiny"
entity = "TINY"
pattern = '''{pattern}'''
keep_last = 1
{more}
references = ["made up"]
examples = ["{example}"]
counterexamples = ["99"]
"""

# Pattern, what else the rule says, an example, the alphabet of the texts, their length, and the
# most that continuations are (they may use another separator as well).
TINY: dict[str, tuple[str, str, str, str, int, int]] = {
    "fixed length": ("12[12]", "", "121", "12 ", 5, 6),
    "beside letters": ("12[12]", "", "121", "12x", 5, 5),
    "may grow": ("12[12]{0,2}", "", "12", "12 ", 5, 6),
    "two lengths": ("1[12]|1[12]{3}", "", "12", "12x", 5, 5),
    "checked": ("[0-9]{3}", 'checksum = "luhn"', "018", "0123456789 ", 3, 3),
    "words against": ("12[12]", 'anti_context = ["b"]', "121", "12b ", 4, 6),
    "words for": ("12[12]", 'context = ["b"]', "121", "12b ", 4, 6),
    "words needed": ("12[12]", 'context = ["b"]\ncontext_required = true', "b 121", "12b ", 4, 6),
}


def tiny(name: str, folder: Path) -> Masker:
    pattern, more, example, _, _, _ = TINY[name]
    path = folder / "tiny.toml"
    path.write_text(PACK.format(pattern=pattern, more=more, example=example), "utf-8")
    return Masker(rules_path=path)


def fed(masker: Masker, text: str) -> str:
    """What has come out after these characters, one a chunk, and before the close."""
    stream = masker.stream()
    return "".join(stream.feed(character) for character in text)


@pytest.mark.parametrize("name", TINY)
def test_no_character_is_held_longer_than_it_must_be(name: str, tmp_path: Path) -> None:
    masker = tiny(name, tmp_path)
    _, _, _, alphabet, longest, ahead = TINY[name]
    late = []
    for text in map("".join, itertools.product(alphabet, repeat=longest)):
        shown = len(fed(masker, text))
        if shown == longest:
            continue
        alone = masker.mask(text).text
        # The first character held must be one that some continuation changes.
        continuations = (
            "".join(more)
            for length in range(1, ahead + 1)
            for more in itertools.product(alphabet + "-", repeat=length)
        )
        if all(masker.mask(text + more).text[shown] == alone[shown] for more in continuations):
            late.append((text, shown))
            if len(late) == 5:
                break
    assert not late, "texts whose first held character nothing can change"


@pytest.mark.parametrize("name", TINY)
def test_any_chunking_of_every_short_text(name: str, tmp_path: Path) -> None:
    masker = tiny(name, tmp_path)
    _, _, _, alphabet, longest, _ = TINY[name]
    for text in map("".join, itertools.product(alphabet, repeat=longest)):
        for cut in range(longest + 1):
            stream = masker.stream()
            out = stream.feed(text[:cut]) + stream.feed(text[cut:]) + stream.close()
            assert out == masker.mask(text).text


@st.composite
def long_texts(draw: st.DrawFn) -> str:
    """Talk with numbers in it, harmless ones and others."""
    pieces = st.one_of(
        my.small_talk(),
        my.written_numbers().map(lambda w: my.join(w).text),
        st.sampled_from(
            ["$19.99", "12/27 123", "13800138000", "4111", "1\t2\t3", "订单号6222021234"]
        ),
        st.text("0123456789 -", max_size=25),
        st.text(max_size=10),
    )
    return "".join(
        draw(st.sampled_from(["", " ", "\n", ", "])) + draw(pieces)
        for _ in range(draw(st.integers(1, 6)))
    )


@given(long_texts(), st.data())
def test_any_chunking_gives_the_whole_text_masked(text: str, data: st.DataObject) -> None:
    expected = MASKER.mask(text).text
    sizes = data.draw(my.cuts(len(text), least=1)) if text else ()
    ends = list(itertools.accumulate(sizes))
    stream = MASKER.stream()
    pieces = [stream.feed(text[a:b]) for a, b in zip([0, *ends], ends, strict=False)]
    assert "".join(pieces) + stream.close() == expected
    assert fed(MASKER, text) == expected[: len(fed(MASKER, text))]


def test_plain_words_come_out_at_once() -> None:
    stream = MASKER.stream()
    for word in ["Your", " order", " is on", " its way", "，", "您好", "，请稍等"]:
        assert stream.feed(word) == word
    assert stream.close() == ""


def test_text_after_a_short_number_comes_out_again() -> None:
    stream = MASKER.stream()
    text = "I have 2 cats and 3 dogs, they are nice animals and they like to run around"
    assert stream.feed(text) == text


def test_a_long_stream_holds_a_bounded_tail() -> None:
    stream = MASKER.stream()
    shown = 0
    for count in range(1, 2001):
        shown += len(stream.feed("order 4111, "))
        assert count * 12 - shown <= 400


def test_a_digit_stream_without_end_holds_a_bounded_tail() -> None:
    stream = MASKER.stream()
    out = [stream.feed("7") for _ in range(5000)]
    assert 5000 - len("".join(out)) <= 400
    assert len("".join(out) + stream.close()) == 5000


def test_empty_chunks_change_nothing() -> None:
    stream = MASKER.stream()
    out = "".join(stream.feed(c) + stream.feed("") for c in "it is 5105105105105100 ok")
    assert out + stream.close() == "it is ************5100 ok"


def test_a_closed_stream_takes_no_more() -> None:
    stream = MASKER.stream()
    stream.feed("4111")
    assert stream.close() == "4111"
    with pytest.raises(MaskerError):
        stream.feed("1111")


def test_streams_of_one_masker_do_not_mix() -> None:
    one, two = MASKER.stream(), MASKER.stream()
    out = one.feed("51051051") + two.feed("8 apples") + one.feed("05105100")
    assert "5105" not in out
    assert one.close() + two.close()


def test_an_async_stream_ends_with_what_was_held() -> None:
    async def tokens() -> AsyncIterator[str]:
        for token in ["my card", " is 51", "05 1051", " 0510 51", "00", " ok"]:
            yield token

    async def collect() -> list[str]:
        return [piece async for piece in MASKER.astream(tokens())]

    assert "".join(asyncio.run(collect())) == "my card is **** **** **** 5100 ok"


def test_an_async_stream_that_breaks_shows_nothing_held() -> None:
    async def tokens() -> AsyncIterator[str]:
        yield "my card is 510510510510"
        raise OSError("the line broke")

    async def collect() -> list[str]:
        pieces = []
        try:
            async for piece in MASKER.astream(tokens()):
                pieces.append(piece)  # noqa: PERF401 - what came before the break is wanted
        except OSError:
            pass
        return pieces

    assert "5105" not in "".join(asyncio.run(collect()))


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        # Letters that look like a group of their own begin a word of the number.
        ("iban", "LC6 6 ZHNWKSWB3TJEKDUKU2LVMGJSKYX6"),
        # A whole address that turns out to be the beginning of a longer one.
        ("email", "jane@mail.example6b.org is mine"),
        ("password", "pwd to 74366853to= 'adwnh"),
    ],
)
def test_what_goes_on_is_not_shown_before(rule: str, text: str) -> None:
    masker = Masker(rules=[rule])
    stream = masker.stream()
    pieces = [stream.feed(character) for character in text]
    assert "".join([*pieces, stream.close()]) == masker.mask(text).text


@pytest.mark.parametrize("between", ["", "-", "/", "\u200b", "\ufe0f\u20e3"])
def test_a_number_digit_by_digit_behind_a_whole_one_is_held(between: str) -> None:
    text = "5105105105105100\n" + "".join(digit + between for digit in "6222021234567890128")
    whole = MASKER.mask(text).text
    assert sum(char.isdigit() for char in whole) == 2 * 4
    assert whole.startswith(fed(MASKER, text))


# Texts of which a stream once gave what the whole text does not. The numbers are made up.
TRICKY = [
    "请扣٠٠٦١٧٨٢٦٨٠٥١١٩٦，金额1500元my card number",
    "前面是4️⃣4️⃣5️⃣ 后面是3748️⃣5️⃣5️⃣0195638",
    "22045️⃣\n最后是37318364024",
    "first part: 354077\nand then 8️⃣7️⃣8️⃣5️⃣，然后\n۶۳۱۸۷۲",
    "身份证号610113 610113 19630618 3793",
    "Visa 六二二八 四八四八 七八四七 幺六九六,96519",
    "charge 9792-8581-8694-0205 / 1225",
    "请扣这张 9792.5112.0276.4766 0429 213",
    "ID card number 671402 no 371402, 19790526, 4248",
    "信用卡号 3528-8218-0723-1044 另一个 储蓄卡号 3528676365625677312",
    "那个身份证号码是：43010不对，13010，二幺九八幺，04256，638",
    "你记一下，身份证号码是 2102、零二幺九、8841不对，8811、1331、22",
    "我报一下身份证号码 6五0203啊不，350203、19800618、二三六五",
    "220138614224209 4:08",
    "cvv 4421，0619，6910，0553，89",
    "验证码5501/6193/4340。",
    "5018020162149773，有效期12/27 is my card number",
    "卡号 6222 0212 3456 7890 128 12/27, cvv 123",
    "**CVV:** 123 and **code** 483920",
]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("text", TRICKY)
def test_a_tricky_text_is_masked_the_same_in_chunks(text: str, size: int) -> None:
    masker = Masker()
    stream = masker.stream()
    pieces = [stream.feed(text[start : start + size]) for start in range(0, len(text), size)]
    assert "".join([*pieces, stream.close()]) == masker.mask(text).text

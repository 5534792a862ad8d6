"""What is held back before the engine sees it is nothing to the engine."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from archive_files import NOON
from masker import MaskedMessage, Masker, Message
from masker.archive import Options, partitions, scan, sifting, spelling
from masker.archive.formats import json_lines
from masker.archive.records import all_microseconds, microseconds
from masker.archive.sifting import LOOK, MARK, SMALL, Sieve
from masker.archive.spelling import mask_region
from masker.core import characters
from masker.core.words import lower
from masker.testing.talk import small_talk
from test_archive_formats import Quiet

EVERY = Masker()
CARDS = Masker(rules=["payment-card", "cn-resident-id"])
WORDS = sorted(EVERY._rules.clues)
# Letters that are lowered otherwise than most, and what joins or parts texts.
ODD = "İIıΣσςẞßKÅǅΩ\0\n\r\u2028\u200b😂𝟙Ⅹⅹx"
TEXTS = st.lists(
    st.one_of(
        small_talk(),
        st.sampled_from(WORDS),
        st.sampled_from(WORDS).map(str.upper),
        st.sampled_from(WORDS).map(str.title),
        st.sampled_from(sorted(map(chr, characters.VALUE))),
        st.text(st.sampled_from(ODD), max_size=3),
        st.text(max_size=4),
        st.sampled_from(["等一下", "三天", "一 二", "5 pm", "at 17:30", " ", "", "Ab1", "x"]),
    ),
    max_size=4,
).map("".join)


@pytest.mark.parametrize("masker", [EVERY, CARDS])
@given(texts=st.lists(TEXTS, min_size=1, max_size=12))
@settings(max_examples=300)
def test_what_is_held_back_is_nothing_to_the_engine(masker: Masker, texts: list[str]) -> None:
    rules = masker._rules
    sieve = Sieve(rules)
    for text, kind, alone in zip(texts, sieve.kinds(texts), map(sieve.kind, texts), strict=True):
        assert (kind == LOOK) == rules.needs_look(text)
        assert kind in {LOOK, SMALL} or rules.says_nothing(text)
        assert kind != MARK or rules.is_only_talk(text)
        assert alone == kind


PACK = """
schema = 1
name = "mine"
description = "Numbers of some house"

[[rules]]
id = "mine"
entity = "MINE"
pattern = '[0-9]{9}'
context = ["kİmlİk", "αριθμός", "a.b*c"]
references = ["none"]
examples = ["a.b*c 123456789"]
counterexamples = ["123"]
"""


def test_words_are_found_in_whatever_letters_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(PACK)
    sieve = Sieve(Masker(rules_path=tmp_path)._rules)
    said = ["ΑΡΙΘΜΌΣ", "A.B*C", "hello", "abc", "KİMLİK", "İ"]
    assert sieve.kinds(said) == bytes([LOOK, LOOK, MARK, MARK, LOOK, MARK])
    # Where no letter becomes two, all are lowered together.
    assert sieve.kinds(said[:4]) == bytes([LOOK, LOOK, MARK, MARK])


def test_pyarrow_makes_no_word_of_what_the_engine_makes_none_of() -> None:
    """Letter by letter: whatever becomes part of a simple word becomes it in both."""
    letters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    for letter, other in zip(letters, pc.utf8_lower(pa.array(letters)).to_pylist(), strict=True):
        ours = lower(letter)
        assert ours == other or not sifting._is_simple(ours)


def test_rules_of_more_words_than_fit_are_asked_one_by_one() -> None:
    sieve = Sieve(EVERY._rules)
    texts = ["hello", "my card number", "一下", "4111 1111", "\ud83d"]
    expected = bytes(map(sieve.kind, texts))
    assert sieve.kinds(texts) == expected
    sieve._clues = "(" * 2000
    assert sieve.kinds(texts[:-1]) == expected[:-1]


@given(
    values=st.lists(
        st.one_of(
            st.none(),
            st.integers(0, 2**40),
            st.datetimes().map(lambda moment: f"{moment.isoformat()}+02:00"),
            st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
            st.datetimes().map(str),
            st.text(max_size=5),
        )
    )
)
def test_times_are_the_same_one_by_one_and_together(values: list[object]) -> None:
    assert all_microseconds(values) == [microseconds(value) for value in values]


@given(
    text=st.one_of(st.text(), TEXTS),
    key=st.sampled_from(["text", "内容", "a b", 'say "it"', "back\\slash"]),
    others=st.dictionaries(st.sampled_from(["id", "n", "u"]), st.text(max_size=8)),
    indent=st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]),
    escaped=st.booleans(),
    data=st.data(),
)
def test_a_plain_line_is_masked_as_one_that_is_taken_apart(
    text: str,
    key: str,
    others: dict[str, str],
    indent: tuple[str, str],
    escaped: bool,
    data: st.DataObject,
) -> None:
    value = {**others, key: text, "last": None}
    line = json.dumps(value, ensure_ascii=escaped, separators=indent)
    region = line.encode("utf-8", "surrogatepass")
    low = data.draw(st.integers(0, len(text)))
    ranges = [(low, data.draw(st.integers(low, len(text))))]
    size = len(text) + data.draw(st.sampled_from([0, 0, 0, 1]))
    quick = mask_region(region, f"json-line:{key}", size, ranges)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spelling, "_masked_plainly", lambda *_: None)
        assert mask_region(region, f"json-line:{key}", size, ranges) == quick


SAID = (
    "hello", "好的，请稍等一下", "see you at 5 pm, order 17", "三天", "一二", "x", "X", "😂", "",
    "please send your card number", "请提供一下您的身份证号码", "what is your order number?",
    "my card is", "it is 4111 1111", "1111", "11", "1111 1111", "622202", "4111111111111111",
    "11010519491231002X", "110105", "19491231", "002X", "①①①①", "１１１１", "二〇二一年", "İ CARD",
    "date of birth then?", "那收货地址发一下", "I don't have it with me", "62220212",
    "we are 4 people in 1 car", "那是3天前的事了", "卡号呢",
    "wait 5 minutes", "+86 138 0013 8000", "that is my card number", "password: hunter22", "94105",
)  # fmt: skip
PEOPLE = ("Ann", "Bob", "agent")


@st.composite
def archives(draw: st.DrawFn) -> list[Message]:
    """Several conversations at once, in the order of their time; some messages stand twice."""
    messages: list[Message] = []
    now = NOON
    for number in range(draw(st.integers(1, 60))):
        now += timedelta(seconds=draw(st.sampled_from([1, 5, 30, 300, 601])))
        twice = draw(st.integers(0, 9)) == 0
        if twice and messages:
            messages.append(draw(st.sampled_from(messages)))
            continue
        whose = f"c{draw(st.integers(0, 2))}"
        who, text = draw(st.sampled_from(PEOPLE)), draw(st.sampled_from(SAID))
        messages.append(Message(whose, f"m{number}", who, text, now))
    return messages


@st.composite
def bursts(draw: st.DrawFn) -> list[Message]:
    """Several messages of the same second, after which some of them stand once more."""
    kind = Sieve(CARDS._rules).kind
    messages: list[Message] = []
    now = NOON
    for burst in range(draw(st.integers(1, 8))):
        now += timedelta(seconds=draw(st.sampled_from([1, 30, 601])))
        said = draw(
            st.lists(
                st.tuples(st.sampled_from(PEOPLE), st.sampled_from(SAID)), min_size=1, max_size=5
            )
        )
        new = [
            Message("c0", f"m{burst}-{number}", who, text, now)
            for number, (who, text) in enumerate(said)
        ]
        again = [one for one in new if kind(one.text) >= SMALL and draw(st.booleans())]
        messages += new + again
    return messages


def library(messages: list[Message]) -> dict[tuple[str, str], str]:
    """What the library makes of them, message by message, as `masker run` does."""
    redactor = CARDS.redactor()
    out: list[MaskedMessage] = []
    for message in messages:
        assert message.timestamp is not None
        out += redactor.advance(message.timestamp) + redactor.receive(message)
    return {(one.conversation_id, one.message_id): one.text for one in out + redactor.close()}


def chat(*said: tuple[str, str]) -> list[Message]:
    return [
        Message("c0", f"m{number}", who, text, NOON + timedelta(seconds=number))
        for number, (who, text) in enumerate(said)
    ]


# A question ends with the next one, though no line between has a digit or a word of a rule.
GONE_ON = chat(
    ("agent", "card number please"), ("Ann", "I don't have it with me"), ("agent", "hold on"),
    ("agent", "date of birth then?"), ("Ann", "62220212"),
)  # fmt: skip

# Digits that are nothing, before anything is begun; and once more when it is.
PASSED_BY = [
    replace(said, timestamp=NOON)
    for said in chat(
        ("Ann", "we are 4 people in 1 car"), ("Ann", "my card is 4111 1111 1"), ("Ann", "111"),
    )
]  # fmt: skip
PASSED_BY.insert(2, PASSED_BY[0])


@example(messages=GONE_ON, chunk=300, twisted=False)
@example(messages=GONE_ON[:3] + GONE_ON[4:], chunk=300, twisted=False)
@example(messages=GONE_ON[:1] + GONE_ON[3:], chunk=300, twisted=False)
@given(messages=archives(), chunk=st.sampled_from([1, 300, 1 << 20]), twisted=st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_an_archive_comes_out_as_the_library_masks_it_message_by_message(
    messages: list[Message], chunk: int, twisted: bool
) -> None:
    require_same(reversed(messages) if twisted else messages, library(messages), chunk)


@example(  # What was passed by is known again, though somebody waits for digits by then.
    messages=PASSED_BY, is_parquet=False
)
@given(messages=bursts(), is_parquet=st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_what_stands_twice_was_said_once(messages: list[Message], is_parquet: bool) -> None:
    require_same(messages, library(messages), 300, is_parquet=is_parquet)


def require_same(
    messages: Iterable[Message],
    texts: dict[tuple[str, str], str],
    chunk: int,
    *,
    is_parquet: bool = False,
) -> None:
    """Scan these messages as rows, in this order; each must come out with its text."""
    rows = [
        {
            "conversation_id": one.conversation_id,
            "message_id": one.message_id,
            "sender": one.sender,
            "text": one.text,
            "timestamp": one.timestamp and one.timestamp.isoformat(),
        }
        for one in messages
    ]
    expected = [{**row, "text": texts[row["conversation_id"], row["message_id"]]} for row in rows]  # type: ignore[index]  # both are there
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        patch.setattr(json_lines, "CHUNK", chunk)
        patch.setattr(partitions, "BUFFERED_BYTES", 2000 if chunk == 300 else 1 << 24)
        source = folder / ("in.parquet" if is_parquet else "in.jsonl")
        if is_parquet:
            pq.write_table(pa.Table.from_pylist(rows), source)
        else:
            source.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        rules = ("payment-card", "cn-resident-id")
        scan([str(source)], Options(out=folder / "out", rules=rules), Quiet())
        masked = folder / "out" / source.name
        if is_parquet:
            assert pq.read_table(masked).to_pylist() == expected
        else:
            assert list(map(json.loads, masked.read_text().splitlines())) == expected

"""Whatever comes in: a clear error or a right answer, nothing lost, nothing shown."""

from __future__ import annotations

import contextlib
import datetime as dt
import signal
from typing import TYPE_CHECKING

import pytest

import strategies as my
from masker import MaskedMessage, Masker, Message
from masker.errors import MaskerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MASKER = Masker(rules=["payment-card", "cn-resident-id"])
EVERYTHING = Masker()
CARD = "5105105105105100"
DELIVERIES: tuple[my.Delivery, ...] = ("revise", "hold")
deliveries = pytest.mark.parametrize("delivery", DELIVERIES)


def message(
    text: str, message_id: str = "m1", at: dt.datetime | None = my.NOON, sender: str = "user"
) -> Message:
    return Message(
        conversation_id="c1", message_id=message_id, sender=sender, text=text, timestamp=at
    )


def through(delivery: my.Delivery, *messages: Message) -> list[MaskedMessage]:
    redactor = MASKER.redactor(delivery=delivery)
    outs = [out for one in messages for out in redactor.receive(one)]
    return outs + list(redactor.close())


ODD = {
    "a lone high surrogate": "\ud83d",
    "a lone low surrogate": "\ude00",
    "surrogates the wrong way round": "\ude00\ud83d",
    "NUL": "\x00",
    "NULs": "\x00\x00\x00",
    "escape": "\x1b[31m",
    "right to left": "\u202e\u202d\u2066",
    "a byte order mark": "\ufeff",
    "a noncharacter": "\uffff",
    "the last code point": "\U0010ffff",
    "combining marks": "\u0301" * 50,
    "a tag character": "\U000e0031",
    "private use": "\ue000",
}


@pytest.mark.parametrize("name", ODD)
@deliveries
def test_odd_characters_pass_and_hide_no_card(name: str, delivery: my.Delivery) -> None:
    odd = ODD[name]
    text = f"{odd}卡号{CARD}{odd} ok {odd}"
    expected = text.replace(CARD, "*" * 12 + CARD[-4:])
    assert MASKER.mask(text).text == expected
    assert MASKER.mask(odd).text == odd
    assert [out.text for out in through(delivery, message(text)) if out.final] == [expected]
    stream = MASKER.stream()
    assert "".join(map(stream.feed, text)) + stream.close() == expected


@deliveries
def test_a_message_of_nothing(delivery: my.Delivery) -> None:
    outs = [out for out in through(delivery, message(""), message("  \n", "m2")) if out.final]
    assert [out.text for out in outs] == ["", "  \n"]


HUGE = {
    "words": "hello there, 你好 " * 700_000,
    "a million digits": "7" * 1_000_000,
    "a million digits of cards": "5105105105105100" * 62_499 + "7",
    "a million digits, separated": "7 " * 1_000_000,
    "digits of cards, separated": "5 1 0 5 1 0 5 1 0 5 1 0 5 1 0 0 " * 6_250,
    "digits in fours": "5105 1051 0510 5100 " * 6_250,
    "a million Hanzi digits": "四一" * 500_000,
    "a million separators": "4" + " " * 1_000_000 + "1",
    "a million letters": "ABCDE" * 200_000,
    "a million digits and letters": "A1B2C3" * 170_000,
    "lines": "5105\n" * 20_000,
    "context words": "卡号 card " * 20_000 + CARD,
    "labelled numbers": "卡号 1234 " * 20_000,
    "a million letters and an at sign": "a" * 1_000_000 + "@",
    "a password of a million letters": "password:" + "a" * 1_000_000,
    "keywords": "密码 password cvv " * 60_000,
    "at signs": "a@" * 300_000,
    "full stops and at signs": "a.b@c." * 200_000,
}


@pytest.mark.parametrize("name", HUGE)
def test_a_huge_text_takes_time_in_proportion(name: str) -> None:
    """A text whose length is squared anywhere would not come to an end here."""
    text = HUGE[name]
    masked = EVERYTHING.mask(text)
    assert len(masked.text) == len(text)
    if text.endswith(CARD):
        assert masked.text.endswith("*" * 12 + CARD[-4:])


@deliveries
@pytest.mark.parametrize("name", ["words", "a million digits", "a million digits, separated"])
def test_a_huge_message_comes_out(name: str, delivery: my.Delivery) -> None:
    outs = through(delivery, message("51051051", "m0"), message(HUGE[name], "m1"))
    final = {out.message_id: out.text for out in outs if out.final}
    assert set(final) == {"m0", "m1"}
    assert len(final["m1"]) == len(HUGE[name])


def test_a_card_at_the_end_of_ten_megabytes_is_masked() -> None:
    text = HUGE["words"] + CARD
    assert MASKER.mask(text).text == HUGE["words"] + "*" * 12 + CARD[-4:]


def test_a_huge_stream_of_single_characters() -> None:
    stream = MASKER.stream()
    text = "5105 1051 0510 5100, ok? " * 100
    out = "".join(map(stream.feed, text)) + stream.close()
    assert out == MASKER.mask(text).text


@deliveries
def test_an_id_used_twice_with_other_text_loses_and_shows_nothing(delivery: my.Delivery) -> None:
    outs = through(
        delivery, message("51051051"), message("05105100"), message(f"card {CARD}"), message("bye")
    )
    for out in outs:
        assert "5105" not in out.text.replace("5100", "")
    finals = [out for out in outs if out.final]
    assert finals
    assert len({out.revision for out in outs}) == len(outs)


@deliveries
def test_a_pending_message_edited_to_harmless_text(delivery: my.Delivery) -> None:
    outs = through(delivery, message("4111"), message("never mind"))
    assert [out.message_id for out in outs if out.final].count("m1") >= 1
    assert outs[-1].final


@deliveries
def test_timestamps_that_go_back_lose_nothing(delivery: my.Delivery) -> None:
    parts = ["5105", "1051", "0510", "5100"]
    outs = through(
        delivery,
        *(
            message(part, f"m{i}", my.NOON - dt.timedelta(seconds=30 * i))
            for i, part in enumerate(parts)
        ),
    )
    final = {out.message_id: out.text for out in outs if out.final}
    assert final == {"m0": "****", "m1": "****", "m2": "****", "m3": "5100"}


@deliveries
def test_a_timestamp_far_back_does_not_keep_a_window_open(delivery: my.Delivery) -> None:
    redactor = MASKER.redactor(delivery=delivery)
    outs = redactor.receive(message("4111", "m0"))
    outs += redactor.receive(message("hi", "m1", my.NOON - dt.timedelta(days=400)))
    outs += redactor.advance(my.NOON + dt.timedelta(seconds=601))
    assert {out.message_id for out in outs if out.final} == {"m0", "m1"}


@deliveries
def test_some_messages_without_a_timestamp(delivery: my.Delivery) -> None:
    outs = through(
        delivery,
        message("5105", "m0", None),
        message("1051", "m1"),
        message("0510", "m2", None),
        message("5100", "m3"),
    )
    final = {out.message_id: out.text for out in outs if out.final}
    assert final == {"m0": "****", "m1": "****", "m2": "****", "m3": "5100"}


@deliveries
@pytest.mark.parametrize("zone", [dt.timezone(dt.timedelta(hours=8)), dt.UTC])
def test_time_zones_are_one_time(delivery: my.Delivery, zone: dt.tzinfo) -> None:
    at = my.NOON.astimezone(zone)
    outs = through(
        delivery,
        message("51051051", "m0"),
        message("05105100", "m1", at + dt.timedelta(seconds=30)),
    )
    final = {out.message_id: out.text for out in outs if out.final}
    assert final == {"m0": "********", "m1": "****5100"}


@deliveries
def test_a_naive_timestamp_is_an_error_or_a_right_answer(delivery: my.Delivery) -> None:
    naive = dt.datetime(2024, 5, 17, 12, 0)  # noqa: DTZ001 - the point of the test
    redactor = MASKER.redactor(delivery=delivery)
    outs = redactor.receive(message("51051051", "m0"))
    said = ""
    try:
        outs += redactor.receive(message("05105100", "m1", naive))
    except MaskerError as error:
        said = str(error)
    assert not said or "timestamp" in said
    assert "0510" not in said
    # whatever became of it, the redactor goes on and shows nothing
    outs += redactor.receive(message("05105100", "m2"))
    outs += redactor.close()
    assert {"m0", "m2"} <= {out.message_id for out in outs if out.final}
    assert "5105" not in "".join(out.text for out in outs)
    with contextlib.suppress(MaskerError):
        redactor.advance(naive)


@pytest.mark.parametrize("bad", [None, 5, 5.5, b"5105105105105100", ["5105105105105100"]])
def test_text_that_is_no_text_is_a_clear_error(bad: object) -> None:
    for call in (
        lambda: MASKER.mask(bad),  # type: ignore[arg-type]
        lambda: MASKER.stream().feed(bad),  # type: ignore[arg-type]
        lambda: MASKER.redactor().receive(message(bad)),  # type: ignore[arg-type]
    ):
        with pytest.raises((MaskerError, TypeError)) as caught:
            call()
        assert "5105" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"delivery": "later"},
        {"window_messages": 0},
        {"window_messages": -1},
        {"window_seconds": -1},
    ],
)
def test_a_redactor_that_cannot_be_is_a_clear_error(arguments: dict[str, object]) -> None:
    with pytest.raises((MaskerError, ValueError)):
        MASKER.redactor(**arguments)  # type: ignore[call-overload]


def test_unknown_rules_and_paths_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(MaskerError, match="no-such-rule"):
        Masker(rules=["no-such-rule"])
    with pytest.raises(MaskerError):
        Masker(rules_path=tmp_path / "nowhere")
    with pytest.raises(MaskerError):
        Masker(rules_path=tmp_path)


@deliveries
def test_recalling_what_never_was_is_no_harm(delivery: my.Delivery) -> None:
    redactor = MASKER.redactor(delivery=delivery)
    assert list(redactor.recall("c1", "m1")) == []
    assert list(redactor.close("c1")) == []
    assert list(redactor.advance(my.NOON)) == []
    redactor.receive(message("51051051"))
    outs = [
        *redactor.recall("c1", "nope"),
        *redactor.recall("c2", "m1"),
        *redactor.recall("c1", "m1"),
    ]
    outs += [*redactor.recall("c1", "m1"), *redactor.close()]
    assert [out.message_id for out in outs if out.final] == ["m1"]


@deliveries
def test_a_closed_conversation_may_begin_again(delivery: my.Delivery) -> None:
    redactor = MASKER.redactor(delivery=delivery)
    outs = redactor.receive(message("51051051", "m0"))
    outs += redactor.close("c1")
    outs += redactor.receive(message("hello", "m1"))
    outs += redactor.receive(message(CARD, "m2"))
    outs += redactor.close()
    final = {out.message_id: out.text for out in outs if out.final}
    assert set(final) == {"m0", "m1", "m2"}
    assert final["m2"] == "*" * 12 + CARD[-4:]


# --- patterns that explode -------------------------------------------------------------

EXPLODING = {
    "alternatives": "(?:[0-9]|[0-9][0-9])+[AB]",
    "nested counts": "((?:[0-9]{1,5}){1,50}){1,50}[AB]",
    "back reference": "(?:([0-9]*)\\1*)*[AB]",
    "digits only": "(?:[0-9]|[0-9][0-9])+[12](?<=0[12])",
    "no repeat at all": "(?:[0-9]|[0-9]{2})" * 30 + "[AB]",
}
PACK = """
schema = 1
name = "exploding"
description = "a pattern that takes for ever"

[[rules]]
id = "exploding"
entity = "EXPLODING"
view = "{view}"
pattern = '''{pattern}'''
{more}
references = ["made up"]
examples = ["101A"]
counterexamples = ["x"]
"""


@pytest.fixture
def at_most_30_seconds() -> Iterator[None]:
    """A pattern that nothing stops would stop the suite instead."""

    def stop(_signal: int, _frame: object) -> None:
        raise AssertionError("nothing stopped the pattern")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("at_most_30_seconds")
@pytest.mark.parametrize("view", ["number", "text"])
@pytest.mark.parametrize("name", EXPLODING)
def test_a_pattern_that_explodes_masks(name: str, view: str, tmp_path: Path) -> None:
    path = tmp_path / "exploding.toml"
    more = 'keywords = ["id"]' if view == "text" else ""
    path.write_text(PACK.format(view=view, pattern=EXPLODING[name], more=more), "utf-8")
    masker = Masker(rules_path=path)
    digits = "123456789" * 8
    assert digits[:40] not in masker.mask(f"id {digits}").text
    stream = masker.stream()
    assert digits[:40] not in stream.feed(f"id {digits}") + stream.close()
    for delivery in DELIVERIES:
        redactor = masker.redactor(delivery=delivery)
        outs = redactor.receive(message(f"id {digits}")) + redactor.close()
        assert [out.message_id for out in outs if out.final] == ["m1"]
        assert all(digits[:40] not in out.text for out in outs)

"""A part that is sent again: in other groups, with other words, and more often than once.

Which of two equal parts repeats the other, and which is the number's next part, nobody can say
before it is whole; so of every reading that ends in a number, no more than the last four shows.
"""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import strategies as my
from masker import Masker
from masker.testing import writing

MASKER = Masker(rules=["payment-card", "cn-resident-id"])

LABELS = ("", "", "it is ", "后面 ", "then ")
NAMED = {True: "证件号 ", False: "卡号"}
# Between the digits of one part: nothing, or what makes each of them a run of its own.
BETWEEN = ("", " ", "\u200b", "-")


def play(scene: my.Scene, delivery: my.Delivery = "revise") -> my.LeakCounter:
    redactor = MASKER.redactor(delivery=delivery)
    return my.play(scene, redactor.receive, redactor.close)


def written(number: str, low: int, high: int, between: str) -> my.Written:
    """Some of a number's digits; `between` keycaps, they are emoji."""
    script = "keycap" if between == writing.KEYCAP else "ascii"
    glyphs = [
        writing.shown(number, at, writing.glyph(number[at], script)) for at in range(low, high)
    ]
    gap = my.plain("" if script == "keycap" else between)
    return my.join(
        part for place, one in enumerate(glyphs) for part in ((gap, one) if place else (one,))
    )


@st.composite
def repeated(draw: st.DrawFn, most: int) -> my.Scene:
    """One number, each part of it sent up to so many times, each time written anew."""
    number = draw(my.numbers())
    sizes = draw(my.cuts(len(number), least=1, most=6, smallest=1))
    labels = [*LABELS, NAMED[len(number) == 18]] if draw(st.booleans()) else LABELS
    timeline = my.Timeline()
    low = 0
    for size in sizes:
        for _ in range(draw(st.integers(1, most))):
            part = written(
                number, low, low + size, draw(st.sampled_from((*BETWEEN, writing.KEYCAP)))
            )
            timeline.say(my.plain(draw(st.sampled_from(labels))) + part)
        low += size
    return my.Scene(timeline.sent, (number,))


def told(number: str, *messages: str) -> my.Scene:
    """A scene in which each message shows some of the number's digits, `at` the first: '3:110'."""
    timeline = my.Timeline()
    for message in messages:
        at, _, text = message.partition(":")
        index = int(at)
        marks: list[writing.Mark | None] = []
        for char in text:
            shows = index < len(number) and char == number[index]
            marks.append((number, index) if shows else None)
            index += shows
        timeline.say(my.Written(text, tuple(marks)))
    return my.Scene(timeline.sent, (number,))


@pytest.mark.parametrize("delivery", ["revise", "hold"])
@given(scene=repeated(3))
# Each of these showed something once.
@example(
    told(
        "11010120060415200X",
        "0:1",
        "1:1",
        "2:证件号 0",
        "3:证件号 1",
        "3:证件号 1",
        "4:0120060415200X",
    )
)
@example(told("6222021234567890128", "0:622202123456789012", "0:622202123456789012", "18:it is 8"))
@example(told("4111111111111111", "0:4", "1:111111111111111", "1:1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"))
@example(told("11010120060415200X", "0:11010120060415200", "17:证件号 X"))
@example(
    told(
        "6222021234567890128", "0:卡号6 2 2 2 0 2 1 2 3 4 5", "11:6 7 8 9 0 1 2 8",
        "11:it is 6 7 8 9 0 1 2 8", "11:6 7 8 9 0 1 2 8",
    )
)  # fmt: skip
def test_no_repetition_shows_more_than_the_last_four(
    delivery: my.Delivery, scene: my.Scene
) -> None:
    counter = play(scene, delivery)
    assert not counter.leaks()
    assert not counter.unfinished()


@pytest.mark.parametrize("between", [" ", "\u200b", writing.KEYCAP])
@pytest.mark.parametrize("times", [3, 5])
def test_what_follows_more_readings_than_can_be_followed_is_masked(
    between: str, times: int
) -> None:
    number = "210202193701123158"
    timeline = my.Timeline()
    for low, high in [(0, 10), (10, 14), (14, 18)]:
        for time in range(times):
            label = my.plain("证件号 " if time % 2 else "")
            timeline.say(label + written(number, low, high, between))
    counter = play(my.Scene(timeline.sent, (number,)))
    assert not counter.leaks()
    assert not counter.unfinished()


@pytest.mark.parametrize(
    "text",
    [
        "最后一位是X",
        "末尾那位是个x",
        "the last character is X",
        "it ends in an X, thanks",
        "Ｘ",
        "证件号 X",
    ],
)
def test_a_check_character_is_joined_whatever_is_said_with_it(text: str) -> None:
    number = "11010120060415200X"
    marks = [(number, 17) if char in writing.CROSSES else None for char in text]
    timeline = my.Timeline()
    timeline.say(written(number, 0, 17, ""))
    timeline.say(my.Written(text, tuple(marks)))
    counter = play(my.Scene(timeline.sent, (number,)))
    assert not counter.leaks()
    assert counter.masked_at_the_end() == {number: set(range(14))}

"""The stand-ins do what they are told, and masker keeps its promises over them."""

from __future__ import annotations

import pytest

from masker import Masker, Message
from masker.errors import BuffersError
from masker.testing import FakeBuffers, FakeClock, Timeline, bare, parts_of, play

NUMBER = "4111111111111111"


def test_a_conversation_times_out_when_the_clock_says_so() -> None:
    clock = FakeClock()
    redactor = Masker(rules=["payment-card"]).redactor()
    redactor.receive(Message("c1", "m1", "user", "6225", clock()))
    clock.pass_(minutes=9)
    assert not redactor.advance(clock())
    clock.pass_(minutes=2)
    (out,) = redactor.advance(clock())
    assert (out.text, out.final) == ("6225", True)


def test_buffers_that_do_not_fail_are_buffers() -> None:
    timeline = Timeline()
    for part in parts_of(bare(NUMBER), (6, 10)):
        timeline.say(part)
    buffers = FakeBuffers()
    redactor = Masker(rules=["payment-card"]).redactor(buffers=buffers)
    counter = play(timeline.sent, redactor.receive, redactor.close)
    assert not counter.leaks()
    assert not counter.unfinished()
    assert buffers.calls


@pytest.mark.parametrize("failing_from", range(4))
def test_buffers_that_fail_show_nothing(failing_from: int) -> None:
    buffers = FakeBuffers()
    redactor = Masker(rules=["payment-card"]).redactor(buffers=buffers)
    shown = ""
    for place, part in enumerate(("my card is 4111", "1111", "1111", "1111")):
        if place == failing_from:
            buffers.fail(1)
        try:
            outs = redactor.receive(Message("c1", str(place), "user", part))
        except BuffersError:
            outs = []
        shown += "".join(out.text for out in outs)
    assert "1111" not in shown
    assert "4111" not in shown

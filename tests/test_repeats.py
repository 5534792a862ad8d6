"""Somebody who says the same again and again is followed at the same cost."""

from __future__ import annotations

import pytest

from masker import Masker, Message

MASKER = Masker()
TIMES = 100
# More than a number has digits, or a window messages; far less than two to the hundredth.
MOST = 128

REPEATED = {
    "a card with a word": ["card 4111111111111111 ok"],
    "a card in groups": ["4111 1111 1111 1111"],
    "a card in two parts": ["card 4111 1111", "1111 1111"],
    "equal groups": ["4111", "1111"],
    "two numbers": ["卡号6222021234567890128", "4111111111111111"],
    "digits": ["4", "1"],
    "an ID": ["11010519491231002X"],
}


@pytest.mark.parametrize("name", REPEATED)
def test_what_is_said_again_and_again_does_not_pile_up(name: str) -> None:
    redactor = MASKER.redactor()
    said = REPEATED[name]
    shown: dict[str, set[str]] = {}
    for time in range(TIMES):
        text = said[time % len(said)]
        for out in redactor.receive(Message("c", f"m{time}", "user", text)):
            shown.setdefault(out.message_id, set()).add(out.text)
        lane = redactor.lane("c", "user")
        assert lane is not None
        assert len(lane.candidates) < MOST
        assert len(lane.joints) <= MOST
        assert len(lane.notes) < MOST
    for out in redactor.close():
        shown.setdefault(out.message_id, set()).add(out.text)
    assert len(shown) == TIMES
    if len(said) == 1:
        # A whole number shows its last four, each time.
        for texts in shown.values():
            assert not any(said[0][:-4] in text for text in texts)
            assert not any(digits in text for text in texts for digits in ("41111", "31002"))

"""Very long messages cost as much as they are long: nobody stops a service with one of them."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from masker import Masker, Message

MASKER = Masker()
CARDS = "4111 1111 1111 1111, "
LONG = {
    "cards": [CARDS],
    "cards after parts": ["4111 " * 4, CARDS],
    "cards after other numbers": ["1234 x " * 3, CARDS],
    "cards after cards": [CARDS, CARDS],
    "words and digits": ["卡号四一" * 4],
    "words and digits, again": ["卡号四一" * 4, "卡号四一" * 4],
    "lines": ["4\n" * 8],
}


def calls(texts: list[str]) -> int:
    """How many calls it takes to read these messages."""
    count = 0

    def note(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    redactor = MASKER.redactor()
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        for number, text in enumerate(texts):
            redactor.receive(Message("c1", f"m{number}", "user", text))
        redactor.close()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("name", LONG)
def test_a_message_twice_as_long_takes_twice_as_much(name: str) -> None:
    calls(LONG[name])
    short, long = (calls([text * times for text in LONG[name]]) for times in (100, 200))
    assert long < 2.5 * short

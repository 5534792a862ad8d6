"""Conversations of our own, beside what `pytest --masker-rules rules/` tests by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masker import Masker
from masker.packs import load_packs
from masker.testing import Timeline, bare, cuts, numbers, parts_of, play

PACK = Path(__file__).parent.parent / "rules" / "acme.toml"
MEMBER = load_packs(PACK)[0].rules[0]


@pytest.mark.masker(PACK)
def test_our_greeting_hides_nothing(masker: Masker) -> None:
    """The fixture is a masker of the packs at the mark's path."""
    assert masker.mask("Hi, 7700 0000 0016 here").text == "Hi, **** **** 0016 here"


@settings(max_examples=50)
@given(numbers(MEMBER), st.data())
def test_nothing_leaks_while_an_agent_talks(number: str, data: st.DataObject) -> None:
    """However a number is cut, and whatever our agents say in between."""
    timeline = Timeline()
    for part in parts_of(bare(number), data.draw(cuts(len(number), most=4))):
        timeline.say(part)
        timeline.say("Thank you, please go on.", sender="agent")
    redactor = Masker(rules_path=PACK).redactor()
    counter = play(timeline.sent, redactor.receive, redactor.close)
    assert not counter.leaks()
    assert not counter.unfinished()

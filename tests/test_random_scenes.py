"""Whole scenes, drawn at random from a seed: many numbers, many people, everything at once.

Hypothesis draws short scenes and shrinks them well; what takes three resends of a part in
keycaps to go wrong it does not find. So here scenes are long and cheap, and there are many:
`MASKER_SCENES` says how many, and a failure names the seed that repeats it.
"""

from __future__ import annotations

import datetime as dt
import os
import random
from collections.abc import Iterator
from itertools import pairwise

import pytest
from stdnum.cn import ric

import strategies as my
from masker import Masker
from masker.testing.talk import AFTER, BEFORE, OTHER_PARTY, SMALL_TALK_EN, SMALL_TALK_ZH
from masker.testing.writing import SCRIPT_NAMES, bare, parts_of, plain

MASKER = Masker(rules=["payment-card", "cn-resident-id"])
SCENES = int(os.environ.get("MASKER_SCENES", "600"))
BATCHES = 12
DIGITS = "0123456789"


def a_number(draw: random.Random) -> str:
    if draw.random() < 0.3:
        born = dt.date(1940, 1, 1) + dt.timedelta(days=draw.randrange(25_000))
        body = draw.choice(my.REGIONS) + born.strftime("%Y%m%d") + f"{draw.randrange(1000):03}"
        return body + ric.calc_check_digit(body + "0")
    prefixes, lengths = my.NETWORKS[draw.choice(list(my.NETWORKS))]
    prefix, length = draw.choice(prefixes), draw.choice(lengths)
    return my.with_luhn(prefix + "".join(draw.choices(DIGITS, k=length - 1 - len(prefix))))


def in_parts(draw: random.Random, number: str) -> list[my.Written]:
    """A number as somebody sends it: in up to six parts, or digit by digit."""
    size = len(number)
    count = draw.randint(1, 6) if draw.random() < 0.8 else size
    cuts = [0, *sorted(draw.sample(range(1, size), count - 1)), size]
    script = draw.choice(SCRIPT_NAMES) if draw.random() < 0.3 else "ascii"
    parts = parts_of(bare(number, script), [high - low for low, high in pairwise(cuts)])
    parts[0] = plain(draw.choice(BEFORE)) + parts[0]
    parts[-1] = parts[-1] + plain(draw.choice(AFTER))
    return parts


class Scene:
    """One scene as it is played: the redactor, what it was told, and what it showed."""

    def __init__(self, seed: int, delivery: my.Delivery) -> None:
        self.draw = random.Random(seed)
        self.redactor = MASKER.redactor(delivery=delivery)
        self.counter = my.LeakCounter()
        self.timeline = my.Timeline()
        self.over_conversations = self.draw.random() < 0.3
        self.parts: list[list[my.Written]] = [[] for _ in range(self.draw.choice([1, 1, 2]))]
        self.last: dict[int, my.Sent] = {}
        self.sent: list[my.Sent] = []
        self.given: dict[str, set[int]] = {}

    def say(self, text: my.Written, sender: str, subject: str | None, conversation: str) -> my.Sent:
        sent = self.timeline.say(text, sender=sender, subject=subject, conversation=conversation)
        self.sent.append(sent)
        self.counter.expect(sent)
        self.counter.see(self.redactor.receive(sent.message))
        return sent

    def speak(self, person: int, text: my.Written) -> my.Sent:
        subject = f"subject{person}" if self.over_conversations else None
        conversation = self.draw.choice("ab") if self.over_conversations else "a"
        return self.say(text, f"user{person}", subject, conversation)

    def give(self, person: int) -> None:
        if not self.parts[person]:
            self.parts[person] = in_parts(self.draw, a_number(self.draw))
        part = self.parts[person].pop(0)
        self.last[person] = self.speak(person, part)
        for number, index in part.digits:
            self.given.setdefault(number, set()).add(index)

    def event(self) -> None:
        person, chance = self.draw.randrange(len(self.parts)), self.draw.random()
        if chance < 0.65:
            self.give(person)
        elif chance < 0.75:
            self.speak(person, plain(self.draw.choice(SMALL_TALK_ZH + SMALL_TALK_EN)))
        elif chance < 0.85:
            self.say(plain(self.draw.choice(OTHER_PARTY)), "agent", None, "a")
        elif chance < 0.92:
            if self.sent:
                retried = self.draw.choice(self.sent[-3:])
                self.counter.see(self.redactor.receive(retried.message))
        elif chance < 0.96:
            if person in self.last:
                again = self.last[person]
                subject, conversation = again.message.subject, again.message.conversation_id
                self.say(again.written, again.message.sender, subject, conversation)
        else:
            self.timeline.at += dt.timedelta(seconds=30)
            self.counter.see(self.redactor.advance(self.timeline.at))

    def play(self) -> None:
        for _ in range(self.draw.randint(3, 25)):
            self.event()
        self.counter.see(self.redactor.close())

    def faults(self) -> Iterator[str]:
        """What went wrong; of numbers that were not given whole nothing is claimed."""
        for number, indexes in self.counter.leaks().items():
            if len(self.given.get(number, ())) == len(number):
                yield f"characters {indexes} of one of {len(number)} were readable"
        for conversation, message in self.counter.unfinished():
            yield f"{conversation}/{message} never became final"
        for conversation, message, place in self.counter.changed_elsewhere():
            yield f"{conversation}/{message} is masked at {place}, where there is no number"


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_scene_shows_more_than_a_last_four_or_loses_a_message(batch: int) -> None:
    for seed in range(batch, SCENES, BATCHES):
        for delivery in ("revise", "hold"):
            scene = Scene(seed, delivery)
            scene.play()
            assert not list(scene.faults()), f"seed {seed}, {delivery}"

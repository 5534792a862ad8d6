"""The redactor under anything that can happen to it, against a leak counter.

The machine keeps a number for each person, who gives it part by part in whatever conversation
they like, while others talk, messages are sent twice or taken back, and time passes. What
the machine knows of right and wrong is little: which digits were ever readable, that what
went in comes out, once and for all, and that talk comes back as it was.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import strategies as my
from masker import MaskedMessage, Masker

MASKER = Masker(rules=["payment-card", "cn-resident-id"])
WINDOW = 600
# What breaks a dictation off happens once in so many parts, or nothing would ever be finished.
CALM = 8

conversations = st.sampled_from(["c0", "c1"])
calm = precondition(lambda self: self.calm >= CALM)


@dataclass
class Person:
    name: str
    subject: str | None
    parts: list[my.Written] = field(default_factory=list)
    given: int = 0
    since_part: int = 0
    repeated: bool = False
    last: my.Sent | None = None


class RedactorMachine(RuleBasedStateMachine):
    delivery: my.Delivery

    def __init__(self) -> None:
        super().__init__()
        self.redactor = MASKER.redactor(delivery=self.delivery)
        self.counter = my.LeakCounter()
        self.timeline = my.Timeline()
        self.people: list[Person] = []
        self.sent: list[my.Sent] = []
        self.recent: list[my.Sent] = []  # a network would still retry these
        self.calm = 0
        self.lost: set[str] = set()  # numbers whose parts no longer belong together
        self.recalled: set[tuple[str, str]] = set()

    # --- what happens

    @initialize(count=st.integers(1, 3), subjects=st.booleans())
    def people_arrive(self, count: int, subjects: bool) -> None:
        for place in range(count):
            self.people.append(Person(f"user{place}", f"subject{place}" if subjects else None))

    def take(self, outs: list[MaskedMessage]) -> None:
        self.counter.see(outs)

    def receive(self, sent: my.Sent) -> None:
        self.counter.expect(sent)
        self.sent.append(sent)
        self.recent.append(sent)
        self.take(self.redactor.receive(sent.message))

    def speak(self, person: Person, text: my.Written, conversation: str) -> my.Sent:
        sent = self.timeline.say(
            text,
            sender=person.name,
            subject=person.subject,
            conversation=conversation if person.subject else "c0",
        )
        self.receive(sent)
        return sent

    def give(self, person: Person, conversation: str, data: st.DataObject) -> None:
        """The next part of a number, or the first of a new one."""
        around = data.draw(my.surroundings())
        if not person.parts:
            digits = data.draw(my.written_numbers())
            person.parts = my.parts_of(digits, data.draw(my.cuts(len(digits), least=1, most=6)))
            person.given = 0
        text = person.parts.pop(0)
        if person.given == 0:
            text = my.plain(around[0]) + text
        if not person.parts:
            text = text + my.plain(around[1])
        person.last = self.speak(person, text, conversation)
        person.given += 1
        person.since_part = 0
        person.repeated = False
        self.calm += 1

    # Twice, for hypothesis draws evenly among rules, and most of what happens is dictation.
    @rule(data=st.data(), conversation=conversations)
    def someone_gives_a_part(self, data: st.DataObject, conversation: str) -> None:
        self.give(data.draw(st.sampled_from(self.people)), conversation, data)

    @rule(data=st.data(), conversation=conversations)
    def everyone_gives_a_part(self, data: st.DataObject, conversation: str) -> None:
        for person in self.people:
            self.give(person, conversation, data)

    @precondition(lambda self: any(p.since_part < 3 for p in self.people))
    @rule(data=st.data(), talk=my.small_talk(), conversation=conversations)
    def small_talk(self, data: st.DataObject, talk: str, conversation: str) -> None:
        person = data.draw(st.sampled_from([p for p in self.people if p.since_part < 3]))
        person.since_part += bool(person.parts)
        self.speak(person, my.plain(talk), conversation)

    @rule(talk=st.sampled_from(my.OTHER_PARTY), conversation=conversations)
    def the_other_party_talks(self, talk: str, conversation: str) -> None:
        self.receive(self.timeline.say(talk, sender="agent", conversation=conversation))

    @precondition(lambda self: self.recent)
    @rule(data=st.data())
    def a_message_is_retried(self, data: st.DataObject) -> None:
        sent = data.draw(st.sampled_from(self.recent[-6:]))
        self.take(self.redactor.receive(sent.message))

    @precondition(lambda self: any(p.last and p.parts and not p.repeated for p in self.people))
    @rule(data=st.data())
    def a_part_is_said_again(self, data: st.DataObject) -> None:
        person = data.draw(
            st.sampled_from([p for p in self.people if p.last and p.parts and not p.repeated])
        )
        assert person.last is not None
        last = person.last
        person.repeated = True
        self.receive(
            self.timeline.say(
                last.written,
                sender=person.name,
                subject=person.subject,
                conversation=last.message.conversation_id,
            )
        )

    @rule(seconds=st.sampled_from([1, 20, 45]))
    def a_little_time_passes(self, seconds: int) -> None:
        self.timeline.at += dt.timedelta(seconds=seconds)
        self.take(self.redactor.advance(self.timeline.at))

    @calm
    @rule()
    def the_window_passes(self) -> None:
        self.calm = 0
        self.timeline.at += dt.timedelta(seconds=WINDOW + 1)
        self.recent.clear()
        self.abandon(self.people)
        self.take(self.redactor.advance(self.timeline.at))
        assert not self.pending()

    @calm
    @rule(conversation=conversations)
    def a_conversation_ends(self, conversation: str) -> None:
        self.calm = 0
        # what a subject began here may go on elsewhere, or not: no claim is made
        self.recent.clear()
        self.abandon(self.people)
        self.take(self.redactor.close(conversation))
        assert not [key for key in self.pending() if key[0] == conversation]

    @calm
    @rule(data=st.data())
    def a_message_is_taken_back(self, data: st.DataObject) -> None:
        self.calm = 0
        sent = data.draw(st.sampled_from(self.sent[-6:]))
        self.abandon([p for p in self.people if p.name == sent.message.sender])
        self.recalled.add(sent.key)
        self.recent = [other for other in self.recent if other.key not in self.recalled]
        self.take(self.redactor.recall(*sent.key))

    def abandon(self, people: list[Person]) -> None:
        """Whatever these people were dictating cannot be completed any more."""
        for person in people:
            if person.parts and person.given and person.last:
                self.lost |= {number for number, _ in person.last.written.digits}
            if person.given:
                person.parts = []
            person.last = None

    # --- what must hold

    def pending(self) -> list[tuple[str, str]]:
        return self.counter.unfinished()

    @invariant()
    def nothing_but_a_last_four_was_readable(self) -> None:
        leaks = {n: i for n, i in self.counter.leaks().items() if n not in self.lost}
        assert not leaks

    def teardown(self) -> None:
        for person in self.people:
            if person.parts:
                self.abandon([person])
        self.take(self.redactor.close())
        self.nothing_but_a_last_four_was_readable()
        assert not self.pending()
        assert not [
            place for place in self.counter.changed_elsewhere() if place[:2] not in self.recalled
        ]
        assert not self.redactor.close()


class RevisingRedactor(RedactorMachine):
    delivery = "revise"


class HoldingRedactor(RedactorMachine):
    delivery = "hold"


TestRevisingRedactor = RevisingRedactor.TestCase
TestHoldingRedactor = HoldingRedactor.TestCase
TestRevisingRedactor.settings = settings(stateful_step_count=40)
TestHoldingRedactor.settings = settings(stateful_step_count=25, max_examples=30)

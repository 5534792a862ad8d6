"""Redactor and store together, under people, revisions, purges and crashes.

Whatever the store ever held is read after every step and collected. No digit of a planted number
but its last four may be among it, ever; what was purged may not come back; and what the redactor
knew as pending when it was lost in a crash stays masked.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import strategies as my
from masker import MaskedMessage, Masker
from masker.stores import Tombstone
from store_kit import Site, quick_folder, sqlite_site

MASKER = Masker(rules=["payment-card", "cn-resident-id"])
CONVERSATIONS = ("c0", "c1")
conversations = st.sampled_from(CONVERSATIONS)
deliveries = st.sampled_from(["revise", "hold"])

Key = tuple[str, str]


@dataclass
class Person:
    name: str
    conversation: str
    parts: list[my.Written] = field(default_factory=list)


class RedactorAndStore(RuleBasedStateMachine):
    @initialize(delivery=deliveries)
    def begin(self, delivery: my.Delivery) -> None:
        self.delivery = delivery
        self.folder = quick_folder()
        self.site = sqlite_site(self.folder / self._next())
        self.store = self.site.open()
        self.redactor = MASKER.redactor(delivery=delivery)
        self.timeline = my.Timeline()
        self.people = [Person(f"user{n}", CONVERSATIONS[n % 2]) for n in range(3)]
        self.written: dict[Key, my.Written] = {}
        self.acknowledged: dict[Key, MaskedMessage] = {}
        self.purged: set[Key] = set()
        self.readable: dict[str, set[int]] = {}

    _made = 0

    def _next(self) -> str:
        self._made += 1
        folder = self.folder / str(self._made)
        folder.mkdir()
        return folder.name

    # --- what happens

    def keep(self, outs: list[MaskedMessage]) -> None:
        refused = {(each.conversation_id, each.message_id) for each in self.store.save_all(outs)}
        assert refused <= self.purged
        for out in outs:
            key = out.conversation_id, out.message_id
            if key not in refused:
                self.acknowledged[key] = out

    def speak(self, person: Person, text: my.Written) -> None:
        sent = self.timeline.say(text, sender=person.name, conversation=person.conversation)
        self.written[sent.key] = sent.written
        for number, _ in sent.written.digits:
            self.readable.setdefault(number, set())
        self.keep(self.redactor.receive(sent.message))

    @rule(data=st.data(), who=st.integers(0, 2))
    def someone_gives_a_part(self, data: st.DataObject, who: int) -> None:
        person = self.people[who]
        if not person.parts:
            digits = data.draw(my.written_numbers())
            person.parts = my.parts_of(digits, data.draw(my.cuts(len(digits), least=1, most=5)))
        self.speak(person, person.parts.pop(0))

    @rule(text=my.small_talk(), who=st.integers(0, 2))
    def small_talk(self, text: str, who: int) -> None:
        if not self.people[who].parts:
            self.speak(self.people[who], my.plain(text))

    @rule(conversation=conversations)
    def a_conversation_is_purged(self, conversation: str) -> None:
        """As the middleware does it: what waits is dropped first, and nothing saved behind it."""
        for person in self.people:
            if person.conversation == conversation:
                person.parts = []
        late = self.redactor.close(conversation)
        self.site.clock.now = self.timeline.at
        receipt = self.store.purge(conversation_id=conversation)
        assert receipt.status == "complete"
        self.purged |= {key for key in self.written if key[0] == conversation}
        self.acknowledged = {
            key: out for key, out in self.acknowledged.items() if key[0] != conversation
        }
        self.keep(late)
        assert isinstance(self.store.transcript(conversation), Tombstone)

    @rule()
    def the_process_is_killed(self) -> None:
        """What is on disk at this moment is all there is; the redactor's memory is gone."""
        folder = self.folder / self._next()
        for path in self.site.folder.iterdir():
            shutil.copy2(path, folder)
        killed, self.store = self.store, self._opened(folder)
        killed.close()
        self.redactor = MASKER.redactor(delivery=self.delivery)
        for person in self.people:
            person.parts = []
        waiting = sum(not out.final for out in self.acknowledged.values())
        assert self.store.recovery.pending_messages == waiting

    def _opened(self, folder: Path):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a store
        old = self.site
        self.site = Site(folder, f"sqlite:///{folder / 't.db'}", old.suite, old.keys, old.clock)
        return self.site.open()

    @rule()
    def keys_are_rotated(self) -> None:
        self.store.rotate()

    # --- what must hold

    @invariant()
    def nothing_but_a_last_four_was_ever_in_it(self) -> None:
        held: dict[Key, MaskedMessage] = {}
        for conversation in CONVERSATIONS:
            for out in self.store.transcript(conversation):
                key = out.conversation_id, out.message_id
                held[key] = out
                written = self.written[key]
                for after, before, mark in zip(out.text, written.text, written.marks, strict=True):
                    assert after in (before, my.MASK)
                    if mark is not None and after == before:
                        self.readable[mark[0]].add(mark[1])
        leaks = {
            number
            for number, seen in self.readable.items()
            if any(index < len(number) - my.KEEP for index in seen)
        }
        assert not leaks
        assert held == self.acknowledged
        assert not self.purged & set(held)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            with self.site.open() as store:
                assert store.verify().ok
            shutil.rmtree(self.folder)


TestRedactorAndStore = RedactorAndStore.TestCase
TestRedactorAndStore.settings = settings(stateful_step_count=25, max_examples=60)

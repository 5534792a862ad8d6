"""What a system let through, counted from its outputs and nothing else.

A planted number counts as found if no character of it but the last four is readable in
anything the system put out, every revision included. No system is asked what it found.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from corpus import Corpus

KEPT = 4

# What systems write in place of a value: [REDACTED_CREDIT_CARD_2], <CREDIT_CARD>. The digit is a
# serial number, and no digit of the value.
PLACEHOLDER = re.compile(r"\[[A-Z][A-Z0-9_]*\]|<[A-Z][A-Z0-9_]*>")


@dataclass(frozen=True, slots=True)
class Finds:
    """How many planted numbers a system found, and what else it changed."""

    # By "whole", "split", and by way of writing ("plain", "separated", ...): (found, planted).
    found: dict[str, tuple[int, int]]
    # Messages that hold no part of a planted number and came out changed, and how many there are.
    others_changed: int
    others: int


def readable(text: str, shown: str) -> Iterator[int]:
    """Offsets in `text` whose characters can be read in `shown`.

    A system that keeps the text's length is compared character by character. One that writes
    a placeholder is aligned: what is left of the text keeps its order around it.

    >>> list(readable("card 4111", "card *111"))
    [0, 1, 2, 3, 4, 6, 7, 8]
    >>> list(readable("card 4111 ok", "card [CARD_1] ok"))
    [0, 1, 2, 3, 4, 9, 10, 11]
    """
    shown = PLACEHOLDER.sub("\0", shown)
    if len(text) == len(shown):
        yield from (at for at, char in enumerate(text) if shown[at] == char)
        return
    for tag, start, end, _, _ in SequenceMatcher(None, text, shown, autojunk=False).get_opcodes():
        if tag == "equal":
            yield from range(start, end)


def count(corpus: Corpus, outputs: Iterable[tuple[int, str]]) -> Finds:
    """Count what was found, given (index of the message, text put out for it) pairs.

    A message may come several times, once a revision; the last is what it ended as. A message
    that never comes out shows nothing, and counts as changed.
    """
    places = {place for number in corpus.planted for place in number.places}
    holding = {index for index, _ in places}
    leaked: set[tuple[int, int]] = set()
    last: dict[int, str] = {}
    for index, shown in outputs:
        last[index] = shown
        if index in holding:
            leaked.update(
                (index, at)
                for at in readable(corpus.messages[index].text, shown)
                if (index, at) in places
            )
    found: dict[str, list[bool]] = defaultdict(list)
    for number in corpus.planted:
        hidden = leaked.isdisjoint(number.places[:-KEPT])
        found["split" if number.split else "whole"].append(hidden)
        if not number.split:
            found[number.way].append(hidden)
    held = holding | corpus.unfinished
    others = [index for index in range(len(corpus.messages)) if index not in held]
    changed = Counter(last.get(index) != corpus.messages[index].text for index in others)
    return Finds(
        {name: (sum(hits), len(hits)) for name, hits in sorted(found.items())},
        changed[True],
        len(others),
    )

"""What masker misses in the benchmark corpus, and what it changes there without cause.

`speed.py` counts; this shows the messages, with everything that was put out for each. The
corpus is made up: there is nothing in it that must not be shown.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

from corpus import DEFAULT_MESSAGES, DEFAULT_SEED, Corpus, Planted, corpus
from leaks import KEPT, readable
from systems import MaskerAllRules, MaskerCardsAndIds

MESSAGES_BEFORE = 2


def show(made: Corpus, outputs: dict[int, list[str]]) -> None:
    of_conversation = defaultdict(list)
    for index, message in enumerate(made.messages):
        of_conversation[message.conversation_id].append(index)

    def tell(index: int) -> None:
        message = made.messages[index]
        print(f"    {message.message_id:>4} {message.sender:9} {message.text}")
        for revision, text in enumerate(outputs[index]):
            if revision or text != message.text:
                print(f"    {'':>4} {'':9} {text}")

    missed = [number for number in made.planted if _leaks(made, number, outputs)]
    print(f"missed {len(missed)} of {len(made.planted)}")
    for number in missed:
        print(f"  {number.kind}, {number.way}, conversation {number.conversation_id}")
        held = [index for index, _ in number.places]
        own = of_conversation[number.conversation_id]
        first, last = own.index(held[0]), own.index(held[-1])
        for index in own[max(0, first - MESSAGES_BEFORE) : last + 2]:
            tell(index)
    holding = {index for number in made.planted for index, _ in number.places} | made.unfinished
    changed = [
        index
        for index, message in enumerate(made.messages)
        if index not in holding and outputs[index][-1:] != [message.text]
    ]
    print(f"changed without a planted number {len(changed)}")
    for index in changed:
        print(f"  conversation {made.messages[index].conversation_id}")
        tell(index)


def _leaks(made: Corpus, number: Planted, outputs: dict[int, list[str]]) -> bool:
    hidden = set(number.places[:-KEPT])
    return any(
        (index, at) in hidden
        for index in {index for index, _ in number.places}
        for text in outputs[index]
        for at in readable(made.messages[index].text, text)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=DEFAULT_MESSAGES)
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--all-rules", action="store_true", help="every default rule")
    asked = parser.parse_args()
    made = corpus(asked.messages, seed=asked.seed)
    system = MaskerAllRules() if asked.all_rules else MaskerCardsAndIds()
    outputs = defaultdict(list)
    for index, text in system.outputs(made):
        outputs[index].append(text)
    show(made, outputs)


if __name__ == "__main__":
    main()

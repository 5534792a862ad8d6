"""What a conversation costs to keep, and whether its length changes what a message costs.

Three measurements, over the same made-up chat as `speed.py`:

* bytes held for each of many conversations that have spoken and wait for nothing,
* the time of a message in one conversation as it grows very long,
* the time of a message as the number of conversations grows.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import tracemalloc
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from corpus import DEFAULT_SEED, DIGIT_SHARE, FIRST_MESSAGE_AT, Language, card_number, ordinary

if TYPE_CHECKING:
    from masker import Masker

IDLE_BYTES_AIM = 200
# What each conversation of the idle measurement says before it falls silent. One in ten
# gives a card as well, whole or in two parts, which is decided by the time it is counted.
MESSAGES_EACH = 4
CARD_EVERY = 10
# Longer than any window.
SILENCE = timedelta(hours=1)
# Where the first of these are slower, that is a cold start and no trend: they are left out.
WARM_UP = 2_000
WINDOWS = 10
SECONDS_BETWEEN = 8


def said(rng: random.Random, conversation: int) -> Iterator[str]:
    """What one conversation says: with digits in every third message, to touch its lanes."""
    language: Language = "zh" if conversation % 2 else "en"
    gives_card = conversation % CARD_EVERY == 0
    for turn in range(MESSAGES_EACH):
        if gives_card and turn == 1:
            card = card_number(rng, language)
            if conversation % (2 * CARD_EVERY):
                yield card
            else:
                yield card[:8]
                yield card[8:]
        else:
            yield ordinary(rng, language, digits=turn % 3 == 2)


def idle(masker: Masker, conversations: int, *, seed: int) -> dict[str, float]:
    """Bytes held for a conversation, counted by tracemalloc: all that the redactor has allocated.

    The strings of conversation and message ids are part of it where the redactor keeps them:
    they are made anew for each message, as a decoder would.
    """
    from masker import Message

    rng = random.Random(seed)
    redactor = masker.redactor(delivery="revise")
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for conversation in range(conversations):
        for turn, text in enumerate(said(rng, conversation)):
            redactor.receive(
                Message(
                    conversation_id=f"conversation-{conversation}",
                    message_id=f"message-{turn}",
                    sender="customer",
                    text=text,
                    timestamp=_spoken_at(conversation, turn),
                )
            )
    gc.collect()
    spoken, _ = tracemalloc.get_traced_memory()
    redactor.advance(_spoken_at(conversations, MESSAGES_EACH) + SILENCE)
    gc.collect()
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {
        "conversations": conversations,
        "bytes each, just after the last message": (spoken - before) / conversations,
        "bytes each, idle with nothing pending": (after - before) / conversations,
        "peak bytes each": (peak - before) / conversations,
    }


def long_conversation(masker: Masker, length: int, *, seed: int) -> dict[str, Any]:
    """Microseconds of a message in each tenth of one conversation of `length` messages."""
    from masker import Message

    rng = random.Random(seed)
    redactor = masker.redactor(delivery="revise")
    languages: tuple[Language, ...] = ("en", "zh")
    texts = [
        ordinary(rng, rng.choice(languages), digits=rng.random() < DIGIT_SHARE)
        for _ in range(WARM_UP + length)
    ]
    at = FIRST_MESSAGE_AT
    messages = [
        Message(
            conversation_id="one",
            message_id=f"m{turn}",
            sender=rng.choice(("customer", "agent")),
            text=text,
            timestamp=at + timedelta(seconds=turn * SECONDS_BETWEEN),
        )
        for turn, text in enumerate(texts)
    ]
    gc.collect()
    gc.freeze()
    for message in messages[:WARM_UP]:
        redactor.receive(message)
    size = max(1, length // WINDOWS)
    windows = []
    for start in range(WARM_UP, WARM_UP + size * WINDOWS, size):
        started = perf_counter()
        for message in messages[start : start + size]:
            redactor.receive(message)
        windows.append((perf_counter() - started) / size * 1e6)
    gc.unfreeze()
    return {"messages": length, "microseconds": windows, "last over first": _trend(windows)}


def many_conversations(masker: Masker, conversations: int, *, seed: int) -> dict[str, Any]:
    """Microseconds of a message as more and more conversations have spoken."""
    from masker import Message

    rng = random.Random(seed)
    redactor = masker.redactor(delivery="revise")
    # The same chat again and again, so that only the number of conversations differs.
    chat = [list(said(rng, conversation)) for conversation in range(200)]
    size = max(1, conversations // WINDOWS)
    windows = []
    gc.collect()
    for window in range(WINDOWS):
        taken, count = 0.0, 0
        for conversation in range(window * size, (window + 1) * size):
            messages = [
                Message(
                    conversation_id=f"conversation-{conversation}",
                    message_id=f"message-{turn}",
                    sender="customer",
                    text=text,
                    timestamp=_spoken_at(conversation, turn),
                )
                for turn, text in enumerate(chat[conversation % len(chat)])
            ]
            started = perf_counter()
            for message in messages:
                redactor.receive(message)
            taken += perf_counter() - started
            count += len(messages)
        windows.append(taken / count * 1e6)
    started = perf_counter()
    redactor.advance(_spoken_at(size * WINDOWS, 0) + SILENCE)
    advanced = perf_counter() - started
    started = perf_counter()
    redactor.close()
    return {
        "conversations": size * WINDOWS,
        "microseconds": windows,
        "last over first": _trend(windows),
        "seconds of one advance over all": advanced,
        "seconds of closing all": perf_counter() - started,
    }


def _spoken_at(conversation: int, turn: int) -> datetime:
    return FIRST_MESSAGE_AT + timedelta(
        milliseconds=conversation * 2, seconds=turn * SECONDS_BETWEEN
    )


def _trend(windows: list[float]) -> float:
    """The last three windows over the first three: one slow moment of the machine is no trend."""
    return median(windows[-3:]) / median(windows[:3])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--conversations", type=int, default=1_000_000)
    parser.add_argument("--length", type=int, default=100_000, help="of the one long conversation")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--json", type=Path, help="also write everything measured to this file")
    asked = parser.parse_args()
    if asked.conversations < 1 or asked.length < 1:
        parser.error("--conversations and --length must be at least 1")
    try:
        from masker import Masker
    except ImportError as error:
        sys.exit(f"masker cannot be imported here ({error}); try make bench")
    masker = Masker()
    report: dict[str, Any] = {}
    report["long"] = long_conversation(masker, asked.length, seed=asked.seed)
    _print(f"one conversation of {asked.length:,} messages", report["long"])
    report["many"] = many_conversations(masker, asked.conversations, seed=asked.seed)
    _print(f"{report['many']['conversations']:,} conversations", report["many"])
    report["idle"] = idle(masker, asked.conversations, seed=asked.seed)
    _print(f"{asked.conversations:,} idle conversations, {MESSAGES_EACH} messages each",
           report["idle"])  # fmt: skip
    held = report["idle"]["bytes each, idle with nothing pending"]
    verdict = "reached" if held < IDLE_BYTES_AIM else "MISSED"
    print(f"{verdict}: {held:.0f} bytes an idle conversation, aim under {IDLE_BYTES_AIM}")
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=2) + "\n")


def _print(title: str, measured: dict[str, Any]) -> None:
    print(title)
    for name, value in measured.items():
        if isinstance(value, list):
            print(f"  {name} of a message, by tenths: {' '.join(f'{one:.2f}' for one in value)}")
        elif isinstance(value, float):
            print(f"  {name}: {value:,.2f}")
    print(flush=True)


if __name__ == "__main__":
    main()

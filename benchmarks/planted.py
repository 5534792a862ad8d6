"""Numbers planted in real chat: what leaks, and what harmless text comes out changed.

Takes conversations of the development data (as `false_alarms.py` does; without the data there
is nothing to do, and that is no error), has one of the people in each give a number in the
midst of it, whole or cut into messages, in one of five manners, and runs the messages around
it through a redactor. Counted are scenes in which any character but the last four could ever
be read, and messages whose other characters are changed in the end.
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from false_alarms import CARDS_AND_IDS, DATA, conversations_of, files_in
from stdnum import luhn
from stdnum.cn import ric

if TYPE_CHECKING:
    from masker import Masker
    from masker.testing.writing import Written

MANNERS = ("bare", "separated", "labelled", "named", "sentence")
# Prefixes and lengths of networks (ISO/IEC 7812-1); UnionPay comes as often as in China.
NETWORKS = (
    *[(("62", "620", "6225", "622588", "621700", "622848"), (16, 17, 18, 19))] * 3,
    (("4", "45", "49"), (13, 16, 19)),
    (("51", "53", "55", "2221", "2720"), (16,)),
    (("34", "37"), (15,)),
    (("3528", "3589", "6011", "65"), (16,)),
    (("300", "36", "38"), (14,)),
    (("2200", "2204"), (16,)),
)
REGIONS = ("110105", "310104", "330106", "420106", "440305", "510104", "610113", "120101")
NAMES_CARD = ("我的卡号是", "my card number is ", "the card is ", "卡号 ")
NAMES_ID = ("身份证号：", "我的身份证是", "ID number: ")
OPENINGS = ("好的，", "ok so it is ", "我发你 ", "here: ", "嗯 ")
ENDINGS = ("，谢谢", " thanks", "。", " that is all", "😊")
ANSWERS = ("ok", "嗯", "好的", "go on", "收到", "然后呢", "got it, next")
SEPARATORS = (" ", "-", ".", "·", "\u200b")

BEFORE, BEHIND = 6, 4


@dataclass(slots=True)
class Tally:
    scenes: Counter[str] = field(default_factory=Counter)
    leaks: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    changed: int = 0


def a_number(draw: random.Random) -> tuple[str, bool]:
    """A card or a resident ID, and whether it is a card."""
    if draw.random() < 0.35:
        born = dt.date(1940, 1, 1) + dt.timedelta(days=draw.randrange(25_000))
        body = draw.choice(REGIONS) + born.strftime("%Y%m%d") + f"{draw.randrange(1000):03}"
        return body + ric.calc_check_digit(body + "0"), False
    prefixes, lengths = draw.choice(NETWORKS)
    prefix, length = draw.choice(prefixes), draw.choice(lengths)
    body = prefix + "".join(draw.choices("0123456789", k=length - 1 - len(prefix)))
    return body + luhn.calc_check_digit(body), True


def parts(draw: random.Random, number: str, manner: str, *, is_card: bool) -> list[Written]:
    """The messages that give a number."""
    from masker.testing import talk
    from masker.testing.writing import SCRIPT_NAMES, bare, join, plain

    size = len(number)
    count = draw.choice([1, 2, 2, 3, 3, 4, 5, 6, size])
    cuts = [0, *sorted(draw.sample(range(1, size), count - 1)), size]
    script = "ascii" if draw.random() < 0.5 else draw.choice(SCRIPT_NAMES)
    digits = list(bare(number, script))
    if manner == "separated":
        separator, group = plain(draw.choice(SEPARATORS)), draw.choice([4, 4, 4, 3, 6])
        digits = [
            separator + digit if place and place % group == 0 else digit
            for place, digit in enumerate(digits)
        ]
    said = [join(digits[low:high]) for low, high in pairwise(cuts)]
    if manner == "labelled" and count > 1:
        labels = [
            talk.LABELS_FIRST,
            *[talk.LABELS_NEXT] * (count - 2),
            talk.LABELS_LAST,
        ]
        said = [plain(draw.choice(label)) + part for label, part in zip(labels, said, strict=True)]
    elif manner == "named":
        said[0] = plain(draw.choice(NAMES_CARD if is_card else NAMES_ID)) + said[0]
    elif manner == "sentence":
        said[0] = plain(draw.choice(OPENINGS)) + said[0]
        said[-1] = said[-1] + plain(draw.choice(ENDINGS))
    return said


def play(masker: Masker, draw: random.Random, chat: list[tuple[str, str]], tally: Tally) -> None:
    """One scene: some of a chat, the number, and some more of the chat."""
    from masker.testing.leaks import LeakCounter
    from masker.testing.scenes import Timeline
    from masker.testing.writing import plain

    number, is_card = a_number(draw)
    manner = draw.choice(MANNERS)
    senders = sorted({sender for sender, _ in chat})
    giver = draw.choice(senders)
    other = next((sender for sender in senders if sender != giver), "agent")
    place = draw.randrange(1, len(chat))
    lines = [(sender, plain(text)) for sender, text in chat[max(0, place - BEFORE) : place]]
    for part in parts(draw, number, manner, is_card=is_card):
        lines.append((giver, part))
        if draw.random() < 0.3:
            lines.append((other, plain(draw.choice(ANSWERS))))
    lines += [(sender, plain(text)) for sender, text in chat[place : place + BEHIND]]

    redactor, counter, timeline = masker.redactor(), LeakCounter(), Timeline()
    for sender, written in lines:
        sent = timeline.say(written, sender=sender)
        counter.expect(sent)
        counter.see(redactor.receive(sent.message))
    counter.see(redactor.close())
    tally.scenes[manner] += 1
    tally.leaks[manner] += bool(counter.leaks())
    tally.messages += len(lines)
    tally.changed += len({key[:2] for key in counter.changed_elsewhere()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--scenes", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    files = files_in(asked.data)
    if not files:
        print("no .jsonl or .jsonl.gz there: nothing to measure")
        return
    from masker import Masker

    chats = [
        [
            said
            for conversation in conversations_of(path)
            if len(said := [(line.sender, line.text) for line in conversation]) > BEFORE
        ]
        for path in files
    ]
    masker, tally = Masker(rules=CARDS_AND_IDS), Tally()
    for scene in range(asked.scenes):
        draw = random.Random(asked.seed + scene)
        play(masker, draw, draw.choice(draw.choice(chats)), tally)
    for manner in MANNERS:
        print(f"{manner:10} {tally.scenes[manner]:6,} scenes, {tally.leaks[manner]} leaked")
    print(
        f"of {tally.messages:,} messages {tally.changed} have other characters changed, "
        f"{10_000 * tally.changed / tally.messages:.1f} in 10,000"
    )


if __name__ == "__main__":
    main()

"""What people type, and a count of what could be read of it.

A planted number is a string of bare digits (an ID may end in X). It is written in
some script, grouped, cut into messages and spoken around; through all of that every
character remembers which digit of which number it is. So `LeakCounter` detects
nothing: it looks at those characters alone, and no fault of the engine can hide in it.
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hypothesis import strategies as st
from stdnum import luhn
from stdnum.cn import ric

from masker import MaskedMessage, Message

Delivery = Literal["revise", "hold"]
KEEP = 4
MASK = "*"
NOON = dt.datetime(2024, 5, 17, 12, 0, tzinfo=dt.UTC)

Mark = tuple[str, int]  # a planted number, and which of its digits


@dataclass(frozen=True, slots=True)
class Written:
    """Text, and for each of its characters the digit (number, index) that it shows."""

    text: str
    marks: tuple[Mark | None, ...]

    def __add__(self, other: Written) -> Written:
        return Written(self.text + other.text, self.marks + other.marks)

    def __len__(self) -> int:
        return len(self.text)

    @property
    def digits(self) -> tuple[Mark, ...]:
        return tuple(mark for mark in self.marks if mark is not None)


def plain(text: str) -> Written:
    """Text that shows no planted digit."""
    return Written(text, (None,) * len(text))


def shown(number: str, index: int, glyph: str) -> Written:
    """One digit as `glyph`; of a keycap emoji only the first code point tells the digit."""
    return Written(glyph, ((number, index), *(None,) * (len(glyph) - 1)))


def join(parts: Iterable[Written]) -> Written:
    return sum(parts, plain(""))


# --- numbers ---------------------------------------------------------------------------

# Prefix and length by network, from the published BIN ranges (ISO/IEC 7812-1 issuers).
NETWORKS: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "unionpay": (
        ("62", "620", "6225", "6228", "622588", "622202", "621700", "622848", "621661", "625"),
        (16, 17, 18, 19),
    ),
    "visa": (("4", "41", "45", "49"), (13, 16, 19)),
    "mastercard-5": (("51", "52", "53", "54", "55"), (16,)),
    "mastercard-2": (("2221", "2229", "223", "24", "26", "270", "271", "2720"), (16,)),
    "amex": (("34", "37"), (15,)),
    "jcb": (("3528", "3530", "3566", "358", "3589"), (16,)),
    "diners": (("300", "301", "305", "36", "38", "39"), (14,)),
    "discover": (("6011", "644", "649", "65"), (16,)),
    "maestro": (
        ("5018", "5020", "5038", "5893", "6304", "6759", "6761", "6762", "6763"),
        (13, 14, 15, 16, 17, 18, 19),
    ),
    "mir": (("2200", "2201", "2202", "2203", "2204"), (16,)),
    "rupay": (("508500", "508999", "607000", "607900", "608100", "652150", "653100"), (16,)),
    "elo": (("401178", "438935", "457631", "506700", "509000", "627780", "636368"), (16,)),
    "troy": (("9792",), (16,)),
}


def with_luhn(body: str) -> str:
    return body + luhn.calc_check_digit(body)


@st.composite
def card_numbers(
    draw: st.DrawFn,
    networks: Sequence[str] = tuple(NETWORKS),
    lengths: Sequence[int] = tuple(range(13, 20)),
) -> str:
    """A card number of a known network with the right check digit."""
    choices = [
        (prefix, length)
        for name in networks
        for prefix in NETWORKS[name][0]
        for length in NETWORKS[name][1]
        if length in lengths
    ]
    prefix, length = draw(st.sampled_from(choices))
    return with_luhn(draw(digit_strings(length - 1, start=prefix)))


def digit_strings(length: int, start: str = "") -> st.SearchStrategy[str]:
    """Decimal digits without structure; not shrunk towards the degenerate 000..."""
    return st.integers(0, 2**32).map(
        lambda seed: (
            start + "".join(random.Random(seed).choices("0123456789", k=length - len(start)))
        )
    )


# County codes of GB/T 2260, all in use today; every province group is in it.
# fmt: off
REGIONS = tuple(str(code) for code in (
    110101, 110105, 110108, 120101, 130102, 140105, 150102, 210102, 210202, 220102, 230103,
    310101, 310104, 310115, 320102, 320506, 330106, 330203, 340102, 350203, 360102, 360426,
    370102, 370202, 410105, 420106, 430102, 440106, 440305, 450102, 460105, 500103, 510104,
    520102, 530102, 540102, 610113, 620102, 630102, 640104, 650102,
))
# fmt: on


@st.composite
def resident_ids(draw: st.DrawFn, *, old: bool | None = False) -> str:
    """A PRC resident ID (GB 11643): 18 characters, `old` 15; None draws either.

    The region is where the ID was issued, so a person may be older than the district.
    """
    region = draw(st.sampled_from(REGIONS))
    born = draw(st.dates(dt.date(1935, 1, 1), dt.date(2015, 12, 31)))
    order = draw(digit_strings(3))
    if old is None:
        old = draw(st.booleans())
    if old:
        born = born.replace(year=1935 + born.year % 60, day=min(born.day, 28))
        return region + born.strftime("%y%m%d") + order
    body = region + born.strftime("%Y%m%d") + order
    return body + ric.calc_check_digit(body + "0")


def numbers() -> st.SearchStrategy[str]:
    return st.one_of(card_numbers(), resident_ids())


# --- writing ---------------------------------------------------------------------------

SCRIPTS: dict[str, str] = {
    "ascii": "0123456789",
    "full-width": "０１２３４５６７８９",
    "circled": "⓪①②③④⑤⑥⑦⑧⑨",
    "superscript": "⁰¹²³⁴⁵⁶⁷⁸⁹",
    "subscript": "₀₁₂₃₄₅₆₇₈₉",
    "arabic-indic": "٠١٢٣٤٥٦٧٨٩",
    "extended-arabic": "۰۱۲۳۴۵۶۷۸۹",
    "devanagari": "०१२३४५६७८९",
    "mathematical-bold": "".join(chr(0x1D7CE + n) for n in range(10)),
    "mathematical-double": "".join(chr(0x1D7D8 + n) for n in range(10)),
    "mathematical-mono": "".join(chr(0x1D7F6 + n) for n in range(10)),
    "hanzi": "零一二三四五六七八九",
    "hanzi-round": "〇一二三四五六七八九",
    "hanzi-spoken": "零幺两三四五六七八九",
    "hanzi-formal": "零壹贰叁肆伍陆柒捌玖",
    "hanzi-formal-traditional": "零壹貳參肆伍陸柒捌玖",
}
KEYCAP = "\ufe0f\u20e3"
SCRIPT_NAMES = (*SCRIPTS, "keycap")
HANZI_SCRIPTS = frozenset(name for name in SCRIPTS if name.startswith("hanzi"))
CROSSES = ("X", "x", "Ｘ", "ｘ")


def glyph(digit: str, script: str, cross: str = "X") -> str:
    """`digit` in `script`; X has no digit forms and is written as `cross`."""
    if digit == "X":
        return cross
    if script == "keycap":
        return digit + KEYCAP
    return SCRIPTS[script][int(digit)]


def scripts() -> st.SearchStrategy[str]:
    return st.sampled_from(SCRIPT_NAMES)


SEPARATORS = list(
    " -./,_\u00b7\u2022\u30fb"
    # spaces: no-break, en, em, thin, hair, figure, narrow no-break, ideographic
    "\u00a0\u2002\u2003\u2009\u200a\u2007\u202f\u3000"
    # zero width: space, non-joiner, joiner, word joiner, byte order mark, soft hyphen
    "\u200b\u200c\u200d\u2060\ufeff\u00ad"
    # dashes: hyphen, no-break hyphen, figure, en, em, bar, minus, full width
    "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d"
    # the full-width stop, solidus and comma
    "\uff0e\uff0f\uff0c"
)


def separators(longest: int = 3) -> st.SearchStrategy[str]:
    """What people put between groups: one separator, or a run of them."""
    one = st.sampled_from(SEPARATORS)
    return st.one_of(
        st.sampled_from([" ", "-", ""]),
        one,
        st.lists(one, min_size=2, max_size=longest).map("".join),
    )


@st.composite
def cuts(
    draw: st.DrawFn,
    length: int,
    *,
    least: int = 2,
    most: int | None = None,
    smallest: int = 1,
) -> tuple[int, ...]:
    """Lengths of the parts a number of `length` is cut into: any cut, evenly over part counts."""
    most = min(most or length, length // smallest)
    count = draw(st.integers(min(least, most), most))
    spare = length - count * smallest
    at = sorted(draw(st.lists(st.integers(0, spare), min_size=count - 1, max_size=count - 1)))
    edges = [0, *at, spare]
    return tuple(smallest + after - before for before, after in itertools.pairwise(edges))


USUAL_GROUPINGS = {
    13: [(13,), (4, 3, 3, 3), (4, 4, 5)],
    14: [(14,), (4, 6, 4)],
    15: [(15,), (4, 6, 5), (6, 6, 3)],
    16: [(16,), (4, 4, 4, 4), (8, 8), (6, 10)],
    17: [(17,), (6, 11), (4, 4, 4, 4, 1)],
    18: [(18,), (6, 8, 4), (6, 4, 4, 4), (3, 3, 4, 4, 4), (4, 4, 4, 4, 2)],
    19: [(19,), (4, 4, 4, 4, 3), (6, 13), (3, 4, 4, 4, 4)],
}


def groupings(length: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Sizes of the groups a number is written in: the usual ones, single digits, any."""
    usual = USUAL_GROUPINGS.get(length, [(length,)])
    return st.one_of(st.sampled_from([*usual, (1,) * length]), cuts(length, least=1))


def write(number: str, glyphs: Sequence[str], gaps: Sequence[str]) -> tuple[Written, ...]:
    """One `Written` a digit; the gap that stands before a digit is part of it."""
    return tuple(
        plain(gap) + shown(number, index, form)
        for index, (gap, form) in enumerate(zip(("", *gaps), glyphs, strict=True))
    )


@st.composite
def written_numbers(
    draw: st.DrawFn,
    source: st.SearchStrategy[str] | None = None,
    *,
    script_names: st.SearchStrategy[str] | None = None,
) -> tuple[Written, ...]:
    """A number in any grouping, with any separators, in one script or in many, digit by digit."""
    number = draw(source if source is not None else numbers())
    script = script_names if script_names is not None else scripts()
    size = len(number)
    names = draw(
        st.one_of(
            st.just(["ascii"] * size),
            script.map(lambda name: [name] * size),
            st.lists(script, min_size=size, max_size=size),
        )
    )
    cross = draw(st.sampled_from(CROSSES))
    glyphs = [glyph(digit, name, cross) for digit, name in zip(number, names, strict=True)]
    gaps = [""] * (size - 1)
    usual = draw(separators())
    for end in itertools.accumulate(draw(groupings(size))[:-1]):
        gaps[end - 1] = usual if draw(st.integers(0, 3)) else draw(separators())
    return write(number, glyphs, gaps)


def bare(number: str, script: str = "ascii") -> tuple[Written, ...]:
    """A number without separators, one `Written` a digit."""
    return write(number, [glyph(digit, script) for digit in number], [""] * (len(number) - 1))


def parts_of(digits: Sequence[Written], sizes: Sequence[int]) -> list[Written]:
    """The digits in parts of these sizes; a gap at a cut is dropped, as people drop it."""
    parts: list[Written] = []
    ends = list(itertools.accumulate(sizes))
    for start, end in zip([0, *ends], ends, strict=False):
        part = join(digits[start:end])
        lead = next((i for i, mark in enumerate(part.marks) if mark is not None), 0)
        parts.append(Written(part.text[lead:], part.marks[lead:]))
    return parts


# --- talk ------------------------------------------------------------------------------

SMALL_TALK_ZH = (
    "好的",
    "等一下",
    "稍等一下啊",
    "我看一看",
    "一会儿",
    "三天了还没到账",
    "不好意思，手机有点卡",
    "嗯嗯",
    "对",
    "哈哈",
    "你们能不能快点",
    "我去拿一下卡",
    "字太小了",
    "怎么还要这个呀",
    "在吗？",
    "两边都试过了，一样的",
    "😂",
    "。。。",
)
SMALL_TALK_EN = (
    "hang on",
    "one sec",
    "ok",
    "let me get my glasses",
    "sorry, the dog is barking",
    "lol",
    "are you still there?",
    "almost done!",
    "hmm",
    "my kid wants something...",
    "can't read it well",
    "thanks for waiting :)",
)
OTHER_PARTY = (
    "好的，您慢慢来",
    "嗯，请继续",
    "收到",
    "请稍等一下",
    "在的，亲",
    "go on please",
    "got it",
    "sure, take your time",
    "I am still here",
    "Thanks! What comes next?",
)
QUESTIONS_CARD = (
    "请提供一下您的银行卡号",
    "麻烦报一下卡号",
    "Could you give me your card number, please?",
    "please send your card number",
)
QUESTIONS_ID = (
    "请提供一下您的身份证号码",
    "麻烦报一下身份证号",
    "Could you give me your resident ID number, please?",
    "please send your ID number",
)
LABELS_FIRST = ("前面是", "前几位是", "开头是 ", "先发前半段：", "it starts with ", "first part: ")
LABELS_NEXT = (
    "后面是",
    "然后",
    "然后是",
    "接下来",
    "接下来是 ",
    "中间是",
    "再后面 ",
    "then ",
    "next ",
    "the rest is ",
    "and ",
    "and then: ",
)
LABELS_LAST = ("最后几位", "最后是", "最后的是 ", "the last ones are ", "and finally ")
LABELS_LAST_FOUR = ("后四位是", "尾号 ", "最后四位", "后4位", "last four ", "and the last 4 are ")
BEFORE = (
    "",
    "",
    "卡号",
    "我的卡号是",
    "卡号：",
    "你看下这个",
    "就是这个 ",
    "my card is ",
    "here you go: ",
    "it's ",
    "帮我查下，",
)
AFTER = (
    "",
    "",
    "谢谢",
    " 谢谢你",
    "，麻烦了",
    "。",
    " thanks",
    " ok?",
    "!",
    " is the number",
    "这个",
    " that's it",
)


def small_talk() -> st.SearchStrategy[str]:
    """The speaker's own messages between parts; Hanzi numerals in them are ordinary words."""
    return st.sampled_from(SMALL_TALK_ZH + SMALL_TALK_EN)


def labels(place: int, count: int, size: int) -> st.SearchStrategy[str]:
    """What is said before part `place` of `count`, which has `size` digits."""
    if place == 0:
        return st.sampled_from((*LABELS_FIRST, f"前{size}位", f"first {size}: "))
    if place < count - 1:
        return st.sampled_from((*LABELS_NEXT, f"接着{size}位是", f"part {place + 1}: "))
    last = LABELS_LAST_FOUR if size == 4 else (f"后{size}位", f"last {size} digits: ")
    return st.sampled_from((*LABELS_NEXT, *LABELS_LAST, *last))


def surroundings() -> st.SearchStrategy[tuple[str, str]]:
    """Text before the first part and after the last."""
    return st.tuples(st.sampled_from(BEFORE), st.sampled_from(AFTER))


# --- conversations ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sent:
    """One message as it is received, with what it shows."""

    message: Message
    written: Written

    @property
    def key(self) -> tuple[str, str]:
        return self.message.conversation_id, self.message.message_id


@dataclass(slots=True)
class Scene:
    """Messages in the order they arrive, and the numbers given in them."""

    sent: list[Sent]
    numbers: tuple[str, ...]

    def __repr__(self) -> str:
        lines = [
            f"  {s.message.conversation_id}/{s.message.message_id} "
            f"{s.message.subject or '-'} {s.message.sender}: {s.message.text!r}"
            for s in self.sent
        ]
        return "\n".join([f"Scene of {self.numbers}:", *lines])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Hypothesis would print every field of every message."""
        printer.text(repr(self))


@dataclass(slots=True)
class Timeline:
    """Hands out messages: ids count up, a few seconds pass between them."""

    at: dt.datetime = NOON
    count: int = 0
    step: float = 5.0
    sent: list[Sent] = field(default_factory=list)

    def say(
        self,
        written: Written | str,
        *,
        sender: str = "user",
        conversation: str = "c1",
        subject: str | None = None,
        message_id: str | None = None,
        channel: str | None = None,
    ) -> Sent:
        if isinstance(written, str):
            written = plain(written)
        self.at += dt.timedelta(seconds=self.step)
        self.count += 1
        message = Message(
            conversation_id=conversation,
            message_id=message_id if message_id is not None else f"m{self.count}",
            sender=sender,
            text=written.text,
            timestamp=self.at,
            subject=subject,
            channel=channel,
        )
        one = Sent(message, written)
        self.sent.append(one)
        return one

    def repeat(self, earlier: Sent) -> Sent:
        """The same message once more: a network retry."""
        self.sent.append(earlier)
        return earlier


@st.composite
def dictations(
    draw: st.DrawFn,
    number: st.SearchStrategy[tuple[Written, ...]],
    *,
    smallest: int = 1,
    most: int | None = None,
    chat: bool = False,
    label: bool = False,
    resend: bool = False,
    around: bool = True,
) -> list[tuple[str, Written]]:
    """What one person sends to give a number: ("part" | "talk" | "again", text) in order."""
    digits = draw(number)
    size = len(digits)
    pieces = parts_of(digits, draw(cuts(size, smallest=smallest, most=most)))
    before, after = draw(surroundings()) if around else ("", "")
    texts: list[tuple[str, Written]] = []
    repeated = draw(st.integers(0, len(pieces) - 1)) if resend else -1
    for place, piece in enumerate(pieces):
        text = piece
        if label:
            text = plain(draw(labels(place, len(pieces), len(piece.digits)))) + text
        elif place == 0:
            text = plain(before) + text
        if place == len(pieces) - 1:
            text = text + plain(after)
        texts.append(("part", text))
        if place == repeated:
            texts.append((draw(st.sampled_from(["again", "part"])), text))
        if chat and place < len(pieces) - 1:
            talk = draw(st.lists(small_talk(), max_size=2))
            texts.extend(("talk", plain(line)) for line in talk)
    return texts


@st.composite
def conversations(
    draw: st.DrawFn,
    number: st.SearchStrategy[tuple[Written, ...]] | None = None,
    *,
    parties: int = 1,
    smallest: int = 1,
    most: int | None = None,
    chat: bool = False,
    label: bool = False,
    resend: bool = False,
    asked: bool = False,
    subject: bool = False,
    around: bool = True,
) -> Scene:
    """One or more people dictate a number each, at once, while another party talks too."""
    source = number if number is not None else written_numbers()
    scripts_by_party = [
        list(
            draw(
                dictations(
                    source,
                    smallest=smallest,
                    most=most,
                    chat=chat,
                    label=label,
                    resend=resend,
                    around=around,
                )
            )
        )
        for _ in range(parties)
    ]
    given = tuple(
        dict.fromkeys(mark[0] for lines in scripts_by_party for _, w in lines for mark in w.digits)
    )
    timeline = Timeline()
    if asked:
        is_card = all(len(n) != 18 or not ric.is_valid(n) for n in given)
        question = st.sampled_from(QUESTIONS_CARD if is_card else QUESTIONS_ID)
        timeline.say(draw(question), sender="agent")
    latest: dict[int, Sent] = {}
    while any(scripts_by_party):
        party = draw(st.sampled_from([i for i, lines in enumerate(scripts_by_party) if lines]))
        kind, text = scripts_by_party[party].pop(0)
        if kind == "again" and party in latest:
            timeline.repeat(latest[party])
        else:
            name = f"user{party}"
            conversation = draw(st.sampled_from(["c1", "c2", "c3"])) if subject else "c1"
            latest[party] = timeline.say(
                text,
                sender=name,
                conversation=conversation,
                subject=f"subject{party}" if subject else None,
                channel=draw(st.sampled_from(["app", "web"])) if subject else None,
            )
        if not draw(st.integers(0, 3)):
            timeline.say(draw(st.sampled_from(OTHER_PARTY)), sender="agent")
    return Scene(timeline.sent, given)


# --- the leak counter ------------------------------------------------------------------


class LeakCounter:
    """Collects, over every revision, which digits of each planted number could be read."""

    def __init__(self) -> None:
        self.readable: dict[str, set[int]] = {}
        self.final: dict[tuple[str, str], MaskedMessage] = {}
        self.revisions: dict[tuple[str, str], int] = {}
        self._written: dict[tuple[str, str], Written] = {}

    def expect(self, sent: Sent) -> None:
        """A message is about to be received."""
        self._written.setdefault(sent.key, sent.written)
        for number, _ in sent.written.digits:
            self.readable.setdefault(number, set())

    def see(self, outs: Iterable[MaskedMessage]) -> None:
        """Revisions came out: collect what they show; hold them to their shape and order."""
        for out in outs:
            key = out.conversation_id, out.message_id
            written = self._written[key]
            assert len(out.text) == len(written.text), f"{key}: length changed"
            assert key not in self.final, f"{key}: came out again after it was final"
            assert out.revision > self.revisions.get(key, -1), f"{key}: revision did not grow"
            self.revisions[key] = out.revision
            if out.final:
                self.final[key] = out
            for after, before, mark in zip(out.text, written.text, written.marks, strict=True):
                assert after in (before, MASK), f"{key}: a character became another"
                if mark is not None and after == before:
                    self.readable[mark[0]].add(mark[1])

    def leaks(self) -> dict[str, list[int]]:
        """Per planted number the digits before its last four that were ever readable."""
        found = {
            number: sorted(index for index in seen if index < len(number) - KEEP)
            for number, seen in self.readable.items()
        }
        return {number: indexes for number, indexes in found.items() if indexes}

    def unfinished(self) -> list[tuple[str, str]]:
        """Messages received that never became final."""
        return [key for key in self._written if key not in self.final]

    def changed_elsewhere(self) -> list[tuple[str, str, int]]:
        """Where a final text is masked although no planted digit stands there."""
        return [
            (*key, position)
            for key, out in self.final.items()
            for position, (after, before, mark) in enumerate(
                zip(out.text, self._written[key].text, self._written[key].marks, strict=True)
            )
            if after != before and mark is None
        ]

    def masked_at_the_end(self) -> dict[str, set[int]]:
        """Per planted number the digits masked in every final text that holds them."""
        hidden: dict[str, set[int]] = {}
        open_: dict[str, set[int]] = {}
        for key, out in self.final.items():
            written = self._written[key]
            for after, before, mark in zip(out.text, written.text, written.marks, strict=True):
                if mark is not None:
                    side = open_ if after == before else hidden
                    side.setdefault(mark[0], set()).add(mark[1])
        return {n: hidden.get(n, set()) - open_.get(n, set()) for n in hidden | open_}


def play(
    scene: Scene | Sequence[Sent],
    receive: Callable[[Message], Iterable[MaskedMessage]],
    finish: Callable[[], Iterable[MaskedMessage]],
) -> LeakCounter:
    """Send a whole scene through and count."""
    counter = LeakCounter()
    for sent in scene.sent if isinstance(scene, Scene) else scene:
        counter.expect(sent)
        counter.see(receive(sent.message))
    counter.see(finish())
    return counter

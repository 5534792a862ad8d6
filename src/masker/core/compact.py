"""The compact view: what a text is to a number.

A text becomes its runs of digits (or of digits and letters, for rules that read
those), each in plain upper-case ASCII whatever it was written in, with its place
in the text, how far it stands from its neighbours, and what the words around it
say. Rules never see anything else of a text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from masker.core import characters, gaps
from masker.core.ordinals import is_small, may_be_counted, ordinals
from masker.core.ruleset import RuleSet
from masker.core.runs import Runs, runs_of
from masker.core.trails import masked_before
from masker.core.words import NAMES_A_NUMBER, lower

# How far a word's influence goes, in characters: forward to a number, and back to one.
NEAR_BEFORE = 24
FAR_BEFORE = 60
NEAR_AFTER = 24
# An answer of so many digits is the whole of what was asked for.
LONG_ANSWER = 13
ID_LENGTH = 18
# Not the point of an abbreviation: card no. 4111…
_SENTENCE_END = re.compile(r"[。！？!?\n；;]|(?<!\bno)(?<!\bnos)(?<!\bnr)(?<!\bnum)\.(?=\s)")
# Only these stand between a label and the number it names (订单号是：…, order no. is #…).
_FILLS = (
    r"(?:(?![。！？!?\n；;])[\W_]|号|號|码|碼|编号|数字|是|为|為|的|nos?(?![a-z])|numbers?|num(?![a-z])|id(?![a-z])|ids(?![a-z])"
    r"|is(?![a-z])|was(?![a-z])|are(?![a-z])|codes?(?![a-z]))"
)
_DIRECT = re.compile(_FILLS + "{0,12}")
_NAMES_STARS = re.compile(_FILLS + r"{0,12}?\*").match
# How the other party asks for something. Each begins with a character, so that C skips to it.
_ASKS_BY_SIGN = re.compile(
    r"\?|？|请|請|提供|告诉|告訴|发一下|发送|输入|輸入|填写|报一下|多少|什么|什麼|吗|嗎|核对|核实|需要|麻烦"
).search
_ASKS_BY_WORD = re.compile(
    r"[^\w](?:please|pls|provide|give|tell|send|enter|type|what|which|may|can|could|need|confirm|share"
    r"|verify|supply|state|read)\b"
).search
# Who speaks of a number as theirs gives it, whatever they ask; and so does who says that they will.
OWN = re.compile(r"我的|我卡|我身份|\b(?:my|mine)\b")
_GIVES = re.compile(
    r"我[一-鿿]{0,3}(?:报|報|发|發|提供|告诉|告訴|输入|輸入|填)(?!我)"
    r"|\b(?:i'?ll|i will|i am|i'm|i can|i|let me) (?:just |now |then )?"
    r"(?:giv|send|provid|shar|typ|enter|read|tell|confirm|verify)"
)
_BARE_NUMBER = frozenset(["号码", "號碼", "号", "號", "编号", "編號"])
_POINTS = re.compile(r"\b(?:is|are|here|below|as follows)\b|是|为|如下|[:：]")
# A phone number in its groups, with what stands between them, is no longer than this.
PHONE = 15
_YEAR = r"(?:19|20)[0-9]{2}"
_DATE = re.compile(
    rf"\s*(?:[0-3]?[0-9]([/.-])[0-3]?[0-9]\1{_YEAR}|{_YEAR}([/.-])[01]?[0-9]\2[0-3]?[0-9])"
    r"(?:[\sT]+[0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9])?)?\s*[。.,，]?\s*"
).fullmatch
_IN_PHONE = re.compile(r"[ )）]?[-‐-―－)）]").match


class Piece(NamedTuple):
    """A run of digits in one message, as a part that a number may have."""

    note: int
    """The message's place in its lane."""
    track: int
    place: int
    """Its place among the runs of this message."""
    value: str
    """Compact: ASCII digits and upper-case letters."""
    start: int
    end: int
    gap: str | None
    """What stands before it, where that is nothing but separators."""
    lead: int
    """How far from the run before it, or from the message's start."""
    tail: int
    """How far from the message's end, or from the run after it."""
    named: int
    """Rules whose words name it directly (卡号是…), or that were asked for."""
    near: int
    """Rules whose words stand right before or after it."""
    weak: int
    """Rules whose words stand somewhere near."""
    denied: int
    """Rules that a label right before it speaks against: no number of theirs begins here."""
    refused: int
    """Those whose number does not go on here either. 后四位 ("last four") denies a whole card,
    and yet is what one says before the rest of one; 订单号 (order number) refuses it."""
    opens: int
    """How far from the message's start, where nothing but an ordinal is before it."""
    ordinal: bool = False
    """Whether it may say which part the message is (2/3, ②, part 2:), and be none itself."""
    introduced: bool = False
    """Whether words of its own message name it: a number begins here."""
    told: int = 0
    """Rules that words of its own message speak for."""


class Talk(NamedTuple):
    """What the words of a text say, its digits aside."""

    lowered: str
    words: list[tuple[int, int, int, int]]
    """Each word of a rule as (start, end, rules it speaks for, rules it speaks against)."""
    speaks_for: int
    mentions: int
    """Rules that any word speaks for, though another may speak against them."""
    asks: bool
    announces: int
    """Rules whose number the text ends by announcing."""


def listen(rules: RuleSet, text: str) -> Talk:
    """What is said in a text."""
    lowered = lower(text)
    words = rules.words.find(lowered)
    if not words:
        return Talk(lowered, words, 0, 0, False, 0)
    if len(words) > 1:
        words = _compounds(words, lowered)
    speaks_for = speaks_against = 0
    for _, _, yes, no in words:
        speaks_for |= yes
        speaks_against |= no
    asks = _ASKS_BY_SIGN(lowered) is not None or _ASKS_BY_WORD(" " + lowered) is not None
    if asks and _GIVES.search(lowered):
        asks = False
    announces = 0 if asks and not OWN.search(lowered) else _announced(words, lowered)
    return Talk(lowered, words, speaks_for & ~speaks_against, speaks_for, asks, announces)


def _compounds(
    words: list[tuple[int, int, int, int]], lowered: str
) -> list[tuple[int, int, int, int]]:
    """The words, where a bare 号码 behind another is part of that: 身份证号码 is no phone."""
    compounds = words[:1]
    for word in words[1:]:
        before = compounds[-1]
        if word[0] == before[1] and lowered[word[0] : word[1]] in _BARE_NUMBER:
            compounds[-1] = (before[0], word[1], before[2], before[3])
        else:
            compounds.append(word)
    return compounds


def sentence_ends(lowered: str, start: int) -> bool:
    """Whether a sentence ends after `start`: no word behind that speaks for what is before."""
    return _SENTENCE_END.search(lowered, start) is not None


def runs(rules: RuleSet, text: str, talk: Talk, counted: int | None = None) -> tuple[Runs, ...]:
    """Where the runs of a text are, for each track; `counted` is as for `read`."""
    letters = [track.letters for track in rules.tracks]
    is_counted = counted is not None and may_be_counted(text, counted)
    return runs_of(text, talk.lowered, talk.words, letters, is_counted=is_counted)


def say_nothing(rules: RuleSet, text: str, tracks: tuple[Runs, ...]) -> bool:
    """Whether no run is a number or begins one, where no word and no question speaks for any.

    Most runs of digits are such: they need no closer look. What begins no number is either of
    no rule's shape, or stands in the midst of talk.
    """
    for track, found in zip(rules.tracks, tracks, strict=True):
        last = len(found) - 1
        for index, (start, end) in enumerate(found):
            tail = (
                gaps.between(text[end : found[index + 1][0]])
                if index < last
                else gaps.behind(text[end:])
            )
            full, grows, _ = track.ask(_value(text, start, end), 0, checked=tail >= gaps.LABEL)
            if full or (grows and tail <= gaps.LABEL):
                return False
    return True


def read(
    rules: RuleSet,
    text: str,
    talk: Talk | None = None,
    tracks: tuple[Runs, ...] | None = None,
    *,
    note: int = 1,
    asked: int = 0,
    alone: int = 0,
    heard: int = 0,
    refused: int = 0,
    counted: int | None = None,
) -> tuple[tuple[Piece, ...], ...]:
    """The runs of a text, as pieces of numbers, for each track.

    `talk` and `tracks` are what `listen` and `runs` say of it, where that is known. `asked`
    holds the rules that the other party asked for, or that this sender announced last, `alone`
    those of them beside which nothing else was; `heard` those that were spoken of lately;
    `refused` those of which an answer that is one bare run, long enough to be one, is none.
    `counted` is what the message before was counted as (2. 4111), where it was.
    """
    if talk is None:
        talk = listen(rules, text)
    if tracks is None:
        tracks = runs(rules, text, talk)
    pieces = tuple(
        [
            _pieces(rules, text, talk, found, number, note, asked, alone, heard, counted)
            for number, found in enumerate(tracks)
        ]
    )
    if refused:
        pieces = tuple(_refuse(found, refused) for found in pieces)
    return pieces


def _refuse(pieces: tuple[Piece, ...], refused: int) -> tuple[Piece, ...]:
    """A bare answer to a question for another number, as long as a whole one, is that number.

    Where any word of its own speaks for it, the question does not matter; nor does it for what
    has the length of a resident ID, whose region and date prove more than a question.
    """
    if len(pieces) != 1:
        return pieces
    piece = pieces[0]
    size = len(piece.value)
    if size < LONG_ANSWER or size == ID_LENGTH or max(piece.lead, piece.tail) > gaps.LINE:
        return pieces
    return (piece._replace(denied=piece.denied | (refused & ~(piece.weak | piece.near))),)


def _announced(words: Sequence[tuple[int, int, int, int]], lowered: str) -> int:
    """The rules whose number a text says is coming (my card number is; 卡号发你; 卡号：)."""
    start, end, yes, no = words[-1]
    if len(lowered) - end > NEAR_BEFORE or not yes or no == yes:
        return 0
    word, rest = lowered[start:end], lowered[end:]
    if NAMES_A_NUMBER.search(word) or NAMES_A_NUMBER.match(rest.lstrip()) or _POINTS.search(rest):
        return yes & ~no
    return 0


def _value(text: str, start: int, end: int) -> str:
    value = text[start:end]
    if value.isascii() and value.isdigit():
        return value
    return value.translate(characters.COMPACT)


def _pieces(
    rules: RuleSet,
    text: str,
    talk: Talk,
    runs: Runs,
    track: int,
    note: int,
    asked: int,
    alone: int,
    heard: int,
    counted: int | None,
) -> tuple[Piece, ...]:
    if not runs:
        return ()
    lowered, words = talk.lowered, talk.words
    starred = "*" in text
    pieces: list[Piece] = []
    at = 0
    previous_end = 0
    last = len(runs) - 1
    lead = opens = gaps.edge(text[: runs[0][0]])
    before = behind = 0
    undated = rules.undated if len(runs) > 2 and _DATE(text) is not None else 0
    if last and (is_small(runs[0]) or is_small(runs[-1])):
        before, behind = ordinals(text, runs, counted)
    for index, (start, end) in enumerate(runs):
        following = runs[index + 1][0] if index < last else len(text)
        tail = gaps.between(text[end:following]) if index < last else gaps.behind(text[end:])
        named = near = weak = denied = refused = 0
        if words:
            said_from = previous_end
            if starred:
                # Stars are the digits they were: words reach as far as they did before.
                star = text.find("*", end, following)
                if star >= 0:
                    following = end if text[start - 1 : start] == "*" else star
                low = max(0, start - FAR_BEFORE)
                said_from = max(previous_end, masked_before(text, low, start))
            while at < len(words) and words[at][1] < start - FAR_BEFORE:
                at += 1
            named, near, weak, denied, refused = _said(
                words, at, lowered, start, end, said_from, following, starred
            )
        introduced, told = named != 0, weak | near
        if undated:
            # A message that is a date, and no answer to a question for a card, is part of none.
            refused |= undated & ~(asked | heard)
            denied |= refused
        gap = text[previous_end:start] if index and lead == gaps.JOINED else None
        if gap and pieces[-1].refused and _IN_PHONE(gap) and end - pieces[-1].start <= PHONE:
            # 电话是010-62881144: what a label says of the first group it says of the next.
            refused |= pieces[-1].refused & ~named
            denied |= refused
            near, weak = near & ~refused, weak & ~refused
        if index:
            opens = gaps.LABEL if index <= before else gaps.BROKEN
            if index <= before:
                # What is said before the ordinal is said of what it stands for.
                named |= pieces[-1].named & ~denied
                near |= pieces[-1].near & ~denied
                weak |= pieces[-1].weak & ~denied
        if heard or asked:
            weak |= (heard | asked) & ~denied
            if asked and min(lead, opens) <= gaps.LABEL:
                near |= asked & ~denied
                named |= alone & ~denied
            elif asked and _is_the_answer(index, last, tail):
                near |= asked & rules.secrets & ~denied
        value = _value(text, start, end)
        pieces.append(
            Piece(note, track, index, value, start, end, gap, lead, tail,
                  named, near, weak, denied, refused, opens,
                  index < before or index > last - behind, introduced, told)
        )  # fmt: skip
        previous_end, lead = end, tail
    return tuple(pieces)


def _is_the_answer(index: int, last: int, tail: int) -> bool:
    """Whether a run may be the code that was asked for, whatever is said before it.

    The only number in an answer, and what it begins or ends with: codes are never stored.
    """
    if index == last:
        return not last or tail <= gaps.LABEL
    return not index and tail <= gaps.LINE


def _said(
    words: Sequence[tuple[int, int, int, int]],
    first: int,
    lowered: str,
    start: int,
    end: int,
    previous_end: int,
    following: int,
    starred: bool,
) -> tuple[int, int, int, int, int]:
    """What its text's words say of the run: (named, near, weak, denied, refused)."""
    named = near = weak = denied = refused = 0
    for place in range(first, len(words)):
        word_start, word_end, yes, no = words[place]
        if word_start > end + NEAR_AFTER:
            break
        if word_end <= start:
            distance = start - word_end
            if yes and distance <= FAR_BEFORE:
                weak |= yes
                if (
                    distance <= NEAR_BEFORE
                    and word_end >= previous_end
                    and _SENTENCE_END.search(lowered, word_end, start) is None
                ):
                    near |= yes
            # The nearest word is the label: 订单号 denies a card, unless 卡号 stands closer.
            if distance <= NEAR_BEFORE:
                named = denied = refused = 0
                if _DIRECT.fullmatch(lowered, word_end, start):
                    named, denied = yes, no
                    if no and not gaps.ONLY_LABEL.fullmatch(lowered, word_start, word_end):
                        refused = no
        elif (
            yes
            and end <= word_start <= end + NEAR_AFTER
            and word_end <= following
            and _SENTENCE_END.search(lowered, end, word_start) is None
            # What was masked before is what a word in front of it names.
            and not (starred and _NAMES_STARS(lowered, word_end))
        ):
            near |= yes
            weak |= yes
    return named & ~denied, near & ~denied, weak & ~denied, denied, refused

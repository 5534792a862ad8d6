"""The compact view: what a text is to a number.

A text becomes its runs of digits (or of digits and letters, for rules that read
those), each in plain upper-case ASCII whatever it was written in, with its place
in the text, how far it stands from its neighbours, and what the words around it
say. Rules never see anything else of a text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import regex

from masker.core import characters, gaps
from masker.core.ruleset import ANY_X, RuleSet, lower

# How far a word's influence goes, in characters: forward to a number, and back to one.
NEAR_BEFORE = 24
FAR_BEFORE = 60
NEAR_AFTER = 24
# An answer of so many digits is the whole of what was asked for.
LONG_ANSWER = 13
ID_LENGTH = 18
# What is left of a number that was masked: so few digits, behind so many stars.
REMNANT_DIGITS = 4
REMNANT_STARS = 4

_ASCII_LETTER = "A-Za-z"
_DIGITS = re.compile(
    f"[0-9]+|(?:(?![0-9])[{characters.DIGIT_CLASS}])+|[{characters.HANZI_CLASS}]+"
    f"|(?<![{_ASCII_LETTER}])[{re.escape(characters.X_FORMS)}](?![{_ASCII_LETTER}])"
    # Letters may be glued to a whole ID.
    f"|(?<=[{characters.DIGIT_CLASS}]{{17}})[{re.escape(characters.X_FORMS)}]"
)
# The same runs, quicker, where there is no check character: one class first, then what is in it.
_ASCII_DIGITS = re.compile("[0-9]+").finditer
_CLUSTERS = re.compile(f"[{characters.DIGIT_CLASS}{characters.HANZI_CLASS}]+").finditer
_ALNUM = f"{characters.DIGIT_CLASS}{characters.LETTER_CLASS}"
_WORDS = re.compile(
    f"(?<![{characters.LETTER_CLASS}])[{characters.LETTER_CLASS}]*[{characters.DIGIT_CLASS}][{_ALNUM}]*"
)
_GROUP_BETWEEN = re.compile(r"[ -]{1,3}([A-Z]{1,5})[ -]{1,3}")
_GROUP_BEFORE = re.compile(r"(?<![A-Za-z])([A-Z]{1,5})[ (-]{1,3}$")
_GROUP_AFTER = re.compile(r"[ (-]{1,3}([A-Z]{1,5})(?![A-Za-z])")
# The letters at the end may yet be a group of their own, or begin a word that has digits too.
_GROUP_SO_FAR = re.compile(
    rf"[ (-]{{1,3}}(?:[A-Z]{{1,5}}[ -]{{0,3}})?"
    rf"|[{characters.SEPARATOR_CLASS}]{{1,3}}[{characters.LETTER_CLASS}]{{1,34}}"
)
_GROUP_OPEN = re.compile(f"(?<![{_ALNUM}])[{characters.LETTER_CLASS}]{{1,34}}[ (-]{{0,3}}\\Z")
_FIRST_HANZI, _LAST_HANZI = "\u4e00", "\u9fff"
_SENTENCE_END = re.compile(r"[。！？!?\n；;]|\.(?=\s)")
# Only these stand between a label and the number it names (订单号是：…, order no. is #…).
_DIRECT = re.compile(
    r"(?:(?![。！？!?\n；;])[\W_]|号|號|码|碼|编号|数字|是|为|為|的|nos?(?![a-z])|numbers?|num(?![a-z])|id(?![a-z])|ids(?![a-z])"
    r"|is(?![a-z])|was(?![a-z])|are(?![a-z])|codes?(?![a-z])){0,12}"
)
# How the other party asks for something. Each begins with a character, so that C skips to it.
_ASKS_BY_SIGN = re.compile(
    r"\?|？|请|請|提供|告诉|告訴|发一下|发送|输入|輸入|填写|报一下|多少|什么|什麼|吗|嗎|核对|核实|需要|麻烦"
).search
_ASKS_BY_WORD = re.compile(
    r"[^\w](?:please|pls|provide|give|tell|send|enter|type|what|which|may|can|could|need|confirm|share"
    r"|verify|supply|state|read)\b"
).search
# Expressions that run over whole texts begin with a character, so that C skips to the first that
# fits: what must not stand before it is looked at behind it.
_CURRENCY_SIGN = re.compile(r"[$¥￥€£元块塊]").search
_CURRENCY_WORD = re.compile(r"usd|rmb|cny|eur|gbp|dollar|bucks|yuan").search
# A group among others (4111 1111元) is no amount.
_MONEY = (
    r"[0-9](?<![0-9.,].)(?<![0-9]{3}[ -].)(?:[0-9]{0,2}(?:,[0-9]{3})+|[0-9]{0,6})(?:\.[0-9]{1,2})?"
    r"(?![0-9]|[ -][0-9]{3})"
)
_SIGN_AMOUNT = re.compile(rf"[$¥￥€£]\s?({_MONEY})").finditer
_WORD_AMOUNT = re.compile(rf"(?:usd|rmb|cny|eur|gbp)(?<!\w...)\s?({_MONEY})").finditer
_AMOUNT_OF = re.compile(
    rf"({_MONEY})\s?(?:[€元块塊]|[$¥￥£](?!\s?[0-9])|(?:usd|rmb|cny|eur|gbp|dollars?|bucks|yuan)\b)"
).finditer
# The time of day, and the month a card expires.
_TIME = re.compile(
    r"([0-9](?<![0-9:：].)(?:(?<=[0-2])[0-9])?[:：][0-5][0-9](?:[:：][0-5][0-9])?)(?![0-9:：])"
).finditer
_EXPIRY = re.compile(
    r"(?:exp(?:iry|ires?|iration)?|valid(?: thru| till| until)?|有效期)\W{0,4}"
    r"((?:0?[1-9]|1[0-2])\s?[/.-]\s?(?:20)?[2-4][0-9])(?![0-9])"
).finditer
_NAMES_A_NUMBER = re.compile(r"号|號|码|碼|number|\bno\b|digits|cvv|cvc|otp|code|pan\b")
_NUMBER_FOLLOWS = re.compile(r"\s?(?:的|'s)?\s?(?:号|號|编号|number|no\b|id\b|#)")
_POINTS = re.compile(r"\b(?:is|are|here|below|as follows)\b|是|为|如下|[:：]")

# A phone number in its groups, with what stands between them, is no longer than this.
PHONE = 15
_IN_PHONE = re.compile(r"[ )）]?[-‐-―－)）]").match

_URL = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://|www\.)[!-~]+"
    r"|(?<![a-z0-9@])(?:[a-z0-9-]+\.)+[a-z]{2,10}(?::[0-9]+)?/[!-~]*",
    re.IGNORECASE,
)
_UUID_SOURCE = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_UUID = re.compile(rf"(?<![0-9a-f-]){_UUID_SOURCE}(?![0-9a-f-])", re.IGNORECASE)
_UUID_SO_FAR = regex.compile(_UUID_SOURCE, regex.IGNORECASE)
_UUID_BEGUN = re.compile(r"(?<![0-9a-f-])[0-9a-f]{8}-[0-9a-f-]*\Z", re.IGNORECASE)
# In a hash, or a machine's id, digits follow on letters that follow on digits.
_GLUED = re.compile("[0-9][a-zA-Z]").search
_HASH = re.compile(r"(?<![0-9a-z])[a-z]*[0-9]+[a-z]+(?:[0-9]+[a-z]+)*[0-9]+", re.IGNORECASE)


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
    speaks_for = speaks_against = 0
    for _, _, yes, no in words:
        speaks_for |= yes
        speaks_against |= no
    asks = _ASKS_BY_SIGN(lowered) is not None or _ASKS_BY_WORD(" " + lowered) is not None
    announces = 0 if asks else _announced(words, lowered)
    return Talk(lowered, words, speaks_for & ~speaks_against, speaks_for, asks, announces)


def blocked_spans(text: str) -> list[tuple[int, int]]:
    """Where digits are part of an address, an identifier or a hash of a machine's making."""
    spans = []
    if "/" in text or "www." in text:
        spans += [match.span() for match in _URL.finditer(text)]
    if "-" in text:
        spans += [match.span() for match in _UUID.finditer(text)]
    for match in _HASH.finditer(text) if _GLUED(text) is not None else ():
        # Its first run of digits may be a number with letters behind it.
        letters = next(
            place for place in range(match.start(), match.end()) if text[place].isdigit()
        )
        while text[letters].isdigit():
            letters += 1
        spans.append((letters, match.end()))
    return spans


def _is_remnant(text: str, start: int, end: int) -> bool:
    """Whether this is what a number that was masked before still shows, behind its stars."""
    if end - start > REMNANT_DIGITS or ord(text[end : end + 1] or " ") in characters.VALUE:
        return False
    stars = 0
    for place in range(start - 1, max(-1, start - 1 - gaps.MAX_SEPARATORS), -1):
        if text[place] == "*":
            stars += 1
            if stars == REMNANT_STARS:
                return True
        elif not characters.is_separator(text[place]):
            break
    return False


def _outside(
    runs: list[tuple[int, int]], spans: Sequence[tuple[int, int]], size: int
) -> list[tuple[int, int]]:
    """The runs that begin in none of the spans."""
    inside = bytearray(size)
    for low, high in spans:
        inside[low:high] = b"\1" * (high - low)
    return [run for run in runs if not inside[run[0]]]


def open_identifier(text: str) -> int:
    """Where a word begins, at the end of a text, that may yet turn out to be a UUID."""
    word = _UUID_BEGUN.search(text)
    if word is not None and _UUID_SO_FAR.fullmatch(word.group(), partial=True):
        return word.start()
    return len(text)


def may_be_group(gap: str) -> bool:
    """Whether this, behind a run, may turn out a group of capitals within a number."""
    return _GROUP_SO_FAR.fullmatch(gap) is not None


def open_group(text: str) -> int:
    """Where letters begin, at the end of a text, that may be the start of a code."""
    match = _GROUP_OPEN.search(text)
    return match.start() if match is not None else len(text)


def sentence_ends(lowered: str, start: int) -> bool:
    """Whether a sentence ends after `start`: no word behind that speaks for what is before."""
    return _SENTENCE_END.search(lowered, start) is not None


# A count or an ordinal inside a label is no part of a number: 前4位, 第1段, first 4:, part 2 is.
_COUNTED = "位段部组組个個节截串码碼"
_PARTS = "first|next|last|final|other|middle|remaining|part|segment|group|block|chunk"
_TWO_DIGITS = f"([{characters.DIGIT_CLASS}]{{1,2}})"
_COUNT = re.compile(
    rf"(?:(?:\A|[{gaps.LABEL_HANZI}])\s?{_TWO_DIGITS}\s?(?=[{_COUNTED}])"
    rf"|第\s?{_TWO_DIGITS}(?![{characters.DIGIT_CLASS}])"
    rf"|\b(?:{_PARTS})\s([0-9]{{1,2}})"
    r"(?=\s?(?:digits?|numbers?|ones|figures?|nums?|chars?|characters?|:|：|=|is\b|are\b)))",
    re.IGNORECASE,
)
_COUNTED_NEAR = re.compile(f"[第{_COUNTED}]").search


# Where parts are numbered, 2. 4111 or (2/3) 4111 or ②4111, nobody can say whether the first digit
# is of the number: it is read both ways.
_ORDINAL_DIGITS = 2
_OF = re.compile(r"\s?(?:[/／]|of|之)\s?").fullmatch
_TO = re.compile(r"\s?(?:[~～–-]|to|至|到)\s?").fullmatch
_OPENS_ORDINAL = re.compile(r"[(（\[【<#＃]\s?\Z").search
_CLOSES_ORDINAL = re.compile(r"\s?(?:(?:st|nd|rd|th)(?![a-z]))?[)）\]】>.．。、:：,，=#]*\s*")
_MARKS_ORDINAL = re.compile(r"[^\s]").search


def _may_count(text: str, found: list[tuple[int, int]]) -> bool:
    """Whether any of these runs may be the count of a label: a digit or two beside its word."""
    few = [start for start, end in found if end - start <= 2 and text[start].isdigit()]
    if few and _COUNTED_NEAR(text) is not None:
        return True
    return any(
        start > 1 and text[start - 1].isspace() and text[start - 2].isalpha() for start in few
    )


def _ordinals(text: str, runs: list[tuple[int, int]]) -> tuple[int, int]:
    """How many runs at the start of a text, and at its end, may only say which part it is."""
    return _ordinals_before(text, runs), _ordinals_behind(text, runs)


def _is_small(run: tuple[int, int]) -> bool:
    return run[1] - run[0] <= _ORDINAL_DIGITS


def _ordinals_before(text: str, runs: list[tuple[int, int]]) -> int:
    (start, end), *more = runs
    if not (more and _is_small(runs[0])):
        return 0
    before = text[:start]
    if gaps.edge(before) > gaps.LABEL:
        return 0
    is_labelled = gaps.edge(before) == gaps.LABEL
    is_open = _OPENS_ORDINAL(before) is not None
    count = 1
    if len(runs) > 2 and _is_small(more[0]):
        between = text[end : more[0][0]].lower()
        if _OF(between) or ((is_labelled or is_open) and _TO(between)):
            end, count = more[0][1], 2
    following = runs[count]
    gap = text[end : following[0]].lower()
    closed = _CLOSES_ORDINAL.match(gap)
    if gaps.edge(gap[closed.end() :] if closed is not None else gap) > gaps.LABEL:
        return 0
    if count > 1 or is_open or text[end - 1].isascii() != text[following[0]].isascii():
        return count
    if _is_small(following):
        return 0
    # A mark that stands between other digits as well is how they are written.
    written = {text[one[1] : other[0]] for one, other in pairwise(runs[count:])}
    is_marked = _MARKS_ORDINAL(gap) is not None and text[end : following[0]] not in written
    return count if is_labelled or is_marked else 0


def _ordinals_behind(text: str, runs: list[tuple[int, int]]) -> int:
    *more, (start, end) = runs
    if not (more and _is_small(runs[-1])) or gaps.edge(text[end:]) > gaps.LINE:
        return 0
    if _OPENS_ORDINAL(text[:start]) is not None:
        return 1
    low, high = more[-1]
    is_pair = len(more) > 1 and _is_small(more[-1]) and _OF(text[high:start].lower()) is not None
    is_apart = text[low - 1].isspace() or _OPENS_ORDINAL(text[:low]) is not None
    return 2 if is_pair and is_apart else 0


def digit_runs(text: str) -> list[tuple[int, int]]:
    """The runs of digits of one script; lone Hanzi numerals only where they are not words.

    >>> digit_runs("等一下, 6222 ０２")
    [(5, 9), (10, 12)]
    """
    is_ascii = text.isascii()
    if "x" in text or "X" in text or not (is_ascii or ANY_X(text) is None):
        found = [match.span() for match in _DIGITS.finditer(text)]
    elif is_ascii:
        found = [match.span() for match in _ASCII_DIGITS(text)]
    else:
        found = []
        for cluster in _CLUSTERS(text):
            if cluster.group().isascii():
                found.append(cluster.span())
            else:
                found += [match.span() for match in _DIGITS.finditer(text, *cluster.span())]
    if _may_count(text, found):
        counts = {match.span(match.lastindex or 0) for match in _COUNT.finditer(text)}
        found = [span for span in found if span not in counts]
    if is_ascii and "x" not in text and "X" not in text:
        return found
    runs: list[tuple[int, int]] = []
    lone: list[tuple[int, int]] = []
    size = len(text)
    for place, (start, end) in enumerate(found):
        if end - start == 1 and not text[start].isdigit():
            after = found[place + 1][0] if place + 1 < len(found) else size
            if (
                start
                and end < after
                and text[end] in characters.WORD_AFTER_NUMERAL
                and _FIRST_HANZI <= text[start] <= _LAST_HANZI
                and _FIRST_HANZI <= text[start - 1] <= _LAST_HANZI
                and not (runs and runs[-1][1] == start)
            ):
                # 一下, 三天: the common case, said without a look at the gaps.
                continue
            joined_left = bool(runs) and _is_joined(text[runs[-1][1] : start])
            if ord(text[start]) not in characters.HANZI:
                # The check character X: only behind digits, or alone but for a label.
                if not joined_left and not _stands_alone(text, start, end):
                    lone.append((start, end))
                    continue
            elif (
                not joined_left
                and not (after < size and _is_joined(text[end:after]))
                and _is_word(text, start, end)
            ):
                continue
        runs.append((start, end))
    # Where it is all there is, it may be the last of an ID, whatever is said with it.
    return runs or lone[-1:]


def _stands_alone(text: str, start: int, end: int) -> bool:
    return gaps.edge(text[:start]) == gaps.LINE or (
        gaps.edge(text[:start]) == gaps.LABEL and gaps.edge(text[end:]) <= gaps.LABEL
    )


def _is_joined(gap: str) -> bool:
    if gap and _FIRST_HANZI <= gap[0] <= _LAST_HANZI:
        return False
    return gaps.ONLY_SEPARATORS.fullmatch(gap) is not None


def _is_word(text: str, start: int, end: int) -> bool:
    """Whether a lone Hanzi numeral, with no digit beside it, is part of an ordinary word."""
    opens = gaps.NOTHING_SAID.fullmatch(text[:start]) is not None
    closes = gaps.NOTHING_SAID.fullmatch(text[end:]) is not None
    before, after = text[start - 1 : start], text[end : end + 1]
    if closes:
        return not opens and before in characters.WORD_BEFORE_NUMERAL
    if after in characters.WORD_AFTER_NUMERAL:
        return True
    if opens or gaps.NOTHING_SAID.fullmatch(before):
        return False
    return before not in characters.BEFORE_LONE_NUMERAL


def word_runs(text: str) -> list[tuple[int, int]]:
    """The words of letters and digits that hold a digit, and short groups of capitals between."""
    runs: list[tuple[int, int]] = []
    for match in _WORDS.finditer(text):
        start, end = match.span()
        if runs:
            group = _GROUP_BETWEEN.fullmatch(text, runs[-1][1], start)
        else:
            group = _GROUP_BEFORE.search(text, max(0, start - 9), start)
        if group is not None:
            runs.append(group.span(1))
        runs.append((start, end))
    if runs:
        group = _GROUP_AFTER.match(text, runs[-1][1])
        if group is not None:
            runs.append(group.span(1))
    return runs


def runs(rules: RuleSet, text: str, talk: Talk) -> tuple[list[tuple[int, int]], ...]:
    """Where the runs of a text are, for each track."""
    blocked = blocked_spans(text)
    return tuple([_runs(text, talk, blocked, track.letters) for track in rules.tracks])


def say_nothing(rules: RuleSet, text: str, tracks: tuple[list[tuple[int, int]], ...]) -> bool:
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
    tracks: tuple[list[tuple[int, int]], ...] | None = None,
    *,
    note: int = 1,
    asked: int = 0,
    heard: int = 0,
    refused: int = 0,
) -> tuple[tuple[Piece, ...], ...]:
    """The runs of a text, as pieces of numbers, for each track.

    `talk` and `tracks` are what `listen` and `runs` say of it, where that is known. `asked`
    holds the rules that the other party asked for, or that this sender announced last; `heard`
    those that were spoken of lately; `refused` those of which an answer that is one bare run,
    long enough to be one, is none.
    """
    if talk is None:
        talk = listen(rules, text)
    if tracks is None:
        tracks = runs(rules, text, talk)
    pieces = tuple(
        [
            _pieces(text, talk, found, number, note, asked, heard)
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


def other_number_asked(words: Sequence[tuple[int, int, int, int]], lowered: str) -> int:
    """The rules of which a question, by naming another number, says that it wants none."""
    refused = speaks_for = 0
    for start, end, yes, no in words:
        speaks_for |= yes
        if _NAMES_A_NUMBER.search(lowered[start:end]) or _NUMBER_FOLLOWS.match(lowered, end):
            refused |= no
    return refused & ~speaks_for


def _announced(words: Sequence[tuple[int, int, int, int]], lowered: str) -> int:
    """The rules whose number a text says is coming (my card number is; 卡号发你; 卡号：)."""
    start, end, yes, no = words[-1]
    if len(lowered) - end > NEAR_BEFORE or not yes or no == yes:
        return 0
    word, rest = lowered[start:end], lowered[end:]
    if _NAMES_A_NUMBER.search(word) or _NAMES_A_NUMBER.match(rest.lstrip()) or _POINTS.search(rest):
        return yes & ~no
    return 0


def _runs(
    text: str, talk: Talk, blocked: Sequence[tuple[int, int]], letters: bool
) -> list[tuple[int, int]]:
    """The runs of one track, but those that are amounts, moments, addresses or what is masked."""
    found = word_runs(text) if letters else digit_runs(text)
    if not found:
        return found
    spans = _amounts_and_moments(talk.lowered)
    if spans:
        found = _outside(found, spans, len(text))
    if "*" in text:
        found = [run for run in found if not _is_remnant(text, *run)]
    if blocked:
        named_ends = {end for _, end, yes, _ in talk.words if yes}
        closed = [
            (low, high)
            for low, high in blocked
            # A word may name what starts here even inside an address (…?card=4111…).
            if not any(end in named_ends for end in range(low, high))
        ]
        found = _outside(found, closed, len(text))
    return found


def _amounts_and_moments(lowered: str) -> list[tuple[int, int]]:
    """Where money is (1,288.00 元, $99), the time of day, and when a card expires (exp 12/27)."""
    looks = []
    is_sign = _CURRENCY_SIGN(lowered) is not None
    is_word = _CURRENCY_WORD(lowered) is not None
    if is_sign:
        looks.append(_SIGN_AMOUNT)
    if is_word:
        looks.append(_WORD_AMOUNT)
    if is_sign or is_word:
        looks.append(_AMOUNT_OF)
    if ":" in lowered or "：" in lowered:
        looks.append(_TIME)
    if "exp" in lowered or "valid" in lowered or "有效期" in lowered:
        looks.append(_EXPIRY)
    return [match.span(1) for look in looks for match in look(lowered)]


def _value(text: str, start: int, end: int) -> str:
    value = text[start:end]
    if value.isascii() and value.isdigit():
        return value
    return value.translate(characters.COMPACT)


def _pieces(
    text: str,
    talk: Talk,
    runs: list[tuple[int, int]],
    track: int,
    note: int,
    asked: int,
    heard: int,
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
    if last and (_is_small(runs[0]) or _is_small(runs[-1])):
        before, behind = _ordinals(text, runs)
    for index, (start, end) in enumerate(runs):
        following = runs[index + 1][0] if index < last else len(text)
        tail = gaps.between(text[end:following]) if index < last else gaps.behind(text[end:])
        named = near = weak = denied = refused = 0
        if words:
            said_from = previous_end
            if starred:
                # Stars are the digits they were: words reach as far as they did before.
                star = text.find("*", end, following)
                following = star if star >= 0 else following
                said_from = max(previous_end, text.rfind("*", 0, start) + 1)
            while at < len(words) and words[at][1] < start - FAR_BEFORE:
                at += 1
            named, near, weak, denied, refused = _said(
                words, at, lowered, start, end, said_from, following
            )
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
                named |= asked & ~denied
        value = _value(text, start, end)
        pieces.append(
            Piece(note, track, index, value, start, end, gap, lead, tail,
                  named, near, weak, denied, refused, opens,
                  index < before or index > last - behind)
        )  # fmt: skip
        previous_end, lead = end, tail
    return tuple(pieces)


def _said(
    words: Sequence[tuple[int, int, int, int]],
    first: int,
    lowered: str,
    start: int,
    end: int,
    previous_end: int,
    following: int,
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
        ):
            near |= yes
            weak |= yes
    return named & ~denied, near & ~denied, weak & ~denied, denied, refused

"""Where the digits of a text stand, as runs: what is no part of any number is left out.

Amounts, moments, counts, addresses of machines, and what is masked already, are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import regex

from masker.core import characters, gaps
from masker.core.ruleset import ANY_X

# What is left of a number that was masked: so few digits, behind so many stars.
REMNANT_DIGITS = 4
REMNANT_STARS = 4
# What is counted, right behind a number; not what the parts of a number are counted in (位, 段).
_QUANTITIES = "|".join(
    ["[年月日元块塊栋棟幢室层層岁歲度折楼樓%％℃]", "[号號][楼樓]", "[单單]元", "分[钟鐘]",
     "小[时時]", "千瓦", "公[里斤]", "平米"]
)  # fmt: skip
_QUANTITY_BEHIND = re.compile(_QUANTITIES)
_QUANTITY = re.compile(f"[0-9](?:{_QUANTITIES})").search
_FRACTION = re.compile(r"(?<![0-9.])0\.\Z").search
_DECIMALS = 13
# A lone numeral between fillers has no more of them beside it.
MOST_SAID = 6
_HANZI_BEFORE = re.compile("[一-鿿]*$")
_HANZI_AFTER = re.compile("[一-鿿]*")
_ASCII_LETTER = "A-Za-z"
_DIGITS = re.compile(
    f"[0-9]+|(?:(?![0-9])[{characters.DIGIT_CLASS}])+|[{characters.HANZI_CLASS}]+"
    f"|(?<![{_ASCII_LETTER}])[{re.escape(characters.X_FORMS)}](?![{_ASCII_LETTER}])"
    # Letters may be glued to a whole ID.
    f"|(?<=[{characters.DIGIT_CLASS}]{{17}})[{re.escape(characters.X_FORMS)}]"
)
# The same runs, quicker, where there is no check character: one class first, then what is in it.
_ASCII_DIGITS = re.compile("[0-9]+").finditer
_ASCII_DIGIT = re.compile("[0-9]").search
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
# A count or an ordinal inside a label is no part of a number: 前4位, 第1段, first 4:, part 2 is.
_COUNTED = "位段部组組个個节截串码碼"
_PARTS = "first|next|last|final|other|middle|remaining|part|segment|group|block|chunk"
_TWO_DIGITS = f"([{characters.DIGIT_CLASS}]{{1,2}})"
_UP_TO = rf"\s?(?:[-–~～至到]|to)\s?{_TWO_DIGITS}"
_COUNT = re.compile(
    rf"(?:(?:\A|[{gaps.LABEL_HANZI}])\s?{_TWO_DIGITS}\s?(?=[{_COUNTED}])"
    # （6位）, 1-8位：…, digits 1-8: …
    rf"|(?<![{characters.DIGIT_CLASS}]){_TWO_DIGITS}(?:{_UP_TO})?(?=\s?位)"
    rf"|(?:(?<![^\n])|\b(?:digits?|numbers?|characters?|positions?) ){_TWO_DIGITS}{_UP_TO}"
    r"(?=\s?[:：=]|\s(?:is|are)\b)"
    rf"|第\s?{_TWO_DIGITS}(?![{characters.DIGIT_CLASS}])"
    rf"|\b(?:{_PARTS})\s([0-9]{{1,2}})"
    r"(?=\s?(?:digits?|numbers?|ones|figures?|nums?|chars?|characters?|:|：|=|is\b|are\b)))",
    re.IGNORECASE,
)
_COUNTED_NEAR = re.compile(f"[第{_COUNTED}]").search


Runs = list[tuple[int, int]]


def runs_of(
    text: str,
    lowered: str,
    words: Sequence[tuple[int, int, int, int]],
    tracks: Iterable[bool],
    *,
    is_counted: bool = False,
) -> tuple[Runs, ...]:
    """The runs of each track, but those that are amounts, moments, addresses or what is masked.

    `tracks` says of each whether it reads letters; `is_counted`, that what looks like a moment
    is no such thing.
    """
    every = [word_runs(text) if letters else digit_runs(text) for letters in tracks]
    if not any(every):
        return tuple(every)
    for start, end, _, _ in words:
        if _ASCII_DIGIT(lowered, start, end) is not None:
            # CVV2, 6位密码: of the word, and of no number, unless it is not over yet.
            last = min(end, len(text) - 1)
            every = [
                [run for run in found if not start <= run[0] < run[1] <= last] for found in every
            ]
    spans = _amounts_and_moments(lowered)
    if spans and not is_counted:
        every = [_outside(found, spans, len(text)) for found in every]
    if "0." in text:
        # The many decimals of a fraction (0.4111…): no list counts from nought.
        every = [
            [
                (start, end)
                for start, end in found
                if end - start < _DECIMALS or _FRACTION(text, max(0, start - 3), start) is None
            ]
            for found in every
        ]
    if "*" in text:
        every = [[run for run in found if not is_remnant(text, *run)] for found in every]
    if _QUANTITY(text) is not None:
        every = [
            [
                run
                for place, run in enumerate(found)
                if not _is_quantity(text, *run, found[place - 1][1] if place else 0)
            ]
            for found in every
        ]
    blocked = blocked_spans(text)
    if blocked:
        named_ends = {end for _, end, yes, _ in words if yes}
        closed = [
            (low, high)
            for low, high in blocked
            # A word may name what starts here even inside an address (…?card=4111…).
            if not any(end in named_ends for end in range(low, high))
        ]
        every = [_outside(found, closed, len(text)) for found in every]
    return tuple(every)


def digit_runs(text: str) -> Runs:
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
        counts = {
            match.span(group)
            for match in _COUNT.finditer(text)
            for group in range(1, _COUNT.groups + 1)
        }
        found = [span for span in found if span not in counts]
    if is_ascii and "x" not in text and "X" not in text:
        return found
    runs: Runs = []
    lone: Runs = []
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


def word_runs(text: str) -> Runs:
    """The words of letters and digits that hold a digit, and short groups of capitals between."""
    runs: Runs = []
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


def blocked_spans(text: str) -> Runs:
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


def _is_quantity(text: str, start: int, end: int, previous: int) -> bool:
    """Whether this counts what stands behind it (10月, 20元, 52号楼): no part of a number."""
    return (
        end - start <= REMNANT_DIGITS
        and _QUANTITY_BEHIND.match(text, end) is not None
        and (not previous or gaps.ONLY_SEPARATORS.fullmatch(text, previous, start) is None)
    )


def is_remnant(text: str, start: int, end: int) -> bool:
    """Whether this is what a number that was masked before still shows, behind its stars."""
    while ord(text[end : end + 1] or " ") in characters.VALUE:
        end += 1
    if end - start > REMNANT_DIGITS:
        return False
    stars, digits = 0, end - start
    for place in range(start - 1, max(-1, start - 1 - gaps.MAX_SEPARATORS), -1):
        if text[place] == "*":
            stars += 1
            if stars == REMNANT_STARS:
                return True
        elif not stars and ord(text[place]) in characters.VALUE and digits < REMNANT_DIGITS:
            digits += 1
        elif not characters.is_separator(text[place]):
            break
    return False


def _outside(runs: Runs, spans: Sequence[tuple[int, int]], size: int) -> Runs:
    """The runs that begin in none of the spans."""
    inside = bytearray(size)
    for low, high in spans:
        inside[low:high] = b"\1" * (high - low)
    return [run for run in runs if not inside[run[0]]]


def _may_count(text: str, found: Runs) -> bool:
    """Whether any of these runs may be the count of a label: a digit or two beside its word."""
    few = [start for start, end in found if end - start <= 2 and text[start].isdigit()]
    if few and _COUNTED_NEAR(text) is not None:
        return True
    return any(
        start > 1 and text[start - 1].isspace() and text[start - 2].isalpha() for start in few
    )


def _stands_alone(text: str, start: int, end: int) -> bool:
    before = gaps.edge(text[:start])
    return before == gaps.LINE or (
        before == gaps.LABEL
        and (not text[end : end + 1].isalnum() or gaps.edge(text[end:]) <= gaps.LABEL)
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
    if text[start:end] in characters.NEVER_A_WORD:
        return False
    if opens or gaps.NOTHING_SAID.fullmatch(before):
        return False
    return before not in characters.BEFORE_LONE_NUMERAL and (
        before in characters.WORD_BEFORE_NUMERAL or not _is_said(text, start, end)
    )


def _is_said(text: str, start: int, end: int) -> bool:
    """Whether only fillers and labels stand beside a numeral, up to a mark (嗯四，接着二啊，)."""
    before = _HANZI_BEFORE.search(text, max(0, start - MOST_SAID), start)
    after = _HANZI_AFTER.match(text, end, end + MOST_SAID)
    around = (before.group() if before else "") + (after.group() if after else "")
    return len(around) < MOST_SAID and gaps.ONLY_LABEL.fullmatch(around) is not None


def _amounts_and_moments(lowered: str) -> Runs:
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

"""What stands around a candidate in its message: whether it is more than cells of a table.

A list, a table, an address, an amount and a phone number hold digits that make a number by chance.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import NamedTuple

from masker.core import characters, gaps
from masker.core.compact import Piece
from masker.core.evidence import CHECKED, STRONG_CHECK, Candidate, Joint, Kind, has_region_and_date
from masker.core.groups import COUNTING, MAX_DIGITS, PHONE, is_counting, is_natural
from masker.core.patterns import CompiledRule, reads_letters

_EXPIRY_DIGITS = 6
_EXPIRY = re.compile("(?:0[1-9]|1[0-2])(?:20)?[2-4][0-9]").fullmatch
_PARTS_DATES = frozenset(["/", "-", "／", " / "])
_YEAR = 4
# Printed on the card, behind the date: so many digits at most.
_SECURITY_CODE = 4
_OCTET = 255
_PARTS_CLAUSES = re.compile("[,，、。;；]").search
# An expiry date and a security code behind a card have no more.
TAIL_DIGITS = 10
_PHONE_DIGITS = 11
# Groups that are dialled, from the trunk prefix or a mobile number's first digit on.
_DIALLED = {(3, 4, 4), (3, 8), (4, 8), (4, 7)}
# A run of so many digits is a number by itself, beside groups that are shorter.
_LONG = 10
# So many numbers right before a candidate make it a cell among cells.
_CROWD = 2
_LEAST_CARD = 13
# A ZIP code, and a phone number as it is dialled in groups: no network writes a card so.
_ZIP_AND_DIALLED = (5, 3, 3, 4)
TABLE_BEFORE = 200
# Stars, with what parts them, right behind a run.
MASKED_BEHIND = re.compile(rf"[{characters.SEPARATOR_CLASS}]*\*[*{characters.SEPARATOR_CLASS}]*")
# So many cells make a row; over two rows, so many in the second.
_CELLS, _FEW_CELLS = 3, 2
_RUN = re.compile(r"\d+")
_WIDE = re.compile(r"\S {2,}(?=\S)")
_COMMA = re.compile(r",")
# Nobody pays, in any currency, what has more digits than this before the decimal point.
_AMOUNT = 14
# A ZIP code and a North American number; a Chinese or Indian postcode and a mobile number.
_POSTCODE_AND_PHONE = re.compile(
    r"[0-9]{5,6} (?:1?[2-9][0-9]{2}[2-9][0-9]{6})|[1-9][0-9]{5} (?:1[3-9][0-9]{9}|[6-9][0-9]{9})"
)
# How far an address reaches around its postcode and phone number, in characters.
ADDRESS_BEFORE = 80
ADDRESS_AFTER = 40
_ADDRESS = re.compile(
    r"\b(?:street|st|avenue|ave|road|rd|drive|lane|ln|blvd|boulevard|court|suite|apt|unit|zip|zipcode|postal"
    r"|postcode|pin ?code|address|phone|contact|telephone|mobile|cell|nagar)\b"
    r"|(?-i:\b[A-Z]{2})\W{1,3}$|电话|電話|手机|手機|邮编|郵編|地址|联系|聯繫|收件|寄到|送到",
    re.IGNORECASE,
)
_QUAD = re.compile(
    r"(?<![0-9.])(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})"
    r"(?:\.(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})){3}(?!\.?[0-9])"
)


def is_plausible(
    joint: Joint,
    candidate: Candidate,
    pieces: tuple[Piece, ...],
    text: str,
    ends: Collection[int] = (),
) -> bool:
    """Whether a candidate is more than some cells of a table, a list, or an address.

    `pieces` and `text` are those of the message that its last part stands in, and `ends` where
    numbers end in it.
    """
    compiled = candidate.rule
    parts = joint.parts
    first, last = parts[0][0], joint.last
    sizes = tuple(len(piece.value) for piece, _ in parts)
    is_called = joint.called & compiled.bit != 0
    if len(sizes) >= COUNTING and is_counting(parts):
        return False
    if sizes == _ZIP_AND_DIALLED and not is_called and parts[1][0].note == last.note:
        return False
    if first.note != last.note:
        return is_called or not (_has_network_address(parts) or _ends_in_quad(text, last))
    around = _look_around(parts, pieces, text, ends)
    if candidate.kind is Kind.CALLED:
        # Without a check digit only the whole of what the words point at is the number.
        is_address = not joint.named & compiled.bit and _is_postcode_and_phone(parts, pieces, text)
        is_whole = around.digits_behind <= TAIL_DIGITS or around.is_parted
        return around.starts_block and is_whole and not is_address
    if compiled.context_required:
        return around.starts_block and _is_what_words_ask_for(parts, around)
    has_check = candidate.score >= CHECKED
    if has_check and len(joint.value) >= STRONG_CHECK and joint.value[-1] == "X":
        return True
    if _is_dialled(text, first.start, len(joint.value), compiled):
        return False
    if len(sizes) == 1:
        return True
    if reads_letters(compiled.rule.pattern) and joint.value.isdigit():
        # A card in its groups has the shape of many a code of letters and digits.
        return is_called
    is_amount = _is_amount(text, parts) and not (is_called and len(joint.value) > _AMOUNT)
    if is_amount or _is_network_addresses(text, first, last):
        return False
    if not has_check:
        is_dialled = sizes in _DIALLED and joint.value[0] in "01"
        return is_natural(sizes) or is_dialled or _stands_alone(first, around)
    if is_called or has_region_and_date(compiled, joint.value):
        return True
    if _is_postcode_and_phone(parts, pieces, text) or _is_table(text, parts):
        return False
    if is_natural(sizes) and around.starts_block:
        return True
    return _is_no_cell(parts, _before(parts, pieces, ends, text), around, text, ends)


class _Around(NamedTuple):
    """What stands right before and behind some runs of one message."""

    starts_block: bool
    """Whether no digits stand right before them."""
    digits_behind: int
    inner: frozenset[str | None]
    """The gaps between them."""
    follows: str | None
    """The gap to the next run, where that is nothing but separators."""
    is_parted: bool
    """Whether digits behind are parted from them otherwise than they are, or are a number."""


def _look_around(
    parts: tuple[tuple[Piece, int], ...],
    pieces: Sequence[Piece],
    text: str,
    ends: Collection[int],
) -> _Around:
    first, last = parts[0][0], parts[-1][0]
    inner = frozenset([piece.gap for piece, _ in parts[1:]])
    behind = pieces[last.place + 1] if last.place + 1 < len(pieces) else None
    digits_behind = _digits_behind(last, pieces, text)
    follows = None if behind is None else behind.gap
    is_long = behind is not None and _is_long(behind, parts)
    return _Around(
        starts_a_block(first, pieces, text, ends),
        digits_behind, inner, follows, digits_behind > 0 and (follows not in inner or is_long),
    )  # fmt: skip


def _is_what_words_ask_for(parts: tuple[tuple[Piece, int], ...], around: _Around) -> bool:
    """Whether it is a number by itself, with an expiry date or another number behind it."""
    if any(_PARTS_CLAUSES(piece.gap or "") for piece, _ in parts[1:]):
        return False
    is_list = around.digits_behind <= TAIL_DIGITS and not around.is_parted
    if len(parts) > 1:
        return not around.digits_behind or not is_list
    digits = around.digits_behind
    return parts[0][0].introduced or digits <= _EXPIRY_DIGITS or digits > TAIL_DIGITS


def _stands_alone(first: Piece, around: _Around) -> bool:
    """Whether other digits beside it are parted from it otherwise than its groups are."""
    is_own_line = first.lead == gaps.LINE and None not in around.inner
    is_apart = first.gap is not None and first.gap not in around.inner
    starts = around.starts_block or is_apart or is_own_line
    return starts and (not around.digits_behind or around.is_parted)


def _is_no_cell(
    parts: tuple[tuple[Piece, int], ...],
    before: list[Piece],
    around: _Around,
    text: str,
    ends: Collection[int],
) -> bool:
    """Whether what a check digit proves is more than some cells of a table or list."""
    first, last = parts[0][0], parts[-1][0]
    inner = around.inner
    natural = is_natural(tuple(len(piece.value) for piece, _ in parts))
    is_among_others = not natural and (before or around.digits_behind)
    if is_among_others and (_has_decimals(parts) or _is_row(text, first, last, ends)):
        return False
    is_apart = first.gap is not None and first.gap not in inner
    if first.lead == gaps.LINE:
        # Lines of its own, or the first cells of a row.
        is_row = None not in inner and (natural or around.follows is None)
        is_apart = is_row or not _is_like_row_before(parts, before)
    if _is_crowd(before, first.gap) and not is_apart:
        return False
    starts = around.starts_block or is_apart
    if natural:
        return starts or around.is_parted or around.digits_behind <= _PHONE_DIGITS
    if first.gap is not None and not around.starts_block and len(inner) > 1:
        # Not from the middle of one group to the middle of another (010-5687,010-5687).
        return False
    return starts and (around.digits_behind <= TAIL_DIGITS or around.is_parted)


def _digits_behind(last: Piece, pieces: Sequence[Piece], text: str) -> int:
    """How many digits stand right behind a run; stars are the digits they were."""
    digits, end = 0, last.end
    for piece in pieces[last.place + 1 :]:
        if piece.lead > gaps.LINE or digits > _PHONE_DIGITS:
            break
        digits += len(piece.value)
        end = piece.end
    masked = MASKED_BEHIND.match(text, end)
    return digits + masked.group().count("*") if masked else digits


def _before(
    parts: tuple[tuple[Piece, int], ...],
    pieces: Sequence[Piece],
    ends: Collection[int],
    text: str,
) -> list[Piece]:
    """The runs right before some parts, up to talk or a number."""
    place = parts[0][0].place
    while place and pieces[place].lead <= gaps.LINE:
        before = pieces[place - 1]
        if (
            before.end in ends
            or _is_long(before, parts)
            or _is_in_word(text, pieces[place], pieces)
        ):
            break
        place -= 1
    return list(pieces[place : parts[0][0].place])


def _is_long(other: Piece, parts: tuple[tuple[Piece, int], ...]) -> bool:
    """Whether another run is a number by itself, beside groups as short as these."""
    return len(other.value) >= _LONG > max(len(piece.value) for piece, _ in parts)


def _is_in_word(text: str, piece: Piece, pieces: Sequence[Piece]) -> bool:
    """Whether the run before one is the end of a word or name (Tulip245 4111…, 张三，4111…)."""
    if not piece.place or piece.lead > gaps.LINE:
        return False
    run = pieces[piece.place - 1]
    before = text[run.start - 1 :][:1] if run.start else ""
    if before.isascii():
        return before.isalpha()
    return (
        run.end - run.start == 1 and ord(text[run.start]) in characters.HANZI and before.isalpha()
    )


def _is_crowd(runs: list[Piece], gap: str | None) -> bool:
    """Whether these are cells of a list or table, and no date, phone or mistyped card."""
    if 1 + sum(piece.gap == gap for piece in runs[1:]) < _CROWD:
        return False
    sizes = tuple(len(piece.value) for piece in runs)
    value = "".join(piece.value for piece in runs)
    is_card = _LEAST_CARD <= len(value) <= MAX_DIGITS and is_natural(sizes)
    return PHONE.fullmatch(value) is None and not is_card


def _is_like_row_before(parts: tuple[tuple[Piece, int], ...], before: list[Piece]) -> bool:
    """Whether the line before has as many cells as the first line of these, or one as long."""
    row = 1
    while row < len(parts) and parts[row][0].lead != gaps.LINE:
        row += 1
    cells = 1
    while cells < len(before) and before[-cells].lead < gaps.LINE:
        cells += 1
    is_like = row > 1 or (bool(before) and len(parts[0][0].value) == len(before[-1].value))
    return row == cells and is_like


def _has_decimals(parts: tuple[tuple[Piece, int], ...]) -> bool:
    """Whether amounts or coordinates are among these: 937-6462 12 158.95."""
    points = [piece.gap == "." for piece, _ in parts[1:]]
    return 0 < sum(points) < len(points) and not any(map(all, pairwise(points)))


def _is_row(text: str, first: Piece, last: Piece, ends: Collection[int]) -> bool:
    """Whether these are cells of a row, as a line before it is written alike."""
    start = text.rfind("\n", 0, last.start) + 1
    row = _RUN.sub("9", text[start : last.end])
    is_over_rows = first.start < start and text[: first.start].rstrip(" ")[-1:] != "\n"
    if row.count("9") < (_FEW_CELLS if is_over_rows else _CELLS):
        return False
    at = max(0, start - TABLE_BEFORE)
    for line in text[at:start].splitlines(keepends=True):
        at += len(line)
        if _RUN.sub("9", line).startswith(row) and not any(
            at - len(line) < end < at for end in ends
        ):
            return True
    return False


def starts_a_block(first: Piece, pieces: Sequence[Piece], text: str, ends: Collection[int]) -> bool:
    """Whether no digits stand right before a run, but for a number, an expiry date or a name."""
    place = first.place
    if place == 0 or first.lead > gaps.LINE or pieces[place - 1].end in ends:
        return True
    if _is_in_word(text, first, pieces):
        return True
    if len(first.value) > _SECURITY_CODE:
        return False
    year = pieces[place - 1]
    is_behind = place == 1 or pieces[place - 2].end in ends
    if place > 1 and (year.gap in _PARTS_DATES or _ends_behind(place - 2, pieces, ends)):
        month = pieces[place - 2]
        if _EXPIRY(month.value + year.value) is not None:
            return True
        if _EXPIRY(year.value + month.value) is not None and len(month.value) == _YEAR:
            return True
    return (year.gap is None or is_behind) and _EXPIRY(year.value) is not None


def _ends_behind(place: int, pieces: Sequence[Piece], ends: Collection[int]) -> bool:
    """Whether a number ends right before a run."""
    return place > 0 and pieces[place - 1].end in ends


def _is_amount(text: str, parts: tuple[tuple[Piece, int], ...]) -> bool:
    """An amount with its thousands parted: 4,111,111,111.50."""
    groups = [piece for piece, _ in parts]
    if len(groups[-1].value) <= 2 and groups[-1].gap == ".":
        groups = groups[:-1]
    return (
        len(groups) > 1
        and len(groups[0].value) <= 3
        and all(len(piece.value) == 3 and piece.gap == "," for piece in groups[1:])
    )


def _is_table(text: str, parts: tuple[tuple[Piece, int], ...]) -> bool:
    """Cells in a row, or over rows: several lines are parted in the same way."""
    inner = {piece.gap or "" for piece, _ in parts[1:]}
    # What comes after is not looked at: a row is known by those before it.
    text = text[max(0, parts[0][0].start - TABLE_BEFORE) : parts[-1][0].end]
    if "\n" not in text:
        return False
    for column, is_inner in ((_WIDE, any("  " in gap for gap in inner)), (_COMMA, "," in inner)):
        if is_inner or len(inner) > 1:
            counts = [n for line in text.splitlines() if (n := len(column.findall(line)))]
            if len(counts) > 1 and len(set(counts)) < len(counts):
                return True
    return False


def is_natural_for(candidate: Candidate) -> bool:
    """Whether the groups of a candidate are those of one number, whatever stands behind it."""
    return candidate.rule.checked and is_natural(
        tuple(len(piece.value) for piece, _ in candidate.parts)
    )


def may_be_address(candidate: Candidate) -> bool:
    """Whether what stands behind it may show a candidate to be a postcode and a phone number."""
    return len(candidate.parts) == 2 and _are_postcode_and_phone(
        candidate.parts[0][0].value, candidate.parts[1][0].value
    )


def _is_dialled(text: str, start: int, size: int, compiled: CompiledRule) -> bool:
    """An international phone number: E.164 writes a plus and at most 15 digits."""
    return compiled.checked and size <= 15 and text[start - 1 : start] in {"+", "＋"}


def _is_postcode_and_phone(
    parts: tuple[tuple[Piece, int], ...], pieces: tuple[Piece, ...], text: str
) -> bool:
    """A postcode beside a phone number, at the end or start of an address."""
    if len(parts) != 2 or not _are_postcode_and_phone(parts[0][0].value, parts[1][0].value):
        return False
    first, last = parts[0][0], parts[-1][0]
    low, high = max(0, first.start - ADDRESS_BEFORE), last.end + ADDRESS_AFTER
    return (
        _ADDRESS.search(text[low : first.start]) is not None
        or _ADDRESS.search(text[last.end : high]) is not None
        or any(low <= piece.start < first.start or last.end < piece.end <= high for piece in pieces)
        or "**" in text[low : first.start]
        or "**" in text[last.end : high]
    )


def _are_postcode_and_phone(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return _POSTCODE_AND_PHONE.fullmatch(f"{short} {long}") is not None


def _has_network_address(parts: tuple[tuple[Piece, int], ...]) -> bool:
    """Whether of two messages one is a phone number and the other an IP address."""
    notes: dict[int, list[Piece]] = {}
    for piece, _ in parts:
        notes.setdefault(piece.note, []).append(piece)
    if len(notes) != 2:
        return False
    phone, address = sorted(notes.values(), key=len)
    return (
        len(phone) == 1
        and PHONE.fullmatch(phone[0].value) is not None
        and len(address) > 2
        and all(int(piece.value) <= _OCTET for piece in address)
        and len({len(piece.value) for piece in address}) > 1
        and all(piece.gap == "." for piece in address[1:])
    )


def _ends_in_quad(text: str, last: Piece) -> bool:
    """Whether the rest of an IP address stands behind it."""
    return any(
        match.start() <= last.start and last.end < match.end() for match in _QUAD.finditer(text)
    )


def _is_network_addresses(text: str, first: Piece, last: Piece) -> bool:
    """Dotted quads, one or several, with at most a port behind them."""
    quads = [match.end() - match.start() for match in _QUAD.finditer(text, first.start, last.end)]
    return bool(quads) and last.end - first.start - sum(quads) <= 5 + len(quads)


def is_postcode_then_phone(before: Piece, after: Piece, text: str) -> bool:
    """An address whose postcode ends a message, and a phone number that starts the next."""
    return _are_postcode_and_phone(before.value, after.value) and (
        before.place > 0 or _ADDRESS.search(text, 0, before.start) is not None
    )

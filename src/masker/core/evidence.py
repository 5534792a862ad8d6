"""When a run of digits is a number: the evidence, and how much of it a gap needs.

The looser the gaps between the parts of a candidate, the more must speak for it:
the check digit, the exact issuer prefix and length, the region and date, the words
around it and the other party's question.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from enum import IntEnum
from itertools import combinations, pairwise
from typing import NamedTuple

from masker.core import characters, gaps
from masker.core.compact import Piece
from masker.core.patterns import CompiledRule, Track, reads_letters


class Kind(IntEnum):
    """Why something is masked, the surest first; a surer reading of the same digits wins."""

    PROVEN = 0
    """Shape, and check digit where the rule has one."""
    CALLED = 1
    """The words call it one; its check digit fails, for people mistype."""
    ECHO = 2
    """No number, but a part of one that was found, sent too early or said again."""
    BEGUN = 3
    """Begun, called one or begun unmistakably, and never finished."""
    GIVEN_UP = 4
    """More readings than can be followed: masked for good."""
    PUT_RIGHT = 5
    """What stands for a part of a number that was whole already, and is said to be wrong."""


class Joint(NamedTuple):
    """Runs put together in one order: what a number would be if they were one."""

    value: str
    parts: tuple[tuple[Piece, int], ...]
    """Each run with the place of its first character in the value; a resent run stands twice."""
    last: Piece
    loosest: int
    """The loosest gap between its parts."""
    called: int
    """Rules that any words so far speak for."""
    near: int
    named: int
    denied: int
    skipped: bool
    """Whether other digits stood between its parts."""
    found: bool
    """Whether it is a number as it stands, though one that may grow."""
    holds: int = 0
    """Rules of which its beginning is a number, and proves it."""

    @property
    def first(self) -> Piece:
        """Its first run."""
        return self.parts[0][0]


class Candidate(NamedTuple):
    """A number found, or one that was begun: which characters of which messages it masks."""

    parts: tuple[tuple[Piece, int], ...]
    length: int
    """Of the number; where readings were given up, how many characters may still follow them."""
    keep_last: int
    rule: CompiledRule
    kind: Kind
    score: float

    @property
    def track(self) -> int:
        """The track of its runs."""
        return self.parts[0][0].track

    @property
    def is_in_one_message(self) -> bool:
        """Whether all its parts stand in the same message."""
        note = self.parts[0][0].note
        return all(piece.note == note for piece, _ in self.parts)

    @property
    def last_note(self) -> int:
        """The latest message it has a part in."""
        return max(piece.note for piece, _ in self.parts)


# The score of what is a part of a number, and no whole one.
PARTLY = 0.5
# The score of what a check digit proves: with words it is one, without words this.
CHECKED = 0.9
# What begins in a number that was called by name holds a number of every rule already.
EVERY_RULE = (1 << 256) - 1
# By chance it goes on as another: beside one in groups that people write it needs such groups too.
EXPLAINED = ~0
# Below this many digits a beginning is not kept hidden: four may be shown of any number,
# and the four that a masked number shows must not be masked again.
BEGUN_NAMED = 5
BEGUN_NEAR = 6
BEGUN_JOINED = 8
BEGUN_WITH_DATE = 14
BEGUN_LONG = 12
BEGUN_PARTS = 3
# The one network whose prefix is more than a digit that half of all numbers begin with.
_UNIONPAY = "62"
# ISO/IEC 7812-1: no payment network issues under a first digit of 0, 1 or 7.
_NO_NETWORK = "017"
# A check over so many characters, with a region and a date inside, does not happen by chance.
STRONG_CHECK = 18

_NATURAL = {
    (4, 6, 5), (4, 6, 4), (6, 13), (6, 12), (6, 10), (6, 8, 4), (6, 4, 4, 4), (4, 4, 4, 4, 3),
    (4, 4, 4, 4, 2), (4, 4, 4, 4, 1), (4, 4, 4, 3), (4, 4, 4, 2), (6, 6, 6), (3, 3, 4, 4, 4),
    (8, 8), (8, 8, 3), (6, 6, 3), (6, 4, 5), (6, 8, 3, 1), (6, 4, 2, 2, 4),
}  # fmt: skip
_EXPIRY_DIGITS = 6
_EXPIRY = re.compile("(?:0[1-9]|1[0-2])(?:20)?[2-4][0-9]").fullmatch
_PARTS_DATES = frozenset(["/", "-", "／", " / "])
_YEAR = 4
# Printed on the card, behind the date: so many digits at most.
_SECURITY_CODE = 4
_OCTET = 255
_PARTS_CLAUSES = re.compile("[,，、。;；]").search
# ISO/IEC 7812-1 caps a card number at 19 digits.
MAX_DIGITS = 19
# Smaller groups, in the midst of other numbers, are the numbers of a list.
LEAST_GROUP = 3
# An expiry date and a security code behind a card have no more.
TAIL_DIGITS = 10
_PHONE_DIGITS = 11
# Groups that are dialled, from the trunk prefix or a mobile number's first digit on.
_DIALLED = {(3, 4, 4), (3, 8), (4, 8), (4, 7)}
_LONG = 10
_CROWD = 2
_LEAST_CARD = 13
# Behind a region these are no birth date.
_NO_DATE = "9" * 7
_COUNTING = 6
# A ZIP code, and a phone number as it is dialled in groups: no network writes a card so.
_ZIP_AND_DIALLED = (5, 3, 3, 4)
TABLE_BEFORE = 200
MASKED_BEHIND = re.compile(rf"[{characters.SEPARATOR_CLASS}]*\*[*{characters.SEPARATOR_CLASS}]*")
# So many cells make a row; over two rows, so many in the second.
_CELLS, _FEW_CELLS = 3, 2
_RUN = re.compile(r"\d+")
_WIDE = re.compile(r"\S {2,}(?=\S)")
_COMMA = re.compile(r",")
# Nobody pays, in any currency, what has more digits than this before the decimal point.
_AMOUNT = 14
# What a whole message or group of a phone number looks like: North American, Chinese, or just ten.
_PHONE = re.compile(r"1?[2-9][0-9]{2}[2-9][0-9]{6}|[0-9]{10}|1[3-9][0-9]{9}|0[0-9]{9,11}")
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


def weigh(joint: Joint, track: Track) -> list[tuple[CompiledRule, Kind, float]]:
    """The rules for which this joint is a number, each with why and how surely."""
    value, denied = joint.value, joint.denied
    whole = track.whole(value)
    called = joint.called & ~denied & ~_named_later(joint)
    likely = (whole & ~denied) | called
    found: list[tuple[CompiledRule, Kind, float]] = []
    by_chance = joint.holds == EXPLAINED and not is_natural(sizes(joint))
    for compiled in track.rules:
        bit = compiled.bit
        if not likely & bit or (by_chance and not _has_region_and_date(compiled, value)):
            continue
        is_called = bool(called & bit)
        if compiled.context_required and not (
            joint.near & bit and joint.loosest <= gaps.LINE and not joint.skipped
        ):
            continue
        if whole & bit and compiled.check(value):
            if compiled.proves or has_check_digit(compiled, value):
                loosest = gaps.TEXT if is_called or len(value) >= STRONG_CHECK else gaps.LABEL
                score = 1.0 if is_called else CHECKED
            else:
                loosest = gaps.LABEL if is_called and joint.near & bit else gaps.LINE
                score = 0.8 if is_called else 0.75
            if joint.skipped and not is_called:
                # Other digits stood between its parts: they must be bare, and a check digit hold.
                loosest = gaps.LINE if score >= CHECKED else -1
                score = 0.75
            if joint.loosest <= loosest:
                found.append((compiled, Kind.PROVEN, score))
        elif (
            is_called
            and compiled.loose is not None
            # What goes on behind a proven number has to prove itself.
            and not joint.holds & bit
            and not _is_called_late(joint, bit)
            and not _begins_in_a_group(joint)
            # Where a phone number was asked for as well, one comes.
            and (joint.named & bit or not _begins_with_a_phone(joint))
            and compiled.loose.is_full(value)
        ):
            loosest = gaps.LABEL if joint.near & bit else gaps.LINE
            if joint.loosest <= loosest and not joint.skipped:
                found.append((compiled, Kind.CALLED, 0.75))
    return found


def _is_called_late(joint: Joint, bit: int) -> bool:
    """Whether a later part was called for, and not the first: no words say of all what it is."""
    first = joint.first
    if (first.weak | first.near) & bit:
        return False
    later = [
        piece
        for piece, _ in joint.parts
        if piece.note != first.note and (piece.weak | piece.near) & bit
    ]
    return bool(later) and not any(piece.told & bit and not piece.introduced for piece in later)


def _begins_in_a_group(joint: Joint) -> bool:
    """Whether it goes on from the midst of another message's digits (the last of a phone)."""
    first = joint.first
    return (
        first.gap is not None
        and first.opens > gaps.LABEL
        and first.note != joint.last.note
        and len(first.value) >= LEAST_GROUP
    )


def _begins_with_a_phone(joint: Joint) -> bool:
    """Whether what its first message has of it is written as long as a phone number."""
    first = joint.first.note
    said = "".join([piece.value for piece, _ in joint.parts if piece.note == first])
    return _PHONE.fullmatch(said) is not None


def sizes(joint: Joint) -> tuple[int, ...]:
    """The groups it is written in; what was said twice counts once."""
    sizes: dict[int, int] = {}
    for piece, at in joint.parts:
        sizes.setdefault(at, len(piece.value))
    return tuple(sizes.values())


def _named_later(joint: Joint) -> int:
    """Rules whose words name a later part: what came before, uncalled, is no part of that."""
    parts = joint.parts
    if len(parts) == 1:
        return 0
    first = parts[0][0]
    later = 0
    for piece, _ in parts:
        if piece.note != first.note:
            later |= piece.named
    return later & ~(first.weak | first.near)


def is_certain(joint: Joint, candidate: Candidate) -> bool:
    """Whether region and birth date hold as well as a check digit: that is never chance.

    But where parts are taken for sent twice there are many readings, and one of eleven holds.
    """
    return (
        len({at for _, at in joint.parts}) == len(joint.parts)
        and candidate.kind is Kind.PROVEN
        and candidate.score >= CHECKED
        and _has_region_and_date(candidate.rule, joint.value)
    )


def has_check_digit(compiled: CompiledRule, value: str) -> bool:
    """Whether this value proves itself: another last character would not do.

    A resident ID of the old form passes its rule's check by its region and date alone.
    """
    if not compiled.checked:
        return False
    last = value[-1]
    other = str((int(last) + 1) % 10) if last.isdigit() else "0"
    return not compiled.check(value[:-1] + other)


def waits_for_words(joint: Joint, track: Track) -> bool:
    """Whether only its check digit fails: words that call it a card may still come."""
    value = joint.value
    return any(
        compiled.loose is not None
        and not joint.denied & compiled.bit
        and compiled.pattern.is_full(value)
        and compiled.loose.is_full(value)
        for compiled in track.rules
    )


def begun(joint: Joint, track: Track) -> Candidate | None:
    """What this joint, never finished, is unmistakably the beginning of."""
    if joint.loosest > gaps.LABEL:
        joint = _before_talk(joint)
    if len(joint.value) < BEGUN_NAMED or joint.found:
        return None
    if joint.skipped or joint.holds:
        return _dictated(joint, track)
    if len(joint.parts) >= _COUNTING and _is_counting(joint.parts):
        return None
    compiled = _begun_rule(joint, track)
    if compiled is None:
        return None
    return Candidate(joint.parts, len(joint.value), 0, compiled, Kind.BEGUN, PARTLY)


def _dictated(joint: Joint, track: Track) -> Candidate | None:
    """The parts that were called for, each by itself, of a number with something else between."""
    for compiled in track.rules:
        if compiled.loose is None or joint.denied & compiled.bit:
            continue
        parts = dictated(joint.parts, compiled.bit)
        if parts:
            return Candidate(parts, len(joint.value), 0, compiled, Kind.BEGUN, PARTLY)
    return None


def dictated(parts: tuple[tuple[Piece, int], ...], bit: int) -> tuple[tuple[Piece, int], ...]:
    """The runs that were given as parts of what words name, or a question asks for.

    Not what stands in talk, nor a message that is a phone number.
    """
    said: dict[int, str] = {}
    for piece, _ in parts:
        said[piece.note] = said.get(piece.note, "") + piece.value
    return tuple(
        [
            (piece, at)
            for piece, at in parts
            if (piece.named | piece.near) & bit
            and piece.tail <= gaps.LABEL
            and _PHONE.fullmatch(said[piece.note]) is None
        ]
    )


def _begun_rule(joint: Joint, track: Track) -> CompiledRule | None:
    value = joint.value
    size = len(value)
    over_messages = joint.first.note != joint.last.note
    if not (joint.named or joint.near or over_messages):
        return None
    for compiled in track.rules:
        bit = compiled.bit
        loose = compiled.loose
        if loose is None or (joint.denied | joint.holds) & bit:
            continue
        if compiled.pattern.can_grow(value):
            if joint.named & bit:
                return compiled
            if (
                size >= BEGUN_NEAR
                and joint.near & bit
                and (joint.first.place == 0 or joint.first.lead > gaps.LINE)
                and not _begins_with_a_phone(joint)
            ):
                return compiled
            if over_messages and _is_unmistakable(joint, compiled):
                return compiled
        elif (
            size >= BEGUN_JOINED
            and joint.named & bit
            and loose.can_grow(value)
            and not _PHONE.fullmatch(value)
        ):
            return compiled
    return None


def _before_talk(joint: Joint) -> Joint:
    """The first parts of a joint, up to the first talk between them."""
    parts = [joint.parts[0]]
    for (before, _), (piece, at) in pairwise(joint.parts):
        gap = piece.lead if piece.note == before.note else max(before.tail, piece.opens)
        if gap > gaps.LABEL:
            break
        parts.append((piece, at))
    last, at = parts[-1]
    return joint._replace(
        value=joint.value[: at + len(last.value)], parts=tuple(parts), last=last,
        loosest=gaps.LABEL,
    )  # fmt: skip


def _is_unmistakable(joint: Joint, compiled: CompiledRule) -> bool:
    """Whether parts sent one after the other say by themselves that a number was being given.

    Eight digits under an issuer's prefix, or a region and a birth date: but not where a part
    is a phone number, or closes an address.
    """
    size = len(joint.value)
    if size < BEGUN_JOINED or (size < BEGUN_WITH_DATE and joint.value[0] in _NO_NETWORK):
        return False
    parts: dict[int, str] = {}
    for piece, at in joint.parts:
        if joint.value[at : at + len(piece.value)] == piece.value:
            parts[piece.note] = parts.get(piece.note, "") + piece.value
    first, last = joint.first, joint.last
    if (
        first.opens > gaps.LABEL
        or last.tail > gaps.LABEL
        or any(_PHONE.fullmatch(part) for part in parts.values())
    ):
        return False
    # Dictated digit by digit, a digit that comes again is the next one.
    said = [part for part in parts.values() if len(part) > 1]
    if any(one.startswith(other) or other.startswith(one) for one, other in combinations(said, 2)):
        return False  # The same thing again, corrected.
    if any(_is_amount_or_day(joint, note) for note in parts):
        return False
    if size >= BEGUN_WITH_DATE and _fixes_a_date(compiled, joint.value):
        return True
    if not compiled.pattern.can_grow(joint.value[:6] + _NO_DATE):
        # A region is nothing without a birth date, and other numbers have no issuer.
        return False
    groups = [len(piece.value) for piece, _ in joint.parts]
    return (
        joint.value.startswith(_UNIONPAY)
        or (size >= BEGUN_LONG and len(parts) >= BEGUN_PARTS)
        or (all(group == 4 for group in groups[:-1]) and groups[-1] <= 4)
    )


def _is_amount_or_day(joint: Joint, note: int) -> bool:
    """Whether what a message has of a joint is written like 41.50, or like 12/27."""
    mine = [piece for piece, _ in joint.parts if piece.note == note]
    if len(mine) != 2:
        return False
    whole, rest = mine
    return len(rest.value) == 2 and (rest.gap == "." or (rest.gap == "/" and len(whole.value) <= 2))


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
    if len(sizes) >= _COUNTING and _is_counting(parts):
        return False
    if sizes == _ZIP_AND_DIALLED and not is_called and parts[1][0].note == last.note:
        return False
    if first.note != last.note:
        return is_called or not (_has_network_address(parts) or _ends_in_quad(text, last))
    starts_block = starts_a_block(first, pieces, ends) or _is_in_word(text, first, pieces)
    digits_behind = _digits_behind(last, pieces, text)
    inner = {piece.gap for piece, _ in parts[1:]}
    follows = pieces[last.place + 1].gap if last.place + 1 < len(pieces) else None
    # Other digits behind it are parted from it otherwise than its groups are, or are a number.
    is_parted = digits_behind > 0 and (
        follows not in inner
        or (last.place + 1 < len(pieces) and _is_long(pieces[last.place + 1], parts))
    )
    if candidate.kind is Kind.CALLED:
        # Without a check digit only the whole of what the words point at is the number.
        is_address = not joint.named & compiled.bit and _is_postcode_and_phone(parts, pieces, text)
        is_whole = digits_behind <= TAIL_DIGITS or is_parted
        return starts_block and is_whole and not is_address
    if compiled.context_required:
        if any(_PARTS_CLAUSES(piece.gap or "") for piece, _ in parts[1:]):
            return False
        # What words ask for is a number by itself, with an expiry date or another number behind it.
        if len(sizes) > 1:
            return starts_block and (not digits_behind or is_parted or digits_behind > TAIL_DIGITS)
        is_by_itself = digits_behind <= _EXPIRY_DIGITS or digits_behind > TAIL_DIGITS
        return starts_block and (first.introduced or is_by_itself)
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
    natural = is_natural(sizes)
    is_apart = first.gap is not None and first.gap not in inner
    if not has_check:
        is_own_line = first.lead == gaps.LINE and None not in inner
        starts = starts_block or is_apart or is_own_line
        is_dialled = sizes in _DIALLED and joint.value[0] in "01"
        return natural or is_dialled or (starts and (not digits_behind or is_parted))
    if is_called:
        return True
    if _has_region_and_date(compiled, joint.value):
        return True
    if _is_postcode_and_phone(parts, pieces, text) or _is_table(text, parts):
        return False
    if natural and starts_block:
        return True
    before = _before(parts, pieces, ends, text)
    is_among_others = not natural and (before or digits_behind)
    if is_among_others and (_has_decimals(parts) or _is_row(text, first, last, ends)):
        return False
    if first.lead == gaps.LINE:
        # Lines of its own, or the first cells of a row.
        is_row = None not in inner and (natural or follows is None)
        is_apart = is_row or not _is_like_row_before(parts, before)
    if _is_crowd(before, first.gap) and not is_apart:
        return False
    starts = starts_block or is_apart
    if natural:
        return starts or is_parted or digits_behind <= _PHONE_DIGITS
    if first.gap is not None and not starts_block and len(inner) > 1:
        # Not from the middle of one group to the middle of another (010-5687,010-5687).
        starts = False
    return starts and (digits_behind <= TAIL_DIGITS or is_parted)


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
    """Whether the run before one is the end of a word (Tulip245 4111…)."""
    if not piece.place or piece.lead > gaps.LINE:
        return False
    before = text[pieces[piece.place - 1].start - 1 :][:1]
    return pieces[piece.place - 1].start > 0 and before.isascii() and before.isalpha()


def _is_crowd(runs: list[Piece], gap: str | None) -> bool:
    """Whether these are cells of a list or table, and no date, phone or mistyped card."""
    if 1 + sum(piece.gap == gap for piece in runs[1:]) < _CROWD:
        return False
    sizes = tuple(len(piece.value) for piece in runs)
    value = "".join(piece.value for piece in runs)
    is_card = _LEAST_CARD <= len(value) <= MAX_DIGITS and is_natural(sizes)
    return _PHONE.fullmatch(value) is None and not is_card


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


def starts_a_block(first: Piece, pieces: Sequence[Piece], ends: Collection[int]) -> bool:
    """Whether no digits stand right before a run, but for a number or an expiry date."""
    place = first.place
    if place == 0 or first.lead > gaps.LINE or pieces[place - 1].end in ends:
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


def _fixes_a_date(compiled: CompiledRule, value: str) -> bool:
    """Whether the shape asks more of what it has so far than an issuer's six digits."""
    return not compiled.pattern.can_grow(value[:6] + "9" * (len(value) - 6))


def _has_region_and_date(compiled: CompiledRule, value: str) -> bool:
    """Whether so much of the shape is fixed that a check digit on top is never chance."""
    # A card's pattern fixes its first six digits at most (ISO/IEC 7812-1, the old IIN).
    return len(value) >= STRONG_CHECK and not compiled.pattern.is_full(
        value[:6] + "9" * (len(value) - 10) + value[-4:]
    )


def _is_counting(parts: tuple[tuple[Piece, int], ...]) -> bool:
    """One, two, three, ...: somebody counts, or numbers a list."""
    numbers = [int(piece.value) if piece.value.isdigit() else -1 for piece, _ in parts]
    return all(after - before == 1 for before, after in pairwise(numbers))


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


def may_become_natural(sizes: tuple[int, ...]) -> bool:
    """Whether groups so far, with more behind them, may be those of one number."""
    return (sizes[0] >= LEAST_GROUP and len(set(sizes)) == 1) or any(
        natural[: len(sizes)] == sizes for natural in _NATURAL
    )


def is_natural(sizes: tuple[int, ...]) -> bool:
    """Whether these are groups in which people and printers write one number."""
    if len(sizes) == 1 or sizes in _NATURAL:
        return True
    size = sizes[0]
    return size >= LEAST_GROUP and all(other == size for other in sizes[:-1]) and sizes[-1] <= size


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
        and _PHONE.fullmatch(phone[0].value) is not None
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

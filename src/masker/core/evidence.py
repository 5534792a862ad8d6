"""When a run of digits is a number: the evidence, and how much of it a gap needs.

The looser the gaps between the parts of a candidate, the more must speak for it:
the check digit, the exact issuer prefix and length, the region and date, the words
around it and the other party's question.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from masker.core import gaps
from masker.core.compact import Piece
from masker.core.groups import LEAST_GROUP, PHONE, is_natural
from masker.core.patterns import CompiledRule, Track


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
# A check over so many characters, with a region and a date inside, does not happen by chance.
STRONG_CHECK = 18


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
        if not likely & bit or (by_chance and not has_region_and_date(compiled, value)):
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
            and (joint.named & bit or not begins_with_a_phone(joint))
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


def begins_with_a_phone(joint: Joint) -> bool:
    """Whether what its first message has of it is written as long as a phone number."""
    first = joint.first.note
    said = "".join([piece.value for piece, _ in joint.parts if piece.note == first])
    return PHONE.fullmatch(said) is not None


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
        and has_region_and_date(candidate.rule, joint.value)
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


def has_region_and_date(compiled: CompiledRule, value: str) -> bool:
    """Whether so much of the shape is fixed that a check digit on top is never chance."""
    # A card's pattern fixes its first six digits at most (ISO/IEC 7812-1, the old IIN).
    return len(value) >= STRONG_CHECK and not compiled.pattern.is_full(
        value[:6] + "9" * (len(value) - 10) + value[-4:]
    )

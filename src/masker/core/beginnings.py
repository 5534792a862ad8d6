"""What was begun and never finished, and yet is unmistakably a number."""

from __future__ import annotations

from itertools import combinations, pairwise

from masker.core import gaps
from masker.core.compact import Piece
from masker.core.evidence import PARTLY, Candidate, Joint, Kind, begins_with_a_phone
from masker.core.groups import COUNTING, PHONE, is_counting
from masker.core.patterns import CompiledRule, Track

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
# Behind a region these are no birth date.
_NO_DATE = "9" * 7


def begun(joint: Joint, track: Track) -> Candidate | None:
    """What this joint, never finished, is unmistakably the beginning of."""
    if joint.loosest > gaps.LABEL:
        joint = _before_talk(joint)
    if len(joint.value) < BEGUN_NAMED or joint.found:
        return None
    if joint.skipped or joint.holds:
        return _dictated(joint, track)
    if len(joint.parts) >= COUNTING and is_counting(joint.parts):
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
            and PHONE.fullmatch(said[piece.note]) is None
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
                and not begins_with_a_phone(joint)
            ):
                return compiled
            if over_messages and _is_unmistakable(joint, compiled):
                return compiled
        elif (
            size >= BEGUN_JOINED
            and joint.named & bit
            and loose.can_grow(value)
            and not PHONE.fullmatch(value)
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
        or any(PHONE.fullmatch(part) for part in parts.values())
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


def _fixes_a_date(compiled: CompiledRule, value: str) -> bool:
    """Whether the shape asks more of what it has so far than an issuer's six digits."""
    return not compiled.pattern.can_grow(value[:6] + "9" * (len(value) - 6))

"""What is sent twice: the other reading of a part that comes again.

A part that equals an earlier one may be that one again, or the next of a number whose parts are
equal. Both readings are followed; where two come to the same, they are one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from masker.core import gaps
from masker.core.compact import Piece
from masker.core.evidence import Candidate, Joint, Kind

# Shorter parts are taken for sent twice only right behind each other.
SENT_AGAIN = 3
# In a part of so many digits two may be wrong, in a shorter one only one.
MISTYPED_TWICE = 6
# Somebody who says one digit for ever is not resending it: so many messages of a joint may repeat
# others, and in so many a number that was found is looked for.
MAX_RESENDS = 16
MAX_MESSAGES = 48
# Nor does anybody put right more groups of a number than these.
MAX_CORRECTIONS = 1

# What people say when they put something right.
corrects = re.compile(
    r"不对|不對|不是|[啊哦噢]不|不不|错|錯|更正|纠正|改成|改为|改為|应该是|應該是|我是说|抱歉|对不起|對不起|重发|重來|重来|重说|再说一遍"
    r"|\b(?:sorry|oops|no|wait|typo|mistake|wrong|correct(?:ion)?|mean|meant|scratch|should be"
    r"|again)\b",
    re.IGNORECASE,
).search


def merge(joints: dict[tuple[str, int, int], Joint], joint: Joint) -> None:
    """Keep a joint; two that begin together and read the same are one, with the runs of both.

    Whatever speaks for either speaks for it, and what speaks against it must for both.
    """
    key = (joint.value, joint.first.note, joint.first.place)
    same = joints.get(key)
    if same is None:
        joints[key] = joint
        return
    if same.parts != joint.parts and resends(same) >= MAX_RESENDS:
        joints[key] = max(same, joint, key=lambda one: (one.last.note, -len(one.parts)))
        return
    joints[key] = same._replace(
        parts=same.parts + tuple(part for part in joint.parts if part not in same.parts),
        last=max(same.last, joint.last),
        loosest=min(same.loosest, joint.loosest),
        called=same.called | joint.called,
        near=same.near | joint.near,
        named=same.named | joint.named,
        denied=same.denied & joint.denied,
        skipped=same.skipped and joint.skipped,
        found=same.found and joint.found,
        holds=same.holds & joint.holds,
    )


def resends(joint: Joint) -> int:
    """How many messages in it repeat a part that it has already."""
    parts = joint.parts
    if len({at for _, at in parts}) == len(parts):
        return 0
    known: set[int] = set()
    again: set[int] = set()
    for piece, at in parts:
        if at in known:
            again.add(piece.note)
        known.add(at)
    return len(again)


def sent_again(
    joints: list[Joint],
    candidates: tuple[Candidate, ...],
    recent: tuple[tuple[Piece, ...], ...],
    pieces: tuple[Piece, ...],
) -> tuple[list[Joint], list[Candidate]]:
    """The other reading of a message that repeats an earlier one: the same part, sent twice.

    The same digits are the same part, in whatever groups.
    """
    digits = digits_of(pieces)
    track = pieces[0].track
    resent: list[Joint] = []
    copied: list[Candidate] = []
    for before in reversed(recent):
        earlier = [piece for piece in before if piece.track == track]
        if (
            before is recent[-1]
            and len(pieces) > 1
            and digits_of(earlier) != digits
            and is_again(digits_of(earlier), digits)
        ):
            note, gap = before[0].note, max(earlier[-1].tail, pieces[0].lead, gaps.LINE)
            resent += [
                again(joint, pieces, gap)
                for joint in joints
                if joint.called and joint.last.note == note and resends(joint) < MAX_CORRECTIONS
            ]
        if digits_of(earlier) == digits:
            note, old, new = before[0].note, _places(earlier), _places(pieces)
            for joint in joints:
                copies = _copies(joint.parts, note, old, new)
                if copies and resends(joint) < MAX_RESENDS:
                    newest = copies[-1][0] if joint.last.note == note else joint.last
                    resent.append(joint._replace(parts=joint.parts + copies, last=newest))
            for candidate in candidates:
                if candidate.track != track or candidate.is_in_one_message:
                    # What is whole in one message is found in its repetition by itself.
                    continue
                copies = _copies(candidate.parts, note, old, new)
                if copies and candidate.kind < Kind.BEGUN and _spread(candidate) < MAX_MESSAGES:
                    copied.append(candidate._replace(parts=candidate.parts + copies))
            break
        if len(digits) < SENT_AGAIN:
            # A digit or two that came up before is no part sent twice, unless it was the last one.
            break
    return resent, copied


def is_again(earlier: str, digits: str) -> bool:
    """Whether digits may be others said again: the same, put right, or now to the end."""
    size = len(earlier)
    if min(size, len(digits)) < SENT_AGAIN or earlier[0] != digits[0]:
        return False
    if len(digits) > size:
        return digits.startswith(earlier)
    if len(digits) < size:
        return False
    wrong = [place for place in range(size) if earlier[place] != digits[place]]
    return (
        len(wrong) <= (1 if size < MISTYPED_TWICE else 2)
        # Two digits that changed places are one mistake.
        or (len(wrong) == 2 and wrong[1] == wrong[0] + 1
            and earlier[wrong[0]] == digits[wrong[1]] and earlier[wrong[1]] == digits[wrong[0]])
    )  # fmt: skip


def again(joint: Joint, pieces: tuple[Piece, ...], gap: int) -> Joint:
    """A joint whose last group, or all that its last message has of it, these runs say again."""
    last = joint.last
    start = min(
        at
        for piece, at in joint.parts
        if piece == last or (len(pieces) > 1 and piece.note == last.note)
    )
    parts, value = joint.parts, joint.value[:start]
    called, near, named = joint.called, joint.near, joint.named
    for piece in pieces:
        parts += ((piece, len(value)),)
        value += piece.value
        called |= piece.weak | piece.near
        near |= piece.near
        named |= piece.named
    return joint._replace(
        value=value, parts=parts, last=pieces[-1], loosest=max(joint.loosest, gap),
        called=called, near=near, named=named, found=False,
    )  # fmt: skip


def digits_of(pieces: Iterable[Piece], track: int | None = None) -> str:
    """The digits of some runs in their order: all of them, or those of one track."""
    return "".join([piece.value for piece in pieces if track is None or piece.track == track])


def _spread(candidate: Candidate) -> int:
    """Over how many messages a number is spread."""
    return len({piece.note for piece, _ in candidate.parts})


def _places(pieces: Iterable[Piece]) -> list[tuple[int, int, Piece]]:
    """Each run with where it begins and ends among the digits of its message."""
    places = []
    end = 0
    for piece in pieces:
        start, end = end, end + len(piece.value)
        places.append((start, end, piece))
    return places


def _copies(
    parts: tuple[tuple[Piece, int], ...],
    note: int,
    old: list[tuple[int, int, Piece]],
    new: list[tuple[int, int, Piece]],
) -> tuple[tuple[Piece, int], ...]:
    """The runs that repeat those of a number's parts which stand in message `note`."""
    covered: dict[int, set[int]] = {}
    for piece, at in parts:
        if piece.note == note:
            start, end, _ = old[piece.place]
            # A run may stand in more than one place of a number (two readings that are the same).
            covered.setdefault(at - start, set()).update(range(start, end))
    return tuple(
        [
            (piece, start + shift)
            for shift, digits in covered.items()
            for start, end, piece in new
            if digits.issuperset(range(start, end))
        ]
    )

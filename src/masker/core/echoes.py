"""What else a person says of a number that was found: a part of it, sent too early or read back.

Whoever types half a number, sends it, and then sends the whole has shown that half; so has who
types it wrong first. Such digits are masked as the part of the number that they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from masker.core import gaps
from masker.core.compact import Piece
from masker.core.evidence import PARTLY, Candidate, Kind
from masker.core.repeats import is_again

# Fewer digits are a price or a day; where a message has no others, fewer still may be meant.
LEAST_ECHO = 4
LEAST_BARE = 3
# As many of so many digits may be mistyped: fewer would often be alike by chance.
MISTYPED = ((8, 2), (6, 1))
# One digit that came up before is no part said again.
LEAST_AGAIN = 2
# Nobody puts more than this right at once.
MOST_PUT_RIGHT = 32
# So many digits that are another's are so whatever they make.
LEAST_CHANCE = 8
# So many runs are compared with numbers at once: more are no talk, and would take too long.
MOST_LOOKS = 16_384


def echoes(
    known: tuple[Candidate, ...],
    found: tuple[Candidate, ...],
    recent: tuple[tuple[Piece, ...], ...],
    pieces: tuple[Piece, ...],
    others: Sequence[Candidate] = (),
    *,
    is_put_right: bool = False,
) -> tuple[Candidate, ...]:
    """What repeats part of a number and has no part in any: in `pieces`, and before new numbers.

    Messages that a number has a part in are left alone: a text is masked the same however
    it comes, and what comes early cannot wait for what may come late. `others` are numbers of
    other people, which these may read back; `is_put_right`, whether words or an edit say that
    `pieces` put something right.
    """
    numbers = [one for one in (*known, *found) if is_whole(one)]
    if not numbers and not others:
        return ()
    own = {part[:3] for one in numbers for part, _ in one.parts}
    # By identity: to compare each with all others takes ever longer as there are more.
    new, theirs = set(map(id, found)), set(map(id, others))
    before = [[one for one in message if one[:3] not in own] for message in recent]
    now = [one for one in pieces if one[:3] not in own]
    # What reads back so much of another's number may be one by chance.
    read_back = [one for one in pieces if one[:3] not in own or len(one.value) >= LEAST_CHANCE]
    echoed: dict[tuple[tuple[Piece, int], ...], Candidate] = {}
    if is_put_right:
        _put_right(echoed, [one for one in known if is_whole(one)], pieces)
    looked_for: set[tuple[str, int, int, int, bool, frozenset[int]]] = set()
    looks = MOST_LOOKS
    for number in (*numbers, *others):
        is_new = id(number) in new
        # Notes are counted for each person: those of others are none of these.
        notes = frozenset([part.note for part, _ in number.parts if id(number) not in theirs])
        kind = (_value(number), number.keep_last, number.track, number.rule.bit, is_new, notes)
        if kind in looked_for:
            continue
        looked_for.add(kind)
        mine = read_back if id(number) in theirs else now
        for message in (*before, mine) if is_new else (mine,):
            if message and len(message) <= looks and message[0].note not in notes:
                looks -= len(message)
                _note(echoed, number, message, is_theirs=id(number) in theirs)
    return tuple(echoed.values())


def is_whole(one: Candidate) -> bool:
    """Whether it is a number of which people say parts again."""
    return one.kind <= Kind.CALLED and one.rule.loose is not None and one.length >= LEAST_ECHO


def _note(
    echoed: dict[tuple[tuple[Piece, int], ...], Candidate],
    number: Candidate,
    pieces: list[Piece],
    *,
    is_theirs: bool,
) -> None:
    """Note what in a message repeats part of a number; the longer number hides more."""
    value = _value(number)
    newest, newest_at = max(number.parts) if is_theirs else (None, 0)
    for group in _groups([one for one in pieces if one.track == number.track]):
        copies = _copies(group, value, number.keep_last, gaps.LABEL if is_theirs else gaps.LINE)
        if (
            not copies
            and newest is not None
            and group[0].value == newest.value
            and len(group) == 1
            and newest_at < number.length - number.keep_last
            and max(group[0].opens, group[0].tail) <= gaps.LABEL
        ):
            # "71, ok": however few, they are what has just been said.
            copies = ((group[0], newest_at),)
        if copies:
            echo = number._replace(parts=copies, kind=Kind.ECHO, score=PARTLY)
            if echoed.setdefault(copies, echo).length < echo.length:
                echoed[copies] = echo


def _value(number: Candidate) -> str:
    """The number that its parts make."""
    value = [" "] * number.length
    for piece, at in number.parts:
        value[at : at + len(piece.value)] = piece.value
    return "".join(value[: number.length])


def _groups(pieces: list[Piece]) -> list[list[Piece]]:
    """Runs that stand together, and each of them by itself."""
    groups: list[list[Piece]] = []
    for piece in pieces:
        if groups and piece.lead <= gaps.LINE and groups[-1][-1].place == piece.place - 1:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return groups + [[piece] for group in groups if len(group) > 1 for piece in group]


def _copies(
    group: list[Piece], value: str, keep_last: int, edge: int
) -> tuple[tuple[Piece, int], ...]:
    """The runs of a group with their places in the number, where they are a part of it.

    What stands no farther than `edge` from the ends of its message is all that this says.
    """
    digits = "".join([piece.value for piece in group])
    is_bare = group[0].opens <= edge and group[-1].tail <= edge
    if len(digits) < (LEAST_BARE if is_bare else LEAST_ECHO):
        return ()
    at = _place(digits, value)
    if at is None or at >= len(value) - keep_last:
        return ()
    parts = []
    for piece in group:
        parts.append((piece, at))
        at += len(piece.value)
    return tuple(parts)


def _put_right(
    echoed: dict[tuple[tuple[Piece, int], ...], Candidate],
    numbers: Sequence[Candidate],
    pieces: tuple[Piece, ...],
) -> None:
    """Note what stands for a part of a whole number, or is said again.

    Groups of four make a number that holds in whatever order they come: put at its end, such a
    one would be shown as its last four.
    """
    for number in numbers[:MOST_PUT_RIGHT]:
        hidden = number.length - number.keep_last
        own = {part.note for part, at in number.parts if at < hidden}
        for piece in pieces[:MOST_PUT_RIGHT]:
            if piece.note in own or piece.track != number.track or len(piece.value) < LEAST_AGAIN:
                continue
            for part, at in number.parts:
                if at < hidden and (part.value == piece.value or is_again(part.value, piece.value)):
                    copy = ((piece, at),)
                    echoed[copy] = number._replace(parts=copy, kind=Kind.PUT_RIGHT, score=PARTLY)
                    break


def _place(digits: str, value: str) -> int | None:
    """Where in a number some digits stand, mistyped or not."""
    size = len(digits)
    if value.endswith(digits):
        return len(value) - size
    at = value.find(digits)
    if at >= 0:
        return at
    allowed = next((most for least, most in MISTYPED if size >= least), 0)
    if not allowed:
        return None
    for at in range(len(value) - size, -1, -1):
        if sum(map(str.__ne__, digits, value[at:])) <= allowed:
            return at
    if size >= MISTYPED[0][0] and abs(len(value) - size) <= allowed and _is_uneven(digits, value):
        return max(0, len(value) - size)
    return None


def _is_uneven(digits: str, value: str) -> bool:
    """Whether one is the other with a digit or two too many in one place."""
    short, long = sorted((digits, value), key=len)
    same = 0
    while same < len(short) and short[same] == long[same]:
        same += 1
    return long.endswith(short[same:])

"""Runs put together: every reading of a lane's digits that may still become a number.

A *joint* is some runs in their order, as the one number they may be. Each new run goes on every
joint that it can, and may start one of its own. `Track.ask` says which are numbers, and which
may become one; what is neither falls away at once.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from masker.core import beginnings, compact, evidence, gaps, groups, surroundings
from masker.core.compact import Piece
from masker.core.evidence import Candidate, Joint, Kind
from masker.core.patterns import MAX_VALUE, Track
from masker.core.render import Note
from masker.core.repeats import (
    MAX_CORRECTIONS,
    MISTYPED_TWICE,
    again,
    corrects,
    digits_of,
    is_again,
    merge,
    resends,
    sent_again,
)
from masker.core.ruleset import RuleSet

# More joints than this at once are no dictation; the oldest are then masked for good.
MAX_JOINTS = 128
# Longer numbers in talk between two parts may be a part themselves.
SMALL_CHANGE = 3
# So many small numbers may stand in talk between two parts.
PASSING_RUNS = 4
# A part with fewer digits, which no words call one, is no beginning to be waited on.
LEAST_WAITING = 4
_YEAR = re.compile("(?:19|20)[0-9]{2}").fullmatch
# What is as long as a number is none of its groups.
LEAST_WHOLE = 13


class Before(NamedTuple):
    """What is known of a lane before the message whose runs are put to its joints."""

    joints: tuple[Joint, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    recent: tuple[tuple[Piece, ...], ...] = ()
    notes: tuple[Note, ...] = ()


class After(NamedTuple):
    """The joints that can grow, the numbers found, the joints that ended without one.

    And the places in the message where numbers end.
    """

    joints: tuple[Joint, ...]
    found: tuple[Candidate, ...]
    ended: list[Joint]
    ends: set[int]


def join(
    rules: RuleSet,
    before: Before,
    tracks: tuple[tuple[Piece, ...], ...],
    note: Note,
    *,
    more: bool = False,
) -> After:
    """Every joint after this message's runs; `more`: after those of it that there are so far."""
    alive: list[Joint] = []
    found: list[Candidate] = []
    ended: list[Joint] = []
    whole = _Whole(note.seq, before.candidates)
    for number, (track, pieces) in enumerate(zip(rules.tracks, tracks, strict=True)):
        open_joints = [joint for joint in before.joints if joint.last.track == number]
        if not pieces:
            alive += open_joints
            continue
        resent: list[Joint] = []
        if before.recent:
            resent, again = sent_again(open_joints, before.candidates, before.recent, pieces)
            found += again
        step = _Step(track, pieces, before, note.message.text)
        for piece in pieces:
            open_joints = step.take_in(piece, open_joints)
            ended += step.ended
            for joint, candidate in step.matched:
                if surroundings.is_plausible(
                    joint, candidate, pieces, note.message.text, whole.ends
                ) and not _swallows(joint, candidate, before.candidates):
                    found.append(candidate)
                    whole.add(joint, candidate)
        if resent:
            merged: dict[tuple[str, int, int], Joint] = {}
            for joint in open_joints + resent:
                merge(merged, joint)
            open_joints = list(merged.values())
        alive += open_joints
    if not more:
        alive = whole.sift(alive)
    found += _behind_given_up(before, tracks)
    if len(alive) > MAX_JOINTS:
        # Plain readings are worth more than those in which something was sent twice.
        alive.sort(key=lambda joint: joint.parts[-1][1] + len(joint.last.value) - len(joint.value))
        alive, overflow = alive[:MAX_JOINTS], alive[MAX_JOINTS:]
        found += _masked_for_good(rules, overflow)
    return After(tuple(alive), tuple(found), ended, whole.ends)


class _Whole:
    """What the numbers that one message completes say of the joints beside them."""

    __slots__ = (
        "ends",
        "explained",
        "given",
        "grouped",
        "inside",
        "known",
        "named",
        "seq",
        "settled",
    )

    def __init__(self, seq: int, known: tuple[Candidate, ...]) -> None:
        self.seq = seq
        self.known = known
        self.ends: set[int] = set()
        """Where numbers end in this message."""
        self.settled: list[tuple[int, int]] = []
        self.inside: set[Piece] = set()
        self.explained: set[Piece] = set()
        self.grouped: set[Piece] = set()
        """The later parts of numbers called by name, in groups that people write."""
        self.named: set[Piece] = set()
        """The first parts of those."""
        self.given: set[tuple[int, int]] = set()

    def add(self, joint: Joint, candidate: Candidate) -> None:
        """A number that was found."""
        self.ends.add(joint.last.end)
        if candidate.score >= evidence.CHECKED:
            self.given.update((piece.note, piece.start) for piece, _ in joint.parts)
            parts = {part for part, at in joint.parts if at}
            if joint.first.note != self.seq:
                # Its end, over messages, may be the start of another that reads the same.
                hidden = candidate.length - candidate.keep_last
                parts &= {p for p, at in joint.parts if at < hidden and p.note != self.seq}
            if evidence.is_certain(joint, candidate) and not self._ends_otherwise(candidate):
                self.inside |= parts
            elif joint.first.named & candidate.rule.bit:
                self.explained |= parts
                sizes = evidence.sizes(joint)
                if (
                    max(sizes) < LEAST_WHOLE
                    and groups.is_natural(sizes)
                    # What leaves something out, or goes on behind a number, may be one by chance.
                    and not joint.skipped
                    and not joint.holds & candidate.rule.bit
                ):
                    self.grouped |= {part for part, at in joint.parts if at}
                    self.named.add(joint.first)
        if _stands_alone(joint, candidate):
            self.settled.append((joint.first.start, joint.last.end))

    def _ends_otherwise(self, candidate: Candidate) -> bool:
        """Whether the same beginning is known to be a number with another end."""
        return any(
            known.score >= evidence.CHECKED
            and known.rule is candidate.rule
            and known.parts[0] == candidate.parts[0]
            and not set(known.parts) <= set(candidate.parts)
            for known in self.known
        )

    def sift(self, joints: list[Joint]) -> list[Joint]:
        """The joints that may still become numbers of their own."""
        if self.settled:
            # Inside a whole number no other one begins.
            joints = [
                joint
                for joint in joints
                if joint.first.note != self.seq
                or not any(low < joint.first.start < high for low, high in self.settled)
            ]
        if self.given:
            # Nobody waits any more for the rest of what is whole now.
            joints = [
                joint
                for joint in joints
                if not joint.skipped
                or joint.called
                or joint.found
                or (joint.first.note, joint.first.start) not in self.given
            ]
        if self.inside:
            # No other number begins in one whose region and date hold.
            joints = [joint for joint in joints if joint.first not in self.inside]
        if self.explained or self.named:
            joints = [self._explain(joint) for joint in joints]
        return joints

    def _explain(self, joint: Joint) -> Joint:
        """What begins in a number called by name, or leaves out parts of it, has to prove itself.

        Where that number is in groups as people write it, so has to be this one.
        """
        first = joint.first
        if (first in self.grouped and not first.introduced) or (
            joint.skipped and first in self.named
        ):
            return joint._replace(holds=evidence.EXPLAINED)
        if first in self.explained and joint.holds != evidence.EXPLAINED:
            return joint._replace(holds=evidence.EVERY_RULE)
        return joint


class _Step:
    """What one message does to the joints of one track."""

    __slots__ = ("after", "ended", "given", "is_talk", "matched", "notes", "passing", "pieces",
                 "text", "track")  # fmt: skip

    def __init__(self, track: Track, pieces: tuple[Piece, ...], before: Before, text: str) -> None:
        self.track = track
        self.pieces = pieces
        self.notes = before.notes
        self.is_talk = pieces[0].lead == gaps.TEXT or pieces[-1].tail >= gaps.TEXT
        self.text = text
        self.passing = _passing(pieces)
        self.given = {
            (piece.note, piece.start)
            for found in before.candidates
            if found.score >= evidence.CHECKED
            for piece, _ in found.parts
        }
        """Where the runs of numbers that are known begin."""
        self.after: dict[tuple[str, int, int], Joint] = {}
        self.matched: list[tuple[Joint, Candidate]] = []
        self.ended: list[Joint] = []

    def take_in(self, piece: Piece, joints: list[Joint]) -> list[Joint]:
        """One more run: the joints after it, with `matched` and `ended` for what else it did."""
        self.after, self.matched, self.ended = {}, [], []
        for joint in joints:
            _extend(self, joint, piece)
            if joint.called & self.track.loose:
                _say_again(self, joint, piece)
        if not _is_in_list(piece, self.pieces):
            self.start(piece)
        return list(self.after.values())

    def keep(self, joint: Joint) -> None:
        merge(self.after, joint)

    def set_aside(self, joint: Joint) -> None:
        """Keep a joint that other digits stand behind; it may go on behind them."""
        self.keep(joint if joint.skipped else joint._replace(skipped=True))

    def start(self, piece: Piece) -> None:
        """A joint of one run, where there can be one."""
        value, called = piece.value, piece.weak | piece.near
        full, grows, bare = self.track.ask(value, called, checked=piece.tail >= gaps.LABEL)
        if full or (
            grows
            # In the midst of talk nothing goes on, and few digits are no beginning of anything.
            and (
                piece.tail <= gaps.LABEL
                or called & self.track.loose
                or len(value) >= beginnings.BEGUN_NAMED
            )
        ):
            joint = Joint(value, ((piece, 0),), piece, gaps.JOINED, called, piece.near,
                          piece.named, piece.denied, False, False)  # fmt: skip
            self.take(joint, full=full, grows=grows, bare=bare)

    def take(self, joint: Joint, *, full: bool, grows: bool, bare: bool) -> bool:
        """Keep a joint that can grow, note one that is a number; False where it is neither.

        The answers are those of `Track.ask`.
        """
        track, tail = self.track, joint.last.tail
        matches = evidence.weigh(joint, track) if full else ()
        is_open = tail <= gaps.LABEL or (tail == gaps.TEXT and joint.called & track.loose)
        waits = is_open and full and not matches and evidence.waits_for_words(joint, track)
        if matches:
            size = len(joint.value)
            for compiled, kind, score in matches:
                candidate = Candidate(joint.parts, size, compiled.keep_last, compiled, kind, score)
                self.matched.append((joint, candidate))
            proven = 0
            for compiled, _, score in matches:
                if score >= evidence.CHECKED:
                    proven |= compiled.bit
            joint = _found(joint, proven)
            if joint.called and proven:
                # A check digit proves it: words that would do without one open nothing more.
                grows = bare
        if is_open and (grows or waits):
            self.keep(joint)
            return True
        if grows and not matches:
            self.ended.append(joint)
        return grows or bool(matches)


def _extend(step: _Step, joint: Joint, piece: Piece) -> None:
    """One joint and one more run: it goes on, stands aside for it, or has ended."""
    last = joint.last
    if last.note == piece.note:
        gap = piece.lead if piece.place == last.place + 1 else gaps.BROKEN
    elif joint.skipped and joint.called & step.track.loose:
        gap = max(last.tail, piece.lead, gaps.LINE)
    else:
        gap = max(last.tail, piece.opens, gaps.LINE)
    went_on = False
    if gap != gaps.BROKEN:
        value, track = joint.value + piece.value, step.track
        loosest = joint.loosest if joint.loosest > gap else gap
        called = joint.called | piece.weak | piece.near
        full, grows, bare = track.ask(
            value, called, checked=loosest >= gaps.LABEL or piece.tail >= gaps.LABEL
        )
        if (full or grows) and _may_go_on(
            joint, piece, value, gap, called & track.loose, step.notes
        ):
            longer = Joint(
                value,
                (*joint.parts, (piece, len(joint.value))),
                piece,
                loosest,
                called,
                joint.near | piece.near,
                joint.named | piece.named,
                joint.denied | (_refused(piece, track) if gap > gaps.JOINED else 0),
                joint.skipped,
                False,
                joint.holds,
            )
            went_on = step.take(longer, full=full, grows=grows, bare=bare)
    if piece.ordinal:
        # It may only say which part this is.
        step.keep(joint)
        return
    if last.note == piece.note:
        if not went_on:
            step.ended.append(joint)
        return
    is_called = joint.called & step.track.loose
    if (
        step.passing >= (gaps.LABEL if is_called else gaps.TEXT)
        and (is_called or len(joint.value) >= LEAST_WAITING)
        and (not went_on or len(last.value) >= groups.LEAST_GROUP)
    ):
        # "Wait 5 minutes" may be nothing but talk; where digits come one by one it is the next.
        step.keep(joint)
    elif is_called and step.is_talk:
        # Where words call for a number, other digits in the talk between its parts do not end it.
        step.set_aside(joint)
    elif (
        _is_bare(joint)
        and (not went_on or _is_in_groups(joint))
        # Nobody waits for the rest of what is whole.
        and (joint.first.note, joint.first.start) not in step.given
    ):
        # Nothing but groups of digits so far: what stands between them may be something else.
        step.set_aside(joint)
    elif not went_on:
        step.ended.append(joint)


def _refused(piece: Piece, track: Track) -> int:
    """Rules whose number does not go on in a run, by the words that introduce it.

    What its message calls an ID is no part of a card.
    """
    named = piece.named & track.loose
    if not (piece.introduced and named):
        return piece.refused
    return piece.refused | (track.loose & ~named)


def _say_again(step: _Step, joint: Joint, piece: Piece) -> None:
    """The other reading of a group that repeats the one before it, or puts it right."""
    last = joint.last
    if last.note == piece.note:
        gap = piece.lead if piece.place == last.place + 1 else gaps.BROKEN
    else:
        gap = max(last.tail, piece.lead, gaps.LINE) if piece.place == 0 else gaps.BROKEN
    if (
        gap == gaps.BROKEN
        or len(last.value) >= LEAST_WHOLE
        or not is_again(last.value, piece.value)
        # A part that is sent twice is followed by `sent_again`.
        or last.value == piece.value
        or resends(joint) >= MAX_CORRECTIONS
        # Short groups are alike by chance, where nobody says that one was wrong.
        or not (
            (last.note != piece.note and len(piece.value) >= MISTYPED_TWICE) or corrects(step.text)
        )
    ):
        return
    joint = again(joint, (piece,), gap)
    full, grows, bare = step.track.ask(joint.value, joint.called, checked=True)
    if full or grows:
        step.take(joint, full=full, grows=grows, bare=bare)


def _found(joint: Joint, proven: int) -> Joint:
    """The same joint, known to be a number as it stands."""
    return Joint(joint.value, joint.parts, joint.last, joint.loosest, joint.called, joint.near,
                 joint.named, joint.denied, joint.skipped, True,
                 joint.holds | proven)  # fmt: skip


def _passing(pieces: tuple[Piece, ...]) -> int:
    """How far small numbers stand in the talk of a message that may be nothing but talk.

    The gap they stand at on their farther side; `JOINED` where the message is no such talk.
    """
    if len(pieces) > PASSING_RUNS:
        return gaps.JOINED
    nearest = gaps.TEXT
    for piece in pieces:
        if len(piece.value) > SMALL_CHANGE and _YEAR(piece.value) is None:
            return gaps.JOINED
        nearest = min(nearest, max(piece.lead, piece.tail))
    return nearest


def _is_in_list(piece: Piece, pieces: tuple[Piece, ...]) -> bool:
    """Whether it stands in the middle of a long list of small numbers: no number begins there."""
    index = piece.place
    if not (
        index > 0
        and index + groups.MAX_DIGITS < len(pieces)
        and piece.lead == gaps.JOINED
        and len(piece.value) < groups.LEAST_GROUP
        and not piece.weak
    ):
        return False
    return all(
        other.gap == piece.gap and len(other.value) < groups.LEAST_GROUP
        for other in pieces[index + 1 : index + 1 + groups.MAX_DIGITS]
    )


def _is_in_groups(joint: Joint) -> bool:
    """Whether its parts so far are groups in which people write a number."""
    return groups.may_become_natural(evidence.sizes(joint))


def _is_bare(joint: Joint) -> bool:
    """Whether its parts are messages with nothing else in them."""
    return (
        not joint.found
        and joint.loosest <= gaps.LINE
        and joint.last.tail <= gaps.LINE
        and joint.first.opens <= gaps.LABEL
        and len(joint.value) >= LEAST_WAITING
    )


def _may_go_on(
    joint: Joint, piece: Piece, value: str, gap: int, called: int, notes: tuple[Note, ...]
) -> bool:
    """Whether a gap lets a number go on: mere talk does not, nor a phone behind a postcode."""
    if gap >= gaps.TEXT and (
        # What is a number already does not go on behind talk, unless that names what comes.
        (joint.holds and not called & piece.named)
        or (not called and len(value) < evidence.STRONG_CHECK - 1)
    ):
        return False
    if joint.skipped and not called and gap > gaps.LINE:
        return False
    last = joint.last
    if gap <= gaps.JOINED or called or len(joint.parts) > 1 or last.note == piece.note:
        return True
    texts = [note.message.text for note in notes if note.seq == last.note]
    return not (texts and surroundings.is_postcode_then_phone(last, piece, texts[0]))


def _swallows(joint: Joint, candidate: Candidate, known: tuple[Candidate, ...]) -> bool:
    """Whether it begins in the talk before a bare number that is proven, which no words call for.

    By chance one of ten such readings has a check digit that holds.
    """
    if joint.loosest < gaps.LABEL or joint.called & candidate.rule.bit:
        return False
    parts = {piece for piece, at in joint.parts if at}
    return any(
        found.kind is Kind.PROVEN
        and found.score >= evidence.CHECKED
        and found.length >= compact.LONG_ANSWER
        and found.parts[0][0].note == found.parts[-1][0].note != joint.first.note
        and found.parts[0][0].lead <= gaps.LINE
        and all(piece in parts for piece, _ in found.parts)
        for found in known
    )


def _stands_alone(joint: Joint, candidate: Candidate) -> bool:
    """Whether a number is proven, and stands in one message with nothing before it."""
    first = joint.first
    return (
        candidate.score >= evidence.CHECKED
        and candidate.kind is Kind.PROVEN
        and candidate.length >= compact.LONG_ANSWER
        and first.note == joint.last.note
        and (first.place == 0 or first.lead > gaps.JOINED)
    )


def _masked_for_good(rules: RuleSet, joints: list[Joint]) -> list[Candidate]:
    """One beginning, for each track, of all the runs of joints that are given up."""
    given_up = []
    for number, track in enumerate(rules.tracks):
        mine = [joint for joint in joints if joint.first.track == number]
        if mine:
            parts = tuple(sorted({part for joint in mine for part in joint.parts}))
            likely = [compiled for compiled in track.rules if compiled.loose is not None]
            most = MAX_VALUE if track.letters else groups.MAX_DIGITS
            follows = most - min(len(joint.value) for joint in mine)
            given_up.append(
                Candidate(parts, follows, 0, (likely or track.rules)[0], Kind.GIVEN_UP, 0.5)
            )
    return given_up


def _behind_given_up(before: Before, tracks: tuple[tuple[Piece, ...], ...]) -> list[Candidate]:
    """What may be the rest of joints that were given up: nobody follows them, so it is masked."""
    behind = []
    for one in before.candidates:
        pieces = tracks[one.track] if one.kind is Kind.GIVEN_UP else ()
        if pieces:
            digits = digits_of(pieces)
            # What was masked is masked however often it is said.
            again = any(digits_of(earlier, one.track) == digits for earlier in before.recent)
            if again or one.length > 0:
                parts = tuple((piece, 0) for piece in pieces)
                follows = one.length if again else one.length - len(digits)
                behind.append(one._replace(parts=parts, length=follows))
    return behind

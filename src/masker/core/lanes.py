"""Numbers that arrive in pieces.

A lane is what one person has said lately, as seen by a number: runs of digits,
and how far apart they stood. Each new run may go on every joint of earlier runs
that could still become a number, and may start one of its own (`joints`). That is an
automaton whose states are `regex`'s partial matches, and so the same few lines serve
a cut within a line, over lines, and over messages.

A message is *pending* while one of its runs is part of a joint that can still
grow: it is shown with all those runs masked. Its fate is known when nothing more
can follow or the window closes. Several joints may hold the same run (is this
resent part a resend, or four more digits that happen to be equal?): what either
could make a number of is pending, and what either did make is masked.

Everything here is a value: `receive` takes a lane and a message and gives a lane
and what to say, so that a lane can be kept anywhere, and a thousand futures of it
can be tried (the tests do).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from masker.core import beginnings, compact, evidence, surroundings
from masker.core.candidates import together, without_repeats
from masker.core.compact import Piece, Talk
from masker.core.echoes import echoes, is_whole
from masker.core.evidence import Candidate, Joint, Kind
from masker.core.joints import Before, join
from masker.core.masking import Span
from masker.core.messages import MaskedMessage, Message
from masker.core.questions import NOTHING, Wanted
from masker.core.render import Note, pending_runs, render
from masker.core.repeats import corrects
from masker.core.ruleset import RuleSet
from masker.core.texts import text_spans
from masker.core.trails import NO_TRAIL, NOT_MASKED, STAR, WHOLE_STARS, Trail, follow, without

# What announces a number ("my card number is") speaks for this many of the sender's next messages,
# what merely mentions one for more.
ANNOUNCED = 2
HEARD = 12


class Window(NamedTuple):
    """How long an unfinished number is waited for, since its last part."""

    messages: int = 12
    seconds: float = 600.0


class Lane(NamedTuple):
    """What one sender has said lately, as far as it may matter to a number."""

    seq: int = 0
    time: float | None = None
    notes: tuple[Note, ...] = ()
    """Messages that are not final yet."""
    recent: tuple[tuple[Piece, ...], ...] = ()
    """The runs of messages that are part of something, for what is sent twice."""
    joints: tuple[Joint, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    said: int = 0
    """Rules that the sender's words spoke for, and when."""
    said_at: int = 0
    announced: int = 0
    announced_at: int = 0
    oldest: int = 0
    """The first message whose part in something is waited for or remembered; 0 for none."""
    trail: Trail = NO_TRAIL
    """What is left of a number that was masked before."""

    @property
    def is_idle(self) -> bool:
        """Nothing pending, and nothing remembered that could matter."""
        return not (self.notes or self.joints or self.candidates or self.said or self.trail.stars)

    @property
    def has_begun(self) -> bool:
        """Whether there is anything that what comes may go on with, be it a lone numeral."""
        return bool(self.notes or self.joints)

    @property
    def held(self) -> int:
        """Characters of text held in messages that are not final."""
        return sum(len(note.message.text) for note in self.notes)


EMPTY = Lane()


def receive(
    rules: RuleSet,
    lane: Lane,
    message: Message,
    window: Window,
    *,
    talk: Talk | None = None,
    wanted: Wanted = NOTHING,
    others: Sequence[Candidate] = (),
    revision: int = 0,
) -> tuple[Lane, list[MaskedMessage]]:
    """One message of this lane: the lane after it, and every message that has something to say.

    `talk` is what `compact.listen` heard in its text, where that is known, and `wanted` what the
    other party's words want of it; `others` are numbers that other people gave or are giving;
    `revision` is what this message comes out as, where its id was used before.
    """
    text = message.text
    if talk is None:
        talk = compact.listen(rules, text)
    now = lane.time
    out: list[MaskedMessage] = []
    if message.timestamp is not None:
        stamp = message.timestamp.timestamp()
        now = stamp if now is None else max(now, stamp)
        lane, out = _expire(rules, lane, now, window)
    seq = lane.seq + 1
    speaks_for, joints, candidates, recent = (
        talk.speaks_for,
        lane.joints,
        lane.candidates,
        lane.recent,
    )
    said, said_at, announced, announced_at, oldest, trail = lane[6:]
    if speaks_for and (talk.announces or not talk.asks):
        # Who asks for a number is not about to give it.
        said, said_at = speaks_for, seq
    elif said and seq - said_at >= HEARD:
        said = 0
    fixed = text_spans(rules, text, talk.lowered)
    asked, alone, mentioned, refused = wanted
    heard = lane.said | mentioned
    is_fresh = not (joints or candidates or lane.notes or heard or asked or others)
    runs: tuple[list[tuple[int, int]], ...] = ()
    counted: int | None = None
    if rules.may_hold_digits(text) if lane.has_begun else rules.holds_number(text):
        counted = _counted(lane)
        runs = compact.runs(rules, text, talk, counted)
    masked = NOT_MASKED
    if trail.stars or STAR in text:
        if seq - trail.at >= HEARD:
            trail = NO_TRAIL
        masked = follow(trail, text, runs, seq)
        trail = masked.trail
        if masked.remnants:
            runs = without(runs, masked.remnants)
        if masked.is_whole:
            # Whatever was called for has been given.
            announced = 0
            if not talk.words or talk.words[-1][0] < masked.last:
                said = 0
    has_runs = any(runs)
    if (
        not has_runs
        and not (speaks_for and (joints or candidates or recent))
        # Nothing of the lane is decided or forgotten with this message.
        and not 0 < oldest <= seq - window.messages
        and not (joints and masked.first >= 0)
    ):
        # Small talk counts towards the window, and says which number is coming.
        if talk.announces and talk.words[-1][0] > masked.last:
            announced, announced_at = talk.announces, seq
        out.append(_alone(message, revision, fixed))
        return Lane(seq, now, lane.notes, recent, joints, candidates,
                    said, said_at, announced, announced_at, oldest, trail), out  # fmt: skip
    pieces: tuple[Piece, ...] = ()
    if has_runs:
        if announced and seq - announced_at <= ANNOUNCED:
            asked, alone = asked | announced, alone | announced
        if not is_fresh or asked or talk.mentions or not compact.say_nothing(rules, text, runs):
            tracks = compact.read(
                rules, text, talk, runs, note=seq,
                asked=asked, alone=alone, heard=heard, refused=refused, counted=counted,
            )  # fmt: skip
            pieces = tuple([piece for track in tracks for piece in track])
    if talk.announces and not (
        (pieces and pieces[-1].start >= talk.words[-1][0]) or masked.last > talk.words[-1][0]
    ):
        # What is said already is not coming.
        announced, announced_at = talk.announces, seq
    if joints and speaks_for:
        # Words that name a number of this message say nothing of those before.
        for piece in pieces:
            speaks_for &= ~piece.named
        joints, candidates = _called_later(rules, lane, speaks_for)
    note = Note(seq, message, revision, pieces, fixed)
    if joints and masked.first >= 0 and not (pieces and pieces[0].start < masked.first):
        # No number goes on over another that was masked.
        candidates, joints = candidates + _begun(rules, joints), ()
    if pieces:
        before = Before(joints, lane.candidates, lane.recent, lane.notes)
        joints, found, ended, _ = join(rules, before, tracks, note)
        echoed = echoes(
            candidates, found, lane.recent, pieces, others,
            is_put_right=revision > 0 or corrects(text) is not None,
        )  # fmt: skip
        if found:
            waiting = {seq, *[one.seq for one in lane.notes]}
            candidates = together(candidates, found, waiting)
        candidates += echoed
        candidates = without_repeats(candidates, _begun(rules, ended))
        # The number that was spoken of, or asked for, has been given.
        answered = _given(found)
        said, announced = said & ~answered, announced & ~answered
    if joints and masked.first >= 0:
        end = (seq, masked.last)
        over = [joint for joint in joints if (joint.last.note, joint.last.start) < end]
        joints = tuple(joint for joint in joints if (joint.last.note, joint.last.start) > end)
        candidates += _begun(rules, over)
    if joints and 0 < oldest <= seq - window.messages:
        late = [joint for joint in joints if joint.last.note <= seq - window.messages]
        joints = tuple(joint for joint in joints if joint.last.note > seq - window.messages)
        candidates += _begun(rules, late)
    if not joints and not candidates and not lane.notes:
        out.append(_alone(message, revision, fixed))
        return Lane(seq, now, (), (), (), (), said, said_at, announced, announced_at, 0, trail), out
    if pieces and (joints or candidates):
        recent = (*recent, pieces)
    lane = Lane(seq, now, (*lane.notes, note), recent, joints, candidates,
                said, said_at, announced, announced_at, 0, trail)  # fmt: skip
    lane, said_now = _settle(lane, window, fresh=seq)
    return lane, out + said_now


def talked(lane: Lane, message: Message, window: Window) -> Lane | None:
    """The lane after a message that says nothing to it; None where something else is decided.

    Such talk counts towards the window, and so do the words that were said before it.
    """
    seq, time = lane.seq + 1, lane.time
    if message.timestamp is not None:
        stamp = message.timestamp.timestamp()
        if time is None:
            time = stamp
        elif stamp - time >= window.seconds:
            return None
        else:
            time = max(time, stamp)
    if 0 < lane.oldest <= seq - window.messages or (lane.said and seq - lane.said_at >= HEARD):
        return None
    return Lane(seq, time, *lane[2:])


def _counted(lane: Lane) -> int | None:
    """What the last part in a lane was counted as: the 2 of "2. 4111"."""
    if not lane.recent:
        return None
    first = lane.recent[-1][0]
    return int(first.value) if first.ordinal and first.value.isdecimal() else None


def _alone(message: Message, revision: int, fixed: tuple[Span, ...]) -> MaskedMessage:
    """A message that has no part in any number."""
    if fixed:
        return render(Note(0, message, revision, (), fixed), (), frozenset(), final=True)
    return _as_it_is(message, revision)


def _as_it_is(message: Message, revision: int) -> MaskedMessage:
    return MaskedMessage(
        message.conversation_id, message.message_id, message.sender, message.text,
        message.timestamp, message.channel, message.subject, message.extra, revision, True,
    )  # fmt: skip


def advance(
    rules: RuleSet, lane: Lane, now: float, window: Window
) -> tuple[Lane, list[MaskedMessage]]:
    """Time passes: where the window has closed, what was pending is decided.

    A lane whose messages have no time counts from the first time it is told.
    """
    if lane.time is None:
        return lane._replace(time=now), []
    return _expire(rules, lane, now, window)


def close(rules: RuleSet, lane: Lane, window: Window) -> list[MaskedMessage]:
    """The lane ends: everything pending is decided."""
    candidates = lane.candidates + _begun(rules, lane.joints)
    return _settle(lane._replace(joints=(), candidates=candidates), window)[1]


def given(lane: Lane) -> int:
    """The rules of which the newest message gave, or finished, a number that they called for."""
    if lane.trail.at == lane.seq and lane.trail.stars >= WHOLE_STARS:
        # It was masked before: nobody knows any more what it was.
        return -1
    return _given([one for one in lane.candidates if one.last_note == lane.seq])


def given_now(lane: Lane) -> list[Candidate]:
    """The whole numbers that the newest message gave, or finished."""
    return [one for one in lane.candidates if one.last_note == lane.seq and is_whole(one)]


def numbers(rules: RuleSet, lane: Lane) -> list[Candidate]:
    """The numbers that are known of a lane, and what is being dictated: another may repeat it."""
    known = [one for one in lane.candidates if is_whole(one)]
    for joint in lane.joints:
        track = rules.tracks[joint.first.track]
        if joint.called & track.loose and not joint.found:
            compiled = next(one for one in track.rules if one.bit & joint.called & track.loose)
            known.append(
                Candidate(joint.parts, len(joint.value), 0, compiled, Kind.CALLED, evidence.PARTLY)
            )
    return known


def read_back(lane: Lane, others: Sequence[Candidate]) -> Lane:
    """A lane after somebody else gave numbers: what it says of them so far is masked."""
    more: tuple[Candidate, ...] = ()
    for pieces in lane.recent:
        more += echoes(lane.candidates, (), (), pieces, others)
    return lane._replace(candidates=lane.candidates + more) if more else lane


def _given(found: Iterable[Candidate]) -> int:
    rules = 0
    for one in found:
        if one.kind is Kind.PROVEN and one.score > evidence.CHECKED:
            rules |= one.rule.bit
    return rules


def seal(lane: Lane, seqs: frozenset[int]) -> tuple[Lane, list[MaskedMessage]]:
    """These messages become final now, with whatever is pending in them masked for good.

    Their runs stay part of the lane, so that what follows is still put together.
    """
    pending = pending_runs(lane.joints, lane.candidates)
    out = [
        render(note, lane.candidates, pending, final=True)
        for note in lane.notes
        if note.seq in seqs
    ]
    return lane._replace(notes=tuple(note for note in lane.notes if note.seq not in seqs)), out


def _expire(
    rules: RuleSet, lane: Lane, now: float | None, window: Window
) -> tuple[Lane, list[MaskedMessage]]:
    """Where the last part is too long ago, everything is decided and the lane starts afresh."""
    if now is None or lane.time is None or now - lane.time < window.seconds:
        return lane, []
    return Lane(seq=lane.seq, time=now), close(rules, lane, window)


def _settle(
    lane: Lane, window: Window, fresh: int | None = None
) -> tuple[Lane, list[MaskedMessage]]:
    """Say what is decided; the fresh message is said in any case."""
    seq, joints, candidates, recent = lane.seq, lane.joints, lane.candidates, lane.recent
    notes: list[Note] = []
    out: list[MaskedMessage] = []
    pending = pending_runs(joints, candidates)
    for note in lane.notes:
        final = not pending or not any(
            (piece.note, piece.track, piece.place) in pending for piece in note.pieces
        )
        if final or note.seq == fresh:
            out.append(render(note, candidates, pending, final=final))
        if not final:
            notes.append(
                Note(note.seq, note.message, note.revision + 1, note.pieces, note.fixed)
                if note.seq == fresh
                else note
            )
    if candidates or recent:
        # What is decided is still needed for as long as a part of it may be sent again.
        oldest = seq - window.messages + 1
        if notes:
            oldest = min(oldest, notes[0].seq)
        waiting = {note.seq for note in notes}
        candidates = tuple(
            [
                found
                for found in candidates
                # A beginning is known for as long as something of it is not final.
                if found.last_note >= oldest
                and (found.kind is not Kind.BEGUN or any(p.note in waiting for p, _ in found.parts))
            ]
        )
        if recent and recent[0][0].note < oldest:
            recent = tuple(pieces for pieces in recent if pieces[0].note >= oldest)
    first = [joint.last.note for joint in joints]
    first += [found.last_note for found in candidates]
    return Lane(seq, lane.time, tuple(notes), recent, joints, candidates,
                lane.said, lane.said_at, lane.announced, lane.announced_at,
                min(first, default=0), lane.trail), out  # fmt: skip


def _begun(rules: RuleSet, ended: list[Joint] | tuple[Joint, ...]) -> tuple[Candidate, ...]:
    """What was begun and never finished, and yet is unmistakable."""
    found = [beginnings.begun(joint, rules.tracks[joint.first.track]) for joint in ended]
    return tuple([one for one in found if one is not None])


def _called_later(
    rules: RuleSet, lane: Lane, words: int
) -> tuple[tuple[Joint, ...], tuple[Candidate, ...]]:
    """Words that come after a number call it by name as well ("that is my card number")."""
    joints: list[Joint] = []
    candidates = lane.candidates
    texts = {note.seq: note for note in lane.notes}
    for joint in lane.joints:
        if lane.seq - joint.last.note < ANNOUNCED and words & ~joint.called & ~joint.denied:
            joint = joint._replace(called=joint.called | words & ~joint.denied)
            track = rules.tracks[joint.first.track]
            note = texts.get(joint.last.note)
            for compiled, kind, score in evidence.weigh(joint, track):
                candidate = Candidate(
                    joint.parts, len(joint.value), compiled.keep_last, compiled, kind, score
                )
                if note is None or _is_plausible(joint, candidate, note):
                    candidates += (candidate,)
                    joint = joint._replace(found=True)
        joints.append(joint)
    return tuple(joints), candidates


def _is_plausible(joint: Joint, candidate: Candidate, note: Note) -> bool:
    pieces = tuple(piece for piece in note.pieces if piece.track == joint.first.track)
    return surroundings.is_plausible(joint, candidate, pieces, note.message.text)

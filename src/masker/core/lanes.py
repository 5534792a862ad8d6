"""Numbers that arrive in pieces.

A lane is what one person has said lately, as seen by a number: runs of digits,
and how far apart they stood. Each new run may go on every joint of earlier runs
that could still become a number, and may start one of its own; what no rule could
make a number of falls away at once. That is an automaton whose states are
`regex`'s partial matches, and so the same few lines serve a cut within a line,
over lines, and over messages.

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

from collections.abc import Iterable
from typing import NamedTuple

from masker.core import compact, evidence, gaps
from masker.core.compact import Piece, Talk
from masker.core.evidence import Candidate, Joint, Kind
from masker.core.masking import Span
from masker.core.messages import MaskedMessage, Message
from masker.core.render import Note, pending_runs, render
from masker.core.ruleset import MAX_VALUE, CompiledRule, RuleSet, Track
from masker.core.texts import text_spans

# More joints than this at once are no dictation; the oldest are then masked for good.
MAX_JOINTS = 128
# What announces a number ("my card number is") speaks for this many of the sender's next messages,
# what merely mentions one for more.
ANNOUNCED = 2
HEARD = 12
# Shorter parts are taken for sent twice only right behind each other.
SENT_AGAIN = 3
# Somebody who says one digit for ever is not resending it: so many messages of a joint may repeat
# others, and in so many a number that was found is looked for.
MAX_RESENDS = 16
MAX_MESSAGES = 48
# A month, a year, a security code: groups behind a number that begin no other.
SMALL_CHANGE = 3
# So many small numbers may stand in talk between two parts.
PASSING_RUNS = 4
# A part with fewer digits, which no words call one, is no beginning to be waited on.
LEAST_WAITING = 4


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

    @property
    def is_idle(self) -> bool:
        """Nothing pending, and nothing remembered that could matter."""
        return not (self.notes or self.joints or self.candidates or self.said)

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
    asked: int = 0,
    refused: int = 0,
    revision: int = 0,
) -> tuple[Lane, list[MaskedMessage]]:
    """One message of this lane: the lane after it, and every message that has something to say.

    `talk` is what `compact.listen` heard in its text, where that is known. `asked` holds the
    rules that the other party asked for, `refused` those it asked for something else than (an
    order number is no card, though it may look like one); `revision` is what this message
    comes out as, where its id was used before.
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
    said, said_at, announced, announced_at, oldest = lane[6:]
    if speaks_for and not talk.asks:
        # Who asks for a number is not about to give it.
        said, said_at = speaks_for, seq
    elif said and seq - said_at >= HEARD:
        said = 0
    fixed = text_spans(rules, text, talk.lowered)
    is_fresh = not (joints or candidates or lane.notes or lane.said or asked)
    runs: tuple[list[tuple[int, int]], ...] = ()
    if rules.holds_number(text) if is_fresh else rules.may_hold_digits(text):
        runs = compact.runs(rules, text, talk)
    has_runs = any(runs)
    if (
        not has_runs
        and not (speaks_for and (joints or candidates or recent))
        # Nothing of the lane is decided or forgotten with this message.
        and not 0 < oldest <= seq - window.messages
    ):
        # Small talk counts towards the window, and says which number is coming.
        if talk.announces:
            announced, announced_at = talk.announces, seq
        out.append(_alone(message, revision, fixed))
        return Lane(seq, now, lane.notes, recent, joints, candidates,
                    said, said_at, announced, announced_at, oldest), out  # fmt: skip
    pieces: tuple[Piece, ...] = ()
    if has_runs:
        if announced and seq - announced_at <= ANNOUNCED:
            asked |= announced
        heard = lane.said
        if not is_fresh or asked or talk.mentions or not compact.say_nothing(rules, text, runs):
            tracks = compact.read(
                rules, text, talk, runs, note=seq, asked=asked, heard=heard, refused=refused
            )
            pieces = tuple([piece for track in tracks for piece in track])
    if talk.announces and not (pieces and pieces[-1].start >= talk.words[-1][0]):
        # What is said already is not coming.
        announced, announced_at = talk.announces, seq
    if joints and speaks_for:
        # Words that name a number of this message say nothing of those before.
        for piece in pieces:
            speaks_for &= ~piece.named
        joints, candidates = _called_later(rules, lane, speaks_for)
    note = Note(seq, message, revision, pieces, fixed)
    if pieces:
        joints, found, ended = join(rules, joints, tracks, note, lane)
        if found:
            waiting = {seq, *[one.seq for one in lane.notes]}
            candidates = _together(candidates, found, waiting)
        candidates = _without_repeats(candidates, _begun(rules, ended))
        answered = 0
        for one in found:
            if one.kind is Kind.PROVEN and one.score > evidence.CHECKED:
                answered |= one.rule.bit
        # The number that was spoken of, or asked for, has been given.
        said, announced = said & ~answered, announced & ~answered
    if joints and 0 < oldest <= seq - window.messages:
        late = [joint for joint in joints if joint.last.note <= seq - window.messages]
        joints = tuple(joint for joint in joints if joint.last.note > seq - window.messages)
        candidates += _begun(rules, late)
    if not joints and not candidates and not lane.notes:
        out.append(_alone(message, revision, fixed))
        return Lane(seq, now, (), (), (), (), said, said_at, announced, announced_at), out
    if pieces and (joints or candidates):
        recent = (*recent, pieces)
    lane = Lane(seq, now, (*lane.notes, note), recent, joints, candidates,
                said, said_at, announced, announced_at)  # fmt: skip
    lane, said_now = _settle(lane, window, fresh=seq)
    return lane, out + said_now


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
                min(first, default=0)), out  # fmt: skip


def _begun(rules: RuleSet, ended: list[Joint] | tuple[Joint, ...]) -> tuple[Candidate, ...]:
    """What was begun and never finished, and yet is unmistakable."""
    found = []
    for joint in ended:
        compiled = evidence.begun(joint, rules.tracks[joint.first.track])
        if compiled is not None:
            found.append(_whole(joint, compiled))
    return tuple(found)


def _together(
    known: tuple[Candidate, ...], found: tuple[Candidate, ...], waiting: set[int]
) -> tuple[Candidate, ...]:
    """All candidates, less those of which another holds every part.

    Were they kept, each time that somebody says a part again there would be twice as many.
    `waiting` are the messages that are not final yet.
    """
    given_up = [one for one in found if one.kind is Kind.GIVEN_UP]
    if given_up:
        more = [one for one in known if one.kind is Kind.GIVEN_UP]
        found = tuple(one for one in found if one.kind is not Kind.GIVEN_UP)
        known = tuple(one for one in known if one.kind is not Kind.GIVEN_UP)
        known += _one_for_each_track(given_up, more, waiting)
    alike: dict[tuple[int, int, Kind, int, float], list[Candidate]] = {}
    for one in found:
        alike.setdefault((*one[1:3], one.kind, one.rule.bit, one.score), []).append(one)
    kept: list[Candidate] = []
    for one in known:
        alike.get((*one[1:3], one.kind, one.rule.bit, one.score), kept).append(one)
    for ones in alike.values():
        kept += _longest(ones) if len(ones) > 1 else ones
    return tuple(kept)


def _one_for_each_track(
    given_up: list[Candidate], before: list[Candidate], waiting: set[int]
) -> tuple[Candidate, ...]:
    """Readings that are given up, with those that were before and may still be shown."""
    tracks: dict[int, Candidate] = {}
    for one in given_up:
        known = tracks.get(one.track, one)
        parts = tuple(sorted({*known.parts, *one.parts}))
        tracks[one.track] = one._replace(parts=parts, length=max(known.length, one.length))
    for one in before:
        newer = tracks.get(one.track)
        if newer is None:
            tracks[one.track] = one
        else:
            shown = {part for part in one.parts if part[0].note in waiting}
            tracks[one.track] = newer._replace(parts=tuple(sorted(shown.union(newer.parts))))
    return tuple(tracks.values())


def _longest(candidates: list[Candidate]) -> list[Candidate]:
    """Those of which no other holds every part; what is whole in one message stands by itself."""
    kept: list[Candidate] = []
    known: list[frozenset[tuple[Piece, int]]] = []
    for one in sorted(candidates, key=lambda one: -len(one.parts)):
        parts = frozenset(one.parts)
        is_part = parts in known if one.is_in_one_message else any(parts <= more for more in known)
        if not is_part:
            kept.append(one)
            known.append(parts)
    return kept


def _without_repeats(
    found: tuple[Candidate, ...], begun: tuple[Candidate, ...]
) -> tuple[Candidate, ...]:
    """All candidates, less beginnings that are part of a longer one."""
    if not begun:
        return found
    begun += tuple(candidate for candidate in found if candidate.kind is Kind.BEGUN)
    found = tuple(candidate for candidate in found if candidate.kind is not Kind.BEGUN)
    runs = [frozenset(candidate.parts) for candidate in begun]
    return found + tuple(
        candidate
        for place, candidate in enumerate(begun)
        if not any(
            runs[place] < other or (runs[place] == other and place < at)
            for at, other in enumerate(runs)
        )
    )


def _whole(joint: Joint, compiled: CompiledRule) -> Candidate:
    return Candidate(joint.parts, len(joint.value), 0, compiled, Kind.BEGUN, 0.5)


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


# -- joints ----------------------------------------------------------------------------------


class _Step:
    """What one message does to the joints of one track."""

    __slots__ = ("after", "ended", "given", "matched", "track")

    def __init__(self, track: Track, lane: Lane) -> None:
        self.track = track
        self.given = {
            (piece.note, piece.start)
            for found in lane.candidates
            if found.score >= evidence.CHECKED
            for piece, _ in found.parts
        }
        """Where the runs of numbers that are known begin."""
        self.after: dict[tuple[str, int, int], Joint] = {}
        self.matched: list[tuple[Joint, Candidate]] = []
        self.ended: list[Joint] = []

    def keep(self, joint: Joint) -> None:
        _merge(self.after, joint)

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
                or len(value) >= evidence.BEGUN_NAMED
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


def _found(joint: Joint, proven: int) -> Joint:
    """The same joint, known to be a number as it stands."""
    return Joint(joint.value, joint.parts, joint.last, joint.loosest, joint.called, joint.near,
                 joint.named, joint.denied, joint.skipped, True,
                 joint.holds | proven)  # fmt: skip


def join(
    rules: RuleSet,
    joints: tuple[Joint, ...],
    tracks: tuple[tuple[Piece, ...], ...],
    note: Note,
    lane: Lane,
) -> tuple[tuple[Joint, ...], tuple[Candidate, ...], list[Joint]]:
    """Every joint after this message's runs: those that can grow, what was found, what ended."""
    alive: list[Joint] = []
    found: list[Candidate] = []
    ended: list[Joint] = []
    settled: list[tuple[int, int]] = []
    inside: set[Piece] = set()
    explained: set[Piece] = set()
    given: set[tuple[int, int]] = set()
    for number, (track, pieces) in enumerate(zip(rules.tracks, tracks, strict=True)):
        open_joints = [joint for joint in joints if joint.last.track == number]
        if not pieces:
            alive += open_joints
            continue
        talk = pieces[0].lead == gaps.TEXT or pieces[-1].tail >= gaps.TEXT
        passing = _passing(pieces, track.loose)
        resent: list[Joint] = []
        if lane.recent:
            resent, again = _sent_again(open_joints, lane, pieces)
            found += again
        step = _Step(track, lane)
        for piece in pieces:
            step.after, step.matched, step.ended = {}, [], []
            for joint in open_joints:
                _extend(step, joint, piece, lane, talk=talk, passing=passing)
            if not _is_in_list(piece, pieces):
                step.start(piece)
            open_joints = list(step.after.values())
            ended += step.ended
            for joint, candidate in step.matched:
                if evidence.is_plausible(
                    joint, candidate, pieces, note.message.text
                ) and not _swallows(joint, candidate, lane.candidates):
                    found.append(candidate)
                    if candidate.score >= evidence.CHECKED:
                        given.update((piece.note, piece.start) for piece, _ in joint.parts)
                        # Its end, over messages, may be the start of another that reads the same.
                        ends = 0 if joint.first.note == note.seq else note.seq
                        parts = {part for part, at in joint.parts if at and part.note != ends}
                        if evidence.is_certain(joint, candidate):
                            inside |= parts
                        elif joint.first.named & candidate.rule.bit:
                            explained |= parts
                    if _stands_alone(joint, candidate):
                        settled.append((joint.first.start, _small_change(joint.last, pieces)))
        if resent:
            merged: dict[tuple[str, int, int], Joint] = {}
            for joint in open_joints + resent:
                _merge(merged, joint)
            open_joints = list(merged.values())
        alive += open_joints
    if settled:
        # Inside a whole number no other one begins, nor in the expiry date behind it.
        alive = [
            joint
            for joint in alive
            if joint.first.note != note.seq
            or not any(low < joint.first.start < high for low, high in settled)
        ]
    if given:
        # Nobody waits any more for the rest of what is whole now.
        alive = [
            joint
            for joint in alive
            if not joint.skipped
            or joint.called
            or joint.found
            or (joint.first.note, joint.first.start) not in given
        ]
    if inside:
        # No other number begins in one whose region and date hold.
        alive = [joint for joint in alive if joint.first not in inside]
    if explained:
        # One that begins in a number called by name has to prove itself.
        alive = [joint._replace(holds=~0) if joint.first in explained else joint for joint in alive]
    found += _behind_given_up(lane, tracks)
    if len(alive) > MAX_JOINTS:
        # Plain readings are worth more than those in which something was sent twice.
        alive.sort(key=lambda joint: joint.parts[-1][1] + len(joint.last.value) - len(joint.value))
        alive, overflow = alive[:MAX_JOINTS], alive[MAX_JOINTS:]
        found += _masked_for_good(rules, overflow)
    return tuple(alive), tuple(found), ended


def _passing(pieces: tuple[Piece, ...], loose: int) -> int:
    """How far small numbers stand in the talk of a message that may be nothing but talk.

    The gap they stand at on their farther side; `JOINED` where the message is no such talk.
    """
    if len(pieces) > PASSING_RUNS:
        return gaps.JOINED
    nearest = gaps.TEXT
    for piece in pieces:
        if len(piece.value) > SMALL_CHANGE or piece.near & loose:
            return gaps.JOINED
        nearest = min(nearest, max(piece.lead, piece.tail))
    return nearest


def _is_in_list(piece: Piece, pieces: tuple[Piece, ...]) -> bool:
    """Whether it stands in the middle of a long list of small numbers: no number begins there."""
    index = piece.place
    return (
        index > 0
        and index + evidence.MAX_DIGITS < len(pieces)
        and piece.lead == gaps.JOINED
        and len(piece.value) < evidence.LEAST_GROUP
        and pieces[index + 1].gap == piece.gap
        and not piece.weak
    )


def _masked_for_good(rules: RuleSet, joints: list[Joint]) -> list[Candidate]:
    """One beginning, for each track, of all the runs of joints that are given up."""
    given_up = []
    for number, track in enumerate(rules.tracks):
        mine = [joint for joint in joints if joint.first.track == number]
        if mine:
            parts = tuple(sorted({part for joint in mine for part in joint.parts}))
            likely = [compiled for compiled in track.rules if compiled.loose is not None]
            most = MAX_VALUE if track.letters else evidence.MAX_DIGITS
            follows = most - min(len(joint.value) for joint in mine)
            given_up.append(
                Candidate(parts, follows, 0, (likely or track.rules)[0], Kind.GIVEN_UP, 0.5)
            )
    return given_up


def _behind_given_up(lane: Lane, tracks: tuple[tuple[Piece, ...], ...]) -> list[Candidate]:
    """What may be the rest of joints that were given up: nobody follows them, so it is masked."""
    behind = []
    for one in lane.candidates:
        pieces = tracks[one.track] if one.kind is Kind.GIVEN_UP else ()
        if pieces:
            digits = _digits(pieces)
            # What was masked is masked however often it is said.
            again = any(_digits(before, one.track) == digits for before in lane.recent)
            if again or one.length > 0:
                parts = tuple((piece, 0) for piece in pieces)
                follows = one.length if again else one.length - len(digits)
                behind.append(one._replace(parts=parts, length=follows))
    return behind


def _digits(pieces: Iterable[Piece], track: int | None = None) -> str:
    """The digits of some runs in their order: all of them, or those of one track."""
    return "".join([piece.value for piece in pieces if track is None or piece.track == track])


def _merge(joints: dict[tuple[str, int, int], Joint], joint: Joint) -> None:
    """Keep a joint; two that begin together and read the same are one, with the runs of both.

    Whatever speaks for either speaks for it, and what speaks against it must for both.
    """
    key = (joint.value, joint.first.note, joint.first.place)
    same = joints.get(key)
    if same is None:
        joints[key] = joint
        return
    if same.parts != joint.parts and _resends(same) >= MAX_RESENDS:
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


def _resends(joint: Joint) -> int:
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


def _extend(
    step: _Step, joint: Joint, piece: Piece, lane: Lane, *, talk: bool, passing: int
) -> None:
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
        if (full or grows) and _may_go_on(joint, piece, value, gap, called & track.loose, lane):
            longer = Joint(
                value,
                (*joint.parts, (piece, len(joint.value))),
                piece,
                loosest,
                called,
                joint.near | piece.near,
                joint.named | piece.named,
                joint.denied | (piece.refused if gap > gaps.JOINED else 0),
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
        passing >= (gaps.LABEL if is_called else gaps.TEXT)
        and (is_called or len(joint.value) >= LEAST_WAITING)
        and (not went_on or len(last.value) >= evidence.LEAST_GROUP)
    ):
        # "Wait 5 minutes" may be nothing but talk; where digits come one by one it is the next.
        step.keep(joint)
    elif is_called and talk:
        # Where words call for a number, other digits in the talk between its parts do not end it.
        step.keep(joint if joint.skipped else joint._replace(skipped=True))
    elif (
        _is_bare(joint)
        and (not went_on or _is_in_groups(joint))
        # Nobody waits for the rest of what is whole.
        and (joint.first.note, joint.first.start) not in step.given
    ):
        # Nothing but groups of digits so far: what stands between them may be something else.
        step.keep(joint if joint.skipped else joint._replace(skipped=True))
    elif not went_on:
        step.ended.append(joint)


def _is_in_groups(joint: Joint) -> bool:
    """Whether its parts so far are groups in which people write a number."""
    sizes: dict[int, int] = {}
    for piece, at in joint.parts:
        sizes.setdefault(at, len(piece.value))
    return evidence.may_become_natural(tuple(sizes.values()))


def _is_bare(joint: Joint) -> bool:
    """Whether its parts are messages with nothing else in them."""
    return (
        not joint.found
        and joint.loosest <= gaps.LINE
        and joint.last.tail <= gaps.LINE
        and joint.first.opens <= gaps.LABEL
        and len(joint.value) >= LEAST_WAITING
    )


def _may_go_on(joint: Joint, piece: Piece, value: str, gap: int, called: int, lane: Lane) -> bool:
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
    texts = [note.message.text for note in lane.notes if note.seq == last.note]
    return not (texts and evidence.is_postcode_then_phone(last, piece, texts[0]))


def _is_plausible(joint: Joint, candidate: Candidate, note: Note) -> bool:
    pieces = tuple(piece for piece in note.pieces if piece.track == joint.first.track)
    return evidence.is_plausible(joint, candidate, pieces, note.message.text)


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


def _small_change(last: Piece, pieces: tuple[Piece, ...]) -> int:
    """Where the small groups end that stand right behind a number: 12/27 123."""
    end = last.end
    for place in range(last.place + 1, len(pieces)):
        piece = pieces[place]
        if piece.lead > gaps.LINE or len(piece.value) > SMALL_CHANGE:
            break
        end = piece.end
    return end


def _sent_again(
    joints: list[Joint], lane: Lane, pieces: tuple[Piece, ...]
) -> tuple[list[Joint], list[Candidate]]:
    """The other reading of a message that repeats an earlier one: the same part, sent twice.

    The same digits are the same part, in whatever groups.
    """
    digits = _digits(pieces)
    track = pieces[0].track
    resent: list[Joint] = []
    again: list[Candidate] = []
    for before in reversed(lane.recent):
        earlier = [piece for piece in before if piece.track == track]
        if _digits(earlier) == digits:
            note, old, new = before[0].note, _places(earlier), _places(pieces)
            for joint in joints:
                copies = _copies(joint.parts, note, old, new)
                if copies and _resends(joint) < MAX_RESENDS:
                    newest = copies[-1][0] if joint.last.note == note else joint.last
                    resent.append(joint._replace(parts=joint.parts + copies, last=newest))
            for candidate in lane.candidates:
                if candidate.track != track or candidate.is_in_one_message:
                    # What is whole in one message is found in its repetition by itself.
                    continue
                copies = _copies(candidate.parts, note, old, new)
                if copies and candidate.kind < Kind.BEGUN and _spread(candidate) < MAX_MESSAGES:
                    again.append(candidate._replace(parts=candidate.parts + copies))
            break
        if len(digits) < SENT_AGAIN:
            # A digit or two that came up before is no part sent twice, unless it was the last one.
            break
    return resent, again


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

"""A message with what is known of its numbers, as it may be shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from masker.core import gaps, masking
from masker.core.beginnings import dictated
from masker.core.compact import LONG_ANSWER, Piece
from masker.core.echoes import LEAST_CHANCE
from masker.core.evidence import CHECKED, PARTLY, Candidate, Joint, Kind
from masker.core.groups import LEAST_GROUP, is_natural
from masker.core.masking import Span
from masker.core.messages import Finding, MaskedMessage, Message
from masker.core.surroundings import TAIL_DIGITS, is_natural_for

RunId = tuple[int, int, int]
# The least digits of a number that people call a card or an ID.
WHOLE = 15


class Note(NamedTuple):
    """A message of a lane: its runs, and what the text rules found."""

    seq: int
    message: Message
    revision: int
    pieces: tuple[Piece, ...]
    fixed: tuple[Span, ...]


def run_id(piece: Piece) -> RunId:
    """A run's name within its lane."""
    return (piece.note, piece.track, piece.place)


def pending_runs(joints: Iterable[Joint], candidates: Iterable[Candidate]) -> frozenset[RunId]:
    """The runs whose fate is open.

    What was begun and never finished waits for the joints it shares a run with: if one of
    those becomes a number, that was the number, and the rest comes back as written.
    """
    pending = {run_id(piece) for joint in joints for piece, _ in joint.parts}
    if pending:
        waiting: set[RunId] = set()
        for candidate in candidates:
            if candidate.kind in (Kind.CALLED, Kind.BEGUN):
                runs = _runs(candidate)
                if not runs.isdisjoint(pending):
                    waiting |= runs
        pending |= waiting
    return frozenset(pending)


def render(
    note: Note, candidates: Sequence[Candidate], pending: frozenset[RunId], *, final: bool
) -> MaskedMessage:
    """The message as it may be shown now."""
    places: set[int] = set()
    findings = [span.finding for span in note.fixed]
    text = note.message.text
    for span in note.fixed:
        places.update(masking.readable(text, span))
    for piece in note.pieces:
        if (piece.note, piece.track, piece.place) in pending:
            places.update(range(piece.start, piece.end))
    if candidates:
        for candidate in resolve(_bearing_on(note, candidates)):
            mine = [(piece, at) for piece, at in candidate.parts if piece.note == note.seq]
            if mine:
                hidden = candidate.length - candidate.keep_last
                for piece, at in mine:
                    last = piece.end if candidate.kind >= Kind.BEGUN else piece.start + hidden - at
                    places.update(range(piece.start, min(piece.end, last)))
                findings += _findings(candidate, [piece for piece, _ in mine])
    if places:
        text = masking.replace(text, places)
    surest: dict[tuple[int, int, str], Finding] = {}
    for found in findings:
        key = (found.start, found.end, found.rule)
        known = surest.get(key)
        if known is None or known.score < found.score:
            surest[key] = found
    message = note.message
    return MaskedMessage(
        message.conversation_id, message.message_id, message.sender, text, message.timestamp,
        message.channel, message.subject, message.extra, note.revision, final,
        tuple([surest[key] for key in sorted(surest)]),
    )  # fmt: skip


def _bearing_on(note: Note, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """The candidates that have a part in a message, and those that share one with these."""
    seq = note.seq
    mine = [found for found in candidates if any(piece.note == seq for piece, _ in found.parts)]
    if not mine or len(mine) == len(candidates):
        return mine
    runs = {piece for found in mine for piece, _ in found.parts}
    return [found for found in candidates if any(piece in runs for piece, _ in found.parts)]


def _findings(candidate: Candidate, pieces: list[Piece]) -> list[Finding]:
    """One finding for each stretch of a message with nothing but separators inside."""
    rule = candidate.rule.rule
    stretches: list[list[int]] = []
    previous: Piece | None = None
    for piece in sorted(pieces, key=lambda piece: piece.place):
        if previous is not None and piece.place == previous.place + 1 and piece.lead <= gaps.LINE:
            stretches[-1][1] = piece.end
        else:
            stretches.append([piece.start, piece.end])
        previous = piece
    return [Finding(rule.id, rule.entity, start, end, candidate.score) for start, end in stretches]


def resolve(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that stand, where several claim the same runs.

    A number inside another is part of it. Of two that cross, both stand (no reading may show
    what another hides), unless the later one's rest is itself explained: four cards in a row
    hold others by chance, that begin in one card and end in the next. Where a check digit
    proves a reading, words alone make no other that begins within it.
    """
    if len(candidates) == 1:
        return list(candidates)
    proven = _uncrossed(_outermost([found for found in candidates if found.kind is Kind.PROVEN]))
    cards = [found for found in proven if found.length >= WHOLE and found.score >= CHECKED]
    explaining = _Explaining(cards)
    called = _outermost(
        [found for found in candidates if found.kind is Kind.CALLED and not explaining.of(found)]
    )
    standing = proven + called + [found for found in candidates if found.kind >= Kind.GIVEN_UP]
    claimed = {run for found in standing for run in _runs(found)}
    for found in candidates:
        if found.kind is Kind.ECHO or found.kind is Kind.BEGUN:
            if claimed.isdisjoint(_runs(found)):
                rest: Candidate | None = found
            elif found.kind is Kind.ECHO:
                # A chance reading of what is read back shows a last four of its own.
                same = {run for one in standing if one.rule is found.rule for run in _runs(one)}
                is_long = sum([len(piece.value) for piece, _ in found.parts]) >= LEAST_CHANCE
                rest = found if is_long and same.isdisjoint(_runs(found)) else None
            else:
                rest = _rest(found, claimed)
            if rest is not None:
                standing.append(rest)
        elif found.kind is Kind.CALLED and found not in called:
            rest = _amid(found, explaining.of(found), claimed)
            if rest is not None:
                standing.append(rest)
    return standing


def _amid(called: Candidate, cards: list[Candidate], claimed: set[RunId]) -> Candidate | None:
    """The parts of what is no number after all that stand amid those of the one that it was.

    What stands behind them is an expiry date.
    """
    ends = [max((piece.note, piece.start) for piece, _ in card.parts) for card in cards]
    parts = tuple(
        [
            (piece, at)
            for piece, at in called.parts
            if run_id(piece) not in claimed
            and len(piece.value) >= LEAST_GROUP
            and any((piece.note, piece.start) < end for end in ends)
        ]
    )
    if not parts:
        return None
    return called._replace(
        parts=parts, kind=Kind.ECHO, length=called.length + called.keep_last, score=PARTLY
    )


def _rest(begun: Candidate, claimed: set[RunId]) -> Candidate | None:
    """What is left of a beginning that was named, beside the number that begins within it.

    Its first parts are no part of that number, which may be one by chance. Within one message
    the others are a group said twice, or put right.
    """
    bit = begun.rule.bit
    is_claimed = [run_id(piece) in claimed for piece, _ in begun.parts]
    last = len(is_claimed) - is_claimed[::-1].index(True)
    until = last if begun.is_in_one_message else is_claimed.index(True)
    if not begun.parts[0][0].named & bit:
        until = 0
    called = () if begun.is_in_one_message else dictated(begun.parts, bit)
    # Behind a number, in its own message, stands an expiry date.
    taken = {run[0] for run in claimed}
    parts = [
        part
        for place, part in enumerate(begun.parts)
        if not is_claimed[place]
        and (place < until or (part in called and part[0].note not in taken))
    ]
    return begun._replace(parts=tuple(parts)) if parts else None


class _Explaining:
    """Which proven numbers are all that there is to one that only words call for."""

    __slots__ = ("_with_run",)

    def __init__(self, cards: list[Candidate]) -> None:
        self._with_run: dict[RunId, list[tuple[Candidate, set[RunId]]]] = {}
        for card in cards:
            runs = _runs(card)
            for run in runs:
                self._with_run.setdefault(run, []).append((card, runs))

    def of(self, called: Candidate) -> list[Candidate]:
        """Those in which it begins, with an expiry date behind it.

        But an ID may hold a card by chance. And those that have everything of it but the
        counts of its parts.
        """
        start = called.parts[0][0]
        first = run_id(start)
        is_named = start.told & called.rule.bit
        begins = [
            card
            for card, _ in self._with_run.get(first, ())
            if (card.rule is called.rule or card.score > CHECKED)
            # What words name begins there, and is not the end of what was given before.
            and not (is_named and card.parts[0][0] != start)
            and not _goes_on(called, card)
        ]
        bare = _runs(called, ordinals=False)
        return begins + [
            card for card, runs in self._with_run.get(min(bare, default=first), ()) if bare <= runs
        ]


def _goes_on(called: Candidate, card: Candidate) -> bool:
    """Whether what words call for, and a number holds the beginning of, is more than its tail."""
    end = max((piece.note, piece.start) for piece, _ in card.parts)
    behind = [piece for piece, _ in called.parts if (piece.note, piece.start) > end]
    if sum([len(piece.value) for piece in behind]) <= TAIL_DIGITS:
        return False
    return is_natural(tuple([len(piece.value) for piece, _ in called.parts])) or any(
        len(piece.value) >= LONG_ANSWER and (piece.weak | piece.near) & called.rule.bit
        for piece in behind
    )


def _runs(candidate: Candidate, *, ordinals: bool = True) -> set[RunId]:
    """The names of its runs; `ordinals`: with those that may count its parts."""
    return {
        (piece.note, piece.track, piece.place)
        for piece, _ in candidate.parts
        if ordinals or not piece.ordinal
    }


class _Span(NamedTuple):
    """A candidate and its characters, as (message, place): the same for every track."""

    low: tuple[int, int]
    high: tuple[int, int]
    order: int
    places: frozenset[tuple[int, int]]
    hidden: frozenset[tuple[int, int]]
    candidate: Candidate


def _spans(candidates: list[Candidate]) -> list[_Span]:
    spans = []
    for order, found in enumerate(candidates):
        most = found.length - found.keep_last
        places: set[tuple[int, int]] = set()
        hidden: set[tuple[int, int]] = set()
        for piece, at in found.parts:
            own = [(piece.note, place) for place in range(piece.start, piece.end)]
            places.update(own)
            hidden.update(own[: max(0, most - at)])
        spans.append(
            _Span(min(places), max(places), order, frozenset(places), frozenset(hidden), found)
        )
    return sorted(spans, key=lambda span: (span.low, -len(span.places), span.order))


def _outermost(candidates: list[Candidate]) -> list[Candidate]:
    """Those that are no part of another which hides all that they hide."""
    if len(candidates) < 2:
        return candidates
    kept: list[_Span] = []
    open_spans: list[_Span] = []
    for span in _spans(candidates):
        # In order of their beginnings, what holds a span has been seen before it.
        open_spans = [other for other in open_spans if other.high >= span.low]
        inside = any(
            (span.places < other.places or (span.places == other.places and _same(span, other)))
            and span.hidden <= other.hidden
            for other in open_spans
        )
        if not inside:
            kept.append(span)
            open_spans.append(span)
    return [span.candidate for span in kept]


def _stands_by_itself(candidate: Candidate) -> bool:
    """Whether it is a number of one message, proven, in groups that people write."""
    return candidate.score >= CHECKED and candidate.is_in_one_message and is_natural_for(candidate)


def _same(one: _Span, other: _Span) -> bool:
    return one.candidate.rule is other.candidate.rule


def _uncrossed(candidates: list[Candidate]) -> list[Candidate]:
    """Those that do not begin in one number and end in the next, by chance."""
    if len(candidates) < 3:
        return candidates
    spans = _spans(candidates)
    starting: dict[tuple[int, int], list[_Span]] = {}
    for span in spans:
        starting.setdefault(span.low, []).append(span)
    kept: list[_Span] = []
    open_spans: list[_Span] = []
    for span in spans:
        open_spans = [other for other in open_spans if other.high >= span.low]
        crossed = False
        for earlier in open_spans:
            if not _stands_by_itself(earlier.candidate) or span.low <= earlier.low:
                continue
            rest = span.places - earlier.places
            if rest and len(rest) < len(span.places):
                crossed = crossed or any(
                    rest <= other.places
                    for other in starting.get(min(rest), ())
                    if other is not span and _stands_by_itself(other.candidate)
                )
        if not crossed:
            kept.append(span)
            open_spans.append(span)
    return [span.candidate for span in kept]

"""A message with what is known of its numbers, as it may be shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from masker.core import gaps, masking
from masker.core.compact import Piece
from masker.core.evidence import Candidate, Joint, Kind
from masker.core.masking import Span
from masker.core.messages import Finding, MaskedMessage, Message

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
    return (piece.note, piece.track, piece.index)


def pending_runs(joints: Iterable[Joint], candidates: Iterable[Candidate]) -> frozenset[RunId]:
    """The runs whose fate is open.

    What was begun and never finished waits for the joints it shares a run with: if one of
    those becomes a number, that was the number, and the rest comes back as written.
    """
    pending = {run_id(piece) for joint in joints for piece, _ in joint.parts}
    if pending:
        waiting: set[RunId] = set()
        for candidate in candidates:
            if candidate.kind is not Kind.PROVEN:
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
        if (piece.note, piece.track, piece.index) in pending:
            places.update(range(piece.start, piece.end))
    if candidates:
        for candidate in resolve(candidates):
            mine = [(piece, at) for piece, at in candidate.parts if piece.note == note.seq]
            if mine:
                hidden = candidate.length - candidate.keep_last
                for piece, at in mine:
                    places.update(range(piece.start, min(piece.end, piece.start + hidden - at)))
                findings += _findings(candidate, [piece for piece, _ in mine])
    if places:
        text = masking.replace(text, places)
    message = note.message
    return MaskedMessage(
        message.conversation_id, message.message_id, message.sender, text, message.timestamp,
        message.channel, message.subject, message.extra, note.revision, final,
        tuple(sorted(set(findings), key=lambda found: (found.start, found.end, found.rule))),
    )  # fmt: skip


def _findings(candidate: Candidate, pieces: list[Piece]) -> list[Finding]:
    """One finding for each stretch of a message with nothing but separators inside."""
    rule = candidate.rule.rule
    stretches: list[list[int]] = []
    previous: Piece | None = None
    for piece in sorted(pieces, key=lambda piece: piece.index):
        if previous is not None and piece.index == previous.index + 1 and piece.lead <= gaps.LINE:
            stretches[-1][1] = piece.end
        else:
            stretches.append([piece.start, piece.end])
        previous = piece
    return [
        Finding(rule.id, rule.entity, start, end, candidate.score) for start, end in stretches
    ]


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
    cards = [_runs(found) for found in proven if found.length >= WHOLE]
    called = _outermost(
        [
            found
            for found in candidates
            if found.kind is Kind.CALLED
            # What begins in a proven number is that number, with an expiry date behind it.
            and not any(run_id(found.parts[0][0]) in runs for runs in cards)
        ]
    )
    standing = proven + called
    claimed = {run for found in standing for run in _runs(found)}
    return standing + [
        found
        for found in candidates
        if found.kind is Kind.BEGUN and claimed.isdisjoint(_runs(found))
    ]


def _runs(candidate: Candidate) -> set[RunId]:
    return {run_id(piece) for piece, _ in candidate.parts}


def _outermost(candidates: list[Candidate]) -> list[Candidate]:
    spans = [_places(found) for found in candidates]
    kept = []
    for number, found in enumerate(candidates):
        mine = spans[number]
        inside = any(
            mine < other or (mine == other and candidates[place] == found and place < number)
            for place, other in enumerate(spans)
            if candidates[place].keep_last <= found.keep_last
        )
        if not inside:
            kept.append(found)
    return kept


def _places(candidate: Candidate) -> frozenset[tuple[int, int]]:
    """The characters of a candidate, as (message, place): the same for every track."""
    return frozenset(
        (piece.note, place)
        for piece, _ in candidate.parts
        for place in range(piece.start, piece.end)
    )


def _uncrossed(candidates: list[Candidate]) -> list[Candidate]:
    if len(candidates) < 3:
        return candidates
    in_order = sorted(candidates, key=lambda found: min(_places(found)))
    kept: list[tuple[Candidate, frozenset[tuple[int, int]]]] = []
    for found in in_order:
        mine = _places(found)
        crossed = False
        for _, earlier in kept:
            if mine.isdisjoint(earlier) or mine <= earlier or min(mine) <= min(earlier):
                continue
            rest = mine - earlier
            crossed = crossed or any(
                rest <= _places(other) and min(_places(other)) == min(rest)
                for other in in_order
                if other is not found
            )
        if not crossed:
            kept.append((found, mine))
    return [found for found, _ in kept]

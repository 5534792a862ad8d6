"""Numbers that were found, side by side: what each new message adds, and what it makes idle."""

from __future__ import annotations

from masker.core.compact import Piece
from masker.core.evidence import Candidate, Kind


def together(
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
    known: set[frozenset[tuple[Piece, int]]] = set()
    # What holds every part holds the first: nothing else is looked at.
    holding: dict[tuple[Piece, int], list[frozenset[tuple[Piece, int]]]] = {}
    for one in sorted(candidates, key=lambda one: -len(one.parts)):
        parts = frozenset(one.parts)
        is_part = parts in known
        if not is_part and not one.is_in_one_message:
            is_part = any(parts <= more for more in holding.get(one.parts[0], ()))
        if not is_part:
            kept.append(one)
            known.add(parts)
            for part in parts:
                holding.setdefault(part, []).append(parts)
    return kept


def without_repeats(
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

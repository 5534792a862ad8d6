"""One text that comes in chunks, as a language model writes it.

What comes out, put together, is what the whole text would have given. A character
comes out as soon as no continuation can change how it is masked. It waits

* while its run of digits may still grow, or is part of a joint that may;
* while words that would call it a number may still come behind it;
* while the list, table or address that it may belong to is not over;
* while its word may still become a machine's identifier, or something that a text
  rule masks.

A number that is proven comes out masked at once, but for the last four, which may
turn out to be the middle of a longer one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

from masker.core import characters, compact, detect, evidence, gaps, groups, surroundings
from masker.core.compact import Piece
from masker.core.evidence import Candidate, Joint, Kind
from masker.core.joints import Before, join
from masker.core.messages import Message
from masker.core.patterns import PATTERN_TIMEOUT, Track
from masker.core.render import Note, run_id
from masker.core.ruleset import RuleSet
from masker.core.runs import may_be_group, open_group, open_identifier
from masker.core.words import NARROW, lower
from masker.errors import ClosedError

# What has come out is kept, in characters, for as long as it can bear on what comes.
_KEPT = 256
_SPARE = 128
_KEPT_WORD = 4096
# What counts something has so few digits, and says what so soon behind them (12/27, 20 元).
_QUANTITY_DIGITS = 4
_QUANTITY_BEHIND = 3
_MOMENT_DIGITS = 2
_SPACES = " \t\r\n\u3000"


class Stream:
    """A redactor for one text in chunks. Made by `Masker.stream`."""

    __slots__ = ("_closed", "_done", "_rules", "_text")

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._text = ""
        self._done = 0
        self._closed = False

    def __repr__(self) -> str:
        return f"Stream({len(self._text) - self._done} characters held)"

    def feed(self, chunk: str) -> str:
        """Take the next chunk; give what is safe to show now, which may be nothing.

        Raises:
            ClosedError: the stream is closed.
        """
        if self._closed:
            raise ClosedError("the stream is closed; a new text needs a new stream")
        self._text += chunk
        try:
            until = first_undecided(self._rules, self._text, self._done)
        except Exception:  # noqa: BLE001 - fail closed: what cannot be judged waits
            return ""
        return self._give(until)

    def close(self) -> str:
        """The text is over: give the rest."""
        if self._closed:
            return ""
        self._closed = True
        return self._give(len(self._text))

    def _give(self, until: int) -> str:
        if until <= self._done:
            return ""
        piece = detect.mask(self._rules, self._text).text[self._done : until]
        self._done = until
        self._forget()
        return piece

    def _forget(self) -> None:
        """Drop what can no longer matter, at a space so that no word is torn."""
        spare = self._done - _KEPT
        if spare < _SPARE:
            return
        cut = max(self._text.rfind(space, 0, spare) for space in _SPACES) + 1
        if not cut and spare > _KEPT_WORD:
            cut = spare
        if cut:
            self._text = self._text[cut:]
            self._done -= cut


def first_undecided(rules: RuleSet, text: str, start: int) -> int:
    """The first place, from `start` on, whose masking a continuation of the text could change."""
    places: set[int] = set()
    size = len(text)
    until = _open_text_rule(rules, text, start)
    talk = compact.listen(rules, text)
    tracks = compact.read(rules, text, talk)
    pieces = tuple(piece for track in tracks for piece in track)
    certain: set[int] = set()
    if pieces:
        closed = tuple(
            tuple(
                piece if piece.place + 1 < len(track) else piece._replace(tail=gaps.LINE)
                for piece in track
                if not _is_open(text, piece)
            )
            for track in tracks
        )
        note = Note(1, Message("", "", "", text), 0, pieces, ())
        joints, candidates, _, ends = join(rules, Before(), closed, note, more=True)
        for number, track in enumerate(rules.tracks):
            mine = [joint for joint in joints if joint.first.track == number]
            places |= _of_joints(track, mine, tracks[number], text, ends)
        places |= _of_words(rules, closed, talk.lowered, ends)
        for fewer in _without_quantities(tracks, text):
            places |= _of_words(rules, fewer, talk.lowered, ends)
        certain = _certain(candidates, joints, tracks, text, places, ends)
    places |= _of_word_end(rules, text)
    undecided = [place for place in places if place >= start and place not in certain]
    return min([size, until, *undecided])


def _without_quantities(
    tracks: tuple[tuple[Piece, ...], ...], text: str
) -> Iterator[tuple[tuple[Piece, ...], ...]]:
    """The runs without those at the end of the text that may turn out a date, or an amount."""
    last = max((track[-1].end for track in tracks if track), default=0)
    while text and len(text) - last <= _QUANTITY_BEHIND:
        tracks = tuple(
            track[:-1] if track and track[-1].end == last and _is_short(track[-1]) else track
            for track in tracks
        )
        before = max((track[-1].end for track in tracks if track), default=0)
        if not before or before == last:
            return
        yield tracks
        if last - before > _QUANTITY_BEHIND + _QUANTITY_DIGITS:
            return
        text, last = text[:last], before


def _is_short(piece: Piece) -> bool:
    return len(piece.value) <= _QUANTITY_DIGITS


def _may_be_a_moment(piece: Piece, behind: str) -> bool:
    """Whether a run may turn out the hour of a time of day, or a month (4:08, 12/27)."""
    is_apart = len(behind) > 1 and behind[:2].isspace()
    return len(piece.value) <= _MOMENT_DIGITS and len(behind) <= _QUANTITY_BEHIND and not is_apart


def _is_open(text: str, piece: Piece) -> bool:
    """Whether the run ends where the text ends so far, and may be longer."""
    return piece.end == len(text)


def _of_joints(
    track: Track, joints: list[Joint], pieces: tuple[Piece, ...], text: str, ends: set[int]
) -> set[int]:
    """The characters of joints that what comes next may go on, or a run that is not over."""
    places: set[int] = set()
    if not pieces:
        return places
    last = pieces[-1]
    if last.end < len(text):
        gap = text[last.end :]
        for joint in joints:
            if joint.last.place != last.place:
                continue
            joins = gaps.may_still_join(gap, called=bool(joint.called & track.loose))
            is_group = track.letters and may_be_group(gap)
            if joins or is_group:
                over_words = joins and gaps.ONLY_SEPARATORS.fullmatch(gap) is None
                size = _open_size(
                    track, joint.value, joint.first, [piece for piece, _ in joint.parts],
                    called=joint.called, over_words=over_words,
                    starts_block=surroundings.starts_a_block(joint.first, pieces, text, ends),
                )  # fmt: skip
                places |= _first_places(joint.parts, size)
        return places
    # Words that come behind what is not over yet may call for all of it.
    size = _open_size(
        track, last.value, last, [], called=last.weak | last.near | track.loose,
        starts_block=surroundings.starts_a_block(last, pieces, text, ends),
    )  # fmt: skip
    places |= _first_places(((last, 0),), size)
    for joint in joints:
        if joint.last.place + 1 == last.place and last.lead != gaps.BROKEN:
            value, parts = joint.value + last.value, (*joint.parts, (last, len(joint.value)))
            called = joint.called | last.weak | last.near
            size = _open_size(
                track, value, joint.first, [piece for piece, _ in joint.parts],
                called=called | track.loose,
                over_words=max(joint.loosest, last.lead) >= gaps.LABEL,
                starts_block=surroundings.starts_a_block(joint.first, pieces, text, ends),
            )  # fmt: skip
            if called & track.loose and size < len(value):
                # It may yet say the group before it again, and be no more than that.
                size = max(size, _again_size(track, joint, last))
            places |= _first_places(parts, size)
    return places


def _again_size(track: Track, joint: Joint, last: Piece) -> int:
    """How many leading characters of a joint a run could change by putting its last group right."""
    before = joint.value[: joint.parts[-1][1]]
    value = before + joint.last.value
    if not (joint.last.value.startswith(last.value[:1]) and track.can_grow(before, joint.called)):
        return 0
    return len(value)


def _open_size(
    track: Track,
    value: str,
    first: Piece,
    closed: list[Piece],
    *,
    called: int,
    starts_block: bool,
    over_words: bool = False,
) -> int:
    """How many leading characters of what runs make a continuation could still mask, or let go.

    The runs that are `closed` can get no longer.
    """
    sizes = tuple(len(piece.value) for piece in closed)
    most = 0
    for compiled in track.rules:
        if first.denied & compiled.bit:
            continue
        loose = compiled.loose
        is_called = bool(called & compiled.bit)
        if loose is not None and is_called and (loose.can_grow(value) or loose.is_full(value)):
            return len(value)
        if compiled.context_required and not starts_block:
            continue
        # Without a check digit a number is whole, or in groups that numbers have.
        may_stand = starts_block or not sizes or groups.may_become_natural(sizes)
        if not compiled.checked and (over_words or not may_stand):
            continue
        if compiled.pattern.can_grow(value):
            return len(value)
        if compiled.pattern.is_full(value) and (compiled.check(value) or loose is not None):
            most = max(most, len(value) - compiled.keep_last)
    return most


def _first_places(parts: Iterable[tuple[Piece, int]], size: int) -> set[int]:
    places: set[int] = set()
    for piece, at in parts:
        places.update(range(piece.start, min(piece.end, piece.start + max(0, size - at))))
    return places


def _of_words(
    rules: RuleSet,
    closed: tuple[tuple[Piece, ...], ...],
    lowered: str,
    ends: set[int],
) -> set[int]:
    """The characters of the last run, and those joined to it, that words behind could call for."""
    places: set[int] = set()
    for track, pieces in zip(rules.tracks, closed, strict=True):
        if not pieces or not rules.words.may_follow(lowered, pieces[-1].end, compact.NEAR_AFTER):
            continue
        if compact.sentence_ends(lowered, pieces[-1].end):
            continue
        runs: list[Piece] = []
        for piece in reversed(pieces):
            runs.insert(0, piece)
            value = "".join(run.value for run in runs)
            for compiled in track.rules:
                shape = compiled.pattern if compiled.context_required else compiled.loose
                starts_block = surroundings.starts_a_block(piece, pieces, lowered, ends)
                if compiled.context_required and not starts_block:
                    continue
                if shape is not None and not piece.denied & compiled.bit and shape.is_full(value):
                    starts = accumulate([len(run.value) for run in runs], initial=0)
                    places |= _first_places(
                        zip(runs, starts, strict=False), len(value) - compiled.keep_last
                    )
            if piece.lead > gaps.LABEL or len(value) > 2 * evidence.STRONG_CHECK:
                break
    return places


def _certain(
    candidates: tuple[Candidate, ...],
    joints: tuple[Joint, ...],
    tracks: tuple[tuple[Piece, ...], ...],
    text: str,
    places: set[int],
    ends: set[int],
) -> set[int]:
    """The characters that are masked whatever follows; adds what may yet be let go to `places`."""
    certain: set[int] = set()
    identifier = open_identifier(text)
    for candidate in candidates:
        runs = [piece for piece, _ in candidate.parts]
        last = runs[-1]
        mine = {place for piece in runs for place in range(piece.start, piece.end)}
        behind = text[last.end :]
        pieces = tracks[last.track]
        block_open = _is_block_open(runs, pieces, text)
        stands = surroundings.is_natural_for(candidate) and surroundings.starts_a_block(
            runs[0], pieces, text, ends
        )
        crosses = any(
            run_id(joint.first) != run_id(runs[0])
            and any(run_id(joint.first) == run_id(piece) for piece in runs[1:])
            and any(
                run_id(runs[0]) in {run_id(piece) for piece, _ in other.parts[1:]}
                for other in candidates
            )
            for joint in joints
        )
        depends = (
            last.end > identifier
            or crosses
            or candidate.kind is not Kind.PROVEN
            # What words ask for is a number by itself, with few digits behind it.
            or (candidate.rule.context_required and block_open)
            # Its last run may turn out a date, or an amount.
            or (len(runs) > 1 and _may_be_a_moment(last, behind))
            or (len(runs) > 1 and block_open and not stands)
            or (len(runs) > 1 and len(behind) < surroundings.ADDRESS_AFTER
                and surroundings.may_be_address(candidate))
        )  # fmt: skip
        if not depends:
            hidden = candidate.length - candidate.keep_last
            for piece, at in candidate.parts:
                certain.update(range(piece.start, min(piece.end, piece.start + hidden - at)))
        elif (
            last.end > identifier
            or crosses
            or block_open
            or surroundings.may_be_address(candidate)
            or _may_be_a_moment(last, behind)
        ):
            places |= mine
    return certain


def _is_block_open(runs: list[Piece], pieces: tuple[Piece, ...], text: str) -> bool:
    """Whether more digits may come to stand behind these runs, with nothing that parts them."""
    last = runs[-1]
    inner = {piece.gap for piece in runs[1:]}
    end = last.end
    for piece in pieces[last.place + 1 :]:
        if piece.lead > gaps.LINE or (end == last.end and inner and piece.gap not in inner):
            return False
        end = piece.end
    behind = text[end:]
    if (
        end == last.end
        and inner
        and not any(gap is None or gap.startswith(behind) for gap in inner)
    ):
        return False
    return (
        gaps.ONLY_SEPARATORS.fullmatch(behind) is not None
        or surroundings.MASKED_BEHIND.fullmatch(behind) is not None
    )


def _of_word_end(rules: RuleSet, text: str) -> set[int]:
    """A lone numeral, or the first letters of a code, at the very end of the text."""
    size = len(text)
    places: set[int] = set()
    bare = size
    while bare and characters.is_separator(text[bare - 1]) and size - bare < gaps.MAX_SEPARATORS:
        bare -= 1
    if bare and ord(text[bare - 1]) in characters.HANZI:
        places.add(bare - 1)
    for track in rules.tracks:
        if track.letters:
            start = open_group(text)
            value = text[start:].translate(characters.COMPACT)
            letters = "".join(char for char in value if char.isalpha())
            if letters and track.can_grow(letters, ~0):
                places.update(range(start, size))
    return places


def _open_text_rule(rules: RuleSet, text: str, start: int) -> int:
    """Where something begins that a text rule may mask, once more of it is there."""
    first = len(text)
    if not rules.text_rules:
        return first
    lowered = lower(text)
    narrow = lowered if lowered.isascii() else lowered.translate(NARROW)
    for text_rule in rules.text_rules:
        try:
            for match in text_rule.pattern.finditer(narrow, partial=True, timeout=PATTERN_TIMEOUT):
                start = match.start()
                # A whole match may be the beginning of a longer one: a@b.example, a@b.example1.org.
                if (
                    match.partial
                    or match.end() == len(text)
                    or text_rule.pattern.fullmatch(
                        narrow, start, partial=True, timeout=PATTERN_TIMEOUT
                    )
                ):
                    first = min(first, start)
                    break
        except TimeoutError:
            return start
    return first

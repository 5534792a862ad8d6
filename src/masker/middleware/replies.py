"""A reply that comes in chunks, masked as it comes.

It is `core.stream` that says which characters nothing that follows can change; what comes
out, put together, is what the whole text would have given. With `join` the sender's lane is
asked as well, so that a number cut over two replies shows no more than one within a reply:
then what may go on in the next reply stays masked when this one is over.

Tokens of a `TokenMap` are taken out before, one character each, and put back behind the
masking: what they stand for is shown, and stored masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from masker.core import detect, lanes, masking
from masker.core.lanes import EMPTY, Lane, Window
from masker.core.messages import Finding, MaskedMessage, Message
from masker.core.ruleset import RuleSet
from masker.core.stream import first_undecided
from masker.errors import ClosedError
from masker.middleware.tokens import OPENING, STAND_IN, TokenMap, fill

# What has come out is kept, in characters, for as long as it can bear on what comes.
_KEPT = 256
_SPARE = 128
_SPACES = " \t\r\n\u3000"
_WINDOW = Window()
# A reply is kept until it is over. What never ends is better cut into replies of this size.
MAX_CHARACTERS = 65_536


class ReplyText:
    """One reply, in chunks; made by a pipeline. Not for several threads at once."""

    def __init__(
        self,
        rules: RuleSet,
        message: Message,
        *,
        lane: Lane | None = None,
        tokens: TokenMap | None = None,
        join: bool = False,
    ) -> None:
        self._rules = rules
        self._message = message
        self._lane = lane or EMPTY
        self._tokens = tokens
        self._join = join
        self._text = ""
        self._done = 0
        self._opening = ""
        self._closed = False
        # What each stand-in that is not shown yet is shown as, and what all of them are masked as.
        self._shown: list[str] = []
        self._masks: list[str] = []
        self._size = 0
        self._chunks: list[str] = []
        self._pieces: list[str] = []

    def __repr__(self) -> str:
        return f"ReplyText({len(self._text) - self._done} characters held)"

    @property
    def stands_for(self) -> tuple[str, ...]:
        """What the stand-ins of the reply are masked as, in their order."""
        return tuple(self._masks)

    @property
    def is_long(self) -> bool:
        """Whether it is better to go on in another reply: much was said, and nothing is held."""
        return self._size > MAX_CHARACTERS and self._done == len(self._text) and not self._opening

    @property
    def masked_text(self) -> str:
        """What has come out so far, with what tokens stand for masked."""
        return fill("".join(self._pieces), self._masks)

    def feed(self, chunk: str) -> str:
        """Take the next chunk; give what is safe to show now, which may be nothing.

        Raises:
            ClosedError: the reply is closed.
        """
        if self._closed:
            raise ClosedError("the reply is closed; a new text needs a new reply")
        try:
            self._take(self._opening + chunk, last=False)
            until = first_undecided(self._rules, self._text, self._done)
            return self._give(until)
        except Exception:  # noqa: BLE001 - fail closed: what cannot be judged waits
            return ""

    def close(self) -> str:
        """The reply is over: give the rest."""
        if self._closed:
            return ""
        self._closed = True
        try:
            self._take(self._opening, last=True)
            return self._give(len(self._text))
        except Exception:  # noqa: BLE001 - fail closed: nothing of the rest is readable
            rest = masking.blank(self._text[self._done :])
            self._done = len(self._text)
            self._pieces.append(rest)
            return rest

    def as_message(self, message: Message) -> Message:
        """The whole reply, as it is for the conversation: a stand-in for each token."""
        return replace(message, text="".join(self._chunks))

    def _take(self, text: str, *, last: bool) -> None:
        """Add a chunk, with its tokens taken out; what may become one waits."""
        self._opening = ""
        if self._tokens is not None:
            opening = None if last else OPENING.search(text)
            if opening is not None:
                text, self._opening = text[: opening.start()], opening[0]
            text, lifted = self._tokens.lift(text)
            self._shown += map(self._tokens.original, lifted)
            self._masks += map(self._tokens.masked, lifted)
        self._chunks.append(text)
        self._size += len(text)
        self._text += text

    def _give(self, until: int) -> str:
        if until <= self._done:
            return ""
        piece = self._judged()[self._done : until]
        self._done = until
        self._pieces.append(piece)
        self._forget()
        count = piece.count(STAND_IN)
        if not count or self._tokens is None:
            return piece
        shown, self._shown = self._shown[:count], self._shown[count:]
        return fill(piece, shown)

    def _judged(self) -> str:
        """The text so far, masked wherever the text alone or the lane says so."""
        rules, text = self._rules, self._text
        if self._lane is EMPTY and not rules.needs_look(text):
            return text
        alone = detect.mask(rules, text).text
        if not self._join:
            return alone
        _, out = lanes.receive(rules, self._lane, replace(self._message, text=text), _WINDOW)
        mine = [said for said in out if said.message_id == self._message.message_id]
        lane = mine[-1].text
        if lane == alone:
            return alone
        places = [place for place, char in enumerate(lane) if char == masking.FILL]
        return masking.replace(alone, places)

    def _forget(self) -> None:
        """Drop what can no longer matter, at a space so that no word is torn."""
        spare = self._done - _KEPT
        if spare < _SPARE:
            return
        cut = max(self._text.rfind(space, 0, spare) for space in _SPACES) + 1
        if not cut:
            return
        head = self._text[:cut]
        if self._join and (self._lane is not EMPTY or self._rules.needs_look(head)):
            said = replace(self._message, text=head)
            try:
                lane, _ = lanes.receive(self._rules, self._lane, said, _WINDOW)
            except Exception:  # noqa: BLE001 - what cannot be judged stays to be judged again
                return
            self._lane = EMPTY if lane.is_idle else lane
        self._text = self._text[cut:]
        self._done -= cut


def expand(masked: MaskedMessage, stands_for: Sequence[str]) -> MaskedMessage:
    """A masked text with every stand-in replaced, and its findings where they then are."""
    shifts: list[tuple[int, int]] = []
    at = -1
    for text in stands_for:
        at = masked.text.find(STAND_IN, at + 1)
        if at < 0:
            break
        shifts.append((at, len(text) - 1))

    def moved(place: int) -> int:
        return place + sum(size for at, size in shifts if at < place)

    findings = tuple(
        Finding(found.rule, found.entity, moved(found.start), moved(found.end), found.score)
        for found in masked.findings
    )
    return replace(masked, text=fill(masked.text, stands_for), findings=findings)

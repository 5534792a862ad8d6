"""The leak counter: what could ever be read of numbers that were planted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from masker.core.messages import MaskedMessage, Message
from masker.testing.scenes import Scene, Sent
from masker.testing.writing import KEEP, MASK, Written


class LeakCounter:
    """Collects, over every revision, which digits of each planted number could be read.

    `keep` is how many of its last characters may stay readable.
    """

    def __init__(self, keep: int = KEEP) -> None:
        self.keep = keep
        self.readable: dict[str, set[int]] = {}
        self.final: dict[tuple[str, str], MaskedMessage] = {}
        self.revisions: dict[tuple[str, str], int] = {}
        self._written: dict[tuple[str, str], Written] = {}

    def expect(self, sent: Sent) -> None:
        """A message is about to be received."""
        self._written.setdefault(sent.key, sent.written)
        for number, _ in sent.written.digits:
            self.readable.setdefault(number, set())

    def see(self, outs: Iterable[MaskedMessage]) -> None:
        """Revisions came out: collect what they show; hold them to their shape and order."""
        for out in outs:
            key = out.conversation_id, out.message_id
            written = self._written[key]
            assert len(out.text) == len(written.text), f"{key}: length changed"
            assert key not in self.final, f"{key}: came out again after it was final"
            assert out.revision > self.revisions.get(key, -1), f"{key}: revision did not grow"
            self.revisions[key] = out.revision
            if out.final:
                self.final[key] = out
            for after, before, mark in zip(out.text, written.text, written.marks, strict=True):
                assert after in (before, MASK), f"{key}: a character became another"
                if mark is not None and after == before:
                    self.readable[mark[0]].add(mark[1])

    def leaks(self) -> dict[str, list[int]]:
        """Per planted number the digits before its last four that were ever readable."""
        found = {
            number: sorted(index for index in seen if index < len(number) - self.keep)
            for number, seen in self.readable.items()
        }
        return {number: indexes for number, indexes in found.items() if indexes}

    def unfinished(self) -> list[tuple[str, str]]:
        """Messages received that never became final."""
        return [key for key in self._written if key not in self.final]

    def changed_elsewhere(self) -> list[tuple[str, str, int]]:
        """Where a final text is masked although no planted digit stands there."""
        return [
            (*key, position)
            for key, out in self.final.items()
            for position, (after, before, mark) in enumerate(
                zip(out.text, self._written[key].text, self._written[key].marks, strict=True)
            )
            if after != before and mark is None
        ]

    def masked_at_the_end(self) -> dict[str, set[int]]:
        """Per planted number the digits masked in every final text that holds them."""
        hidden: dict[str, set[int]] = {}
        open_: dict[str, set[int]] = {}
        for key, out in self.final.items():
            written = self._written[key]
            for after, before, mark in zip(out.text, written.text, written.marks, strict=True):
                if mark is not None:
                    side = open_ if after == before else hidden
                    side.setdefault(mark[0], set()).add(mark[1])
        return {n: hidden.get(n, set()) - open_.get(n, set()) for n in hidden | open_}


def play(
    scene: Scene | Sequence[Sent],
    receive: Callable[[Message], Iterable[MaskedMessage]],
    finish: Callable[[], Iterable[MaskedMessage]],
    *,
    keep: int = KEEP,
) -> LeakCounter:
    """Send a whole scene through and count."""
    counter = LeakCounter(keep)
    for sent in scene.sent if isinstance(scene, Scene) else scene:
        counter.expect(sent)
        counter.see(receive(sent.message))
    counter.see(finish())
    return counter

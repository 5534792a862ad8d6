"""What was shown lately, for messages that are sent again."""

from __future__ import annotations

Key = tuple[str, str]


class Recent:
    """The text each of the last messages was shown with; never what it was.

    A message that comes again, as it was sent or as it was shown, is shown as it was. Of the
    text that was sent only a hash is kept, also where it was shown as it is.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._shown: dict[Key, tuple[int, str | None]] = {}

    def __repr__(self) -> str:
        return f"Recent({len(self._shown)} messages)"

    def of(self, key: Key, text: str) -> str | None:
        """What to show for this text under this id, where that is known."""
        known = self._shown.get(key)
        if known is None:
            return None
        sent, shown = known
        if shown is None:
            return text if hash(text) == sent else None
        return shown if text == shown or hash(text) == sent else None

    def has(self, key: Key) -> bool:
        """Whether a message of this id was shown."""
        return key in self._shown

    def keep(self, key: Key, text: str, shown: str) -> None:
        """This text was shown so; the oldest is forgotten where there are too many."""
        self._shown.pop(key, None)
        self._shown[key] = (hash(text), None if shown == text else shown)
        if len(self._shown) > self._limit:
            del self._shown[next(iter(self._shown))]

    def forget(self, conversation_id: str | None) -> None:
        """A conversation is over, or all are."""
        for key in [key for key in self._shown if conversation_id in (None, key[0])]:
            del self._shown[key]

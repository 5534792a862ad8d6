"""Legal holds: what must be kept for now, whoever asks for its purge."""

from __future__ import annotations

from masker.stores.database import Database
from masker.stores.heads import Digests
from masker.stores.states import State


class Holds:
    """Conversations and subjects under legal hold, by their names."""

    def __init__(self, keys: Database, digests: Digests) -> None:
        self._keys = keys
        self._digests = digests

    def put(self, name: bytes, now: int) -> None:
        """Put a conversation or subject under legal hold."""
        entry = self._digests.pack_entry(b"hold", name, now.to_bytes(8, "big", signed=True))
        with self._keys.transaction():
            self._keys.execute(
                "INSERT INTO hold (name, entry) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
                (name, entry),
            )

    def lift(self, name: bytes) -> None:
        """What was put under hold is no longer."""
        with self._keys.transaction():
            self._keys.execute("DELETE FROM hold WHERE name = ?", (name,))

    def covers(self, state: State) -> bool:
        """Whether a conversation, or one of its subjects, is held."""
        return any(self._is_held(name) for name in (state.name, *state.subjects))

    def _is_held(self, name: bytes) -> bool:
        rows = self._keys.execute("SELECT entry FROM hold WHERE name = ?", (name,))
        if rows:
            self._digests.read_entry(b"hold", name, bytes(rows[0][0]), "hold")
        return bool(rows)

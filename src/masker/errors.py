"""Everything masker raises, in one tree.

No error ever carries message text or a number (promise 7): it names the rule,
the message and the place, the state and the limit.
"""

from __future__ import annotations


class MaskerError(Exception):
    """The root: `except MaskerError` catches whatever masker raises on purpose."""


class RuleError(MaskerError):
    """A rule pack cannot be used; names the file, the rule and the key."""

    def __init__(self, *, source: str, rule: str | None, key: str | None, reason: str) -> None:
        self.source = source
        self.rule = rule
        self.key = key
        self.reason = reason
        place = ": ".join(part for part in (source, rule, key) if part)
        super().__init__(f"{place}: {reason}")


class UnknownRuleError(MaskerError):
    """A rule or pack was asked for by a name that no pack has."""

    def __init__(self, *, name: str, known: tuple[str, ...]) -> None:
        self.name = name
        super().__init__(f"no rule or pack is called {name!r}; there are: {', '.join(known)}")


class MessageError(MaskerError):
    """A message cannot be used as it is; names the field, never its content."""


class ClosedError(MaskerError):
    """A stream was fed after it was closed."""


class BuffersError(MaskerError):
    """What conversations are kept in cannot be used: lost, out of reach, or set up wrongly."""


class MissingExtraError(MaskerError, ImportError):
    """A library that an adapter needs is not installed; says what to install."""

    def __init__(self, *, extra: str) -> None:
        self.extra = extra
        super().__init__(f"this needs libraries that are not there: pip install 'masker[{extra}]'")


class StageError(MaskerError):
    """A part of the pipeline failed; names it and what it was asked, never with what.

    `waiting` is how many masked messages wait to be saved; they go with the next ones.
    """

    def __init__(self, *, stage: str, act: str, kind: str, waiting: int = 0) -> None:
        self.stage = stage
        self.act = act
        self.waiting = waiting
        rest = f"; {waiting} masked messages wait to be saved" if waiting else ""
        super().__init__(f"{stage}: {act} failed ({kind}){rest}")


class BodyError(MaskerError):
    """A body, or a part of it, is longer than what is looked at."""

    def __init__(self, *, what: str, limit: int) -> None:
        self.limit = limit
        super().__init__(f"a {what} is longer than {limit} bytes")


class VaultError(MaskerError):
    """Keys, or what is sealed under them, cannot be used."""


class KeysError(VaultError):
    """Key material is missing, wrong or open to others; says what to do about it."""


class TamperedError(VaultError):
    """What is stored is not what was stored; names the place and what is wrong there."""

    def __init__(self, *, place: str, reason: str) -> None:
        self.place = place
        self.reason = reason
        super().__init__(f"{place}: {reason}")


class RolledBackError(TamperedError):
    """What is stored is older than what its keys have already seen."""


class ReceiptError(VaultError):
    """A purge receipt does not hold; says which of its claims fails."""


class StoreError(MaskerError):
    """A store cannot be used, or did not take what it was given; nothing was acknowledged."""


class PurgedError(StoreError):
    """A message belongs to what was purged: it is refused, so that nothing is resurrected."""

    def __init__(self, *, conversation_id: str, message_id: str, reason: str) -> None:
        self.conversation_id = conversation_id
        self.message_id = message_id
        self.reason = reason
        super().__init__(f"message {message_id!r} of {conversation_id!r}: {reason}")

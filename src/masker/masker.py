"""`Masker`: the rules that are in force, and the three ways to use them."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from os import PathLike
from typing import Any, overload

from masker import packs
from masker.buffers import Buffers, SharedRedactor
from masker.buffers.shared import Acknowledge
from masker.buffers.turns import Order
from masker.core import detect
from masker.core.lanes import Window
from masker.core.messages import Masked
from masker.core.redactor import Delivery, Redactor
from masker.core.rules import Pack, Rule
from masker.core.ruleset import RuleSet
from masker.core.stream import Stream
from masker.errors import UnknownRuleError


class Masker:
    """Masks numbers in texts, conversations and streams by a set of rules.

    `rules` names rules, or packs, to use instead of those that are on by default;
    `rules_path` is a pack file, or a folder of them, to use in place of the bundled ones.

    Raises:
        RuleError: a pack cannot be used.
        UnknownRuleError: no rule or pack has a name given in `rules`.
    """

    def __init__(
        self,
        rules: Sequence[str] | None = None,
        rules_path: str | PathLike[str] | None = None,
    ) -> None:
        own = rules_path is not None
        available = (
            packs.load_packs(rules_path) if rules_path is not None else packs.bundled_packs()
        )
        self._rules = RuleSet(_chosen(available, rules, all_packs=own), watched=own)

    @classmethod
    def of(cls, rules: Sequence[Rule]) -> Masker:
        """A masker of these very rules, that stand in no file: for tests of rules."""
        masker = cls.__new__(cls)
        masker._rules = RuleSet(rules, watched=True)
        return masker

    def __repr__(self) -> str:
        return f"Masker({len(self._rules.rules)} rules)"

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force."""
        return self._rules.rules

    @property
    def rule_set(self) -> RuleSet:
        """The rules in force, compiled: for what is built on `masker.core`."""
        return self._rules

    def mask(self, text: str) -> Masked:
        """Mask one whole text.

        >>> Masker(rules=["payment-card"]).mask("卡号6222021234567890128谢谢").text
        '卡号***************0128谢谢'
        """
        return detect.mask(self._rules, text)

    @overload
    def redactor(
        self,
        delivery: Delivery = "revise",
        *,
        window_messages: int = 12,
        window_seconds: float = 600,
        buffers: None = None,
    ) -> Redactor: ...
    @overload
    def redactor(
        self,
        delivery: Delivery = "revise",
        *,
        window_messages: int = 12,
        window_seconds: float = 600,
        buffers: Buffers,
        order: Order = "arrival",
        order_seconds: float = 5.0,
        acknowledge: Acknowledge = "next call",
    ) -> SharedRedactor: ...
    def redactor(
        self,
        delivery: Delivery = "revise",
        *,
        window_messages: int = 12,
        window_seconds: float = 600,
        buffers: Buffers | None = None,
        **options: Any,
    ) -> Redactor | SharedRedactor:
        """A redactor for conversations: see `Redactor`.

        An unfinished number is waited for over `window_messages` further messages of its sender
        and `window_seconds` since its last part. `buffers` is where conversations are kept
        between two calls, for several workers or within a limit: see `SharedRedactor`.

        Raises:
            MessageError: the delivery is not one of the two.
            BuffersError: the buffers cannot be used.
        """
        window = Window(window_messages, float(window_seconds))
        if buffers is None:
            return Redactor(self._rules, delivery=delivery, window=window, **options)
        return SharedRedactor(
            self._rules, buffers=buffers, delivery=delivery, window=window, **options
        )

    def stream(self) -> Stream:
        """A redactor for one text that comes in chunks."""
        return Stream(self._rules)

    async def astream(self, chunks: AsyncIterable[str]) -> AsyncIterator[str]:
        """Mask a text that comes in chunks; each piece given is safe to show."""
        stream = self.stream()
        async for chunk in chunks:
            piece = stream.feed(chunk)
            if piece:
                yield piece
        rest = stream.close()
        if rest:
            yield rest


def _chosen(
    available: tuple[Pack, ...], names: Sequence[str] | None, *, all_packs: bool
) -> tuple[Rule, ...]:
    if names is None:
        return tuple(rule for pack in available if pack.default or all_packs for rule in pack.rules)
    wanted = list(names)
    known = [pack.name for pack in available] + [
        rule.id for pack in available for rule in pack.rules
    ]
    for name in wanted:
        if name not in known:
            raise UnknownRuleError(name=name, known=tuple(known))
    return tuple(
        rule
        for pack in available
        for rule in pack.rules
        if pack.name in wanted or rule.id in wanted
    )

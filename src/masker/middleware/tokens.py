"""Reversible tokens: a model reads `<CARD_1>`, and its answer is given the number back.

A token stands for a value: the same number, however it is written, has the same token in
its conversation, and a number that came in parts has one token in each of its parts. The
values are held in memory, for as long as the conversation is; a store never sees them.

In a reply each token is taken for one character that is part of no number (`STAND_IN`), so
that the reply can be masked like any text, and put back, or shown masked, afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from masker.core.characters import COMPACT, is_separator
from masker.core.messages import Finding, MaskedMessage, Message
from masker.masker import Masker

# Entities that have a shorter name to a model than in a report.
SHORT = {"PAYMENT_CARD": "CARD", "CN_RESIDENT_ID": "RESIDENT_ID"}

TOKEN = re.compile(r"<[A-Z][A-Z0-9_]{0,39}_[1-9][0-9]{0,5}>")
# What may yet become one. A token is 49 characters at most.
OPENING = re.compile(r"<(?:[A-Z][A-Z0-9_]{0,46})?$")
# A private character: no digit, no letter, no separator.
STAND_IN = "\ue000"

MAX_CONVERSATIONS = 10_000
MAX_WAITING = 4_096


class Place(NamedTuple):
    """Where a token stands in the place of a number, or of a part of one."""

    start: int
    end: int
    token: str


class _Part(NamedTuple):
    """What one finding covers."""

    masked: MaskedMessage
    finding: Finding
    text: str
    mask: str


@dataclass(frozen=True, slots=True)
class _Value:
    original: str
    masked: str

    def __repr__(self) -> str:
        return f"_Value({len(self.masked)} characters)"


class TokenMap:
    """The tokens of one conversation."""

    __slots__ = ("_counts", "_reserved", "_tokens", "_values")

    def __init__(self) -> None:
        self._tokens: dict[tuple[str, str], str] = {}
        self._values: dict[str, _Value] = {}
        self._counts: dict[str, int] = {}
        self._reserved: set[str] = set()

    def __repr__(self) -> str:
        return f"TokenMap({len(self._values)} tokens)"

    def __len__(self) -> int:
        return len(self._values)

    def token(self, entity: str, key: str, original: str, masked: str) -> str:
        """The token of a value; `key` is the same for all ways to write it."""
        known = self._tokens.get((entity, key))
        if known is not None:
            return known
        name = SHORT.get(entity, entity)[:40]
        while True:
            self._counts[name] = self._counts.get(name, 0) + 1
            token = f"<{name}_{self._counts[name]}>"
            if token not in self._reserved:
                break
        self._tokens[entity, key] = token
        self._values[token] = _Value(original, masked)
        return token

    def reserve(self, text: str) -> None:
        """Somebody wrote what looks like a token: it will never stand for anything."""
        if "<" in text and len(self._reserved) < MAX_WAITING:
            self._reserved.update(set(TOKEN.findall(text)) - self._values.keys())

    def original(self, token: str) -> str | None:
        """What the token stands for; `None` where it stands for nothing."""
        value = self._values.get(token)
        return None if value is None else value.original

    def masked(self, token: str) -> str | None:
        """What the token stands for, masked."""
        value = self._values.get(token)
        return None if value is None else value.masked

    def restore(self, text: str) -> str:
        """A text with every token of this conversation replaced by what it stands for."""
        return TOKEN.sub(lambda found: self.original(found[0]) or found[0], text)

    def conceal(self, text: str) -> str:
        """A text with every token of this conversation replaced by the mask of its number."""
        return TOKEN.sub(lambda found: self.masked(found[0]) or found[0], text)


class TokenMaps:
    """The tokens of every conversation, and what is needed to give out new ones.

    The least recently used conversation is forgotten where there are too many: its tokens
    then stay tokens.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._numbers = {rule.id for rule in masker.rules if rule.view == "number"}
        self._maps: dict[str, TokenMap] = {}
        # The texts of messages that are not final: parts of a number that is not whole yet.
        self._waiting: dict[tuple[str, str], str] = {}

    def __repr__(self) -> str:
        return f"TokenMaps({len(self._maps)} conversations, {len(self._waiting)} messages waiting)"

    def of(self, conversation_id: str) -> TokenMap:
        """The tokens of a conversation."""
        found = self._maps.pop(conversation_id, None) or TokenMap()
        self._maps[conversation_id] = found
        if len(self._maps) > MAX_CONVERSATIONS:
            self.forget(next(iter(self._maps)))
        return found

    def expect(self, message: Message) -> None:
        """A message whose findings are about to be learnt."""
        self.of(message.conversation_id).reserve(message.text)
        self._waiting[message.conversation_id, message.message_id] = message.text
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]

    def learn(self, out: Sequence[MaskedMessage]) -> dict[tuple[str, str], list[Place]]:
        """Tokens for what was found, by message; call `expect` for each message first."""
        places: dict[tuple[str, str], list[Place]] = {}
        for number, value in _numbers_of(self._parts(out), self._is_whole):
            entity = number[0].finding.entity
            original = _spelt(value)
            masked = "".join(part.mask for part in value)
            key = self._key(number[0].finding.rule, original)
            for part in number:
                said = part.masked
                token = self.of(said.conversation_id).token(entity, key, original, masked)
                places.setdefault((said.conversation_id, said.message_id), []).append(
                    Place(part.finding.start, part.finding.end, token)
                )
        for said in out:
            if said.final:
                self._waiting.pop((said.conversation_id, said.message_id), None)
        return places

    def forget(self, conversation_id: str | None) -> None:
        """A conversation is over, or all are: nothing of its values is left."""
        for held in [held for held in self._maps if conversation_id in (None, held)]:
            del self._maps[held]
        for key in [key for key in self._waiting if conversation_id in (None, key[0])]:
            del self._waiting[key]

    def _parts(self, out: Sequence[MaskedMessage]) -> Iterator[_Part]:
        # The message that completes a number comes out first, and stands behind the others.
        for said in [*out[1:], *out[:1]]:
            text = self._waiting.get((said.conversation_id, said.message_id))
            if text is None:
                continue
            for finding in _apart(said.findings):
                yield _Part(said, finding, text[finding.start : finding.end],
                            said.text[finding.start : finding.end])  # fmt: skip

    def _is_whole(self, rule: str, value: str) -> bool:
        return any(
            found.rule == rule and found.start == 0 and found.end == len(value)
            for found in self._masker.mask(value).findings
        )

    def _key(self, rule: str, value: str) -> str:
        if rule not in self._numbers:
            return value
        return "".join(char for char in value.translate(COMPACT) if not is_separator(char))


def insert(text: str, places: Iterable[Place]) -> str:
    """A text with tokens in these places, which do not overlap.

    >>> insert("card ************1111", [Place(5, 21, "<CARD_1>")])
    'card <CARD_1>'
    """
    for place in sorted(places, reverse=True):
        text = text[: place.start] + place.token + text[place.end :]
    return text


def _apart(findings: Iterable[Finding]) -> list[Finding]:
    """Findings that do not overlap: of those that do, one that covers them all."""
    apart: list[Finding] = []
    for finding in sorted(findings, key=lambda found: (found.start, -found.end)):
        if apart and finding.start < apart[-1].end:
            last = apart[-1]
            end = max(last.end, finding.end)
            apart[-1] = Finding(last.rule, last.entity, last.start, end, last.score)
        else:
            apart.append(finding)
    return apart


def _numbers_of(
    parts: Iterable[_Part], is_whole: Callable[[str, str], bool]
) -> Iterator[tuple[list[_Part], list[_Part]]]:
    """The numbers that these parts are of: all parts of each, and those that spell it once.

    What is a number by itself is one. What is left over of a rule was decided by the same
    message: its parts are tried together, the most first, then without those sent twice.
    """
    loose: dict[str, list[_Part]] = {}
    for part in parts:
        if is_whole(part.finding.rule, part.text):
            yield [part], [part]
        else:
            loose.setdefault(part.finding.rule, []).append(part)
    for rule, group in loose.items():
        once = list({part.text: part for part in reversed(group)}.values())[::-1]
        if is_whole(rule, _spelt(once)):
            yield group, once
            continue
        while group:
            sizes = range(len(group), 0, -1)
            size = next((n for n in sizes if is_whole(rule, _spelt(group[:n]))), len(group))
            yield group[:size], group[:size]
            group = group[size:]


def _spelt(parts: list[_Part]) -> str:
    return "".join(part.text for part in parts)

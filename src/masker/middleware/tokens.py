"""Reversible tokens: a model reads `<CARD_1>`, and its answer is given the number back.

A token stands for a value: the same number, however it is written, has the same token in
its conversation, and a number that came in parts has one token in each of its parts. The
values are held in memory, for as long as the conversation is; a store never sees them.

In a text that is to be masked each token is taken for one character that is part of no
number (`STAND_IN`), and put back behind the masking: as itself for a model, as what it
stands for in an answer, as the mask of that in a store.
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

_MAX_NAME = 40
TOKEN = re.compile(r"<([A-Z][A-Z0-9_]{0,39})_[1-9][0-9]{0,5}>")
# What may yet become one.
OPENING = re.compile(r"<(?:[A-Z][A-Z0-9_]{0,46})?$")
# A private character: no digit, no letter, no separator.
STAND_IN = "\ue000"

MAX_CONVERSATIONS = 10_000
MAX_RESERVED = 1_000
# Messages of one sender that may hold parts of one number: two windows.
MAX_WAITING = 24

Key = tuple[str, str]
LaneKey = tuple[str | None, str]


class Place(NamedTuple):
    """Where a token stands in the place of a number, or of a part of one."""

    start: int
    end: int
    token: str


class _Part(NamedTuple):
    """What one finding covers."""

    key: Key
    lane: LaneKey
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

    __slots__ = ("_counts", "_names", "_reserved", "_tokens", "_values")

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._tokens: dict[Key, str] = {}
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
        name = short_name(entity)
        while True:
            self._counts[name] = self._counts.get(name, 0) + 1
            token = f"<{name}_{self._counts[name]}>"
            if token not in self._reserved:
                break
        self._tokens[entity, key] = token
        self._values[token] = _Value(original, masked)
        return token

    def original(self, token: str) -> str:
        """What the token stands for; itself where it stands for nothing."""
        value = self._values.get(token)
        return token if value is None else value.original

    def masked(self, token: str) -> str:
        """What the token stands for, masked; itself where it stands for nothing."""
        value = self._values.get(token)
        return token if value is None else value.masked

    def restore(self, text: str) -> str:
        """A text with every token of this conversation replaced by what it stands for."""
        return TOKEN.sub(lambda found: self.original(found[0]), text)

    def conceal(self, text: str) -> str:
        """A text with every token of this conversation replaced by the mask of its number."""
        return TOKEN.sub(lambda found: self.masked(found[0]), text)

    def lift(self, text: str) -> tuple[str, list[str]]:
        """A text with a stand-in for each token, and what each stand-in is.

        A token that stands for nothing yet never will: somebody wrote it as it is.
        """
        if STAND_IN not in text and "<" not in text:
            return text, []
        lifted: list[str] = []
        parts: list[str] = []
        at = 0
        for found in _LIFTED.finditer(text):
            token = found[0]
            if token != STAND_IN and found[1] not in self._names:
                continue
            if token not in self._values and len(self._reserved) < MAX_RESERVED:
                self._reserved.add(token)
            parts += [text[at : found.start()], STAND_IN]
            lifted.append(token)
            at = found.end()
        parts.append(text[at:])
        return "".join(parts), lifted


_LIFTED = re.compile(f"{TOKEN.pattern}|{STAND_IN}")


class TokenMaps:
    """The tokens of every conversation, and what is needed to give out new ones.

    The least recently used conversation is forgotten where there are too many: its tokens
    then stay tokens.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._numbers = {rule.id for rule in masker.rules if rule.view == "number"}
        self._names = frozenset(short_name(rule.entity) for rule in masker.rules)
        self._maps: dict[str, TokenMap] = {}
        # The last messages of each sender that had a number, or a part of one, in them.
        self._waiting: dict[LaneKey, dict[Key, Message]] = {}

    def __repr__(self) -> str:
        return f"TokenMaps({len(self._maps)} conversations)"

    def of(self, conversation_id: str) -> TokenMap:
        """The tokens of a conversation."""
        found = self._maps.pop(conversation_id, None)
        if found is None:
            found = TokenMap(self._names)
        self._maps[conversation_id] = found
        if len(self._maps) > MAX_CONVERSATIONS:
            self.forget(next(iter(self._maps)))
        return found

    def learn(self, message: Message, masked: MaskedMessage) -> list[Place]:
        """The tokens that a message has, now that it has come out for the first time."""
        lane = _lane_of(message)
        waiting = self._waiting.get(lane, {})
        if not masked.findings and masked.final:
            return []
        waiting[_key_of(message)] = message
        if len(waiting) > MAX_WAITING:
            del waiting[next(iter(waiting))]
        self._waiting[lane] = waiting
        if len(self._waiting) > MAX_CONVERSATIONS:
            del self._waiting[next(iter(self._waiting))]
        return self.places(message, masked, list(waiting.values()))

    def places(
        self, message: Message, masked: MaskedMessage, context: Sequence[Message]
    ) -> list[Place]:
        """The tokens of a message; `context` are the messages its numbers may have parts in."""
        places: list[Place] = []
        linked: list[tuple[_Part, str]] | None = None
        for finding in _apart(masked.findings):
            text = message.text[finding.start : finding.end]
            if self._is_whole(finding.rule, text):
                token = self._token(message, finding, text, self._masker.mask(text).text)
            else:
                if linked is None:
                    linked = self._linked(context, message.conversation_id)
                token = next(
                    (
                        token
                        for part, token in linked
                        if part.key == _key_of(message)
                        and part.finding.start < finding.end
                        and finding.start < part.finding.end
                    ),
                    "",
                ) or self._token(message, finding, text, masked.text[finding.start : finding.end])
            places.append(Place(finding.start, finding.end, token))
        return places

    def forget(self, conversation_id: str | None) -> None:
        """A conversation is over, or all are: nothing of its values is left."""
        if conversation_id is None:
            self._maps.clear()
            self._waiting.clear()
            return
        self._maps.pop(conversation_id, None)
        for lane, waiting in list(self._waiting.items()):
            if lane[0] in (None, conversation_id):
                for key in [key for key in waiting if key[0] == conversation_id]:
                    del waiting[key]
                if not waiting:
                    del self._waiting[lane]

    def _token(self, message: Message, finding: Finding, original: str, masked: str) -> str:
        key = self._value_key(finding.rule, original)
        tokens = self.of(message.conversation_id)
        return tokens.token(finding.entity, key, original, masked)

    def _linked(self, context: Sequence[Message], conversation: str) -> list[tuple[_Part, str]]:
        """Every part of a number in these messages, with the token of the whole number."""
        linked: list[tuple[_Part, str]] = []
        tokens = self.of(conversation)
        for number, value in _numbers_of(self._parts(context), self._is_whole):
            rule, entity = value[0].finding.rule, value[0].finding.entity
            between = _separator(value)
            original = between.join(part.text for part in value)
            masked = between.join(part.mask for part in value)
            token = tokens.token(entity, self._value_key(rule, original), original, masked)
            linked += [(part, token) for part in number]
        return linked

    def _parts(self, context: Sequence[Message]) -> Iterator[_Part]:
        """What these messages are found to hold once nothing more follows, in their order."""
        redactor = self._masker.redactor()
        final: dict[Key, MaskedMessage] = {}
        for message in context:
            final |= {_key_of(said): said for said in redactor.receive(message)}
        final |= {_key_of(said): said for said in redactor.close()}
        for message in context:
            said = final.get(_key_of(message))
            for finding in _apart(said.findings) if said is not None else ():
                assert said is not None
                where = slice(finding.start, finding.end)
                yield _Part(_key_of(message), _lane_of(message), finding,
                            message.text[where], said.text[where])  # fmt: skip

    def _is_whole(self, rule: str, value: str) -> bool:
        return any(
            found.rule == rule and found.start == 0 and found.end == len(value)
            for found in self._masker.mask(value).findings
        )

    def _value_key(self, rule: str, value: str) -> str:
        if rule not in self._numbers:
            return value
        return "".join(char for char in value.translate(COMPACT) if not is_separator(char))


def short_name(entity: str) -> str:
    """What an entity is called in a token."""
    return SHORT.get(entity, entity)[:_MAX_NAME]


def insert(text: str, places: Iterable[Place]) -> str:
    """A text with tokens in these places, which do not overlap.

    >>> insert("card ************1111", [Place(5, 21, "<CARD_1>")])
    'card <CARD_1>'
    """
    for place in sorted(places, reverse=True):
        text = text[: place.start] + place.token + text[place.end :]
    return text


def fill(text: str, lifted: Sequence[str]) -> str:
    r"""A text with its stand-ins replaced, one after the other.

    >>> fill("pay \ue000 and \ue000", ["<CARD_1>", "<CARD_2>"])
    'pay <CARD_1> and <CARD_2>'
    """
    parts = text.split(STAND_IN)
    fillings = [*lifted, *[STAND_IN] * len(parts)]
    return parts[0] + "".join(
        filling + part for filling, part in zip(fillings, parts[1:], strict=False)
    )


def _key_of(message: Message | MaskedMessage) -> Key:
    return (message.conversation_id, message.message_id)


def _lane_of(message: Message) -> LaneKey:
    if message.subject is None:
        return (message.conversation_id, message.sender)
    return (None, message.subject)


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

    What is a number by itself is one. Of what is left over of a rule and a sender, the most
    parts are tried together first, then without those sent twice.
    """
    loose: dict[tuple[str, LaneKey], list[_Part]] = {}
    for part in parts:
        if is_whole(part.finding.rule, part.text):
            yield [part], [part]
        else:
            loose.setdefault((part.finding.rule, part.lane), []).append(part)
    for (rule, _), group in loose.items():
        once = list({part.text: part for part in reversed(group)}.values())[::-1]
        if len(once) < len(group) and is_whole(rule, _spelt(once)):
            yield group, once
            continue
        while group:
            sizes = range(len(group), 0, -1)
            size = next((n for n in sizes if is_whole(rule, _spelt(group[:n]))), len(group))
            yield group[:size], group[:size]
            group = group[size:]


def _separator(parts: list[_Part]) -> str:
    """What stands between groups within the parts, and so belongs between these as well."""
    return next((char for part in parts for char in part.text.strip() if is_separator(char)), "")


def _spelt(parts: list[_Part]) -> str:
    return "".join(part.text for part in parts)

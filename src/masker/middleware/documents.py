"""JSON documents: where the texts of a chat stand in them, and how they are put back.

A document is read into a tree; every string in it is a `Slot`. A slot is a *text*
where its key says so: something that a sender said in a conversation, to be joined with
what else they said. Every other string is masked by itself, but for ids. A number that
is written as a JSON number is masked while it is read, and is a string from then on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str | int, ...]

# A JSON number with fewer digits is none that a rule is about.
_LEAST_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Fields:
    """Which keys hold what, wherever they stand in a document.

    `text` is what somebody said. `conversation`, `sender`, `message_id` and `subject` hold ids
    that are not masked; a text belongs to those of its object, or of one around it. `everything`
    says whether strings under all other keys are masked as well, each by itself.
    """

    text: tuple[str, ...] = (
        "text", "content", "message", "prompt", "input", "query", "question", "reply", "answer",
        "response", "output", "output_text", "body", "delta", "token", "chunk", "arguments",
    )  # fmt: skip
    conversation: tuple[str, ...] = (
        "conversation_id", "conversation", "thread_id", "session_id", "chat_id",
    )  # fmt: skip
    sender: tuple[str, ...] = ("sender", "role", "author", "from")
    message_id: tuple[str, ...] = ("message_id", "msg_id")
    subject: tuple[str, ...] = ("subject_id", "union_id", "unionid")
    everything: bool = True

    @property
    def ids(self) -> frozenset[str]:
        """Keys whose strings are left as they are."""
        return frozenset((*self.conversation, *self.sender, *self.message_id, *self.subject))


@dataclass(slots=True)
class Slot:
    """A string of a document; `owner` names whose it is, and which stream of chunks it is in."""

    path: Path
    text: str
    is_text: bool
    conversation_id: str | None = None
    sender: str | None = None
    message_id: str | None = None
    subject: str | None = None
    index: tuple[Any, ...] = ()
    in_list: Path | None = None

    def __repr__(self) -> str:
        return f"Slot({len(self.text)} characters)"


@dataclass(slots=True)
class Document:
    """A document that was read; `altered` says that its bytes can no longer be what they were."""

    tree: Any
    altered: bool = False
    _replaced: dict[Path, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "Document()"

    def put(self, slot: Slot, text: str) -> None:
        """This string is another one now."""
        self._replaced[slot.path] = text
        self.altered = self.altered or text != slot.text

    def write(self) -> bytes:
        """The document, with what was put."""
        for path, text in self._replaced.items():
            if not path:
                self.tree = text
                continue
            place = self.tree
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = text
        self._replaced = {}
        dumped = json.dumps(self.tree, ensure_ascii=False, separators=(",", ":"))
        return dumped.encode("utf-8", "surrogatepass")


def read(source: bytes | str, mask: Callable[[str], str]) -> Document:
    """Read a document; `mask` masks a text by itself, for numbers and keys.

    Raises:
        ValueError: it is not JSON.
    """
    altered = False

    def literal(raw: str, kind: Callable[[str], Any]) -> Any:
        nonlocal altered
        if len(raw) >= _LEAST_DIGITS and (masked := mask(raw)) != raw:
            altered = True
            return masked
        return kind(raw)

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal altered
        tree: dict[str, Any] = {}
        for key, value in found:
            masked = mask(key) if len(key) >= _LEAST_DIGITS else key
            while masked != key and masked in tree:
                masked += "*"
            # Of two values of one key only the last is read: the first must not come through.
            altered = altered or masked != key or masked in tree
            tree[masked] = value
        return tree

    try:
        tree = json.loads(
            source,
            parse_int=lambda raw: literal(raw, int),
            parse_float=lambda raw: literal(raw, float),
            object_pairs_hook=pairs,
        )
    except RecursionError:
        raise ValueError("the document is nested too deeply") from None
    return Document(tree, altered)


def slots(document: Document, fields: Fields) -> list[Slot]:
    """Every string of a document that is to be masked, in its order."""
    found: list[Slot] = []
    walk = _Walk(fields, found)
    alone = isinstance(document.tree, str)
    walk.visit(document.tree, (), Slot((), "", is_text=False), is_text=alone)
    return found


class _Walk:
    """One walk through a document."""

    def __init__(self, fields: Fields, found: list[Slot]) -> None:
        self._fields = fields
        self._found = found
        self._ids = fields.ids

    def visit(self, value: Any, path: Path, owner: Slot, *, is_text: bool) -> None:
        if isinstance(value, str):
            if is_text or self._fields.everything:
                self._found.append(
                    Slot(path, value, is_text, owner.conversation_id, owner.sender,
                         owner.message_id, owner.subject, owner.index, owner.in_list)
                )  # fmt: skip
        elif isinstance(value, dict):
            owner = self._owner(value, owner)
            for key, item in value.items():
                if key not in self._ids or not isinstance(item, str):
                    named = key in self._fields.text
                    self.visit(item, (*path, key), owner, is_text=named)
        elif isinstance(value, list):
            for place, item in enumerate(value):
                inner = owner
                if isinstance(item, dict):
                    inner = Slot((), "", False, owner.conversation_id, owner.sender, None,
                                 owner.subject, owner.index,
                                 path if owner.in_list is None else owner.in_list)  # fmt: skip
                self.visit(item, (*path, place), inner, is_text=is_text)

    def _owner(self, value: dict[str, Any], around: Slot) -> Slot:
        fields = self._fields
        index = tuple(
            value[key]
            for key in ("index", "output_index", "content_index", "item_id")
            if isinstance(value.get(key), int | str)
        )
        return Slot(
            (), "", False,
            _first(value, fields.conversation) or around.conversation_id,
            _first(value, fields.sender) or around.sender,
            _first(value, fields.message_id) or around.message_id,
            _first(value, fields.subject) or around.subject,
            (*around.index, *index),
            around.in_list,
        )  # fmt: skip


def _first(value: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    for key in keys:
        held = value.get(key)
        if isinstance(held, str) and held:
            return held
        if isinstance(held, int) and not isinstance(held, bool):
            return str(held)
    return None


# What says that a document ends a stream of chunks, and what that one holds a whole text.
_ENDS = ("done", "complete", "finish", "stop", "end", "final", "closed", "error")


def is_end(document: Document) -> bool:
    """Whether a document says that the text it belongs to is over."""
    return any(_says_end(value) for value in _dicts(document.tree))


def _says_end(value: dict[str, Any]) -> bool:
    if value.get("finish_reason") or value.get("stop_reason") or value.get("done") is True:
        return True
    kind = value.get("type") or value.get("event")
    return isinstance(kind, str) and any(word in kind.casefold() for word in _ENDS)


def is_chunk(document: Document, *, default: bool) -> bool:
    """Whether the texts of a document are parts of longer ones, and not whole by themselves."""
    for value in _dicts(document.tree):
        kind = value.get("type")
        if isinstance(kind, str) and any(word in kind.casefold() for word in _ENDS):
            return False
        if "delta" in value or isinstance(value.get("done"), bool):
            return True
    return default


def _dicts(tree: Any) -> Iterator[dict[str, Any]]:
    """The objects of a document, the outer ones first."""
    waiting = [tree]
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, dict):
            yield value
            waiting += [item for item in value.values() if isinstance(item, dict | list)]
        elif isinstance(value, list):
            waiting += [item for item in value if isinstance(item, dict | list)]

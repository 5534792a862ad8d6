"""JSON documents: where the texts of a chat stand in them, and how they are put back.

A document is read into a tree; every string in it is a `Slot`. A slot is a *text*
where its key says so: something that a sender said in a conversation, to be joined with
what else they said. Every other string is masked by itself, but for ids. A number that
is written as a JSON number is masked while it is read, and is a string from then on.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

Path = tuple[str | int, ...]

# Base64, plain or for URLs, and long enough to be no number; or what a URL says is Base64. Other
# data URLs may hold plain text.
_BLOB = re.compile(r"data:[^ ,]{0,256};base64,[A-Za-z0-9+/_-]*={0,2}|[A-Za-z0-9+/_-]{256,}={0,2}")
# A JSON number with fewer digits is none that a rule is about.
_LEAST_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Fields:
    """Which keys hold what, wherever they stand in a document.

    `text` is what somebody said. `conversation`, `sender`, `message_id` and `subject` hold ids
    that are not masked; a text belongs to those of its object, or of one around it. `documents`
    are strings that hold JSON themselves, `values` objects that somebody else made the keys of.
    Strings under `kept` stay as they are, under `blobs` where they are encoded data; what is under
    `dropped` is left out. `everything` says whether strings under all other keys are masked
    as well, each by itself.
    """

    text: tuple[str, ...] = (
        "text", "content", "message", "prompt", "input", "query", "question", "reply", "answer",
        "response", "output", "output_text", "body", "delta", "token", "chunk", "refusal",
        "reasoning", "reasoning_content", "thinking",
    )  # fmt: skip
    conversation: tuple[str, ...] = (
        "conversation_id", "conversation", "thread_id", "session_id", "chat_id",
    )  # fmt: skip
    sender: tuple[str, ...] = ("sender", "role", "author", "from")
    message_id: tuple[str, ...] = ("message_id", "msg_id")
    subject: tuple[str, ...] = ("subject_id", "union_id", "unionid")
    documents: tuple[str, ...] = ("arguments",)
    values: tuple[str, ...] = ("args", "arguments", "parameters")
    kept: tuple[str, ...] = ()
    blobs: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    everything: bool = True

    @property
    def ids(self) -> frozenset[str]:
        """Keys whose strings are left as they are."""
        return frozenset(
            (*self.conversation, *self.sender, *self.message_id, *self.subject, *self.kept)
        )


ALL = Fields(text=(), conversation=(), sender=(), message_id=(), subject=(), documents=())
"""Of a document that is an argument: every string is masked, and none is an id."""


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
    is_document: bool = False

    def __repr__(self) -> str:
        return f"Slot({len(self.text)} characters)"


@dataclass(slots=True)
class Document:
    """A document that was read; `altered` says that its bytes can no longer be what they were."""

    tree: Any
    altered: bool = False
    encoding: str = "utf-8"
    _replaced: dict[Path, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "Document()"

    def put(self, slot: Slot, text: str) -> None:
        """This string is another one now."""
        self._replaced[slot.path] = text
        self.altered = self.altered or text != slot.text

    def apply(self) -> Any:
        """The tree, with what was put."""
        for path, text in self._replaced.items():
            if not path:
                self.tree = text
                continue
            place = self.tree
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = text
        self._replaced = {}
        return self.tree

    def write(self) -> bytes:
        """The document, with what was put."""
        dumped = json.dumps(self.apply(), ensure_ascii=False, separators=(",", ":"))
        return dumped.encode(self.encoding, "surrogatepass")


def is_blob(text: str) -> bool:
    """Whether a string is encoded data, such as a picture, and says nothing."""
    return _BLOB.fullmatch(text) is not None and not text.isdigit()


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
    walk = _Walk(fields, found, document)
    # What has no name at all is what somebody said.
    alone = isinstance(document.tree, str | list)
    walk.visit(document.tree, (), Slot((), "", is_text=False), is_text=alone, named=True)
    return found


class _Walk:
    """One walk through a document."""

    def __init__(self, fields: Fields, found: list[Slot], document: Document) -> None:
        self._fields = fields
        self._found = found
        self._document = document
        self._ids = fields.ids

    def visit(self, value: Any, path: Path, owner: Slot, *, is_text: bool, named: bool) -> None:
        """A part of the document; `named` says that its keys mean what `Fields` says."""
        if isinstance(value, str):
            if is_text or self._fields.everything:
                self._found.append(replace(owner, path=path, text=value, is_text=is_text))
        elif isinstance(value, dict):
            if not named:
                for key, item in value.items():
                    self.visit(item, (*path, key), owner, is_text=False, named=False)
                return
            owner = self._owner(value, owner)
            arguments = "arguments.delta" in str(value.get("type"))
            for key, item in value.items():
                if key in self._fields.dropped and item is not None:
                    value[key], self._document.altered = None, True
                elif not isinstance(item, str) or not self._is_kept(key, item):
                    is_document = key in self._fields.documents or (arguments and key == "delta")
                    inner = replace(owner, is_document=True) if is_document else owner
                    self.visit(
                        item,
                        (*path, key),
                        inner,
                        is_text=key in self._fields.text and not is_document,
                        named=not (isinstance(item, dict) and key in self._fields.values),
                    )
        elif isinstance(value, list):
            around = path if owner.in_list is None else owner.in_list
            for place, item in enumerate(value):
                inner = owner
                if isinstance(item, dict):
                    inner = replace(owner, message_id=None, in_list=around)
                self.visit(item, (*path, place), inner, is_text=is_text, named=named)

    def _is_kept(self, key: str, text: str) -> bool:
        return key in self._ids or (key in self._fields.blobs and is_blob(text))

    def _owner(self, value: dict[str, Any], around: Slot) -> Slot:
        fields = self._fields
        return Slot(
            (), "", False,
            _first(value, fields.conversation) or around.conversation_id,
            _first(value, fields.sender) or around.sender,
            _first(value, fields.message_id) or around.message_id,
            _first(value, fields.subject) or around.subject,
            (*around.index, *_indexes(value)),
            around.in_list,
        )  # fmt: skip


def _indexes(value: dict[str, Any]) -> list[tuple[str, Any]]:
    names = ("index", "output_index", "content_index", "summary_index", "item_id")
    return [(name, value[name]) for name in names if isinstance(value.get(name), int | str)]


def _first(value: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    for key in keys:
        held = value.get(key)
        if isinstance(held, str) and held:
            return held
        if isinstance(held, int) and not isinstance(held, bool):
            return str(held)
    return None


# The last word of a type that ends a stream of chunks, and may hold its whole text. The word, and
# not only its letters: "append" and "sender" end in nothing.
_END = re.compile(
    r"(?:done|completed?|incomplete|finish(?:ed)?|stop(?:ped)?|end(?:ed)?|final|closed?|errors?"
    r"|failed|cancell?ed)"
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def names_end(kind: str) -> bool:
    """Whether a type, or the name of an event, says that a text is over.

    >>> [names_end(kind) for kind in ("response.output_text.done", "messageEnd", "text.append")]
    [True, True, False]
    """
    words = _WORD.findall(kind)
    return bool(words) and _END.fullmatch(words[-1].casefold()) is not None


def is_end(document: Document) -> bool:
    """Whether a document says that the text it belongs to is over."""
    return any(_says_end(value) for value in _dicts(document.tree))


def _says_end(value: dict[str, Any]) -> bool:
    if value.get("finish_reason") or value.get("stop_reason") or value.get("done") is True:
        return True
    kind = value.get("type") or value.get("event")
    return isinstance(kind, str) and names_end(kind)


def index_of(document: Document) -> dict[str, set[Any]]:
    """Which of several texts a document speaks of, by the names of what counts them."""
    found: dict[str, set[Any]] = {}
    for value in _dicts(document.tree):
        for name, index in _indexes(value):
            found.setdefault(name, set()).add(index)
    return found


def is_chunk(document: Document, *, default: bool) -> bool:
    """Whether the texts of a document are parts of longer ones, and not whole by themselves."""
    for value in _dicts(document.tree):
        kind = value.get("type")
        if isinstance(kind, str) and names_end(kind):
            return False
        if "delta" in value or isinstance(value.get("done"), bool):
            return True
    return default


def _dicts(tree: Any) -> Iterator[dict[str, Any]]:
    """The objects of a document, the outer ones first."""
    waiting = deque([tree])
    while waiting:
        value = waiting.popleft()
        if isinstance(value, dict):
            yield value
            waiting += [item for item in value.values() if isinstance(item, dict | list)]
        elif isinstance(value, list):
            waiting += [item for item in value if isinstance(item, dict | list)]

"""Parts as bytes, and back.

Driven by the fields of the types themselves: a type of the core that gains a field, or a new type,
is carried without a word here, and what was written by types of another shape is refused. An
object that several others share is written once and is one object again. A compiled rule is its
place in the rule set, which both sides have.
"""

from __future__ import annotations

import dataclasses
import sys
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from hashlib import sha256
from typing import Any

import msgspec

from masker.core.lanes import Window
from masker.core.patterns import CompiledRule
from masker.core.redactor import Delivery
from masker.core.ruleset import RuleSet
from masker.errors import BuffersError, MessageError

FORMAT = 2
_HOME = ("masker.core.", "masker.buffers.part")
(_TUPLE, _LIST, _DICT, _FROZENSET, _SET, _DEQUE, _INT, _TIME, _RULE, _NEW, _SAME, _ENUM,
 _HALVES) = range(13)  # fmt: skip
_SEQUENCES: dict[type, int] = {
    tuple: _TUPLE, list: _LIST, frozenset: _FROZENSET, set: _SET, deque: _DEQUE,
}  # fmt: skip
_MAKERS: dict[int, Callable[[Any], Any]] = {tag: kind for kind, tag in _SEQUENCES.items()}
_SMALL = 1 << 62
_PLAIN = frozenset([type(None), bool, float, str, bytes])


class Codec:
    """Writes and reads states made by one rule set."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = {found.bit: found for found in rules.compiled}

    def encode(self, value: object) -> bytes:
        """The value as bytes.

        Raises:
            MessageError: something in a message's `extra` cannot be kept.
        """
        writer = _Writer()
        body = writer.write(value)
        try:
            return msgspec.msgpack.encode([writer.table, body])
        except UnicodeEncodeError:
            # Half of a character beyond the basic plane: JSON can hold it, UTF-8 cannot.
            return msgspec.msgpack.encode([writer.table, _as_bytes(body)])

    def decode(self, data: bytes) -> Any:
        """What was encoded.

        Raises:
            BuffersError: it was written by types of another shape.
        """
        try:
            table, body = msgspec.msgpack.decode(data)
            return _Reader(table, self._rules).read(body)
        except BuffersError:
            raise
        except Exception:  # noqa: BLE001 - whatever it was, its text may hold what was kept
            raise BuffersError("a state cannot be read") from None


def fingerprint(rules: RuleSet, delivery: Delivery, window: Window) -> bytes:
    """What a state can only be gone on with by the same: rules, delivery, window, format."""
    digest = sha256(f"{FORMAT} {delivery} {window.messages} {window.seconds}".encode())
    for rule in rules.rules:
        digest.update(b"\0" + rule.model_dump_json().encode())
    return digest.digest()


def fields_of(kind: type) -> tuple[str, ...] | None:
    """The fields of a type of ours, in order; None where it is not one that is carried."""
    if not kind.__module__.startswith(_HOME):
        return None
    if issubclass(kind, tuple):
        fields: tuple[str, ...] | None = getattr(kind, "_fields", None)
        return fields
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    slots = [name for base in reversed(kind.__mro__) for name in getattr(base, "__slots__", ())]
    return tuple(slots) or None


class _Writer:
    """Writes one value."""

    def __init__(self) -> None:
        self.table: list[tuple[str, str, tuple[str, ...]]] = []
        self._kinds: dict[type, int] = {}
        self._fields: dict[type, tuple[str, ...]] = {}
        self._known: dict[int, int] = {}
        # An id says which object it is only for as long as the object is there.
        self._alive: list[object] = []

    def write(self, value: Any) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is int:
            return value if -_SMALL < value < _SMALL else [_INT, hex(value)]
        tag = _SEQUENCES.get(kind)
        if tag is not None:
            written = list(map(self.write, value))
            # A set has no order of its own: the same set is the same bytes.
            return [tag, *(sorted(written, key=repr) if tag in (_FROZENSET, _SET) else written)]
        if kind is CompiledRule:
            return [_RULE, self.write(value.bit)]
        if isinstance(value, Mapping):
            return [_DICT, *(self.write(part) for item in value.items() for part in item)]
        if isinstance(value, datetime):
            return [_TIME, value.isoformat()]
        return self._write_object(value, kind)

    def _write_object(self, value: Any, kind: type) -> Any:
        if isinstance(value, Enum) and kind.__module__.startswith(_HOME):
            return [_ENUM, self._kind(kind, ()), self.write(value.value)]
        known = self._known.get(id(value))
        if known is not None:
            return [_SAME, known]
        fields = self._fields.get(kind)
        if fields is None:
            fields = fields_of(kind)
            if fields is None:
                raise MessageError(f"extra holds a {kind.__name__}, which cannot be kept outside")
            self._fields[kind] = fields
        # A number is given before what is inside: readers count the same way.
        self._known[id(value)] = len(self._known)
        self._alive.append(value)
        number = self._kind(kind, fields)
        return [_NEW, number, *(self.write(getattr(value, name)) for name in fields)]

    def _kind(self, kind: type, fields: tuple[str, ...]) -> int:
        number = self._kinds.get(kind)
        if number is None:
            number = self._kinds[kind] = len(self.table)
            self.table.append((kind.__module__, kind.__qualname__, fields))
        return number


class _Reader:
    """Reads one value."""

    def __init__(self, table: list[Any], rules: Mapping[int, CompiledRule]) -> None:
        self._kinds = [_kind(*entry) for entry in table]
        self._fields = [tuple(entry[2]) for entry in table]
        self._rules = rules
        self._known: list[Any] = []

    def read(self, value: Any) -> Any:
        if type(value) is not list:
            return value
        tag = value[0]
        if tag == _NEW:
            return self._read_object(value)
        maker = _MAKERS.get(tag)
        if maker is not None:
            return maker(map(self.read, value[1:]))
        if tag == _SAME:
            return self._known[value[1]]
        if tag == _RULE:
            return self._rules[self.read(value[1])]
        if tag == _DICT:
            parts = [self.read(part) for part in value[1:]]
            return dict(zip(parts[::2], parts[1::2], strict=True))
        if tag == _TIME:
            return datetime.fromisoformat(value[1])
        if tag == _ENUM:
            return self._kinds[value[1]](self.read(value[2]))
        if tag == _INT:
            return int(value[1], 16)
        if tag == _HALVES:
            return value[1].decode("utf-8", "surrogatepass")
        raise BuffersError("a state has something in it that is not known")

    def _read_object(self, value: list[Any]) -> Any:
        place = len(self._known)
        self._known.append(None)
        kind, fields = self._kinds[value[1]], self._fields[value[1]]
        values = [self.read(part) for part in value[2:]]
        made: Any
        if issubclass(kind, tuple):
            made = kind(*values)
        else:
            made = object.__new__(kind)
            for name, part in zip(fields, values, strict=True):
                # Past a frozen dataclass's own way of setting, which is for those who made it.
                object.__setattr__(made, name, part)
        self._known[place] = made
        return made


def _as_bytes(written: Any) -> Any:
    """The same with every text that is not plain ASCII as bytes."""
    if type(written) is str and not written.isascii():
        return [_HALVES, written.encode("utf-8", "surrogatepass")]
    return list(map(_as_bytes, written)) if type(written) is list else written


def _kind(module: str, name: str, fields: list[str]) -> type:
    kind = getattr(sys.modules.get(module), name, None) if module.startswith(_HOME) else None
    if not isinstance(kind, type) or (
        not issubclass(kind, Enum) and fields_of(kind) != tuple(fields)
    ):
        raise BuffersError("a state was written by another version of masker")
    return kind

"""Numbers in logs: a filter for the standard library's `logging`.

    handler.addFilter(MaskingFilter(Masker()))

Put it on handlers: a logger's filters are not asked about records of its children. It writes the
message out, masks it, the exception, the stack and every extra attribute, and leaves the record
with nothing else in it; what other handlers see after it is masked as well.

Records of one conversation are joined (see `records`): those with an attribute `conversation_id`
(`extra={"conversation_id": ...}`), and those logged within `records.conversation(...)`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from masker import Masker
from masker.middleware.records import UNREADABLE, ExceptionInfo, RecordMasker, conversation

__all__ = ["MaskingFilter", "conversation"]

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_MARK = "_masked_by"
# What a program calls its parts by, and may call them by what somebody said.
_NAMES = ("name", "threadName", "processName", "taskName")


class MaskingFilter(logging.Filter):
    """Masks every record that comes by; drops none."""

    def __init__(self, masker: Masker, *, context: str = "conversation_id") -> None:
        super().__init__()
        self._records = RecordMasker(masker)
        self._context = context

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the record in place; always true."""
        if getattr(record, _MARK, None) is self:
            return True
        try:
            self._mask(record)
        except Exception:  # noqa: BLE001 - fail closed, whatever it was
            _empty(record)
        setattr(record, _MARK, self)
        return True

    def _mask(self, record: logging.LogRecord) -> None:
        found = getattr(record, self._context, None)
        context = None if found is None else str(found)
        record.msg = self._message(record, context)
        # Left there, they would be put into the message again, or written by another handler.
        record.args = None
        if "message" in vars(record):
            record.message = record.msg
        error = record.exc_info
        if error and error[0] is not None and error[1] is not None:
            info: ExceptionInfo = (error[0], error[1], error[2])
            record.exc_text = self._records.exception(info, context)
        elif record.exc_text:
            record.exc_text = self._records.trace(record.exc_text, context)
        # A formatter that finds the text does not write the exception itself.
        record.exc_info = None
        if record.stack_info:
            record.stack_info = self._records.trace(record.stack_info, context)
        for name in _NAMES:
            value = getattr(record, name, None)
            if isinstance(value, str):
                setattr(record, name, self._records.alone(value))
        own = vars(record)
        for name, value in list(own.items()):
            if name not in _OWN and name != _MARK:
                # The id of the conversation is part of none of its numbers.
                masked = self._records.value(value, None if name == self._context else context)
                del own[name]
                own[self._records.name(name, own)] = masked

    def _message(self, record: logging.LogRecord, context: str | None) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        arguments = record.args
        try:
            if arguments and self._records.is_joined(context):
                # "user said: %s": what was said is the argument, and its parts are joined
                # without what the program says around them.
                record.args = self._joined(arguments, context, at)
                return self._records.alone(record.getMessage())
            written = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that do not fit, or cannot be written
            # logging itself would write message and arguments to stderr.
            written = f"{record.msg} (its arguments do not fit)"
        return self._records.text(written, context, at)

    def _joined(self, arguments: Any, context: str | None, at: datetime) -> Any:
        def masked(value: Any) -> Any:
            return self._records.text(value, context, at) if isinstance(value, str) else value

        if isinstance(arguments, Mapping):
            return {name: masked(value) for name, value in arguments.items()}
        return tuple(masked(value) for value in arguments)


def _empty(record: logging.LogRecord) -> None:
    for name in list(vars(record)):
        if name not in _OWN:
            with suppress(Exception):
                delattr(record, name)
    record.msg, record.args = UNREADABLE, None
    record.exc_info = record.exc_text = record.stack_info = None
    if "message" in vars(record):
        record.message = UNREADABLE

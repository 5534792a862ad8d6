"""Numbers in logs: a processor for structlog.

    structlog.configure(processors=[..., MaskingProcessor(Masker()), JSONRenderer()])

Put it last before the renderer: what comes after it is not masked. An exception that nothing has
written out yet is written here, masked. Events of one conversation are joined (see `records`):
those with a `conversation_id`, bound to the logger or to `structlog.contextvars`, and those within
`records.conversation(...)`.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from logging import LogRecord, makeLogRecord
from typing import Any

from masker import Masker
from masker.middleware.records import UNREADABLE, ExceptionInfo, RecordMasker, conversation

__all__ = ["MaskingProcessor", "conversation"]

_EVENT, _ERROR, _WRITTEN, _RECORD = "event", "exc_info", "exception", "_record"


class MaskingProcessor:
    """Masks every event that comes by; drops none. Needs nothing of structlog itself."""

    def __init__(self, masker: Masker, *, context: str = "conversation_id") -> None:
        self._records = RecordMasker(masker)
        self._context = context

    def __call__(
        self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """The event as it may be rendered."""
        try:
            return self._masked(event_dict)
        except Exception:  # noqa: BLE001 - fail closed, whatever it was
            return {_EVENT: UNREADABLE}

    def _masked(self, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        found = event.get(self._context)
        context = None if found is None else str(found)
        error = _info(event.pop(_ERROR, None))
        # What was said stands in the event first; the rest is looked at after it.
        names = sorted(event, key=lambda name: name != _EVENT)
        masked: dict[str, Any] = {}
        for name in names:
            value = event[name]
            own = None if name == self._context else context
            if name in (_WRITTEN, "stack") and isinstance(value, str):
                masked[name] = self._records.trace(value, own)
            elif name == _RECORD and isinstance(value, LogRecord):
                masked[name] = self._emptied(value)
            else:
                masked[name] = self._records.value(value, own)
        if error is not None:
            masked[_WRITTEN] = self._records.exception(error, context)
        shown: dict[str, Any] = {}
        for name in [*event, *(masked.keys() - event.keys())]:
            shown[self._records.name(name, shown)] = masked[name]
        return shown

    def _emptied(self, record: LogRecord) -> LogRecord:
        """The record of structlog's bridge to logging, which a renderer may write as it is."""
        return makeLogRecord({
            "name": self._records.alone(record.name), "levelno": record.levelno,
            "levelname": record.levelname, "pathname": record.pathname, "lineno": record.lineno,
            "created": record.created, "msg": self._records.alone(record.getMessage()),
        })  # fmt: skip


def _info(found: Any) -> ExceptionInfo | None:
    """The exception that an event means: itself, a tuple, or the one being handled."""
    if isinstance(found, BaseException):
        return type(found), found, found.__traceback__
    info = found if isinstance(found, tuple) else sys.exc_info() if found else None
    if info is None or len(info) != 3 or not isinstance(info[1], BaseException):
        return None
    return type(info[1]), info[1], info[2]

"""Logs without numbers: the standard library's logging, and structlog."""

from __future__ import annotations

import logging
import sys

import structlog

from masker import Masker
from masker.middleware.logging import MaskingFilter, conversation
from masker.middleware.structlog import MaskingProcessor

masker = Masker()

handler = logging.StreamHandler(sys.stdout)
handler.addFilter(MaskingFilter(masker))
logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
log = logging.getLogger("support")

log.info("charged card %s", "5105105105105100")
with conversation("c1"):  # what is logged in here is joined, and what may be a part is masked
    log.info("user wrote: %s", "5105 1051")
    log.info("user wrote: %s", "0510 5100")
try:
    raise ValueError("no such card: 5105105105105100")
except ValueError:
    log.exception("refused")

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        MaskingProcessor(masker),
        structlog.processors.JSONRenderer(),
    ]
)
structlog.get_logger().info("charged", card=5105105105105100, attempts=2)

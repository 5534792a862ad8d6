"""Log records: what is written once shows no number, not even one cut over several records."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

import strategies as my
from masker import Masker
from masker.middleware import records
from masker.middleware.logging import MaskingFilter, conversation
from masker.middleware.structlog import MaskingProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RULES = ["payment-card", "cn-resident-id"]
MASKER = Masker(rules=RULES)
CARD, MASKED = "5105105105105100", "************5100"
FIRST, REST = "51051051", "05105100"

Log = logging.Logger


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(stream: io.StringIO) -> Iterator[Log]:
    """A logger whose one handler masks, and writes all there is in a record."""
    handler = logging.StreamHandler(stream)
    handler.addFilter(MaskingFilter(MASKER))
    logger = logging.getLogger("tests.masker")
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.removeHandler(handler)


class Explosive:
    def __str__(self) -> str:
        raise ValueError(CARD)

    __repr__ = __str__


class Customer:
    def __repr__(self) -> str:
        return f"Customer(card={CARD})"


CASES: dict[str, Callable[[Log], None]] = {
    "message": lambda log: log.info(f"card {CARD}"),  # noqa: G004 - as people do
    "argument": lambda log: log.info("card %s", CARD),
    "number": lambda log: log.info("card %d", int(CARD)),
    "named": lambda log: log.info("card %(card)s", {"card": CARD}),
    "object": lambda log: log.info("%r", Customer()),
    "percent": lambda log: log.info(f"100%% of {CARD} %s", "x"),  # noqa: G004
    "over two arguments": lambda log: log.info("card %s %s", FIRST, REST),
    "arguments that do not fit": lambda log: log.info("card %d", CARD + "x"),
    "too many arguments": lambda log: log.info("card", CARD),
    "an argument that explodes": lambda log: log.info("card %s", Explosive()),
    "message that is no text": lambda log: log.info(Customer()),
    "message that explodes": lambda log: log.info(Explosive()),
}


@pytest.mark.parametrize("case", CASES)
def test_no_way_of_logging_shows_a_number(
    case: str, log: Log, stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    CASES[case](log)
    assert CARD not in stream.getvalue()
    assert FIRST not in stream.getvalue()
    assert stream.getvalue().strip()
    # logging writes to stderr what it cannot format.
    assert capsys.readouterr().err == ""


def test_what_is_harmless_is_logged_as_it_was(log: Log, stream: io.StringIO) -> None:
    log.info("%s took %d ms, 100%% ok", "GET /x/42", 402)
    assert stream.getvalue() == "GET /x/42 took 402 ms, 100% ok\n"


def test_exceptions_and_stacks_show_no_number(log: Log, stream: io.StringIO) -> None:
    try:
        raise ValueError("5105 1051 0510 5100")
    except ValueError as error:
        error.add_note("it was " + CARD)
        log.exception("failed for %s", CARD, stack_info=True)
    written = stream.getvalue()
    assert f"failed for {MASKED}" in written
    assert "ValueError: **** **** **** 5100" in written
    assert "it was " + MASKED in written
    assert "test_logs.py" in written
    assert "Stack (most recent call last)" in written


def test_extra_attributes_are_masked_whatever_they_are() -> None:
    record = logging.makeLogRecord(
        {
            "msg": "x", "card": CARD, "number": int(CARD), "raw": CARD.encode(), "who": Customer(),
            "deep": {"cards": [CARD, (CARD,)], CARD: 1}, "bomb": Explosive(), "ok": True,
            "count": 402, "none": None, "path": "/a/b",
        }
    )  # fmt: skip
    assert MaskingFilter(MASKER).filter(record)
    values = vars(record)
    assert CARD not in str({k: v for k, v in values.items() if k != "_masked_by"})
    assert values["deep"] == {"cards": [MASKED, (MASKED,)], MASKED: 1}
    assert values["number"] == MASKED
    assert (values["ok"], values["count"], values["none"]) == (True, 402, None)
    assert values["path"] == "/a/b"


def test_no_name_in_a_record_is_a_number(stream: io.StringIO) -> None:
    """Names of attributes, of loggers and of threads, keys of any kind: all that is written."""
    record = logging.makeLogRecord(
        {
            "msg": "x", "name": f"chat.{CARD}", "threadName": f"thread-{CARD}", f"of{CARD}": 1,
            f"of{MASKED}": 2, "deep": {int(CARD): 1, (CARD,): 2, CARD: 3, MASKED: 4, 7: 5},
        }
    )  # fmt: skip
    assert MaskingFilter(MASKER).filter(record)
    values = {name: value for name, value in vars(record).items() if name != "_masked_by"}
    assert CARD not in str(values)
    # What is masked alike is still there.
    assert sorted(values["deep"].values()) == [1, 2, 3, 4, 5]
    assert sorted(value for name, value in values.items() if name.startswith("of")) == [1, 2]
    assert values["deep"][7] == 5
    assert values["name"] == f"chat.{MASKED}"


def test_what_another_handler_sees_later_is_masked_as_well(log: Log) -> None:
    seen: list[logging.LogRecord] = []

    class Keeps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    keeps = Keeps()
    log.addHandler(keeps)
    try:
        try:
            raise ValueError(CARD)
        except ValueError:
            log.exception("card %s", CARD, extra={"more": CARD})
    finally:
        log.removeHandler(keeps)
    assert CARD not in repr(vars(seen[0]))
    assert seen[0].exc_info is None


def test_a_filter_masks_a_record_once(stream: io.StringIO) -> None:
    """Two handlers with the same filter: the second must not take it for a part sent again."""
    one = MaskingFilter(MASKER)
    record = logging.makeLogRecord({"msg": "5105 10", "conversation_id": "c1"})
    one.filter(record)
    one.filter(record)
    assert record.getMessage() == "**** **"
    last = logging.makeLogRecord({"msg": "51 0510 5100", "conversation_id": "c1"})
    one.filter(last)
    assert last.getMessage() in ("** **** ****", "** **** 5100")


def test_records_of_one_conversation_are_joined(log: Log, stream: io.StringIO) -> None:
    with conversation("c1"):
        log.info("user said: %s", FIRST)
        log.info("hold on")
        log.info("user said: %s", REST)
    log.info("user said: %s", "room 402")
    first, hold, rest, room, _ = stream.getvalue().split("\n")
    assert (first, hold, room) == ("user said: ********", "hold on", "user said: room 402")
    assert rest.startswith("user said: ****")


def test_conversations_are_not_joined_with_each_other(log: Log, stream: io.StringIO) -> None:
    log.info(FIRST, extra={"conversation_id": "c1"})
    log.info(REST, extra={"conversation_id": "c2"})
    # No card begins with it: had it been taken for the rest of one, it would be masked.
    assert stream.getvalue() == f"********\n{REST}\n"


@given(my.conversations(most=6) | my.conversations(chat=True, smallest=3))
def test_no_cut_over_records_shows_more_than_the_last_four(scene: my.Scene) -> None:
    filter_ = MaskingFilter(MASKER)
    readable: set[int] = set()
    for sent in scene.sent:
        record = logging.makeLogRecord({"msg": sent.written.text, "conversation_id": "c"})
        filter_.filter(record)
        shown = record.getMessage()
        assert len(shown) == len(sent.written.text)
        for after, before, mark in zip(shown, sent.written.text, sent.written.marks, strict=True):
            if mark is not None and after == before:
                readable.add(mark[1])
    (number,) = scene.numbers
    assert not readable & set(range(len(number) - my.KEEP))


def test_a_part_in_an_exception_is_a_part(log: Log, stream: io.StringIO) -> None:
    with conversation("c1"):
        log.info(FIRST)
        try:
            raise ValueError(REST[:4])
        except ValueError:
            log.exception("broke")
        log.info(REST[4:6])
    written = stream.getvalue()
    assert "ValueError: ****\n" in written
    assert written.endswith("**\n")
    assert "line " in written


def test_threads_do_not_share_a_conversation(log: Log, stream: io.StringIO) -> None:
    with conversation("c1"):
        thread = threading.Thread(target=lambda: log.info("took 1234"))
        thread.start()
        thread.join()
    assert stream.getvalue() == "took 1234\n"


def explode(*_: object, **__: object) -> Any:
    raise RuntimeError(CARD)


@pytest.mark.parametrize("what", ["text", "value", "exception"])
def test_a_filter_that_breaks_shows_nothing(
    what: str, log: Log, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records.RecordMasker, what, explode)
    try:
        raise ValueError(CARD)
    except ValueError:
        log.exception("card %s", CARD, extra={"card": CARD})
    assert stream.getvalue() == f"{records.UNREADABLE}\n"


def test_an_engine_that_breaks_shows_nothing(
    log: Log, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("masker.core.compact.read", explode)
    log.info("card %s", CARD)
    with conversation("c1"):
        log.info("card %s", CARD)
    assert stream.getvalue() == "**** ****************\ncard ****************\n"


# -- structlog ---------------------------------------------------------------------------------


def event(**values: Any) -> dict[str, Any]:
    return dict(MaskingProcessor(MASKER)(None, "info", dict(values)))


def test_events_are_masked_whatever_they_hold() -> None:
    masked = event(event="card " + CARD, card=CARD, number=int(CARD), deep={"cards": [CARD]},
                   who=Customer(), bomb=Explosive(), ok=True, count=402)  # fmt: skip
    assert CARD not in repr(masked)
    assert masked["event"] == "card " + MASKED
    assert masked["deep"] == {"cards": [MASKED]}
    assert (masked["ok"], masked["count"]) == (True, 402)
    assert list(masked)[:3] == ["event", "card", "number"]


def test_no_name_of_an_event_hides_a_number() -> None:
    masked = event(event="x", _card=CARD, _own={"card": CARD}, **{CARD: 1, f"of{CARD}": 2})
    assert CARD not in repr(masked)
    assert sorted(value for value in masked.values() if isinstance(value, int)) == [1, 2]
    assert masked["_own"] == {"card": MASKED}


@pytest.fixture
def configured(stream: io.StringIO) -> Iterator[io.StringIO]:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.StackInfoRenderer(),
            MaskingProcessor(MASKER),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(stream),
    )
    yield stream
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_structlog_joins_what_is_bound_to_one_conversation(configured: io.StringIO) -> None:
    log = structlog.get_logger()
    with structlog.contextvars.bound_contextvars(conversation_id="c1"):
        log.info("said", text=FIRST)
        log.info(REST)
    other = log.bind(conversation_id="c2")
    other.info(FIRST)
    other.info(REST)
    log.info("room 402 is free")
    said = lines(configured)
    assert [line["event"][:4] for line in said] == ["said", "****", "****", "****", "room"]
    assert said[-1]["event"] == "room 402 is free"
    assert said[0]["text"] == "********"
    assert said[0]["conversation_id"] == "c1"


@pytest.mark.parametrize("how", ["exception", "true", "tuple"])
def test_structlog_writes_exceptions_masked(configured: io.StringIO, how: str) -> None:
    log = structlog.get_logger()
    try:
        raise ValueError(CARD)
    except ValueError as error:
        given_: Any = {"exception": error, "true": True, "tuple": sys.exc_info()}[how]
        log.error("failed", exc_info=given_, stack_info=True)  # noqa: TRY400
    (said,) = lines(configured)
    assert f"ValueError: {MASKED}" in said["exception"]
    assert CARD not in configured.getvalue()
    assert "exc_info" not in said


@pytest.mark.parametrize("keeps_meta", [False, True])
def test_structlog_through_logging_is_masked(stream: io.StringIO, *, keeps_meta: bool) -> None:
    """The usual bridge: structlog's events rendered by a formatter of the standard library."""
    handler = logging.StreamHandler(stream)
    meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                *([] if keeps_meta else [meta]),
                MaskingProcessor(MASKER),
                structlog.processors.JSONRenderer(),
            ]
        )
    )
    logger = logging.getLogger("tests.bridge")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        log = structlog.wrap_logger(
            logger,
            processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
            wrapper_class=structlog.stdlib.BoundLogger,
        )
        log.warning("card", number=CARD)
        logger.warning("card %s", CARD)
    finally:
        logger.removeHandler(handler)
    assert [line["event"] for line in lines(stream)] == ["card", "card " + MASKED]
    assert CARD not in stream.getvalue()


def test_a_processor_that_breaks_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records.RecordMasker, "value", explode)
    assert event(event=CARD, card=CARD) == {"event": records.UNREADABLE}


@given(st.recursive(st.none() | st.integers() | st.text() | st.floats(), st.lists, max_leaves=8))
def test_any_value_can_be_logged(value: Any) -> None:
    assert "event" in event(event="x", value=value)

"""Promise 7 where something breaks half-way: what waited for the broken message stays masked."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

from masker import Masker, Message, MessageError
from masker.core import compact

MASKER = Masker(rules=["payment-card", "cn-resident-id"])
FIRST, REST = "51051051", "05105100"


def explode(*_: Any, **__: Any) -> NoReturn:
    raise ValueError(FIRST + REST)


@pytest.mark.parametrize("delivery", ["revise", "hold"])
def test_the_first_part_stays_masked_where_the_rest_broke(
    delivery: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    redactor = MASKER.redactor(delivery=delivery)
    outs = redactor.receive(Message("c1", "m1", "user", FIRST))
    with monkeypatch.context() as patch:
        patch.setattr(compact, "read", explode)
        outs += redactor.receive(Message("c1", "m2", "user", REST))
    outs += redactor.receive(Message("c1", "m3", "user", "hello"))
    outs += redactor.close()
    final = {out.message_id: out.text for out in outs if out.final}
    assert final == {"m1": "********", "m2": "********", "m3": "hello"}
    assert all(not any(char.isdigit() for char in out.text) for out in outs)
    assert redactor.failures == 1


def test_a_stream_that_breaks_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = MASKER.stream()
    monkeypatch.setattr(compact, "read", explode)
    shown = "".join(map(stream.feed, ["my card is ", FIRST, REST, " ok"])) + stream.close()
    assert len(shown) == len("my card is  ok") + 16
    assert not any(char.isdigit() for char in shown)


def test_a_timestamp_that_is_none_is_a_clear_error() -> None:
    message = Message("c1", "m1", "user", FIRST, timestamp="2026-01-01")  # type: ignore[arg-type]
    with pytest.raises(MessageError, match="timestamp is not a datetime"):
        MASKER.redactor().receive(message)


@pytest.mark.parametrize(
    "parts",
    [
        ["5105哈哈", "1051嘿嘿", "0510", "5100"],
        ["5105 1051 (to be continued)", "0510 5100"],
    ],
)
def test_laughter_and_promises_do_not_end_a_dictation(parts: list[str]) -> None:
    redactor = MASKER.redactor()
    final = {}
    for number, text in enumerate(parts):
        for out in redactor.receive(Message("c1", str(number), "user", text)):
            final[out.message_id] = out.text
    final.update({out.message_id: out.text for out in redactor.close()})
    assert "".join(char for text in final.values() for char in text if char.isdigit()) == "5100"

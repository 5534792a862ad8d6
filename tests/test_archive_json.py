"""JSON as programs export it: whose a text is, and no text of an object is passed over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from masker.archive import Options, scan
from masker.archive.formats import json_scan
from test_archive_formats import Quiet

AT = 1_715_947_200
FIRST, LAST = "my card is 4111 1111", "1111 1111"
MASKED = {FIRST: "my card is **** ****", LAST: "**** 1111"}
Export = Callable[[str, str], object]


def node(name: str, role: str, text: str, at: float) -> dict[str, object]:
    message = {
        "id": name,
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": at,
        "content": {"content_type": "text", "parts": [text]},
    }
    return {"id": name, "message": message, "parent": None, "children": []}


def chatgpt(first: str, last: str) -> object:
    """A tree by ids; what the conversation is called stands behind it."""
    tree = [
        node("a", "user", first, AT + 0.5),
        node("b", "assistant", "go on", AT + 1.5),
        node("c", "user", last, AT + 2.5),
    ]
    return [{"title": "x", "mapping": {one["id"]: one for one in tree}, "conversation_id": "7"}]


def contact_lens(first: str, last: str) -> object:
    said = [("p1", first), ("p2", "go on"), ("p1", last)]
    return {
        "Version": "1.1.0",
        "Transcript": [
            {
                "Id": f"m{at}",
                "ParticipantId": who,
                "Content": text,
                "AbsoluteTime": f"2024-05-17T12:00:0{at}.000Z",
            }
            for at, (who, text) in enumerate(said)
        ],
    }


def page(first: str, last: str) -> object:
    """As frameworks page through anything."""
    said = [("ann", first), ("desk", "go on"), ("ann", last)]
    rows = [{"id": at, "sender": who, "message": text} for at, (who, text) in enumerate(said)]
    return {"content": rows, "pageable": {"page": 0}, "last": True}


def newest_first(first: str, last: str) -> object:
    said = [("Ann", first), ("Bob", "go on"), ("Ann", last)]
    rows = [
        {"sender_name": who, "timestamp_ms": (AT + at) * 1000, "content": text}
        for at, (who, text) in enumerate(said)
    ]
    return {"participants": [{"name": "Ann"}], "messages": rows[::-1]}


def from_chat(first: str, last: str) -> object:
    """With times in words, and whoever wrote it in an object."""
    said = [("Ann", first), ("Bob", "go on"), ("Ann", last)]
    rows = [
        {
            "creator": {"name": who},
            "created_date": f"Friday, May 17, 2024 at 12:00:0{at} PM UTC",
            "text": text,
        }
        for at, (who, text) in enumerate(said)
    ]
    return {"messages": rows[::-1]}


def pieces(first: str, last: str) -> object:
    """Beside the pieces of a text stands something else that is one."""
    parts = [
        {"type": "text", "text": first},
        {"type": "image", "caption": "a photo"},
        {"type": "text", "text": last},
    ]
    return [{"role": "user", "content": parts}]


@pytest.mark.parametrize("is_line", [False, True], ids=["document", "lines"])
@pytest.mark.parametrize(
    "export", [chatgpt, contact_lens, page, newest_first, from_chat, pieces],
    ids=lambda export: export.__name__,
)  # fmt: skip
def test_a_number_in_two_messages_is_found(export: Export, is_line: bool, tmp_path: Path) -> None:
    assert scanned(export(FIRST, LAST), is_line, tmp_path) == export(MASKED[FIRST], MASKED[LAST])


CARD, HIDDEN = "4111111111111111", "************1111"


@pytest.mark.parametrize("is_line", [False, True], ids=["document", "lines"])
@pytest.mark.parametrize(
    "export",
    [
        lambda card: {"text": "hi", "notes": [{"author": "a", "body": card}]},
        lambda card: {"text": "hi", "answer": [[card]], "reply": {"x": [{"body": card}]}},
        lambda card: {"text": [card, {"type": "x", "note": card}, {"text": card}]},
        lambda card: {"role": "user", "content": [{"content": [{"text": card}]}, {"input": card}]},
        lambda card: {"text": "hi", "parts": [{"value": {"text": card}}, "ok"]},
    ],
)
def test_no_text_in_an_array_of_texts_is_passed_over(
    export: Callable[[str], object], is_line: bool, tmp_path: Path
) -> None:
    assert scanned(export(CARD), is_line, tmp_path) == export(HIDDEN)


def test_a_number_in_an_array_of_texts_is_masked_as_one_that_is_none(tmp_path: Path) -> None:
    value = {"text": "hi", "parts": [int(CARD), 41.5, 7], "value": [0.4111111111111111, 12]}
    expected = {**value, "parts": [HIDDEN, 41.5, 7]}
    assert scanned(value, False, tmp_path) == expected


def test_an_array_of_messages_may_be_larger_than_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only of a text in pieces all is held at once."""
    monkeypatch.setattr(json_scan, "_BUFFER", 512)
    monkeypatch.setattr(json_scan, "_MAX_TOKEN", 4096)
    rows = [{"id": at, "sender": "ann", "message": "hello"} for at in range(400)]
    value = {"content": [*rows, {"id": 400, "sender": "ann", "message": CARD}]}
    masked = {"content": [*rows, {"id": 400, "sender": "ann", "message": HIDDEN}]}
    assert scanned(value, False, tmp_path) == masked


def scanned(value: object, is_line: bool, folder: Path) -> object:
    name = "chat.jsonl" if is_line else "chat.json"
    (folder / name).write_text(json.dumps(value) + "\n" * is_line)
    scan([str(folder / name)], Options(out=folder / "out"), Quiet())
    return json.loads((folder / "out" / name).read_text())

"""The examples are what their source says, and the demo's counter does count."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import leaks
import pytest
import write
from rich.cells import cell_len
from stdnum import luhn
from stdnum.cn import ric

EXAMPLES = Path(__file__).parent.parent / "examples"
PLANTED: dict[str, Any] = json.loads((EXAMPLES / "planted.json").read_text(encoding="utf-8"))


def typed(name: str) -> list[dict[str, Any]]:
    lines = (EXAMPLES / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def numbers(name: str) -> list[leaks.Number]:
    return [leaks.Number.read(key, each) for key, each in PLANTED[name]["numbers"].items()]


def stored(message: dict[str, Any], text: str, **fields: Any) -> dict[str, Any]:
    return {**message, "text": text, "revision": 0, "final": True, **fields}


def test_the_files_are_what_their_source_says() -> None:
    for path, text in write.outputs().items():
        assert path.read_text(encoding="utf-8") == text, f"run examples/write.py: {path.name}"


@pytest.mark.parametrize("name", PLANTED)
def test_the_counter_counts_what_is_not_masked(name: str) -> None:
    given = {leaks.key_of(message): stored(message, message["text"]) for message in typed(name)}
    count = leaks.count(typed(name), given.values(), numbers(name))
    assert count.leaked == {number.name: number.hidden for number in numbers(name)}
    assert (count.changed, count.lost, count.returned) == (0, 0, 0)


@pytest.mark.parametrize("name", PLANTED)
def test_the_counter_counts_what_a_single_revision_showed(name: str) -> None:
    given = []
    for key, message in {leaks.key_of(each): each for each in typed(name)}.items():
        hidden = "*" * len(message["text"])
        given += [
            stored(message, hidden, final=False),
            stored(message, message["text"], final=False),
        ]
        given.append(stored(message, hidden))
        assert key
    count = leaks.count(typed(name), given, numbers(name))
    assert count.leaked == {number.name: number.hidden for number in numbers(name)}
    assert count.changed > 0


def test_the_counter_counts_a_changed_length_as_shown_and_a_missing_message_as_lost() -> None:
    message = {"conversation_id": "c", "message_id": "m", "text": "4111111111111111"}
    number = leaks.Number("n", "payment-card", 16, 4, [(("c", "m"), at, at) for at in range(16)])
    assert leaks.count([message], [stored(message, "*")], [number]).leaked == {"n": 12}
    assert leaks.count([message], [], [number]).lost == 1
    twice = [stored(message, "*" * 16)] * 2
    assert leaks.count([message], twice, [number]).lost == 1


# What the examples write digits with, beside characters that are decimal to Python.
WRITTEN = (
    "〇零",
    "一壹幺①¹",
    "二两贰②",
    "三叁③",
    "四肆④",
    "五伍⑤",
    "六陆⑥",
    "七柒⑦",
    "八捌⑧",
    "九玖⑨",
)
PLAIN = str.maketrans(
    {character: str(digit) for digit, written in enumerate(WRITTEN) for character in written}
    | {"Ｘ": "X"}
)


def test_planted_cards_and_ids_have_their_check_digits_but_the_mistyped_one() -> None:
    for name, file in PLANTED.items():
        texts = {leaks.key_of(message): message["text"] for message in typed(name)}
        for number in numbers(name):
            characters = {index: texts[key][offset] for key, offset, index in number.places}
            value = "".join(characters[index] for index in sorted(characters)).translate(PLAIN)
            value = "".join(str(int(each)) if each.isdecimal() else each for each in value)
            assert len(value) == number.length
            if number.rule == "payment-card":
                assert luhn.is_valid(value) == (number.name != "mistyped"), (name, number.name)
            if number.rule == "cn-resident-id":
                assert ric.is_valid(value), (name, number.name)
        assert file["title"]


# Terminals and tables do not agree on how wide a keycap emoji is.
_KEYCAP = re.compile("[\ufe0f\u20e3]")


def test_the_demo_ends_well() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "demo.py")], capture_output=True, check=False, timeout=300
    )
    out = done.stdout.decode()
    assert done.returncode == 0, out[-2000:]
    assert out.rstrip().endswith("digits that ever leaked, in any revision: 0")
    assert max(cell_len(_KEYCAP.sub("", line)) for line in out.splitlines()) <= 100

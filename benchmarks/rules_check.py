"""How long `masker rules check` takes over a pack of 50 rules, with its default budget.

The rules are made up: prefixes and lengths of their own, most with a check digit, some with letters
and a word that they need. Their examples are numbers made from their patterns. The aim: a minute
on two cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from masker.core.rules import Rule
from masker.testing.mutants import mutants
from masker.testing.mutation import telling
from masker.testing.results import toml
from masker.testing.sampling import numbers_of
from masker.testing.subject import Subject

RULES = 50
LIMIT = 60.0


def rule(place: int) -> Rule:
    """One of many: its place says what it looks like."""
    prefix, word = str(10 + place), f"scheme {chr(97 + place % 26)}{chr(97 + place // 26)}"
    kind = place % 5
    shape = {
        0: {"pattern": f"{prefix}[0-9]{{{10 + place % 4}}}", "checksum": "luhn"},
        1: {"pattern": f"{prefix}[0-9]{{9,11}}|9{prefix}[0-9]{{10}}", "checksum": "luhn"},
        2: {"pattern": f"[A-F]{prefix}[0-9]{{7}}[A-Z]", "context_required": True},
        3: {"pattern": f"{prefix}[2-7][0-9]{{5}}", "context_required": True},
        4: {"pattern": f"{prefix}(?:1[0-2]|0[1-9])[0-9]{{10}}", "checksum": "luhn"},
    }[kind]
    draft = Rule.model_validate(
        {
            "id": f"scheme-{place}", "entity": f"SCHEME_{place}", "context": (word,),
            "references": ("made up",), "examples": ("1",), "counterexamples": ("1",), **shape,
        }
    )  # fmt: skip
    lead = f"my {word} is " if draft.context_required else ""
    made = [lead + number for number in numbers_of(draft)[::12]]
    proven = draft.model_copy(
        update={"examples": tuple(made), "counterexamples": ("what is it?", f"{lead}123")}
    )
    return completed(proven)


def completed(draft: Rule) -> Rule:
    """The rule with the examples that its own unnoticed changes ask for."""
    subject = Subject(draft, "many", "many.toml", "")
    more: dict[str, list[str]] = {"examples": [], "counterexamples": []}
    for mutant in mutants(draft, subject.maker):
        witness = telling(subject, mutant)
        if witness is not None:
            more[witness[1]].append(witness[0])
    return draft.model_copy(update={key: (*getattr(draft, key), *new) for key, new in more.items()})


def pack(count: int = RULES) -> str:
    """A pack of so many rules, as TOML."""
    parts = ['schema = 1\nname = "many"\ndescription = "Rules made up for a benchmark"\n']
    for place in range(count):
        made = rule(place)
        lines = [f'id = "{made.id}"', f'entity = "{made.entity}"', f"pattern = '{made.pattern}'"]
        if made.checksum:
            lines.append(f'checksum = "{made.checksum}"')
        lines += [f"context = {toml(made.context)}"] if len(made.context) > 1 else [
            f'context = ["{made.context[0]}"]'
        ]  # fmt: skip
        if made.context_required:
            lines.append("context_required = true")
        lines.append('references = ["made up"]')
        lines += [
            f"{key} = [{', '.join(map(toml, getattr(made, key)))}]"
            for key in ("examples", "counterexamples")
        ]
        parts.append("[[rules]]\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description="time masker rules check over many rules")
    parser.add_argument("--rules", type=int, default=RULES)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "many.toml"
        file.write_text(pack(asked.rules), encoding="utf-8")
        before, start = os.times(), time.monotonic()
        command = [sys.executable, "-m", "masker", "rules", "check", str(file), "--jobs", "2"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - start
        after = os.times()
    cpu = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    print(done.stdout.splitlines()[-1])
    print(
        f"{asked.rules} rules on two processes, {os.cpu_count()} cores: {seconds:.1f} s, "
        f"{cpu:.1f} s of processor time; exit code {done.returncode}; the limit is {LIMIT:.0f} s"
    )


if __name__ == "__main__":
    main()

"""How often a rule masks what is no number of it: a rate for each kind of everyday text."""

from __future__ import annotations

import random
from functools import lru_cache

from masker.core import detect
from masker.core.rules import Rule
from masker.testing.everyday import KINDS
from masker.testing.subject import Subject

TEXTS = 500
# One text in fifty: a rule that does worse says in its pack that it means to.
DEFAULT_LIMIT = 0.02
_SHRINKS = 200


def limits(rule: Rule) -> dict[str, float]:
    """The greatest share of each kind that the rule may mask."""
    return dict.fromkeys(KINDS, DEFAULT_LIMIT) | dict(rule.max_chance)


@lru_cache(maxsize=64)
def texts(kind: str, seed: int, count: int = TEXTS) -> tuple[str, ...]:
    """So many texts of a kind; the same for the same seed."""
    chance = random.Random(f"{kind} {seed}")
    return tuple(KINDS[kind](chance) for _ in range(count))


def check_chance(subject: Subject) -> None:
    """Count what is masked of each kind, and hold it to the rule's limit."""
    allowed = limits(subject.rule)
    over: list[tuple[float, str, list[str]]] = []
    for kind in KINDS:
        tried = texts(kind, subject.seed)
        hit = [text for text in tried if detect.mask(subject.rules, text).findings]
        subject.result.chance[kind] = (len(hit), len(tried))
        share = len(hit) / len(tried)
        if share > allowed[kind]:
            over.append((share, kind, hit))
    total = sum(of for _, of in subject.result.chance.values())
    subject.result.done["chance"] = f"{total:,} texts of {len(KINDS)} kinds"
    if not over:
        return
    share, kind, hit = max(over)
    others = [f"{each:.0%} of {name}" for each, name, _ in over if name != kind]
    also = f" (and {', '.join(others)})" if others else ""
    meant = ", ".join(f"{name} = {_rounded(each)}" for each, name, _ in over)
    subject.tell(
        "chance",
        f"{share:.0%} of {kind} are masked that are no such number; the limit is "
        f"{allowed[kind]:.0%}{also}",
        key="max_chance" if subject.rule.max_chance else "pattern",
        case=smallest(subject, hit),
        paste="counterexamples",
        advice="narrow the pattern, add a check digit, or ask for words that mean nothing else; "
        f"if it is meant so: max_chance = {{ {meant} }}",
    )


def _rounded(share: float) -> str:
    return f"{min(1.0, share * 1.2 + 0.005):.2f}"


def smallest(subject: Subject, hit: list[str]) -> str:
    """The shortest of the texts that were masked, with words left out for as long as it is."""
    text = min(hit, key=lambda one: (len(one), one))
    for _ in range(_SHRINKS):
        words = text.split(" ")
        shorter = [
            " ".join(words[:place] + words[place + 1 :]) for place in range(len(words))
            if len(words) > 1
        ]  # fmt: skip
        kept = [one for one in shorter if detect.mask(subject.rules, one).findings]
        if not kept:
            break
        text = min(kept, key=len)
    return text

"""Writes docs/rules.md: every bundled rule, with its sources, its score, and its chance hits.

Run it after a rule has changed: python tools/write_rules_page.py. It checks all rules without a
budget, which takes a minute, and writes only where all of them pass. Tests compare the page.
"""

from __future__ import annotations

import sys
from pathlib import Path

from masker.core.rules import Pack, Rule
from masker.packs import bundled_packs
from masker.testing.chance import limits
from masker.testing.check import Settings, check_packs
from masker.testing.results import Result, RuleResult

PAGE = Path(__file__).resolve().parent.parent / "docs" / "rules.md"
MIN_SCORE = 95.0
_LEAST = 0.01
# What the page says does not depend on how many conversations are tried.
SETTINGS = Settings(budget=None, min_score=MIN_SCORE, scenes=6)

_HEAD = """\
# The bundled rules

Written by `tools/write_rules_page.py` from the packs in [`rules/`](../rules) and from what
`masker rules check` makes of them; a test compares it. All packs are on by default.

* *Keeps*: how many last characters stay readable.
* *Score*: the share of small changes of the rule that its examples and counterexamples notice
  ([what the score is](rule-format.md#what-the-score-is)).
* *By chance*: the share of texts without such a number that it masks all the same, of {texts:,}:
  random digits and codes, dates, phone numbers, amounts, order numbers, UUIDs, timestamps and
  plain sentences, {each} of each. *Meant* are those that the rule's `max_chance` allows.
"""


def page(result: Result) -> str:
    """The page for what came of checking the bundled rules."""
    results = {rule.rule: rule for rule in result.rules}
    some = result.rules[0].chance
    texts = sum(of for _, of in some.values())
    parts = [_HEAD.format(texts=texts, each=next(iter(some.values()))[1])]
    parts += [_pack(pack, results) for pack in bundled_packs()]
    return "\n".join(parts)


def _pack(pack: Pack, results: dict[str, RuleResult]) -> str:
    lines = [f"## {pack.name}", "", pack.description, ""]
    lines += [
        "| rule | finds | check digit | keeps | score | by chance |",
        "|---|---|---|---|---|---|",
    ]
    for rule in pack.rules:
        found = results[rule.id]
        check = f"`{rule.checksum}`" if rule.checksum else "none"
        needs = ", only where words call it one" if rule.context_required else ""
        lines.append(
            f"| `{rule.id}` | {rule.description}{needs} | {check} | {rule.keep_last} "
            f"| {found.score:.0f} % of {found.mutants} | {_chance(rule, found)} |"
        )
    lines += ["", "Sources:", ""]
    lines += [f"* `{rule.id}`: {'; '.join(rule.references)}" for rule in pack.rules]
    return "\n".join([*lines, ""])


def _chance(rule: Rule, found: RuleResult) -> str:
    shares = {kind: hit / of for kind, (hit, of) in found.chance.items() if hit}
    if not shares:
        return "none"
    allowed = limits(rule)
    usual = limits(rule.model_copy(update={"max_chance": ()}))
    # Rounded: one text more or less, when the engine has learnt something, is no news.
    return ", ".join(
        ("under 1 %" if share < _LEAST else f"{share * 100:.0f} %")
        + f" of {kind.replace('-', ' ')}"
        + (" (meant)" if allowed[kind] > usual[kind] else "")
        for kind, share in shares.items()
    )


def main() -> None:
    """Check, and write."""
    result = check_packs(settings=SETTINGS)
    if result.exit_code:
        sys.exit("not written: masker rules check --min-score 95 fails")
    PAGE.write_text(page(result), encoding="utf-8")


if __name__ == "__main__":
    main()

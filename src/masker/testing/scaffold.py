"""A new pack, with comments that say what to put where; it passes its own check as it is."""

from __future__ import annotations

from masker.core.rules import MOST_KEPT

_PACK = """\
# A rule pack for masker. Check it with:  masker rules check {file}
# Every key: docs/rule-format.md. Words in <angle brackets> are for you to replace.
schema = 1
name = "{id}"
description = "<What these numbers are, in a sentence>"

[[rules]]
id = "{id}"
# What findings call it: upper-case words joined by _.
entity = "{entity}"
description = "<What the number is, and where it stands>"

# The bare number: no spaces, no dashes, digits as 0-9, letters in upper case. Scripts, separators
# and cuts over several messages are masker's work. Here: 77 and ten more digits.
pattern = '77[0-9]{{10}}'

# A check digit is the best evidence there is. Known checks: docs/rule-format.md. Without one,
# delete the line, and think about context_required = true.
checksum = "luhn"

# How many characters may stay readable, 0 to {most}. 0 for what must never be stored.
keep_last = 4

# Words that speak for the number beside them, and words that speak against it.
context = ["member number", "会员号"]
anti_context = ["order", "订单号"]

# The standard, the statute or the issuer's document that says what the number looks like.
references = ["<The handbook of the issuer, section 3>"]

# Texts in which it is masked. A list is one number over several messages. Use numbers made up for
# tests: masker rules check prints these lines when something is wrong with them.
examples = [
    "770000000016",
    "my member number is 7700 0000 0024",
    "会员号770000000032，谢谢",
    ["my member number is 7700 00", "000040"],
]

# Texts in which it is not: a digit wrong, a digit missing, a number of another kind.
counterexamples = [
    "770000000017",
    "77000000001",
    "order 770000000016",
    "订单号是770000000016",
    "930000000016",
    "what is a member number?",
]
"""


def scaffold(rule_id: str, file: str) -> str:
    """The text of a new pack with one rule of this id.

    >>> scaffold("acme-member", "acme-member.toml").count("acme-member")
    3
    """
    entity = rule_id.upper().replace("-", "_")
    return _PACK.format(id=rule_id, entity=entity, file=file, most=MOST_KEPT)

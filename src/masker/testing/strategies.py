"""Hypothesis strategies made from a rule."""

from __future__ import annotations

from hypothesis import strategies as st

from masker.core.rules import Rule
from masker.errors import RuleError
from masker.packs import bundled_packs
from masker.testing.sampling import numbers_of
from masker.testing.saying import ways
from masker.testing.scenes import Scene


def _rule(rule: Rule | str) -> Rule:
    if isinstance(rule, Rule):
        return rule
    known = {each.id: each for pack in bundled_packs() for each in pack.rules}
    if rule not in known:
        raise RuleError(source="rules", rule=rule, key=None, reason="is no bundled rule")
    return known[rule]


def numbers(rule: Rule | str, seed: int = 0) -> st.SearchStrategy[str]:
    """Bare numbers that fit a rule's pattern and pass its check digit; the simplest is shrunk to.

    `rule` is a rule, or the id of a bundled one; other seeds give other numbers.

    Raises:
        RuleError: there is no such rule, or no number could be made of its pattern.
    """
    found = _rule(rule)
    made = numbers_of(found, seed)
    if not made:
        raise RuleError(
            source="masker.testing", rule=found.id, key="pattern", reason="no number could be made"
        )
    return st.sampled_from(made)


def arrivals(rule: Rule | str, seed: int = 0) -> st.SearchStrategy[Scene]:
    """Conversations in which a rule's numbers are given in every way that it claims to bear.

    Raises:
        RuleError: there is no such rule, or its numbers are found in no way at all.
    """
    found = _rule(rule)
    known = ways(found, seed)
    if not known:
        reason = "its numbers are found in no way at all"
        raise RuleError(source="masker.testing", rule=found.id, key="pattern", reason=reason)
    return st.one_of(*known.values())

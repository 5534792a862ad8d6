"""Rules that read the text itself: addresses, and secrets given after a word.

They look at one message; what they find is masked at once, and never joined.
"""

from __future__ import annotations

from masker.core.masking import FILL, Span
from masker.core.messages import Finding
from masker.core.patterns import PATTERN_TIMEOUT
from masker.core.ruleset import RuleSet, TextRule
from masker.core.words import NARROW

_SCORE = 0.8


def text_spans(rules: RuleSet, text: str, lowered: str) -> tuple[Span, ...]:
    """What the text rules find in a text, in its order."""
    if not rules.text_rules:
        return ()
    narrow = lowered if lowered.isascii() else lowered.translate(NARROW)
    if not rules.has_keyword(narrow):
        return ()
    spans: list[Span] = []
    for text_rule in rules.text_rules:
        if any(word in narrow for word in text_rule.rule.keywords):
            spans += _spans(text_rule, narrow)
    return tuple(sorted(spans, key=lambda span: (span.start, span.end)))


def _spans(text_rule: TextRule, narrow: str) -> list[Span]:
    rule = text_rule.rule
    group = "value" if text_rule.has_value else 0
    spans = []
    try:
        for match in text_rule.pattern.finditer(narrow, timeout=PATTERN_TIMEOUT):
            start, end = match.span(group)
            if start < end and not _is_masked(narrow, start, end):
                spans.append(_span(text_rule, start, end))
    except TimeoutError:
        # A pattern that explodes masks the text that makes it explode: it never skips it.
        return [Span(0, len(narrow), 0, Finding(rule.id, rule.entity, 0, len(narrow), _SCORE))]
    return spans


def _span(text_rule: TextRule, start: int, end: int) -> Span:
    rule = text_rule.rule
    return Span(start, end, rule.keep_last, Finding(rule.id, rule.entity, start, end, _SCORE))


def _is_masked(narrow: str, start: int, end: int) -> bool:
    """Whether nothing readable is left of it but what may stay."""
    value = narrow[start:end]
    return FILL in value and not any(char.isalnum() for char in value)

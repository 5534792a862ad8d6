"""Would the examples notice, if somebody changed the rule? A score, and what to add.

Each small change (`mutants`) is a rule of its own. It is noticed where an example is no longer
masked, or a counterexample is. What goes unnoticed comes with a number that the changed rule and
the true one answer differently; where no such number can be found, the change changes nothing,
and does not count. The score is the share of the rest that was noticed.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

import regex

from masker.core import compact, detect
from masker.core.checks import CHECKS
from masker.core.rules import Example, Rule, compile_pattern
from masker.core.ruleset import RuleSet
from masker.core.words import NARROW, lower
from masker.testing.explain import MOST_RUNS
from masker.testing.mutants import Mutant, mutants
from masker.testing.results import Severity, texts_of
from masker.testing.sampling import findings
from masker.testing.saying import FORMS_ASCII, FORMS_OTHER, introductions
from masker.testing.subject import Deadline, Subject

_PROBES = 24
_WORDS = 6
_HOPELESS = 8


def is_found(rules: RuleSet, rule: Rule, example: Example) -> bool:
    """Whether a rule finds anything in an example."""
    if isinstance(example, str):
        return any(found.rule == rule.id for found in detect.mask(rules, example).findings)
    return any(found.rule == rule.id for _, found in findings(rules, example))


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """An example or a counterexample, and the bare values that the pattern is asked about."""

    example: Example
    found: bool
    values: tuple[str, ...]


class Examples:
    """All claims of a rule, asked in an order in which a change is noticed soon."""

    def __init__(self, rule: Rule, rules: RuleSet) -> None:
        self.rule = rule
        self.claims = [Claim(each, True, _values(rules, each)) for each in rule.examples]
        self.claims += [Claim(each, False, _values(rules, each)) for each in rule.counterexamples]
        self.pattern = compile_pattern(rule.pattern, rule.view)
        self.check = CHECKS[rule.checksum] if rule.checksum else None
        values = {value for claim in self.claims for value in claim.values}
        self.answers = {value: _answer(self.pattern, value) for value in values}

    def notice(self, mutant: Mutant) -> bool:
        """Whether any claim no longer holds with the changed rule."""
        claims = self.claims
        if mutant.rule.pattern != self.rule.pattern:
            changed = compile_pattern(mutant.rule.pattern, self.rule.view)
            if self.rule.view == "text":
                return self._noticed(claim for claim in claims if self._reads(claim, changed))
            # What the pattern answers as before, the engine does as before.
            differ = {v for v, before in self.answers.items() if _answer(changed, v) != before}
            claims = [claim for claim in claims if differ.intersection(claim.values)]
            if self._noticed(claim for claim in claims if self._is_plain(claim, changed)):
                return True
            if not claims:
                return False
        rules = RuleSet([mutant.rule])
        for claim in claims:
            if is_found(rules, mutant.rule, claim.example) is not claim.found:
                return self._noticed([claim])
        return False

    def _noticed(self, claims: Iterable[Claim]) -> bool:
        """Whether there is any; who noticed this is likely to notice the next one."""
        claim = next(iter(claims), None)
        if claim is not None:
            self.claims.remove(claim)
            self.claims.insert(0, claim)
        return claim is not None

    def _reads(self, claim: Claim, changed: regex.Pattern[str]) -> bool:
        """Whether a pattern over text now finds what it should not, or misses what it should."""
        narrow = lower(texts_of(claim.example)[0]).translate(NARROW)
        if not any(word in narrow for word in self.rule.keywords):
            return False
        try:
            return (changed.search(narrow, timeout=1) is not None) is not claim.found
        except TimeoutError:
            return not claim.found

    def _is_plain(self, claim: Claim, changed: regex.Pattern[str]) -> bool:
        """Whether a number that stands alone, without words, is now judged otherwise.

        Then its shape and its check digit decide alone, and the engine need not be asked.
        """
        if claim.values != (claim.example,) or self.rule.context_required:
            return False
        value = claim.values[0]
        if claim.found:
            return changed.fullmatch(value, timeout=1) is None
        return changed.fullmatch(value, timeout=1) is not None and (
            self.check is None or self.check(value)
        )


def _answer(pattern: regex.Pattern[str], value: str) -> tuple[bool, bool]:
    try:
        match = pattern.fullmatch(value, partial=True, timeout=1)
    except TimeoutError:
        return True, True
    return (match is not None and not match.partial, match is not None)


def _values(rules: RuleSet, example: Example) -> tuple[str, ...]:
    """Everything that runs of an example give when they are put together in their order."""
    runs: list[str] = []
    for text in texts_of(example):
        runs += [piece.value for track in compact.read(rules, text) for piece in track]
    return tuple(
        {
            "".join(runs[low:high])
            for low in range(len(runs))
            for high in range(low + 1, min(low + MOST_RUNS, len(runs)) + 1)
        }
    )


def check_mutation(subject: Subject, deadline: Deadline, least: float | None) -> None:
    """Change the rule in every small way, and count what its examples notice."""
    rule, result = subject.rule, subject.result
    if subject.maker.tree is None:
        result.skipped["mutation"] = f"the pattern is not changed: {subject.maker.unread}"
    claims = Examples(rule, subject.rules)
    tried = 0
    for mutant in mutants(rule, subject.maker):
        if deadline.is_over:
            result.skipped["mutation"] = f"out of time after {tried} changes"
            break
        try:
            noticed = claims.notice(mutant)
        except regex.error:
            continue
        tried += 1
        if noticed:
            result.mutants += 1
            result.noticed += 1
            continue
        witness = telling(subject, mutant)
        if witness is not None:
            result.mutants += 1
            _tell_survivor(subject, mutant, *witness)
    score = result.score
    result.done["mutation"] = (
        "nothing could be changed" if score is None
        else f"{score:.0f} % of {result.mutants} changes are noticed"
    )  # fmt: skip
    if least is not None and score is not None and score < least:
        subject.tell(
            "mutation",
            f"the examples notice {score:.0f} % of small changes of the rule; "
            f"the least is {least:g} %",
            key="examples",
            advice="each change below comes with a line that would notice it",
        )


def _tell_survivor(subject: Subject, mutant: Mutant, case: str, key: str) -> None:
    if key == "examples":
        advice = "if this should be masked, add it to the examples; if not, the rule is too wide"
    else:
        advice = (
            "if this should be left alone, add it to the counterexamples; "
            "if not, the rule is too narrow"
        )
    subject.tell(
        "mutation",
        f"nobody would notice if {mutant.change}",
        key=key,
        case=case,
        paste=key,
        advice=advice,
        severity=Severity.WARNING,
    )


def telling(subject: Subject, mutant: Mutant) -> tuple[str, str] | None:
    """A text that the rule and its mutant treat differently, and the list it belongs in."""
    rule = subject.rule
    chance = random.Random(f"{subject.seed} {mutant.change}")
    changed: RuleSet | None = None
    pattern = compile_pattern(mutant.rule.pattern, mutant.rule.view)
    same_pattern = mutant.rule.pattern == rule.pattern
    # Where a check digit knows more than the pattern, one that never comes right is given up.
    hopeless = 0
    for _ in range(_PROBES):
        if hopeless >= _HOPELESS:
            break
        value = mutant.probe(chance)
        if value is None or not value.strip():
            continue
        if rule.view == "number" and not same_pattern:

            def differs(each: str) -> bool:
                return (pattern.fullmatch(each) is None) is (
                    subject.maker.pattern.fullmatch(each) is not None
                )

            completed = subject.maker.completed(value, differs) if differs(value) else None
            if completed is None:
                hopeless += differs(value)
                continue
            value = completed
        for text in _sayings(subject, mutant, value):
            changed = changed or RuleSet([mutant.rule])
            before = is_found(subject.rules, rule, text)
            if before is not is_found(changed, mutant.rule, text):
                return text, "examples" if before else "counterexamples"
    return None


def _sayings(subject: Subject, mutant: Mutant, value: str) -> Iterable[str]:
    """The ways to say a number that may tell one rule from another."""
    rule = subject.rule
    if rule.view == "text":
        yield value
        return
    if mutant.part != "context":
        for before in dict.fromkeys(["", *introductions(rule, subject.seed)[-1:]]):
            yield before + value
        return
    yield value
    gone = [
        word for key in ("context", "anti_context") for word in getattr(rule, key)
        if word not in getattr(mutant.rule, key)
    ]  # fmt: skip
    words = gone[:_WORDS] if gone else rule.context[:_WORDS]
    for word in words:
        forms = FORMS_ASCII if word[0].isascii() else FORMS_OTHER
        yield forms[0].format(word) + value
        yield forms[-1].format(word) + value

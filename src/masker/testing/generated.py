"""Numbers made from the pattern, sent in every way that people send them: the promises hold."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException

from masker.core.rules import Example
from masker.testing.explain import why_not
from masker.testing.promises import PROMISES, Broken, keep_all
from masker.testing.sampling import numbers_of
from masker.testing.saying import finds, introductions, ways
from masker.testing.scenes import Scene, Timeline
from masker.testing.subject import Deadline, Subject
from masker.testing.writing import plain

SCENES = 12


def check_promises(
    subject: Subject,
    deadline: Deadline,
    scenes: int = SCENES,
    names: Sequence[str] = tuple(PROMISES),
) -> None:
    """These promises over generated scenes of every way; the smallest failure is told."""
    rule = subject.rule
    if rule.view == "text":
        _check_texts(subject, names)
        return
    made = numbers_of(rule, subject.seed)
    if not made:
        reason = subject.maker.unread or "no number could be made of the pattern"
        subject.result.skipped["promises"] = f"the pattern cannot be sampled: {reason}"
        return
    if not introductions(rule, subject.seed):
        _tell_not_found(subject, made)
        return
    found = ways(rule, subject.seed)
    kept = 0
    for way, strategy in found.items():
        if deadline.is_over:
            subject.result.skipped["promises"] = f"out of time after {kept} of {len(found)} ways"
            break
        failure = smallest_failure(subject, strategy, scenes, deadline, names)
        kept += 1
        if failure is not None:
            _tell(subject, way, failure)
            break
    subject.result.done["promises"] = f"{kept * scenes} conversations in {kept} ways"


def smallest_failure(
    subject: Subject,
    strategy: st.SearchStrategy[Scene],
    scenes: int,
    deadline: Deadline,
    names: Sequence[str],
) -> Broken | None:
    """The simplest scene in which a promise is not kept; None where all hold."""
    failures: list[Broken] = []

    @seed(subject.seed)
    @settings(
        max_examples=scenes,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def keeps_its_promises(scene: Scene) -> None:
        if deadline.is_over:
            return
        try:
            keep_all(subject.masker, scene, subject.rule.keep_last, names)
        except Broken as broken:
            failures.append(broken)
            raise

    try:
        keeps_its_promises()
    except Broken:
        pass
    except HypothesisException:
        # Out of time in the midst of shrinking: what was found so far is told.
        if not failures:
            raise
    return min(failures, key=lambda broken: _size(broken.scene), default=None)


def _size(scene: Scene) -> tuple[int, int, str]:
    texts = [sent.message.text for sent in scene.sent]
    return len(texts), sum(map(len, texts)), "".join(texts)


def example_of(broken: Broken) -> Example:
    """The scene's number as an example: what its sender wrote."""
    scene = broken.scene
    given = [sent for sent in scene.sent if sent.written.digits]
    mine = [sent for sent in given if sent.written.digits[0][0] in broken.reason]
    sender = (mine or given or scene.sent)[0].message.sender
    texts = tuple(sent.message.text for sent in scene.sent if sent.message.sender == sender)
    return texts if len(texts) > 1 else texts[0]


def _tell(subject: Subject, way: str, broken: Broken) -> None:
    subject.tell(
        "promises",
        f"sent {way}: {broken.reason} ({broken.promise})",
        key="pattern",
        case=example_of(broken),
        paste="examples",
    )


def _tell_not_found(subject: Subject, made: tuple[str, ...]) -> None:
    """No words make the rule find all of its numbers: tell the first that it misses."""
    rule = subject.rule
    word = rule.context[0] if rule.context else ""
    before = f"{word} " if word.isascii() and word else word
    if not rule.context_required and any(finds(rule, subject.rules, "", each) for each in made):
        before = ""
    missed = [each for each in made if not finds(rule, subject.rules, before, each)]
    number = missed[0] if missed else made[0]
    reason = why_not(rule, (before + number,)) or "it is not masked from its first to its last"
    subject.tell(
        "promises",
        f"{number} fits the pattern and the check digit, and is not masked: {reason}",
        key="pattern",
        case=before + number,
        paste="examples",
        advice=f"masker rules explain {rule.id} shows how it was read",
    )


def _check_texts(subject: Subject, names: Sequence[str]) -> None:
    """A rule over text: each value found, in one message, the same in any chunks."""
    made = numbers_of(subject.rule, subject.seed)
    if not made:
        subject.result.skipped["promises"] = "the pattern cannot be sampled: " + (
            subject.maker.unread or "no text could be made of it"
        )
        return
    for text in made:
        timeline = Timeline()
        timeline.say(plain(text))
        scene = Scene(timeline.sent, ())
        # Nothing is planted in a text that the pattern wrote: what it masks, is masked.
        asked = [name for name in names if name != "nothing lost"]
        try:
            keep_all(subject.masker, scene, subject.rule.keep_last, asked)
        except Broken as broken:
            subject.tell("promises", broken.reason, key="pattern", case=text)
            return
    subject.result.done["promises"] = f"{len(made)} texts"

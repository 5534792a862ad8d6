"""Numbers made from the pattern, sent in every way that people send them: the promises hold."""

from __future__ import annotations

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException

from masker.core.rules import Example
from masker.testing.promises import Broken, keep_all
from masker.testing.sampling import numbers_of
from masker.testing.saying import introductions, ways
from masker.testing.scenes import Scene, Timeline
from masker.testing.subject import Deadline, Subject
from masker.testing.writing import plain

SCENES = 12


def check_promises(subject: Subject, deadline: Deadline, scenes: int = SCENES) -> None:
    """Every promise over generated scenes of every way; the smallest failure is told."""
    rule = subject.rule
    if rule.view == "text":
        _check_texts(subject)
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
        failure = smallest_failure(subject, strategy, scenes, deadline)
        kept += 1
        if failure is not None:
            _tell(subject, way, failure)
            break
    subject.result.done["promises"] = f"{kept * scenes} conversations in {kept} ways"


def smallest_failure(
    subject: Subject, strategy: st.SearchStrategy[Scene], scenes: int, deadline: Deadline
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
            keep_all(subject.masker, scene, subject.rule.keep_last)
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


def example_of(scene: Scene) -> Example:
    """The scene's numbers as an example: what their sender wrote."""
    sender = next(
        (sent.message.sender for sent in scene.sent if sent.written.digits), "user0"
    )  # fmt: skip
    texts = tuple(sent.message.text for sent in scene.sent if sent.message.sender == sender)
    return texts if len(texts) > 1 else texts[0]


def _tell(subject: Subject, way: str, broken: Broken) -> None:
    subject.tell(
        "promises",
        f"sent {way}: {broken.reason} ({broken.promise})",
        key="pattern",
        case=example_of(broken.scene),
        paste="examples",
    )


def _tell_not_found(subject: Subject, made: tuple[str, ...]) -> None:
    rule = subject.rule
    if rule.context_required and not rule.context:
        return
    words = (
        "after no word of its context" if rule.context_required else "neither bare nor called one"
    )
    subject.tell(
        "promises",
        f"numbers that fit the pattern and the check digit, such as {made[0]}, are masked "
        f"reliably {words}",
        key="context" if rule.context_required else "pattern",
        case=f"{rule.context[0]} {made[0]}" if rule.context else made[0],
        paste="examples",
        advice=f"masker rules explain {rule.id} shows what is missing",
    )


def _check_texts(subject: Subject) -> None:
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
        names = ("same shape", "any cut", "deterministic", "bounded", "fails closed", "idempotent")
        try:
            keep_all(subject.masker, scene, subject.rule.keep_last, names)
        except Broken as broken:
            subject.tell("promises", broken.reason, key="pattern", case=text)
            return
    subject.result.done["promises"] = f"{len(made)} texts"

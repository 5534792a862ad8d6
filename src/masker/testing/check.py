"""All checks over all rules of some packs, within a budget of time, on all cores.

Each rule is checked alone, in a process of its own where there is more than one core. The cheap
checks, those of the author's own claims, are always made whole. The others share what time there
is for the rule; what was cut short is said, and is never taken for passed in silence.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from os import PathLike
from pathlib import Path

from masker import packs
from masker.core.rules import Pack, Rule, parse_pack
from masker.errors import RuleError, UnknownRuleError
from masker.testing import claims, explosion
from masker.testing.chance import check_chance
from masker.testing.everycut import MOST, check_cuts
from masker.testing.generated import SCENES, check_promises
from masker.testing.mutation import check_mutation
from masker.testing.neighbours import check_neighbours
from masker.testing.overlap import check_overlap
from masker.testing.results import CHECKS, Problem, Result, RuleResult, Severity, line_of
from masker.testing.subject import Deadline, Subject

BUDGET = 45.0
# The share of small changes that examples must notice, in per cent, unless said otherwise.
MIN_SCORE = 80.0
# Of a rule's time, what each of the long checks may have taken when it ends.
_MUTATION, _PROMISES, _CUTS = 0.5, 0.85, 1.0
# Within a budget, every cut that there is time for.
_ALL = 2**24
# Below this a second process costs more than it gives.
_FEW_RULES = 3
# What is kept of the budget for starting processes and for the checks of all rules together.
_OVERHEAD = 0.15

# A rule's share of the time grows with its pattern: so many characters are as much as a rule.
_PATTERN_PER_WEIGHT = 600.0
_LONG_PATTERN = 3000

Progress = Callable[[RuleResult], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """How rules are checked."""

    seed: int = 0
    budget: float | None = BUDGET
    """Seconds for all of it; None: as long as it takes."""
    min_score: float | None = MIN_SCORE
    scenes: int = SCENES
    jobs: int = 0
    """Processes; 0: one for each core."""


@dataclass(frozen=True, slots=True)
class _File:
    source: str
    text: str
    pack: Pack


def check_packs(
    paths: Sequence[str | PathLike[str]] = (),
    *,
    rules: Sequence[str] = (),
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Result:
    """Check the packs of files and folders, the bundled ones where none is given.

    `rules` are ids of rules, or names of packs, to check alone. `progress` is called with each rule
    that is done. A pack that cannot be read is a problem of the result, and the rest goes on.

    Raises:
        UnknownRuleError: no pack has a rule or a name given in `rules`.
    """
    settings = settings or Settings()
    started = time.monotonic()
    result = Result(seed=settings.seed)
    files = list(_files(paths, result))
    subjects = [
        Subject(rule, file.pack.name, file.source, file.text, settings.seed)
        for file in files
        for rule in file.pack.rules
    ]
    chosen = [each for each in subjects if not rules or {each.rule.id, each.pack} & set(rules)]
    known = [name for each in subjects for name in (each.rule.id, each.pack)]
    for name in rules:
        if name not in known and not result.unreadable:
            raise UnknownRuleError(name=name, known=tuple(dict.fromkeys(known)))
    for rule_result in _checked(chosen, settings):
        result.rules.append(rule_result)
        if progress is not None:
            progress(rule_result)
    order = {(each.source, each.rule.id): place for place, each in enumerate(chosen)}
    result.rules.sort(key=lambda each: order[each.source, each.rule])
    _add_overlap(result, subjects, chosen)
    result.seconds = time.monotonic() - started
    return result


def check_rule(
    rule: Rule,
    *,
    pack: str = "",
    source: str = "",
    text: str = "",
    settings: Settings | None = None,
    seconds: float | None = None,
) -> RuleResult:
    """Every check that can be made of one rule alone, in at most about so many seconds."""
    settings = settings or Settings()
    subject = Subject(rule, pack, source, text, settings.seed)
    started = time.monotonic()

    def until(share: float) -> Deadline:
        if seconds is None:
            return Deadline(None)
        return Deadline(started + seconds * share)

    explosion.check_explosion(subject)
    if any(problem.severity is Severity.ERROR for problem in subject.result.problems):
        # Nothing else can be asked of a pattern that does not answer.
        for check in CHECKS:
            if check not in subject.result.done:
                subject.result.skipped[check] = "the pattern explodes"
        return subject.result
    claims.check_pattern(subject)
    claims.check_examples(subject)
    claims.check_relatives(subject)
    claims.check_counterexamples(subject)
    explosion.check_holds(subject)
    claims.check_digit(subject)

    # What its own examples refute needs no search for more: the first thing found is told.
    # Mutation comes first in time, for it is what a score is asked of, and is told last.
    unnoticed: list[Problem] = []
    if not subject.result.failed:
        told = len(subject.result.problems)
        check_mutation(subject, until(_MUTATION), settings.min_score)
        unnoticed = subject.result.problems[told:]
        del subject.result.problems[told:]
    steps: list[Callable[[], None]] = [
        lambda: check_promises(subject, until(_PROMISES), settings.scenes),
        lambda: check_cuts(subject, until(_CUTS), MOST if seconds is None else _ALL),
        lambda: check_neighbours(subject),
        lambda: check_chance(subject),
    ]
    if rule.view == "text":
        # Of texts it is the neighbours that say what is wrong in the plainest words.
        steps.insert(0, steps.pop(2))
    for step in steps:
        if not subject.result.failed:
            step()
    if subject.result.failed:
        subject.result.done.pop("mutation", None)
        subject.result.mutants = subject.result.noticed = 0
    else:
        subject.result.problems += unnoticed
    for check in ("neighbours", "promises", "cuts", "chance", "mutation"):
        if subject.result.failed and check not in subject.result.done:
            subject.result.skipped.setdefault(check, "left out: the rule fails already")
    subject.result.seconds = time.monotonic() - started
    return subject.result


def _files(paths: Sequence[str | PathLike[str]], result: Result) -> Iterator[_File]:
    if not paths:
        for pack in packs.bundled_packs():
            yield _File(f"rules/{pack.name}.toml", "", pack)
        return
    seen: dict[str, str] = {}
    for path in paths:
        for file in _toml_files(Path(path), result):
            try:
                text = file.read_bytes().decode("utf-8-sig")
                pack = parse_pack(text, source=str(file))
                _reject_repeats(pack, str(file), seen)
            except RuleError as error:
                _add_unreadable(result, error, text)
            except UnicodeDecodeError as error:
                reason = f"is not UTF-8 at byte {error.start + 1}"
                _add_unreadable(
                    result, RuleError(source=str(file), rule=None, key=None, reason=reason), ""
                )
            except OSError as error:
                reason = f"cannot be read: {(error.strerror or 'no such file').lower()}"
                _add_unreadable(
                    result, RuleError(source=str(file), rule=None, key=None, reason=reason), ""
                )
            else:
                yield _File(str(file), text, pack)


def _toml_files(place: Path, result: Result) -> list[Path]:
    if place.is_dir():
        files = sorted(file for file in place.iterdir() if file.suffix == ".toml")
        if not files:
            error = RuleError(source=str(place), rule=None, key=None, reason="has no .toml file")
            _add_unreadable(result, error, "")
        return files
    return [place]


def _reject_repeats(pack: Pack, source: str, seen: dict[str, str]) -> None:
    for rule in pack.rules:
        if rule.id in seen:
            reason = f"is used in {seen[rule.id]} already"
            raise RuleError(source=source, rule=rule.id, key="id", reason=reason)
    seen |= {rule.id: source for rule in pack.rules}


def _add_unreadable(result: Result, error: RuleError, text: str) -> None:
    result.unreadable = True
    result.problems.append(
        Problem(
            check="schema",
            source=error.source,
            rule=error.rule,
            key=error.key,
            message=f"{error.key} {error.reason}" if error.key else error.reason,
            line=line_of(text, error.rule, error.key),
        )
    )


def _checked(subjects: Sequence[Subject], settings: Settings) -> Iterator[RuleResult]:
    jobs = settings.jobs or min(os.cpu_count() or 1, len(subjects))
    if len(subjects) < _FEW_RULES:
        jobs = 1
    # The longest first, so that no core is left with one at the end.
    waiting = sorted(subjects, key=_weight, reverse=True)
    weight = sum(map(_weight, waiting))
    deadline = Deadline.after(settings.budget and settings.budget * (1 - _OVERHEAD))

    def next_work() -> tuple[Rule, str, str, str, Settings, float | None]:
        nonlocal weight
        each = waiting.pop(0)
        # What a rule leaves of its time the others have.
        share = _weight(each) / weight * jobs
        weight -= _weight(each)
        seconds = None if deadline.at is None else deadline.left * min(1.0, share)
        return each.rule, each.pack, each.source, each.text, settings, seconds

    if jobs == 1:
        while waiting:
            yield _check_one(next_work())
        return
    with _workers(jobs) as pool:
        with _uninterrupted():
            running = {pool.submit(_check_one, next_work()) for _ in range(min(jobs, len(waiting)))}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                if waiting:
                    running.add(pool.submit(_check_one, next_work()))
                yield future.result()


@contextmanager
def _workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that check rules; where that is broken off nobody waits for them."""
    others = set(multiprocessing.active_children())
    # A fresh interpreter each: a fork would take this one's threads and locks with it.
    pool = ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Processes that are begun here leave Ctrl-C to this one; a terminal sends it to all.

    What comes meanwhile waits: they inherit that it is blocked, and only here it is let in again.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    # When this starts it lets signals in; so it is started before.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _weight(subject: Subject) -> float:
    """How much there is to change in a rule, beside what every rule needs."""
    return 1.0 + min(len(subject.rule.pattern), _LONG_PATTERN) / _PATTERN_PER_WEIGHT


def _check_one(work: tuple[Rule, str, str, str, Settings, float | None]) -> RuleResult:
    rule, pack, source, text, settings, seconds = work
    try:
        return check_rule(
            rule, pack=pack, source=source, text=text, settings=settings, seconds=seconds
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001 - the other rules are checked all the same
        failed = RuleResult(rule.id, pack, source)
        message = f"the check itself failed, which is masker's fault: {type(error).__name__}"
        line = line_of(text, rule.id, None)
        failed.problems.append(Problem("schema", source, rule.id, message, line=line))
        return failed


def _add_overlap(result: Result, subjects: Sequence[Subject], chosen: Sequence[Subject]) -> None:
    mine = {subject.rule.id for subject in chosen}
    by_rule = {each.rule: each for each in result.rules}
    for problem in check_overlap(subjects):
        if problem.rule in mine:
            by_rule[str(problem.rule)].problems.append(problem)
    for rule_result in result.rules:
        rule_result.done["overlap"] = f"beside {len(subjects) - 1} other rules"

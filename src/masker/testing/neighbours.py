"""What stands right beside a value: Hanzi without a space, and words that are none of it.

There is no word border between 号 and 4, nor between 码 and a: a pattern that asks for one misses
what every second Chinese message holds. And a pattern that takes whatever follows masks the
thanks behind the value too.
"""

from __future__ import annotations

from masker.core.messages import Finding
from masker.testing.results import Severity
from masker.testing.sampling import findings, numbers_of
from masker.testing.saying import introductions, quiet
from masker.testing.subject import Subject

_TRIED = 24
_SPACED = ("ok {} ok", "看 {} 看")
_BESIDE = "好{}好"
_BEHIND = (" thanks a lot", "，谢谢啦", "。谢谢啦")
_LONGEST_TAIL = 4
_BEHIND_NUMBER = ("，有效期12/27", " 谢谢3天后见", "。500元")


def check_neighbours(subject: Subject) -> None:
    """Values with neighbours: found beside Hanzi, and nothing masked that is no value."""
    if subject.rule.view == "text":
        _check_text(subject)
    else:
        _check_number(subject)


def _found(subject: Subject, text: str) -> list[Finding]:
    return [found for _, found in findings(subject.rules, text)]


def _check_text(subject: Subject) -> None:
    made = numbers_of(subject.rule, subject.seed)
    step = max(1, len(made) // _TRIED)
    for text in sorted(made, key=len)[::step]:
        alone = _found(subject, text)
        if not alone:
            continue
        spaced = all(_found(subject, form.format(text)) for form in _SPACED)
        if spaced and not _found(subject, _BESIDE.format(text)):
            subject.tell(
                "neighbours",
                "it is found between spaces, and not between Hanzi: a word border (\\b) or a "
                "look-around asks for a character that Chinese text does not have",
                key="pattern",
                case=_BESIDE.format(text),
                paste="examples",
                advice="say which characters may not stand beside it, as in (?<![a-z0-9])",
            )
            return
        for behind in _BEHIND:
            place = _swallowed(subject, text, behind)
            if place:
                subject.tell(
                    "neighbours",
                    f"what follows the value is masked too: of {text + behind!r} {place!r} "
                    "is no part of it",
                    key="pattern",
                    case=text + behind,
                    advice="say which characters a value has, and how many; . takes any",
                )
                return
    subject.result.done["neighbours"] = f"{len(made[::step])} texts"


def _swallowed(subject: Subject, text: str, behind: str) -> str:
    """The letters of what follows that are masked."""
    masked = subject.masker.mask(text + behind).text[len(text) :]
    return "".join(
        before for before, after in zip(behind, masked, strict=True) if before != after
    ).strip()  # fmt: skip


def _check_number(subject: Subject) -> None:
    rule = subject.rule
    before = introductions(rule, subject.seed)
    made = numbers_of(rule, subject.seed)
    if not before or not made:
        subject.result.skipped["neighbours"] = "there is no number to stand beside"
        return
    lead = min(before, key=len)
    step = max(1, len(made) // _TRIED)
    for number in made[::step]:
        for behind in quiet(rule, _BEHIND_NUMBER):
            text = lead + number + behind
            masked = subject.masker.mask(text).text
            end = len(lead) + len(number)
            hidden = masked[len(lead) : end - rule.keep_last]
            if set(hidden) - {"*"} or masked[end:] != behind:
                what = "is not masked" if set(hidden) - {"*"} else "takes what follows with it"
                subject.tell(
                    "neighbours",
                    f"{number} {what} where {behind.strip()!r} stands behind it",
                    key="pattern",
                    case=text,
                    paste="examples",
                )
                return
    if rule.checksum is None and not rule.context_required:
        _check_greed(subject, lead, made)
    subject.result.done["neighbours"] = f"{len(made[::step])} numbers"


def _check_greed(subject: Subject, lead: str, made: tuple[str, ...]) -> None:
    """Without a check digit, nothing says where a number of several lengths ends."""
    for number in made:
        for size in range(len(number) - 1, len(number) - _LONGEST_TAIL, -1):
            head, tail = number[:size], number[size:]
            if not subject.maker.accepts(head):
                continue
            text = f"{lead}{head} {tail}"
            if (
                subject.masker.mask(text).findings[:1]
                and subject.masker.mask(text).text[len(lead) : len(lead) + size]
                != subject.masker.mask(lead + head).text[len(lead) :]
            ):
                subject.tell(
                    "neighbours",
                    f"{head} is a whole number, and digits behind it are taken for more of it",
                    key="pattern",
                    case=text,
                    advice="without a check digit, one length is safer than several",
                    severity=Severity.WARNING,
                )
                return

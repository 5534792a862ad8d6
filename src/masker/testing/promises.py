"""The promises of masker, each a function over a scene in which numbers were planted.

A promise takes a `Trial` (a `Masker` before a `Scene`) and returns nothing, or raises `Broken`,
which says in plain words what was wrong, and carries the scene. They hold for every rule, so they
can be asked of yours: `masker rules check` and the pytest plugin do, and any test of your own can.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable

from masker.core.messages import MaskedMessage, Message
from masker.masker import Masker
from masker.testing.leaks import LeakCounter, play
from masker.testing.scenes import NOON, Delivery, Scene, Sent
from masker.testing.writing import KEEP, MASK, plain

DELIVERIES: tuple[Delivery, ...] = ("revise", "hold")
# A second longer than the redactor's own window.
_LATER = dt.timedelta(seconds=601)
_CHUNKS = (1, 3, 7)

Promise = Callable[["Trial"], None]


class Broken(AssertionError):  # noqa: N818 - reads as what it says: a promise, broken
    """A promise that was not kept: which, by what, and why."""

    def __init__(self, promise: str, reason: str, scene: Scene) -> None:
        self.promise = promise
        self.reason = reason
        self.scene = scene
        super().__init__(f"{promise}: {reason}")


class Trial:
    """A masker before one scene: what it makes of it is worked out once, for all promises.

    `keep` is how many characters of a number may stay readable.
    """

    def __init__(self, masker: Masker, scene: Scene, keep: int = KEEP) -> None:
        self.masker = masker
        self.scene = scene
        self.keep = keep
        self._played: dict[Delivery, tuple[LeakCounter, list[MaskedMessage]]] = {}

    def counted(self, delivery: Delivery) -> LeakCounter:
        """What could be read of the scene, delivered like this."""
        return self._play(delivery)[0]

    def came_out(self, delivery: Delivery) -> list[MaskedMessage]:
        """Every revision, in the order in which it came."""
        return self._play(delivery)[1]

    def _play(self, delivery: Delivery) -> tuple[LeakCounter, list[MaskedMessage]]:
        known = self._played.get(delivery)
        if known is not None:
            return known
        redactor = self.masker.redactor(delivery=delivery)
        outs: list[MaskedMessage] = []

        def noted(said: list[MaskedMessage]) -> list[MaskedMessage]:
            outs.extend(said)
            return said

        try:
            counter = play(
                self.scene,
                lambda message: noted(redactor.receive(message)),
                lambda: noted(redactor.close()),
                keep=self.keep,
            )
        except AssertionError as error:
            raise Broken("same shape", str(error), self.scene) from None
        self._played[delivery] = counter, outs
        return counter, outs


def never_shown(trial: Trial) -> None:
    """1. No revision ever shows more of a number than its last characters."""
    for delivery in DELIVERIES:
        leaks = trial.counted(delivery).leaks()
        if leaks:
            number, places = next(iter(leaks.items()))
            what = "is not masked at all" if len(places) == len(number) - trial.keep else (
                f"is not masked wholly: {len(places)} of its characters can be read that should not"
            )  # fmt: skip
            raise Broken("never shown", f"the number {number} {what}", trial.scene)


def nothing_lost(trial: Trial) -> None:
    """2. Every message comes out, becomes final once, and only the number is changed."""
    for delivery in DELIVERIES:
        counter = trial.counted(delivery)
        if counter.unfinished():
            raise Broken("nothing lost", "a message never becomes final", trial.scene)
        elsewhere = counter.changed_elsewhere()
        if elsewhere:
            _, message_id, place = elsewhere[0]
            reason = f"character {place + 1} of message {message_id} is masked, and is no number"
            raise Broken("nothing lost", reason, trial.scene)
    outs = trial.came_out("hold")
    for conversation in {sent.key[0] for sent in trial.scene.sent}:
        came = [out.message_id for out in outs if out.conversation_id == conversation]
        went = [sent.key[1] for sent in trial.scene.sent if sent.key[0] == conversation]
        if came != list(dict.fromkeys(went)):
            raise Broken("nothing lost", "held messages come out in another order", trial.scene)


def same_shape(trial: Trial) -> None:
    """3. One character is masked by one star, and all others stay."""
    for sent in trial.scene.sent:
        text = sent.message.text
        masked = trial.masker.mask(text).text
        if len(masked) != len(text) or any(
            after not in (before, MASK) for after, before in zip(masked, text, strict=True)
        ):
            raise Broken("same shape", "masking changed more than single characters", trial.scene)


def any_cut(trial: Trial) -> None:
    """4. However it is cut, the same characters are masked; a stream gives what the text gives."""
    for delivery in DELIVERIES:
        counter = trial.counted(delivery)
        for number, hidden in counter.masked_at_the_end().items():
            wanted = set(range(len(number) - trial.keep))
            if hidden != wanted:
                reason = (
                    f"of the number {number} {len(hidden)} characters are masked in the end, "
                    f"not {len(wanted)}"
                )
                raise Broken("any cut", reason, trial.scene)
    for sent in trial.scene.sent:
        text = sent.message.text
        whole = trial.masker.mask(text).text
        for size in _CHUNKS:
            stream = trial.masker.stream()
            pieces = [stream.feed(text[at : at + size]) for at in range(0, len(text), size)]
            if "".join([*pieces, stream.close()]) != whole:
                reason = f"a stream in chunks of {size} gives something else than the whole text"
                raise Broken("any cut", reason, trial.scene)


def deterministic(trial: Trial) -> None:
    """5. The same messages give the same answers."""
    again = Trial(trial.masker, trial.scene, trial.keep)
    if again.came_out("revise") != trial.came_out("revise"):
        raise Broken("deterministic", "the same messages gave two different answers", trial.scene)


def bounded(trial: Trial) -> None:
    """6. When the window has passed, nothing waits any more."""
    redactor = trial.masker.redactor(delivery="revise")
    end = max((sent.message.timestamp or NOON) for sent in trial.scene.sent)
    counter = play(
        trial.scene, redactor.receive, lambda: redactor.advance(end + _LATER), keep=trial.keep
    )
    if counter.unfinished() or redactor.close():
        raise Broken("bounded", "a message still waits after the window has passed", trial.scene)


def fails_closed(trial: Trial) -> None:
    """7. Nothing that is printed of messages, findings or redactors has a number in it."""
    redactor = trial.masker.redactor()
    for sent in trial.scene.sent:
        redactor.receive(sent.message)
    messages = [sent.message for sent in trial.scene.sent]
    said = f"{trial.masker!r} {redactor!r} {trial.came_out('revise')!r} {messages!r}"
    for number in trial.scene.numbers:
        if number in said:
            raise Broken(
                "fails closed", "a number stands in what is printed of a message", trial.scene
            )


def idempotent(trial: Trial) -> None:
    """8. Masking what is masked changes nothing."""
    counter = trial.counted("revise")
    again = []
    for key, sent in {sent.key: sent for sent in trial.scene.sent}.items():
        text = counter.final[key].text if key in counter.final else sent.message.text
        message = Message(*key, sent.message.sender, text, sent.message.timestamp)
        again.append(Sent(message, plain(text)))
    redactor = trial.masker.redactor()
    second = play(again, redactor.receive, redactor.close)
    if second.changed_elsewhere():
        raise Broken("idempotent", "masking the masked conversation masks more of it", trial.scene)


PROMISES: dict[str, Promise] = {
    "never shown": never_shown,
    "nothing lost": nothing_lost,
    "same shape": same_shape,
    "any cut": any_cut,
    "deterministic": deterministic,
    "bounded": bounded,
    "fails closed": fails_closed,
    "idempotent": idempotent,
}


def keep_all(
    masker: Masker, scene: Scene, keep: int = KEEP, names: Iterable[str] = tuple(PROMISES)
) -> None:
    """Hold a masker to these promises over one scene.

    Raises:
        Broken: one of them is not kept.
    """
    trial = Trial(masker, scene, keep)
    for name in names:
        PROMISES[name](trial)

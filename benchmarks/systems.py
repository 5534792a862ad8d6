"""The systems that `speed.py` runs, each doing for one message what its users have it do.

Every peer looks for the same two things, cards with its own detector and PRC resident IDs
with the same expression, and runs no model. Where a peer offers a choice, it gets the one
that is faster or finds more. What is not installed raises ImportError, and is reported.
"""

from __future__ import annotations

import logging
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from time import perf_counter, perf_counter_ns
from typing import Any

from corpus import Corpus, Sent

# What somebody would write for a peer that takes an expression: a resident ID of 18, with a
# possible birth date, also against a Hanzi (so lookarounds, and no \b).
RESIDENT_ID = (
    r"(?<![0-9])[1-9][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])"
    r"(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx](?![0-9])"
)


class System(ABC):
    """One row of the table."""

    name: str
    # Which virtual environment under benchmarks/.venv has it; None is the one speed.py runs in.
    environment: str | None = None
    # Timed on a part of the corpus only.
    slow = False
    note = ""

    @abstractmethod
    def version(self) -> str: ...

    @abstractmethod
    def seconds(self, messages: Sequence[Sent]) -> float:
        """Time to take all messages, with making the objects it takes and gives."""

    @abstractmethod
    def outputs(self, corpus: Corpus) -> Iterator[tuple[int, str]]:
        """Everything it puts out: the index of the message, and its text."""

    def latencies(self, messages: Sequence[Sent]) -> list[int] | None:
        """Nanoseconds of each message, where that is asked for."""
        return None


class _Masker(System):
    rules: tuple[str, ...] | None = None

    def __init__(self) -> None:
        from masker import Masker, Message

        self.message = Message
        self.masker = Masker(rules=self.rules)

    def version(self) -> str:
        return version("masker")

    def seconds(self, messages: Sequence[Sent]) -> float:
        redactor = self.masker.redactor(delivery="revise")
        receive, message = redactor.receive, self.message
        started = perf_counter()
        for conversation_id, message_id, sender, text, timestamp in messages:
            receive(
                message(
                    conversation_id=conversation_id,
                    message_id=message_id,
                    sender=sender,
                    text=text,
                    timestamp=timestamp,
                )
            )
        redactor.close()
        return perf_counter() - started

    def outputs(self, corpus: Corpus) -> Iterator[tuple[int, str]]:
        redactor = self.masker.redactor(delivery="revise")
        index = {
            (message.conversation_id, message.message_id): at
            for at, message in enumerate(corpus.messages)
        }
        for sent in corpus.messages:
            for out in redactor.receive(self.message(**sent._asdict())):
                yield index[out.conversation_id, out.message_id], out.text
        for out in redactor.close():
            yield index[out.conversation_id, out.message_id], out.text

    def latencies(self, messages: Sequence[Sent]) -> list[int]:
        redactor = self.masker.redactor(delivery="revise")
        receive, message = redactor.receive, self.message
        taken = []
        for conversation_id, message_id, sender, text, timestamp in messages:
            started = perf_counter_ns()
            receive(
                message(
                    conversation_id=conversation_id,
                    message_id=message_id,
                    sender=sender,
                    text=text,
                    timestamp=timestamp,
                )
            )
            taken.append(perf_counter_ns() - started)
        return taken


class MaskerCardsAndIds(_Masker):
    name = "masker"
    rules = ("payment-card", "cn-resident-id")
    note = "receive, revise; the same two kinds as the peers"


class MaskerAllRules(_Masker):
    name = "masker, all rules"
    note = "receive, revise; every rule that is on by default"


@dataclass(frozen=True, slots=True)
class _Message:
    """Stands in for masker's own where masker is not importable."""

    conversation_id: str
    message_id: str
    sender: str
    text: str
    timestamp: datetime | None = None
    channel: str | None = None
    subject: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _MaskedMessage(_Message):
    revision: int = 0
    final: bool = True
    findings: tuple[Any, ...] = ()


class Floor(System):
    """Makes the objects and does one search: nobody can do less and still look at the text."""

    name = "floor"
    note = "makes both objects, one search for a digit of any script"

    def __init__(self) -> None:
        self.message: Callable[..., Any] = _Message
        self.masked: Callable[..., Any] = _MaskedMessage
        try:
            from masker import MaskedMessage, Message
        except ImportError:
            self.note += " (stand-in objects: masker is not importable)"
        else:
            self.message, self.masked = Message, MaskedMessage
        self.search = re.compile(r"\d").search

    def version(self) -> str:
        return f"Python {sys.version_info.major}.{sys.version_info.minor}"

    def seconds(self, messages: Sequence[Sent]) -> float:
        message, masked, search = self.message, self.masked, self.search
        started = perf_counter()
        for conversation_id, message_id, sender, text, timestamp in messages:
            taken = message(
                conversation_id=conversation_id,
                message_id=message_id,
                sender=sender,
                text=text,
                timestamp=timestamp,
            )
            search(text)
            # By position, and the rest by default: as cheap as these objects can be made.
            _ = [
                masked(
                    taken.conversation_id,
                    taken.message_id,
                    taken.sender,
                    taken.text,
                    taken.timestamp,
                    taken.channel,
                    taken.subject,
                    taken.extra,
                )
            ]
        return perf_counter() - started

    def outputs(self, corpus: Corpus) -> Iterator[tuple[int, str]]:
        return ((index, message.text) for index, message in enumerate(corpus.messages))


class _Peer(System):
    """A system that knows one text at a time."""

    environment = "peers"

    @abstractmethod
    def masked(self, text: str) -> str: ...

    def forget(self) -> None:
        """Drop what the system keeps of texts it has seen, before they are shown again."""

    def seconds(self, messages: Sequence[Sent]) -> float:
        self.forget()
        masked = self.masked
        started = perf_counter()
        for message in messages:
            masked(message.text)
        return perf_counter() - started

    def outputs(self, corpus: Corpus) -> Iterator[tuple[int, str]]:
        self.forget()
        for index, message in enumerate(corpus.messages):
            yield index, self.masked(message.text)


class LangChain(_Peer):
    """PIIMiddleware's own hook, `before_model`, over a state that holds the new message alone.

    An agent's state holds the whole conversation, which the hook copies for each message: it
    is given the short one.
    """

    name = "LangChain PIIMiddleware"
    note = "before_model: its card detector, and the ID expression; strategy mask"

    def __init__(self) -> None:
        from langchain.agents.middleware import PIIMiddleware
        from langchain_core.messages import HumanMessage

        self.message = HumanMessage
        self.hooks = [
            PIIMiddleware("credit_card", strategy="mask").before_model,
            PIIMiddleware("resident_id", detector=RESIDENT_ID, strategy="mask").before_model,
        ]

    def version(self) -> str:
        return version("langchain")

    def masked(self, text: str) -> str:
        state: Any = {"messages": [self.message(text)]}
        runtime: Any = None  # The hook takes it and does not look at it.
        for hook in self.hooks:
            update = hook(state, runtime)
            if update is not None:
                state = update
        return str(state["messages"][0].content)


def _no_language_model() -> Any:
    """An NlpEngine for Presidio that has nothing to say about any text."""
    from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

    class NoModel(NlpEngine):  # type: ignore[misc]
        def load(self) -> None:
            return None

        def is_loaded(self) -> bool:
            return True

        def process_text(self, text: str, language: str) -> Any:
            return NlpArtifacts([], [], [], [], self, language)

        def process_batch(
            self, texts: Iterable[str], language: str, **_: Any
        ) -> Iterator[tuple[str, Any]]:
            return ((text, self.process_text(text, language)) for text in texts)

        def is_stopword(self, word: str, language: str) -> bool:
            return False

        def is_punct(self, word: str, language: str) -> bool:
            return False

        def get_supported_entities(self) -> list[str]:
            return []

        def get_supported_languages(self) -> list[str]:
            return ["en", "zh"]

    return NoModel()


class PresidioNoNlp(_Peer):
    """AnalyzerEngine with two pattern recognizers, then AnonymizerEngine where there is a find."""

    name = "Presidio, no NLP"
    slow = True
    note = "CreditCardRecognizer, PatternRecognizer of the ID expression; an empty NlpEngine"

    def __init__(self) -> None:
        from presidio_analyzer import (
            AnalyzerEngine,
            Pattern,
            PatternRecognizer,
            RecognizerRegistry,
        )
        from presidio_analyzer.predefined_recognizers import CreditCardRecognizer
        from presidio_anonymizer import AnonymizerEngine

        recognizers = [
            CreditCardRecognizer(),
            PatternRecognizer(
                "CN_RESIDENT_ID", patterns=[Pattern("CN_RESIDENT_ID", RESIDENT_ID, 0.9)]
            ),
        ]
        self.entities = ["CREDIT_CARD", "CN_RESIDENT_ID"]
        self.analyzer = AnalyzerEngine(
            registry=RecognizerRegistry(recognizers=recognizers),
            nlp_engine=self.nlp_engine(),
        )
        self.anonymizer = AnonymizerEngine()

    def nlp_engine(self) -> Any:
        return _no_language_model()

    def version(self) -> str:
        return version("presidio-analyzer")

    def masked(self, text: str) -> str:
        results = self.analyzer.analyze(text, language="en", entities=self.entities)
        if not results:
            return text
        return str(self.anonymizer.anonymize(text, results).text)


class PresidioBlankSpacy(PresidioNoNlp):
    """The same with tokens, which Presidio's context words need: a spaCy pipeline of no parts."""

    name = "Presidio, blank spaCy"
    note = "the same over spacy.blank('en'), so that its context words work; still no model"

    def nlp_engine(self) -> Any:
        import spacy
        from presidio_analyzer.nlp_engine import SpacyNlpEngine

        engine = SpacyNlpEngine()
        engine.nlp = {"en": spacy.blank("en")}
        return engine


class LlmGuard(_Peer):
    """Anonymize, with its transformer and its spaCy models replaced by nothing.

    Its own class, registry, patterns, conflict handling and vault run as they are.
    """

    name = "LLM Guard Anonymize"
    environment = "llm-guard"
    slow = True
    note = "its card patterns and the ID expression; its models replaced by none"

    def __init__(self) -> None:
        import structlog

        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        from llm_guard.input_scanners import anonymize
        from llm_guard.input_scanners.anonymize_helpers import analyzer
        from llm_guard.input_scanners.anonymize_helpers.regex_patterns import (
            DEFAULT_REGEX_PATTERNS,
        )
        from llm_guard.vault import Vault
        from presidio_analyzer import EntityRecognizer

        class FindsNothing(EntityRecognizer):  # type: ignore[misc]
            def load(self) -> None:
                return None

            def analyze(self, text: str, entities: list[str], nlp_artifacts: Any) -> list[Any]:
                return []

        def no_transformer(**_: Any) -> Any:
            # An entity nobody asks for, so that it is not even called.
            return FindsNothing(supported_entities=["NOTHING"])

        def no_model(languages: list[str]) -> Any:
            return _no_language_model()

        anonymize.get_transformers_recognizer = no_transformer
        analyzer._get_nlp_engine = no_model
        cards = [one for one in DEFAULT_REGEX_PATTERNS if one["name"] == "CREDIT_CARD_RE"]
        resident_id = {
            "name": "CN_RESIDENT_ID",
            "expressions": [RESIDENT_ID],
            "examples": [],
            "context": [],
            "score": 0.9,
            "languages": ["en", "zh"],
        }
        self.vault = Vault()
        self.scanner = anonymize.Anonymize(
            self.vault,
            entity_types=["CREDIT_CARD", "CREDIT_CARD_RE", "CN_RESIDENT_ID"],
            regex_patterns=[*cards, resident_id],
        )

    def version(self) -> str:
        return version("llm-guard")

    def forget(self) -> None:
        self.vault.get().clear()

    def masked(self, text: str) -> str:
        sanitized, _, _ = self.scanner.scan(text)
        return str(sanitized)


class DataFog(_Peer):
    """The regular-expression engine, asked for cards: it has no PRC resident ID."""

    name = "DataFog"
    note = "regex engine, strategy mask; cards only"

    def __init__(self) -> None:
        from datafog.engine import scan_and_redact

        self.redact = scan_and_redact

    def version(self) -> str:
        return version("datafog")

    def masked(self, text: str) -> str:
        result = self.redact(text, engine="regex", entity_types=["CREDIT_CARD"], strategy="mask")
        return str(result.redacted_text)


SYSTEMS: dict[str, type[System]] = {
    "floor": Floor,
    "masker": MaskerCardsAndIds,
    "masker-all": MaskerAllRules,
    "langchain": LangChain,
    "datafog": DataFog,
    "presidio-no-nlp": PresidioNoNlp,
    "presidio": PresidioBlankSpacy,
    "llm-guard": LlmGuard,
}

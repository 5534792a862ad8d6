"""Rules: what a number looks like, how it proves itself, which words speak for it.

A pack is one TOML file. Everything a pack may say is a field of `Pack` or `Rule`,
and everything that can be wrong with it is found here, before the first message:
an engine that runs has rules it can trust. A mistake is one `RuleError`, which
names the file, the rule and the key, and never repeats an example, since authors
paste real numbers into examples sooner or later.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections import Counter
from typing import Annotated, Any, Literal

import regex
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from masker.core.checks import CHECKS
from masker.errors import RuleError

# Promise 1 of the interface: no more than a last four is ever readable.
MOST_KEPT = 4

View = Literal["number", "text"]
Example = str | tuple[str, ...]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Entity = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$")]
Words = tuple[str, ...]

# What a rule may be hit by although it holds no number of its own: see `masker.testing.everyday`.
CHANCE_KINDS = (
    "random-digits",
    "random-codes",
    "dates",
    "phones",
    "amounts",
    "orders",
    "uuids",
    "timestamps",
    "sentences",
)
Limits = tuple[tuple[str, float], ...]

_EMPTY_EXAMPLES = ("", " ", "\n")
_TOML_PLACE = re.compile(r"\(at ([^()]*)\)$")


def compile_pattern(pattern: str, view: View) -> regex.Pattern[str]:
    """Compile a rule's pattern the way the engine reads it.

    A number's compact form is upper case and ASCII already; raw text is in any case.

    Raises:
        regex.error: the pattern is not a regular expression.
    """
    return regex.compile(pattern, regex.IGNORECASE if view == "text" else 0)


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_default=True,
        hide_input_in_errors=True,
    )


class Rule(_Model):
    """One kind of number or secret.

    `view="number"`: `pattern` must match a whole candidate in its compact form (ASCII
    digits, upper-case letters, no separators). `view="text"`: `pattern` is searched in the
    text itself once one of `keywords` occurs in it, and its group `value`, if it has one,
    is what is masked.
    """

    # The order of the fields is the order they are checked in: what a later one
    # depends on stands before it.
    id: Name
    entity: Entity
    description: str = ""
    view: View = "number"
    pattern: str
    checksum: str | None = None
    keep_last: int = Field(default=MOST_KEPT, ge=0, le=MOST_KEPT)
    context: Words = ()
    anti_context: Words = ()
    context_required: bool = False
    context_pattern: str = ""
    keywords: Words = ()
    max_chance: Limits = ()
    """The greatest share of texts of each kind that `masker rules check` lets it mask by chance."""
    references: Words
    examples: tuple[Example, ...]
    counterexamples: tuple[Example, ...]

    @field_validator("pattern")
    @classmethod
    def _pattern_is_sound(cls, pattern: str, info: ValidationInfo) -> str:
        view = info.data.get("view", "number")
        compiled = _compiled(pattern, view)
        if "value" in compiled.groupindex and view == "number":
            raise _mistake('has a group "value", which is for view = "text"')
        for empty in _EMPTY_EXAMPLES:
            for match in compiled.finditer(empty):
                if match.end() == match.start():
                    raise _mistake("can match the empty string")
        return pattern

    @field_validator("checksum")
    @classmethod
    def _checksum_is_known(cls, checksum: str | None, info: ValidationInfo) -> str | None:
        if checksum is None:
            return None
        if info.data.get("view") == "text":
            raise _mistake('is for view = "number"')
        if checksum not in CHECKS:
            raise _mistake(f"is not a known check; there are: {', '.join(sorted(CHECKS))}")
        return checksum

    @field_validator("context", "anti_context", "keywords", "references")
    @classmethod
    def _words_are_words(cls, words: Words) -> Words:
        for number, word in enumerate(words, 1):
            if not word.strip():
                raise _mistake(f"word {number} is blank")
            if word != word.strip():
                raise _mistake(f"word {number} begins or ends with a space")
        return words

    @field_validator("context_required")
    @classmethod
    def _required_context_exists(cls, required: bool, info: ValidationInfo) -> bool:
        if required and info.data.get("view") == "text":
            raise _mistake('is for view = "number"')
        if required and not info.data.get("context", True):
            raise _mistake("needs words in context")
        return required

    @field_validator("context_pattern")
    @classmethod
    def _context_pattern_is_sound(cls, pattern: str, info: ValidationInfo) -> str:
        if not pattern:
            return pattern
        if info.data.get("view") == "text":
            raise _mistake('is for view = "number"')
        if not info.data.get("context", True):
            raise _mistake("needs words in context")
        if _compiled(pattern, "number").search("") is not None:
            raise _mistake("can match the empty string")
        return pattern

    @field_validator("keywords")
    @classmethod
    def _keywords_fit_the_view(cls, keywords: Words, info: ValidationInfo) -> Words:
        view = info.data.get("view")
        if view == "text" and not keywords:
            raise _mistake('is needed by view = "text"')
        if view == "number" and keywords:
            raise _mistake('is for view = "text"')
        for number, keyword in enumerate(keywords, 1):
            if keyword != keyword.lower():
                raise _mistake(f"word {number} is not lower case")
        return keywords

    @field_validator("max_chance", mode="before")
    @classmethod
    def _limits_are_shares(cls, limits: object) -> object:
        # One share for all kinds of text, or a table of shares by kind.
        if limits == ():
            return limits
        table: dict[str, Any] = (
            limits if isinstance(limits, dict) else dict.fromkeys(CHANCE_KINDS, limits)
        )
        for kind, share in table.items():
            if kind not in CHANCE_KINDS:
                raise _mistake(f"{kind} is no kind; there are: {', '.join(CHANCE_KINDS)}")
            if type(share) not in (int, float) or not 0 <= share <= 1:
                raise _mistake("is not a share between 0 and 1, nor a table of shares")
        return tuple((kind, float(share)) for kind, share in table.items())

    @field_validator("references")
    @classmethod
    def _references_exist(cls, references: Words) -> Words:
        if not references:
            raise _mistake("is empty: name the standard, the statute or the issuer")
        return references

    @field_validator("examples", "counterexamples", mode="before")
    @classmethod
    def _examples_are_messages(cls, examples: object, info: ValidationInfo) -> object:
        # Read by hand: what a union says of a wrong value is longer than what is wrong.
        if not isinstance(examples, tuple):
            raise _mistake("is not a list")
        if not examples:
            raise _mistake("is empty")
        for number, example in enumerate(examples, 1):
            parts = example if isinstance(example, tuple) else (example,)
            if not parts or not all(isinstance(part, str) for part in parts):
                raise _mistake(f"number {number} is neither a message nor a list of messages")
            if not "".join(parts).strip():
                raise _mistake(f"number {number} is blank")
            if len(parts) > 1 and info.data.get("view") == "text":
                raise _mistake(f'number {number} is a list: view = "text" joins no messages')
        return examples


class Pack(_Model):
    """A file of rules. Packs that are not `default` are used only when they are named."""

    # `schema` itself is a method of pydantic's models.
    schema_version: Literal[1] = Field(alias="schema")
    name: Name
    description: str
    default: bool = True
    rules: tuple[Rule, ...]

    @field_validator("schema_version", mode="before")
    @classmethod
    def _schema_is_known(cls, schema: object) -> object:
        # `True == 1`, and to a Literal both are the same.
        if type(schema) is not int or schema != 1:
            raise _mistake("must be 1, the only version there is")
        return schema

    @field_validator("rules")
    @classmethod
    def _rules_have_their_own_ids(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        if not rules:
            raise _mistake("is empty")
        repeated, times = Counter(rule.id for rule in rules).most_common(1)[0]
        if times > 1:
            raise PydanticCustomError(
                "repeated_id", "is used by {times} rules", {"times": times, "rule": repeated}
            )
        return rules


def parse_pack(text: str, *, source: str) -> Pack:
    """Read a pack from TOML; `source` is the name errors call it by.

    Raises:
        RuleError: the text is not TOML, or not a pack.
    """
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # What the parser says may quote the text, so only the place is repeated.
        quoted = str(error) if isinstance(error, tomllib.TOMLDecodeError) else ""
        place = _TOML_PLACE.search(quoted)
        where = f" at {place[1]}" if place else ""
        raise RuleError(
            source=source, rule=None, key=None, reason=f"is not valid TOML{where}"
        ) from None
    try:
        return Pack.model_validate(_frozen(table))
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        # A misspelt key is also a missing one; its own name says more.
        first = min(errors, key=lambda each: each["type"] != "extra_forbidden")
        raise _rule_error(first, table, source) from None


def _compiled(pattern: str, view: View) -> regex.Pattern[str]:
    try:
        return compile_pattern(pattern, view)
    except (regex.error, RecursionError, OverflowError) as error:
        position = getattr(error, "pos", None)
        where = f" at character {position + 1}" if isinstance(position, int) else ""
        raise _mistake(f"is not a regular expression{where}") from None


def _mistake(reason: str) -> PydanticCustomError:
    # Braces would be read as a template's.
    return PydanticCustomError("mistake", "{reason}", {"reason": reason})


def _frozen(value: object) -> object:
    """The same TOML value with tuples for lists."""
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value


_REASONS = {
    "missing": "is missing",
    "string_type": "is not a string",
    "tuple_type": "is not a list",
    "bool_type": "is neither true nor false",
    "int_type": "is not a whole number",
    "greater_than_equal": f"is not between 0 and {MOST_KEPT}",
    "less_than_equal": f"is not between 0 and {MOST_KEPT}",
    "literal_error": 'is neither "number" nor "text"',
    "model_type": "is not a table",
    "dict_type": "is not a table",
}


def _rule_error(error: ErrorDetails, table: dict[str, Any], source: str) -> RuleError:
    """Say pydantic's error in the words of the file: rule, key, reason."""
    place = list(error["loc"])
    context = error.get("ctx", {})
    rule: str | None = None
    model: type[_Model] = Pack
    key = str(place[0]) if place else None
    if len(place) > 1 and place[0] == "rules" and isinstance(place[1], int):
        rule = _rule_name(table["rules"][place[1]], place[1])
        model = Rule
        key = str(place[2]) if len(place) > 2 else None
        place = place[2:]

    kind = error["type"]
    if kind == "repeated_id":
        rule, key = context["rule"], "id"
    reason = _REASONS.get(kind, error["msg"][:1].lower() + error["msg"][1:])
    if kind == "extra_forbidden" and key is not None:
        reason = _unknown_key(key, model)
    elif kind == "string_pattern_mismatch":
        reason = (
            "must be upper-case words joined by _"
            if key == "entity"
            else "must be lower-case words joined by -"
        )
    if len(place) > 1 and isinstance(place[1], int):
        reason = f"item {place[1] + 1} {reason}"
    return RuleError(source=source, rule=rule, key=key, reason=reason)


def _rule_name(table: object, index: int) -> str:
    """A rule's id, or its place where it has none that can be used as a name."""
    name = table.get("id") if isinstance(table, dict) else None
    if isinstance(name, str) and re.fullmatch(r"[a-z0-9-]*[a-z][a-z0-9-]*", name):
        return name
    return f"rule {index + 1}"


def _unknown_key(key: str, model: type[_Model]) -> str:
    known = [field.alias or name for name, field in model.model_fields.items()]
    near = difflib.get_close_matches(key, known, n=1)
    return f"is not a known key; did you mean {near[0]}?" if near else "is not a known key"

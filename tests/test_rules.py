"""Rule packs: a mistake is told by file, rule and key, and the bundled packs have none."""

from __future__ import annotations

import random
import re
import unicodedata
from pathlib import Path

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from stdnum import numdb

from masker.core.checks import CHECKS
from masker.core.rules import Example, Pack, Rule, compile_pattern, parse_pack
from masker.errors import RuleError
from masker.packs import bundled_packs, load_packs
from strategies import NETWORKS, card_numbers, resident_ids, with_luhn

SECRET = "hunter 5105105105105100"

PACK = f"""schema = 1
name = "mine"
description = "My numbers"
default = false

[[rules]]
id = "my-number"
entity = "MY_NUMBER"
description = "A number of mine"
pattern = "[0-9]{{16}}"
checksum = "luhn"
keep_last = 4
context = ["number"]
anti_context = ["order"]
context_required = true
context_pattern = "[0-9]{{15}}"
references = ["me"]
examples = ["{SECRET}", ["{SECRET}", "{SECRET}"]]
counterexamples = ["not {SECRET}"]
"""

TEXT_PACK = f"""schema = 1
name = "words"
description = "My words"

[[rules]]
id = "my-word"
entity = "MY_WORD"
view = "text"
pattern = "word is (?P<value>[a-z]+)"
keywords = ["word"]
references = ["me"]
examples = ["the word is {SECRET}"]
counterexamples = ["no {SECRET}"]
"""


def changed(text: str, before: str, after: str) -> str:
    assert text.count(before) == 1, before
    return text.replace(before, after)


def without(text: str, key: str) -> str:
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(f"{key} = ")]
    assert len(kept) == len(lines) - 1, key
    return "".join(kept)


def error_of(text: str) -> RuleError:
    with pytest.raises(RuleError) as caught:
        parse_pack(text, source="mine.toml")
    error = caught.value
    # Not in what is printed, nor in the chain a traceback would print.
    assert error.__suppress_context__
    assert SECRET not in repr(error) + str(error)
    assert error.source == "mine.toml"
    assert str(error).startswith("mine.toml: ")
    return error


def test_a_pack_says_what_its_file_says() -> None:
    pack = parse_pack(PACK, source="mine.toml")
    assert (pack.schema_version, pack.name, pack.default) == (1, "mine", False)
    (rule,) = pack.rules
    assert rule.id == "my-number"
    assert rule.entity == "MY_NUMBER"
    assert rule.view == "number"
    assert rule.checksum == "luhn"
    assert rule.context == ("number",)
    assert rule.context_required
    assert rule.examples == (SECRET, (SECRET, SECRET))
    assert rule.keywords == ()


def test_what_a_pack_leaves_out_has_a_default() -> None:
    pack = parse_pack(TEXT_PACK, source="words.toml")
    (rule,) = pack.rules
    assert pack.default
    assert rule.description == ""
    assert rule.checksum is None
    assert rule.keep_last == 4
    assert rule.context == rule.anti_context == ()
    assert not rule.context_required
    assert rule.context_pattern == ""


def test_a_rule_cannot_be_changed() -> None:
    pack = parse_pack(PACK, source="mine.toml")
    with pytest.raises(ValidationError):
        pack.rules[0].pattern = "0"
    with pytest.raises(ValidationError):
        pack.name = "other"
    assert hash(pack.rules[0]) == hash(parse_pack(PACK, source="other.toml").rules[0])


@pytest.mark.parametrize("key", ["schema", "name", "description"])
def test_a_pack_without_a_key_it_needs_is_refused(key: str) -> None:
    # `description` is a key of rules too, so only the first line of it goes.
    text = re.sub(rf"(?m)^{key} = .*\n", "", PACK, count=1)
    error = error_of(text)
    assert (error.rule, error.key, error.reason) == (None, key, "is missing")


@pytest.mark.parametrize("key", ["entity", "pattern", "references", "examples", "counterexamples"])
def test_a_rule_without_a_key_it_needs_is_refused(key: str) -> None:
    error = error_of(without(PACK, key))
    assert (error.rule, error.key, error.reason) == ("my-number", key, "is missing")


def test_a_rule_without_an_id_is_named_by_its_place() -> None:
    error = error_of(without(PACK, "id"))
    assert (error.rule, error.key, error.reason) == ("rule 1", "id", "is missing")


NOT_A_STRING = "is not a string"
NOT_A_LIST = "is not a list"
NEEDS_CONTEXT = "needs words in context"

# What stands in PACK, what stands there instead, the key that is named, and how the reason begins.
WRONG = [
    ("schema = 1", "schema = 2", None, "schema", "must be 1"),
    ("schema = 1", "schema = true", None, "schema", "must be 1"),
    ("schema = 1", "schema = 1.0", None, "schema", "must be 1"),
    ("schema = 1", 'schema = "1"', None, "schema", "must be 1"),
    ('name = "mine"', "name = 3", None, "name", NOT_A_STRING),
    ('name = "mine"', 'name = "My pack"', None, "name", "must be lower-case words"),
    ('name = "mine"', 'nmae = "mine"', None, "nmae", "is not a known key; did you mean name?"),
    ("default = false", "default = 0", None, "default", "is neither true nor false"),
    ("default = false", "rulez = []", None, "rulez", "is not a known key"),
    ("[[rules]]", "[rules]", None, "rules", NOT_A_LIST),
    ('id = "my-number"', "id = 7", "rule 1", "id", NOT_A_STRING),
    ('id = "my-number"', 'id = "My number"', "rule 1", "id", "must be lower-case words"),
    ('id = "my-number"', 'id = "my_number"', "rule 1", "id", "must be lower-case words"),
    ('"MY_NUMBER"', '"my-number"', "my-number", "entity", "must be upper-case words"),
    ('"MY_NUMBER"', "[]", "my-number", "entity", NOT_A_STRING),
    ('"[0-9]{16}"', '"[0-9"', "my-number", "pattern", "is not a regular expression at char"),
    ('"[0-9]{16}"', '"(?P<x"', "my-number", "pattern", "is not a regular expression"),
    ('"[0-9]{16}"', '"a{2,1}"', "my-number", "pattern", "is not a regular expression"),
    ('"[0-9]{16}"', '""', "my-number", "pattern", "can match the empty string"),
    ('"[0-9]{16}"', '"[0-9]*"', "my-number", "pattern", "can match the empty string"),
    ('"[0-9]{16}"', '"(?:4|5|)"', "my-number", "pattern", "can match the empty string"),
    ('"[0-9]{16}"', '"(?=4)|^"', "my-number", "pattern", "can match the empty string"),
    ('"[0-9]{16}"', "16", "my-number", "pattern", NOT_A_STRING),
    ('"[0-9]{16}"', '"(?P<value>[0-9])"', "my-number", "pattern", 'has a group "value"'),
    ('"luhn"', '"lunh"', "my-number", "checksum", "is not a known check; there are: aadhaar"),
    ('"luhn"', "true", "my-number", "checksum", NOT_A_STRING),
    ("keep_last = 4", "keep_last = 5", "my-number", "keep_last", "is not between 0 and 4"),
    ("keep_last = 4", "keep_last = -1", "my-number", "keep_last", "is not between 0 and 4"),
    ("keep_last = 4", "keep_last = 4.0", "my-number", "keep_last", "is not a whole number"),
    ("keep_last = 4", "keep_first = 4", "my-number", "keep_first", "is not a known key"),
    ('["number"]', '"number"', "my-number", "context", NOT_A_LIST),
    ('["number"]', '["a", 7]', "my-number", "context", "item 2 is not a string"),
    ('["number"]', '["a", " "]', "my-number", "context", "word 2 is blank"),
    ('["number"]', '[" a"]', "my-number", "context", "word 1 begins or ends with a space"),
    ('["number"]', "[]", "my-number", "context_required", NEEDS_CONTEXT),
    ('["order"]', '[""]', "my-number", "anti_context", "word 1 is blank"),
    ("context_required = true", "context_required = 1", "my-number", "context_required", "is nei"),
    ('"[0-9]{15}"', '"[0-9"', "my-number", "context_pattern", "is not a regular expression"),
    ('"[0-9]{15}"', '"[0-9]*"', "my-number", "context_pattern", "can match the empty string"),
    ('["me"]', "[]", "my-number", "references", "is empty"),
    ('["me"]', '["me", ""]', "my-number", "references", "word 2 is blank"),
    ('["me"]', '"me"', "my-number", "references", NOT_A_LIST),
    (f'["not {SECRET}"]', "[]", "my-number", "counterexamples", "is empty"),
    (f'["not {SECRET}"]', f'"{SECRET}"', "my-number", "counterexamples", NOT_A_LIST),
    (f'["not {SECRET}"]', f'["{SECRET}", 5]', "my-number", "counterexamples", "number 2 is neit"),
    (f'["not {SECRET}"]', f'["{SECRET}", []]', "my-number", "counterexamples", "number 2 is nei"),
    (f'["not {SECRET}"]', f'[["{SECRET}", 5]]', "my-number", "counterexamples", "number 1 is ne"),
    (f'["not {SECRET}"]', f'[[["{SECRET}"]]]', "my-number", "counterexamples", "number 1 is nei"),
    (f'["not {SECRET}"]', '["", "a"]', "my-number", "counterexamples", "number 1 is blank"),
    (f'["{SECRET}", ["{SECRET}", "{SECRET}"]]', "[]", "my-number", "examples", "is empty"),
    (f'["{SECRET}", ["{SECRET}", "{SECRET}"]]', '[[" "]]', "my-number", "examples", "number 1 is"),
    ('description = "A number', 'keywords = ["a"]\nx = "A', "my-number", "x", "is not a known key"),
    ('description = "A number', 'keywords = ["a"]#', "my-number", "keywords", "is for view = "),
    ('description = "A number', 'view = "texts"#', "my-number", "view", "is neither"),
    ('description = "A number', 'view = "text"#', "my-number", "checksum", "is for view = "),
]


@pytest.mark.parametrize(("before", "after", "rule", "key", "reason"), WRONG)
def test_each_mistake_has_its_own_message(
    before: str, after: str, rule: str | None, key: str, reason: str
) -> None:
    error = error_of(changed(PACK, before, after))
    assert (error.rule, error.key) == (rule, key)
    assert error.reason.startswith(reason)


WRONG_TEXT = [
    ('keywords = ["word"]', "", "keywords", 'is needed by view = "text"'),
    ('keywords = ["word"]', "keywords = []", "keywords", 'is needed by view = "text"'),
    ('keywords = ["word"]', 'keywords = ["Word"]', "keywords", "word 1 is not lower case"),
    ("(?P<value>[a-z]+)", "(?P<value>[a-z", "pattern", "is not a regular expression"),
    ('"word is (?P<value>[a-z]+)"', '"(?=w)|x*"', "pattern", "can match the empty string"),
    (f'["no {SECRET}"]', f'[["a", "{SECRET}"]]', "counterexamples", "number 1 is a list"),
    (
        'view = "text"',
        'view = "text"\ncontext = ["a"]\ncontext_pattern = "a"',
        "context_pattern",
        "is",
    ),
    (
        'view = "text"',
        'view = "text"\ncontext = ["a"]\ncontext_required = true',
        "context_required",
        "",
    ),
]


@pytest.mark.parametrize(("before", "after", "key", "reason"), WRONG_TEXT)
def test_each_mistake_of_a_text_rule_has_its_own_message(
    before: str, after: str, key: str, reason: str
) -> None:
    error = error_of(changed(TEXT_PACK, before, after))
    assert (error.rule, error.key) == ("my-word", key)
    assert error.reason.startswith(reason)


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ('name = "mine"', 'name "mine"', "line 2, column 6"),
        ("keep_last = 4", "keep_last = ", "line 12, column 13"),
        (f'["not {SECRET}"]', f'["not {SECRET}]', "line 19"),
        ("[[rules]]", "[[rules]", "line 6"),
        ("keep_last = 4", "keep_last = 4\nkeep_last = 4", "line 13"),
        ("schema = 1", "schema = " + "9" * 5000, ""),
        ("schema = 1", "schema = " + "[" * 100_000, ""),
        ("schema = 1", "\0", "line 1"),
    ],
)
def test_what_is_not_toml_is_refused_by_line(before: str, after: str, place: str) -> None:
    error = error_of(changed(PACK, before, after))
    assert (error.rule, error.key) == (None, None)
    assert error.reason.startswith("is not valid TOML")
    assert place in error.reason


def test_a_pack_without_rules_is_refused() -> None:
    head = PACK.partition("[[rules]]")[0]
    assert error_of(head).key == "rules"
    error = error_of(head + "rules = []")
    assert (error.rule, error.key, error.reason) == (None, "rules", "is empty")
    error = error_of(head + "rules = [7]")
    assert (error.rule, error.key, error.reason) == ("rule 1", None, "is not a table")


def test_two_rules_of_one_id_are_refused() -> None:
    rule = PACK.partition("[[rules]]")[2]
    error = error_of(PACK + "[[rules]]" + rule)
    assert (error.rule, error.key) == ("my-number", "id")
    assert error.reason == "is used by 2 rules"


def test_the_second_rule_is_named_when_it_is_the_wrong_one() -> None:
    rule = PACK.partition("[[rules]]")[2].replace("my-number", "other").replace("luhn", "lunh")
    error = error_of(PACK + "[[rules]]" + rule)
    assert (error.rule, error.key) == ("other", "checksum")


@given(st.data())
def test_no_damage_to_a_file_makes_an_error_tell_an_example(data: st.DataObject) -> None:
    """A RuleError or a pack, whatever is cut out of the file, or stands twice in it."""
    text = data.draw(st.sampled_from([PACK, TEXT_PACK]))
    if data.draw(st.booleans()):
        lines = text.splitlines(keepends=True)
        at = data.draw(st.integers(0, len(lines) - 1))
        lines[at : at + 1] = data.draw(st.sampled_from([[], [lines[at]] * 2]))
        text = "".join(lines)
    else:
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(1, 6)))
        text = text[:start] + data.draw(st.text(max_size=2)) + text[end:]
    told = ""
    try:
        assert isinstance(parse_pack(text, source="mine.toml"), Pack)
    except RuleError as error:
        told = str(error) + repr(error)
    assert SECRET not in told
    assert told == "" or told.startswith("mine.toml: ")


# --- packs on disk ---


def test_a_file_or_a_folder_of_packs_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(PACK, encoding="utf-8")
    (tmp_path / "a.toml").write_bytes(TEXT_PACK.replace("\n", "\r\n").encode("utf-8-sig"))
    (tmp_path / "notes.txt").write_text("no pack", encoding="utf-8")
    assert [pack.name for pack in load_packs(tmp_path)] == ["words", "mine"]
    assert [pack.name for pack in load_packs(str(tmp_path / "b.toml"))] == ["mine"]


def test_a_path_without_packs_is_refused(tmp_path: Path) -> None:
    for path, reason in [
        (tmp_path / "none", "does not exist"),
        (tmp_path, "has no .toml file"),
        (tmp_path / "a\0b", "does not exist|cannot be read"),
    ]:
        with pytest.raises(RuleError, match=reason) as caught:
            load_packs(path)
        assert caught.value.source == str(path)


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'name = "caf\xe9"')
    with pytest.raises(RuleError, match=r"latin.toml: is not UTF-8 at byte 12"):
        load_packs(tmp_path)
    (tmp_path / "latin.toml").unlink()
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(RuleError, match=r"folder.toml: cannot be read: is a directory"):
        load_packs(tmp_path)


def test_a_mistake_on_disk_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(PACK, encoding="utf-8")
    (tmp_path / "b.toml").write_text(TEXT_PACK.replace("keywords", "keyword"), encoding="utf-8")
    with pytest.raises(RuleError, match=r"b.toml: my-word: keyword: is not a known key"):
        load_packs(tmp_path)


def test_two_packs_share_neither_a_name_nor_a_rule(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(PACK, encoding="utf-8")
    (tmp_path / "b.toml").write_text(PACK, encoding="utf-8")
    with pytest.raises(RuleError, match=r"b.toml: name: mine is the name of .*a.toml already"):
        load_packs(tmp_path)
    (tmp_path / "b.toml").write_text(PACK.replace('"mine"', '"yours"'), encoding="utf-8")
    with pytest.raises(RuleError, match=r"b.toml: my-number: id: is used in .*a.toml already"):
        load_packs(tmp_path)


# --- the bundled packs ---

RULES = {rule.id: rule for pack in bundled_packs() for rule in pack.rules}
ON = {rule.id for pack in bundled_packs() if pack.default for rule in pack.rules}


def texts(examples: tuple[Example, ...]) -> list[str]:
    return ["".join(example) if isinstance(example, tuple) else example for example in examples]


def bare(text: str) -> str:
    """What is left of a message that says nothing but a number in ASCII."""
    return re.sub(r"[^0-9A-Z]", "", unicodedata.normalize("NFKC", text).upper())


def says(text: str, words: tuple[str, ...]) -> bool:
    for word in words:
        if re.fullmatch(r"[A-Za-z ]+", word):
            if re.search(rf"(?i)(?<![a-z]){word}s?(?![a-z])", text):
                return True
        elif word.lower() in text.lower():
            return True
    return False


def found(rule: Rule, text: str, *, whole: bool = False) -> bool:
    """Whether the pattern and the check find something, words aside; `whole`: not within digits."""
    if rule.view == "text":
        folded = unicodedata.normalize("NFKC", text)
        spoken = any(keyword in folded.lower() for keyword in rule.keywords)
        return spoken and compile_pattern(rule.pattern, "text").search(folded) is not None
    check = CHECKS[rule.checksum] if rule.checksum else bool
    pattern, value = compile_pattern(rule.pattern, "number"), bare(text)
    if pattern.fullmatch(value) and check(value):
        return True
    return any(
        check(match[0]) and not (whole and digit_at(value, match.start() - 1, match.end()))
        for match in pattern.finditer(value, overlapped=True)
    )


def digit_at(text: str, *places: int) -> bool:
    return any(0 <= place < len(text) and text[place].isdigit() for place in places)


def test_the_bundled_packs_are_all_there() -> None:
    assert [pack.name for pack in bundled_packs()] == [
        "br", "cn", "contact", "credentials", "eu", "gb", "in", "jp", "kr", "payment", "sg", "us",
    ]  # fmt: skip
    assert all(pack.description for pack in bundled_packs())


def test_cards_ids_phones_and_codes_are_on_by_default() -> None:
    assert {
        "payment-card", "card-cvv", "cn-resident-id", "cn-mobile", "cn-landline",
        "one-time-code", "password", "email",
    } <= ON  # fmt: skip


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_bundled_rule_proves_itself(name: str) -> None:
    rule = RULES[name]
    assert rule.description
    assert rule.references
    assert len(rule.examples) >= 3
    assert len(rule.counterexamples) >= 3
    if rule.view == "number":
        assert any(isinstance(example, tuple) for example in rule.examples), "no example in pieces"
        assert rule.context


@pytest.mark.parametrize(
    ("name", "text"), [(rule.id, text) for rule in RULES.values() for text in texts(rule.examples)]
)
def test_a_pattern_matches_the_number_of_each_example(name: str, text: str) -> None:
    rule = RULES[name]
    if rule.context_pattern and says(text, rule.context) and not found(rule, text):
        assert regex.search(rule.context_pattern, bare(text))
    else:
        assert found(rule, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [(rule.id, text) for rule in RULES.values() for text in texts(rule.counterexamples)],
)
def test_a_counterexample_fails_by_pattern_or_check_or_words(name: str, text: str) -> None:
    rule = RULES[name]
    unnamed = rule.context_required and not says(text, rule.context)
    assert not found(rule, text, whole=True) or unnamed or says(text, rule.anti_context)


@pytest.mark.parametrize("name", ["card-cvv", "card-pin", "one-time-code", "password", "email"])
def test_of_a_secret_nothing_is_kept(name: str) -> None:
    assert RULES[name].keep_last == 0


# A number without check digit, or with one that a tenth of all numbers pass, needs a word.
@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_that_random_numbers_pass_needs_a_word(name: str) -> None:
    rule = RULES[name]
    if rule.view == "text" or rule.context_required:
        return
    pattern = compile_pattern(rule.pattern, "number")
    check = CHECKS[rule.checksum] if rule.checksum else bool
    for length in range(6, 20):
        dice = random.Random(length)
        numbers = ["".join(dice.choices("0123456789", k=length)) for _ in range(5000)]
        passed = sum(1 for n in numbers if pattern.fullmatch(n) and check(n))
        # Cards of 16 digits fill a third of all prefixes, and Luhn lets a tenth of them through;
        # mobile numbers have no check digit, and fill a fifteenth of all of eleven digits.
        assert passed <= 0.07 * len(numbers), (length, passed)


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize("unit", ["1", "62", "A", "9 ", "@", "a@", "密码", "password is ", "密码:"])
def test_no_pattern_explodes(name: str, unit: str) -> None:
    rule = RULES[name]
    text = unit * 5000
    for hay in (text, text + "!"):
        # A timeout raises.
        for _ in compile_pattern(rule.pattern, rule.view).finditer(hay, timeout=5.0):
            pass


CARD = compile_pattern(RULES["payment-card"].pattern, "number")


def can_grow(number: str) -> bool:
    return any(CARD.fullmatch(number + digit, partial=True) for digit in "0123456789")


@given(card_numbers())
def test_a_card_of_every_network_matches(number: str) -> None:
    assert CARD.fullmatch(number)


@given(card_numbers())
def test_every_beginning_of_a_card_may_still_become_one(number: str) -> None:
    for length in range(1, len(number)):
        assert CARD.fullmatch(number[:length], partial=True)
        assert can_grow(number[:length])


# ISO/IEC 7812-1 and the networks: which lengths a prefix has.
@pytest.mark.parametrize(
    ("prefix", "lengths"),
    [
        ("4111", {13, 16, 19}),
        ("51", {16}), ("55", {16}), ("2221", {16}), ("2720", {16}), ("2220", set()),
        ("2721", set()),
        ("34", {15}), ("37", {15}),
        ("300", {14, 15, 16, 17, 18, 19}), ("305", {14, 15, 16, 17, 18, 19}), ("306", set()),
        ("3095", {14, 15, 16, 17, 18, 19}), ("36", {14, 15, 16, 17, 18, 19}),
        ("3528", {16, 17, 18, 19}), ("3589", {16, 17, 18, 19}), ("3527", set()), ("3590", set()),
        ("6011", {16, 17, 18, 19}), ("644", {16, 17, 18, 19}), ("643", set()),
        ("65", {16, 17, 18, 19}), ("62", {16, 17, 18, 19}),
        ("8100", {16, 17, 18, 19}), ("8171", {16, 17, 18, 19}), ("8172", {16}), ("82", {16}),
        ("5018", {13, 14, 15, 16, 17, 18, 19}), ("6304", {13, 14, 15, 16, 17, 18, 19}),
        ("6763", {13, 14, 15, 16, 17, 18, 19}), ("561", {16, 17, 18, 19}),
        ("2200", {16, 17, 18, 19}), ("2204", {16, 17, 18, 19}), ("2205", set()),
        ("607", {16}), ("508", {16, 17, 18, 19}), ("9792", {16}),
        ("9558", {19}), ("95599", {19}), ("103", {19}), ("940002", {16}), ("690755", {15, 18}),
        ("0", set()), ("1", set()), ("70", set()), ("99", set()),
    ],
)  # fmt: skip
def test_a_prefix_has_the_lengths_its_issuer_gives_out(prefix: str, lengths: set[int]) -> None:
    matched = {
        length for length in range(8, 24) if CARD.fullmatch(prefix + "7" * (length - len(prefix)))
    }
    assert matched == lengths


# Numbers that networks and payment providers publish for tests: all networks, all lengths.
ISSUED_FOR_TESTS = """
6200000000000005 6205500000000000004 6250946000000016 6250947000000014 6212345678901232
6212345678900000003 8171999927660000 8171999900000000021 4111111111111111 4222222222222
4571000000000001 4917610000000000003 4111141011111111116 5555555555554444 5105105105105100
2223000048410010 2720990000000015 378282246310005 370000000000002 30569309025904 36070500001020
38520000023237 36227206271667 3056930009020004 3530111333300000 3566002020360505
3569990010095841 6011000990139424 6011601160116611 6500830000000002 5018000000000009
6304000000000000 6390000000000005 6759649826438453 6759000000000000005 6799851000000032
6799990100000000019 6761000000000006 50339619890917 586824160825533338 5641820000000005
5000000000000512 5895626746595650 5610591081018250 5019717010103742 6331101999990016
6771798021000008 6703444444444449 5066991111111118 6362970000457013 6062826786276634
9792030394440796 2200000000000053 2201382000000013
"""


@pytest.mark.parametrize("number", ISSUED_FOR_TESTS.split())
def test_a_published_test_card_is_a_card(number: str) -> None:
    assert CARD.fullmatch(number)
    assert CHECKS["luhn"](number)


@pytest.mark.parametrize("country", [low for _, low, *_ in numdb.get("iban").prefixes])
def test_an_iban_has_the_length_of_its_country(country: str) -> None:
    pattern = compile_pattern(RULES["iban"].pattern, "number")
    layout = numdb.get("iban").info(country)[0][1]["bban"]
    length = 4 + sum(int(count) for count in re.findall(r"[0-9]+", layout))
    matched = [size for size in range(5, 40) if pattern.fullmatch(country.ljust(size, "0"))]
    assert matched == [length]


def test_a_visa_of_sixteen_digits_may_still_grow_and_a_mastercard_may_not() -> None:
    assert can_grow(with_luhn("411111111111111"))
    assert can_grow(with_luhn("622202123456789"))
    assert not can_grow(with_luhn("555555555555444"))
    assert not can_grow(with_luhn("37828224631000"))
    assert not can_grow(with_luhn("622202123456789012"))


def test_a_phone_or_a_date_begins_no_card_of_its_length() -> None:
    for text in ("13812345678", "18512345678", "01062345678", "4155550123", "20240115103000123"):
        assert not CARD.fullmatch(text)
    assert not CARD.fullmatch("20240", partial=True)
    assert not CARD.fullmatch("185", partial=True)


def test_the_networks_are_all_tested() -> None:
    assert set(NETWORKS) >= {
        "unionpay", "visa", "mastercard-5", "mastercard-2", "amex", "jcb", "diners", "discover",
        "maestro", "mir", "rupay", "elo", "troy",
    }  # fmt: skip


@given(resident_ids(old=None))
def test_a_resident_id_matches_and_so_does_each_beginning(number: str) -> None:
    pattern = compile_pattern(RULES["cn-resident-id"].pattern, "number")
    assert pattern.fullmatch(number)
    assert all(pattern.fullmatch(number[:cut], partial=True) for cut in range(1, len(number)))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("密码:123456", "123456"),
        ("我的登录密码是 Abc-123", "Abc-123"),
        ("密码我设成了qwe123", None),
        ("密码改为qwe123", "qwe123"),
        ("新密码 qwe123 可以吗", "qwe123"),
        ("密码123456不对", "123456"),
        ("password = 'p4ss word'", "p4ss"),
        ("Password:\nhunter2", "hunter2"),
        ("my passwd was Summer2024.", "Summer2024."),
        ("pwd: correcthorse", "correcthorse"),
        ("the password for the wifi is CorrectHorse", "CorrectHorse"),
        ("密码8888", "8888"),
        ("abc123是我的密码", "abc123"),
        ("password 9512", "9512"),
        ("my password is suresh 123", "suresh 123"),
        ("password is vickym", "vickym"),
        ("pavan as user name and pavan123 as the password", "pavan123"),
        ("密码2024年改过", None),
        ("密码重置", None),
        ("密码输错5次", None),
        ("密码为什么不对", None),
        ("密码是不是错了", None),
        ("密码:********", None),
        ("password: ********", None),
        ("password is ****", None),
        ("my password is incorrect", None),
        ("password is expired!", None),
        ("Forgot password?", None),
        ("the password is temporary", None),
        ("password was working yesterday", None),
        ("my password is not working since 2024", None),
        ("password lasts 90 days", None),
        ("password 24 hours", None),
        ("I tried the password 1000 times", None),
        ("password to reset", None),
        ("the password was changed on 2024-01-15", None),
        ("change password: how do I do that?", None),
        ("i need a password that is long", None),
    ],
)
def test_a_password_is_what_follows_the_word_and_looks_like_one(
    text: str, value: str | None
) -> None:
    match = compile_pattern(RULES["password"].pattern, "text").search(text)
    assert (match["value"] if match else None) == value

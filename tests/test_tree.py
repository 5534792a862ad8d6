"""The tree of a pattern says what the pattern means, and where each part of it stands."""

from __future__ import annotations

import random

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from masker.packs import bundled_packs
from masker.testing import tree
from masker.testing.explosion import suspects
from masker.testing.sampling import Walk, path_to
from masker.testing.tree import Unread, parse

BUNDLED = [rule.pattern for pack in bundled_packs() for rule in pack.rules if rule.view == "number"]
SAID = [
    "4[0-9]{12}(?:[0-9]{3})?",
    "(?x) a b # c\n | [d-f]+? x",
    r"(?P<one>ab|cd)-\d\w\.(?P=one)",
    "(?>a+)b*+[^x]y{2,}z{,3}",
    r"[\]\-a-c\d]{2}\x41[.]",
    "a(?#said)b(?i:c)(?:)",
    "(a|b|)(c|d)\\2",
]


@pytest.mark.parametrize("source", BUNDLED + SAID)
def test_what_a_walk_writes_the_pattern_takes(source: str) -> None:
    root = parse(source)
    chance = random.Random(0)
    for _ in range(100):
        text = Walk(chance).write(root)
        assert regex.fullmatch(source, text), text
        assert tree.shortest(root) <= len(text)
        longest = tree.longest(root)
        assert longest is None or len(text) <= longest


@pytest.mark.parametrize("source", BUNDLED + SAID)
def test_a_walk_comes_through_any_node_it_is_sent_to(source: str) -> None:
    root = parse(source)
    for node in tree.walk(root):
        path = path_to(root, node)
        assert path[0] is root
        assert path[-1] is node
        marked = Walk(random.Random(0), path=path, instead={node: lambda _: "\0"}).write(root)
        assert "\0" in marked


@pytest.mark.parametrize("source", BUNDLED + SAID)
def test_the_place_of_a_part_is_its_source(source: str) -> None:
    root = parse(source)
    # A group that is referred to cannot be taken out.
    referred = any(isinstance(node, tree.Back) for node in tree.walk(root))
    for node in tree.walk(root):
        assert 0 <= node.start <= node.end <= len(source)
        for child in tree.children(node):
            assert node.start <= child.start
            assert child.end <= node.end
        if isinstance(node, tree.Choice | tree.Repeat | tree.Group) and not referred:
            # In place of a part stands another that never matches; the rest is still a pattern.
            regex.compile(source[: node.start] + "(?!)" + source[node.end :])


pieces = st.recursive(
    st.sampled_from(["a", "[0-9]", "[ab]", ".", r"\d", "4", "(?:x|yz)"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda all_: f"(?:{'|'.join(all_)})"),
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{2}", "{1,3}", "{2,}"])).map(
            lambda both: f"(?:{both[0]}){both[1]}"
        ),
    ),
    max_leaves=8,
)


@given(pieces, st.integers(0, 1000))
def test_any_pattern_is_read_as_regex_reads_it(source: str, seed: int) -> None:
    assert regex.fullmatch(source, Walk(random.Random(seed)).write(parse(source)))


@pytest.mark.parametrize("source", [r"\p{L}+", "(?R)", "[a&&b]", "(?:a){e<=1}", "(*FAIL)", r"\X"])
def test_what_is_not_known_is_said(source: str) -> None:
    with pytest.raises(Unread, match="at character"):
        parse(source)


@pytest.mark.parametrize(
    ("source", "suspected"),
    [
        ("(?:[0-9]+)+X", True),
        ("([a-z]*)*b", True),
        ("(?:[0-9]|[0-9][0-9])+X", True),
        ("(?:a|ab?)*c", True),
        ("[0-9]*[0-9]*X", True),
        ("[0-9]{4}(?:[0-9]{4})*", False),
        ("(?:[a-z]+-)+x", False),
        ("(?:[0-9]++)+X", False),
        ("(?:a|b)+c", False),
        ("[a-z]+[0-9]+", False),
        ("(?:[0-9]{1,4}){1,4}", False),
    ],
)
def test_repeats_that_fight_are_seen(source: str, suspected: bool) -> None:
    assert bool(suspects(parse(source))) is suspected

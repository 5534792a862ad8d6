"""Numbers as people write them, with a memory of which character shows which digit.

A planted number is a string of bare digits and capital letters. It is written in some script, in
groups, with separators, and cut into parts; through all of that every character remembers
which character of which number it is. So what is counted later (`LeakCounter`) detects nothing:
it looks at those characters alone, and no fault of the engine can hide in it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

KEEP = 4
MASK = "*"

Mark = tuple[str, int]  # a planted number, and which of its digits


@dataclass(frozen=True, slots=True)
class Written:
    """Text, and for each of its characters the digit (number, index) that it shows."""

    text: str
    marks: tuple[Mark | None, ...]

    def __add__(self, other: Written) -> Written:
        return Written(self.text + other.text, self.marks + other.marks)

    def __len__(self) -> int:
        return len(self.text)

    @property
    def digits(self) -> tuple[Mark, ...]:
        """The marks of the characters that show one."""
        return tuple(mark for mark in self.marks if mark is not None)


def plain(text: str) -> Written:
    """Text that shows no planted digit."""
    return Written(text, (None,) * len(text))


def shown(number: str, index: int, glyph: str) -> Written:
    """One digit as `glyph`; of a keycap emoji only the first code point tells the digit."""
    return Written(glyph, ((number, index), *(None,) * (len(glyph) - 1)))


def join(parts: Iterable[Written]) -> Written:
    """The parts as one text."""
    return sum(parts, plain(""))


SCRIPTS: dict[str, str] = {
    "ascii": "0123456789",
    "full-width": "０１２３４５６７８９",
    "circled": "⓪①②③④⑤⑥⑦⑧⑨",
    "superscript": "⁰¹²³⁴⁵⁶⁷⁸⁹",
    "subscript": "₀₁₂₃₄₅₆₇₈₉",
    "arabic-indic": "٠١٢٣٤٥٦٧٨٩",
    "extended-arabic": "۰۱۲۳۴۵۶۷۸۹",
    "devanagari": "०१२३४५६७८९",
    "mathematical-bold": "".join(chr(0x1D7CE + n) for n in range(10)),
    "mathematical-double": "".join(chr(0x1D7D8 + n) for n in range(10)),
    "mathematical-mono": "".join(chr(0x1D7F6 + n) for n in range(10)),
    "hanzi": "零一二三四五六七八九",
    "hanzi-round": "〇一二三四五六七八九",
    "hanzi-spoken": "零幺两三四五六七八九",
    "hanzi-formal": "零壹贰叁肆伍陆柒捌玖",
    "hanzi-formal-traditional": "零壹貳參肆伍陸柒捌玖",
}
KEYCAP = "\ufe0f\u20e3"
SCRIPT_NAMES = (*SCRIPTS, "keycap")
HANZI_SCRIPTS = frozenset(name for name in SCRIPTS if name.startswith("hanzi"))
CROSSES = ("X", "x", "Ｘ", "ｘ", "叉")


# Capital letters to their full-width forms.
_WIDE_LETTERS = {code: code + 0xFEE0 for code in range(ord("A"), ord("Z") + 1)}


def glyph(digit: str, script: str, cross: str = "X") -> str:
    """`digit` in `script`; letters are full-width with full-width digits, X is written as `cross`.

    >>> glyph("7", "hanzi"), glyph("A", "full-width"), glyph("A", "hanzi")
    ('七', 'Ａ', 'A')
    """
    if digit == "X":
        return cross
    if digit.isalpha():
        return digit.translate(_WIDE_LETTERS) if script == "full-width" else digit
    if script == "keycap":
        return digit + KEYCAP
    return SCRIPTS[script][int(digit)]


def scripts() -> st.SearchStrategy[str]:
    """Names of the scripts a number may be written in."""
    return st.sampled_from(SCRIPT_NAMES)


SEPARATORS = list(
    " -./,_\u00b7\u2022\u30fb"
    # spaces: no-break, en, em, thin, hair, figure, narrow no-break, ideographic
    "\u00a0\u2002\u2003\u2009\u200a\u2007\u202f\u3000"
    # zero width: space, non-joiner, joiner, word joiner, byte order mark, soft hyphen
    "\u200b\u200c\u200d\u2060\ufeff\u00ad"
    # dashes: hyphen, no-break hyphen, figure, en, em, bar, minus, full width
    "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d"
    # the full-width stop, solidus and comma; the ellipsis, quotation marks and what else is at hand
    "\uff0e\uff0f\uff0c\u2026'\u2019\"\u201c\u201d=^\u25cf"
)


def separators(longest: int = 3) -> st.SearchStrategy[str]:
    """What people put between groups: one separator, or a run of them."""
    one = st.sampled_from(SEPARATORS)
    return st.one_of(
        st.sampled_from([" ", "-", ""]),
        one,
        st.lists(one, min_size=2, max_size=longest).map("".join),
    )


@st.composite
def cuts(
    draw: st.DrawFn,
    length: int,
    *,
    least: int = 2,
    most: int | None = None,
    smallest: int = 1,
) -> tuple[int, ...]:
    """Lengths of the parts a number of `length` is cut into: any cut, evenly over part counts."""
    most = min(most or length, length // smallest)
    count = draw(st.integers(min(least, most), most))
    spare = length - count * smallest
    at = sorted(draw(st.lists(st.integers(0, spare), min_size=count - 1, max_size=count - 1)))
    edges = [0, *at, spare]
    return tuple(smallest + after - before for before, after in itertools.pairwise(edges))


USUAL_GROUPINGS = {
    13: [(13,), (4, 3, 3, 3), (4, 4, 5)],
    14: [(14,), (4, 6, 4)],
    15: [(15,), (4, 6, 5), (6, 6, 3)],
    16: [(16,), (4, 4, 4, 4), (8, 8), (6, 10)],
    17: [(17,), (6, 11), (4, 4, 4, 4, 1)],
    18: [(18,), (6, 8, 4), (6, 4, 4, 4), (3, 3, 4, 4, 4), (4, 4, 4, 4, 2)],
    19: [(19,), (4, 4, 4, 4, 3), (6, 13), (3, 4, 4, 4, 4)],
}


def groupings(length: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Sizes of the groups a number is written in: the usual ones, single digits, any."""
    usual = USUAL_GROUPINGS.get(length, [(length,)])
    return st.one_of(st.sampled_from([*usual, (1,) * length]), cuts(length, least=1))


def write(number: str, glyphs: Sequence[str], gaps: Sequence[str]) -> tuple[Written, ...]:
    """One `Written` a digit; the gap that stands before a digit is part of it."""
    return tuple(
        plain(gap) + shown(number, index, form)
        for index, (gap, form) in enumerate(zip(("", *gaps), glyphs, strict=True))
    )


@st.composite
def written_numbers(
    draw: st.DrawFn,
    source: st.SearchStrategy[str],
    *,
    script_names: st.SearchStrategy[str] | None = None,
) -> tuple[Written, ...]:
    """A number in any grouping, with any separators, in one script or in many, digit by digit."""
    number = draw(source)
    script = script_names if script_names is not None else scripts()
    size = len(number)
    names = draw(
        st.one_of(
            st.just(["ascii"] * size),
            script.map(lambda name: [name] * size),
            st.lists(script, min_size=size, max_size=size),
        )
    )
    cross = draw(st.sampled_from(CROSSES))
    glyphs = [glyph(digit, name, cross) for digit, name in zip(number, names, strict=True)]
    gaps = [""] * (size - 1)
    usual = draw(separators())
    for end in itertools.accumulate(draw(groupings(size))[:-1]):
        gaps[end - 1] = usual if draw(st.integers(0, 3)) else draw(separators())
    return write(number, glyphs, gaps)


def bare(number: str, script: str = "ascii") -> tuple[Written, ...]:
    """A number without separators, one `Written` a digit."""
    return write(number, [glyph(digit, script) for digit in number], [""] * (len(number) - 1))


def parts_of(digits: Sequence[Written], sizes: Sequence[int]) -> list[Written]:
    """The digits in parts of these sizes; a gap at a cut is dropped, as people drop it."""
    parts: list[Written] = []
    ends = list(itertools.accumulate(sizes))
    for start, end in zip([0, *ends], ends, strict=False):
        part = join(digits[start:end])
        lead = next((i for i, mark in enumerate(part.marks) if mark is not None), 0)
        parts.append(Written(part.text[lead:], part.marks[lead:]))
    return parts

"""Numbers for this suite. How they are written, cut and counted is `masker.testing`."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from stdnum import luhn
from stdnum.cn import ric

from masker.testing import scenes, writing
from masker.testing.leaks import (
    LeakCounter as LeakCounter,
)
from masker.testing.leaks import (
    play as play,
)
from masker.testing.scenes import (
    NOON as NOON,
)
from masker.testing.scenes import (
    Delivery as Delivery,
)
from masker.testing.scenes import (
    Scene as Scene,
)
from masker.testing.scenes import (
    Sent as Sent,
)
from masker.testing.scenes import (
    Timeline as Timeline,
)
from masker.testing.talk import (
    BEFORE as BEFORE,
)
from masker.testing.talk import (
    OTHER_PARTY as OTHER_PARTY,
)
from masker.testing.talk import (
    small_talk as small_talk,
)
from masker.testing.talk import (
    surroundings as surroundings,
)
from masker.testing.writing import (
    KEEP as KEEP,
)
from masker.testing.writing import (
    MASK as MASK,
)
from masker.testing.writing import (
    Written as Written,
)
from masker.testing.writing import (
    bare as bare,
)
from masker.testing.writing import (
    cuts as cuts,
)
from masker.testing.writing import (
    join as join,
)
from masker.testing.writing import (
    parts_of as parts_of,
)
from masker.testing.writing import (
    plain as plain,
)

# --- numbers ---------------------------------------------------------------------------

# Prefix and length by network, from the published BIN ranges (ISO/IEC 7812-1 issuers).
NETWORKS: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "unionpay": (
        ("62", "620", "6225", "6228", "622588", "622202", "621700", "622848", "621661", "625"),
        (16, 17, 18, 19),
    ),
    "visa": (("4", "41", "45", "49"), (13, 16, 19)),
    "mastercard-5": (("51", "52", "53", "54", "55"), (16,)),
    "mastercard-2": (("2221", "2229", "223", "24", "26", "270", "271", "2720"), (16,)),
    "amex": (("34", "37"), (15,)),
    "jcb": (("3528", "3530", "3566", "358", "3589"), (16,)),
    "diners": (("300", "301", "305", "36", "38", "39"), (14,)),
    "discover": (("6011", "644", "649", "65"), (16,)),
    "maestro": (
        ("5018", "5020", "5038", "5893", "6304", "6759", "6761", "6762", "6763"),
        (13, 14, 15, 16, 17, 18, 19),
    ),
    "mir": (("2200", "2201", "2202", "2203", "2204"), (16,)),
    "rupay": (("508500", "508999", "607000", "607900", "608100", "652150", "653100"), (16,)),
    "elo": (("401178", "438935", "457631", "506700", "509000", "627780", "636368"), (16,)),
    "troy": (("9792",), (16,)),
}


def with_luhn(body: str) -> str:
    return body + luhn.calc_check_digit(body)


@st.composite
def card_numbers(
    draw: st.DrawFn,
    networks: Sequence[str] = tuple(NETWORKS),
    lengths: Sequence[int] = tuple(range(13, 20)),
) -> str:
    """A card number of a known network with the right check digit."""
    choices = [
        (prefix, length)
        for name in networks
        for prefix in NETWORKS[name][0]
        for length in NETWORKS[name][1]
        if length in lengths
    ]
    prefix, length = draw(st.sampled_from(choices))
    return with_luhn(draw(digit_strings(length - 1, start=prefix)))


def digit_strings(length: int, start: str = "") -> st.SearchStrategy[str]:
    """Decimal digits without structure; not shrunk towards the degenerate 000..."""
    return st.integers(0, 2**32).map(
        lambda seed: (
            start + "".join(random.Random(seed).choices("0123456789", k=length - len(start)))
        )
    )


# County codes of GB/T 2260, all in use today; every province group is in it.
# fmt: off
REGIONS = tuple(str(code) for code in (
    110101, 110105, 110108, 120101, 130102, 140105, 150102, 210102, 210202, 220102, 230103,
    310101, 310104, 310115, 320102, 320506, 330106, 330203, 340102, 350203, 360102, 360426,
    370102, 370202, 410105, 420106, 430102, 440106, 440305, 450102, 460105, 500103, 510104,
    520102, 530102, 540102, 610113, 620102, 630102, 640104, 650102,
))
# fmt: on


@st.composite
def resident_ids(draw: st.DrawFn, *, old: bool | None = False) -> str:
    """A PRC resident ID (GB 11643): 18 characters, `old` 15; None draws either.

    The region is where the ID was issued, so a person may be older than the district.
    """
    region = draw(st.sampled_from(REGIONS))
    born = draw(st.dates(dt.date(1935, 1, 1), dt.date(2015, 12, 31)))
    order = draw(digit_strings(3))
    if old is None:
        old = draw(st.booleans())
    if old:
        born = born.replace(year=1935 + born.year % 60, day=min(born.day, 28))
        return region + born.strftime("%y%m%d") + order
    body = region + born.strftime("%Y%m%d") + order
    return body + ric.calc_check_digit(body + "0")


def numbers() -> st.SearchStrategy[str]:
    return st.one_of(card_numbers(), resident_ids())


def written_numbers(
    source: st.SearchStrategy[str] | None = None,
    *,
    script_names: st.SearchStrategy[str] | None = None,
) -> st.SearchStrategy[tuple[Written, ...]]:
    """A card or an ID in any grouping, with any separators, in one script or in many."""
    return writing.written_numbers(
        source if source is not None else numbers(), script_names=script_names
    )


# --- conversations ---------------------------------------------------------------------

QUESTIONS_CARD = (
    "请提供一下您的银行卡号",
    "麻烦报一下卡号",
    "Could you give me your card number, please?",
    "please send your card number",
)
QUESTIONS_ID = (
    "请提供一下您的身份证号码",
    "麻烦报一下身份证号",
    "Could you give me your resident ID number, please?",
    "please send your ID number",
)


def conversations(
    number: st.SearchStrategy[tuple[Written, ...]] | None = None,
    *,
    asked: bool = False,
    **how: Any,
) -> st.SearchStrategy[Scene]:
    """People dictate a card or an ID each; `asked`: the other party asked for it first."""
    return scenes.conversations(
        number if number is not None else written_numbers(),
        question=_question if asked else None,
        **how,
    )


def _question(given: tuple[str, ...]) -> st.SearchStrategy[str]:
    is_card = all(len(n) != 18 or not ric.is_valid(n) for n in given)
    return st.sampled_from(QUESTIONS_CARD if is_card else QUESTIONS_ID)

"""The groups in which people write the digits of one number."""

from __future__ import annotations

import re
from itertools import pairwise

from masker.core.compact import Piece

_NATURAL = {
    (4, 6, 5), (4, 6, 4), (6, 13), (6, 12), (6, 10), (6, 8, 4), (6, 4, 4, 4), (4, 4, 4, 4, 3),
    (4, 4, 4, 4, 2), (4, 4, 4, 4, 1), (4, 4, 4, 3), (4, 4, 4, 2), (6, 6, 6), (3, 3, 4, 4, 4),
    (8, 8), (8, 8, 3), (6, 6, 3), (6, 4, 5), (6, 8, 3, 1), (6, 4, 2, 2, 4),
}  # fmt: skip
# ISO/IEC 7812-1 caps a card number at 19 digits.
MAX_DIGITS = 19
# Smaller groups, in the midst of other numbers, are the numbers of a list.
LEAST_GROUP = 3
COUNTING = 6
# What a whole message or group of a phone number looks like: North American, Chinese, or just ten.
PHONE = re.compile(r"1?[2-9][0-9]{2}[2-9][0-9]{6}|[0-9]{10}|1[3-9][0-9]{9}|0[0-9]{9,11}")


def is_counting(parts: tuple[tuple[Piece, int], ...]) -> bool:
    """One, two, three, ...: somebody counts, or numbers a list."""
    numbers = [int(piece.value) if piece.value.isdigit() else -1 for piece, _ in parts]
    return all(after - before == 1 for before, after in pairwise(numbers))


def may_become_natural(sizes: tuple[int, ...]) -> bool:
    """Whether groups so far, with more behind them, may be those of one number."""
    return (sizes[0] >= LEAST_GROUP and len(set(sizes)) == 1) or any(
        natural[: len(sizes)] == sizes for natural in _NATURAL
    )


def is_natural(sizes: tuple[int, ...]) -> bool:
    """Whether these are groups in which people and printers write one number."""
    if len(sizes) == 1 or sizes in _NATURAL:
        return True
    size = sizes[0]
    return size >= LEAST_GROUP and all(other == size for other in sizes[:-1]) and sizes[-1] <= size

"""Tabulate the Chinese card prefixes that lie outside the card networks.

UnionPay is 62, but banks in China issued cards long before there was one, and many are
still in use: 9558, 95599, 103, the 94 series of city banks. The npm package `bankcard` (MIT,
by caijf) lists 1,700 prefixes with their lengths. This script takes from it those that the
networks of `rules/payment.toml` do not match yet, and prints the alternation that stands at
the end of `payment-card`'s pattern.

    npm pack bankcard@3.1.6 && tar xzf bankcard-3.1.6.tgz
    python tools/tabulate_card_prefixes.py package/dist/bankcard.esm.js rules/payment.toml
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

# Everything after this line of the pattern is what this script prints.
MARKER = "# Outside the networks"
LINE_WIDTH = 96
# 185 begins mobile numbers in China, and this card of one rural bank is long withdrawn:
# a phone number with seven digits after it would be read as one.
LEFT_OUT = frozenset({"18572"})

_CARD = re.compile(r"bin: '([0-9]+)', bank: '\w+', type: \w+, len: ([0-9]+)")


def outside(source: str, networks: str) -> dict[tuple[str, int], None]:
    """The (prefix, length) pairs no network matches, none under a shorter one of its length."""
    matches = re.compile(networks)
    pairs = sorted((prefix, int(length)) for prefix, length in _CARD.findall(source))
    found: dict[tuple[str, int], None] = {}
    for prefix, length in pairs:
        if prefix in LEFT_OUT:
            continue
        # A network takes a prefix whole or not at all: one number under it tells.
        if matches.fullmatch(prefix.ljust(length, "0")):
            continue
        if any((prefix[:cut], length) in found for cut in range(1, len(prefix))):
            continue
        found[prefix, length] = None
    return found


def alternation(prefixes: list[str]) -> str:
    """A regular expression for exactly these strings of digits, of one length, factored.

    >>> alternation(["0103", "0105", "0106", "0200"])
    '0(?:10[356]|200)'
    """
    if len(prefixes[0]) == 1:
        return prefixes[0] if len(prefixes) == 1 else f"[{''.join(sorted(prefixes))}]"
    by_head: dict[str, list[str]] = defaultdict(list)
    for prefix in prefixes:
        by_head[prefix[0]].append(prefix[1:])
    parts = [head + alternation(rest) for head, rest in sorted(by_head.items())]
    return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"


def lines(pairs: dict[tuple[str, int], None]) -> list[str]:
    """One alternative for each first digit, length of prefix and length of card."""
    groups: dict[tuple[str, int, int], list[str]] = defaultdict(list)
    for prefix, length in pairs:
        groups[prefix[0], length, len(prefix)].append(prefix)
    return [
        f"| {alternation(prefixes)} [0-9]{{{length - size}}}"
        for (_, length, size), prefixes in sorted(groups.items())
    ]


def wrapped(line: str) -> list[str]:
    """Break a line at `|`; the pattern is verbose, so spaces mean nothing in it."""
    out = [""]
    for part in re.split(r"(?<=.)(?=\|)", line):
        if len(out[-1]) + len(part) > LINE_WIDTH:
            out.append("    ")
        out[-1] += part
    return out


def main(package: str, pack: str) -> None:
    """Print the alternation for this package, given what the pack has by itself."""
    rules = tomllib.loads(Path(pack).read_text(encoding="utf-8"))["rules"]
    pattern = next(rule["pattern"] for rule in rules if rule["id"] == "payment-card")
    networks = pattern.partition(MARKER)[0]
    for line in lines(outside(Path(package).read_text(encoding="utf-8"), networks)):
        sys.stdout.writelines(f"{part}\n" for part in wrapped(line))


if __name__ == "__main__":
    main(*sys.argv[1:])

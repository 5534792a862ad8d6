"""What a character is to a number: a digit, a separator, or something else.

People write digits in many scripts and put many things between them. The
tables here are made once, from the Unicode database, so that the rest of the
core can ask with one dictionary look-up or one character class.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable
from itertools import chain

# Everyday, formal (a cheque's 壹贰叁), spoken (幺 for one) and Hangzhou numerals. unicodedata
# calls them numeric, not digits: they are words first, and numbers only in company.
_HANZI_NUMERALS = (
    "零〇○",
    "一壹弌幺㆒〡",
    "二贰貳弍两兩㆓〢",
    "三叁參弎叄㆔〣",
    "四肆㆕〤",
    "五伍〥",
    "六陆陸〦",
    "七柒〧",
    "八捌〨",
    "九玖〩",
)
HANZI: dict[int, str] = {
    ord(char): str(value) for value, row in enumerate(_HANZI_NUMERALS) for char in row
}


def _digits() -> dict[int, str]:
    """Every character that Unicode gives a digit value: Nd, circled, superscript and their kin."""
    # Beyond the supplementary multilingual plane no digit is assigned.
    table = {}
    for code in chain(range(0x30, 0x3A), range(0xB2, 0x1FC00)):
        value = unicodedata.digit(chr(code), None)
        if value is not None:
            table[code] = str(value)
    return table


DIGITS: dict[int, str] = _digits()
VALUE: dict[int, str] = {**DIGITS, **HANZI}


def _letters() -> dict[int, str]:
    """ASCII letters and their full-width, circled and mathematical forms, as upper case."""
    table = {ord(c): c.upper() for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"}
    for code in chain(range(0x2160, 0x2180), range(0x24B6, 0x24EA), range(0xFF21, 0xFF5B),
                      range(0x1D400, 0x1D6A6)):  # fmt: skip
        plain = unicodedata.normalize("NFKC", chr(code))
        if len(plain) == 1 and plain.isascii() and plain.isalpha():
            table[code] = plain.upper()
    return table


LETTERS: dict[int, str] = _letters()

# The check character X of a resident ID, as people type it; 叉 is what they say.
X_FORMS = "".join(chr(code) for code, value in LETTERS.items() if value == "X") + "Хх×叉✕✖╳⨯❌"
COMPACT: dict[int, str] = {**VALUE, **LETTERS, **{ord(c): "X" for c in X_FORMS}}

# Typed between the digits of a number. A tab is not among them: it parts the cells of a table.
_TYPED = ".,，、/／\\＼·•‧・･∙⋅●．。｡_＿‿~～ー−()（）…'‘’\"“”=^⁄∕⸱⸳᛫"
# Blank to the eye, though letters or symbols by their category.
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"
_ZERO_WIDTH_MARKS = "\ufe00-\ufe0f\u20dd-\u20e3\u0300-\u036f\U000e0100-\U000e01ef"


def _separator_codes() -> list[int]:
    codes = {ord(char) for char in _TYPED + _BLANK}
    for code in chain(range(0x3100), range(0xFE00, 0x10000), range(0xE0001, 0xE0080)):
        char = chr(code)
        if unicodedata.category(char) in {"Zs", "Zl", "Zp", "Pd", "Pc", "Cc", "Cf"}:
            codes.add(code)
        elif unicodedata.normalize("NFKC", char) in _TYPED:
            # Half and full width, small, superscript.
            codes.add(code)
    codes.discard(ord("\t"))
    return sorted(codes)


def character_class(codes: Iterable[int]) -> str:
    """The inside of a `[...]` for these code points, as ranges."""
    parts: list[str] = []
    first = last = -2
    for code in [*sorted(codes), sys.maxunicode + 2]:
        if code == last + 1:
            last = code
            continue
        if first >= 0:
            low, high = re.escape(chr(first)), re.escape(chr(last))
            parts.append(low if first == last else f"{low}-{high}")
        first = last = code
    return "".join(parts)


DIGIT_CLASS = character_class(DIGITS)
HANZI_CLASS = character_class(HANZI)
LETTER_CLASS = character_class(LETTERS)
SEPARATOR_CLASS = character_class(_separator_codes()) + _ZERO_WIDTH_MARKS
_SEPARATOR = re.compile(f"[{SEPARATOR_CLASS}]")
LINE_CLASS = "\n\r\x0b\x0c\x85\u2028\u2029"

# A lone Hanzi numeral is usually part of a word (一下, 三天, 第一, 周三): these neighbours say so.
WORD_AFTER_NUMERAL = (
    "下个個天共定起样樣些点點直般月年号號日位张張家次块塊元百千万萬亿億十切边邊旦时時向律致同面半会會句步"
    "段部组組排条條件份种種遍回者人口楼樓层層室房店台台本只支双雙周星礼禮小刻分秒钟鐘角毛折成倍岁歲手套层"
    "则則来來再度例旁方流番概早晚生心线線刀路届屆季级級等环環维維国國"
)
# Hanzi that may stand before a lone numeral which is a digit all the same (卡号是六).
BEFORE_LONE_NUMERAL = "是为為号號码碼位到面边邊段分有再来來后後加"
# Formal and spoken numerals that begin no ordinary word.
NEVER_A_WORD = "壹弌贰貳叁參肆柒捌玖幺〇"
WORD_BEFORE_NUMERAL = (
    "第周期拜万萬十初唯之统統同单單专專另逐任某每百千几幾上下这這那近约約大小老其划劃惟"
)


def is_separator(char: str) -> bool:
    """Whether people, or machines, put this between the digits of one number."""
    return _SEPARATOR.match(char) is not None

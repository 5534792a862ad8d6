"""What a bare number proves about itself: check digits, regions, dates.

Each check is given the compact form of a number, ASCII digits and upper-case letters
and nothing else, and says whether an issuer could have given it out. It never raises.
The arithmetic is python-stdnum's wherever python-stdnum has it; what stands here is
what it lacks, and where it is stricter than the issuers were.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from functools import cache

import stdnum.br.cpf
import stdnum.cn.ric
import stdnum.cn.uscc
import stdnum.iban
import stdnum.in_.aadhaar
import stdnum.in_.pan
import stdnum.jp.in_
import stdnum.kr.rrn
import stdnum.luhn
import stdnum.us.itin
import stdnum.us.ssn
from stdnum import numdb

Check = Callable[[str], bool]

_BARE = re.compile(r"[0-9A-Z]+")


def luhn(number: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1, annex B).

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    return bool(stdnum.luhn.is_valid(number))


def cn_resident_id(number: str) -> bool:
    """The PRC resident identity number (GB 11643): 18 characters, or the 15 digits before 1999.

    Region, birth date and, in 18 characters, the check character must hold.

    >>> cn_resident_id("11010519491231002X"), cn_resident_id("110105491231002")
    (True, True)
    >>> cn_resident_id("110105194912310021"), cn_resident_id("110105490231002")
    (False, False)
    """
    if re.fullmatch(r"[0-9]{15}", number):
        return _is_region(number[:4]) and _is_date(f"19{number[6:12]}")
    if not re.fullmatch(r"[0-9]{17}[0-9X]", number):
        return False
    if number[-1] != stdnum.cn.ric.calc_check_digit(number):
        return False
    # A foreigner's permanent residence number since 2023 (GB 11643's shape): 9, the province
    # of issue, three digits for the nationality, then birth date and order as in any other.
    region_holds = _is_province(number[1:3]) if number[0] == "9" else _is_region(number[:4])
    return region_holds and _is_date(number[6:14])


_USCC = re.compile(r"[0-9A-HJ-NP-RTUWXY]{2}[0-9]{6}[0-9A-HJ-NP-RTUWXY]{10}")
# Institutions of the state's own organs are registered under 10, not under a province.
_USCC_STATE = "10"


def cn_uscc(number: str) -> bool:
    """The PRC unified social credit code (GB 32100): region and check character.

    >>> cn_uscc("91110000600037341L"), cn_uscc("N2330106MA2GL12345")
    (True, True)
    """
    # python-stdnum asks for digits in front, but A, N and Y are registering authorities too.
    if not _USCC.fullmatch(number):
        return False
    if not (_is_province(number[2:4]) or number[2:4] == _USCC_STATE):
        return False
    return number[-1] == stdnum.cn.uscc.calc_check_digit(number[:-1])


# Weights of a Hong Kong identity card: two letters (or a blank, which counts 36, and one letter),
# six digits and the check digit, letters as 10 to 35, all of it a multiple of 11.
# The rule is printed nowhere by the issuer; it is the one that all published cards keep.
_HK_WEIGHTS = (9, 8, 7, 6, 5, 4, 3, 2)
_HK_BLANK = 36


def hk_id(number: str) -> bool:
    """The Hong Kong identity card number: one or two letters, six digits, a check character.

    >>> hk_id("A1234563"), hk_id("A1234564"), hk_id("AB9876543")
    (True, False, True)
    """
    if not re.fullmatch(r"[A-Z]{1,2}[0-9]{6}[0-9A]", number):
        return False
    values = [int(character, 36) for character in number[:-1]]
    if len(values) == 7:
        values.insert(0, _HK_BLANK)
    total = sum(weight * value for weight, value in zip(_HK_WEIGHTS, values, strict=True))
    return (total + int(number[-1], 16)) % 11 == 0


# The two digits each letter stands for, in the order the Ministry of the Interior
# gave the counties theirs: A is 10, I, O, W and Z came late.
_TW_LETTERS = {letter: value for value, letter in enumerate("ABCDEFGHJKLMNPQRSTUVXYWZIO", start=10)}


def tw_id(number: str) -> bool:
    """The ROC identity card number, and the resident certificate numbers of foreigners.

    A letter for the county, 1 or 2 (8 or 9 on certificates since 2021, A to D before),
    seven digits, a check digit.

    >>> tw_id("A123456789"), tw_id("A123456788")
    (True, False)
    """
    if not re.fullmatch(r"[A-Z][1289A-D][0-9]{8}", number):
        return False
    tens, ones = divmod(_TW_LETTERS[number[0]], 10)
    second = number[1]
    # Before 2021 the second letter counted with the ones of its value.
    rest = [_TW_LETTERS[second] % 10 if second.isalpha() else int(second)]
    rest += [int(digit) for digit in number[2:]]
    weights = (8, 7, 6, 5, 4, 3, 2, 1, 1)
    weighted = sum(weight * digit for weight, digit in zip(weights, rest, strict=True))
    return (tens + 9 * ones + weighted) % 10 == 0


def iban(number: str) -> bool:
    """The international bank account number (ISO 13616): check digits and the country's layout.

    >>> iban("GB82WEST12345698765432"), iban("GB82WEST12345698765431")
    (True, False)
    """
    # The national check digits inside an account are left alone: banks exist whose
    # older accounts break them.
    return bool(stdnum.iban.is_valid(number, check_country=False))


def us_ssn(number: str) -> bool:
    """The US social security number: area, group and serial that are ever given out.

    It has no check digit. The three numbers known from advertisements do not count.
    """
    return re.fullmatch(r"[0-9]{9}", number) is not None and bool(stdnum.us.ssn.is_valid(number))


def us_itin(number: str) -> bool:
    """The US individual taxpayer identification number: 9, and a group in use."""
    return re.fullmatch(r"[0-9]{9}", number) is not None and bool(stdnum.us.itin.is_valid(number))


# HMRC, National Insurance Manual NIM39110: letters not used in a prefix, prefixes not
# allocated, suffixes A to D.
_NINO = re.compile(r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][0-9]{6}[A-D]")


def gb_nino(number: str) -> bool:
    """The UK National Insurance number: a prefix that is given out, six digits, a suffix.

    >>> gb_nino("AB123456C"), gb_nino("QQ123456C")
    (True, False)
    """
    return _NINO.fullmatch(number) is not None


def aadhaar(number: str) -> bool:
    """The Indian Aadhaar number: twelve digits, Verhoeff's check digit, no palindrome."""
    return bool(stdnum.in_.aadhaar.is_valid(number))


def in_pan(number: str) -> bool:
    """The Indian permanent account number: its fourth letter is a kind of holder.

    >>> in_pan("ACUPA7085R"), in_pan("ACUXA7085R")
    (True, False)
    """
    return bool(stdnum.in_.pan.is_valid(number))


def kr_rrn(number: str) -> bool:
    """The Korean resident registration number: birth date, place and check digit."""
    return re.fullmatch(r"[0-9]{13}", number) is not None and bool(
        stdnum.kr.rrn.is_valid(number, allow_future=True)
    )


def jp_my_number(number: str) -> bool:
    """The Japanese individual number: twelve digits, the last a check digit."""
    return bool(stdnum.jp.in_.is_valid(number))


_SG_WEIGHTS = (2, 7, 6, 5, 4, 3, 2)
# First letter: what is added to the sum, and the check letters by remainder.
# The algorithm was made known by users of the numbers, not by the issuer; M came in 2022.
_SG_LETTERS = {
    "S": (0, "JZIHGFEDCBA"),
    "T": (4, "JZIHGFEDCBA"),
    "F": (0, "XWUTRQPNMLK"),
    "G": (4, "XWUTRQPNMLK"),
    "M": (3, "XWUTRQPNJLK"),
}


def sg_nric(number: str) -> bool:
    """The Singapore NRIC and FIN: a letter, seven digits, a check letter.

    >>> sg_nric("S1234567D"), sg_nric("S1234567A"), sg_nric("M1234567K")
    (True, False, True)
    """
    if not re.fullmatch(r"[STFGM][0-9]{7}[A-Z]", number):
        return False
    offset, letters = _SG_LETTERS[number[0]]
    digits = [int(digit) for digit in number[1:8]]
    total = offset + sum(w * digit for w, digit in zip(_SG_WEIGHTS, digits, strict=True))
    return number[8] == letters[total % 11]


def br_cpf(number: str) -> bool:
    """The Brazilian CPF: eleven digits, two of them check digits, not all the same."""
    return len(set(number)) > 1 and bool(stdnum.br.cpf.is_valid(number))


@cache
def _regions() -> frozenset[str]:
    """The first four digits of every PRC region there ever was (GB/T 2260 since 1980).

    Province and prefecture. A county is not asked for: police stations have given out
    numbers under districts that no list has, and under lists older or newer than the birth.
    """
    found = {
        province + rest[:2]
        for _, province, _, _, counties in numdb.get("cn/loc").prefixes
        for _, rest, _, _, _ in counties
    }
    # Residence permits of people from Taiwan, Hong Kong and Macau (2018) carry 83, 81, 82.
    return frozenset(found | {"8100", "8200", "8300"})


@cache
def _provinces() -> frozenset[str]:
    return frozenset(region[:2] for region in _regions())


def _is_region(first_four: str) -> bool:
    return first_four in _regions()


def _is_province(first_two: str) -> bool:
    return first_two in _provinces()


def _is_date(yyyymmdd: str) -> bool:
    # No clock in here, so a date in the future is a date.
    try:
        datetime.date(int(yyyymmdd[:4]), int(yyyymmdd[4:6]), int(yyyymmdd[6:]))
    except ValueError:
        return False
    return True


def _bare(check: Check) -> Check:
    """Let a check see bare numbers only: python-stdnum itself would strip separators."""

    def bare_check(number: str) -> bool:
        return _BARE.fullmatch(number) is not None and check(number)

    bare_check.__name__ = check.__name__
    bare_check.__doc__ = check.__doc__
    return bare_check


CHECKS: dict[str, Check] = {
    name: _bare(check)
    for name, check in {
        "aadhaar": aadhaar,
        "br-cpf": br_cpf,
        "cn-resident-id": cn_resident_id,
        "cn-uscc": cn_uscc,
        "gb-nino": gb_nino,
        "hk-id": hk_id,
        "iban": iban,
        "in-pan": in_pan,
        "jp-my-number": jp_my_number,
        "kr-rrn": kr_rrn,
        "luhn": luhn,
        "sg-nric": sg_nric,
        "tw-id": tw_id,
        "us-itin": us_itin,
        "us-ssn": us_ssn,
    }.items()
}

# Those under which no two numbers differ in their last digit alone: where one holds, it is proof.
CHECK_DIGITS = frozenset({"luhn"})

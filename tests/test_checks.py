"""The named checks: what issuers give out is accepted, and a slip of the finger is not."""

from __future__ import annotations

import datetime as dt
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn, verhoeff
from stdnum.cn import ric, uscc
from stdnum.iso7064 import mod_97_10

from masker.core.checks import CHECKS
from strategies import card_numbers, resident_ids

DIGITS = string.digits
BARE = string.digits + string.ascii_uppercase


def digits(length: int) -> st.SearchStrategy[str]:
    return st.text(DIGITS, min_size=length, max_size=length)


def slips(number: str, positions: range | None = None) -> list[str]:
    """The number with each one digit replaced by each other digit."""
    return [
        number[:at] + other + number[at + 1 :]
        for at in positions or range(len(number))
        if number[at].isdecimal()
        for other in DIGITS
        if other != number[at]
    ]


@pytest.mark.parametrize("name", sorted(CHECKS))
@given(number=st.one_of(st.text(), st.text(BARE, max_size=36), st.text(DIGITS, max_size=20)))
def test_a_check_answers_true_or_false_and_never_raises(name: str, number: str) -> None:
    assert CHECKS[name](number) in (True, False)


# Specimens: of the standards, of the issuers' publications, or made up with a right check digit.
VALID = {
    "aadhaar": ("234123412346", "999941057058"),
    "br-cpf": ("12345678909", "98765432100", "39053344705"),
    "cn-resident-id": (
        "11010519491231002X",
        "440524188001010014",
        "110105199003071239",
        "830000199304181214",
        "110105491231002",
        "440524800101001",
    ),
    "cn-uscc": ("91110000600037341L", "91310104MA1FL0XX08", "N2330106MA2GL12345"),
    "gb-nino": ("AB123456C", "JG103759A", "AB123456D"),
    "hk-id": ("A1234563", "Z683365A", "AB9876543", "C1234569"),
    "iban": (
        "GB82WEST12345698765432",
        "DE89370400440532013000",
        "FR1420041010050500013M02606",
        "NL91ABNA0417164300",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
    ),
    "in-pan": ("ACUPA7085R", "ABCPE1234F", "AAPFU0939F"),
    "jp-my-number": ("123456789018", "987654321093"),
    "kr-rrn": ("9003071234561", "0109154123453"),
    "luhn": (
        "4111111111111111",
        "4222222222222",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "30569309025904",
        "6011111111111117",
        "3530111333300000",
        "6759649826438453",
        "6799990100000000019",
        "6222021234567890128",
        "9792030000000000",
    ),
    "sg-nric": ("S1234567D", "T0123456G", "F1234567N", "G7654321L", "M1234567K"),
    "tw-id": ("A123456789", "B223456782", "A800000014", "AC01234567"),
    "us-itin": ("912903456", "900700001"),
    "us-ssn": ("536904399", "001010001", "899999999"),
}


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, numbers in VALID.items() for number in numbers]
)
def test_a_specimen_is_accepted_bare_and_refused_with_anything_around_it(
    name: str, number: str
) -> None:
    check = CHECKS[name]
    assert check(number)
    for spoilt in (
        f" {number}",
        f"{number}\n",
        f"{number[:4]}-{number[4:]}",
        number + "0",
        number[1:],
    ):
        if name == "luhn" and spoilt.isdecimal():
            continue  # the length of a card is the pattern's to know
        assert not check(spoilt)


def test_every_check_has_specimens() -> None:
    assert VALID.keys() == CHECKS.keys()


# One wrong digit is found wherever the arithmetic promises it: Luhn, Verhoeff, and a prime modulus
# with weights that are no multiples of it. Modulus 10 (tw-id) and the double zero of jp, kr and br
# miss some.
@pytest.mark.parametrize(
    ("name", "number"),
    [
        (name, number)
        for name in ("luhn", "aadhaar", "cn-uscc", "hk-id", "iban", "sg-nric")
        for number in VALID[name]
    ]
    + [("cn-resident-id", number) for number in VALID["cn-resident-id"] if len(number) == 18],
)
def test_no_single_wrong_digit_passes(name: str, number: str) -> None:
    assert not [slip for slip in slips(number) if CHECKS[name](slip)]


@pytest.mark.parametrize(
    ("name", "number"),
    [(name, n) for name in ("tw-id", "jp-my-number", "kr-rrn", "br-cpf") for n in VALID[name]],
)
def test_no_wrong_check_digit_passes(name: str, number: str) -> None:
    last = len(number) - 1
    assert not [slip for slip in slips(number, range(last, last + 1)) if CHECKS[name](slip)]


@given(card_numbers())
def test_luhn_accepts_cards_and_no_single_slip_of_them(number: str) -> None:
    assert CHECKS["luhn"](number)
    assert not any(map(CHECKS["luhn"], slips(number)))


@given(digits(15))
def test_luhn_agrees_with_the_arithmetic_of_the_standard(body: str) -> None:
    """ISO/IEC 7812-1, annex B: from the right, every second digit counts twice."""
    for last in DIGITS:
        number = body + last
        doubled = [int(d) * (2 if at % 2 else 1) for at, d in enumerate(reversed(number))]
        assert CHECKS["luhn"](number) == (sum(sum(divmod(d, 10)) for d in doubled) % 10 == 0)


@given(resident_ids())
def test_a_resident_id_is_accepted_and_no_single_slip_of_it(number: str) -> None:
    assert CHECKS["cn-resident-id"](number)
    assert not any(map(CHECKS["cn-resident-id"], slips(number)))


@given(resident_ids(old=True))
def test_an_old_resident_id_is_accepted(number: str) -> None:
    assert CHECKS["cn-resident-id"](number)


def resident_id(region: str, born: str, order: str = "123") -> str:
    body = region + born + order
    return body + ric.calc_check_digit(body + "0")


# A region is where and when the number was given out: people are older than their district, and
# police have used codes that no list of districts has.
@pytest.mark.parametrize(
    "region",
    [
        "110111",  # Fangshan, a district since 1986
        "110228",  # Miyun, a county until 2015
        "500112",  # Chongqing, a municipality since 1997
        "512201",  # Wanxian in Sichuan, until 1992
        "441900",  # Dongguan, without counties
        "460400",  # Danzhou, since 2015
        "429004",  # Xiantao, under the province itself
        "659001",  # Shihezi
        "370212",  # Laoshan
        "320571",  # an industrial park, in no list
        "810000",
        "820000",
        "830000",
    ],
)
def test_a_person_may_be_older_than_the_region_and_the_region_than_the_lists(region: str) -> None:
    assert CHECKS["cn-resident-id"](resident_id(region, "19490101"))


@pytest.mark.parametrize("region", ["000000", "160101", "110901", "990101", "470101", "700000"])
def test_a_region_that_never_was_is_refused(region: str) -> None:
    assert not CHECKS["cn-resident-id"](resident_id(region, "19900307"))


@pytest.mark.parametrize("born", ["19900230", "19901301", "19900001", "19900100", "20010229"])
def test_a_day_that_never_was_is_refused(born: str) -> None:
    assert not CHECKS["cn-resident-id"](resident_id("110105", born))
    assert not CHECKS["cn-resident-id"]("110105" + born[2:] + "123")


@given(st.dates(dt.date(1930, 1, 1), dt.date(2020, 12, 31)), digits(3), digits(3))
def test_a_foreigners_permanent_residence_number_is_accepted(
    born: dt.date, nationality: str, order: str
) -> None:
    assert CHECKS["cn-resident-id"](resident_id("931" + nationality, f"{born:%Y%m%d}", order))


@given(digits(11))
def test_an_aadhaar_has_one_right_check_digit(body: str) -> None:
    right = body + verhoeff.calc_check_digit(body)
    expected = [right] if body[0] in "23456789" and right != right[::-1] else []
    assert [body + last for last in DIGITS if CHECKS["aadhaar"](body + last)] == expected


USCC_LETTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"


@given(
    st.sampled_from(["91", "92", "93", "51", "12", "N1", "Y1", "A1"]),
    st.sampled_from(["110000", "330106", "440305", "100000"]),
    st.text(USCC_LETTERS, min_size=9, max_size=9),
)
def test_a_credit_code_has_one_right_check_character(kind: str, region: str, code: str) -> None:
    body = kind + region + code
    right = body + uscc.calc_check_digit(body)
    assert [body + last for last in BARE if CHECKS["cn-uscc"](body + last)] == [right]


@given(digits(18))
def test_an_iban_has_one_right_pair_of_check_digits(account: str) -> None:
    right = "DE" + mod_97_10.calc_check_digits(account + "DE") + account
    assert CHECKS["iban"](right)
    assert not any(map(CHECKS["iban"], slips(right)))


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("gb-nino", "QQ123456C"),  # HMRC's own placeholder
        ("gb-nino", "BG123456A"),
        ("gb-nino", "AO123456A"),
        ("gb-nino", "AB123456E"),
        ("us-ssn", "000010001"),
        ("us-ssn", "666010001"),
        ("us-ssn", "900010001"),
        ("us-ssn", "123000001"),
        ("us-ssn", "123010000"),
        ("us-itin", "812703456"),
        ("us-itin", "912933456"),
        ("in-pan", "ABCXE1234F"),
        ("in-pan", "ABCPE0000F"),
        ("aadhaar", "134123412346"),
        ("br-cpf", "11111111111"),
        ("kr-rrn", "9013071234561"),
        ("sg-nric", "A1234567D"),
        ("tw-id", "A323456789"),
        ("hk-id", "ABC123456"),
        ("iban", "XX89370400440532013000"),
        ("iban", "DE893704004405320130"),
        ("cn-uscc", "91990000600037341L"),
    ],
)
def test_what_no_issuer_gives_out_is_refused(name: str, number: str) -> None:
    assert not CHECKS[name](number)


def test_a_check_digit_of_luhn_is_one_in_ten() -> None:
    numbers = [f"411111111111{tail:04}" for tail in range(10_000)]
    assert sum(map(CHECKS["luhn"], numbers)) == sum(map(luhn.is_valid, numbers)) == 1000

"""Texts that hold no number of any rule: random strings, figures of everyday, plain sentences.

Each kind is a function of a random source to one text. The shapes are those of chat: how people and
programs write dates, phone numbers, amounts, order numbers, identifiers and times of day. Figures
are drawn by chance, so some of them have the shape of a real number, and its check digit
too: how often that happens to a rule is its chance-hit rate.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

Texts = Callable[[random.Random], str]

_CARRIERS = ("SF", "YT", "JD", "UPS", "1Z", "LP")
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _digits(chance: random.Random, count: int) -> str:
    return "".join(chance.choices("0123456789", k=count))


def random_digits(chance: random.Random) -> str:
    """3 to 20 digits, any of them."""
    return _digits(chance, chance.randint(3, 20))


def random_codes(chance: random.Random) -> str:
    """6 to 18 capital letters and digits, as codes of goods and parcels are: letters first."""
    letters = "".join(chance.choices(_CAPITALS, k=chance.randint(1, 4)))
    tail = chance.choice(["", chance.choice(_CAPITALS)])
    return letters + _digits(chance, chance.randint(5, 13)) + tail


def _moment(chance: random.Random) -> datetime:
    return datetime.fromtimestamp(chance.randint(946_684_800, 1_893_456_000), UTC)


def dates(chance: random.Random) -> str:
    """Days, as people and programs write them."""
    at = _moment(chance)
    forms = (
        "%Y-%m-%d",
        "%d/%m/%Y",
        "%m/%d/%y",
        "%Y%m%d",
        "%d.%m.%Y",
        "%Y年%m月%d日",
        "%d %b %Y",
        "%y%m%d",
    )
    return at.strftime(chance.choice(forms))


def phones(chance: random.Random) -> str:
    """Phone numbers of several countries, written as they are there."""
    d = _digits
    return chance.choice(
        [
            f"+1 {chance.randint(201, 989)}-{chance.randint(200, 999)}-{d(chance, 4)}",
            f"({chance.randint(201, 989)}) {chance.randint(200, 999)} {d(chance, 4)}",
            f"{chance.randint(201, 989)}{chance.randint(200, 999)}{d(chance, 4)}",
            f"1{chance.choice('3456789')}{d(chance, 9)}",
            f"+86 1{chance.choice('3456789')}{d(chance, 1)} {d(chance, 4)} {d(chance, 4)}",
            f"0{chance.choice(['10', '21', '571', '755'])}-{chance.randint(2, 8)}{d(chance, 7)}",
            f"+44 20 {d(chance, 4)} {d(chance, 4)}",
            f"07{d(chance, 3)} {d(chance, 6)}",
            f"+49 {chance.choice('1346789')}{d(chance, 2)} {d(chance, 7)}",
            f"+91 {chance.choice('6789')}{d(chance, 4)} {d(chance, 5)}",
            f"0{chance.choice('26789')} {d(chance, 4)} {d(chance, 4)}",
        ]
    )


def amounts(chance: random.Random) -> str:
    """Sums of money."""
    whole = chance.randint(1, 10 ** chance.randint(1, 9))
    cents = _digits(chance, 2)
    return chance.choice(
        [
            f"${whole:,}.{cents}",
            f"{whole}.{cents}元",
            f"￥{whole}",
            f"{whole:,} USD",
            f"EUR {whole}.{cents}",
            f"{whole} dollars",
            f"{whole}块{cents}",
        ]
    )


def orders(chance: random.Random) -> str:
    """Order, parcel and case numbers, with the word for them."""
    number = chance.choice(
        [
            _digits(chance, chance.randint(6, 20)),
            f"{_moment(chance):%Y%m%d}{_digits(chance, chance.randint(4, 10))}",
            chance.choice(_CARRIERS) + _digits(chance, chance.randint(9, 13)),
            f"{_digits(chance, 3)}-{_digits(chance, 7)}-{_digits(chance, 7)}",
        ]
    )
    words = (
        "order {}",
        "order number {}",
        "my order no. is {}",
        "订单号{}",
        "订单号是 {}",
        "快递单号{}",
        "tracking number {}",
        "ticket {}",
        "case number {}",
        "单号：{}",
        "invoice {}",
    )
    return chance.choice(words).format(number)


def uuids(chance: random.Random) -> str:
    """Identifiers of a machine's making: UUIDs, with and without dashes, and hashes."""
    one = uuid.UUID(int=chance.getrandbits(128), version=4)
    return chance.choice([str(one), one.hex, str(one).upper(), f"{chance.getrandbits(160):040x}"])


def timestamps(chance: random.Random) -> str:
    """Moments, as programs write them."""
    at = _moment(chance)
    seconds = int(at.timestamp())
    return chance.choice(
        [
            str(seconds),
            f"{seconds}{_digits(chance, 3)}",
            at.isoformat(),
            f"{at:%Y-%m-%d %H:%M:%S}.{at.day:03}",
            f"{at:%Y%m%d%H%M%S}",
            f"{at:%H:%M:%S}",
            f"{at:%d/%b/%Y:%H:%M:%S} +0000",
        ]
    )


_SENTENCES = (
    "I ordered {n} of them and only {s} came",
    "the meeting is at {s} in room {n}",
    "please call extension {n}",
    "my flight is number {n}, it leaves at {s}",
    "we have {n} people in line before you",
    "it says error {n}",
    "your case number is {n}",
    "the code on the box says {n}",
    "page {s} of {n}",
    "version {s}.{s}.{n}",
    "I live at {n} Main Street, apartment {s}",
    "the serial number is {n}",
    "my user id is {n}",
    "it was {n} dollars last year",
    "I have been waiting for {s} minutes",
    "the model number is {n}",
    "can you check item {n} for me?",
    "the reference is {n}",
    "row {s}, seat {s}, gate {n}",
    "there are {n} photos on my phone",
    "my bus is the {n}",
    "what is the number of the store?",
    "the zip code is {n}",
    "account manager {s} called me",
    "it weighs {n} grams",
    "see you in {n}",
    "the number {n} bus goes there",
    "his number on the team is {s}",
    "number {s} on the list",
    "thank you, that is all",
    "how do I change my address?",
    "I lost my card, what now?",
    "my id card has expired",
    "is the phone number on your site right?",
    "I forgot my password",
    "我买了{n}个，只到了{s}个",
    "会议在{n}房间，{s}点开始",
    "请拨打分机{n}",
    "航班{n}，{s}点起飞",
    "前面还有{n}位",
    "提示错误{n}",
    "您的工单号是{n}",
    "盒子上写着{n}",
    "第{s}页，共{n}页",
    "我住在{n}号楼{s}单元",
    "序列号是{n}",
    "用户名是{n}",
    "去年是{n}块",
    "我等了{s}分钟了",
    "型号{n}",
    "帮我查一下商品{n}",
    "编号{n}",
    "{s}排{s}座，登机口{n}",
    "手机里有{n}张照片",
    "坐{n}路公交",
    "你们门店的电话是多少",
    "邮编{n}",
    "重{n}克",
    "房间号{n}",
    "今天{s}号",
    "第{n}号",
    "号码牌是{n}",
    "谢谢，没有别的了",
    "怎么改地址",
    "我的卡丢了怎么办",
    "身份证过期了",
    "网站上的手机号对吗",
    "忘记密码了",
    "银行卡限额是{n}",
    "会员等级{s}",
    "数量{n}",
    "尺码{s}",
)


def sentences(chance: random.Random) -> str:
    """Plain sentences of customers, English and Chinese, with everyday figures in them."""
    figure = _digits(chance, chance.randint(3, 8)).lstrip("0") or "7"
    return chance.choice(_SENTENCES).format_map({"n": figure, "s": str(chance.randint(1, 30))})


KINDS: dict[str, Texts] = {
    "random-digits": random_digits,
    "random-codes": random_codes,
    "dates": dates,
    "phones": phones,
    "amounts": amounts,
    "orders": orders,
    "uuids": uuids,
    "timestamps": timestamps,
    "sentences": sentences,
}

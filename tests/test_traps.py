"""What looks like a card or an ID and is none, and what looks like none and is one.

Traps are built to be as bad as they can be: wherever a check digit could save the
engine, the number is made to pass it.
"""

from __future__ import annotations

import datetime as dt

import pytest
from stdnum import luhn
from stdnum.cn import ric

import strategies as my
from masker import Masker, Message

MASKER = Masker(rules=["payment-card", "cn-resident-id"])


def lucky(template: str) -> str:
    """Replace the ? in a number so that all its digits together pass Luhn."""
    for digit in "0123456789":
        filled = template.replace("?", digit)
        if luhn.is_valid("".join(c for c in filled if c in "0123456789")):
            return filled
    raise AssertionError(template)


def final_texts(messages: list[str | tuple[str, str]], delivery: my.Delivery) -> list[str]:
    timeline = my.Timeline()
    for message in messages:
        sender, text = ("user", message) if isinstance(message, str) else message
        timeline.say(text, sender=sender)
    redactor = MASKER.redactor(delivery=delivery)
    counter = my.play(timeline.sent, redactor.receive, redactor.close)
    assert not counter.unfinished()
    return [counter.final[s.key].text for s in timeline.sent]


HARMLESS: dict[str, list[str]] = {
    "fractions": ['{"score": 0.4111111111111111}', "p=0.5105105105105100,0.3782822463100050"],
    "phones": [
        "13800138000",
        "我的手机号是 13912345678，座机 010-62345678",
        "+86 138 0013 8000",
        "0086-138-0013-8000",
        "call me at (415) 555-0123 or 415-555-0199",
        "+1 415 555 0123",
        "+44 20 7946 0958",
        "400-800-8820",
        "电话 13800138000 或 13912345678",
        "13800138000/13912345678",
        "13800138000,13912345678,13700001111",
        "tel: 010 6234 5678 转 8012",
        # an area code and a phone number that pass Luhn under an Amex prefix
        lucky("37201 615-555-012?"),
        lucky("Nashville, TN 37201 (615) 555-012?"),
        lucky("my zip is 37201, phone 615555012?"),
        lucky("zip 37201 tel 615 555 012?"),
    ],
    "labelled order, waybill, ticket and case numbers": [
        lucky("订单号411111111111123?"),
        lucky("订单编号：622202123456789012?"),
        lucky("order no. 411111111111123?"),
        lucky("Order #510510510510123?"),
        lucky("order number: 4111 1111 1111 123?"),
        lucky("运单号 622202123456789?"),
        lucky("快递单号622202123456789?"),
        lucky("物流单号：555555555555123?"),
        lucky("tracking number 411111111111123?"),
        lucky("工单号 411111111111123?"),
        lucky("ticket 411111111111123?"),
        lucky("case number 411111111111123?"),
        lucky("Case ID: 510510510510123?"),
        lucky("流水号：622202123456789012?"),
        lucky("交易号 622202123456789012?"),
        lucky("invoice 411111111111123?"),
        lucky("发票号码 411111111111123?"),
        lucky("reference number 411111111111123?"),
        lucky("IMEI 35780502398494?"),
    ],
    "timestamps": [
        "1715932800000",
        lucky("时间戳 171593280012?"),
        lucky("ts=171593280000012?"),
        "20240517143025",
        "20240517143025123",
        lucky("2024051714302512?"),
        "2024-05-17 14:30:25.123456",
        "2024-05-17T14:30:25.123456789Z",
        "2024/05/17 14:30 - 2024/05/18 09:15",
        "05/17/2024 14:30:25",
        "17.05.2024 14.30.25",
        "[2024-05-17 14:30:25,123] 4021 INFO",
    ],
    "amounts": [
        "一共 4,111,111,111,111.11 元",
        "$1,234,567.89",
        "¥12,345,678.90 和 ¥98,765,432.10",
        "4111.11 + 1111.11 = 5222.22",
        "转了5000，又转了3000，还有2000和1500",
        "USD 4111 1111 times over",
        "三千五百六十二元七角八分",
        "一共一万二千三百四十五块六毛七",
    ],
    "dates and hours": [
        "营业时间 9:00-18:00，周末 10:00-16:00",
        "Mon-Fri 08:00-20:00, Sat 09:00-17:00, Sun 10:00-16:00",
        "2024年5月17日到2024年5月20日",
        "1990-03-07 2024-05-17 2023-01-02",
        "03/07/1990, 05/17/2024, 01/02/2023",
        "上午9点到12点，下午14点到18点30分",
        "08:00 09:00 10:00 11:00 12:00 13:00 14:00",
    ],
    "URLs, paste ids, file names": [
        lucky("https://example.com/p/411111111111123?"),
        lucky("http://paste.example.org/510510510510123?/"),
        lucky("https://example.com/item?id=622202123456789012?&x=1"),
        lucky("www.example.com/411111111111123?.html"),
        "https://example.com/2024/05/17/1715932800000.png",
        lucky("see example.com/q/4111-1111-1111-123?"),
    ],
    "UUIDs, hashes, identifiers": [
        "550e8400-e29b-41d4-a716-446655440000",
        lucky("41111111-1111-4111-8111-11111111111?"),
        lucky("62220212-3456-4890-8128-12345678901?"),
        "d41d8cd98f00b204e9800998ecf8427e",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        lucky("sha1: 411111111111123?abcdef00411111111111123"),
    ],
    "addresses of machines, versions": [
        "192.168.100.1 10.0.0.255 172.16.254.3",
        "192.168.0.1:8080, 192.168.0.2:8080",
        "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
        "v4.11.1111.1111",
        "Chrome/124.0.6367.201 Safari/537.36",
        "41.111.111.111 - 41.111.111.112",
        "39.9042, 116.4074",
        "(39.904202, 116.407394)",
    ],
    "tables": [
        lucky("4111\t1111\t1111\t123?"),
        lucky("a\tb\tc\td\n4111\t1111\t1111\t123?\n5105\t1051\t0510\t5100"),
        lucky("| 4111 | 1111 | 1111 | 123? |"),
        lucky("|qty|price|total|sum|\n|---|---|---|---|\n|4111|1111|1111|123?|"),
        lucky("name,qty,price,sum\nx,411111,11111,1123?\ny,510510,51051,05100"),
        lucky("Q1    Q2    Q3    Q4\n4111  1111  1111  123?\n5105  1051  0510  5100"),
        "1  2  3  4  5  6  7\n8  9 10 11 12 13 14\n15 16 17 18 19 20 21",
        "日期        数量    金额\n20240517    62220   2123456\n20240518    62221   2123457",
    ],
    "lists of numbers": [
        "1. 苹果\n2. 香蕉\n3. 橘子\n4. 梨",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
        "4 8 15 16 23 42",
        "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12",
        "16岁 18岁 20岁 22岁 24岁",
        "一二三四五六七八九十",
        "一、二、三、四、五、六、七、八、九",
        "3人 4间 5晚 200元 1200元",
        "42 wins, 11 losses, 11 draws, 11 goals",
    ],
    "plain talk": [
        "",
        " ",
        "你好",
        "等一下，三天后我再来一次，一共四五个人",
        "7 x 24",
        "1+1=2",
        "5*5*5",
        "2 large, 1 small, 3 cokes, room 402, 10 pm",
        "110101",
        "19900307",
        "4111",
        "6222 02",
        "4111 1111 1111 1112",
        "邮编 100080 电话 62345678",
    ],
}


@pytest.mark.parametrize(
    "text", [pytest.param(t, id=f"{k} {i}") for k, v in HARMLESS.items() for i, t in enumerate(v)]
)
def test_a_harmless_text_comes_back_untouched(text: str) -> None:
    assert MASKER.mask(text).text == text
    assert not MASKER.mask(text).findings


@pytest.mark.parametrize("delivery", ["revise", "hold"])
@pytest.mark.parametrize(
    "text", [pytest.param(t, id=f"{k} {i}") for k, v in HARMLESS.items() for i, t in enumerate(v)]
)
def test_a_harmless_message_comes_back_untouched(text: str, delivery: my.Delivery) -> None:
    talk: list[str | tuple[str, str]] = ["你好", text, "谢谢", ("agent", "不客气"), "bye"]
    assert final_texts(talk, delivery)[1] == text


HARMLESS_TALK: dict[str, list[str | tuple[str, str]]] = {
    "zip ends one message, phone starts the next": ["I live in 37201", "6155550121 is my number"],
    "order, then amount": ["order 41111111", "$1111.11", "for 1123"],
    "room, floor, door": ["我在4号楼", "11层", "1101室", "门口有1个快递"],
    "phone, then code": ["13800138000", "验证码 482913"],
    "answers to a form": [
        ("agent", "zip?"),
        "37201",
        ("agent", "phone?"),
        "615 555 0123",
        ("agent", "how many people?"),
        "4",
        ("agent", "what time?"),
        "19:30",
    ],
    "问答": [
        ("agent", "请问几位用餐？"),
        "4位",
        ("agent", "几点到？"),
        "11点11分",
        ("agent", "留个电话"),
        "13800138000",
        ("agent", "订单号发一下"),
        lucky("62220212345678?"),
    ],
    "order number asked for": [
        ("agent", "请提供一下订单号"),
        lucky("411111111111123?"),
    ],
    "order number asked for in English": [
        ("agent", "could you send me your order number?"),
        lucky("411111111111123?"),
    ],
    "order number over two messages": [
        ("agent", "订单号是多少"),
        "订单号 62220212",
        lucky("3456789?"),
    ],
    "times": ["at 4", "or 11:11", "no, 11:12", "10 people"],
    "dates": ["1990-03-07", "2024-05-17"],
    "prices, one a message": ["41", "111", "1111", "11", "1111 元"],
    "counting": [str(n) for n in range(1, 21)],
    "scores": ["3:2", "4:1", "1:1", "1:0"],
    "table rows as messages": ["4111\t1111", "1111\t1112", "5105\t1051"],
    "timestamps": ["1715932800", "1715932801", "1715932802"],
    "two phones": ["13800138000", "13912345678"],
    "phone in two parts": ["138 0013", "8000"],
    "phone in two parts, US": ["my number is 415 555", "0123"],
}


@pytest.mark.parametrize("delivery", ["revise", "hold"])
@pytest.mark.parametrize("name", HARMLESS_TALK)
def test_harmless_talk_comes_back_untouched(name: str, delivery: my.Delivery) -> None:
    messages = HARMLESS_TALK[name]
    texts = [m if isinstance(m, str) else m[1] for m in messages]
    assert final_texts(messages, delivery) == texts


def zip_and_phone() -> list[tuple[str, str]]:
    """Every ZIP with an Amex prefix we try, with a phone that makes 15 digits pass Luhn."""
    return [
        (str(zip_code), lucky(f"{zip_code}{area}55501?7")[5:])
        for zip_code in (34110, 34205, 37201, 37027, 37402, 37919)
        for area in (615, 239, 423)
    ]


@pytest.mark.parametrize("delivery", ["revise", "hold"])
@pytest.mark.parametrize(("zip_code", "phone"), zip_and_phone())
def test_a_zip_and_a_phone_are_no_amex_card(
    zip_code: str, phone: str, delivery: my.Delivery
) -> None:
    for messages in (
        [f"I'm in {zip_code}", f"{phone[:3]}-{phone[3:6]}-{phone[6:]}"],
        [f"zip {zip_code}", f"phone {phone}"],
        [f"Nashville TN {zip_code}", f"({phone[:3]}) {phone[3:6]}-{phone[6:]}"],
    ):
        assert final_texts([*messages], delivery) == messages


# --- and what must be masked -----------------------------------------------------------

CARD = "5105105105105100"  # issued test numbers, and one made up with a right check digit
UNIONPAY_19 = "6222021234567890128"
ID = "11010519491231002X"

WHOLE: dict[str, tuple[str, str]] = {
    "beside Hanzi": ("卡号5105105105105100谢谢", "卡号************5100谢谢"),
    "the interface's own": ("卡号6222021234567890128谢谢", "卡号***************0128谢谢"),
    "beside letters": ("card5105105105105100ok", "card************5100ok"),
    "between letters": ("pan:5105105105105100,exp", "pan:************5100,exp"),
    "spaces": ("5105 1051 0510 5100", "**** **** **** 5100"),
    "dashes": ("5105-1051-0510-5100", "****-****-****-5100"),
    "dots": ("5105.1051.0510.5100", "****.****.****.5100"),
    "slashes": ("5105/1051/0510/5100", "****/****/****/5100"),
    "commas": ("5105,1051,0510,5100", "****,****,****,5100"),
    "full-width commas": ("5105，1051，0510，5100", "****，****，****，5100"),
    "middle dots": ("5105·1051·0510·5100", "****·****·****·5100"),
    "no-break spaces": ("5105\xa01051\xa00510\xa05100", "****\xa0****\xa0****\xa05100"),
    "ideographic spaces": ("5105　1051　0510　5100", "****　****　****　5100"),
    "zero width": ("5105\u200b1051\u200b0510\u200b5100", "****\u200b****\u200b****\u200b5100"),
    "underscores": ("5105_1051_0510_5100", "****_****_****_5100"),
    "long dashes": ("5105—1051–0510―5100", "****—****–****―5100"),
    "runs": ("5105 - 1051 - 0510 -- 5100", "**** - **** - **** -- 5100"),
    "single digits": ("5 1 0 5 1 0 5 1 0 5 1 0 5 1 0 0", "* * * * * * * * * * * * 5 1 0 0"),
    "single digits, dashes": ("-".join(CARD), "-".join("*" * 12 + CARD[-4:])),
    "odd groups": ("510 51051 051 05100", "*** ***** *** *5100"),
    "full width": ("５１０５１０５１０５１０５１００", "************５１００"),
    "circled": ("⑤①⓪⑤①⓪⑤①⓪⑤①⓪⑤①⓪⓪", "************⑤①⓪⓪"),
    "Hanzi": ("卡号五一零五一零五一零五一零五一零零", "卡号************五一零零"),
    "Hanzi, spoken": ("五幺〇五幺〇五幺〇五幺〇五幺〇〇", "************五幺〇〇"),
    "formal": ("伍壹零伍壹零伍壹零伍壹零伍壹零零", "************伍壹零零"),
    "mixed": ("5１〇五①⁰٥1零伍۱𝟎⑤幺0０", "************⑤幺0０"),
    "lines": ("5105\n1051\n0510\n5100", "****\n****\n****\n5100"),
    "lines of digits": ("\n".join(CARD), "\n".join("*" * 12 + CARD[-4:])),
    "expiry follows": ("5105105105105100 12/27 123", "************5100 12/27 123"),
    "ID": ("11010519491231002X", "**************002X"),
    "ID, small x": ("身份证11010519491231002x。", "身份证**************002x。"),
    "ID, full width": ("１１０１０５１９４９１２３１００２Ｘ", "**************００２Ｘ"),
    "ID, as it is said": (
        "幺幺零幺零五幺九四九幺二三幺零零二叉",
        "**************零零二叉",
    ),
    "ID, grouped": ("110105 19491231 002X", "****** ******** 002X"),
    "ID, single digits": (" ".join(ID), " ".join("*" * 14 + ID[-4:])),
    "ID between letters": ("abc11010519491231002Xdef", "abc**************002Xdef"),
    "ellipses": ("5105…1051…0510…5100", "****…****…****…5100"),
    "dots without end": ("5105……1051……0510……5100", "****……****……****……5100"),
    "apostrophes": ("5105'1051'0510'5100", "****'****'****'5100"),
    "an amount's sign": ("￥5105 1051 0510 5100", "￥**** **** **** 5100"),
    "an amount's word": ("5105-1051-0510-5100元", "****-****-****-5100元"),
    "behind an amount": ("paid $100 5105 1051 0510 5100", "paid $100 **** **** **** 5100"),
    "ID before letters": ("ID11010519491231002X号", "ID**************002X号"),
    "old ID, labelled": ("身份证号110105491231002", "身份证号***********1002"),
    "rare separators": ("5105⁄1051․0510﹒5100", "****⁄****․****﹒5100"),
    "blanks that are letters": (
        "5105\u31641051\u28000510\uffa05100",
        "****\u3164****\u2800****\uffa05100",
    ),
    "a phone behind": ("5105105105105100 13800138000", "************5100 13800138000"),
    "ID, put right": (
        "身份证号110105，19481231不对，19491231，002X",
        "身份证号******，********不对，********，002X",
    ),
    "old ID, another part named": ("身份证号110105491231还有002", "身份证号***********1还有002"),
    "ID, in threes": ("身份证号110,105,194,912,310,021", "身份证号***,***,***,***,**0,021"),
    "card, in threes": (
        "my card number is 378,282,246,310,005",
        "my card number is ***,***,***,**0,005",
    ),
    "before another, digit by digit": (
        "12/27 123１1010519491231002X好的5 1 0 5 1 0 5 1 0 5 1 0 5 1 0 0 9 9 9 9",
        "12/27 123**************002X好的* * * * * * * * * * * * 5 1 0 0 9 9 9 9",
    ),
    "several": (
        "5105105105105100 和 6222021234567890128",
        "************5100 和 ***************0128",
    ),
    "in brackets": ("(5105105105105100)", "(************5100)"),
    "quoted": ('"5105105105105100"', '"************5100"'),
    "equals": ("card=5105105105105100&x=1", "card=************5100&x=1"),
    "JSON": ('{"card": "5105105105105100"}', '{"card": "************5100"}'),
    "after a colon": ("Visa:4111111111111111", "Visa:************1111"),
    "after an order of words": (
        "我要查订单，卡号是5105105105105100",
        "我要查订单，卡号是************5100",
    ),
    "order elsewhere": (
        "for my order please charge card 5105105105105100",
        "for my order please charge card ************5100",
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_number_is_masked(name: str) -> None:
    text, expected = WHOLE[name]
    assert MASKER.mask(text).text == expected


@pytest.mark.parametrize("delivery", ["revise", "hold"])
@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_number_in_a_message_is_masked(name: str, delivery: my.Delivery) -> None:
    text, expected = WHOLE[name]
    assert final_texts(["你好", text, "谢谢"], delivery)[1] == expected


# What each person sends; what is stored. A digit in the expected text is one of a last four.
PIECES: dict[str, tuple[list[str | tuple[str, str]], list[str]]] = {
    "two parts": (["51051051", "05105100"], ["********", "****5100"]),
    "equal parts": (["4111", "1111", "1111", "1111"], ["****", "****", "****", "1111"]),
    "one digit a message": ([*CARD], ["*"] * 12 + [*CARD[-4:]]),
    "ID, one digit a message": ([*ID], ["*"] * 14 + [*ID[-4:]]),
    "the last digit alone": (["510510510510510", "0"], ["************510", "0"]),
    "the first digit alone": (["5", "105105105105100"], ["*", "***********5100"]),
    "text before and after": (
        ["我的卡号是 5105 1051", "0510 5100 谢谢"],
        ["我的卡号是 **** ****", "**** 5100 谢谢"],
    ),
    "other party between": (
        ["51051051", ("agent", "嗯，请继续"), "05105100"],
        ["********", "嗯，请继续", "****5100"],
    ),
    "small talk between": (
        ["51051051", "等一下", "我去拿卡", "05105100"],
        ["********", "等一下", "我去拿卡", "****5100"],
    ),
    "labels": (
        ["前面是51051051", "后面是05105100"],
        ["前面是********", "后面是****5100"],
    ),
    "labels, English": (
        ["it starts with 5105 1051", "then 0510", "and the last four 5100"],
        ["it starts with **** ****", "then ****", "and the last four 5100"],
    ),
    "ID with labels": (
        ["前六位110105", "然后是19491231", "最后四位002X"],
        ["前六位******", "然后是********", "最后四位002X"],
    ),
    "mistyped, named behind its last part": (
        ["5105", "1051", "0510", "5101 is my card number"],
        ["****", "****", "****", "5101 is my card number"],
    ),
    "mistyped ID, named behind its last part": (
        ["110101", "19900307", "1234 这是我的身份证号"],
        ["******", "********", "1234 这是我的身份证号"],
    ),
    "a part put right": (
        [("agent", "请报一下银行卡号"), "5105", "1551", "不对，是1051", "0510", "5100"],
        ["请报一下银行卡号", "****", "****", "不对，是****", "****", "5100"],
    ),
    "a part put right, ID": (
        ["身份证号110105", "19481231", "写错了，19491231", "002X"],
        ["身份证号******", "********", "写错了，********", "002X"],
    ),
    "small talk with labels and numbers": (
        [
            ("agent", "card number please"),
            "5105",
            "1051",
            "its 10pm here",
            "then it's 0510",
            "5100",
        ],
        [
            "card number please",
            "****",
            "****",
            "its 10pm here",
            "then it's ****",
            "5100",
        ],
    ),
    "the number's whole name": (
        ["身份证号码", "110101", "19900307", "然后1234"],
        ["身份证号码", "******", "********", "然后1234"],
    ),
    "one digit between fillers": (
        ["我的卡号是5105", "嗯，一", "05105", "接着幺啊，05100"],
        ["我的卡号是****", "嗯，*", "*****", "接着*啊，*5100"],
    ),
    "X, and a date behind": (
        ["11010519491231002", "最后X，有效期12/27"],
        ["**************002", "最后X，有效期12/27"],
    ),
    "old ID, asked for": (
        [("agent", "请问您的身份证号码方便报一下吗"), "110105491231", "嗯，002"],
        ["请问您的身份证号码方便报一下吗", "***********1", "嗯，002"],
    ),
    "each part in another script": (
        ["5105", "１０５１", "〇五幺〇", "⑤①⓪⓪"],
        ["****", "****", "****", "⑤①⓪⓪"],
    ),
    "the same text again": (
        ["51051051", "51051051", "05105100"],
        ["********", "********", "****5100"],
    ),
    "expiry follows": (
        ["51051051", "05105100", "12/27", "123"],
        ["********", "****5100", "12/27", "123"],
    ),
    "a tail in mid-sentence": (
        ["卡号510510510", "5105100就是这个，帮我查下"],
        ["卡号*********", "***5100就是这个，帮我查下"],
    ),
    "UnionPay 19": (
        ["622202", "1234567", "890128"],
        ["******", "*******", "**0128"],
    ),
    "lines and messages": (["5105\n1051", "0510\n5100"], ["****\n****", "****\n5100"]),
    "small talk with numerals between": (
        ["五一零五一零五一", "三天了还没到账", "零五一零五一零零"],
        ["********", "三天了还没到账", "****五一零零"],
    ),
    "an amount between, asked for": (
        [("agent", "请报一下银行卡号"), "51051051", "对了，上次扣了50元", "05105100"],
        ["请报一下银行卡号", "********", "对了，上次扣了50元", "****5100"],
    ),
}


@pytest.mark.parametrize("delivery", ["revise", "hold"])
@pytest.mark.parametrize("name", PIECES)
def test_a_number_in_pieces_is_put_together(name: str, delivery: my.Delivery) -> None:
    messages, expected = PIECES[name]
    assert final_texts(messages, delivery) == expected


NUMBERED_TALK = (
    "稍等2分钟", "wait 5 min", "give me 2 minutes", "等我10秒", "我3点要开会", "brb 30 seconds",
    "我有2张卡", "15%的电了快没电了", "还有8位", "共2段，这是第1段",
    "2 people are talking to me, wait",
)  # fmt: skip


@pytest.mark.parametrize("delivery", ["revise", "hold"])
@pytest.mark.parametrize("talk", NUMBERED_TALK)
def test_talk_with_small_numbers_parts_nothing(talk: str, delivery: my.Delivery) -> None:
    messages: list[str | tuple[str, str]] = ["前面是51051051", talk, "后面是05105100"]
    assert final_texts(messages, delivery) == ["前面是********", talk, "后面是****5100"]
    messages = ["51051051", talk, "05105100"]
    assert final_texts(messages, delivery) == ["********", talk, "****5100"]


LUCKY_18 = lucky("62220212345678901?")

# What the words that called a number leave alone, once it was given.
AFTER_A_NUMBER: dict[str, tuple[list[str | tuple[str, str]], list[str]]] = {
    "a quantity before": (
        ["medium 1", f"我的卡号是{LUCKY_18}"],
        ["medium 1", f"我的卡号是{'*' * 14}{LUCKY_18[-4:]}"],
    ),
    "quantities behind": (
        [f"我的卡号是{LUCKY_18}", "2 agua frescas", "2 brownies", "2"],
        [f"我的卡号是{'*' * 14}{LUCKY_18[-4:]}", "2 agua frescas", "2 brownies", "2"],
    ),
    "an address and a phone behind": (
        [f"my card number is {CARD}", "98 wild rose st, houston tx 77016", "2584587777"],
        [f"my card number is {'*' * 12}5100", "98 wild rose st, houston tx 77016", "2584587777"],
    ),
    "an address and a phone before": (
        ["98 wild rose st, houston tx 77016", "2584587777", f"the card is {CARD}"],
        ["98 wild rose st, houston tx 77016", "2584587777", f"the card is {'*' * 12}5100"],
    ),
    "a score beside a bare card": (
        ["评分可以，是4.5分。", CARD, "4.7分，是值得一去的景点！"],
        ["评分可以，是4.5分。", "*" * 12 + "5100", "4.7分，是值得一去的景点！"],
    ),
    "a phone called one before an ID": (
        ["请您记好了，电话是010-62881144。", *ID],
        ["请您记好了，电话是010-62881144。", *"*" * 14, *ID[-4:]],
    ),
}


@pytest.mark.parametrize("delivery", ["revise", "hold"])
@pytest.mark.parametrize("name", AFTER_A_NUMBER)
def test_words_call_the_number_they_name_and_no_other(name: str, delivery: my.Delivery) -> None:
    messages, expected = AFTER_A_NUMBER[name]
    assert final_texts(messages, delivery) == expected


@pytest.mark.parametrize("delivery", ["revise", "hold"])
def test_two_parties_dictate_at_once(delivery: my.Delivery) -> None:
    messages: list[str | tuple[str, str]] = [
        ("anna", "51051051"),
        ("bert", "411111"),
        ("anna", "05105100"),
        ("bert", "1111111111"),
    ]
    assert final_texts(messages, delivery) == ["********", "******", "****5100", "******1111"]


def test_the_made_up_numbers_are_what_they_seem() -> None:
    assert luhn.is_valid(CARD)
    assert luhn.is_valid(UNIONPAY_19)
    assert ric.is_valid(ID)


@pytest.mark.parametrize("advanced", [True, False])
def test_an_answer_that_comes_too_late_is_no_answer(advanced: bool) -> None:
    redactor = MASKER.redactor()
    asked = dt.datetime(2024, 5, 17, 12, tzinfo=dt.UTC)
    late = asked + dt.timedelta(seconds=601)
    redactor.receive(Message("c", "q", "agent", "请报一下银行卡号", asked))
    if advanced:
        redactor.advance(late)
    redactor.receive(Message("c", "m", "user", "5105105105105101", late))
    (out,) = redactor.close()
    assert (out.text, out.findings) == ("5105105105105101", ())


def test_the_first_digit_of_a_number_may_stand_behind_another() -> None:
    said: list[str | tuple[str, str]] = ["5105105105105100 4", "111111111111111"]
    assert final_texts(said, "revise") == ["************5100 *", "***********1111"]

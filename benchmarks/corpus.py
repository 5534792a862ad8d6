"""Mixed support chat, made up from a seed, with numbers planted in it.

The corpus is the same on every machine and in every process: it depends on the seed and
the count alone. Many conversations run at once, as they do at a support desk, so that two
messages of one conversation stand far apart in the stream. Of all messages

* 15 % hold digits: orders, amounts, times, phones, quantities, dates, and
* 1 % hold a whole bank card or PRC resident ID (bare, in groups, or against a Hanzi),
* 1 % hold a part of one, cut over two to four messages with others in between.

About half the conversations are Chinese; every second message of those holds a Hanzi
numeral as an ordinary word (一下, 三天), for that is what real ones do.

Where each character of a planted number stands is recorded, so that `leaks.py` can count
what any system let through without asking that system.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

DEFAULT_MESSAGES = 50_000
DEFAULT_SEED = 2

DIGIT_SHARE = 0.15
WHOLE_SHARE = 0.01
FRAGMENT_SHARE = 0.01
PARTS = (2, 3, 4)

# A desk of this size has as many conversations open at any moment.
LIVE_CONVERSATIONS = 200
MESSAGES_PER_CONVERSATION = (8, 48)
# Seconds from one message of the whole stream to the next: about ten within a conversation.
STREAM_GAP = 10 / LIVE_CONVERSATIONS
FIRST_MESSAGE_AT = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
FIRST_BIRTH = datetime(1950, 1, 1, tzinfo=UTC)
# People say a second thing in the same message this often; it brings the average length to
# what support chats have.
SECOND_SENTENCE_EN = 0.15
SECOND_SENTENCE_ZH = 0.5

Language = Literal["en", "zh"]
Way = Literal["plain", "separated", "beside-hanzi", "split"]


class Sent(NamedTuple):
    """One message of the stream, before any system has made its own object of it."""

    conversation_id: str
    message_id: str
    sender: str
    text: str
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class Planted:
    """A number in the corpus: where each of its characters stands."""

    kind: Literal["card", "resident-id"]
    way: Way
    conversation_id: str
    # (index into Corpus.messages, offset in its text), in the number's own order.
    places: tuple[tuple[int, int], ...]

    @property
    def split(self) -> bool:
        return self.way == "split"


@dataclass(frozen=True, slots=True)
class Corpus:
    seed: int
    messages: tuple[Sent, ...]
    planted: tuple[Planted, ...]
    # Messages with a part of a number whose last part lies beyond the stream's end.
    unfinished: frozenset[int]

    @property
    def digest(self) -> str:
        """Names the corpus, so that two processes can be shown to have run the same one."""
        digest = hashlib.sha256()
        for message in self.messages:
            digest.update("\x1f".join((*message[:4], message.timestamp.isoformat())).encode())
        return digest.hexdigest()[:16]


def _lines(block: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in block.strip().splitlines())


# What people say. {} is filled with something that holds digits.

SMALL_TALK_EN = _lines("""
    Hi, I have a question about my account if you have a moment
    Thank you so much for your help with this today
    Could you please check what is going on with my delivery?
    I tried to log in again this morning but it still fails
    Sorry for the wait, I am looking into it for you right now
    Is there anything else I can help you with this afternoon?
    The app keeps closing every time I open the payment page
    No, I have not received any email from you about that yet
    Sure, take your time, I will stay on the chat until it is done
    That would be great, please go ahead and cancel it for me
    I think somebody else may have used my account last weekend
    Okay, and how long does a refund normally take to come back?
    I would like to change my seat to one near a window, please
    My internet has been very slow since the storm last night
    Let me check that with my colleague in the billing team first
    Perfect, that is exactly what I was looking for, many thanks
    I am afraid that plan is no longer available for new customers
    The parcel says delivered but nobody rang at my door at all
    Can I speak with a person instead of the bot, please?
    Yes, the name on the booking is the same as on my account
    Please hold on while I pull up the details of your booking
    ok
    thanks!
    yes please
    one moment
    got it, thank you
""")
DIGITS_EN = _lines("""
    My order number is {order} and it has not arrived yet
    I was charged {amount} twice for the same thing this month
    You can reach me on {phone} any time after {time}
    I ordered {quantity} pairs of shoes and only got one box today
    The flight leaves on {date} at {time}, can I still change it?
    It should be between {amount} and {amount} for the whole package
    Your ticket {order} was opened on {date}, let me look at it
    Our shop on Mill Road is open from {time} to {time} on weekdays
    I have been waiting for {quantity} days now, this is not good
    We will refund {amount} within {quantity} working days to you
    Tracking says {order}, but the page does not know about it
    Call us at {phone} if the problem comes back, we are here
    Room {quantity} for {quantity} nights from {date}, please
""")
SMALL_TALK_ZH = _lines("""
    你好，在吗
    谢谢您的帮助
    我的快递怎么还没到
    好的，我明白了
    请问什么时候可以发货呢
    麻烦帮我取消订单吧
    页面打不开，提示网络错误
    不客气，祝您生活愉快
    我想改一下收货地址，可以吗？这边搬家了
    账号登录不上去，密码也改过了
    抱歉让您久等了，正在为您查询
    退款什么时候能到账啊
    没有收到短信，是不是号码填错了
    嗯嗯
    好的
    可以的
    你们客服电话打不通
    商品有破损，需要换货
""")
SMALL_TALK_ZH_NUMERAL = _lines("""
    稍等一下，我帮您看看
    麻烦您查一下物流信息
    等了三天了还没有消息
    一直显示处理中，怎么回事
    我买了两个，只收到一个
    请您再说一遍好吗
    这是第一次在你们这里买东西
    十分抱歉给您带来不便
    万一丢件了怎么办呀
    一般两三个工作日就能到
    我们一起来看看这个问题
    您可以去附近任意一家门店办理
    帮我看一下这一笔是什么扣款
    有一点小问题想咨询
    四五个人住一间房可以吗
    过一会儿再联系您，好吗
    统一回复：活动已经结束了哦
    一共多少钱啊，能便宜一点吗
""")
DIGITS_ZH = _lines("""
    订单号{order}，麻烦看看到哪了
    我付了{amount}元，怎么显示未支付
    手机号是{phone}，下午都在
    我要{quantity}件，{quantity}号能到吗
    {date}下的单，今天还没发货
    营业时间是{time}到{time}
    运单{order}已经签收
    退款{amount}元，{quantity}个工作日到账
    房间{quantity}间，{date}入住
    请拨打{phone}联系门店
    人均消费{quantity}元左右
    工单{order}已受理
""")
DIGITS_ZH_NUMERAL = _lines("""
    查一下订单{order}，谢谢
    等了一下午，{time}还没人来
    一共{amount}元，优惠{quantity}元
    我一直打{phone}没人接
    买了两个，一个{amount}元
    第一次是{date}反馈的
    请稍等一下，{time}前给您回电
    一般{quantity}天左右到货
""")

WHOLE_CARD_EN = (
    "{}",
    "my card number is {}",
    "Here is the card: {} thanks",
    "please charge {} for the fee",
    "It is {}, the name on it is the same",
    "card {} was declined again today",
)
WHOLE_ID_EN = ("{}", "my ID number is {}", "resident ID: {} please verify", "the ID is {}, thanks")
WHOLE_CARD_ZH = (
    "{}",
    "卡号{}谢谢",
    "我的卡号是{}，麻烦查一下",
    "银行卡{}扣款失败",
    "请退到{}这张卡",
    "卡号：{}",
)
WHOLE_ID_ZH = ("{}", "身份证{}", "身份证号码是{}，麻烦登记一下", "证件号{}本人", "身份证号：{}")

# A part of a number: bare in most cases, else with something around it.
FIRST_PART_EN = ("{}", "{}", "my card is {}", "it starts with {}", "number: {}")
NEXT_PART_EN = ("{}", "{}", "{}", "then {}", "and {}")
LAST_PART_EN = ("{}", "{}", "{}", "and finally {}", "{} that is all")
FIRST_PART_ZH = ("{}", "{}", "我的号码是{}", "前面是{}", "卡号{}")
NEXT_PART_ZH = ("{}", "{}", "{}", "然后{}", "接着是{}")
LAST_PART_ZH = ("{}", "{}", "{}", "后面是{}", "{}，就这些")
ASKED_EN = ("Could you send me the number in full, please?", "Which number is it, please?")
ASKED_ZH = ("请提供一下完整的号码", "麻烦发一下卡号或者证件号")
BETWEEN_EN = ("ok", "go on", "one sec, the light is bad here", "yes?", "hold on please", "mm hm")
BETWEEN_ZH = ("好的", "嗯，继续", "等下，看不清", "请继续", "稍等", "您说")

# Issuer prefix and length. ISO/IEC 7812-1; the networks' published ranges; lengths of
# UnionPay cards go with their issuer.
CARDS_EN = (
    ("4", 16),
    ("4", 16),
    ("4", 16),
    ("51", 16),
    ("53", 16),
    ("55", 16),
    ("2221", 16),
    ("2720", 16),
    ("34", 15),
    ("37", 15),
    ("3528", 16),
    ("3589", 16),
    ("36", 14),
    ("6011", 16),
    ("65", 16),
    ("6759", 18),
    ("2200", 16),
    ("622588", 16),
    ("622848", 19),
)
CARDS_ZH = (
    ("622202", 19),
    ("621226", 19),
    ("622700", 19),
    ("621700", 19),
    ("622848", 19),
    ("621799", 19),
    ("622588", 16),
    ("621483", 16),
    ("625", 16),
    ("4", 16),
    ("52", 16),
)
# GB/T 2260: county codes, of ten large cities.
REGIONS = (
    "110101",
    "310104",
    "440305",
    "330106",
    "510104",
    "420106",
    "320102",
    "500103",
    "610104",
    "370202",
)
# GB 11643-1999, the check character of an 18-digit ID.
ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
ID_CHECKS = "10X98765432"


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices("0123456789", k=count))


def card_number(rng: random.Random, language: Language) -> str:
    """A made-up card number: a real prefix and length, random digits, a Luhn check digit."""
    prefix, length = rng.choice(CARDS_ZH if language == "zh" else CARDS_EN)
    body = prefix + _digits(rng, length - len(prefix) - 1)
    total = 0
    for position, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if position % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return body + str(-total % 10)


def resident_id(rng: random.Random) -> str:
    """A made-up 18-character resident ID: a real county, a possible birth date."""
    born = FIRST_BIRTH + timedelta(days=rng.randrange(20000))
    body = f"{rng.choice(REGIONS)}{born:%Y%m%d}{_digits(rng, 3)}"
    total = sum(int(digit) * weight for digit, weight in zip(body, ID_WEIGHTS, strict=True))
    return body + ID_CHECKS[total % 11]


def _order(rng: random.Random) -> str:
    return rng.choice(("A", "", "", "")) + f"2026{_digits(rng, rng.choice((6, 8, 8, 10)))}"


def _amount(rng: random.Random, language: Language) -> str:
    value = (
        f"{rng.randrange(5, 3000)}.{_digits(rng, 2)}"
        if rng.random() < 0.6
        else str(rng.randrange(5, 3000))
    )
    return value if language == "zh" else f"${value}"


def _phone(rng: random.Random, language: Language) -> str:
    if language == "zh":
        if rng.random() < 0.3:
            return f"010-{rng.randrange(5, 9)}{_digits(rng, 7)}"
        return f"1{rng.choice('3456789')}{_digits(rng, 9)}"
    # 555-0100 to 555-0199 belong to nobody.
    area, line = rng.randrange(201, 990), rng.randrange(100, 200)
    return rng.choice(("({}) 555-0{}", "{}-555-0{}", "+1 {} 555 0{}")).format(area, line)


def _date(rng: random.Random, language: Language) -> str:
    month, day = rng.randrange(1, 13), rng.randrange(1, 29)
    if language == "zh":
        return rng.choice((f"{month}月{day}日", f"2026-{month:02}-{day:02}"))
    return rng.choice((f"{month:02}/{day:02}/2026", f"{month}/{day}", f"2026-{month:02}-{day:02}"))


def _fill(rng: random.Random, template: str, language: Language) -> str:
    fields: dict[str, Callable[[], str]] = {
        "{order}": lambda: _order(rng),
        "{amount}": lambda: _amount(rng, language),
        "{phone}": lambda: _phone(rng, language),
        "{date}": lambda: _date(rng, language),
        "{time}": lambda: f"{rng.randrange(24)}:{rng.choice(('00', '15', '30', '45'))}",
        "{quantity}": lambda: str(rng.randrange(2, 200)),
    }
    for field, value in fields.items():
        while field in template:
            template = template.replace(field, value(), 1)
    return template


def ordinary(rng: random.Random, language: Language, *, digits: bool) -> str:
    """A message that holds no planted number."""
    if language == "en":
        text = _fill(rng, rng.choice(DIGITS_EN if digits else SMALL_TALK_EN), language)
        if rng.random() < SECOND_SENTENCE_EN:
            return f"{rng.choice(SMALL_TALK_EN)}. {text}"
        return text
    numeral = rng.random() < 0.5
    if digits:
        text = _fill(rng, rng.choice(DIGITS_ZH_NUMERAL if numeral else DIGITS_ZH), language)
    else:
        text = rng.choice(SMALL_TALK_ZH_NUMERAL if numeral else SMALL_TALK_ZH)
    if rng.random() < SECOND_SENTENCE_ZH:
        return f"{rng.choice(SMALL_TALK_ZH)}，{text}"
    return text


@dataclass(slots=True)
class _Draft:
    """A message whose place in the stream is not known yet; `held` names its number parts."""

    sender: str
    text: str
    # (number within the conversation, offset of each of its characters in `text`)
    held: tuple[tuple[int, tuple[int, ...]], ...] = ()


@dataclass(slots=True)
class _Conversation:
    identity: str
    drafts: list[_Draft]
    # (kind, way) of each number, by its index within the conversation.
    numbers: list[tuple[Literal["card", "resident-id"], Way]]


def _grouped(rng: random.Random, value: str, kind: str) -> str:
    separator = rng.choice((" ", " ", "-"))
    if kind == "resident-id":
        groups = [value[:6], value[6:14], value[14:]]
    else:
        groups = [value[start : start + 4] for start in range(0, len(value), 4)]
    return separator.join(groups)


def _placed(written: str, template: str) -> tuple[str, tuple[int, ...]]:
    """The template with a number written into it, and where the number's characters stand."""
    start = template.index("{}")
    offsets = tuple(start + at for at, char in enumerate(written) if char not in " -")
    return template.replace("{}", written), offsets


def _number(rng: random.Random, language: Language) -> tuple[Literal["card", "resident-id"], str]:
    if rng.random() < (0.4 if language == "zh" else 0.1):
        return "resident-id", resident_id(rng)
    return "card", card_number(rng, language)


def _add_whole(rng: random.Random, conversation: _Conversation, language: Language) -> None:
    kind, value = _number(rng, language)
    templates = {
        ("card", "en"): WHOLE_CARD_EN,
        ("card", "zh"): WHOLE_CARD_ZH,
        ("resident-id", "en"): WHOLE_ID_EN,
        ("resident-id", "zh"): WHOLE_ID_ZH,
    }[kind, language]
    template = rng.choice(templates)
    separated = rng.random() < 0.35
    written = _grouped(rng, value, kind) if separated else value
    text, offsets = _placed(written, template)
    beside = any("一" <= char <= "鿿" for char in text[offsets[0] - 1 : offsets[0]]) or any(
        "一" <= char <= "鿿" for char in text[offsets[-1] + 1 : offsets[-1] + 2]
    )
    way: Way = "separated" if separated else "beside-hanzi" if beside else "plain"
    conversation.drafts.append(_Draft("customer", text, ((len(conversation.numbers), offsets),)))
    conversation.numbers.append((kind, way))


def _add_split(rng: random.Random, conversation: _Conversation, language: Language) -> None:
    kind, value = _number(rng, language)
    count = rng.choice(PARTS)
    cuts = sorted(rng.sample(range(2, len(value) - 1), count - 1))
    parts = [value[a:b] for a, b in zip([0, *cuts], [*cuts, len(value)], strict=True)]
    first, following, last = (
        (FIRST_PART_ZH, NEXT_PART_ZH, LAST_PART_ZH)
        if language == "zh"
        else (FIRST_PART_EN, NEXT_PART_EN, LAST_PART_EN)
    )
    if rng.random() < 0.5:
        conversation.drafts.append(
            _Draft("agent", rng.choice(ASKED_ZH if language == "zh" else ASKED_EN))
        )
    for index, part in enumerate(parts):
        templates = first if index == 0 else last if index == count - 1 else following
        text, offsets = _placed(part, rng.choice(templates))
        conversation.drafts.append(
            _Draft("customer", text, ((len(conversation.numbers), offsets),))
        )
        if index < count - 1:
            for _ in range(rng.choice((0, 1, 1, 2))):
                between = rng.choice(BETWEEN_ZH if language == "zh" else BETWEEN_EN)
                conversation.drafts.append(_Draft(rng.choice(("agent", "customer")), between))
    conversation.numbers.append((kind, "split"))


def _conversation(rng: random.Random, identity: str) -> _Conversation:
    language: Language = rng.choice(("en", "zh"))
    conversation = _Conversation(identity, [], [])
    split_share = FRAGMENT_SHARE / (sum(PARTS) / len(PARTS))
    # One draw of a split makes five and a half messages: what is drawn is raised by the other
    # four and a half, so that the shares come out of all messages.
    drawn = 1 + split_share * 4.5
    length = rng.randint(*MESSAGES_PER_CONVERSATION)
    while len(conversation.drafts) < length:
        draw = rng.random() / drawn
        if draw < WHOLE_SHARE:
            _add_whole(rng, conversation, language)
        elif draw < WHOLE_SHARE + split_share:
            _add_split(rng, conversation, language)
        else:
            digits = draw < DIGIT_SHARE - FRAGMENT_SHARE + split_share
            sender = rng.choice(("customer", "agent"))
            conversation.drafts.append(_Draft(sender, ordinary(rng, language, digits=digits)))
    return conversation


def _conversations(rng: random.Random) -> Iterator[_Conversation]:
    serial = 0
    while True:
        yield _conversation(rng, f"c{serial}")
        serial += 1


def corpus(count: int = DEFAULT_MESSAGES, *, seed: int = DEFAULT_SEED) -> Corpus:
    """`count` messages of interleaved conversations, always the same for the same seed."""
    rng = random.Random(seed)
    source = _conversations(rng)
    live = [next(source) for _ in range(LIVE_CONVERSATIONS)]
    # Conversations are met somewhere in their middle, as at any moment of a day.
    said = [0] * LIVE_CONVERSATIONS
    places: dict[tuple[str, int], list[tuple[int, int]]] = {}
    whole: dict[tuple[str, int], int] = {}
    facts: dict[tuple[str, int], tuple[Literal["card", "resident-id"], Way]] = {}
    messages: list[Sent] = []
    clock = 0.0
    while len(messages) < count:
        desk = rng.randrange(LIVE_CONVERSATIONS)
        conversation = live[desk]
        draft = conversation.drafts[said[desk]]
        index = len(messages)
        clock += rng.uniform(0, 2 * STREAM_GAP)
        messages.append(
            Sent(
                conversation.identity,
                f"m{said[desk]}",
                draft.sender,
                draft.text,
                FIRST_MESSAGE_AT + timedelta(milliseconds=int(clock * 1000)),
            )
        )
        for number, offsets in draft.held:
            key = (conversation.identity, number)
            facts[key] = conversation.numbers[number]
            places.setdefault(key, []).extend((index, offset) for offset in offsets)
            whole[key] = sum(
                len(held)
                for other in conversation.drafts
                for which, held in other.held
                if which == number
            )
        said[desk] += 1
        if said[desk] == len(conversation.drafts):
            live[desk], said[desk] = next(source), 0
    planted, unfinished = [], set[int]()
    for key, found in places.items():
        if len(found) == whole[key]:
            kind, way = facts[key]
            planted.append(Planted(kind, way, key[0], tuple(found)))
        else:
            unfinished.update(index for index, _ in found)
    return Corpus(seed, tuple(messages), tuple(planted), frozenset(unfinished))


def description(of: Corpus) -> dict[str, float | int | str]:
    """Counts that show what the corpus holds, against what this module's docstring says."""
    total = len(of.messages)
    held = {index: number for number in of.planted for index, _ in number.places}
    chinese = [m.text for m in of.messages if any("一" <= char <= "鿿" for char in m.text)]
    english = [m.text for m in of.messages if any("a" <= char <= "z" for char in m.text)]
    numerals = sum(any(char in "一二两三四五六七八九十百千万" for char in t) for t in chinese)
    kinds = Counter(f"{number.kind}, {number.way}" for number in of.planted)
    return {
        "seed": of.seed,
        "digest": of.digest,
        "messages": total,
        "conversations": len({m.conversation_id for m in of.messages}),
        "with digits": sum(any(c in "0123456789" for c in m.text) for m in of.messages) / total,
        "with a whole number": sum(not n.split for n in held.values()) / total,
        "with a part of one": sum(n.split for n in held.values()) / total,
        "chinese": len(chinese) / total,
        "chinese with a numeral": numerals / max(1, len(chinese)),
        "characters, english": sum(map(len, english)) / max(1, len(english)),
        "characters, chinese": sum(map(len, chinese)) / max(1, len(chinese)),
        **dict(sorted(kinds.items())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Describe the benchmark corpus.")
    parser.add_argument("--messages", type=int, default=DEFAULT_MESSAGES)
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print N messages")
    asked = parser.parse_args()
    made = corpus(asked.messages, seed=asked.seed)
    for name, value in description(made).items():
        print(f"{name:28} {value:.3f}" if isinstance(value, float) else f"{name:28} {value}")
    for message in made.messages[: asked.show]:
        print(f"{message.conversation_id:>6} {message.sender:9} {message.text}")


if __name__ == "__main__":
    main()

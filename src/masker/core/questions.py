"""What one party asks for, and what its words say of the other's answers.

A desk asks in every way there is: with a question mark or without, for one number or for several,
by nothing but a number's name. What it asks for is called by name though no word stands beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from masker.core import characters, gaps
from masker.core.compact import OWN, Talk
from masker.core.messages import Message
from masker.core.words import NAMES_A_NUMBER, NUMBER_FOLLOWS, lower

# A question speaks for this many of the answers to it.
ANSWERS = 6
# Beside a number's name so few letters are no statement (姓名、卡号).
_LITTLE_ELSE = 4
# What stands between two words that are one name (卡号的后四位, card's last four).
_BESIDE = re.compile(r"\s?(?:的|'s)?\s?")
# What asks for one thing is no longer than this.
_SHORT = 80
# A number, or what is left of one that was masked.
_DIGITS = re.compile(rf"(?:[{characters.DIGIT_CLASS}]\W?){{5}}|\*{{3}}")
# What asks for a number that is named, though it is no question.
_WANTS_IT = re.compile(
    r"发我|发来|发过来|發我|發來|發過來|给我|給我|报给|報給|报下|報下|发下|發下|给下|念|说一下|說一下|来一个|要"
    r"|再|重新|没听|沒聽|没看|沒看|听不清|聽不清|有误|有誤|无效|無效|不对|不對|不正确|不正確"
    r"|\b(?:go ahead|ready|let me have|let me get|i'd like|i'll take|whats|require|again|repeat"
    r"|in?valid)\b"
)
_SEVERAL = re.compile(
    r"[两兩三四几幾各每所另](?:个|個|张|張|位|人|名|有)|都|分别|分別|全部|和(?:您|你|他|她|其)|们|們|另外"
    r"|\b(?:both|all|two|three|each|every|cards|ids|numbers|other|another|everyone|passengers|guests)\b"
)
# What is asked of a card or an ID that is not its number: whether it is at hand, of what bank.
_OTHER_THAN_NUMBER = re.compile(
    r"(?:的)?\s?(?:带|帶|在手|在身|有没有带|类型|類型|哪家|哪个|哪張|哪张|照片|正面|反面|复印|原件|余额|額度|额度)"
    r"|(?:'s)?\s?(?:with you|at hand|handy|type|balance|limit|photo|holder|copy)"
)
# What is asked of the money on it, and of when and where it came.
_OF_OTHER = re.compile(
    r"多少钱|多少錢|金额|金額|额度|額度|积分|積分|什么时候|什麼時候|哪天|哪年|几月|多久|在哪|哪里"
    r"|\b(?:how much|amounts?|charged|limit|balance|when|where|how long)\b"
)
# "Last four of the card": the words in between.
_OF = re.compile(
    r"(?:\s?digits?|\s?numbers?)?\s?(?:of|on|for|from)\s(?:the|your|that|this|his|her)?\s?"
)
# What else a desk asks for; also for RE2, which sifts archives by it.
TOPIC = (
    r"金额|金額|时间|時間|日期|哪天|几点|幾點|什么时候|什麼時候|地址|邮编|郵編|电话|電話|手机|手機|姓名|名字|生日|出生"
    r"|密码|密碼|订单|訂單|单号|單號|读数|讀數|价格|價格|多少钱|多少錢|型号|型號|尺码|尺碼|数量|數量|几[个件位间]|定位"
    r"|余额|餘額|账单|賬單|户号|血压|血糖|体温|身高|体重|截图|有效期"
    r"|\b(?:dates?|birth|birthday|dob|address|zip|postcode|phone|mobile|amounts?|name|when"
    r"|where|how (?:many|much|old|long|often)|time|price|prices|size|quantity|model|order|ticket"
    r"|check.?in|check.?out|rooms?|guests?|reading|readings|ip|expiry|expiration|expires?"
    r"|email|reference|serial|version)\b"
)
_TOPIC = re.compile(TOPIC)
_Words = Sequence[tuple[int, int, int, int]]


class Wanted(NamedTuple):
    """What the other party's words want of a message that answers them: rules."""

    asked: int = 0
    alone: int = 0
    """Of those asked for, the ones beside which nothing else was: what comes is that number."""
    mentioned: int = 0
    """Named in passing, or of which another number may follow the one given."""
    refused: int = 0
    """It was another number that was asked for: an order number is no card."""


NOTHING = Wanted()


class Asked(NamedTuple):
    """A question of one party: who asked, for what, and when."""

    sender: str
    wanted: Wanted
    """What is refused is refused of the very next answer only."""
    answers: int
    time: float | None
    several: bool
    """Whether more than one number of a kind was asked for."""
    replied: bool = False
    """Whether the other party has said anything since."""
    gave: bool = False
    """Whether its asker has said digits since: it may have named what it was about to give."""


class Questions(dict[str, Asked]):
    """For each conversation the question that is open in it."""

    def hear(self, message: Message, talk: Talk, time: float | None) -> None:
        """Words were said that may ask for something."""
        question = heard(self.get(message.conversation_id), message.sender, talk, time)
        if question is not None:
            self[message.conversation_id] = question

    def heed(self, message: Message, holds_number: Callable[[str], bool]) -> bool:
        """Whether talk may answer the other party's question; notes what else it does to one."""
        asked = self.get(message.conversation_id)
        if asked is None:
            return False
        if not bears_on(asked, message.sender):
            return asked.sender != message.sender and holds_number(message.text)
        if asked.sender == message.sender:
            moved = moved_on(asked, lower(message.text))
            if moved is not None:
                self[message.conversation_id] = moved
            return False
        self[message.conversation_id] = asked._replace(replied=True)
        return holds_number(message.text)

    def wanted_of(self, message: Message, seconds: float) -> Wanted:
        """What the other party wants of this message, unless that was asked too long ago."""
        asked = self.get(message.conversation_id)
        if asked is None or asked.sender == message.sender:
            return NOTHING
        if (
            asked.time is not None
            and message.timestamp is not None
            and message.timestamp.timestamp() - asked.time >= seconds
        ):
            # Whether anybody said that time passes or not.
            del self[message.conversation_id]
            return NOTHING
        if asked.answers <= 1:
            del self[message.conversation_id]
        else:
            self[message.conversation_id] = asked._replace(
                answers=asked.answers - 1, wanted=asked.wanted._replace(refused=0), replied=True
            )
        return asked.wanted

    def note_answer(self, conversation_id: str, given: int) -> None:
        """Numbers of these rules were given in answer."""
        asked = self.get(conversation_id)
        if given and asked is not None:
            self[conversation_id] = answered(asked, given)

    def note_giver(self, message: Message, holds_number: Callable[[str], bool]) -> None:
        """Whoever asked may say digits: they named what they were about to give."""
        asked = self.get(message.conversation_id)
        if (
            asked is not None
            and asked.sender == message.sender
            and not asked.gave
            and ("*" in message.text or holds_number(message.text))
        ):
            self[message.conversation_id] = asked._replace(gave=True)

    def advance(self, now: float, seconds: float) -> None:
        """Time passes: what was asked too long ago is forgotten."""
        for conversation_id, asked in list(self.items()):
            if asked.time is None:
                self[conversation_id] = asked._replace(time=now)
            elif now - asked.time >= seconds:
                del self[conversation_id]


def heard(before: Asked | None, sender: str, talk: Talk, time: float | None) -> Asked | None:
    """The question that is open after somebody's words; None where they ask for nothing new."""
    wanted = _asked(talk)[0] if talk.asks else _prompted(talk)
    if before is not None:
        old = before.wanted
        if before.sender != sender:
            is_told = before.gave and (talk.asks or _WANTS_IT.search(talk.lowered) is not None)
            if old.asked and not is_told and (not talk.asks or old.asked & wanted.asked):
                # Who says the name of what they were asked for asks for nothing.
                return None
        elif wanted == NOTHING:
            return moved_on(before, talk.lowered)
        elif wanted.mentioned:
            # What is said of a number takes back no question.
            mentioned = (wanted.mentioned | old.mentioned) & ~(old.asked | old.refused)
            wanted = old._replace(mentioned=mentioned)
        elif not before.replied:
            # Both are asked for, one after the other.
            wanted = Wanted(
                wanted.asked | old.asked, 0, wanted.mentioned | old.mentioned,
                wanted.refused & ~old.asked | old.refused & ~wanted.asked,
            )  # fmt: skip
    if wanted == NOTHING:
        return None
    return Asked(sender, wanted, ANSWERS, time, _SEVERAL.search(talk.lowered) is not None)


def bears_on(asked: Asked, sender: str) -> bool:
    """Whether talk of this person, without a number or a word of a rule, changes a question."""
    return is_open(asked) if asked.sender == sender else not asked.replied


def is_open(asked: Asked) -> bool:
    """Whether its asker may go on to another."""
    return asked.replied and asked.wanted.asked != 0


def moved_on(asked: Asked, lowered: str) -> Asked | None:
    """The question after its asker's words, if they are about something else."""
    if not is_open(asked) or len(lowered) > _SHORT or _TOPIC.search(lowered) is None:
        return None
    return asked._replace(wanted=asked.wanted._replace(asked=0, alone=0, mentioned=0))


def answered(asked: Asked, given: int) -> Asked:
    """The question after numbers were given: used up for them, unless it asked for several."""
    wanted = asked.wanted
    more = wanted.asked & given if asked.several else 0
    return asked._replace(
        wanted=wanted._replace(
            asked=wanted.asked & ~given, mentioned=wanted.mentioned & ~given | more
        )
    )


def _asked(talk: Talk) -> tuple[Wanted, int]:
    """What a question asks for: each number that it names, though it names others too.

    And the rules of whose number it asks for no more than the last few, or for something else.
    """
    words, lowered = talk.words, talk.lowered
    named = partly = 0
    alone = ~0
    for place, (start, end, yes, no) in enumerate(words):
        if yes and _is_part(words, place, lowered):
            partly |= yes
        elif _is_number(lowered, start, end):
            named |= yes & ~no
        if _is_number(lowered, start, end):
            alone &= yes
    asked = (talk.speaks_for & ~partly) | named
    return Wanted(asked, asked & alone, 0, _refused(words, lowered)), partly & ~asked


def _is_part(words: _Words, place: int, lowered: str) -> bool:
    """Whether a word says what the last four are of, or a date (卡号后四位, last 4 of the card)."""
    begins, end, yes, _ = words[place]
    if _OTHER_THAN_NUMBER.match(lowered, end):
        return True
    if not _is_number(lowered, begins, end) and _OF_OTHER.search(lowered):
        return True
    if place + 1 < len(words):
        start, _, _, no = words[place + 1]
        if no & yes and _BESIDE.fullmatch(lowered, end, start):
            return True
    if place:
        _, before, _, no = words[place - 1]
        if no & yes and _OF.fullmatch(lowered, before, words[place][0]):
            return True
    return False


def _prompted(talk: Talk) -> Wanted:
    """What words that are no question ask for, or mention.

    Nothing but a number's name (卡号; "and your card number:") asks for it when another says it.
    """
    words, lowered = talk.words, talk.lowered
    if OWN.search(lowered) or _DIGITS.search(lowered):
        return NOTHING
    rest = _without(lowered, words)
    is_list = sum(map(str.isalnum, rest)) <= _LITTLE_ELSE
    if is_list or _WANTS_IT.search(lowered) or gaps.edge(rest) <= gaps.LABEL:
        wanted, partly = _asked(talk)
        return wanted._replace(asked=talk.mentions & ~partly) if is_list else wanted
    named = 0
    for start, end, yes, no in words:
        if _is_number(lowered, start, end):
            named |= yes & ~no
    return Wanted(mentioned=named & talk.speaks_for)


def _refused(words: _Words, lowered: str) -> int:
    """The rules of which a question, by naming another number, says that it wants none."""
    refused = speaks_for = 0
    for start, end, yes, no in words:
        speaks_for |= yes
        if _is_number(lowered, start, end):
            refused |= no
    return refused & ~speaks_for


def _is_number(lowered: str, start: int, end: int) -> bool:
    """Whether a word names a number, and not only the thing that has one."""
    word = lowered[start:end]
    return NAMES_A_NUMBER.search(word) is not None or NUMBER_FOLLOWS.match(lowered, end) is not None


def _without(lowered: str, words: _Words) -> str:
    """What is said besides the words of rules."""
    rest, last = [], 0
    for start, end, _, _ in words:
        rest.append(lowered[last:start])
        last = max(last, end)
    return " ".join([*rest, lowered[last:]])

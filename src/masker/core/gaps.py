"""How far apart two runs of digits stand.

The digits of one number may have separators between them, a line end, the end of
one message and the start of the next, or words that say "and here is the rest".
The looser the gap, the more evidence a number across it needs.
"""

from __future__ import annotations

import re

import regex

from masker.core import characters

# The scale. Two digits a LINE apart may stand on two lines, or in two messages with nothing around
# them; LABEL: only words between them that announce a part of a number; TEXT: any short text.
JOINED, LINE, LABEL, TEXT, BROKEN = range(5)

# Longer runs of separators part two things (and a stream need not wait longer than this).
MAX_SEPARATORS = 64
MAX_LABEL = 40
MAX_TEXT = 40

_SEPARATORS = f"[{characters.SEPARATOR_CLASS}]"
ONLY_SEPARATORS = re.compile(f"{_SEPARATORS}{{0,{MAX_SEPARATORS}}}")
HAS_LINE_END = re.compile(f"[{characters.LINE_CLASS}]")
NOTHING_SAID = re.compile(r"[\W_]*")
# A cell's border, or a number already masked: never part of one number with what follows.
PARTS_CELLS = re.compile(r"[|\t*¦│┃║｜]")

# Words that announce a part of a number, or pass the time. Single Hanzi where they can be combined
# (前面是, 后面的是, 接下来, 最后四位, 第二段), whole words in English.
LABEL_HANZI = (
    "前后後面段半部分位数數字号號码碼是的呢哦噢啊嗯呀吧喔哈啦了嘛然接着著继繼续續再还還有最剩余餘下上几幾组組开開头頭"
    "中间間末尾结結我你您发發给給报報念说說这這那就在来來先第个個截串卡证證银銀行身份对對没沒错錯好好的么麼吗嗎请請"
    "等稍喂记記听聽完整全另外其它他把它打输輸入填写寫补補充刚剛才忘漏麻烦煩谢謝一二两兩三四五六七八九十首尾都也加上哈嘿呵嘻哎唉诶呃"
    "不之往此跟随隨紧緊从從次件条條拆长長遍重复複新慢完齐齊逗点點句横橫杠空格斜"
)
# Right behind digits these say what was counted (4.5分, 16号), and announce nothing.
UNITS = frozenset("分个個位号號组組段点點次件条條遍")
_LABEL_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "be",
        "the",
        "then",
        "next",
        "now",
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "1st",
        "2nd",
        "3rd",
        "4th",
        "last",
        "final",
        "finally",
        "rest",
        "remaining",
        "remainder",
        "remains",
        "other",
        "half",
        "part",
        "parts",
        "piece",
        "bit",
        "bits",
        "section",
        "group",
        "number",
        "numbers",
        "num",
        "no",
        "digit",
        "digits",
        "is",
        "are",
        "was",
        "were",
        "it",
        "its",
        "it's",
        "that",
        "thats",
        "that's",
        "this",
        "these",
        "those",
        "here",
        "heres",
        "here's",
        "there",
        "follow",
        "follows",
        "following",
        "followed",
        "by",
        "after",
        "before",
        "end",
        "ends",
        "ending",
        "start",
        "starts",
        "starting",
        "begin",
        "begins",
        "beginning",
        "with",
        "of",
        "my",
        "your",
        "our",
        "card",
        "id",
        "ssn",
        "account",
        "passport",
        "continue",
        "continues",
        "continued",
        "continuing",
        "plus",
        "also",
        "so",
        "ok",
        "okay",
        "okey",
        "yes",
        "yeah",
        "yep",
        "yup",
        "um",
        "umm",
        "uh",
        "uhm",
        "er",
        "hmm",
        "well",
        "right",
        "let",
        "lets",
        "let's",
        "me",
        "us",
        "i",
        "ill",
        "i'll",
        "im",
        "i'm",
        "see",
        "type",
        "typed",
        "typing",
        "send",
        "sent",
        "sending",
        "again",
        "more",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "to",
        "come",
        "comes",
        "go",
        "goes",
        "please",
        "pls",
        "plz",
        "thanks",
        "thank",
        "you",
        "sorry",
        "wait",
        "sec",
        "moment",
        "hold",
        "on",
        "got",
        "as",
        "for",
        "from",
        "in",
        "at",
        "all",
        "set",
        "and's",
        "oh",
        "ah",
        "hi",
        "hello",
        "hey",
        "dear",
        "sir",
        "madam",
        "maam",
        "ma'am",
        "done",
        "only",
        "just",
        "still",
        "left",
        "back",
        "tail",
        "head",
        "middle",
        "say",
        "says",
        "said",
        "read",
        "reads",
        "reading",
        "out",
        "dash",
        "space",
        "dot",
        "full",
        "complete",
        "what",
        "whats",
        "what's",
        "next's",
        "up",
        "ones",
        "one's",
        "figure",
        "figures",
        "bunch",
        "chunk",
        "chunks",
        "block",
        "blocks",
        "row",
        "rows",
        "lot",
        "segment",
        "segments",
        "mid",
        "cont",
        "cont'd",
        "conts",
        "continuation",
        "pt",
        "pieces",
        "step",
        "page",
        "pg",
        "char",
        "chars",
        "character",
        "characters",
        "letter",
        "letters",
        "comma",
        "hyphen",
        "slash",
        "point",
        "period",
        "blank",
        "keep",
        "keeps",
        "going",
        "carry",
        "carrying",
        "give",
        "giving",
        "gave",
        "tell",
        "telling",
        "told",
        "will",
        "would",
        "have",
        "has",
        "had",
        "b",
        "c",
        "d",
        "e",
        "f",
        "message",
        "msg",
        "msgs",
        "messages",
        "split",
        "splitting",
        "broken",
        "far",
        "coming",
        "there's",
        "theres",
        "brb",
        "haha",
        "hm",
        "lol",
        "code",
        "sure",
        "noted",
        "roger",
        "gotcha",
        "copy",
        "huh",
        "mhm",
        "mm",
        "iphone",
        "ipad",
        "android",
    ]
)
_WORD = "|".join(sorted(map(re.escape, _LABEL_WORDS), key=lambda w: (-len(w), w)))
# An emoji as chats write it, [微笑] or [OK], and whom a message is for, are as good as nothing.
_ASIDE = r"\[[^\W\d_]{1,10}\]|(?<!\w)@[^\W\d]{1,20}(?![\w'])"
# Possessive: an aside could be read as a bracket and a word as well, twice as often for each. So
# what begins like something shorter comes first.
LABEL_SOURCE = (
    rf"(?:{_ASIDE}|先[这這](?:些|么多|麼多)|收到|明白|了解|知道|(?<![A-Za-z])(?:1st|2nd|3rd|4th)(?![A-Za-z'])|[\W_0-9]|[{LABEL_HANZI}]"
    rf"|(?<![A-Za-z])(?:{_WORD})(?![A-Za-z']))*+"
)
ONLY_LABEL = re.compile(LABEL_SOURCE, re.IGNORECASE)
# Most talk is no label by its first word, and says so at a fraction of the cost.
_NO_LABEL = re.compile(rf"[^\W_0-9A-Za-z{LABEL_HANZI}些收到明白了解知道]").search
_LETTERS = re.compile("[a-z]+").findall
_LABEL_LETTERS = frozenset(letters for word in _LABEL_WORDS for letters in _LETTERS(word))
# Marks, joiners and connectors are letters to `regex`, and none to `re`.
_LABEL_SO_FAR = regex.compile(
    LABEL_SOURCE.replace(r"[\W_0-9]", r"[\W_0-9\p{M}\p{Pc}\u200c\u200d]"), regex.IGNORECASE
)


def between(gap: str) -> int:
    """How far apart two runs stand that have this between them in one text."""
    if not gap:
        return JOINED
    if ONLY_SEPARATORS.fullmatch(gap):
        return LINE if HAS_LINE_END.search(gap) else JOINED
    if len(gap) > MAX_TEXT or PARTS_CELLS.search(gap):
        return BROKEN
    if NOTHING_SAID.fullmatch(gap) or gap[0] in UNITS:
        return TEXT
    return LABEL if is_label(gap) else TEXT


def is_label(text: str) -> bool:
    """Whether nothing is said but words that announce a part of a number, or pass the time."""
    if "[" not in text and "@" not in text:
        if not text.isascii() and _NO_LABEL(text) is not None:
            return False
        if not _LABEL_LETTERS.issuperset(_LETTERS(text.lower())):
            return False
    return ONLY_LABEL.fullmatch(text) is not None


def edge(text: str) -> int:
    """How far a run stands from the end of its message that has this on that side."""
    if not text or NOTHING_SAID.fullmatch(text):
        return LINE
    if len(text) <= MAX_LABEL and is_label(text):
        return LABEL
    return TEXT


def behind(text: str) -> int:
    """How far a run stands from the end of its message, with this behind it."""
    return TEXT if text[:1] and text[0] in UNITS else edge(text)


def may_still_join(gap: str, *, called: bool) -> bool:
    """Whether a run that comes later in the text can be joined to the one before this gap."""
    if ONLY_SEPARATORS.fullmatch(gap):
        return True
    if len(gap) > MAX_TEXT or PARTS_CELLS.search(gap):
        return False
    return called or _LABEL_SO_FAR.fullmatch(gap, partial=True) is not None

"""What people say around a number: small talk, labels before its parts, the other party."""

from __future__ import annotations

from hypothesis import strategies as st

SMALL_TALK_ZH = (
    "好的",
    "等一下",
    "稍等一下啊",
    "我看一看",
    "一会儿",
    "三天了还没到账",
    "不好意思，手机有点卡",
    "嗯嗯",
    "对",
    "哈哈",
    "你们能不能快点",
    "我去拿一下卡",
    "字太小了",
    "怎么还要这个呀",
    "在吗？",
    "两边都试过了，一样的",
    "😂",
    "。。。",
)
SMALL_TALK_EN = (
    "hang on",
    "one sec",
    "ok",
    "let me get my glasses",
    "sorry, the dog is barking",
    "lol",
    "are you still there?",
    "almost done!",
    "hmm",
    "my kid wants something...",
    "can't read it well",
    "thanks for waiting :)",
)
OTHER_PARTY = (
    "好的，您慢慢来",
    "嗯，请继续",
    "收到",
    "请稍等一下",
    "在的，亲",
    "go on please",
    "got it",
    "sure, take your time",
    "I am still here",
    "Thanks! What comes next?",
)
LABELS_FIRST = ("前面是", "前几位是", "开头是 ", "先发前半段：", "it starts with ", "first part: ")
LABELS_NEXT = (
    "后面是",
    "然后",
    "然后是",
    "接下来",
    "接下来是 ",
    "中间是",
    "再后面 ",
    "then ",
    "next ",
    "the rest is ",
    "and ",
    "and then: ",
)
LABELS_LAST = ("最后几位", "最后是", "最后的是 ", "the last ones are ", "and finally ")
LABELS_LAST_FOUR = ("后四位是", "尾号 ", "最后四位", "后4位", "last four ", "and the last 4 are ")
BEFORE = (
    "",
    "",
    "卡号",
    "我的卡号是",
    "卡号：",
    "你看下这个",
    "就是这个 ",
    "my card is ",
    "here you go: ",
    "it's ",
    "帮我查下，",
)
AFTER = (
    "",
    "",
    "谢谢",
    " 谢谢你",
    "，麻烦了",
    "。",
    " thanks",
    " ok?",
    "!",
    " is the number",
    "这个",
    " that's it",
)


def small_talk() -> st.SearchStrategy[str]:
    """The speaker's own messages between parts; Hanzi numerals in them are ordinary words."""
    return st.sampled_from(SMALL_TALK_ZH + SMALL_TALK_EN)


def labels(place: int, count: int, size: int) -> st.SearchStrategy[str]:
    """What is said before part `place` of `count`, which has `size` digits."""
    if place == 0:
        return st.sampled_from((*LABELS_FIRST, f"前{size}位", f"first {size}: "))
    if place < count - 1:
        return st.sampled_from((*LABELS_NEXT, f"接着{size}位是", f"part {place + 1}: "))
    last = LABELS_LAST_FOUR if size == 4 else (f"后{size}位", f"last {size} digits: ")
    return st.sampled_from((*LABELS_NEXT, *LABELS_LAST, *last))


def surroundings() -> st.SearchStrategy[tuple[str, str]]:
    """Text before the first part and after the last."""
    return st.tuples(st.sampled_from(BEFORE), st.sampled_from(AFTER))

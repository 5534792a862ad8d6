"""Which field of a record is what: guessed from the names exports use, or told.

A name is compared without case, spaces, `_` and `-`. Earlier names win over later ones; every
text field of a record is masked, not only the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from masker.archive.records import ArchiveError

# Where these stand beside "text", a row is a message as masker itself writes one.
_OWN = {"conversation_id", "message_id", "sender"}
ROLES = ("text", "conversation", "sender", "id", "time", "channel", "subject")

GUESSES: dict[str, tuple[str, ...]] = {
    "text": (
        "text",
        "body",
        "content",
        "message",
        "msg",
        "messagetext",
        "messagebody",
        "plainbody",
        "plaintext",
        "bodytext",
        "htmlbody",
        "strcontent",
        "utterance",
        "transcript",
        "comment",
        "内容",
        "消息",
        "消息内容",
        "聊天内容",
        "文本",
        "正文",
        "description",
        "summary",
        "title",
        "rawsubject",
        "subject",
        # What stands beside a message, or is one in other programs' exports.
        "parts",
        "value",
        "prompt",
        "completion",
        "query",
        "question",
        "answer",
        "reply",
        "response",
        "input",
        "output",
        "caption",
        "note",
        "notes",
        "chatmessage",
        "messagecontent",
        "pretext",
        "fallback",
        "footer",
        "preview",
        "会话内容",
        "对话内容",
        "聊天记录",
        "留言",
        "回复",
        "问题",
    ),
    "conversation": (
        "conversationid",
        "conversation",
        "chatid",
        "threadid",
        "ticketid",
        "sessionid",
        "dialogueid",
        "dialogid",
        "roomid",
        "chat",
        "thread",
        "ticket",
        "session",
        "room",
        "conv",
        "convid",
        "conversationuuid",
        "dialogue",
        "dialog",
        "case",
        "caseid",
        "casenumber",
        "ticketnumber",
        "ticketno",
        "chatnumber",
        "interactionid",
        "engagementid",
        "contactid",
        "roomname",
        "groupid",
        "groupname",
        "strtalker",
        "talker",
        "talkerid",
        "会话id",
        "会话",
        "聊天对象",
        "群名",
        "工单号",
        "工单编号",
        "会话编号",
        "群聊",
        "conversationsid",
        "channelsid",
    ),
    "sender": (
        "sender",
        "senderid",
        "fromid",
        "from",
        "authorid",
        "author",
        "userid",
        "user",
        "username",
        "speaker",
        "role",
        "name",
        "nickname",
        "issender",
        "displayname",
        "participant",
        "sendername",
        "fromname",
        "authorname",
        "participantname",
        "sentby",
        "sendertype",
        "direction",
        "creator",
        "participantid",
        "participantrole",
        "发送人",
        "发送者",
        "发言人",
        "昵称",
        "说话人",
    ),
    "id": (
        "messageid",
        "msgid",
        "id",
        "uuid",
        "guid",
        "clientmsgid",
        "msgsvrid",
        "localid",
        "消息id",
    ),
    "time": (
        "timestamp",
        "dateunixtime",
        "sentat",
        "createdat",
        "createtime",
        "created",
        "time",
        "datetime",
        "date",
        "ts",
        "strtime",
        "senttime",
        "createddate",
        "createdtime",
        "datecreated",
        "datesent",
        "sentdate",
        "messagetime",
        "messagedate",
        "date/time",
        "timestampms",
        "absolutetime",
        "originalarrivaltime",
        "createdtimestamp",
        "creationtime",
        "creationdate",
        "sentdatetime",
        "createddatetime",
        "时间",
        "发送时间",
        "日期",
        "时间戳",
    ),
    "channel": ("channel", "source", "platform", "via", "渠道"),
    # Only where the others are named as masker names them: elsewhere it is a title, and text.
    "subject": ("subject", "unionid", "subjectid"),
}


@lru_cache(maxsize=4096)
def normal(name: str) -> str:
    """A field's name as names are compared."""
    return name.casefold().replace("_", "").replace("-", "").replace(" ", "").lstrip("\ufeff")


class Fields:
    """The names in force; `told` are those that the user gave, by role."""

    def __init__(self, told: Mapping[str, str] | None = None) -> None:
        self.told = dict(told or {})
        for role in self.told:
            if role not in ROLES:
                raise ArchiveError(f"--field: there is no {role!r}; there are: {', '.join(ROLES)}")
        self._order: dict[str, dict[str, int]] = {}
        for role, names in GUESSES.items():
            used = (normal(self.told[role]),) if role in self.told else names
            self._order[role] = {name: place for place, name in enumerate(used)}
        self._roles: dict[str, tuple[tuple[str, int], ...]] = {}

    def is_text(self, name: str) -> bool:
        """Whether a field of this name holds text to mask."""
        return normal(name) in self._order["text"]

    def text_rank(self, name: str) -> int:
        """How well a name fits the message's own text: 0 is best."""
        return self._order["text"].get(normal(name), len(self._order["text"]))

    def roles(self, name: str) -> tuple[tuple[str, int], ...]:
        """The roles a name may have, and how well it fits each: 0 is best."""
        known = self._roles.get(name)
        if known is None:
            plain = normal(name)
            known = tuple(
                (role, order[plain]) for role, order in self._order.items() if plain in order
            )
            if len(self._roles) < 4096:
                self._roles[name] = known
        return known

    def chosen(self, names: Iterable[str]) -> dict[str, str]:
        """The best name for each role among those that are there; a text in "text" first."""
        best: dict[str, tuple[int, str]] = {}
        for name in names:
            for role, place in self.roles(name):
                if role not in best or place < best[role][0]:
                    best[role] = (place, name)
        chosen = {role: name for role, (_, name) in best.items()}
        if "subject" in chosen and not self._knows_subject(chosen):
            del chosen["subject"]
        return chosen

    def _knows_subject(self, chosen: Mapping[str, str]) -> bool:
        return "subject" in self.told or (
            chosen.get("text") == "text" and not _OWN.isdisjoint(chosen.values())
        )

    def texts(self, names: Iterable[str]) -> list[str]:
        """All names of text fields, the best first."""
        there = list(names)
        order = self._order["text"]
        subject = self.chosen(there).get("subject")
        found = [name for name in there if normal(name) in order and name != subject]
        return sorted(found, key=lambda name: order[normal(name)])


def parse(told: Iterable[str]) -> dict[str, str]:
    """`text=body` and the like, as given on the command line."""
    fields: dict[str, str] = {}
    for entry in told:
        role, separator, name = entry.partition("=")
        if not separator or not name:
            raise ArchiveError("--field takes ROLE=NAME, as in --field text=body")
        fields[role.strip()] = name.strip()
    return fields


def shown(chosen: Mapping[str, str]) -> str:
    """A mapping, as the user is told of it."""
    return " ".join(f"{role}={chosen[role]}" for role in ROLES if role in chosen)

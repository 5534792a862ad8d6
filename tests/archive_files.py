"""Transcripts as files: every format written from the same messages, after its public description.

Each writer is a function of the messages alone, so that `write(masked)` is what a scan of
`write(said)` has to give, byte for byte.
"""

from __future__ import annotations

import base64
import csv
import datetime as dt
import gzip
import html
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from masker import Masker, Message

NOON = dt.datetime(2024, 5, 17, 12, 0, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Said:
    """One message of a transcript."""

    conversation: str
    id: str
    sender: str
    text: str
    time: dt.datetime

    @property
    def local(self) -> str:
        return self.time.strftime("%Y-%m-%d %H:%M:%S")


Write = Callable[[Sequence[Said]], bytes]


@dataclass(frozen=True)
class Kind:
    """A format: how it is written, how its files are called, and what it can hold."""

    name: str
    file: str
    write: Write
    conversations: bool = True
    """Whether one file may hold several conversations."""
    lines: bool = True
    """Whether a text may have line ends in it."""
    seconds: bool = True


def said(
    *texts: tuple[str, str] | str,
    conversation: str = "c1",
    start: dt.datetime = NOON,
    step: int = 20,
) -> list[Said]:
    """A conversation; who says nothing else is Ann."""
    found = []
    for number, entry in enumerate(texts):
        sender, text = ("Ann", entry) if isinstance(entry, str) else entry
        at = start + dt.timedelta(seconds=step * number)
        found.append(Said(conversation, f"{conversation}-{number}", sender, text, at))
    return found


def masked(messages: Iterable[Said], masker: Masker | None = None) -> list[Said]:
    """What the library makes of them, in the order of their time."""
    redactor = (masker or Masker()).redactor()
    texts: dict[tuple[str, str], str] = {}
    given = list(messages)
    for one in sorted(given, key=lambda one: one.time):
        for out in redactor.advance(one.time):
            texts[out.conversation_id, out.message_id] = out.text
        message = Message(one.conversation, one.id, one.sender, one.text, one.time)
        for out in redactor.receive(message):
            texts[out.conversation_id, out.message_id] = out.text
    for out in redactor.close():
        texts[out.conversation_id, out.message_id] = out.text
    return [replace(one, text=texts[one.conversation, one.id]) for one in given]


# --- formats ---------------------------------------------------------------------------


def _rows(messages: Sequence[Said]) -> list[dict[str, object]]:
    return [
        {
            "conversation_id": one.conversation,
            "message_id": one.id,
            "sender": one.sender,
            "text": one.text,
            "timestamp": one.time.isoformat(),
            "extra": {"order": 17, "price": 1.10},
        }
        for one in messages
    ]


def jsonl(messages: Sequence[Said]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in _rows(messages))


def jsonl_escaped(messages: Sequence[Said]) -> bytes:
    """As other programs write it: escapes, no spaces, CRLF, other keys, no end of the last line."""
    rows = [
        {
            "id": one.id,
            "thread_id": one.conversation,
            "from": one.sender,
            "created_at": one.time.timestamp(),
            "body": one.text,
            "tags": ["a\u00e9", None, True],
        }
        for one in messages
    ]
    return b"\r\n".join(json.dumps(row, separators=(",", ":")).encode() for row in rows)


def jsonl_nested(messages: Sequence[Said]) -> bytes:
    """One conversation a line, as models are trained on."""
    rows: dict[str, list[Said]] = {}
    for one in messages:
        rows.setdefault(one.conversation, []).append(one)
    return b"".join(
        json.dumps(
            {
                "conversation_id": name,
                "messages": [
                    {
                        "role": one.sender,
                        "id": one.id,
                        "created_at": one.time.timestamp(),
                        "content": one.text,
                    }
                    for one in of_it
                ],
            },
            ensure_ascii=False,
        ).encode()
        + b"\n"
        for name, of_it in rows.items()
    )


def json_array(messages: Sequence[Said]) -> bytes:
    return json.dumps(_rows(messages), ensure_ascii=False, indent=2).encode() + b"\n"


def json_nested(messages: Sequence[Said]) -> bytes:
    chats: dict[str, list[Said]] = {}
    for one in messages:
        chats.setdefault(one.conversation, []).append(one)
    document = {
        "exported": "2024-05-18",
        "chats": [
            {
                "chat_id": name,
                "history": [
                    {
                        "author": {"id": one.sender, "age": 3},
                        "sent_at": one.time.isoformat(),
                        "id": one.id,
                        "message": one.text,
                    }
                    for one in of_it
                ],
            }
            for name, of_it in chats.items()
        ],
    }
    return json.dumps(document, indent="\t").encode()


def csv_file(messages: Sequence[Said]) -> bytes:
    out = io.StringIO(newline="")
    rows = csv.writer(out)
    rows.writerow(["order", "conversation_id", "message_id", "sender", "text", "timestamp"])
    for number, one in enumerate(messages):
        rows.writerow(
            [number, one.conversation, one.id, one.sender, one.text, one.time.isoformat()]
        )
    return out.getvalue().encode()


def csv_below_a_title(messages: Sequence[Said]) -> bytes:
    return b"All conversations, May 2024\r\n\r\n" + csv_file(messages)


def csv_semicolons(messages: Sequence[Said]) -> bytes:
    """As Excel of most of Europe reads it, which is told above the headings."""
    out = io.StringIO(newline="")
    rows = csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL)
    rows.writerow(["Ticket ID", "Created At", "Author", "Message Body"])
    rows.writerows([one.conversation, one.local, one.sender, one.text] for one in messages)
    return b"\xef\xbb\xbfsep=;\r\n" + out.getvalue().encode()


def csv_backslashes(messages: Sequence[Said]) -> bytes:
    """As Spark and MySQL write it: a backslash before a quote, and before a backslash."""
    rows = [["conversation_id", "sender", "text", "timestamp"]]
    rows += [[one.conversation, one.sender, one.text, one.local] for one in messages]
    rows.append(["end", "Bob", 'a "quote", and a \\ here', "2024-05-18 00:00:00"])
    return "".join(
        ",".join('"' + f.replace("\\", "\\\\").replace('"', '\\"') + '"' for f in row) + "\n"
        for row in rows
    ).encode()


def tsv_of_excel(messages: Sequence[Said]) -> bytes:
    """What Excel saves as "Unicode text": fields of several lines are quoted, others are not."""
    out = io.StringIO(newline="")
    rows = csv.writer(out, delimiter="\t")
    rows.writerow(["conversation_id", "text", "sender", "timestamp"])
    rows.writerows([one.conversation, one.text, one.sender, one.local] for one in messages)
    rows.writerow(["end", "two\nlines", "Bob", "2024-05-18 00:00:00"])
    return b"\xff\xfe" + out.getvalue().encode("utf-16-le")


def tsv_file(messages: Sequence[Said]) -> bytes:
    lines = ["会话\t发送人\t时间\t内容"]
    lines += [f"{one.conversation}\t{one.sender}\t{one.local}\t{one.text}" for one in messages]
    return "".join(line + "\n" for line in lines).encode()


def parquet(messages: Sequence[Said]) -> bytes:
    table = pa.table(
        {
            "conversation_id": [one.conversation for one in messages],
            "message_id": [one.id for one in messages],
            "sender": pa.array([one.sender for one in messages]).dictionary_encode(),
            "text": [one.text for one in messages],
            "timestamp": pa.array([one.time for one in messages], pa.timestamp("ms", "UTC")),
            "score": [number / 3 for number, _ in enumerate(messages)],
        }
    )
    table = table.replace_schema_metadata({"made by": "a test"})
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", row_group_size=3)
    return out.getvalue()


def log(messages: Sequence[Said]) -> bytes:
    return "".join(f"{one.local} {one.sender}: {one.text}\n" for one in messages).encode()


def irc(messages: Sequence[Said]) -> bytes:
    return "".join(
        f"[{one.time.isoformat()}] <{one.sender}> {one.text}\r\n" for one in messages
    ).encode()


def whatsapp_android(messages: Sequence[Said]) -> bytes:
    head = "5/17/24, 11:58 AM - Messages and calls are end-to-end encrypted.\n"
    return (
        head
        + "".join(
            f"{one.time:%-m/%-d/%y, %-I:%M %p} - {one.sender}: {one.text}\n" for one in messages
        )
    ).encode()


def whatsapp_ios(messages: Sequence[Said]) -> bytes:
    return "".join(
        f"[{one.time:%d.%m.%y, %H:%M:%S}] {one.sender}: {one.text}\r\n" for one in messages
    ).encode("utf-8-sig")


def wechat_text(messages: Sequence[Said]) -> bytes:
    return "".join(f"{one.local} {one.sender}\n{one.text}\n\n" for one in messages).encode()


def wechat_csv(messages: Sequence[Said]) -> bytes:
    """The columns of the WeChatMsg exporter."""
    out = io.StringIO(newline="")
    rows = csv.writer(out)
    rows.writerow(
        ["localId", "TalkerId", "Type", "SubType", "IsSender", "CreateTime", "Status", "StrContent",
         "StrTime", "Remark", "NickName", "Sender"]
    )  # fmt: skip
    for number, one in enumerate(messages):
        rows.writerow(
            [
                number,
                one.conversation,
                1,
                0,
                0,
                int(one.time.timestamp()),
                "",
                one.text,
                one.local,
                "",
                "",
                one.sender,
            ]
        )
    return out.getvalue().encode("utf-8-sig")


def wechat_page(messages: Sequence[Said]) -> bytes:
    items = "".join(
        f'<div class="msg"><span class="dspname">{html.escape(one.sender)}</span>'
        f'<span class="time">{one.local}</span>'
        f'<div class="msg-text">{html.escape(one.text)}</div></div>\n'
        for one in messages
    )
    head = "<!DOCTYPE html>\n<html><head><title>微信聊天记录</title></head><body>\n"
    return f"{head}{items}</body></html>\n".encode()


def in_script(text: str) -> str:
    """A string of JavaScript in single quotes, of HTML."""
    escaped = html.escape(text, quote=False).replace("\\", "\\\\").replace("'", "\\'")
    return "'" + escaped.replace('"', '\\"').replace("\n", "\\n") + "'"


def wechat_msg_page(messages: Sequence[Said]) -> bytes:
    """WeChatMsg: the chat is an array in a script, as JavaScript and not as JSON writes it."""
    rows = "".join(
        f"{{ type:1, text: {in_script(one.text)},is_send:0,avatar_path:'./avatar/1.png',"
        f"timestamp:{int(one.time.timestamp())},is_chatroom:0,displayname:'{one.sender}'}},"
        + (
            f"{{ type:0, text: '{one.local}',is_send:0,avatar_path:'',"
            f"timestamp:{int(one.time.timestamp())}}},"
            if number % 5 == 0
            else ""
        )
        for number, one in enumerate(messages)
    )
    return (
        "<!DOCTYPE html>\n<html><head><title>Ann</title><style>.a > b {c: d}</style></head><body>"
        "<script>if (a < b && c > d) { it('s') }</script>\n<div id=chat></div>"
        f"<script>\nconst chatMessages = [{rows}]\nfor (let i = 0; i < 9; i++) {{}}</script>"
        "</body></html>\n"
    ).encode()


def _wechat_exporter_item(one: Said) -> str:
    text = html.escape(one.text).replace("\n", "<br />")
    return (
        f'\t\t<div class="msg chat-left " msgid="7" msgtype="1">\n'
        '\t\t\t<div class="avatar-box">\n\t\t\t\t<img src="a.jpg" class="avatar">\n\t\t\t</div>\n'
        f'\t\t\t<div class="nt-box"><span class="name-left">{one.sender}</span> {one.local}</div>\n'
        '\t\t\t<div class="content-box msg">\n\t\t\t\t<div class="triangle"></div>\n'
        f'\t\t\t\t<span class="dont-break-out">{text}</span>\n\t\t\t</div>\n\t\t</div>\n'
    )


def wechat_exporter_page(messages: Sequence[Said]) -> bytes:
    """WechatExporter: the time stands beside the name, in no element of its own."""
    items = "".join(map(_wechat_exporter_item, messages))
    head = "<!doctype html>\n<html>\n<head><title>Ann - 微信聊天记录</title></head>\n<body>\n"
    return f"{head}{items}</body>\n</html>\n".encode()


def wechat_exporter_script(messages: Sequence[Said]) -> bytes:
    """The same page's further messages: a script with an array of pieces of HTML."""
    pieces = json.dumps([_wechat_exporter_item(one) for one in messages])
    return f"(function() {{\n  var msgArray = {pieces};\n  push(msgArray);\n}})();\n".encode()


def wechat_script(messages: Sequence[Said]) -> bytes:
    """Exporters that keep the chat in a script."""
    rows = [
        {
            "type": 1,
            "text": one.text,
            "displayname": one.sender,
            "timestamp": int(one.time.timestamp()),
        }
        for one in messages
    ]
    array = json.dumps(rows, ensure_ascii=False)
    script = f"<script>const chatMessages = {array};\nrender()</script>"
    return f"<!DOCTYPE html>\n<html><body>{script}</body></html>".encode()


def telegram_json(messages: Sequence[Said]) -> bytes:
    chats: dict[str, list[Said]] = {}
    for one in messages:
        chats.setdefault(one.conversation, []).append(one)
    document = {
        "about": "Here is the data you requested.",
        "chats": {
            "about": "",
            "list": [
                {
                    "name": "Shop",
                    "type": "personal_chat",
                    "id": 4000 + number,
                    "messages": [
                        {
                            "id": place,
                            "type": "message",
                            "date": one.time.strftime("%Y-%m-%dT%H:%M:%S"),
                            "date_unixtime": str(int(one.time.timestamp())),
                            "from": one.sender,
                            "from_id": f"user{one.sender}",
                            "text": one.text
                            if place % 2
                            else [one.text[:3], {"type": "bold", "text": one.text[3:]}],
                        }
                        for place, one in enumerate(of_it)
                    ],
                }
                for number, of_it in enumerate(chats.values())
            ],
        },
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def telegram_page(messages: Sequence[Said]) -> bytes:
    items = []
    before = None
    for number, one in enumerate(messages):
        name = (
            ""
            if one.sender == before
            else f'<div class="from_name">\n{html.escape(one.sender)}\n</div>\n'
        )
        joined = "" if name else " joined"
        before = one.sender
        text = html.escape(one.text).replace("\n", "<br>")
        items.append(
            f'<div class="message default clearfix{joined}" id="message{number}">\n'
            f'<div class="body">\n<div class="pull_right date details" '
            f'title="{one.time:%d.%m.%Y %H:%M:%S} UTC+00:00">\n{one.time:%H:%M}\n</div>\n'
            f'{name}<div class="text">\n{text}\n</div>\n</div>\n</div>\n'
        )
    return (
        "<!DOCTYPE html>\n<html><head><title>Exported Data</title></head><body>"
        '<div class="history">\n' + "\n".join(items) + "</div></body></html>\n"
    ).encode()


def slack(messages: Sequence[Said]) -> bytes:
    rows = [
        {"client_msg_id": one.id, "type": "message", "text": one.text, "user": one.sender,
         "ts": f"{one.time.timestamp():.6f}",
         "blocks": [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [
             {"type": "text", "text": one.text}]}]}]}
        for one in messages
    ]  # fmt: skip
    return json.dumps(rows, indent=4).encode()


def zendesk(messages: Sequence[Said]) -> bytes:
    tickets: dict[str, list[Said]] = {}
    for one in messages:
        tickets.setdefault(one.conversation, []).append(one)
    document = {
        "tickets": [
            {
                "id": name,
                "status": "closed",
                "comments": [
                    {
                        "id": one.id,
                        "type": "Comment",
                        "author_id": one.sender,
                        "body": one.text,
                        "html_body": f"<div><p>{html.escape(one.text)}</p></div>",
                        "created_at": one.time.isoformat(),
                        "public": True,
                    }
                    for one in of_it
                ],
            }
            for name, of_it in tickets.items()
        ]
    }
    return json.dumps(document).encode()


def intercom(messages: Sequence[Said]) -> bytes:
    conversations: dict[str, list[Said]] = {}
    for one in messages:
        conversations.setdefault(one.conversation, []).append(one)
    document = {
        "type": "conversation.list",
        "conversations": [
            {
                "type": "conversation",
                "id": name,
                "conversation_parts": {
                    "type": "conversation_part.list",
                    "conversation_parts": [
                        {
                            "type": "conversation_part",
                            "id": one.id,
                            "part_type": "comment",
                            "body": f"<p>{html.escape(one.text)}</p>",
                            "created_at": int(one.time.timestamp()),
                            "author": {"type": "user", "id": one.sender, "name": "A person"},
                        }
                        for one in of_it
                    ],
                },
            }
            for name, of_it in conversations.items()
        ],
    }
    return json.dumps(document, indent=2).encode()


def intercom_lines(messages: Sequence[Said]) -> bytes:
    """One conversation a line."""
    document = json.loads(intercom(messages))
    return b"".join(json.dumps(one).encode() + b"\n" for one in [*document["conversations"], {}])


def zendesk_lines(messages: Sequence[Said]) -> bytes:
    """Comments of which there is only the HTML, a line each; less-than signs are escaped."""
    return b"".join(
        json.dumps(
            {
                "ticket_id": one.conversation,
                "id": one.id,
                "author_id": one.sender,
                "html_body": f"<div><p>{html.escape(one.text)}</p></div>",
                "created_at": one.time.isoformat(),
            }
        )
        .replace("<", "\\u003c")
        .encode()
        + b"\n"
        for one in messages
    )


def mbox(messages: Sequence[Said]) -> bytes:
    out = []
    roots: dict[str, str] = {}
    for number, one in enumerate(messages):
        root = roots.setdefault(one.conversation, one.id)
        reply = f"References: <{root}@example.org>\n" if root != one.id else ""
        coding, body = _mail_body(one.text, number)
        out.append(
            f"From {one.sender}@example.org {one.time:%a %b %d %H:%M:%S %Y}\n"
            f"From: {one.sender} <{one.sender}@example.org>\nSubject: about my order\n"
            f"Message-ID: <{one.id}@example.org>\n{reply}"
            f"Date: {one.time:%a, %d %b %Y %H:%M:%S +0000}\n"
            f"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
            f"Content-Transfer-Encoding: {coding}\n\n{body}\n"
        )
    return "".join(out).encode()


def mbox_parts(messages: Sequence[Said]) -> bytes:
    """Mails of several parts; the first boundary follows the headers at once, as with most."""
    out = []
    for number, one in enumerate(messages):
        mark = f"=-part-{number}"
        page = html.escape(one.text).replace("\n", "<br>\n")
        out.append(
            f"From {one.sender}@example.org {one.time:%a %b %d %H:%M:%S %Y}\n"
            f"From: {one.sender}@example.org\nMessage-ID: <{one.id}@example.org>\n"
            f"References: <{one.conversation}@example.org>\n"
            f"Date: {one.time:%a, %d %b %Y %H:%M:%S +0000}\n"
            f'Content-Type: multipart/mixed; boundary="{mark}"\n\n'
            f"--{mark}\nContent-Type: multipart/alternative; boundary={mark}-2\n\n"
            f"--{mark}-2\nContent-Type: text/plain; charset=utf-8\n\n{one.text}\n"
            f"--{mark}-2\nContent-Type: text/html; charset=utf-8\n\n<div>{page}</div>\n"
            f"--{mark}-2--\n\n"
            f"--{mark}\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\niVBORwAA\n"
            f"--{mark}--\n\n"
        )
    return "".join(out).encode()


def _mail_body(text: str, number: int) -> tuple[str, str]:
    match number % 3:
        case 0:
            return "8bit", text + "\n"
        case 1:
            # Every character by its own escapes: a star is then one, too.
            escaped = "".join(
                char if char.isascii() and char not in "=\n" else
                "\n" if char == "\n" else "".join(f"={byte:02X}" for byte in char.encode())
                for char in text
            )  # fmt: skip
            return "quoted-printable", escaped + "\n"
        case _:
            return "base64", base64.encodebytes(text.encode()).decode()


def in_zip(write: Write, name: str) -> Write:
    def zipped(messages: Sequence[Said]) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in (
                (name, write(messages)),
                ("media/photo.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF"),
            ):
                info = zipfile.ZipInfo(member, (2024, 5, 17, 12, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, data)
        return out.getvalue()

    return zipped


def in_gzip(write: Write) -> Write:
    return lambda messages: gzip.compress(write(messages), mtime=1_700_000_000)


def in_zstd(write: Write) -> Write:
    return lambda messages: zstandard.ZstdCompressor().compress(write(messages))


def encoded(write: Write, encoding: str, bom: bytes = b"") -> Write:
    return lambda messages: bom + write(messages).decode().encode(encoding)


KINDS = [
    Kind("jsonl", "chat.jsonl", jsonl),
    Kind("jsonl-escaped", "other.ndjson", jsonl_escaped),
    Kind("jsonl-nested", "train.jsonl", jsonl_nested),
    Kind("jsonl-utf16", "wide.jsonl", encoded(jsonl, "utf-16-le", b"\xff\xfe")),
    Kind("json-array", "chat.json", json_array),
    Kind("json-nested", "chats.json", json_nested),
    Kind("csv", "chat.csv", csv_file),
    Kind("csv-gb18030", "chat-gb.csv", encoded(csv_file, "gb18030")),
    Kind("tsv", "chat.tsv", tsv_file, lines=False),
    Kind("csv-title", "titled.csv", csv_below_a_title),
    Kind("csv-semicolons", "europe.csv", csv_semicolons),
    Kind("csv-backslashes", "spark.csv", csv_backslashes),
    Kind("csv-excel", "excel.txt", tsv_of_excel),
    Kind("parquet", "chat.parquet", parquet),
    Kind("log", "chat.log", log, conversations=False),
    Kind("irc", "irc.log", irc, conversations=False),
    Kind(
        "whatsapp-android",
        "WhatsApp Chat with Ann.txt",
        whatsapp_android,
        conversations=False,
        seconds=False,
    ),
    Kind("whatsapp-ios", "_chat.txt", whatsapp_ios, conversations=False),
    Kind("wechat-text", "wechat.txt", wechat_text, conversations=False),
    Kind("wechat-csv", "wechat.csv", wechat_csv),
    Kind("wechat-page", "wechat.html", wechat_page, conversations=False),
    Kind("wechat-script", "wechat2.html", wechat_script, conversations=False),
    Kind("wechat-msg", "wechat3.html", wechat_msg_page, conversations=False),
    Kind("wechat-exporter", "wechat4.html", wechat_exporter_page, conversations=False),
    Kind("wechat-js", "msg-2.js", wechat_exporter_script, conversations=False),
    Kind("telegram-json", "result.json", telegram_json),
    Kind("telegram-page", "messages.html", telegram_page, conversations=False),
    Kind("slack", "2024-05-17.json", slack, conversations=False),
    Kind("zendesk", "tickets.json", zendesk),
    Kind("intercom", "conversations.json", intercom),
    Kind("jsonl-intercom", "intercom.jsonl", intercom_lines),
    Kind("jsonl-zendesk", "zendesk.jsonl", zendesk_lines),
    Kind("mbox-parts", "parts.mbox", mbox_parts),
    Kind("mbox", "mail.mbox", mbox),
    Kind("jsonl-gzip", "chat.jsonl.gz", in_gzip(jsonl)),
    Kind("jsonl-zstd", "chat.jsonl.zst", in_zstd(jsonl)),
    Kind("csv-gzip", "chat.csv.gz", in_gzip(csv_file)),
    Kind(
        "whatsapp-zip",
        "WhatsApp Chat - Ann.zip",
        in_zip(whatsapp_ios, "_chat.txt"),
        conversations=False,
    ),
    Kind("slack-zip", "slack.zip", in_zip(slack, "general/2024-05-17.json"), conversations=False),
]

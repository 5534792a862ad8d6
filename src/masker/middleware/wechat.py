"""WeChat: messages from its callbacks, masked before anything else sees them.

`OfficialAccount` takes the callbacks of an official account or a mini program: XML or JSON, plain
or encrypted. `CustomerService` takes those of 微信客服 (WeCom): its callback only says that there
is something, and what it is comes as pages of `kf/sync_msg`, which the application asks for. A
signature that does not hold is refused before anything is parsed beyond the envelope.

A conversation is one customer with one account. The subject is whatever `subject_of` says of an
openid or external user id: the union id, where it is known, joins a person over accounts and
channels. Only what people wrote, or what was recognised of what they said, is text; what
else a message holds is left out of `extra`, for nothing there is masked.

Formats: developers.weixin.qq.com/doc/offiaccount/Message_Management/ (official accounts), and
developer.work.weixin.qq.com/document/path/94670 (sync_msg) and /path/90968 (encryption).
Cryptography and message models are wechatpy's (`pip install 'masker[wechat]'`).
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from masker import MaskedMessage, MaskerError, Message
from masker.buffers import ConversationRedactor
from masker.errors import MissingExtraError

try:
    import xmltodict
    from wechatpy import parse_message
    from wechatpy.crypto import WeChatCrypto
    from wechatpy.utils import WeChatSigner
except ImportError as error:
    raise MissingExtraError(extra="wechat") from error

SubjectOf = Callable[[str], str | None]

# What WeChat sends is a few kilobytes; what is larger is not from there.
MAX_BODY = 256 * 1024
_KEY_CHARACTERS = 43
# Who sent a message of 微信客服: kf/sync_msg's `origin`.
_CUSTOMER, _STAFF = 3, 5


class CallbackError(MaskerError):
    """A callback cannot be taken: not signed by WeChat, not for this account, or not readable."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What a callback of 微信客服 says: ask `kf/sync_msg` with this token."""

    token: str
    open_kfid: str


class OfficialAccount:
    """Callbacks of one official account, or one mini program.

    `token`, `encoding_aes_key` and `app_id` are those of its settings. Where there is a key, only
    encrypted callbacks are taken.

    Raises:
        CallbackError: the key is none.
    """

    def __init__(
        self,
        redactor: ConversationRedactor,
        *,
        token: str,
        app_id: str,
        encoding_aes_key: str | None = None,
        subject_of: SubjectOf | None = None,
        channel: str = "wechat",
    ) -> None:
        self._redactor = redactor
        self._token = token
        self._envelope = _Envelope(token, encoding_aes_key, app_id) if encoding_aes_key else None
        self._subject_of = subject_of
        self._channel = channel

    def echo(self, *, signature: str, timestamp: str, nonce: str, echostr: str) -> str:
        """What to answer when WeChat checks the address.

        Raises:
            CallbackError: it is not signed by WeChat.
        """
        _check(self._token, signature, timestamp, nonce)
        return echostr

    def receive(
        self,
        body: bytes | str,
        *,
        timestamp: str,
        nonce: str,
        signature: str = "",
        msg_signature: str = "",
    ) -> list[MaskedMessage]:
        """Take the body of a callback, and the parameters of its address.

        Raises:
            CallbackError: it is not signed by WeChat, or cannot be read.
        """
        if self._envelope is not None:
            opened = self._envelope.open(body, msg_signature, timestamp, nonce)
        else:
            _check(self._token, signature, timestamp, nonce)
            opened = _text(body)
        fields = _fields(opened)
        message = self._message(fields, _words(opened, fields))
        return self._redactor.receive(message)

    def _message(self, fields: Mapping[str, Any], text: str) -> Message:
        account, sender = _field(fields, "ToUserName"), _field(fields, "FromUserName")
        at = _field(fields, "CreateTime")
        kind = _field(fields, "MsgType").lower()
        if kind == "event":
            kind = f"event:{_field(fields, 'Event').lower()}"
        # Events have no id: WeChat says to know them by sender and time.
        message_id = str(fields.get("MsgId") or f"{sender}:{at}:{kind}")
        return Message(
            conversation_id=f"{account}:{sender}",
            message_id=message_id,
            sender=sender,
            text=text,
            timestamp=_time(at),
            channel=self._channel,
            subject=self._subject_of(sender) if self._subject_of is not None else None,
            extra={"type": kind},
        )


class CustomerService:
    """Callbacks and message pages of 微信客服 of one company.

    `token`, `encoding_aes_key` and `corp_id` are those of its callback's settings.

    Raises:
        CallbackError: the key is none.
    """

    def __init__(
        self,
        redactor: ConversationRedactor,
        *,
        token: str,
        encoding_aes_key: str,
        corp_id: str,
        subject_of: SubjectOf | None = None,
        channel: str = "wecom-kf",
    ) -> None:
        self._redactor = redactor
        self._envelope = _Envelope(token, encoding_aes_key, corp_id)
        self._subject_of = subject_of
        self._channel = channel

    def echo(self, *, msg_signature: str, timestamp: str, nonce: str, echostr: str) -> str:
        """What to answer when WeCom checks the address.

        Raises:
            CallbackError: it is not signed by WeCom.
        """
        return self._envelope.decrypt(echostr, msg_signature, timestamp, nonce)

    def notice(
        self, body: bytes | str, *, msg_signature: str, timestamp: str, nonce: str
    ) -> Notice | None:
        """What a callback asks for; None where it is of another kind.

        Raises:
            CallbackError: it is not signed by WeCom, or cannot be read.
        """
        fields = _fields(self._envelope.open(body, msg_signature, timestamp, nonce))
        if fields.get("Event") != "kf_msg_or_event":
            return None
        return Notice(_field(fields, "Token"), _field(fields, "OpenKfId"))

    def receive(self, page: Mapping[str, Any]) -> list[MaskedMessage]:
        """Take a page that `kf/sync_msg` gave: messages, and messages taken back.

        Raises:
            CallbackError: it is no such page.
        """
        messages = page.get("msg_list", [])
        if not isinstance(messages, list):
            raise CallbackError("a page of kf/sync_msg has no list of messages")
        if not all(isinstance(fields, Mapping) for fields in messages):
            raise CallbackError("a page of kf/sync_msg has something else than messages")
        # All of a page can be read before any of it is taken.
        read = [self._read(fields) for fields in messages]
        out: list[MaskedMessage] = []
        for one in read:
            out += (
                self._redactor.receive(one)
                if isinstance(one, Message)
                else self._redactor.recall(*one)
            )
        return out

    def _read(self, fields: Mapping[str, Any]) -> Message | tuple[str, str]:
        """A message; or which one was taken back, as conversation and id."""
        kind = _field(fields, "msgtype")
        event = fields.get("event") if kind == "event" else None
        who: Mapping[str, Any] = event if isinstance(event, Mapping) else fields
        account = str(fields.get("open_kfid") or who.get("open_kfid") or "")
        customer = str(fields.get("external_userid") or who.get("external_userid") or "")
        conversation = f"{account}:{customer}"
        if isinstance(event, Mapping):
            name = _field(event, "event_type")
            if name in ("user_recall_msg", "servicer_recall_msg"):
                return conversation, _field(event, "recall_msgid")
            kind = f"event:{name}"
        origin = fields.get("origin")
        is_customers = origin == _CUSTOMER
        sender = customer if is_customers else str(fields.get("servicer_userid") or "system")
        subject = None
        if is_customers and self._subject_of is not None:
            subject = self._subject_of(customer)
        sent = fields.get("send_time")
        return Message(
            conversation_id=conversation,
            message_id=_field(fields, "msgid"),
            sender=sender,
            text="\n".join(_said(fields.get(_field(fields, "msgtype")))) if not event else "",
            timestamp=_time(sent) if sent is not None else None,
            channel=self._channel,
            subject=subject,
            extra={"type": kind, "staff": origin == _STAFF},
        )


class _Envelope:
    """Encrypted bodies, in XML or JSON."""

    def __init__(self, token: str, encoding_aes_key: str, receiver: str) -> None:
        self._token = token
        if len(encoding_aes_key) != _KEY_CHARACTERS:
            raise CallbackError("encoding_aes_key is not 43 characters of Base64")
        try:
            self._crypto = WeChatCrypto(token, encoding_aes_key, receiver)
        except Exception:  # noqa: BLE001 - wechatpy asserts, and base64 raises its own
            raise CallbackError("encoding_aes_key is not 43 characters of Base64") from None

    def open(self, body: bytes | str, signature: str, timestamp: str, nonce: str) -> str:
        sealed = _fields(_text(body)).get("Encrypt")
        if not isinstance(sealed, str):
            raise CallbackError("a callback that should be encrypted is not")
        return self.decrypt(sealed, signature, timestamp, nonce)

    def decrypt(self, sealed: str, signature: str, timestamp: str, nonce: str) -> str:
        _check(self._token, signature, timestamp, nonce, sealed)
        try:
            opened: str = self._crypto.decrypt_message(
                {"Encrypt": sealed}, signature, timestamp, nonce
            )
        except Exception:  # noqa: BLE001 - padding, lengths, the receiver: all are of one kind
            raise CallbackError("a callback does not decrypt, or is for another account") from None
        return opened


def _check(token: str, signature: str, timestamp: str, nonce: str, *more: str) -> None:
    signer = WeChatSigner()
    signer.add_data(token, timestamp, nonce, *more)
    expected: str = signer.signature
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise CallbackError("the signature of a callback does not hold")


def _text(body: bytes | str) -> str:
    if len(body) > MAX_BODY:
        raise CallbackError(f"a callback has {len(body)} bytes, at most {MAX_BODY} are taken")
    try:
        return body.decode() if isinstance(body, bytes) else body
    except UnicodeDecodeError:
        raise CallbackError("a callback is not UTF-8") from None


def _fields(body: str) -> Mapping[str, Any]:
    """The fields of a body, XML or JSON."""
    try:
        is_json = body.lstrip()[:1] == "{"
        fields = json.loads(body) if is_json else xmltodict.parse(body)["xml"]
    except Exception:  # noqa: BLE001 - the parsers' errors quote what they could not read
        raise CallbackError("a callback is neither XML nor JSON as WeChat sends it") from None
    if not isinstance(fields, Mapping):
        raise CallbackError("a callback has no fields")
    return fields


def _field(fields: Mapping[str, Any], name: str) -> str:
    found = fields.get(name)
    if not isinstance(found, (str, int)) or isinstance(found, bool) or found == "":
        raise CallbackError(f"a callback has no {name}")
    return str(found)


def _time(seconds: Any) -> datetime:
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        raise CallbackError("the time of a callback is none") from None


def _words(body: str, fields: Mapping[str, Any]) -> str:
    """What was written or said in a message of an official account or a mini program."""
    if body.lstrip()[:1] == "{":
        found = [fields.get(name) for name in ("Content", "Recognition", "Title", "Description")]
    else:
        try:
            message = parse_message(body)
        except Exception:  # noqa: BLE001 - its error may quote the body
            raise CallbackError("a callback is no message that wechatpy knows") from None
        names = ("content", "recognition", "title", "description", "label")
        found = [getattr(message, name, None) for name in names]
    return "\n".join(str(one) for one in found if isinstance(one, str) and one)


# Names of what people read in a message of 微信客服; all else is ids, addresses of media, places.
_READ = frozenset(
    ["content", "head_content", "tail_content", "title", "desc", "name", "address", "nickname",
     "sender_name", "text", "msg_content"]
)  # fmt: skip


def _said(found: Any, *, depth: int = 0) -> Iterable[str]:
    """What was written in a message of 微信客服, however deep (menus, forwarded chats)."""
    if depth > 6:
        raise CallbackError("a message of kf/sync_msg is nested too deep")
    if isinstance(found, Mapping):
        for name, value in found.items():
            if isinstance(value, str):
                if name == "msg_content":
                    yield from _forwarded(value, depth)
                elif name in _READ and value:
                    yield value
            else:
                yield from _said(value, depth=depth + 1)
    elif isinstance(found, list):
        for value in found:
            yield from _said(value, depth=depth + 1)


def _forwarded(written: str, depth: int) -> Iterable[str]:
    """A forwarded message holds another one as JSON in a string."""
    try:
        inside = json.loads(written)
    except ValueError:
        return [written]
    return _said(inside, depth=depth + 1)

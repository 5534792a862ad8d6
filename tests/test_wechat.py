"""WeChat's callbacks, as WeChat sends them, through wechatpy's own cryptography."""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wechatpy.crypto import WeChatCrypto
from wechatpy.utils import WeChatSigner

from masker import MaskedMessage, Masker
from masker.middleware.wechat import CallbackError, CustomerService, Notice, OfficialAccount

MASKER = Masker(rules=["payment-card", "cn-resident-id"])
TOKEN, APP_ID, CORP_ID = "token-of-mine", "wx0123456789abcdef", "ww0123456789abcdef"
AES_KEY = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
FIRST, REST = "5105 1051", "0510 5100"
AT, NONCE = "1714989600", "nonce-1"


def signed(*parts: str) -> str:
    signer = WeChatSigner()
    signer.add_data(TOKEN, AT, NONCE, *parts)
    return str(signer.signature)


def xml(kind: str = "text", number: int = 1, sender: str = "openid-1", **fields: str) -> str:
    known = {"ToUserName": "gh_1", "FromUserName": sender, "CreateTime": str(1714989600 + number),
             "MsgType": kind, **fields}  # fmt: skip
    if kind != "event":
        known["MsgId"] = str(10_000 + number)
    inside = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in known.items())
    return f"<xml>{inside}</xml>"


def as_json(**fields: Any) -> str:
    known = {"ToUserName": "gh_1", "FromUserName": "openid-1", "CreateTime": 1714989600,
             "MsgType": "text", "MsgId": 10_000, **fields}  # fmt: skip
    return json.dumps(known, ensure_ascii=False)


def account(*, encrypted: bool = False, **options: Any) -> OfficialAccount:
    key = AES_KEY if encrypted else None
    redactor = options.pop("redactor", None) or MASKER.redactor()
    return OfficialAccount(redactor, token=TOKEN, app_id=APP_ID, encoding_aes_key=key, **options)


def plainly(mine: OfficialAccount, body: str) -> list[MaskedMessage]:
    return mine.receive(body, signature=signed(), timestamp=AT, nonce=NONCE)


def sealed(body: str, receiver: str = APP_ID) -> tuple[str, str]:
    """A body as WeChat encrypts it, and its signature."""
    envelope = WeChatCrypto(TOKEN, AES_KEY, receiver).encrypt_message(body, NONCE, AT)
    start = envelope.index("<Encrypt><![CDATA[") + len("<Encrypt><![CDATA[")
    encrypt = envelope[start : envelope.index("]]></Encrypt>")]
    return encrypt, signed(encrypt)


def privately(mine: OfficialAccount, body: str, *, form: str = "xml") -> list[MaskedMessage]:
    encrypt, signature = sealed(body)
    envelope = (
        f"<xml><ToUserName>gh_1</ToUserName><Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>"
        if form == "xml"
        else json.dumps({"ToUserName": "gh_1", "Encrypt": encrypt})
    )
    return mine.receive(envelope.encode(), msg_signature=signature, timestamp=AT, nonce=NONCE)


@pytest.mark.parametrize("form", ["plain", "xml", "json"])
def test_a_number_over_several_callbacks_is_masked(form: str) -> None:
    mine = account(encrypted=form != "plain")

    def receive(body: str) -> list[MaskedMessage]:
        return plainly(mine, body) if form == "plain" else privately(mine, body, form=form)

    out = receive(xml(Content=f"卡号{FIRST}"))
    out += receive(xml(number=2, Content="等一下"))
    out += receive(xml(number=3, Content=f"{REST}，谢谢"))
    assert out[0].text == "卡号**** ****"
    assert out[0].conversation_id == "gh_1:openid-1"
    assert out[0].message_id == "10001"
    assert out[0].sender == "openid-1"
    assert out[0].timestamp is not None
    assert out[0].timestamp.timestamp() == 1714989601
    assert "0510" not in out[2].text


def test_json_of_a_mini_program_is_taken() -> None:
    mine = account(encrypted=True)
    (out,) = privately(mine, as_json(Content="卡号5105 1051 0510 5100"), form="json")
    assert out.text in ("卡号**** **** **** 5100", "卡号**** **** **** ****")
    assert out.message_id == "10000"


@pytest.mark.parametrize(
    ("kind", "fields", "text"),
    [
        ("voice", {"MediaId": "m", "Format": "amr", "Recognition": FIRST}, "**** ****"),
        ("voice", {"MediaId": "m", "Format": "amr"}, ""),
        ("image", {"MediaId": "m", "PicUrl": f"http://x/{FIRST}"}, ""),
        ("link", {"Title": "card", "Description": FIRST, "Url": "http://x"}, "card\n**** ****"),
        ("location", {"Location_X": "1", "Location_Y": "2", "Label": "5105 10"}, "**** **"),
        ("event", {"Event": "subscribe"}, ""),
        ("event", {"Event": "CLICK", "EventKey": "menu"}, ""),
        ("something-new", {"Content": FIRST}, ""),
    ],
)
def test_every_kind_of_message_comes_out(kind: str, fields: dict[str, Any], text: str) -> None:
    (out,) = plainly(account(), xml(kind, **fields))
    assert out.text == text
    assert str(out.extra["type"]).startswith(kind)
    assert "5105" not in repr(out.extra)


def test_a_message_that_wechat_sends_again_comes_out_once() -> None:
    mine = account()
    assert len(plainly(mine, xml(Content=FIRST))) == 1
    assert plainly(mine, xml(Content=FIRST)) == []
    assert len(plainly(mine, xml("event", Event="subscribe"))) == 1
    assert plainly(mine, xml("event", Event="subscribe")) == []


def test_a_union_id_joins_accounts() -> None:
    redactor = MASKER.redactor()
    unions = {"openid-1": "union", "openid-2": "union"}
    one = account(redactor=redactor, subject_of=unions.get)
    two = account(redactor=redactor, subject_of=unions.get, channel="mini")
    out = plainly(one, xml(Content=FIRST))
    out += plainly(two, xml(number=2, sender="openid-2", Content=REST))
    assert {masked.subject for masked in out} == {"union"}
    assert all("0510" not in masked.text for masked in out)


def test_the_address_is_checked() -> None:
    echo = account().echo(signature=signed(), timestamp=AT, nonce=NONCE, echostr="7")
    assert echo == "7"
    with pytest.raises(CallbackError):
        account().echo(signature=signed("x"), timestamp=AT, nonce=NONCE, echostr="7")


BODY = xml(Content=FIRST)


def forged() -> dict[str, tuple[OfficialAccount, str, dict[str, str]]]:
    encrypt, signature = sealed(BODY)
    other, its_signature = sealed(BODY, "wx-of-another")
    envelope = f"<xml><Encrypt>{encrypt}</Encrypt></xml>"
    broken = encrypt[:-8] + "AAAAAAA="
    return {
        "no signature": (account(), BODY, {}),
        "a wrong signature": (account(), BODY, {"signature": signed("x")}),
        "a signature that is no ASCII": (account(), BODY, {"signature": "签名"}),
        "not encrypted": (account(encrypted=True), BODY, {"signature": signed()}),
        "no signature of the envelope": (account(encrypted=True), envelope, {}),
        "a wrong one": (account(encrypted=True), envelope, {"msg_signature": signed("x")}),
        "another account's": (
            account(encrypted=True), f"<xml><Encrypt>{other}</Encrypt></xml>",
            {"msg_signature": its_signature},
        ),
        "broken": (
            account(encrypted=True), f"<xml><Encrypt>{broken}</Encrypt></xml>",
            {"msg_signature": signed(broken)},
        ),
        "signed with another body": (
            account(encrypted=True), f"<xml><Encrypt>{broken}</Encrypt></xml>",
            {"msg_signature": signature},
        ),
        "too long": (account(), BODY + " " * 300_000, {"signature": signed()}),
    }  # fmt: skip


@pytest.mark.parametrize("case", forged())
def test_what_wechat_did_not_send_is_refused(case: str) -> None:
    mine, body, parameters = forged()[case]
    with pytest.raises(CallbackError) as caught:
        mine.receive(body, timestamp=AT, nonce=NONCE, **parameters)
    assert "5105" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "body",
    ["", "{}", "[]", "<xml/>", "<xml>", "<a>5105</a>", '{"MsgType": 7}', xml()[:-3],
     as_json(CreateTime="5105x"), as_json(FromUserName=None), "<!DOCTYPE x><xml/>",
     '<!DOCTYPE x [<!ENTITY a "5105">]><xml><MsgType>&a;</MsgType></xml>'],
)  # fmt: skip
def test_what_cannot_be_read_is_a_clear_error(body: str) -> None:
    with pytest.raises(CallbackError) as caught:
        plainly(account(), body)
    assert "5105" not in str(caught.value)


@given(st.text(max_size=60))
def test_any_body_is_taken_or_refused(body: str) -> None:
    with pytest.raises(CallbackError):
        plainly(account(), body)


@pytest.mark.parametrize("key", ["", "short", "x" * 42, "签" * 43])
def test_a_key_that_is_none_is_a_clear_error(key: str) -> None:
    with pytest.raises(CallbackError):
        CustomerService(
            MASKER.redactor(), token=TOKEN, encoding_aes_key=key or "-", corp_id=CORP_ID
        )


# -- 微信客服 ----------------------------------------------------------------------------------


def service(**options: Any) -> CustomerService:
    return CustomerService(
        MASKER.redactor(), token=TOKEN, encoding_aes_key=AES_KEY, corp_id=CORP_ID, **options
    )


def item(number: int, kind: str = "text", origin: int = 3, **fields: Any) -> dict[str, Any]:
    return {
        "msgid": f"m{number}",
        "open_kfid": "wk1",
        "external_userid": "wm1",
        "send_time": 1714989600 + number,
        "origin": origin,
        "msgtype": kind,
        **fields,
    }


def text(number: int, content: str, **fields: Any) -> dict[str, Any]:
    return item(number, text={"content": content}, **fields)


def test_a_notice_says_what_to_ask_for() -> None:
    body = (
        "<xml><ToUserName>ww</ToUserName><CreateTime>1</CreateTime><MsgType>event</MsgType>"
        "<Event>kf_msg_or_event</Event><Token>T</Token><OpenKfId>wk1</OpenKfId></xml>"
    )
    encrypt, signature = sealed(body, CORP_ID)
    notice = service().notice(
        f"<xml><Encrypt>{encrypt}</Encrypt></xml>", msg_signature=signature, timestamp=AT,
        nonce=NONCE,
    )  # fmt: skip
    assert notice == Notice("T", "wk1")
    echo, its_signature = sealed("echo", CORP_ID)
    answer = service().echo(msg_signature=its_signature, timestamp=AT, nonce=NONCE, echostr=echo)
    assert answer == "echo"


def test_pages_of_messages_are_masked_and_joined() -> None:
    mine = service(subject_of={"wm1": "union"}.get)
    page = {"msg_list": [
        text(1, "麻烦报一下卡号", origin=5, servicer_userid="staff-1"),
        text(2, FIRST),
        item(3, "image", image={"media_id": "x5105"}),
        text(4, "稍等"),
    ]}  # fmt: skip
    out = mine.receive(page) + mine.receive({"msg_list": [text(5, REST)]})
    assert [masked.sender for masked in out[:2]] == ["staff-1", "wm1"]
    assert [masked.subject for masked in out[:2]] == [None, "union"]
    shown = {masked.message_id: masked.text for masked in out}
    assert shown["m2"] == "**** ****"
    assert "0510" not in shown["m5"]
    assert out[0].conversation_id == "wk1:wm1"


def test_a_message_taken_back_is_recalled() -> None:
    mine = service()
    (pending,) = mine.receive({"msg_list": [text(1, FIRST)]})
    assert not pending.final
    recall = {"event_type": "user_recall_msg", "recall_msgid": "m1", "open_kfid": "wk1",
              "external_userid": "wm1"}  # fmt: skip
    (final,) = mine.receive({"msg_list": [{
        "msgid": "m2", "send_time": 1714989700, "origin": 4, "msgtype": "event", "event": recall,
    }]})  # fmt: skip
    assert (final.message_id, final.text, final.final) == ("m1", "**** ****", True)


def test_menus_and_forwarded_chats_are_read_however_deep() -> None:
    inner = json.dumps({"msgtype": "text", "text": {"content": "5105 1051 0510 5100"}})
    click = {"type": "click", "click": {"id": "5105", "content": "yes"}}
    menu = {"head_content": "hi", "list": [click], "tail_content": "bye"}
    items = [
        {"sender_name": "Ann", "msg_content": inner},
        {"sender_name": "Bo", "msg_content": "not json 1"},
    ]
    merged = {"title": "chat", "item": items}
    out = service().receive(
        {"msg_list": [item(1, "msgmenu", msgmenu=menu), item(2, "merged_msg", merged_msg=merged)]}
    )
    assert out[0].text == "hi\nyes\nbye"
    assert out[1].text.startswith("chat\nAnn\n**** **** ****")
    assert "Bo" in out[1].text


def test_events_of_the_service_come_out_without_text() -> None:
    event = {"event_type": "enter_session", "open_kfid": "wk1", "external_userid": "wm1",
             "scene": "5105", "welcome_code": "5105"}  # fmt: skip
    (out,) = service().receive({"msg_list": [item(1, "event", event=event)]})
    assert (out.text, out.extra["type"]) == ("", "event:enter_session")


@pytest.mark.parametrize(
    "page",
    [{"msg_list": "5105"}, {"msg_list": [5105]}, {"msg_list": [{}]},
     {"msg_list": [{"msgtype": "text"}]}, {"msg_list": [item(1, send_time="5105x")]}],
)  # fmt: skip
def test_a_page_that_is_none_is_a_clear_error(page: dict[str, Any]) -> None:
    with pytest.raises(CallbackError) as caught:
        service().receive(page)
    assert "5105" not in str(caught.value)


def test_a_page_is_taken_whole_or_not_at_all() -> None:
    mine = service()
    with pytest.raises(CallbackError):
        mine.receive({"msg_list": [text(1, "hello"), {}]})
    assert len(mine.receive({"msg_list": [text(1, "hello")]})) == 1

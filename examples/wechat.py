"""A callback of a WeChat official account, as a WSGI application.

WeChat posts each message here, signed; what is printed could be stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

from masker import Masker
from masker.middleware.wechat import CallbackError, OfficialAccount

TOKEN = "token-of-mine"  # noqa: S105 - an example's
account = OfficialAccount(Masker().redactor(), token=TOKEN, app_id="wx0123456789abcdef")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    signed = {name: query.get(name, "") for name in ("signature", "timestamp", "nonce")}
    try:
        if environ["REQUEST_METHOD"] == "GET":
            answer = account.echo(**signed, echostr=query.get("echostr", ""))
        else:
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            for out in account.receive(body, **signed):
                print(out.sender, out.revision, out.text)
            answer = "success"
    except CallbackError as error:
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [str(error).encode()]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer.encode()]


def main() -> None:
    """Two messages, as WeChat would post them."""
    import io

    from wechatpy.utils import WeChatSigner

    signer = WeChatSigner()
    signer.add_data(TOKEN, "1714989600", "n1")
    for number, text in enumerate(["卡号是5105 1051", "0510 5100"]):
        body = (
            "<xml><ToUserName>gh_1</ToUserName><FromUserName>openid-1</FromUserName>"
            f"<CreateTime>{1714989600 + number}</CreateTime><MsgType>text</MsgType>"
            f"<Content><![CDATA[{text}]]></Content><MsgId>{number}</MsgId></xml>"
        ).encode()
        environ = {
            "REQUEST_METHOD": "POST",
            "QUERY_STRING": f"signature={signer.signature}&timestamp=1714989600&nonce=n1",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
        }
        print(b"".join(application(environ, lambda status, _: print(status))).decode())


if __name__ == "__main__":
    main()

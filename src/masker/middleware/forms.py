"""Forms, as documents: the names of their fields are keys."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, urlencode

from masker.middleware.bodies import Talk
from masker.middleware.stages import Turn


async def masked_form(body: bytes, charset: str, talk: Talk) -> tuple[Turn | None, bytes]:
    """A form of the other side, masked; several values of one name are a list."""
    text = body.decode(charset, "surrogateescape")
    pairs = parse_qsl(text, keep_blank_values=True, encoding=charset)
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    fields = {name: held[0] if len(held) == 1 else held for name, held in values.items()}
    document = talk.read(json.dumps(fields), inbound=True)
    turn = await talk.take(document)
    document.write()
    if not document.altered:
        return turn, body
    masked = {
        name: (shown, iter(held if isinstance(held, list) else [held]))
        for name, (shown, held) in zip(fields, document.tree.items(), strict=True)
    }
    changed = [(masked[name][0], next(masked[name][1]) or "") for name, _ in pairs]
    return turn, urlencode(changed, encoding=charset).encode()

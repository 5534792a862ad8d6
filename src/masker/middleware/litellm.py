"""masker as a guardrail of LiteLLM: `litellm.callbacks = [MaskerGuardrail(masker)]`.

In the proxy it is a custom guardrail, named by its class; its hooks mask what a request says before
the model is called, a whole answer, a streamed one chunk by chunk, whatever the chunks are
(LiteLLM's own objects, or the raw events of another provider's protocol), and what is logged of
the call. With the SDK the same object masks
what `litellm.acompletion` sends and answers; for streams call its own `acompletion`.
`litellm.completion`, which blocks, asks no such callback: use the OpenAI client with
`masker.middleware.openai` there.

What goes through is changed in place, in the objects that LiteLLM made.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from masker.errors import MaskerError, MissingExtraError

try:
    import litellm
    from litellm.integrations.custom_guardrail import CustomGuardrail
    from litellm.types.guardrails import GuardrailEventHooks
except ImportError as error:
    raise MissingExtraError(extra="litellm") from error

from masker.masker import Masker
from masker.middleware import documents
from masker.middleware.bodies import Chunks, EventBody, Talk
from masker.middleware.documents import Document, Fields
from masker.middleware.history import Unfinished
from masker.middleware.litellm_logs import Mask, mask_details, mask_request
from masker.middleware.pipeline import AsyncPipeline
from masker.middleware.stages import ConversationRedactor, Store

# Ids and settings that stand beside what was said; token probabilities say it again, in pieces.
FIELDS = Fields(
    text=(
        "text", "content", "input", "output", "prompt", "refusal", "delta", "transcript",
        "reasoning", "reasoning_content", "thinking", "summary", "output_text", "query",
    ),
    conversation=(),
    sender=("role",),
    message_id=(),
    subject=(),
    documents=("arguments", "partial_json"),
    kept=(
        "id", "call_id", "tool_call_id", "item_id", "response_id", "model", "object", "type",
        "system_fingerprint", "signature", "encrypted_content", "file_id",
        "finish_reason", "stop_reason", "status", "media_type",
    ),
    values=("input", "args", "arguments"),
    blobs=("file_data", "image_url", "url", "data", "b64_json"),
    dropped=("logprobs",),
)  # fmt: skip
# What of a request says something; the rest is LiteLLM's own.
_SAID = (
    "messages", "input", "prompt", "suffix", "system", "system_instruction", "instructions",
    "query", "documents", "contents", "tools", "functions", "prediction", "response_format",
    "extra_body",
)  # fmt: skip
# Objects that somebody else made, of any shape.
_VALUES = (*FIELDS.values, "provider_specific_fields")
# Where it may run. In the others LiteLLM would call nothing that masks.
_MODES = (
    GuardrailEventHooks.pre_call, GuardrailEventHooks.post_call, GuardrailEventHooks.logging_only,
)  # fmt: skip
_LIMIT = 1 << 26
MAX_CALLS = 10_000


_WRAPPED: ContextVar[bool] = ContextVar("_WRAPPED", default=False)


class MaskingError(MaskerError):
    """Masking failed, and nothing goes on; whatever it was, its text may hold what was said."""

    def __init__(self) -> None:
        super().__init__("masking failed")


class ModeRefusedError(MaskerError):
    """A guardrail was to run only where it masks nothing.

    No `ValueError`: at those the proxy starts without the guardrail.
    """

    def __init__(self) -> None:
        super().__init__("the mode of masker in litellm is of pre_call, post_call, logging_only")


class StreamRefusedError(MaskerError):
    """A stream was asked for in a way in which nothing of it would be masked."""

    def __init__(self) -> None:
        super().__init__("litellm masks no streams of its SDK: use MaskerGuardrail.acompletion")


@dataclass(slots=True)
class _Object(Document):
    """An object of LiteLLM's, read as a document and written in place."""

    source: Any = None
    _put: dict[documents.Path, str] = field(default_factory=dict)

    def put(self, slot: documents.Slot, text: str) -> None:
        """This string is another one now, in the object too."""
        Document.put(self, slot, text)
        place = self.source
        for step in slot.path[:-1]:
            place = _item(place, step)
        _set(place, slot.path[-1], text)


def _item(place: Any, step: str | int) -> Any:
    if isinstance(place, dict | list):
        return place[step]  # type: ignore[index]
    return getattr(place, str(step))


def _set(place: Any, step: str | int, value: Any) -> None:
    if isinstance(place, dict | list):
        place[step] = value  # type: ignore[index]
    else:
        setattr(place, str(step), value)


def _read(source: Any, talk: Talk) -> _Object:
    """An object as a document: numbers that are numbers are masked as strings."""
    tree = _dumped(source)
    # Probabilities of tokens are left out of the object as well.
    for path, _ in _named(tree, (), FIELDS.dropped):
        _put(source, path, None)
    for path, value in _named(tree, (), _VALUES):
        if not isinstance(value, str):
            _put(source, path, _plain(value, talk))
    return _Object(_dumped(source), source=source)


def _dumped(source: Any) -> Any:
    return source.model_dump() if hasattr(source, "model_dump") else copy.deepcopy(source)


def _put(source: Any, path: documents.Path, value: Any) -> None:
    for step in path[:-1]:
        source = _item(source, step)
    _set(source, path[-1], value)


def _named(
    tree: Any, path: documents.Path, names: Collection[str]
) -> Iterator[tuple[documents.Path, Any]]:
    """What stands under one of these names, and where."""
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, list):
        items = enumerate(tree)
    for step, value in items:
        if step in names and value is not None:
            yield (*path, step), value
        else:
            yield from _named(value, (*path, step), names)


def _plain(value: Any, talk: Talk) -> Any:
    """A value as dicts and lists, with no number but in its strings, which are masked later."""
    if hasattr(value, "model_dump") and not isinstance(value, type):
        value = value.model_dump(exclude_none=True)
    if isinstance(value, Mapping):
        held: dict[Any, Any] = {}
        for name, each in value.items():
            key = talk.alone(name) if isinstance(name, str) else name
            while key in held:
                key = f"{key}*"
            held[key] = _plain(each, talk)
        return held
    if isinstance(value, list | tuple):
        return [_plain(each, talk) for each in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        shown = talk.alone(str(value))
        return value if shown == str(value) else shown
    return value


class MaskerGuardrail(CustomGuardrail):  # type: ignore[misc,unused-ignore] # untyped base
    """The guardrail; keyword arguments it does not know are LiteLLM's (`guardrail_name`, ...).

    * `rule_names`, `rules_path`: what a `Masker` is made of where none is given, as in the
      configuration of the proxy.
    * `tokens`: the model sees `<CARD_1>`, and the answer is given the number back.
    * `unfinished="shown"`: the model sees the "4" of a last "see page 4", which may be the start
      of a number, as long as no word calls it one.
    """

    def __init__(
        self,
        masker: Masker | None = None,
        *,
        tokens: bool = False,
        unfinished: Unfinished = "masked",
        store: Store | None = None,
        redactor: ConversationRedactor | None = None,
        rule_names: Sequence[str] | None = None,
        rules_path: str | None = None,
        guardrail_name: str = "masker",
        default_on: bool | None = True,
        **settings: Any,
    ) -> None:
        modes = settings.setdefault("event_hook", list(_MODES))
        if not set(_named_modes(modes)) <= set(_MODES):
            raise ModeRefusedError
        super().__init__(guardrail_name=guardrail_name, default_on=bool(default_on), **settings)
        self._pipeline = AsyncPipeline(
            masker or Masker(rule_names, rules_path), tokens=tokens,
            unfinished=unfinished, store=store, redactor=redactor,
        )  # fmt: skip
        self._unnamed = self._pipeline.without_store()
        self._logs = AsyncPipeline(self._pipeline.masker)
        # Calls that are under way.
        self._calls: OrderedDict[str, Talk] = OrderedDict()

    def _talk(self, data: dict[str, Any]) -> Talk:
        """The conversation of a call: the same in every hook of it."""
        key = str(data.get("litellm_call_id") or id(data))
        talk = self._calls.get(key)
        if talk is None:
            talk = Talk(self._pipeline, self._unnamed, FIELDS, None, for_model=True)
            self._calls[key] = talk
            if len(self._calls) > MAX_CALLS:
                self._calls.popitem(last=False)
        return talk

    async def _over(self, data: dict[str, Any]) -> None:
        talk = self._calls.pop(str(data.get("litellm_call_id") or id(data)), None)
        if talk is not None:
            await talk.end()

    # -- before the model ----------------------------------------------------------------------

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: Any
    ) -> dict[str, Any]:
        """Mask what a request says."""
        said = {name: data[name] for name in _SAID if data.get(name) is not None}
        with _failing_closed():
            try:
                talk = self._talk(data)
                document = Document(_plain(said, talk))
                await talk.take(document)
                self._replace(data, document.apply(), self._logged)
            except BaseException:
                # The proxy logs what it could not do.
                self._replace(data, dict.fromkeys(said), lambda _: None)
                raise
        self.mark_pre_call_hook_ran(data)
        return data

    def _replace(self, data: dict[str, Any], said: dict[str, Any], logged: Mask) -> None:
        """Put something else in the place of what a request says, wherever LiteLLM keeps it."""
        data.update(said)
        log = data.get("litellm_logging_obj")
        if log is not None:
            mask_request(log, logged)
        # The proxy keeps the request as it came, and logs it.
        asked = data.get("proxy_server_request")
        if isinstance(asked, dict) and isinstance(asked.get("body"), dict):
            asked["body"] = {**asked["body"], **copy.deepcopy(said)}

    async def async_pre_call_deployment_hook(
        self, kwargs: dict[str, Any], call_type: Any
    ) -> dict[str, Any]:
        """Mask what a call of the SDK says."""
        if self._pre_call_hook_already_ran(kwargs) or not self._is_on(kwargs):
            return kwargs
        if kwargs.get("stream") and not _WRAPPED.get() and not _in_proxy(kwargs):
            raise StreamRefusedError
        return await self.async_pre_call_hook(None, None, kwargs, call_type)

    def _is_on(self, data: dict[str, Any]) -> bool:
        named = data.get("guardrails") or ()
        return bool(self.default_on) or self.guardrail_name in named

    # -- what is logged ------------------------------------------------------------------------

    def should_run_guardrail(self, data: Any, event_type: GuardrailEventHooks) -> bool:
        """Whether it runs; what is logged is masked wherever anything of the call is."""
        kinds = [event_type]
        if event_type == GuardrailEventHooks.logging_only:
            kinds += [GuardrailEventHooks.pre_call, GuardrailEventHooks.post_call]
        return any(super(MaskerGuardrail, self).should_run_guardrail(data, kind) for kind in kinds)

    async def async_logging_hook(
        self, kwargs: dict[str, Any], result: Any, call_type: str
    ) -> tuple[dict[str, Any], Any]:
        """Mask what loggers are given of a call."""
        return self.logging_hook(kwargs, result, call_type)

    def logging_hook(
        self, kwargs: dict[str, Any], result: Any, call_type: str
    ) -> tuple[dict[str, Any], Any]:
        """Mask what loggers that block are given of a call."""
        held = {"result": result}
        mask_details(kwargs, self._logged)
        mask_details(held, self._logged)
        return kwargs, held["result"]

    def _logged(self, value: Any) -> Any:
        """A note of what was said, masked; it is a copy that belongs to nobody else."""
        talk = Talk(self._logs, self._logs, FIELDS, None, for_model=True)
        if isinstance(value, str):
            document = talk.document(value.encode("utf-8", "surrogatepass"), inbound=True)
            if document is None:
                return talk.alone(value)
            talk.scan(document)
            return document.write().decode("utf-8", "surrogatepass")
        if not hasattr(value, "model_dump"):
            document = Document(_plain(value, talk))
            talk.scan(document)
            return document.apply()
        talk.scan(_read(value, talk))
        return value

    # -- behind it -----------------------------------------------------------------------------

    async def async_post_call_success_hook(
        self, data: dict[str, Any], user_api_key_dict: Any, response: Any
    ) -> Any:
        """Mask a whole answer."""
        with _failing_closed():
            talk = self._talk(data)
            await talk.give(_read(response, talk))
            await self._over(data)
        return response

    async def async_post_call_success_deployment_hook(
        self, request_data: dict[str, Any], response: Any, call_type: Any
    ) -> Any:
        """Mask a whole answer of the SDK, or of a deployment behind the proxy."""
        if not self._is_on(request_data) or _in_proxy(request_data):
            return None
        try:
            return await self.async_post_call_success_hook(request_data, None, response)
        except Exception:  # noqa: BLE001 - fail closed: LiteLLM would go on with what it has
            return _emptied(response)

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """Mask an answer that comes in chunks: objects, or the bytes of events."""
        talk = self._talk(request_data)
        chunks, events = Chunks(talk), EventBody(talk, _LIMIT)
        as_text = False
        try:
            async for item in response:
                if isinstance(item, str | bytes):
                    as_text = isinstance(item, str)
                    source = item.encode() if isinstance(item, str) else item
                    with _failing_closed():
                        out = await events.feed(source, last=False)
                    if out:
                        yield out.decode() if as_text else out
                    continue
                with _failing_closed():
                    shown = await self._shown(item, talk, chunks)
                for each in shown:
                    yield each
            with _failing_closed():
                out, rests = await events.feed(b"", last=True), await chunks.end()
            if out:
                yield out.decode() if as_text else out
            for rest in rests:
                yield _source(rest)
        finally:
            await self._over(request_data)

    async def _shown(self, item: Any, talk: Talk, chunks: Chunks) -> list[Any]:
        document = _read(item, talk)
        ends = documents.is_end(document)
        if not documents.is_chunk(document, default=True):
            rests = await chunks.end(document) if ends else []
            talk.give_alone(document)
        else:
            rests = []
            if ends and not any(slot.text for slot in talk.chunks_of(document)):
                rests = await chunks.end(document)
            await chunks.feed(document)
        return [*map(_source, rests), item]

    async def acompletion(self, **call: Any) -> Any:
        """`litellm.acompletion` with this guardrail, also where it streams.

        LiteLLM asks no callback about the chunks that its SDK streams; so a stream that is asked
        for in any other way is refused.
        """
        wrapped = _WRAPPED.set(True)
        try:
            answer = await litellm.acompletion(**call)
        finally:
            _WRAPPED.reset(wrapped)
        if not call.get("stream"):
            return answer
        data = {"litellm_call_id": answer.logging_obj.litellm_call_id}
        return self.async_post_call_streaming_iterator_hook(None, answer, data)


@contextmanager
def _failing_closed() -> Iterator[None]:
    """LiteLLM tells the client, and its log, the text of whatever is raised."""
    try:
        yield
    except MaskerError:
        raise
    except Exception:  # noqa: BLE001 - whatever it was
        raise MaskingError from None


def _named_modes(modes: Any) -> Iterator[str]:
    """Modes as LiteLLM takes them: one, several, or by the tags of a call."""
    if isinstance(modes, str):
        yield modes
    elif isinstance(modes, list):
        yield from modes
    elif modes is not None:
        for each in (*modes.tags.values(), modes.default or []):
            yield from _named_modes(each)


def _source(document: Document) -> Any:
    assert isinstance(document, _Object)
    return document.source


def _emptied(response: Any) -> Any:
    """An answer that says nothing."""
    for choice in getattr(response, "choices", ()):
        choice.message = type(choice.message)(role="assistant", content="")
    for output in ("output", "data"):
        if getattr(response, output, None):
            setattr(response, output, [])
    return response


def _in_proxy(data: dict[str, Any]) -> bool:
    """Whether the proxy's own hooks will see the answer."""
    params = data.get("litellm_params") or {}
    return bool(data.get("proxy_server_request") or params.get("proxy_server_request"))

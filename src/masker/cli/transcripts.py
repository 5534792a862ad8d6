"""The commands over a transcript store: read, purge, expire, hold, look at, check."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from masker.cli.lines import write_message
from masker.cli.terminal import (
    FAILED,
    STDIN,
    UNREADABLE,
    failing_closed,
    is_asked_by_a_person,
    note,
    notes,
    standard_input,
)
from masker.errors import MaskerError, ReceiptError, StoreError, TamperedError
from masker.stores import Receipt, Retention, Tombstone, open_store
from masker.stores.model import Progress as Step
from masker.stores.sealed import SealedStore

StoreUrl = Annotated[
    str,
    typer.Option(
        "--store", metavar="URL", envvar="MASKER_STORE", help="sqlite:///PATH or postgresql://..."
    ),
]
KeysSpec = Annotated[
    str,
    typer.Option(
        "--keys",
        metavar="SPEC",
        envvar="MASKER_KEYS",
        help="file:PATH, env:NAME, passphrase:env:NAME, passphrase:file:PATH or aws-kms:KEY.",
    ),
]
KeysUrl = Annotated[
    str | None,
    typer.Option(
        "--keys-url",
        metavar="URL",
        envvar="MASKER_KEYS_URL",
        help="Where the wrapped keys are kept, if not beside the data.",
    ),
]
Conversation = Annotated[str | None, typer.Option("--conversation", metavar="ID")]
Subject = Annotated[str | None, typer.Option("--subject", metavar="ID")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DEFAULT_KEYS = "file:masker.keys"
# Ed25519's public keys have 32 bytes.
_KEY = re.compile(r"[0-9a-fA-F]{64}")

receipt_app = typer.Typer(help="Check receipts of purges.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands to masker's."""
    for command in (transcript, purge, expire, trail, hold, release, verify):
        app.command()(command)
    app.add_typer(receipt_app, name="receipt")


@contextmanager
def opened(
    url: str, keys: str, keys_url: str | None = None, *, create: bool = False
) -> Iterator[SealedStore]:
    """A store, and what opening it found, told."""
    with failing_closed():
        try:
            with open_store(url, keys, keys_url=keys_url, create=create) as store:
                if store.recovery:
                    note(f"{url.rpartition('/')[2]}: found after the last end: {store.recovery}")
                yield store
        except TamperedError as error:
            note(str(error))
            raise typer.Exit(FAILED) from None


@contextmanager
def progress_bar(what: str) -> Iterator[Step]:
    """A progress bar on a terminal, and nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def step(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of or None)

        yield step


def transcript(
    conversation: Annotated[str, typer.Argument(metavar="CONVERSATION")],
    store: StoreUrl,
    keys: KeysSpec = DEFAULT_KEYS,
    keys_url: KeysUrl = None,
) -> None:
    """Print a stored conversation as JSONL, the newest revision of each message."""
    with opened(store, keys, keys_url) as transcripts:
        messages = transcripts.transcript(conversation)
        if isinstance(messages, Tombstone):
            when = messages.purged_at.isoformat(timespec="seconds")
            note(f"the conversation was purged at {when}, receipt {messages.receipt}")
        elif not messages:
            note("there is no such conversation")
        sys.stdout.buffer.write(b"".join(write_message(message) for message in messages))
        sys.stdout.buffer.flush()


def purge(
    store: StoreUrl,
    keys: KeysSpec = DEFAULT_KEYS,
    keys_url: KeysUrl = None,
    conversation: Conversation = None,
    subject: Subject = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="TIME", help="ISO 8601: all that is older.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Destroy a conversation, a person's conversations, or all that is older; print the receipt.

    It cannot be undone: the keys are destroyed, so that older copies of the data are unreadable as
    well. Exit code 1: it is deferred by a legal hold, or a reader keeps it pending.
    """
    with opened(store, keys, keys_url) as transcripts:
        limit = None if before is None else _time(before)
        if sum(each is not None for each in (conversation, subject, limit)) != 1:
            raise StoreError("say one of --conversation, --subject and --before")
        if not yes and is_asked_by_a_person():
            _confirm(_asked(transcripts, conversation, subject, before), yes=yes)
        with progress_bar("purging") as step:
            receipt = transcripts.purge(
                conversation_id=conversation, subject=subject, before=limit, progress=step
            )
        _give(receipt)


def expire(
    store: StoreUrl,
    keys: KeysSpec = DEFAULT_KEYS,
    keys_url: KeysUrl = None,
    days: Annotated[
        float | None, typer.Option("--days", min=0, help="How long messages are kept.")
    ] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(
            "--channel", metavar="NAME=DAYS", help="As in wechat=30, for a channel; repeatedly."
        ),
    ] = None,
    now: Annotated[
        str | None, typer.Option("--now", metavar="TIME", help="ISO 8601, in place of the clock.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Purge what is past its time; print the receipt, if there was anything."""
    with opened(store, keys, keys_url) as transcripts:
        channels = dict(map(_channel, channel or []))
        if days is None and not channels:
            raise StoreError("say how long messages are kept: --days, --channel NAME=DAYS")
        _confirm("Purge every message that is past its time?", yes=yes)
        with progress_bar("expiring") as step:
            receipt = transcripts.expire(
                datetime.now(UTC) if now is None else _time(now),
                Retention(days=days, channels=channels),
                progress=step,
            )
        if receipt is None:
            note("nothing is past its time")
        else:
            _give(receipt)


def trail(
    store: StoreUrl,
    keys: KeysSpec = DEFAULT_KEYS,
    keys_url: KeysUrl = None,
    conversation: Conversation = None,
    subject: Subject = None,
) -> None:
    """Print what happened to a conversation or a person's conversations, as JSONL; no content."""
    with opened(store, keys, keys_url) as transcripts:
        _one(conversation, subject)
        for event in transcripts.trail(conversation_id=conversation, subject=subject):
            line = {
                "at": event.at.isoformat(),
                "event": event.kind,
                "count": event.count,
                "rules": dict(event.rules),
            }
            sys.stdout.write(msgspec.json.encode(line).decode() + "\n")


def hold(
    store: StoreUrl,
    keys: KeysSpec = DEFAULT_KEYS,
    keys_url: KeysUrl = None,
    conversation: Conversation = None,
    subject: Subject = None,
) -> None:
    """Put a conversation or a person under legal hold: purges are deferred, and say so."""
    with opened(store, keys, keys_url) as transcripts:
        _one(conversation, subject)
        transcripts.hold(conversation_id=conversation, subject=subject)


def release(
    store: StoreUrl,
    keys: KeysSpec = DEFAULT_KEYS,
    keys_url: KeysUrl = None,
    conversation: Conversation = None,
    subject: Subject = None,
) -> None:
    """Lift a legal hold; print the receipts of purges that waited for it."""
    with opened(store, keys, keys_url) as transcripts:
        _one(conversation, subject)
        for receipt in transcripts.release(conversation_id=conversation, subject=subject):
            sys.stdout.write(receipt.to_json() + "\n")


def verify(
    store: StoreUrl,
    keys: KeysSpec = DEFAULT_KEYS,
    keys_url: KeysUrl = None,
    accept_restored: Annotated[
        bool,
        typer.Option(
            "--accept-restored",
            help="First take an older copy of the data, put back from a backup, for the present.",
        ),
    ] = False,
) -> None:
    """Walk a whole store; exit code 1 and the place, where anything is not as it was stored."""
    with opened(store, keys, keys_url) as transcripts:
        if accept_restored:
            note(f"conversations that had been newer: {transcripts.accept_restored()}")
        with progress_bar("verifying") as step:
            report = transcripts.verify(progress=step)
        sys.stdout.write(
            f"{report.conversations} conversations, {report.records} records, "
            f"{report.messages} messages, {report.keys} keys\n"
        )
        if not report.ok:
            note(str(report.fault))
            raise typer.Exit(FAILED)


@receipt_app.command("verify")
def verify_receipt(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Receipts; - is standard input.")],
    public_key: Annotated[
        str | None,
        typer.Option(
            "--public-key",
            metavar="HEX",
            envvar="MASKER_PUBLIC_KEY",
            help="What masker keys status shows; else the key that the receipt itself names.",
        ),
    ] = None,
    about: Annotated[
        str | None,
        typer.Option("--about", metavar="ID", help="Check that they are about this id as well."),
    ] = None,
) -> None:
    """Check receipts of purges, a line each: signature, chain, whom they are about.

    No store and no secret is needed, only the public key. Exit code 1: one of them does not hold.
    """
    with failing_closed():
        if public_key is not None and not _KEY.fullmatch(public_key.strip()):
            raise ReceiptError("--public-key is given as 64 hexadecimal digits")
        before: Receipt | None = None
        lines = [line for line in _read(file).splitlines() if line.strip()]
        if not lines:
            note(f"{file}: there is no receipt in it")
            raise typer.Exit(UNREADABLE)
        for number, line in enumerate(lines, 1):
            try:
                receipt = Receipt.from_json(line)
                receipt.verify(public_key)
                if before is not None and receipt.number == before.number + 1:
                    _follows(before, receipt)
                if about is not None and not receipt.is_about(about):
                    raise ReceiptError("is about something else")
            except ReceiptError as error:
                note(f"line {number}: the receipt {error}")
                raise typer.Exit(FAILED) from None
            before = receipt
            sys.stdout.write(
                f"{receipt.id}: {receipt.status}, {receipt.scope}, {receipt.messages} messages of "
                f"{receipt.conversations} conversations, {receipt.keys} keys, "
                f"{receipt.completed_at or receipt.requested_at}\n"
            )
        if public_key is None and before is not None:
            note(f"signed by {before.public_key}: compare it with the key the operator published")


def _follows(before: Receipt, receipt: Receipt) -> None:
    if receipt.previous != before.digest():
        raise ReceiptError("does not follow the one before it")


def _asked(
    store: SealedStore, conversation: str | None, subject: str | None, before: str | None
) -> str:
    if conversation is not None:
        return f"Destroy conversation {conversation} for good?"
    if subject is not None:
        count = len(store.conversations(subject))
        return f"Destroy all {count} conversations of {subject} for good?"
    return f"Destroy every message from before {before} for good?"


def _confirm(question: str, *, yes: bool) -> None:
    if yes or not is_asked_by_a_person():
        return
    notes.print(f"masker: {question} [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        note("nothing was done")
        raise typer.Exit(FAILED)


def _give(receipt: Receipt) -> None:
    sys.stdout.write(receipt.to_json() + "\n")
    sys.stdout.flush()
    if receipt.status == "held":
        note("a legal hold defers it: nothing was destroyed yet")
        raise typer.Exit(FAILED)
    if receipt.status == "pending":
        note("the keys are destroyed; a reader keeps their bytes from being erased, ask again")
        raise typer.Exit(FAILED)
    if receipt.held:
        note(f"conversations left, under legal hold or damaged: {receipt.held}")


def _one(conversation: str | None, subject: str | None) -> None:
    if (conversation is None) == (subject is None):
        raise StoreError("say one of --conversation and --subject")


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise StoreError("a time is given in ISO 8601, as in 2024-05-06T10:00:00+08:00") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _channel(text: str) -> tuple[str, float]:
    name, _, days = text.rpartition("=")
    try:
        if name and float(days) >= 0:
            return name, float(days)
    except ValueError:
        pass
    raise StoreError("a channel's retention is given as NAME=DAYS, as in wechat=30")


def _read(file: str) -> bytes:
    if file == STDIN:
        return standard_input().read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise MaskerError(f"{file} cannot be read: {reason}") from None

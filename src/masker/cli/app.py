"""The commands and their options; what they do stands in the modules beside this one."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Annotated, BinaryIO

import typer
from rich import progress

from masker import Masker
from masker.cli import listing, transcripts
from masker.cli.keeping import Keeper
from masker.cli.keys import keys_app
from masker.cli.mask import mask_stream, mask_text
from masker.cli.run import Run
from masker.cli.terminal import STDIN, UNREADABLE, failing_closed, note, notes, standard_input
from masker.packs import bundled_packs, load_packs

app = typer.Typer(
    name="masker",
    help="Masks card and ID numbers in chat, also when they arrive in pieces.",
    epilog="Exit codes: 0 done, 1 masking failed somewhere, 2 bad usage or unreadable input.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    # A traceback of typer's shows the values of variables, and those are messages.
    pretty_exceptions_enable=False,
)
rules_app = typer.Typer(
    help="Look at rules, write them and put them to the test.", no_args_is_help=True
)
app.add_typer(rules_app, name="rules")
app.add_typer(keys_app, name="keys")
transcripts.register(app)


class Delivery(StrEnum):
    """When a message comes out."""

    REVISE = "revise"
    HOLD = "hold"


class Format(StrEnum):
    """How rules are listed."""

    AUTO = "auto"
    TABLE = "table"
    TSV = "tsv"
    JSON = "json"


class Report(StrEnum):
    """How the result of a check is told."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    SARIF = "sarif"
    GITHUB = "github"


RulesPath = Annotated[
    Path | None,
    typer.Option("--rules", metavar="PATH", help="Rule packs (a folder or a .toml file) to use."),
]
RuleNames = Annotated[
    list[str] | None,
    typer.Option("--rule", metavar="ID", help="Only this rule or pack; may be given repeatedly."),
]


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"masker {importlib.metadata.version('masker')}\n")
        raise typer.Exit


@app.callback()
def masker(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Masks card and ID numbers in chat, also when they arrive in pieces."""


@app.command()
def run(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="JSONL file; - is standard input.")
    ] = STDIN,
    delivery: Annotated[
        Delivery,
        typer.Option(
            help="revise: each message at once, again when more is known. "
            "hold: each message once, when it is decided."
        ),
    ] = Delivery.REVISE,
    rules: RulesPath = None,
    rule: RuleNames = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store", metavar="URL", help="Keep them, too: sqlite:///PATH, postgresql://..."
        ),
    ] = None,
    keys: transcripts.KeysSpec = transcripts.DEFAULT_KEYS,
    keys_url: transcripts.KeysUrl = None,
) -> None:
    """JSONL messages in, masked JSONL messages out, as they come.

    One object a line. Only "text" is required; "conversation_id", "message_id", "sender",
    "timestamp" (ISO 8601 or seconds since 1970), "channel" and "subject" say what belongs together.
    Other fields pass through. What comes out has "revision", "final" and "findings" besides: keep
    the highest revision of each (conversation_id, message_id).

    A line that is no message is reported on standard error by its number, and the rest goes on.

    With --store, what comes out is kept encrypted as well, and comes out once it is.
    """
    with failing_closed(), ExitStack() as stack:
        redactor = _masker(rules, rule).redactor(delivery=delivery.value)
        keeper = None
        if store is not None:
            opened = transcripts.opened(store, keys, keys_url, create=True)
            keeper = Keeper(stack.enter_context(opened))
        source = stack.enter_context(_opened(file))
        code = Run(redactor, sys.stdout.buffer, keeper).read(source)
        raise typer.Exit(code)


@app.command()
def mask(
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="The text; - or nothing is standard input."),
    ] = None,
    rules: RulesPath = None,
    rule: RuleNames = None,
) -> None:
    """Plain text in, masked text out: a filter for pipes."""
    with failing_closed():
        masker = _masker(rules, rule)
        if text and text != [STDIN]:
            # Words are joined, so that digits in groups need no quotes.
            mask_text(masker, " ".join(text), sys.stdout.buffer)
        else:
            with open(standard_input().fileno(), "rb", closefd=False) as source:
                mask_stream(masker, source, sys.stdout.buffer)


@app.command()
def scan(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Files, folders, globs; - is standard input."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where the masked files go.")
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Put the masked files in place of the others.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look; write no file.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a scan that was killed.")
    ] = False,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Processes to use.", show_default="all")
    ] = os.cpu_count() or 1,
    form: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="Of all files; else by content.")
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="ROLE=NAME", help="As in --field text=body; repeatedly."),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option("--encoding", metavar="NAME", help="Of all files; else guessed.")
    ] = None,
    timezone: Annotated[
        str, typer.Option("--timezone", metavar="NAME", help="Of times that name no offset.")
    ] = "UTC",
    per_file: Annotated[
        bool, typer.Option("--per-file", help="Equal conversation ids in two files are two.")
    ] = False,
    report: Annotated[
        list[Path] | None,
        typer.Option("--report", metavar="FILE", help="A .html, .json, .csv or .sarif report."),
    ] = None,
    digest_key: Annotated[
        str | None,
        typer.Option("--digest-key", metavar="SPEC", help="file:PATH or env:NAME, for reports."),
    ] = None,
    fail_on_findings: Annotated[
        bool, typer.Option("--fail-on-findings", help="Exit with 1 if there was anything to mask.")
    ] = False,
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            metavar="URL",
            help="Keep the messages, too: sqlite:///PATH, postgresql://...",
        ),
    ] = None,
    keys: Annotated[
        str, typer.Option("--keys", metavar="SPEC", envvar="MASKER_KEYS", help="Keys of the store.")
    ] = "file:masker.keys",
    keys_url: Annotated[
        str | None, typer.Option("--keys-url", metavar="URL", envvar="MASKER_KEYS_URL")
    ] = None,
    rules: RulesPath = None,
    rule: RuleNames = None,
) -> None:
    """Mask archived transcripts, whole conversations at a time, also over several files.

    JSONL, JSON, CSV and TSV, Parquet, plain logs, WhatsApp, Telegram, Slack, WeChat, Zendesk,
    Intercom and mbox, also in gzip, zstd and zip. What comes out is the same file, only masked.
    """
    with failing_closed():
        code = _scan_module().run(
            paths, out=out, in_place=in_place, dry_run=dry_run, resume=resume, jobs=jobs, form=form,
            fields=field or [], encoding=encoding, zone=timezone, per_file=per_file,
            reports=report or [], digest=digest_key, fail_on_findings=fail_on_findings,
            rules=tuple(rule or ()), rules_path=rules, store_url=store, keys=keys,
            keys_url=keys_url,
        )  # fmt: skip
        raise typer.Exit(code)


def _scan_module() -> ModuleType:
    """`masker.cli.scan`, which needs an extra of its own.

    Raises:
        MissingExtraError: it is not installed.
    """
    return importlib.import_module("masker.cli.scan")


@rules_app.command("list")
def list_rules(
    rules: RulesPath = None,
    format_: Annotated[
        Format, typer.Option("--format", help="auto: a table on a terminal, else tsv.")
    ] = Format.AUTO,
) -> None:
    """List the rules, with what each finds and whether it is on by default."""
    with failing_closed():
        packs = load_packs(rules) if rules else bundled_packs()
        if format_ is Format.AUTO:
            format_ = Format.TABLE if sys.stdout.isatty() else Format.TSV
        write = {
            Format.TABLE: listing.write_table,
            Format.TSV: listing.write_lines,
            Format.JSON: listing.write_json,
        }[format_]
        write(packs, sys.stdout)
        sys.stdout.flush()


@rules_app.command("check")
def check_rules(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH...", help="Packs, or folders of them; else the bundled ones."),
    ] = None,
    format_: Annotated[
        Report, typer.Option("--format", help="text is for people, the others for programs.")
    ] = Report.TEXT,
    rule: RuleNames = None,
    seed: Annotated[
        int, typer.Option(help="Where chance starts from: the same seed tries the same.")
    ] = 0,
    budget: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="About how long it may take in all.")
    ] = 45,
    min_score: Annotated[
        float,
        typer.Option(
            min=0,
            max=100,
            help="The share of small changes, in per cent, that the "
            "examples of each rule must notice.",
        ),
    ] = 80,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0: one for each core.")] = 0,
) -> None:
    """Put rule packs to the test.

    Examples and counterexamples, numbers made from each pattern and cut and written in every way,
    chance hits, patterns that explode, changes that no example notices. Each failure comes with the
    smallest case, ready to be pasted into the pack. Exit code 1: a rule fails its own claims; 2: a
    pack cannot be read.
    """
    with failing_closed():
        checking = _checking()
        settings = checking.Settings(seed=seed, budget=budget, min_score=min_score, jobs=jobs)
        code = checking.check(paths or [], rule or [], format_.value, settings, sys.stdout)
        raise typer.Exit(code)


@rules_app.command("explain")
def explain_rule(
    rule_id: Annotated[str, typer.Argument(metavar="ID", help="The rule.")],
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT...", help="A text; several are one person's messages."),
    ] = None,
    rules: RulesPath = None,
) -> None:
    """Show, step by step, why a rule masks a text, or does not. - is standard input, by lines."""
    with failing_closed():
        checking = _checking()
        if texts == [STDIN]:
            given = standard_input().read()
            texts = given.decode("utf-8", "surrogateescape").splitlines()
        checking.explain_text(rules, rule_id, texts or [], sys.stdout)


@rules_app.command("new")
def new_rule(
    rule_id: Annotated[str, typer.Argument(metavar="ID", help="Lower-case words joined by -.")],
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="Where to write it, or a folder; else standard output."
        ),
    ] = None,
) -> None:
    """Write a new pack with comments, that passes its own check as it is."""
    with failing_closed():
        _checking().new_pack(rule_id, file)


def _checking() -> ModuleType:
    """What tests rules, which is an extra of its own."""
    try:
        from masker.cli import checking
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        note("rules are tested by an extra: pip install 'masker[testing]'")
        raise typer.Exit(UNREADABLE) from None
    return checking


def _masker(rules: Path | None, rule: list[str] | None) -> Masker:
    return Masker(rules=rule or None, rules_path=rules)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == STDIN:
        yield standard_input()
        return
    try:
        size = Path(file).stat().st_size
        source: BinaryIO = Path(file).open("rb")  # noqa: SIM115 - closed below, reported here
    except OSError as error:
        note(f"{file} cannot be read: {(error.strerror or type(error).__name__).lower()}")
        raise typer.Exit(UNREADABLE) from None
    with source:
        if sys.stdout.isatty() or not notes.is_terminal:
            yield source
            return
        with progress.wrap_file(
            source, total=size, console=notes, description="masking", transient=True
        ) as watched:
            yield watched

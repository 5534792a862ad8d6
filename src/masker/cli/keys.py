"""`masker keys`: make, rotate and look at key material."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from masker.cli.terminal import failing_closed, note
from masker.cli.transcripts import DEFAULT_KEYS, KeysSpec, KeysUrl, StoreUrl, opened, progress_bar
from masker.vault.keyfile import make_key_file
from masker.vault.providers import new_root_key, open_keys

keys_app = typer.Typer(help="Make, rotate and look at key material.", no_args_is_help=True)


@keys_app.command("init")
def init(
    path: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The same as --keys file:FILE.")
    ] = None,
    keys: KeysSpec = DEFAULT_KEYS,
) -> None:
    """Make a key: a file of mode 0600, or a line for the environment.

    A file that is there is never overwritten. Keep a copy of it offline: without it nobody reads
    the store again.
    """
    with failing_closed():
        if path is not None:
            keys = f"file:{path}"
        kind, _, rest = keys.partition(":")
        if kind == "file" and rest:
            make_key_file(Path(rest))
            note(f"made {Path(rest).resolve()}, mode 0600; keep a copy offline")
            note(f"use it with: --keys {keys}")
        elif kind in ("env", "environment") and rest:
            sys.stdout.write(f"{rest}={new_root_key()}\n")
            note(f"put this line where your secrets are kept, and use it with: --keys {keys}")
        else:
            # The others make nothing; that they can be used is worth knowing.
            open_keys(keys)
            note(f"{keys} needs nothing to be made; use it with: --keys {keys}")


@keys_app.command("rotate")
def rotate(
    store: StoreUrl,
    keys: KeysSpec = DEFAULT_KEYS,
    keys_url: KeysUrl = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="SPEC", help="Other keys to use from now on, as for --keys."),
    ] = None,
) -> None:
    """Wrap every key of a store again under a new one; records are not touched.

    May be interrupted: it goes on when the store is opened next. With --to, the old keys open
    nothing any more, in this store or in older copies of its wrapped keys once they are destroyed;
    where it was interrupted, the new ones open the store, unless nothing was changed yet.
    """
    with opened(store, keys, keys_url) as transcripts, progress_bar("rotating") as step:
        count = transcripts.rotate(to, progress=step)
        status = transcripts.key_status()
        note(f"wrapped {count} keys again; epoch {status.epoch}, under {status.provider}")


@keys_app.command("status")
def status(
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="URL", envvar="MASKER_STORE", help="Its keys, too."),
    ] = None,
    keys: KeysSpec = DEFAULT_KEYS,
    keys_url: KeysUrl = None,
) -> None:
    """Say whether keys can be used, and what they are used for; never the keys."""
    with failing_closed():
        provider = open_keys(keys)
        sys.stdout.write(f"keys: {provider.name}\n")
    if store is None:
        return
    with opened(store, keys, keys_url) as transcripts:
        found = transcripts.key_status()
        for name, value in (
            ("suite", found.suite),
            ("epoch", found.epoch),
            ("keys in use", found.keys),
            ("keys destroyed", found.destroyed),
            ("public key of receipts", found.public_key),
        ):
            sys.stdout.write(f"{name}: {value}\n")

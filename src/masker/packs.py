"""Rule packs on disk: the bundled ones, and a user's own file or folder."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from masker.core.rules import Pack, parse_pack
from masker.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.resources.abc import Traversable
    from os import PathLike

_SUFFIX = ".toml"
_BUNDLED = "rules"


@cache
def bundled_packs() -> tuple[Pack, ...]:
    """The packs that come with masker, by file name, those that are off by default too.

    Raises:
        RuleError: the installation has no packs, or broken ones.
    """
    # A wheel carries the packs inside the package; a checkout has them at its root, beside src/.
    homes: tuple[Traversable, ...] = (
        resources.files("masker") / _BUNDLED,
        Path(__file__).resolve().parents[2] / _BUNDLED,
    )
    for home in homes:
        if home.is_dir():
            files = [entry for entry in home.iterdir() if entry.name.endswith(_SUFFIX)]
            if files:
                return _read_all((f"{_BUNDLED}/{file.name}", file) for file in files)
    raise RuleError(
        source=_BUNDLED, rule=None, key=None, reason="this installation has no rule packs"
    )


def load_packs(path: str | PathLike[str]) -> tuple[Pack, ...]:
    """The packs of a `.toml` file, or of all `.toml` files in a folder, by file name.

    Raises:
        RuleError: the path does not exist, holds no pack or cannot be read, a pack is
            wrong, or two packs or two rules have the same name.
    """
    place = Path(path)
    try:
        if place.is_dir():
            files = [file for file in place.iterdir() if file.name.endswith(_SUFFIX)]
            if not files:
                raise _unusable(place, f"has no {_SUFFIX} file")
        elif place.exists():
            files = [place]
        else:
            raise _unusable(place, "does not exist")
    except (OSError, ValueError) as error:
        raise _unusable(place, _cannot_be_read(error)) from None
    return _read_all((str(file), file) for file in files)


def _read_all(files: Iterable[tuple[str, Traversable]]) -> tuple[Pack, ...]:
    packs: list[Pack] = []
    pack_homes: dict[str, str] = {}
    rule_homes: dict[str, str] = {}
    for source, file in sorted(files, key=lambda pair: pair[0]):
        pack = parse_pack(_read(source, file), source=source)
        if pack.name in pack_homes:
            reason = f"{pack.name} is the name of {pack_homes[pack.name]} already"
            raise RuleError(source=source, rule=None, key="name", reason=reason)
        pack_homes[pack.name] = source
        for rule in pack.rules:
            if rule.id in rule_homes:
                reason = f"is used in {rule_homes[rule.id]} already"
                raise RuleError(source=source, rule=rule.id, key="id", reason=reason)
            rule_homes[rule.id] = source
        packs.append(pack)
    return tuple(packs)


def _read(source: str, file: Traversable) -> str:
    try:
        # utf-8-sig: some editors begin a file with a byte order mark, which TOML does not know.
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 at byte {error.start + 1}"
    except OSError as error:
        reason = _cannot_be_read(error)
    raise RuleError(source=source, rule=None, key=None, reason=reason)


def _cannot_be_read(error: OSError | ValueError) -> str:
    return f"cannot be read: {(getattr(error, 'strerror', None) or 'no such path').lower()}"


def _unusable(place: Path, reason: str) -> RuleError:
    return RuleError(source=str(place), rule=None, key=None, reason=reason)

"""The key file: one line, readable by its owner alone."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
from pathlib import Path

from masker.errors import KeysError
from masker.vault.suites import KEY_BYTES

MODE = 0o600
_MARK = "masker-key-1"
_COMMENT = (
    "# A masker key file. Who has it can read the store; without it nobody can.\n"
    "# Keep one copy of it offline. Never keep it beside backups of the store.\n"
)


def make_key_file(path: str | os.PathLike[str]) -> None:
    """Write a key file with a fresh key, mode 0600, durable before this returns.

    Raises:
        KeysError: there is such a file already, or it cannot be written.
    """
    path = Path(path)
    key = os.urandom(KEY_BYTES)
    line = f"{_MARK}:{_checksum(key)}:{base64.b64encode(key).decode()}\n"
    try:
        # Exclusive: a key that is overwritten is a store that nobody can read again.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            if hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), MODE)
            file.write(_COMMENT + line)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise KeysError(
            f"{path} exists already and was not changed; a new key would not open old stores"
        ) from None
    except OSError as error:
        raise KeysError(f"{path} cannot be written: {_reason(error)}") from None
    _sync_folder(path.parent)


def read_key_file(path: Path) -> bytes:
    """The key in a key file.

    Raises:
        KeysError: the file is missing, no key file, or others may read it; says what to do.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            # Windows keeps no such mode; what may read a file there is said by its ACL.
            if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
                raise KeysError(
                    f"key file {path} can be read by others (mode {stat.S_IMODE(mode):04o}); "
                    f"do: chmod 600 {path}"
                )
            text = file.read(4096)
    except FileNotFoundError:
        raise KeysError(
            f"there is no key file {path}; make one with: masker keys init --keys file:{path}"
        ) from None
    except OSError as error:
        raise KeysError(f"key file {path} cannot be read: {_reason(error)}") from None
    lines = [line for line in text.splitlines() if line and not line.startswith(b"#")]
    if len(lines) == 1:
        mark, _, rest = lines[0].decode("ascii", "replace").partition(":")
        checksum, _, encoded = rest.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        # Base64 has several writings of some bytes; only the one that was written is whole.
        whole = encoded == base64.b64encode(key).decode() and checksum == _checksum(key)
        if mark == _MARK and len(key) == KEY_BYTES and whole:
            return key
    raise KeysError(f"{path} is no masker key file, or is damaged; take it from your offline copy")


def _checksum(key: bytes) -> str:
    return hashlib.sha256(b"masker key file\0" + key).hexdigest()[:8]


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder durable, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        return
    finally:
        os.close(handle)

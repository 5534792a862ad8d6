"""Sealing, keys and receipts: what makes a transcript unreadable, and a purge provable."""

from masker.vault.keyfile import make_key_file
from masker.vault.providers import (
    EnvironmentKeys,
    FileKeys,
    KeyProvider,
    PassphraseKeys,
    open_keys,
)
from masker.vault.receipts import Receipt

__all__ = [
    "EnvironmentKeys",
    "FileKeys",
    "KeyProvider",
    "PassphraseKeys",
    "Receipt",
    "make_key_file",
    "open_keys",
]

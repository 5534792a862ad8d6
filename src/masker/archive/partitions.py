"""What waits on disk between the two passes: sealed, in partitions, sorted when it is read.

A partition holds whole conversations. Its records lie in the order they were found, in blocks; to
be masked they are sorted by conversation, time and place, in memory where they fit and otherwise
in runs that are merged. So memory is bounded however large a conversation is.

Blocks are sealed with AES-256-GCM under a key that only the memory of this scan holds: texts of
the archive never lie on disk in clear but where they lay already, and what a killed scan leaves
behind opens for nobody.
"""

from __future__ import annotations

import heapq
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

BUFFERED_BYTES = 16 << 20
SORTED_BYTES = 48 << 20
_BLOCK = 1 << 18
_FAN_IN = 64
_NONCE = 12
_LENGTH = struct.Struct(">I")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[bytes]).decode
# What a bytes object and its place in a list take besides its content.
_OVERHEAD = 48


def new_key() -> bytes:
    """A key for one scan; it is never written anywhere."""
    return AESGCM.generate_key(256)


class Blocks:
    """Blocks of records in one file; sealed where there is a key."""

    def __init__(self, key: bytes | None) -> None:
        self._cipher = AESGCM(key) if key else None

    def append(self, target: BinaryIO, records: list[bytes]) -> None:
        """Write one block."""
        data = _encode(records)
        if self._cipher is not None:
            nonce = os.urandom(_NONCE)
            data = nonce + self._cipher.encrypt(nonce, data, None)
        target.write(_LENGTH.pack(len(data)) + data)

    def read(self, path: Path) -> Iterator[list[bytes]]:
        """The blocks of a file, in the order they were written."""
        with path.open("rb") as source:
            while head := source.read(_LENGTH.size):
                data = source.read(_LENGTH.unpack(head)[0])
                if self._cipher is not None:
                    data = self._cipher.decrypt(data[:_NONCE], data[_NONCE:], None)
                yield _decode(data)


class Partitions:
    """Writes records to their partitions; one of these a process."""

    def __init__(self, folder: Path, count: int, key: bytes | None) -> None:
        self._folder = folder
        self._blocks = Blocks(key)
        self._name = f"{os.getpid()}-{os.urandom(4).hex()}"
        self._waiting: list[list[bytes]] = [[] for _ in range(count)]
        self._held = 0

    def add(self, partition: int, record: bytes) -> None:
        """Put one record into a partition."""
        self._waiting[partition].append(record)
        self._held += len(record) + _OVERHEAD
        if self._held > BUFFERED_BYTES:
            self.flush()

    def extend(self, partitions: Sequence[int], records: list[bytes]) -> None:
        """Put many records into the partitions of the same places."""
        waiting = self._waiting
        for partition, record in zip(partitions, records, strict=True):
            waiting[partition].append(record)
        self._held += sum(map(len, records)) + _OVERHEAD * len(records)
        if self._held > BUFFERED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        for partition, records in enumerate(self._waiting):
            if records:
                with (self._folder / f"{partition:05d}.{self._name}").open("ab") as target:
                    self._blocks.append(target, records)
                self._waiting[partition] = []
        self._held = 0


def files_of(folder: Path, partition: int) -> list[Path]:
    """The files that make up a partition, in no order."""
    return sorted(folder.glob(f"{partition:05d}.*"))


def in_order(paths: Iterable[Path], key: bytes | None, runs: Path) -> Iterator[bytes]:
    """The records of a partition, sorted; what memory cannot hold lies in the folder `runs`."""
    blocks = Blocks(key)
    sorter = Sorter(runs, key)
    for path in paths:
        for records in blocks.read(path):
            sorter.extend(records)
        path.unlink()
    return sorter.sorted()


class Sorter:
    """Sorts more records than memory holds."""

    def __init__(self, folder: Path, key: bytes | None, limit: int = SORTED_BYTES) -> None:
        self._folder = folder
        self._blocks = Blocks(key)
        self._limit = limit
        self._records: list[bytes] = []
        self._held = 0
        self._runs: list[Path] = []

    def add(self, record: bytes) -> None:
        """Take one record."""
        self._records.append(record)
        self._held += len(record) + _OVERHEAD
        if self._held > self._limit:
            self._spill()

    def extend(self, records: list[bytes]) -> None:
        """Take many."""
        self._records += records
        self._held += sum(map(len, records)) + _OVERHEAD * len(records)
        if self._held > self._limit:
            self._spill()

    def sorted(self) -> Iterator[bytes]:
        """All records in their order; what was spilled is deleted behind them."""
        if not self._runs:
            self._records.sort()
            yield from self._records
            return
        self._spill()
        while len(self._runs) > _FAN_IN:
            first, self._runs = self._runs[:_FAN_IN], self._runs[_FAN_IN:]
            self._write(heapq.merge(*map(self._run, first)))
            for path in first:
                path.unlink()
        yield from heapq.merge(*map(self._run, self._runs))
        for path in self._runs:
            path.unlink()

    def runs(self) -> list[Path]:
        """Everything as sorted files, for somebody else to merge."""
        self._spill()
        return self._runs

    def _spill(self) -> None:
        if self._records:
            self._records.sort()
            self._write(self._records)
            self._records, self._held = [], 0

    def _write(self, records: Iterable[bytes]) -> None:
        path = self._folder / f"run-{os.getpid()}-{os.urandom(6).hex()}"
        block: list[bytes] = []
        held = 0
        with path.open("wb") as target:
            for record in records:
                block.append(record)
                held += len(record)
                if held > _BLOCK:
                    self._blocks.append(target, block)
                    block, held = [], 0
            if block:
                self._blocks.append(target, block)
        self._runs.append(path)

    def _run(self, path: Path) -> Iterator[bytes]:
        for records in self._blocks.read(path):
            yield from records


def merged(paths: Iterable[Path], folder: Path) -> Iterator[bytes]:
    """The records of sorted files that are not sealed, as one sorted stream."""
    sorter = Sorter(folder, None)
    sorter._runs = list(paths)
    return sorter.sorted()

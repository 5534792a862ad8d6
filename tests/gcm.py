"""GCM taken apart, to make a ciphertext that opens under two keys (NIST SP 800-38D, chapter 6)."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 16
_REDUCTION = 0xE1 << 120
_ONE = 1 << 127


def multiply(a: int, b: int) -> int:
    """The product in GF(2^128), in GCM's order of bits."""
    product = 0
    for bit in range(127, -1, -1):
        if b >> bit & 1:
            product ^= a
        a = a >> 1 ^ (_REDUCTION if a & 1 else 0)
    return product


def power(a: int, exponent: int) -> int:
    product = _ONE
    while exponent:
        if exponent & 1:
            product = multiply(product, a)
        a = multiply(a, a)
        exponent >>= 1
    return product


def inverse(a: int) -> int:
    return power(a, (1 << 128) - 2)


def blocks(data: bytes) -> list[int]:
    data += bytes(-len(data) % BLOCK)
    return [int.from_bytes(data[at : at + BLOCK], "big") for at in range(0, len(data), BLOCK)]


class Gcm:
    """AES-GCM under one key and nonce, with its inner values."""

    def __init__(self, key: bytes, nonce: bytes) -> None:
        ecb = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - GCM is made of it
        self.hash_key = int.from_bytes(ecb.update(bytes(BLOCK)), "big")
        self.mask = int.from_bytes(ecb.update(nonce + b"\0\0\0\1"), "big")

    def tag(self, associated: bytes, ciphertext: bytes) -> bytes:
        lengths = (8 * len(associated)) << 64 | 8 * len(ciphertext)
        value = 0
        for block in [*blocks(associated), *blocks(ciphertext), lengths]:
            value = multiply(value ^ block, self.hash_key)
        return (value ^ self.mask).to_bytes(BLOCK, "big")


def two_key_ciphertext(one: Gcm, two: Gcm, associated: bytes, filler: bytes) -> bytes:
    """A ciphertext with a tag that both take for their own; its last block is what it takes."""
    assert len(filler) % BLOCK == 0
    zeroed = filler + bytes(BLOCK)
    difference = int.from_bytes(one.tag(associated, zeroed), "big") ^ int.from_bytes(
        two.tag(associated, zeroed), "big"
    )
    # The last block counts with the square of the hash key: once for itself, once for the lengths.
    weight = power(one.hash_key, 2) ^ power(two.hash_key, 2)
    last = multiply(difference, inverse(weight))
    ciphertext = filler + last.to_bytes(BLOCK, "big")
    return ciphertext + one.tag(associated, ciphertext)

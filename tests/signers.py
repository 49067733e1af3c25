"""Signers from bytes: who signs in tests, without a file."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class SeedSigner:
    """Signs with the private key that 32 bytes make (RFC 8032, section 5.1.5)."""

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = self._private.public_key().public_bytes_raw().hex()

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


def signers(count: int) -> list[SeedSigner]:
    """Several of them, in the order of their keys."""
    return sorted((SeedSigner(bytes([number]) * 32) for number in range(1, count + 1)), key=lambda one: one.key)

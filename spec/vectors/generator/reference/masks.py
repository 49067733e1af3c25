"""Random masks: Philox4x32-10 (Salmon et al., 2011) in plain integers, its key, and what it keeps [RM-1 to RM-3]."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor

from generator.reference.canonical import encode
from generator.reference.hashes import H
from generator.reference.refused import Refused

WORD = 2**32 - 1
Key = tuple[int, int]


def philox(key: Key, counter: Sequence[int]) -> list[int]:
    """Four random words, of a key of two words and a counter of four, each below 2^32."""
    (k, m), (a, b, c, d) = key, counter
    for _ in range(10):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = q >> 32 ^ b ^ k, q & WORD, p >> 32 ^ d ^ m, p & WORD
        k, m = k + 0x9E3779B9 & WORD, m + 0xBB67AE85 & WORD
    return [a, b, c, d]


def check_seed(text: str) -> str:
    """A whole number below 2^64 in decimal digits, without leading zeros [RM-1]."""
    digits = text != "" and set(text) <= set("0123456789")
    if not digits or (text[0] == "0" and text != "0") or int(text) >= 2**64:
        raise Refused("RecipeError")
    return text


def mask_key(seed: str, root: bytes, tensor: str) -> Key:
    """The key of a tensor's mask; root: of the tensors that are contributed [RM-1]."""
    first = H("mask", encode([seed, root, tensor]))
    return int.from_bytes(first[:4], "big"), int.from_bytes(first[4:8], "big")


def word(key: Key, position: int) -> int:
    """The random word of an element [RM-2]."""
    counter = position // 4
    return philox(key, [counter & WORD, counter >> 32, 0, 0])[position % 4]


def keeps(key: Key, position: int, probability: Fraction) -> bool:
    """Whether a mask of a probability keeps the element at a position [RM-3]."""
    return word(key, position) < floor(2**32 * probability)

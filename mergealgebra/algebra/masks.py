"""Random masks that follow from content and position, the same on every machine [RM-1, RM-2, RM-3].

Philox4x32-10 (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3") gives four words of 32 bits for each
counter. It is written in wrapping int64 arithmetic, which NumPy and torch have alike.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mergealgebra.algebra.arrays import Array, array_namespace
from mergealgebra.encoding import encode, hash_id

if TYPE_CHECKING:
    from mergealgebra.algebra.method import View

_ROUNDS: Final = 10
_MULTIPLIERS: Final = (0xD2511F53, 0xCD9E8D57)
_WEYL: Final = (0x9E3779B9, 0xBB67AE85)
_LOW: Final = 0xFFFFFFFF


def mask_key(seed: str, root: str, tensor: str) -> tuple[int, int]:
    """The key of a tensor's mask: the first 8 bytes of a hash, as two words, the first four bytes first [RM-1].

    seed: decimal digits. root: of the tensors of the contribution. tensor: its name.

    >>> mask_key("0", "00" * 32, "w")
    (11872629, 3773955226)
    """
    first = bytes.fromhex(hash_id("mask", encode([seed, bytes.fromhex(root), tensor])))[:8]
    return int.from_bytes(first[:4], "big"), int.from_bytes(first[4:], "big")


def words(key: tuple[int, int], positions: Array) -> Array:
    """The random word of each position: word i % 4 of the counter i // 4 [RM-2].

    positions: (n,) int64, each below 2^64. Returns (n,) int64, each below 2^32.

    >>> words((0, 0), np.arange(4)).tolist() == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    True
    """
    xp = array_namespace(positions)
    counters, which = positions >> 2, positions & 3
    four = _philox(key, counters & _LOW, (counters >> 32) & _LOW)
    return xp.where(which < 2, xp.where(which == 0, four[0], four[1]), xp.where(which == 2, four[2], four[3]))


def words_from(key: tuple[int, int], start: int, n: int, xp: Any = np, device: Any = None) -> Array:
    """The words of n positions in a row: a quarter of the work of `words`. Returns (n,) int64."""
    first = start // 4
    counters = xp.arange(first, (start + n + 3) // 4, dtype=xp.int64, device=device)
    low, high = (counters, 0) if (start + n) // 4 < _LOW else (counters & _LOW, (counters >> 32) & _LOW)
    return xp.stack(_philox(key, low, high), axis=1).reshape((-1,))[start - 4 * first :][:n]


def words_of(view: View, seed: str) -> Array:
    """The random word of each element of a view, of a method that needs roots [RM-1, RM-2]. Returns (n,) int64."""
    xp, device = array_namespace(view.tau), view.tau.device
    key = mask_key(seed, view.root, view.tensor)
    if view.at is None:
        return words_from(key, view.start, view.tau.shape[0], xp, device)
    return words(key, xp.asarray(view.at + view.start, device=device))


def keep_below(share: Fraction) -> int:
    """The bound below which a word keeps its element: floor(2^32 p) [RM-3]."""
    return int(share * (1 << 32))


def _philox(key: tuple[int, int], low: Array, high: Array | int) -> list[Array]:
    """The four words of each counter, as int64 below 2^32. low, high: the words of the counters."""
    a, b, c, d = low, high, 0, 0
    one, other = key
    for _ in range(_ROUNDS):
        upper, lower = _product(_MULTIPLIERS[0], a)
        upper_other, lower_other = _product(_MULTIPLIERS[1], c)
        upper ^= d
        upper ^= other
        upper_other ^= b
        upper_other ^= one
        a, b, c, d = upper_other, lower_other, upper, lower
        one, other = (one + _WEYL[0]) & _LOW, (other + _WEYL[1]) & _LOW
    return [a, b, c, d]


def _product(multiplier: int, x: Array | int) -> tuple[Array | int, Array | int]:
    """The high and the low word of a product of two words. int64 wraps around, which loses nothing of 64 bits."""
    wide = x * multiplier
    upper = (wide.view(np.uint64) >> 32).view(np.int64) if isinstance(wide, np.ndarray) else (wide >> 32) & _LOW
    wide &= _LOW
    return upper, wide

"""Dropping elements of a tile at random, and dividing what is kept [RM-2, RM-3, DA-1]."""

from __future__ import annotations

from typing import Final

import numpy as np

from mergealgebra.kernels.fused.memory import compiled

_LOW: Final = np.uint64(0xFFFFFFFF)
_HALF: Final = np.uint64(32)
_MULTIPLIER, _OTHER_MULTIPLIER = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL, _OTHER_WEYL = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


@compiled
def drop(key, other_key, position, bound, density, words, tau):
    """tau' = RN32(RN64(tau / density)) where the random word is below the bound, else 0 [DA-1].

    position: of the first element in the tensor. words: memory for four more than the tile has elements.
    """
    aside = position & 3
    _fill(np.uint64(key), np.uint64(other_key), np.uint64(position >> 2), (aside + tau.size + 3) >> 2, words)
    for i in range(tau.size):
        rescaled = np.float32(np.float64(tau[i]) / density)
        tau[i] = rescaled if np.int64(words[aside + i]) < bound else np.float32(0.0)


@compiled
def _fill(key, other_key, first, count, words):
    """The words of so many counters in a row, by Philox4x32-10: four of each [RM-2]."""
    for i in range(count):
        counter = first + np.uint64(i)
        a, b, c, d = counter & _LOW, counter >> _HALF, np.uint64(0), np.uint64(0)
        one, other = key, other_key
        for _ in range(10):
            wide, other_wide = _MULTIPLIER * a, _OTHER_MULTIPLIER * c
            a, b = (other_wide >> _HALF) ^ b ^ one, other_wide & _LOW
            c, d = (wide >> _HALF) ^ d ^ other, wide & _LOW
            one, other = (one + _WEYL) & _LOW, (other + _OTHER_WEYL) & _LOW
        words[4 * i] = a
        words[4 * i + 1] = b
        words[4 * i + 2] = c
        words[4 * i + 3] = d

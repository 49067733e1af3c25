"""Counting the magnitudes of a block in a window."""

from __future__ import annotations

from typing import Final

import numpy as np

from mergealgebra.kernels.fused.cut import cut
from mergealgebra.kernels.fused.memory import INFINITY, ahead, compiled, magnitude_of, read
from mergealgebra.kernels.fused.table import CEILING, F64, NO_CEILING, TILE
from mergealgebra.kernels.fused.vector import find_vector

#: Magnitudes that are looked at together for one that is counted.
GROUP: Final = 32


@compiled
def count(size, base, part, how, low, shift, counts, scratch):
    """Add to the counts of a window; False when some tau is not finite.

    how: as `find_vector` takes it. scratch: tiles, that of bins also in 2-D.
    """
    (old, tau, inside, words), groups = scratch
    bins, above, middle = np.int32(counts.size - 1), 0, 0
    for start in range(0, size, TILE):
        n = min(TILE, size - start)
        here = (ahead(base[0], base[1], start), base[1])
        if base[1] != F64:
            read(here[0], here[1], old[:n])
        if find_vector(part, start, here, old[:n], how, words, tau[:n]) >= INFINITY:
            return False
        if part[CEILING] != NO_CEILING:
            cut(np.int32(part[CEILING]), tau[:n])
        over, tied = _bins_of(tau[:n], low, shift, bins, inside)
        above, middle = above + over, middle + tied
        _add(groups, bins, counts)
    counts[bins] += above
    counts[bins // 2] += middle
    return True


@compiled
def _bins_of(tau, low, shift, bins, inside):
    """The bin of each magnitude of a tile, negative below the window; returns how many lie above it, and in its middle.

    The middle is where a threshold is expected. Where differences lie on a grid most of what is in a window ties with
    it, and adding to one count again and again is slow; so these are counted here, and then passed over.
    """
    above, tied, middle = np.int32(0), np.int32(0), np.int32(bins // 2)
    for i in range(tau.size):
        bin_ = np.int32(np.int32(magnitude_of(tau[i]) - low) >> shift)
        above = np.int32(above + np.int32(bin_ >= bins))
        tied = np.int32(tied + np.int32(bin_ == middle))
        inside[i] = np.int32(-1) if bin_ == middle else bin_
    for i in range(tau.size, TILE):
        inside[i] = -1
    return above, tied


@compiled
def _add(groups, bins, counts):
    """Count the bins of a tile that are in the window; a narrow window passes over most groups."""
    for group in range(groups.shape[0]):
        hits = np.int32(0)
        for i in range(GROUP):
            hits = np.int32(hits + np.int32(np.uint32(groups[group, i]) < np.uint32(bins)))
        if hits:
            _add_group(groups, group, bins, counts)


@compiled
def _add_group(groups, group, bins, counts):
    found = np.uint64(0)
    for i in range(GROUP):  # without a branch: nothing foretells which are inside
        bin_ = groups[group, i]
        groups[group, found] = bin_
        found += np.uint64(np.uint32(bin_) < np.uint32(bins))
    for i in range(found):
        counts[groups[group, i]] += 1

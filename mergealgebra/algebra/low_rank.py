"""The task vector of a block that is stored as factors: a scaled product, each step rounded as written [CT-14]."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

Host = np.ndarray[Any, Any]

#: Elements that are computed at a time: in fp64 they stay in a core's own cache, twice.
_TILE: Final = 1 << 15


def fill(tau: Host, up: Host, down: Host, scale: float, start: int) -> None:
    """Compute tau's elements in C order from `start` on, as many as there is room for. Arguments as of `product`.

    Of factors with three axes the products stand one behind the other.
    """
    at = 0
    if up.ndim == 3:
        size = up.shape[1] * down.shape[2]
        while at < tau.size:
            which, inside = divmod(start + at, size)
            room = tau[at : at + size - inside]
            fill(room, up[which], down[which], scale, inside)
            at += room.size
        return
    for rows, columns in _rectangles(start, start + tau.size, down.shape[1]):
        found = product(up[rows], down[:, columns], scale)
        tau[at : at + found.size] = found.reshape(-1)
        at += found.size


def product(up: Host, down: Host, scale: float) -> Host:
    """tau = RN32(RN64(scale * s)), s the sum of up[i, k] * down[k, j] over k, ascending, in fp64.

    up: (m, r) fp32. down: (r, n) fp32. Returns (m, n) fp32, -0 as +0, not finite where CT-14 makes it an error.
    A product of two fp32 numbers is exact in fp64, so fused multiply-add could change nothing, and no library's own
    order of summing is asked for.
    """
    up, down = up.astype(np.float64), down.astype(np.float64)
    with np.errstate(all="ignore"):
        total = up[:, 0, None] * down[0]
        term = np.empty_like(total)
        for k in range(1, down.shape[0]):
            np.multiply(up[:, k, None], down[k], out=term)
            np.add(total, term, out=total)
        np.multiply(total, scale, out=total)
        tau: Host = total.astype(np.float32) + np.float32(0)
        return tau


def _rectangles(start: int, stop: int, columns: int) -> Iterator[tuple[slice, slice]]:
    """The elements [start, stop) of a matrix in C order, as small rectangles: whole rows, and parts of one row."""
    while start < stop:
        row, column = divmod(start, columns)
        rows = min((stop - start) // columns, _TILE // columns) if column == 0 else 0
        width = columns if rows else min(columns - column, stop - start, _TILE)
        yield slice(row, row + max(1, rows)), slice(column, column + width)
        start += max(1, rows) * width

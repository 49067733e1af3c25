"""Singular values and vectors with the same bits on every machine: Jacobi's rotations in a fixed order [NA-6].

    A V = U S        columns of A are rotated in pairs until all are orthogonal; V collects the rotations

Plain, and as slow as that: 0.1 s for 64 by 64, 15 s for 256 by 256. LAPACK's last bits depend on machine and threads.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]

_MOST_SWEEPS: Final = 60
#: Two columns are orthogonal when the cosine of their angle is not above this.
_ORTHOGONAL: Final = 2.0**-50


def rotated(matrix: Array) -> tuple[Array, Array, Array]:
    """A V, the singular values, and V, for a matrix (m, n); the largest first.

    Returns (m, k), (k,) and (n, k), k the smaller of m and n.
    """
    if matrix.shape[0] < matrix.shape[1]:
        turned, values, right = rotated(matrix.T)
        lengths = np.where(values > 0, values, 1.0)
        return right * values, values, turned / lengths
    columns, right = _orthogonal(matrix.T.copy())
    values = np.sqrt(_folded(columns * columns))
    order = np.argsort(-values, kind="stable")
    return columns[order].T, values[order], right[order].T


def product(left: Array, right: Array) -> Array:
    """left right', summed over k in order, each step rounded. left, right: (m, k), (n, k). Returns (m, n)."""
    total = np.zeros((left.shape[0], right.shape[0]))
    for a, b in zip(left.T, right.T, strict=True):
        total += a[:, None] * b[None, :]
    return total


def _orthogonal(columns: Array) -> tuple[Array, Array]:
    """The columns, here as rows, made orthogonal, and the rotations that did it."""
    n = len(columns)
    right = np.eye(n)
    for _ in range(_MOST_SWEEPS):
        turned = False
        for first, second in _pairs(n):
            turned |= _rotate(columns, right, first, second)
        if not turned:
            break
    return columns, right


def _pairs(n: int) -> list[tuple[Array, Array]]:
    """Every pair once, in rounds in which no column is twice: the tournament in which one player keeps his place."""
    size = n + n % 2
    players, rounds = list(range(size)), []
    for _ in range(size - 1):
        met = [(players[i], players[-1 - i]) for i in range(size // 2)]
        met = [(min(pair), max(pair)) for pair in met if max(pair) < n]
        rounds.append((np.array([a for a, _ in met], np.intp), np.array([b for _, b in met], np.intp)))
        players = [players[0], players[-1], *players[1:-1]]
    return rounds


def _rotate(columns: Array, right: Array, first: Array, second: Array) -> bool:
    """Rotate each pair until it is orthogonal; whether any was not."""
    x, y = columns[first], columns[second]
    xx, yy, xy = _folded(x * x), _folded(y * y), _folded(x * y)
    apart = np.abs(xy) > _ORTHOGONAL * np.sqrt(xx) * np.sqrt(yy)
    if not apart.any():
        return False
    cotangent = (yy - xx) / np.where(apart, 2.0 * xy, 1.0)
    tangent = np.copysign(1.0, cotangent) / (np.abs(cotangent) + np.sqrt(1.0 + cotangent * cotangent))
    tangent = np.where(apart, tangent, 0.0)
    cosine = 1.0 / np.sqrt(1.0 + tangent * tangent)
    c, s = cosine[:, None], (cosine * tangent)[:, None]
    for rows in (columns, right):
        x, y = rows[first], rows[second]
        rows[first], rows[second] = c * x - s * y, s * x + c * y
    return True


def _folded(rows: Array) -> Array:
    """The sum of each row: halves are added until one number is left."""
    width = 1 << max(rows.shape[1] - 1, 0).bit_length()
    folded = np.zeros((len(rows), width))
    folded[:, : rows.shape[1]] = rows
    while width > 1:
        width //= 2
        folded = folded[:, :width] + folded[:, width:]
    return folded[:, 0]

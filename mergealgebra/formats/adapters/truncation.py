"""The product of rank r that is nearest to a matrix, and how far it is [AD-13].

The singular value decomposition is LAPACK's, through NumPy, so its bits depend on the machine; the error that is told
is that of the factors that were found, whatever they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mergealgebra.algebra.low_rank import fill

Host = np.ndarray[Any, Any]

#: Elements of the product that are compared at a time.
_STEP = 1 << 22


@dataclass(frozen=True)
class Truncated:
    """Factors up (m, r) and down (r, n), fp32. The squares of the norms of the matrix and of what the product lacks."""

    up: Host
    down: Host
    square: float
    missed: float


def truncated(matrix: Host, rank: int) -> Truncated:
    """Factors of the product of this rank that is nearest to a matrix, (m, n) fp32, in the Frobenius norm.

    Where the matrix has fewer rows or columns, the rest of the factors is zeros.
    """
    left, values, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    root = np.sqrt(values[:rank])
    up, down = np.zeros((matrix.shape[0], rank), np.float32), np.zeros((rank, matrix.shape[1]), np.float32)
    up[:, : root.size] = left[:, :rank] * root
    down[: root.size] = root[:, None] * right[:rank]
    return Truncated(up, down, _square(matrix), math.fsum(_missed(matrix, up, down)))


def _missed(matrix: Host, up: Host, down: Host) -> Iterator[float]:
    """The squares of what the product lacks of the matrix, in parts; the product is that of a merge [CT-14]."""
    flat = matrix.reshape(-1)
    for start in range(0, flat.size, _STEP):
        part = flat[start : start + _STEP]
        product = np.empty(part.size, np.float32)
        fill(product, up, down, 1.0, start)
        yield _square(part.astype(np.float64) - product)


def _square(array: Host) -> float:
    return float(np.square(array.astype(np.float64)).sum())

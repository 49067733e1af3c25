"""Where Python enters compiled code: functions of C, each with the address of one table of int64 words.

Nothing here allocates or raises, so the machine code runs without Numba and can be kept (`kernels.machine_code`).
"""

from __future__ import annotations

import numpy as np
from numba import carray

from mergealgebra.kernels.fused.count import GROUP, count
from mergealgebra.kernels.fused.memory import compiled, double_of, pointer
from mergealgebra.kernels.fused.reduce import reduce, update
from mergealgebra.kernels.fused.table import (
    ABOVE,
    ADDRESS,
    BASE,
    BASE_DTYPE,
    BINS,
    COUNTS,
    DTYPE,
    FINETUNED,
    FP64,
    GRID,
    HEADER,
    INT16,
    KEPT,
    LAMBDA,
    LOW,
    MAGNITUDES,
    METHOD,
    OUT,
    PARTS,
    POSITIONS,
    RETRACTED,
    ROW,
    SCRATCH,
    SHIFT,
    SIGNS,
    SIZE,
    SUMS,
    TILE,
    TOTAL,
    VOTES,
    WEIGHTS,
)


@compiled
def _read(address):
    """The table at an address, and its rows."""
    table = carray(pointer(address, np.int64), HEADER)
    return table, carray(pointer(address + np.uint64(8 * HEADER), np.int64), (table[PARTS], ROW))


@compiled
def _model(table):
    return np.uint64(table[BASE]), table[BASE_DTYPE], np.uint64(table[OUT])


@compiled
def _counts(table):
    return (
        carray(pointer(table[KEPT], np.int64), table[PARTS]),
        carray(pointer(table[ABOVE], np.int64), table[PARTS]),
        carray(pointer(table[POSITIONS], np.int64), table[SIZE]),
    )


@compiled
def _tiles(table):
    """Two tiles of fp32, one of int32, and four of fp64."""
    at = np.uint64(table[SCRATCH])
    singles = (
        carray(pointer(at, np.float32), TILE),
        carray(pointer(at + np.uint64(4 * TILE), np.float32), TILE),
        carray(pointer(at + np.uint64(8 * TILE), np.int32), TILE),
    )
    doubles = (
        carray(pointer(at + np.uint64(12 * TILE), np.float64), TILE),
        carray(pointer(at + np.uint64(20 * TILE), np.float64), TILE),
        carray(pointer(at + np.uint64(28 * TILE), np.float64), TILE),
        carray(pointer(at + np.uint64(36 * TILE), np.float64), TILE),
    )
    return singles, doubles


@compiled
def _update(table, parts, kind, votes):
    n = table[SIZE]
    held = (
        carray(pointer(table[SUMS], np.float64), n),
        carray(pointer(table[MAGNITUDES], np.float64), n),
        carray(pointer(table[SIGNS], kind), votes),
        carray(pointer(table[WEIGHTS], kind), votes),
        carray(pointer(table[GRID], np.uint8), n),
    )
    tiles, doubles = _tiles(table)
    numbers = (double_of(table[TOTAL]), double_of(table[LAMBDA]))
    scratch = (tiles, (doubles[0], doubles[1]))
    return update(n, table[METHOD], _model(table), held, table[RETRACTED], parts, numbers, _counts(table), scratch)


def reduce_block(address):
    """`fused.reduce.reduce`."""
    table, parts = _read(address)
    tiles, doubles = _tiles(table)
    numbers = (double_of(table[TOTAL]), double_of(table[LAMBDA]))
    return reduce(table[SIZE], table[METHOD], _model(table), parts, numbers, _counts(table), (tiles, doubles))


def update_block(address):
    """`fused.reduce.update`."""
    table, parts = _read(address)
    if table[VOTES] == INT16:
        return _update(table, parts, np.int16, table[SIZE])
    return _update(table, parts, np.float64, table[SIZE] if table[VOTES] == FP64 else 0)


def count_block(address):
    """`fused.count.count`: 1, or 0 when some tau is not finite."""
    table, parts = _read(address)
    tiles, _ = _tiles(table)
    held = (np.uint64(parts[0, ADDRESS]), parts[0, DTYPE], parts[0, FINETUNED])
    counts = carray(pointer(table[COUNTS], np.int64), table[BINS] + 1)
    groups = carray(pointer(np.uint64(table[SCRATCH]) + np.uint64(8 * TILE), np.int32), (TILE // GROUP, GROUP))
    base = (np.uint64(table[BASE]), table[BASE_DTYPE])
    return np.int64(
        count(table[SIZE], base, held, np.int32(table[LOW]), np.int32(table[SHIFT]), counts, (*tiles, groups))
    )

"""Where Python enters compiled code: functions of C, each with the address of one table of int64 words.

Nothing here allocates or raises, so the machine code runs without Numba and can be kept (`kernels.machine_code`).
"""

from __future__ import annotations

import numpy as np
from numba import carray

from mergealgebra.kernels.fused.count import GROUP, count
from mergealgebra.kernels.fused.divergence import centred, count_importances, divergences, shares
from mergealgebra.kernels.fused.dots import CHUNK, dots
from mergealgebra.kernels.fused.elected import elected_mean
from mergealgebra.kernels.fused.memory import compiled, double_of, pointer
from mergealgebra.kernels.fused.pieces import exact_sums, put_merged, vectors
from mergealgebra.kernels.fused.reduce import reduce, update
from mergealgebra.kernels.fused.table import (
    ABOVE,
    BASE,
    BASE_DTYPE,
    BINS,
    BOUND,
    COLUMNS,
    COUNTED,
    COUNTS,
    CUT,
    DENSITY,
    DIVERGENCES,
    DOTS,
    FOLDED,
    FP64,
    GRID,
    GRIDS,
    HEADER,
    KEPT,
    KNOWN,
    LAMBDA,
    LOW,
    MAGNITUDES,
    MERGED,
    METHOD,
    MINUS,
    NEGATIVE,
    NOT_BELOW,
    ON,
    OUT,
    PAIRS,
    PARTS,
    PLUS,
    POSITIONS,
    POSITIVE,
    RESULT,
    RETRACTED,
    ROW,
    SCRATCH,
    SHIFT,
    SIGNS,
    SIZE,
    SQUARES,
    SUMS,
    TILE,
    TILES,
    TOTAL,
    UNIT,
    VECTORS,
    VOTES,
    WEIGHTS,
    WHOLE,
    WIDE,
    WITHOUT,
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
def _how(table):
    return table[ON], table[BOUND], double_of(table[DENSITY])


@compiled
def _counts(table):
    return (
        carray(pointer(table[KEPT], np.int64), table[PARTS]),
        carray(pointer(table[ABOVE], np.int64), table[PARTS]),
        carray(pointer(table[POSITIONS], np.int64), table[SIZE]),
        carray(pointer(table[CUT], np.int64), table[PARTS]),
        carray(pointer(table[NOT_BELOW], np.int64), table[PARTS]),
    )


@compiled
def _numbers(table):
    return double_of(table[TOTAL]), double_of(table[LAMBDA]), double_of(table[UNIT])


@compiled
def _tiles(table):
    """Two tiles of fp32, one of int32, and random words."""
    at = np.uint64(table[SCRATCH])
    return (
        carray(pointer(at, np.float32), TILE),
        carray(pointer(at + np.uint64(4 * TILE), np.float32), TILE),
        carray(pointer(at + np.uint64(8 * TILE), np.int32), TILE),
        carray(pointer(at + np.uint64(44 * TILE), np.uint32), TILE + 4),
    )


@compiled
def _sums(table):
    """Tiles of S and A; of V and W in fp32, and in the same memory in fp64, of which those not wanted are empty."""
    s, v = np.uint64(table[SCRATCH]) + np.uint64(12 * TILE), np.uint64(table[SCRATCH]) + np.uint64(28 * TILE)
    whole, wide = TILE if table[VOTES] == WHOLE else 0, TILE if table[VOTES] == FP64 else 0
    return (
        _both(s, s + np.uint64(8 * TILE), np.float64, TILE),
        _both(v, v + np.uint64(8 * TILE), np.float32, whole),
        _both(v, v + np.uint64(8 * TILE), np.float64, wide),
    )


@compiled
def _both(address, other, kind, size):
    return carray(pointer(address, kind), size), carray(pointer(other, kind), size)


def reduce_block(address):
    """`fused.reduce.reduce`."""
    table, parts = _read(address)
    scratch = _tiles(table), *_sums(table)
    method, how = table[METHOD], _how(table)
    return reduce(table[SIZE], method, _model(table), parts, how, _numbers(table), _counts(table), scratch)


def update_block(address):
    """`fused.reduce.update`."""
    table, parts = _read(address)
    n = table[SIZE]
    held = (
        _both(table[SUMS], table[MAGNITUDES], np.float64, n),
        _both(table[SIGNS], table[WEIGHTS], np.int16, n if table[VOTES] == WHOLE else 0),
        _both(table[SIGNS], table[WEIGHTS], np.float64, n if table[VOTES] == FP64 else 0),
        carray(pointer(table[GRID], np.uint8), n),
    )
    scratch = _tiles(table), *_sums(table)
    method, how, retracted = table[METHOD], _how(table), table[RETRACTED]
    return update(n, method, _model(table), held, retracted, parts, how, _numbers(table), _counts(table), scratch)


def count_block(address):
    """`fused.count.count`: 1, or 0 when some tau is not finite."""
    table, parts = _read(address)
    low, shift = np.int32(table[LOW]), np.int32(table[SHIFT])
    counts = carray(pointer(table[COUNTS], np.int64), table[BINS] + 1)
    groups = carray(pointer(np.uint64(table[SCRATCH]) + np.uint64(8 * TILE), np.int32), (TILE // GROUP, GROUP))
    base = (np.uint64(table[BASE]), table[BASE_DTYPE])
    return np.int64(count(table[SIZE], base, parts[0], _how(table), low, shift, counts, (_tiles(table), groups)))


def dots_block(address):
    """`fused.dots.dots`: 1, or 0 when some number is not finite."""
    table, parts = _read(address)
    chunks = (table[SIZE] + CHUNK - 1) // CHUNK
    old, _, _, words = _tiles(table)
    vectors = carray(pointer(table[VECTORS], np.float32), (table[PARTS], CHUNK))
    folded = carray(pointer(np.uint64(table[SCRATCH]) + np.uint64(12 * TILE), np.float64), CHUNK // 4)
    out = carray(pointer(table[DOTS], np.float64), (table[PAIRS], chunks))
    base = (np.uint64(table[BASE]), table[BASE_DTYPE])
    scratch = (old, words, vectors, folded)
    return np.int64(dots(table[SIZE], base, parts, _how(table), table[KNOWN], table[SQUARES], out, scratch))


def vectors_block(address):
    """`fused.pieces.vectors`: 1, or 0 when some number is not finite."""
    table, parts = _read(address)
    old, _, _, words = _tiles(table)
    out = carray(pointer(table[VECTORS], np.float32), (table[PARTS], table[SIZE]))
    base = (np.uint64(table[BASE]), table[BASE_DTYPE])
    return np.int64(vectors(table[SIZE], base, parts, _how(table), out, (old, words)))


def sums_block(address):
    """`fused.pieces.exact_sums`."""
    table, terms = _read(address)
    n = table[SIZE]
    term, _, low, _ = _tiles(table)
    s = np.uint64(table[SCRATCH]) + np.uint64(12 * TILE)
    both = _both(s, s + np.uint64(8 * TILE), np.float64, TILE)
    out = (*_both(table[POSITIVE], table[NEGATIVE], np.float64, n), carray(pointer(table[GRIDS], np.uint8), n))
    votes = _both(table[PLUS], table[MINUS], np.float64, n if table[PLUS] else 0)
    return exact_sums(n, terms, out, votes, carray(pointer(table[WITHOUT], np.int64), n), (term, *both, low))


def apply_block(address):
    """`fused.pieces.put_merged`: 1, or 0 when some number is not finite."""
    table, _ = _read(address)
    old, tau_m, _, _ = _tiles(table)
    base, lambda32 = (np.uint64(table[BASE]), table[BASE_DTYPE]), double_of(table[LAMBDA])
    merged, out = np.uint64(table[MERGED]), np.uint64(table[RESULT])
    return np.int64(put_merged(table[SIZE], base, table[ON], merged, out, lambda32, (old, tau_m)))


def elected_block(address):
    """`fused.elected.elected_mean`."""
    table, parts = _read(address)
    old, merged, first_low, words = _tiles(table)
    n, at = table[PARTS], np.uint64(table[TILES])
    vectors = carray(pointer(at, np.float32), (n, TILE))
    at += np.uint64(4 * TILE * n)
    elected_and_weights = _both(at, at + np.uint64(4 * TILE), np.float32, TILE)
    failed, second_low = _both(at + np.uint64(8 * TILE), at + np.uint64(12 * TILE), np.int32, TILE)
    s = np.uint64(table[SCRATCH]) + np.uint64(12 * TILE)
    first = (*_both(s, s + np.uint64(8 * TILE), np.float64, TILE), first_low)
    s += np.uint64(16 * TILE)
    second = (*_both(s, s + np.uint64(8 * TILE), np.float64, TILE), second_low)
    scratch = ((old, merged, words), vectors, elected_and_weights, failed, first, second)
    positions = carray(pointer(table[POSITIONS], np.int64), table[SIZE])
    return elected_mean(table[SIZE], _model(table), parts, _how(table), double_of(table[LAMBDA]), positions, scratch)


@compiled
def _rows_of(table):
    """The changes of a block, how many are in a row, two fp64 numbers for each, and memory for sums of rows."""
    n, columns = table[SIZE], table[COLUMNS]
    return (
        carray(pointer(table[VECTORS], np.float32), n),
        columns,
        carray(pointer(table[WIDE], np.float64), (2, n)),
        carray(pointer(table[FOLDED], np.float64), CHUNK // 2 + columns // CHUNK + 1),
    )


def centred_block(address):
    """`fused.divergence.centred`: 1, or 0 when some number is not finite."""
    table, _ = _read(address)
    change, columns, wide, _ = _rows_of(table)
    old = carray(pointer(table[DIVERGENCES], np.float32), table[SIZE])
    return np.int64(centred((np.uint64(table[BASE]), table[BASE_DTYPE]), change, columns, wide, old))


def shares_block(address):
    """`fused.divergence.shares`: 1, or 0 when some power has no certificate."""
    table, _ = _read(address)
    _, columns, wide, folded = _rows_of(table)
    return np.int64(shares(wide, columns, folded))


def divergences_block(address):
    """`fused.divergence.divergences`: 1, or 0 when some logarithm has no certificate."""
    table, _ = _read(address)
    _, columns, wide, folded = _rows_of(table)
    return np.int64(
        divergences(wide, columns, folded, carray(pointer(table[DIVERGENCES], np.float64), table[SIZE] // columns))
    )


def importances_block(address):
    """`fused.divergence.count_importances`."""
    table, highs = _read(address)
    change, columns, _, _ = _rows_of(table)
    moved = carray(pointer(table[DIVERGENCES], np.float64), table[SIZE] // columns)
    count_importances(
        change, columns, moved, highs, carray(pointer(table[COUNTED], np.int64), (max(1, table[PARTS]), 1 << 16))
    )
    return np.int64(1)

"""The code that Triton compiles for `kernels.gpu`: one program reduces, or counts, one tile of a block.

Dtypes, forms and methods are constants here, by their codes; what the kernel must know besides stands in a table.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import triton
import triton.language as tl

from mergealgebra.kernels.fused.table import MEAN, TASK_ARITHMETIC, TIES_MERGING

CODES: Final = {"F64": 0, "F32": 1, "BF16": 2, "F16": 3}
FORMS: Final = {"task_vector": 0, "finetuned": 1}
HEADER, ROW = 12, 4  # int64 words of the table: before the rows, and in each
VECTOR: Final = 16  # bytes: what a thread reads at once

_F64 = tl.constexpr(CODES["F64"])
_F32 = tl.constexpr(CODES["F32"])
_BF16 = tl.constexpr(CODES["BF16"])
_F16 = tl.constexpr(CODES["F16"])
_FINETUNED = tl.constexpr(FORMS["finetuned"])
_TIES = tl.constexpr(TIES_MERGING)
_MEAN = tl.constexpr(MEAN)
_TASK_ARITHMETIC = tl.constexpr(TASK_ARITHMETIC)
_ROWS = tl.constexpr(HEADER)
_WIDTH = tl.constexpr(ROW)
_ALIGNED = tl.constexpr(VECTOR)
_MAGNITUDE = tl.constexpr(0x7FFFFFFF)
_INFINITY = tl.constexpr(0x7F800000)

_jit: Callable[[Callable[..., Any]], Any] = triton.jit
# A count's numbers differ from call to call: do not compile anew for those that are 1 or even.
_jit_count: Callable[[Callable[..., Any]], Any] = partial(triton.jit, do_not_specialize=["low", "shift", "bins"])


@_jit
def reduce_tile(
    base_ptr: tl.tensor,
    out_ptr: tl.tensor,
    counts_ptr: tl.tensor,
    table_ptr: tl.tensor,
    n: tl.tensor,
    BASE: tl.constexpr,
    KINDS: tl.constexpr,
    METHOD: tl.constexpr,
    MARK: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    """Reduce one tile of a block; write it, or with MARK where it has no certificate, and a column of counts.

    A count holds two numbers of 32 bits: kept and above of a part; in the last row, coordinates that are not finite
    and those without certificate. The next part is read while this one is summed.
    """
    program, programs = tl.program_id(0), tl.num_programs(0)
    start, lane, size = program.to(tl.int64) * TILE, tl.arange(0, TILE), n - program * TILE
    base = tl.load(base_ptr + start + lane, mask=lane < size, other=0)
    s = tl.zeros((TILE,), tl.float64)
    a, votes, weights = s, s, s
    least = tl.full((TILE,), -1, tl.int32)  # of the bits of |v| less one, unsigned: a zero's are the largest
    for kind in tl.static_range(8):
        if (KINDS >> kind) % 2 == 1:
            first, last = tl.load(table_ptr + kind), tl.load(table_ptr + kind + 1)
            following = _values(table_ptr, first, start, lane, size, kind)
            for part in range(first, last):
                values = following
                following = _values(table_ptr, part + 1, start, lane, tl.where(part + 1 < last, size, 0), kind)
                row = table_ptr + _ROWS + part * _WIDTH
                tau = _tau(values, base, kind, BASE)
                tied = lane < (tl.load(row + 2) - start).to(tl.int32)
                kept, above = _trimmed(tau, tl.load(row + 1).to(tl.int32), tied)
                found = tl.sum(kept.to(tl.int32) + (above.to(tl.int32) << 16), 0)
                tl.store(counts_ptr + part * programs + program, _packed(found))
                coefficient = _number(row + 3)
                v = tl.where(kept, tau, 0.0) * coefficient.to(tl.float32)
                least = tl.minimum(least.to(tl.uint32), (_magnitude(v) - 1).to(tl.uint32)).to(tl.int32)
                y = v.to(tl.float64)
                s += y
                a += tl.abs(y)
                if METHOD == _TIES:
                    weight = _vote(v, coefficient.to(tl.float32)).to(tl.float64)
                    votes += weight
                    weights += tl.abs(weight)
    missed = (a >= _limit(least + 1) * _number(table_ptr + _ROWS - 3)) & (lane < size)
    bad = _write(out_ptr + start, table_ptr, lane, size, base, s, a, votes, weights, missed, BASE, METHOD, MARK)
    found = tl.sum((bad & (lane < size)).to(tl.int32) + (missed.to(tl.int32) << 16), 0)
    tl.store(counts_ptr + tl.load(table_ptr + 8) * programs + program, _packed(found))


@_jit
def _write(
    out_ptr: tl.tensor,
    table_ptr: tl.tensor,
    lane: tl.tensor,
    size: tl.tensor,
    base: tl.tensor,
    s: tl.tensor,
    a: tl.tensor,
    votes: tl.tensor,
    weights: tl.tensor,
    missed: tl.tensor,
    BASE: tl.constexpr,
    METHOD: tl.constexpr,
    MARK: tl.constexpr,
) -> tl.tensor:
    """Write the merged tile, or with MARK what was missed. Returns where a number is not finite, missed ones aside."""
    bad = missed  # overwritten, but for MARK
    if MARK:
        tl.store(out_ptr + lane, missed.to(tl.uint8), mask=lane < size)
    else:
        tau_m = _finalized(s, a, votes, weights, _number(table_ptr + _ROWS - 2), METHOD)
        merged, finite = _applied(base, tau_m, _number(table_ptr + _ROWS - 1), BASE)
        # A tau that is not finite is kept. Infinities in v have no certificate, and NaN leads to NaN.
        bad = ~(finite | missed)
        tl.store(out_ptr + lane, merged, mask=lane < size)
    return bad


@_jit
def _values(
    table_ptr: tl.tensor, part: tl.tensor, start: tl.tensor, lane: tl.tensor, size: tl.tensor, KIND: tl.constexpr
) -> tl.tensor:
    """The bits of a part's elements, as integers: a bf16 number passes through no conversion of the device."""
    address = tl.load(table_ptr + _ROWS + part * _WIDTH)
    if KIND // 2 == _F64:
        pointer = address.to(tl.pointer_type(tl.int64))
    elif KIND // 2 == _F32:
        pointer = address.to(tl.pointer_type(tl.int32))
    else:
        pointer = address.to(tl.pointer_type(tl.int16))
    return tl.load(tl.multiple_of(pointer, _ALIGNED) + start + lane, mask=lane < size, other=0)


@_jit
def _number(pointer: tl.tensor) -> tl.tensor:
    """A number of the table, fp64."""
    return tl.load(pointer).to(tl.float64, bitcast=True)


@_jit
def _widened(bits: tl.tensor, CODE: tl.constexpr) -> tl.tensor:
    """The numbers with these bits: F64 as fp64, others exactly as fp32."""
    if CODE == _F64:
        x = bits.to(tl.float64, bitcast=True)
    elif CODE == _F32:
        x = bits.to(tl.float32, bitcast=True)
    elif CODE == _BF16:
        x = (bits.to(tl.int32) << 16).to(tl.float32, bitcast=True)
    else:
        x = bits.to(tl.float16, bitcast=True).to(tl.float32)
    return x


@_jit
def _tau(values: tl.tensor, base: tl.tensor, KIND: tl.constexpr, BASE: tl.constexpr) -> tl.tensor:
    """tau of a tile, from bits of both [TV-2, TV-3, TV-5]. Its zeros may have either sign: neither votes."""
    new, old = _widened(values, KIND // 2), _widened(base, BASE)
    if KIND % 2 == _FINETUNED:
        if KIND // 2 == _F64:
            old = old.to(tl.float64)
        if BASE == _F64:
            new = new.to(tl.float64)
        # Equal numbers of one dtype that do not differ by 0 have equal bits: infinities and NaN.
        unchanged = values == base if KIND // 2 == BASE else new == old
        new = tl.where(unchanged, 0.0, new - old)
    return new.to(tl.float32)


@_jit
def _magnitude(x: tl.tensor) -> tl.tensor:
    """The bits of |x|: their order is the order of magnitudes. x: fp32."""
    return x.to(tl.int32, bitcast=True) & _MAGNITUDE


@_jit
def _trimmed(tau: tl.tensor, threshold: tl.tensor, tied: tl.tensor) -> tl.tensor:
    """Which elements trim keeps, and which lie above the threshold [TI-4, TI-5]."""
    magnitude = _magnitude(tau)
    above = magnitude > threshold
    return above | ((magnitude == threshold) & tied), above


@_jit
def _vote(v: tl.tensor, coefficient: tl.tensor) -> tl.tensor:
    """The coefficient, which is positive, with the sign of v; 0 where v is 0: a zero does not vote [TI-6]."""
    sign = v.to(tl.int32, bitcast=True) & ~_MAGNITUDE
    return tl.where(v == 0, 0.0, (coefficient.to(tl.int32, bitcast=True) | sign).to(tl.float32, bitcast=True))


@_jit
def _packed(found: tl.tensor) -> tl.tensor:
    """Two counts of 16 bits, spread over 64, so that sums of them do not meet."""
    return (found & 0xFFFF).to(tl.int64) | ((found >> 16).to(tl.int64) << 32)


@_jit
def _limit(least: tl.tensor) -> tl.tensor:
    """2^53 grids of the fp32 numbers with these bits, in fp64; of the smallest ones where there is none [EX-2]."""
    exponent = tl.maximum(least >> 23, 1)
    return ((exponent - 97 + 1023).to(tl.int64) << 52).to(tl.float64, bitcast=True)


@_jit
def _finalized(
    s: tl.tensor, a: tl.tensor, votes: tl.tensor, weights: tl.tensor, total: tl.tensor, METHOD: tl.constexpr
) -> tl.tensor:
    """tau_m, fp32, where the sums are exact [TI-7, TI-8, ME-1, TA-1]. fp64 division is correctly rounded."""
    if METHOD == _TIES:
        agreeing = tl.where(s > 0, a + s, s - a) * 0.5
        weight = tl.where(s > 0, weights + votes, weights - votes) * 0.5
        mean = tl.where(s == 0, 0.0, agreeing / tl.where(s == 0, 1.0, weight))
    elif METHOD == _MEAN:
        mean = s / total
    else:
        tl.static_assert(METHOD == _TASK_ARITHMETIC, "this method has no code here")
        mean = s
    return mean.to(tl.float32)


@_jit
def _applied(base: tl.tensor, tau_m: tl.tensor, lambda_: tl.tensor, BASE: tl.constexpr) -> tl.tensor:
    """The merged bits, the base's where nothing moves, and whether all is finite [MG-2, MG-3, MG-4, MG-5]."""
    # Exact, so it is 0 only where one of both is; from a tau_m that is not finite, neither is the result.
    step = tau_m.to(tl.float64) * lambda_
    moved = step != 0
    merged, finite = _narrowed(_widened(base, BASE).to(tl.float64) + step, BASE)
    return tl.where(moved, merged, base), finite | ~moved


@_jit
def _narrowed(wide: tl.tensor, BASE: tl.constexpr) -> tl.tensor:
    """The bits of fp64 numbers in the base's dtype, rounded to fp32 first, and whether they are finite [MG-3]."""
    x = wide.to(tl.float32)
    bits = x.to(tl.int32, bitcast=True)
    finite = _magnitude(x) < _INFINITY
    if BASE == _F64:
        bits = wide.to(tl.int64, bitcast=True)
        finite = (bits & 0x7FF0000000000000) != 0x7FF0000000000000
    elif BASE == _BF16:
        # To nearest, ties to even; the bits of a NaN would overflow here, but it is known by now.
        bits = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).to(tl.int16)
        finite = finite & ((bits & 0x7F80) != 0x7F80)
    elif BASE == _F16:
        bits = x.to(tl.float16).to(tl.int16, bitcast=True)
        finite = finite & ((bits & 0x7C00) != 0x7C00)
    return bits, finite


@_jit_count
def count_tile(
    base_ptr: tl.tensor,
    values_ptr: tl.tensor,
    counts_ptr: tl.tensor,
    n: tl.tensor,
    low: tl.tensor,
    shift: tl.tensor,
    bins: tl.tensor,
    BASE: tl.constexpr,
    KIND: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    """Add a tile of a part to the counts of a window: its bins, what lies above, and last what is not finite."""
    program = tl.program_id(0)
    start, lane, size = program.to(tl.int64) * TILE, tl.arange(0, TILE), n - program * TILE
    base = tl.load(base_ptr + start + lane, mask=lane < size, other=0)
    values = tl.load(values_ptr + start + lane, mask=lane < size, other=0)
    magnitude = _magnitude(_tau(values, base, KIND, BASE))
    bin_ = tl.where(lane < size, (magnitude - low) >> shift, -1)
    tl.atomic_add(counts_ptr + bin_, 1, mask=(bin_ >= 0) & (bin_ < bins), sem="relaxed")
    # One addition for all that lie above: they would queue for one address.
    tl.atomic_add(counts_ptr + bins, tl.sum((bin_ >= bins).to(tl.int32), 0), sem="relaxed")
    tl.atomic_add(counts_ptr + bins + 1, tl.sum((magnitude >= _INFINITY).to(tl.int32), 0), sem="relaxed")

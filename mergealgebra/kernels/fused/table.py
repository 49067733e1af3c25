"""The table that an entry is given: int64 words, addresses and the bits of fp64 numbers among them. No Numba here."""

from __future__ import annotations

from typing import Final

#: Elements in a tile: its sums stay in the first-level cache.
TILE: Final = 1024
#: Bytes of memory for the tiles of one thread: two of fp32, one of int32, four of up to fp64.
SCRATCH_BYTES: Final = (3 * 4 + 4 * 8) * TILE

#: Words that all entries take.
SIZE, BASE, BASE_DTYPE, SCRATCH, PARTS = range(5)
#: Words of `reduce_block`; `update_block` has more of them. VOTES: how V and W are held; UNIT: what they count in.
METHOD, OUT, TOTAL, LAMBDA, VOTES, UNIT, KEPT, ABOVE, POSITIONS = range(5, 14)
RETRACTED, SUMS, MAGNITUDES, SIGNS, WEIGHTS, GRID = range(14, 20)
#: Words of `count_block`.
LOW, SHIFT, COUNTS, BINS = range(5, 9)
HEADER: Final = 20

#: A row for each part follows; the coefficient by its fp32 bits.
ADDRESS, DTYPE, FINETUNED, THRESHOLD, TIES, COEFFICIENT = range(6)
ROW: Final = 6

#: Codes: of dtypes, of methods, and of how V and W are held: not, as whole numbers below 2^24, as any.
F64, F32, BF16, F16 = range(4)
TIES_MERGING, MEAN, TASK_ARITHMETIC = range(3)
NO_VOTES, WHOLE, FP64 = range(3)

#: What an entry returns for a method that has no code here; -1 is for a number that is not finite.
UNKNOWN_METHOD: Final = -2

"""The table that an entry is given: int64 words, addresses and the bits of fp64 numbers among them. No Numba here."""

from __future__ import annotations

from typing import Final

#: Elements in a tile: its sums stay in the first-level cache.
TILE: Final = 1024
#: Bytes of memory for the tiles of one thread: two of fp32, one of int32, four of up to fp64, one of random words.
SCRATCH_BYTES: Final = (3 * 4 + 4 * 8) * TILE + 4 * (TILE + 4)

#: Words that all entries take. ON: what is merged; BOUND: below which a random word keeps its element; DENSITY: by
#: which it is then divided.
SIZE, BASE, BASE_DTYPE, SCRATCH, PARTS, ON, BOUND, DENSITY = range(8)
#: Words of `reduce_block`; `update_block` has more of them. VOTES: how V and W are held; UNIT: what they count in.
#: CUT, NOT_BELOW: how many elements lie above a ceiling, and not below it.
METHOD, OUT, TOTAL, LAMBDA, VOTES, UNIT, KEPT, ABOVE, POSITIONS, CUT, NOT_BELOW = range(8, 19)
RETRACTED, SUMS, MAGNITUDES, SIGNS, WEIGHTS, GRID = range(19, 25)
#: Words of `count_block`.
LOW, SHIFT, COUNTS, BINS = range(8, 12)
#: Words of `dots_block`. KNOWN: how many of the first parts are left out with each other; PAIRS: how many pairs remain;
#: SQUARES: whether each is taken with itself alone. `vectors_block` has VECTORS too.
DOTS, VECTORS, KNOWN, PAIRS, SQUARES = range(8, 13)
#: Words of `sums_block`, of which the rows are those of terms: ADDRESS, and in KEY the bits of its vote in fp64. PLUS
#: and MINUS are 0 where there are no votes. WITHOUT: the positions without certificate.
POSITIVE, NEGATIVE, GRIDS, PLUS, MINUS, WITHOUT = range(8, 14)
#: Words of `apply_block`: where what is merged lies, and where the result goes. It has LAMBDA too.
MERGED, RESULT = 8, 9
#: A word of `elected_block`, which has OUT, LAMBDA and POSITIONS too: memory for a tile of fp32 for each part, and
#: TILES_BESIDE more. Its rows have in KEY the fp32 bits of the part's weight.
TILES = 8
TILES_BESIDE: Final = 4
#: Words of `centred_block`, `shares_block`, `divergences_block` and `importances_block`. VECTORS are the changes, as
#: there; WIDE: two fp64 numbers for each; FOLDED: half a chunk of fp64, and a number for each chunk of a row;
#: DIVERGENCES: those of rows, and in `centred_block` memory for the base in fp32; COUNTED: counts by halves of bits.
#: The rows of `importances_block` are the high halves that are looked into.
COLUMNS = 8
WIDE, FOLDED, DIVERGENCES, COUNTED = range(10, 14)
HEADER: Final = 25

#: A row for each part follows; the coefficient by its fp32 bits. POSITION: of its first element in the tensor, and
#: KEY and OTHER_KEY, the key of the tensor's mask, where elements are dropped. CEILING: the bits of the largest
#: magnitude that is not cut.
ADDRESS, DTYPE, FINETUNED, THRESHOLD, TIES, COEFFICIENT, POSITION, KEY, OTHER_KEY, CEILING = range(10)
ROW: Final = 10

#: Codes: of dtypes, of methods, and of how V and W are held: not, as whole numbers below 2^24, as any.
F64, F32, BF16, F16 = range(4)
TIES_MERGING, MEAN, TASK_ARITHMETIC, LINEAR = range(4)
NO_VOTES, WHOLE, FP64 = range(3)
#: Codes of what is merged: task vectors; models; models, of which the bits are copied where all have the same.
TAU, THETA, COPIED = range(3)
#: The bound where nothing is dropped.
NO_DROP: Final = -1

#: The ceiling where nothing is cut: above the bits of every magnitude.
NO_CEILING: Final = 0x7FFFFFFF

#: What an entry returns for a method that has no code here; -1 is for a number that is not finite.
UNKNOWN_METHOD: Final = -2

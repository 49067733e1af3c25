"""Calling the compiled code of `kernels.fused`: a table of the base, of parts, and of what is special to a function."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np

from mergealgebra.algebra.dots import CHUNK, ChunkSums, pairs_of
from mergealgebra.algebra.masks import keep_below, mask_key
from mergealgebra.algebra.trim import Counts, Window
from mergealgebra.errors import BackendError
from mergealgebra.kernels.blocks import Part
from mergealgebra.kernels.fused import table as word
from mergealgebra.kernels.fused_methods import ceiling_of, cut_of
from mergealgebra.kernels.machine_code import entry, load
from mergealgebra.kernels.reference import Host
from mergealgebra.methods.dare import Drop
from mergealgebra.progress import Progress, quiet
from mergealgebra.tensors.dtypes import DTYPES

_DTYPES: Final = {
    DTYPES[name].numpy: code
    for name, code in {"F64": word.F64, "F32": word.F32, "BF16": word.BF16, "F16": word.F16}.items()
}
#: The code of what is merged.
ON: Final = {"tau": word.TAU, "theta": word.THETA}

#: The step of progress in which kernels are compiled.
COMPILING: Final = "compiling kernels, once for this machine"


class CompiledCode:
    """The compiled functions, with memory for each thread that calls them. They hold no lock while they compute.

    progress: told when the first process on a machine compiles, which takes a while.
    """

    def __init__(self, progress: Progress = quiet) -> None:
        self._own = threading.local()
        self._progress = progress

    def load(self, *names: str) -> None:
        """Load functions by name, and compile those that nobody kept."""
        load(names, partial(self._progress, COMPILING))

    def call(
        self,
        name: str,
        base: Host,
        rows: Sequence[Sequence[int]],
        words: Mapping[int, int],
        drop: Drop | None = None,
    ) -> int:
        """What a function returns, given a table of the base, of a row for each part, and of what is special to it."""
        header = [0] * word.HEADER
        header[: word.PARTS + 1] = base.size, address(base), _DTYPES[base.dtype], self._scratch(), len(rows)
        header[word.BOUND] = word.NO_DROP if drop is None else keep_below(drop.density)
        header[word.DENSITY] = bits(1.0 if drop is None else float(drop.density))
        for at, number in words.items():
            header[at] = number
        table = np.array(header + [number for row in rows for number in row], np.int64)
        found = entry(name)(address(table))
        if found == word.UNKNOWN_METHOD:
            raise BackendError(f"the compiled kernels have no method of code {header[word.METHOD]}")
        return found

    def count(
        self, base: Host, part: Part, window: Window, counts: Counts, drop: Drop | None = None, cut: bool = False
    ) -> bool:
        """Add to `counts` how many magnitudes of tau lie in each bin of a window, and last, above it.

        drop: the stage that comes before. cut: whether that is one that cuts the largest. False when some tau is not
        finite, to be named.
        """
        self.load("count_block")
        asked = {
            word.LOW: window.low,
            word.SHIFT: window.shift,
            word.COUNTS: address(counts),
            word.BINS: window.bins,
        }
        return bool(self.call("count_block", base, [row_of(part, drop, cut)], asked, drop))

    def dots(
        self, base: Host, parts: Sequence[Part], on: str, known: int = 0, *, squares: bool = False
    ) -> ChunkSums | None:
        """The dot products of parts without stages, as `Kernel.dots` gives them. squares: of each with itself alone."""
        self.load("dots_block")
        found = np.empty((len(pairs_of(len(parts), known, squares=squares)), -(-base.size // CHUNK)))
        vectors = np.empty((len(parts), CHUNK), np.float32)
        asked = {
            word.ON: ON[on],
            word.DOTS: address(found),
            word.VECTORS: address(vectors),
            word.KNOWN: known,
            word.PAIRS: len(found),
            word.SQUARES: squares,
        }
        return found if self.call("dots_block", base, [row_of(part) for part in parts], asked) else None

    def _scratch(self) -> int:
        """The address of memory for the tiles of this thread."""
        if not hasattr(self._own, "scratch"):
            self._own.memory = np.empty(word.SCRATCH_BYTES, np.uint8)
            self._own.scratch = address(self._own.memory)
        return int(self._own.scratch)


def row_of(part: Part, drop: Drop | None = None, cut: bool = False) -> tuple[int, ...]:
    """The row of a part. drop, cut: as `CompiledCode.count` takes them."""
    weight = part.weights[0] if part.weights else None
    where, values = part.where, part.values
    key = (0, 0) if drop is None else mask_key(drop.seed, where.root, where.tensor)
    form = part.form == "finetuned"
    ceiling = ceiling_of(part) if cut else word.NO_CEILING
    coefficient = single_bits(part.coefficient if weight is None else weight)
    return (address(values), _DTYPES[values.dtype], form, *cut_of(part), coefficient, where.start, *key, ceiling)


def single_bits(number: float) -> int:
    """The bits of an fp32 number."""
    return int(np.float32(number).view(np.int32))


def bits(number: float) -> int:
    """The bits of an fp64 number."""
    return int(np.float64(number).view(np.int64))


def address(array: Host) -> int:
    """Where an array lies."""
    return int(array.ctypes.data)

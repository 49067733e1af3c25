"""The equations on NumPy, with compiled code for what surrounds those of any method.

Vectors, exact sums, dot products and the merged block are the same for all methods, and most of the work of many. So a
method that no fused kernel knows is computed by its own equations, between compiled pieces, to the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from mergealgebra.algebra.arrays import refuse_flushed_subnormals
from mergealgebra.algebra.divergence import RankedImportances
from mergealgebra.algebra.dots import ChunkSums
from mergealgebra.algebra.exact import Indices, Sums, maxima_of, with_integers
from mergealgebra.algebra.method import Round, Terms, View
from mergealgebra.kernels import importances
from mergealgebra.kernels.blocks import Part, Reduced, Reduction, Watch
from mergealgebra.kernels.calls import ON, CompiledCode, address, bits, row_of, single_bits
from mergealgebra.kernels.fused import table as word
from mergealgebra.kernels.fused_methods import counts_magnitudes
from mergealgebra.kernels.numpy_reference import NumPyReference
from mergealgebra.kernels.reference import Host, votes_of
from mergealgebra.kernels.result import finite
from mergealgebra.kernels.views import entering, usable_auxiliary, view_with
from mergealgebra.methods.sce import Sce
from mergealgebra.progress import Progress, quiet


@dataclass(frozen=True)
class CompiledPieces(NumPyReference):
    """`Kernel` on the CPU that computes every method."""

    block: int = 1 << 17  # of fewer elements the calls take too long; arrays between equations still fit a cache
    code: CompiledCode = field(default_factory=CompiledCode)

    def reduce(self, base: Host, parts: Sequence[Part], reduction: Reduction) -> Reduced | None:
        """As `Kernel.reduce`: the mean of what was elected by compiled code as a whole."""
        if reduction.rounds != Sce().rounds or reduction.needs != Sce().needs or any(p.at is not None for p in parts):
            return super().reduce(base, parts, reduction)
        self.code.load("elected_block")
        out, positions = np.empty_like(base), np.empty(base.size, np.int64)
        tiles = np.empty((len(parts) + word.TILES_BESIDE, word.TILE), np.float32)
        asked = {
            word.TILES: address(tiles),
            word.OUT: address(out),
            word.LAMBDA: bits(reduction.lambda32),
            word.POSITIONS: address(positions),
        }
        missed = self.code.call("elected_block", base, list(map(_row_of_weighed, parts)), asked)
        if missed < 0:
            return None
        if missed:
            at = positions[:missed]
            exact = super().reduce(base[at], [part.only(at) for part in parts], reduction)
            if exact is None:
                return None
            out[at] = exact.data
        everything = (base.size,) * len(parts)
        return Reduced(out, everything, ((),) * len(parts), missed if reduction.coefficients.certified else base.size)

    def observe(self, base: Host, part: Part, watch: Watch, seen: Any, shared: Sequence[Host] = ()) -> Any | None:
        """As `Kernel.observe`."""
        if counts_magnitudes(watch) and not watch.stages and not part.auxiliary:
            return seen if self.code.count(base, _alone(part), watch.look, seen) else None
        if type(watch.statistic) is RankedImportances and not watch.stages and part.at is None:
            views = self._views(base, [part], watch.on)
            if views is None:
                return None
            view = entering(views[0], part, watch.round_, shared)
            return importances.observe(self.code, base, watch.statistic, watch.look, view, seen)
        return super().observe(base, part, watch, seen, shared)

    def dots(
        self, base: Host, parts: Sequence[Part], reduction: Reduction, round_: int, known: int = 0
    ) -> ChunkSums | None:
        """As `Kernel.dots`."""
        squares, on = reduction.rounds[round_].squares, reduction.needs.on
        if not reduction.rounds[round_].stages and not reduction.needs.auxiliary:
            return self.code.dots(base, list(map(_alone, parts)), on, known, squares=squares)
        vectors = self._vectors(base, parts, reduction, round_)
        if vectors is None:
            return None
        staged = [Part(np.ascontiguousarray(vector), "task_vector", 1.0) for vector in vectors]
        return self.code.dots(base, staged, "tau", known, squares=squares)

    def _views(self, base: Host, parts: Sequence[Part], on: str) -> list[View] | None:
        vectors = np.empty((len(parts), base.size), np.float32)
        asked = {word.ON: ON[on], word.VECTORS: address(vectors)}
        if not self.code.call("vectors_block", base, [row_of(_alone(part)) for part in parts], asked):
            return None
        views = [view_with(vector, part, base) for part, vector in zip(parts, vectors, strict=True)]
        return views if all(map(usable_auxiliary, views)) else None

    def _sums(self, terms: Sequence[Terms], round_: Round, reduction: Reduction) -> Sums | None:
        """As that of the reference, a sum at a time; where votes need integers, all of them do."""
        votes = round_.columns.votes
        if votes and not votes_of(terms, round_, reduction).certified:
            return super()._sums(terms, round_, reduction)
        if not all(finite(array) for term in terms for array in term.maxima):
            return None
        n = (terms[0].sums or terms[0].maxima)[0].size
        voted = tuple(np.zeros((2, n))) if votes else ()
        columns, grids, failing = list[Host](), list[Host](), list[Indices]()
        for at in range(round_.columns.sums):
            found = self._sum([(term.sums[at], term.votes) for term in terms], n, () if at else voted)
            if found is None:
                return None
            columns, grids, failing = [*columns, *found[:2]], [*grids, found[2]], [*failing, found[3]]
        return with_integers(Sums((*columns, *voted), tuple(grids), maxima_of(terms)), failing, terms, votes)

    def _sum(
        self, terms: Sequence[tuple[Host, float]], n: int, voted: tuple[Host, ...]
    ) -> tuple[Host, Host, Host, Indices] | None:
        """S+ and S-, the grids, and where there is no certificate; None when a term is not finite.

        terms: with their votes, which are added to `voted` if that is not empty.
        """
        kept = [np.ascontiguousarray(term) for term, _ in terms]
        positive, negative = np.empty((2, n))
        grids, without = np.empty(n, np.uint8), np.empty(n, np.int64)
        asked = {
            word.POSITIVE: address(positive),
            word.NEGATIVE: address(negative),
            word.GRIDS: address(grids),
            word.PLUS: address(voted[0]) if voted else 0,
            word.MINUS: address(voted[1]) if voted else 0,
            word.WITHOUT: address(without),
        }
        rows = [_row_of_term(term, vote) for term, (_, vote) in zip(kept, terms, strict=True)]
        missed = self.code.call("sums_block", positive, rows, asked)
        return None if missed < 0 else (positive, negative, grids, without[:missed].copy())

    def _merged(self, base: Host, tau_m: Host, reduction: Reduction) -> Host | None:
        merged, out = np.ascontiguousarray(tau_m), np.empty_like(base)
        asked = {
            word.ON: ON[reduction.needs.on],
            word.LAMBDA: bits(reduction.lambda32),
            word.MERGED: address(merged),
            word.RESULT: address(out),
        }
        return out if self.code.call("apply_block", base, [], asked) else None


def _alone(part: Part) -> Part:
    """A part without what stages found, and with its own coefficient."""
    return replace(part, found=(), weights=())


def _row_of_weighed(part: Part) -> list[int]:
    """A row with the part's own coefficient, and with its weight in the second round."""
    row = list(row_of(_alone(part)))
    weight = part.weights[1] if part.weights else None
    row[word.KEY] = single_bits(part.coefficient if weight is None else weight)
    return row


def _row_of_term(term: Host, vote: float) -> list[int]:
    row = [0] * word.ROW
    row[word.ADDRESS], row[word.KEY] = address(term), bits(vote)
    return row


def numpy_with_numba(progress: Progress = quiet) -> CompiledPieces:
    """The equations on NumPy, between compiled pieces."""
    code = CompiledCode(progress)
    code.load("vectors_block", "sums_block", "apply_block")
    check = partial(refuse_flushed_subnormals, np)
    return CompiledPieces("numpy+numba", _itself, _itself, check, (numpy_with_numba, ()), code=code)


def _itself(array: Host) -> Host:
    return array

"""The reference: a method's own equations on one block, with NumPy or torch, on whatever device torch has.

It computes every method. What other kernels compute, they compute to its bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mergealgebra.algebra.arrays import Array, array_namespace, refuse_flushed_subnormals
from mergealgebra.algebra.contract import finalized, lifted
from mergealgebra.algebra.dots import ChunkSums, chunk_sums, pairs_of
from mergealgebra.algebra.exact import Coefficients, Indices, Sums, sums_of
from mergealgebra.algebra.method import Round, Terms, View, WholeRound
from mergealgebra.algebra.trim import Counts, Window, add_counts
from mergealgebra.kernels.blocks import (
    Part,
    Reduced,
    Reduction,
    Watch,
    Witnesses,
)
from mergealgebra.kernels.result import averaged, copied, merged_block
from mergealgebra.kernels.torch_threads import one_thread
from mergealgebra.kernels.views import Staged, after, entering, finite_terms, left, through, usable, view_of
from mergealgebra.methods.method import Method
from mergealgebra.tensors.dtypes import to_host, to_torch

Host = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Reference:
    """A kernel that is nothing but the equations. `load` brings a host array there, `unload` brings it back.

    made: by what it is made again in another process. block: as in `Kernel`: what lies between stays in a core's cache.
    working: what holds while workers compute with it.
    """

    name: str
    load: Callable[[Host], Array]
    unload: Callable[[Array], Host]
    check_worker: Callable[[], None]
    made: tuple[Callable[..., Reference], tuple[Any, ...]]
    block: int = 1 << 16
    working: Callable[[], AbstractContextManager[object]] = nullcontext

    def __reduce__(self) -> tuple[Callable[..., Reference], tuple[Any, ...]]:
        return self.made

    def computes(self, method: Method) -> bool:
        """As `Kernel.computes`: every method, but for those over whole tensors."""
        return not any(isinstance(round_, WholeRound) for round_ in method.rounds)

    def reduce(self, base: Host, parts: Sequence[Part], reduction: Reduction) -> Reduced | None:
        """As `Kernel.reduce`."""
        there = self.load(base)
        passed = self._passed(there, parts, reduction, len(reduction.rounds))
        merged = None if passed is None else self._merged(there, passed.shared[-1], reduction)
        if passed is None or merged is None:
            return None
        if reduction.needs.copies and averaged(parts):
            merged = copied(merged, there, [(self.load(part.values), part.form) for part in parts])
        kept = tuple(left(view, reduction.rounds) for view in passed.views)
        count = passed.uncertified.size if reduction.coefficients.certified else base.size
        return Reduced(self.unload(merged), kept, passed.witnesses, int(count))

    def share(self, base: Host, parts: Sequence[Part], reduction: Reduction, rounds: int) -> tuple[Array, ...] | None:
        """As `Kernel.share`."""
        passed = self._passed(self.load(base), parts, reduction, rounds)
        return None if passed is None else passed.shared

    def observe(self, base: Host, part: Part, watch: Watch, seen: Any, shared: Sequence[Array] = ()) -> Any | None:
        """As `Kernel.observe`."""
        views = self._views(self.load(base), [part], watch.on)
        if views is None:
            return None
        view = through(entering(views[0], part, watch.round_, shared), watch.stages, part.found)
        return watch.statistic.observe(watch.look, view, seen)

    def dots(
        self, base: Host, parts: Sequence[Part], reduction: Reduction, round_: int, known: int = 0
    ) -> ChunkSums | None:
        """As `Kernel.dots`."""
        found = self._vectors(base, parts, reduction, round_)
        if found is None:
            return None
        vectors = list(map(_wide, found))
        both = pairs_of(len(vectors), known, squares=reduction.rounds[round_].squares)
        return np.stack([chunk_sums(vectors[i], vectors[j]) for i, j in both])

    def count(self, base: Host, part: Part, window: Window, counts: Counts) -> bool:
        """Add to `counts` how many magnitudes of tau lie in each bin of a window, and last, above it.

        False when some tau is not finite, to be named.
        """
        views = self._views(self.load(base), [part], "tau")
        if views is None:
            return False
        add_counts(views[0].tau, window, counts)
        return True

    def _views(self, base: Array, parts: Sequence[Part], on: str) -> list[View] | None:
        """Parts before any stage; None when some number is not finite."""
        views = [view_of(part, self.load(part.values), base, on, self.load) for part in parts]
        return views if all(map(usable, views)) else None

    def _sums(self, terms: Sequence[Terms], round_: Round, reduction: Reduction) -> Sums | None:
        """The exact sums of a block; None when some term is not finite."""
        return summed(terms, round_, reduction) if all(map(finite_terms, terms)) else None

    def _merged(self, base: Array, tau_m: Array, reduction: Reduction) -> Array | None:
        """The merged block; None when some number is not finite."""
        return merged_block(base, tau_m, reduction)

    def _vectors(self, base: Host, parts: Sequence[Part], reduction: Reduction, round_: int) -> list[Array] | None:
        """What the stages of a round leave of each part; None when some number is not finite."""
        views = self._views(self.load(base), parts, reduction.needs.on)
        if views is not None and reduction.rounds[round_].stages:
            shared = self.share(base, parts, reduction, round_)
            if shared is None:
                return None
            pairs = zip(views, parts, strict=True)
            views = [self._staged(view, part, reduction, round_, shared).view for view, part in pairs]
        return None if views is None else [view.tau for view in views]

    def _passed(self, base: Array, parts: Sequence[Part], reduction: Reduction, rounds: int) -> _Passed | None:
        """What the first rounds make of a block; None when some number is not finite."""
        views = self._views(base, parts, reduction.needs.on)
        if views is None:
            return None
        passed = _Passed(views, tuple(() for _ in parts))
        for number, round_ in enumerate(reduction.rounds[:rounds]):
            reached = [
                self._staged(view, part, reduction, number, passed.shared)
                for view, part in zip(views, parts, strict=True)
            ]
            lifts = [part.round_in(reduction.rounds, number) for part in parts]
            terms = [lifted(own, one.view) for own, one in zip(lifts, reached, strict=True)]
            sums = self._sums(terms, round_, reduction)
            if sums is None:
                return None
            passed = _Passed(
                [one.view for one in reached],
                tuple(before + one.witnesses for before, one in zip(passed.witnesses, reached, strict=True)),
                (*passed.shared, finalized(round_, sums, reduction.coefficients)),
                _union(passed.uncertified, sums.uncertified),
            )
        return passed

    def _staged(self, view: View, part: Part, reduction: Reduction, number: int, shared: Sequence[Array]) -> Staged:
        """What the stages of a round leave of a part."""
        first = sum(len(earlier.stages) for earlier in reduction.rounds[:number])
        stages = part.round_in(reduction.rounds, number).stages
        return after(entering(view, part, number, shared), stages, part.found[first : first + len(stages)])


@dataclass(frozen=True)
class _Passed:
    """What rounds made of a block. views: of the parts in the last of them. witnesses, uncertified: of all of them."""

    views: Sequence[View]
    witnesses: tuple[Witnesses, ...]
    shared: tuple[Array, ...] = ()
    uncertified: Indices = field(default_factory=lambda: np.empty(0, np.int64))


def _union(one: Indices, other: Indices) -> Indices:
    return np.union1d(one, other) if one.size and other.size else one if one.size else other


def _wide(array: Array) -> Array:
    xp = array_namespace(array)
    return xp.astype(array, xp.float64)


# All parts


def summed(terms: Sequence[Terms], round_: Round, reduction: Reduction) -> Sums:
    """The exact sums of a block [EX-1]. terms: finite; at least one."""
    return sums_of(terms, round_.columns.votes, votes_of(terms, round_, reduction))


def votes_of(terms: Sequence[Terms], round_: Round, reduction: Reduction) -> Coefficients:
    """What certifies sums of votes: of weights, which no certificate of coefficients covers, the weights themselves."""
    votes = reduction.coefficients
    if round_.columns.votes and votes.certified:
        return Coefficients(tuple(term.votes for term in terms))
    return votes


# The two libraries


def _on_torch_there(device: str) -> Reference:
    """The same in a process that has not imported torch yet."""
    import torch  # noqa: F401 - whoever sent this has it

    return on_torch(device)


def on_torch(device: Any) -> Reference:
    """The equations on torch, which must have been imported, on one of its devices."""

    def check_worker() -> None:
        from array_api_compat import torch as xp_torch

        refuse_flushed_subnormals(np)
        refuse_flushed_subnormals(xp_torch, device)

    kind = str(device).partition(":")[0]
    name = "torch" if kind == "cpu" else f"torch-{kind}"
    made = (_on_torch_there, (str(device),))
    block = 1 << 16 if kind == "cpu" else 1 << 20  # a device is not filled by few elements
    working = one_thread if kind == "cpu" else nullcontext
    return Reference(name, lambda host: to_torch(host, device), to_host, check_worker, made, block, working)

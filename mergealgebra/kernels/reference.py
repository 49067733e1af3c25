"""The reference: a method's own equations on one block, with NumPy or torch, on whatever device torch has.

It computes every method. What other kernels compute, they compute to its bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mergealgebra.algebra.arrays import Array, array_namespace, refuse_flushed_subnormals
from mergealgebra.algebra.contract import finalized, lifted, staged
from mergealgebra.algebra.dots import ChunkSums, chunk_sums, pairs_of
from mergealgebra.algebra.exact import Coefficients, Indices, Sums, sums_of
from mergealgebra.algebra.method import Round, Stage, Terms, View, WholeRound, leaves_out
from mergealgebra.algebra.trim import Counts, Window, add_counts
from mergealgebra.kernels.blocks import (
    Part,
    Reduced,
    Reduction,
    Watch,
    Witnesses,
)
from mergealgebra.kernels.result import averaged, copied, finite, merged_block
from mergealgebra.kernels.torch_threads import one_thread
from mergealgebra.methods.method import Method
from mergealgebra.tensors.block_vectors import tau, theta
from mergealgebra.tensors.dtypes import to_host, to_torch, widen

Host = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Staged:
    """A part on its way to the sums: what the stages of a round left of it, and what they counted."""

    view: View
    witnesses: Witnesses = ()


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
        merged = None if passed is None else merged_block(there, passed.shared[-1], reduction)
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
        view = self._view(part, self.load(base), watch.on)
        if not usable(view):
            return None
        view = through(entering(view, part, watch.round_, shared), watch.stages, part.found)
        return watch.statistic.observe(watch.look, view, seen)

    def dots(
        self, base: Host, parts: Sequence[Part], reduction: Reduction, round_: int, known: int = 0
    ) -> ChunkSums | None:
        """As `Kernel.dots`."""
        there = self.load(base)
        views = [self._view(part, there, reduction.needs.on) for part in parts]
        if not all(map(usable, views)):
            return None
        if reduction.rounds[round_].stages:
            shared = self.share(base, parts, reduction, round_)
            if shared is None:
                return None
            pairs = zip(views, parts, strict=True)
            views = [self._staged(view, part, reduction, round_, shared).view for view, part in pairs]
        vectors = [_wide(view.tau) for view in views]
        both = pairs_of(len(vectors), known, squares=reduction.rounds[round_].squares)
        return np.stack([chunk_sums(vectors[i], vectors[j]) for i, j in both])

    def count(self, base: Host, part: Part, window: Window, counts: Counts) -> bool:
        """Add to `counts` how many magnitudes of tau lie in each bin of a window, and last, above it.

        False when some tau is not finite, to be named.
        """
        view = self._view(part, self.load(base))
        if not usable(view):
            return False
        add_counts(view.tau, window, counts)
        return True

    def _view(self, part: Part, base: Array, on: str = "tau") -> View:
        return view_of(part, self.load(part.values), base, on, self.load)

    def _passed(self, base: Array, parts: Sequence[Part], reduction: Reduction, rounds: int) -> _Passed | None:
        """What the first rounds make of a block; None when some number is not finite."""
        views = [self._view(part, base, reduction.needs.on) for part in parts]
        if not all(map(usable, views)):
            return None
        passed = _Passed(views, tuple(() for _ in parts))
        for number, round_ in enumerate(reduction.rounds[:rounds]):
            reached = [
                self._staged(view, part, reduction, number, passed.shared)
                for view, part in zip(views, parts, strict=True)
            ]
            terms = [lifted(round_, one.view) for one in reached]
            if not all(map(finite_terms, terms)):
                return None
            sums = summed(terms, round_, reduction)
            passed = _Passed(
                [one.view for one in reached],
                tuple(before + one.witnesses for before, one in zip(passed.witnesses, reached, strict=True)),
                (*passed.shared, finalized(round_, sums, reduction.coefficients)),
                np.union1d(passed.uncertified, sums.uncertified),
            )
        return passed

    def _staged(self, view: View, part: Part, reduction: Reduction, number: int, shared: Sequence[Array]) -> Staged:
        """What the stages of a round leave of a part."""
        first = sum(len(earlier.stages) for earlier in reduction.rounds[:number])
        stages = reduction.rounds[number].stages
        return after(entering(view, part, number, shared), stages, part.found[first : first + len(stages)])


@dataclass(frozen=True)
class _Passed:
    """What rounds made of a block. views: of the parts in the last of them. witnesses, uncertified: of all of them."""

    views: Sequence[View]
    witnesses: tuple[Witnesses, ...]
    shared: tuple[Array, ...] = ()
    uncertified: Indices = field(default_factory=lambda: np.empty(0, np.int64))


# One part


def view_of(
    part: Part, values: Array, base: Array, on: str = "tau", load: Callable[[Host], Array] = lambda host: host
) -> View:
    """A part before any stage. values, base: (n,) where it is computed. load: brings auxiliary tensors there."""
    vector = theta(values, base, part.form) if on == "theta" else tau(values, base, part.form)
    auxiliary = {kind: _fp32(load(array)) for kind, array in part.auxiliary.items()}
    where = part.where
    return View(
        vector,
        part.coefficient,
        where.tensor,
        where.shape,
        where.start,
        part.at,
        where.root,
        where.id,
        auxiliary,
        base=base,
    )


def entering(view: View, part: Part, number: int, shared: Sequence[Array]) -> View:
    """A part as a round begins: with what earlier rounds gave, and the coefficient that it has there."""
    weight = part.weights[number] if part.weights else None
    return replace(view, shared=tuple(shared), coefficient=view.coefficient if weight is None else weight)


def through(view: View, stages: Sequence[Stage], found: Sequence[Any]) -> View:
    """What stages leave of a view. found: what each one's statistic found of the block."""
    for stage, known in zip(stages, found, strict=True):
        view = _staged(view, stage, known)
    return view


def after(view: View, stages: Sequence[Stage], found: Sequence[Any]) -> Staged:
    """The same, and what the stages count."""
    witnesses = []
    for stage, known in zip(stages, found, strict=True):
        before, view = view, _staged(view, stage, known)
        if stage.statistic is not None:
            witnesses.append(() if known is None else stage.statistic.witness(before, view, known))
    return Staged(view, tuple(witnesses))


def _staged(view: View, stage: Stage, known: Any) -> View:
    view = staged(stage, view, known)
    return view if stage.statistic is None else replace(view, found=(*view.found, known))


def left(view: View, rounds: Sequence[Round]) -> int:
    """How many elements the stages left: those that are not zero; all where none can leave any out [LK-2]."""
    if not any(leaves_out(round_) for round_ in rounds):
        return int(view.tau.shape[0])
    return int(array_namespace(view.tau).count_nonzero(view.tau != 0))


def usable(view: View) -> bool:
    """Whether the vector is finite, and auxiliary numbers are finite and not negative [FM-1]."""
    return finite(view.tau) and all(finite(array) and not bool((array < 0).any()) for array in view.auxiliary.values())


def finite_terms(terms: Terms) -> bool:
    """Whether all terms are finite [TI-6]."""
    return all(map(finite, (*terms.sums, *terms.maxima)))


def _wide(array: Array) -> Array:
    xp = array_namespace(array)
    return xp.astype(array, xp.float64)


def _fp32(array: Array) -> Array:
    xp = array_namespace(widen(array))
    return xp.astype(widen(array), xp.float32, copy=False)


# All parts


def summed(terms: Sequence[Terms], round_: Round, reduction: Reduction) -> Sums:
    """The exact sums of a block [EX-1]. terms: finite; at least one."""
    votes = reduction.coefficients
    if round_.columns.votes and votes.certified:  # of weights, which no certificate of coefficients covers
        votes = Coefficients(tuple(term.votes for term in terms))
    return sums_of(terms, round_.columns.votes, votes)


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

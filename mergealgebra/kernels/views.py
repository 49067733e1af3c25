"""One part on its way to the sums: what an equation sees of it, and what stages leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mergealgebra.algebra.arrays import Array, array_namespace
from mergealgebra.algebra.contract import staged
from mergealgebra.algebra.method import Round, Stage, Terms, View, leaves_out
from mergealgebra.kernels.blocks import Part, Witnesses
from mergealgebra.kernels.result import finite
from mergealgebra.tensors.block_vectors import tau, theta
from mergealgebra.tensors.dtypes import widen


@dataclass(frozen=True)
class Staged:
    """A part on its way to the sums: what the stages of a round left of it, and what they counted."""

    view: View
    witnesses: Witnesses = ()


def view_of(
    part: Part, values: Array, base: Array, on: str = "tau", load: Callable[[Any], Array] = lambda host: host
) -> View:
    """A part before any stage. values, base: (n,) where it is computed. load: brings auxiliary tensors there."""
    vector = theta(values, base, part.form) if on == "theta" else tau(values, base, part.form)
    return view_with(vector, part, base, load)


def view_with(vector: Array, part: Part, base: Array, load: Callable[[Any], Array] = lambda host: host) -> View:
    """The same of a part whose vector is known."""
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
    return finite(view.tau) and usable_auxiliary(view)


def usable_auxiliary(view: View) -> bool:
    """Whether auxiliary numbers are finite and not negative [FM-1]."""
    return all(finite(array) and not bool((array < 0).any()) for array in view.auxiliary.values())


def finite_terms(terms: Terms) -> bool:
    """Whether all terms are finite [TI-6]."""
    return all(map(finite, (*terms.sums, *terms.maxima)))


def _fp32(array: Array) -> Array:
    xp = array_namespace(widen(array))
    return xp.astype(widen(array), xp.float32, copy=False)

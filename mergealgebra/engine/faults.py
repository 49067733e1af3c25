"""Which error is named when some number of a merge is not finite: the same one for everybody [MG-6].

Kernels only tell that a block is faulty. Then the equations look at it again, with NumPy, in canonical order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from mergealgebra.algebra.arrays import Array, first_true
from mergealgebra.algebra.contract import finalized, lifted
from mergealgebra.algebra.method import Terms, View
from mergealgebra.engine.answers import Answers
from mergealgebra.engine.buffers import BASE, Auxiliary, Buffers, part_of, parts_of
from mergealgebra.engine.executors import Workers
from mergealgebra.engine.plan import Plan, together
from mergealgebra.engine.result_dtype import overflowed, rounded, widened
from mergealgebra.engine.sources import Block, Contribution, Span
from mergealgebra.errors import NonFinite, Overflow
from mergealgebra.kernels.blocks import Part
from mergealgebra.kernels.reference import summed
from mergealgebra.kernels.result import merged_models
from mergealgebra.kernels.views import entering, through, view_of
from mergealgebra.methods.method import OUT_DTYPE
from mergealgebra.progress import Progress
from mergealgebra.tensors.block_vectors import add, index_in
from mergealgebra.tensors.dtypes import widen


class Faulty(Exception):
    """Some number of a block is not finite. answers: of the statistics, once they are known."""

    def __init__(self, block: Block, answers: Answers | None = None) -> None:
        super().__init__(block, answers)
        self.block, self.answers = block, answers


#: Told of every block whose task vectors are finite: the base's elements, and theirs by index. Threads call it.
Seen = Callable[[Array, dict[int, Array]], object]


def unseen(base: Array, taus: dict[int, Array]) -> None:
    """For whoever only wants to know whether all is finite."""


def check_task_vectors(
    plan: Plan, order: Sequence[int], workers: Workers, progress: Progress, seen: Seen = unseen
) -> None:
    """Read every task vector, and what auxiliary tensors the method needs. order: the indices in canonical order.

    Raises NonFinite for the first element that is not finite, of the first contribution in order [TV-4, MG-6].
    """
    spans = [span for name in plan.held_names() for span in plan.spans(name)]
    total, done = sum(span.size for span in spans), 0
    for span, _ in zip(spans, workers.map(partial(_check, order, seen), spans), strict=True):
        done += span.size
        progress("check", done, total)


def _check(order: Sequence[int], seen: Seen, buffers: Buffers, span: Span) -> None:
    plan = buffers.plan
    for block in plan.blocks(span):
        base = buffers.read(BASE, block)
        views = _views(plan, buffers, block, base)
        _refuse_first(plan, views, block, order)
        seen(base, {index: view.tau for index, view in views.items()})


def _refuse_first(plan: Plan, views: Mapping[int, View], block: Block, order: Sequence[int]) -> None:
    """Raise NonFinite for the first element that is not finite: task vectors come before auxiliary numbers [FM-1]."""
    what: dict[str | None, dict[int, Array]] = {None: {index: view.tau for index, view in views.items()}}
    for kind in sorted(plan.needs.auxiliary):
        what[kind] = {index: _usable(view.auxiliary[kind]) for index, view in views.items()}
    faults = [(fault, of) for of, arrays in what.items() if (fault := _first(arrays, order))]
    if not faults:
        return
    (position, index), found = min(faults, key=lambda one: one[0][0])
    if found is None:
        raise _not_finite(plan, plan.contributions[index], block, position)
    raise _bad_auxiliary(plan, Auxiliary(index, found), block, position)


def _views(plan: Plan, buffers: Buffers, block: Block, base: Array) -> dict[int, View]:
    """What each contribution holds of a block, before any stage."""
    found = {}
    for index, contribution in plan.holders(block.name):
        part = part_of(buffers, index, contribution, block, Answers(), range(0))
        found[index] = view_of(part, part.values, base, plan.needs.on)
    return found


def _usable(auxiliary: Array) -> Array:
    """The same, with NaN in place of negative numbers, which are no auxiliary numbers either."""
    return np.where(auxiliary < 0, np.float32(np.nan), auxiliary)


def diagnose(plan: Plan, fault: Faulty, order: Sequence[int], progress: Progress) -> Exception:
    """The error to raise for a faulty block. order: the indices of the contributions in canonical order."""
    with Workers(plan, Buffers, plan.threads) as workers:
        try:
            check_task_vectors(plan, order, workers, progress)  # errors in task vectors come first
        except NonFinite as error:
            return error
        find = partial(_overflow, fault.answers or Answers(), order)
        (overflow,) = workers.map(find, [fault.block])
    return overflow or fault


def _overflow(answers: Answers, order: Sequence[int], buffers: Buffers, block: Block) -> NonFinite | None:
    """The first term, tau_m or result of a block that is not finite; the task vectors are."""
    plan = buffers.plan
    base = buffers.read(BASE, block)
    parts = {index: part for index, part in parts_of(plan, buffers, block, answers) if part.coefficient}
    base, wide = widened(base, list(parts.values()), plan.results[block.name].dtype)
    parts = dict(zip(parts, wide, strict=True))
    if not parts:
        return _beyond_dtype(plan, block, base)
    shared: tuple[Array, ...] = ()
    unit = together(plan.rounds, plan.base.records[block.name])  # a part of a row is not what a stage can look at
    worst: NonFinite | None = None
    for number in range(_known_rounds(plan, answers, block.name)):
        terms = {index: _terms(plan, number, part, base, shared) for index, part in parts.items()}
        fault = _first({index: _worst(found.sums, found.maxima) for index, found in terms.items()}, order)
        if fault:  # later rounds may have another one at an earlier element, and never at a later one
            worst, end = overflow_of_v(plan, block, *fault), fault[0] // unit * unit
            there, base, shared = np.arange(end), base[:end], tuple(x[:end] for x in shared)
            parts = {index: part.only(there) for index, part in parts.items()}
        if not base.size:
            return worst
        error, tau_m = _overflow_of_round(plan, number, block, base, parts, shared)
        if error:
            return error
        shared = (*shared, tau_m)
    return worst


def _known_rounds(plan: Plan, answers: Answers, name: str) -> int:
    """The number of rounds of which all is known of a tensor: the fault lies before what was looked for."""
    for number in range(len(plan.rounds)):
        found = all(_is_known(plan, answers, stage, name) for stage in plan.stages_in(number))
        if not found or not (plan.rounds[number].weigh is None or (number, name) in answers.weights):
            return number
    return len(plan.rounds)


def _is_known(plan: Plan, answers: Answers, stage: int, name: str) -> bool:
    """Whether what a stage looks for is found of all contributions that have it at a tensor."""
    of = {index for index, _ in plan.counted(name) if plan.stages_of(name, index)[stage].statistic is not None}
    return of <= {group.index for group in answers.found.get(stage, ()) if name in group.names}


def _terms(plan: Plan, number: int, part: Part, base: Array, shared: Sequence[Array]) -> Terms:
    """What a part adds to the sums of a round."""
    rounds = plan.reduction(part.where.tensor).rounds
    round_ = part.round_in(rounds, number)
    first = sum(len(earlier.stages) for earlier in rounds[:number])
    view = entering(view_of(part, part.values, base, plan.needs.on), part, number, shared)
    return lifted(round_, through(view, round_.stages, part.found[first : first + len(round_.stages)]))


def _worst(*arrays: Sequence[Array]) -> Array:
    """Not finite where one of these is not."""
    return np.sum([array * np.float32(0) for some in arrays for array in some], axis=0)


def _overflow_of_round(
    plan: Plan, number: int, block: Block, base: Array, parts: dict[int, Part], shared: Sequence[Array]
) -> tuple[NonFinite | None, Array]:
    reduction = plan.reduction(block.name)
    round_ = reduction.rounds[number]
    terms = [_terms(plan, number, part, base, shared) for part in parts.values()]
    tau_m = finalized(round_, summed(terms, round_, reduction), reduction.coefficients)
    if number < len(reduction.rounds) - 1:
        return None, tau_m
    return _overflow_of_result(plan, block, base, tau_m), tau_m


def _overflow_of_result(plan: Plan, block: Block, base: Array, tau_m: Array) -> NonFinite | None:
    finite = np.isfinite(tau_m)
    if plan.needs.on == "theta":
        merged = _each_merged(base, tau_m)
        overflow = ~np.isfinite(merged)
        merged = merged.astype(widen(base).dtype)
    else:
        merged, overflow = add(base, tau_m, plan.reduction(block.name).lambda32)
    out = plan.results[block.name].dtype
    beyond = overflowed(merged, rounded(merged, out))
    position = first_true(~finite | overflow | beyond)
    if position is None:
        return None
    if beyond[position] and finite[position]:
        return beyond_dtype(where(plan, block, position), float(merged[position]), out)
    value = float(base[position])
    if finite[position] and not np.isfinite(value) and plan.needs.on == "tau":
        return not_finite_base(where(plan, block, position), value)
    if plan.recipe.distribution and not finite[position]:
        return Overflow(f"{where(plan, block, position)}: {_outside(plan)} gives a number here that is not finite")
    what = "the result" if finite[position] else "the merged task vector"
    return Overflow(
        f"{where(plan, block, position)}: {what} is beyond the range of its dtype; "
        "use smaller coefficients or a smaller lambda"
    )


def _each_merged(base: Array, theta_m: Array) -> Array:
    """The merged model of each element, NaN where there is none."""
    found = [merged_models(base[i : i + 1], theta_m[i : i + 1]) for i in range(theta_m.size)]
    return np.array([np.nan if one is None else float(one[0]) for one in found])


def _beyond_dtype(plan: Plan, block: Block, merged: Array) -> Overflow | None:
    """The first number that the dtype of the result cannot hold."""
    out = plan.results[block.name].dtype
    position = first_true(overflowed(merged, rounded(merged, out)))
    return None if position is None else beyond_dtype(where(plan, block, position), float(merged[position]), out)


def beyond_dtype(where: str, value: float, out: str) -> Overflow:
    """The error of a result that another dtype than the base's cannot hold. where: its tensor and index [RC-15]."""
    return Overflow(
        f"{where}: the result is {value:.6g}, beyond the range of {out}; choose another {OUT_DTYPE}, such as BF16"
    )


def not_finite_base(where: str, value: float) -> NonFinite:
    """The error of an element of the base to which something is added. where: its tensor and index [MG-5]."""
    return NonFinite(f"the base's {where} is {value}; repair the base, or leave the tensor out")


def overflow_of_v(plan: Plan, block: Block, position: int, index: int) -> Overflow:
    """The error of a v that is not finite [TI-6]."""
    at = f"{plan.contributions[index].label}: {where(plan, block, position)}"
    if plan.recipe.distribution:
        return Overflow(f"{at}: {_outside(plan)} lifts this to a number that is not finite")
    if abs(plan.coefficient(index, block.name)) <= 1:  # then c tau is finite, and the method makes more of it
        return Overflow(
            f"{at}: {plan.recipe.name} makes a number of it that is beyond the largest fp32 number; merge by another "
            "method, such as mean, or leave the tensor out"
        )
    return Overflow(f"{at}: coefficient times task vector is beyond the largest fp32 number; use a smaller coefficient")


def _outside(plan: Plan) -> str:
    """A method from outside, whose equations may be at fault."""
    return f"method {plan.recipe.name} of {plan.recipe.distribution} {plan.recipe.version}"


def where(plan: Plan, block: Block, position: int) -> str:
    """The tensor and index of an element of a block, for messages [TV-9]."""
    shape = tuple(plan.base.records[block.name].shape)
    return f"tensor {block.name!r} at index {index_in(shape, block.start + position)}"


def _first(arrays: dict[int, Array], order: Sequence[int]) -> tuple[int, int] | None:
    """(position, index) of the first element that is not finite: by position, then by order."""
    found: list[tuple[int, int, int]] = []
    for index in order:
        position = first_true(~np.isfinite(arrays[index])) if index in arrays else None
        if position is not None:
            found.append((position, len(found), index))
    return (min(found)[0], min(found)[2]) if found else None


def _not_finite(plan: Plan, contribution: Contribution, block: Block, position: int) -> NonFinite:
    at = block.start + position
    value = float(contribution.source.read(block.name, at, at + 1)[0])
    index = f"{contribution.label}: {where(plan, block, position)}"
    if contribution.form_of(block.name) == "task_vector":
        return NonFinite(f"{index} is {value}; a task vector must be finite: repair it, or leave the tensor out")
    base = float(plan.base.read(block.name, at, at + 1)[0])
    return NonFinite(
        f"{index} is {value}, the base's {base}: the difference is not a finite fp32 number; "
        "repair the checkpoint, or leave the tensor out"
    )


def _bad_auxiliary(plan: Plan, what: Auxiliary, block: Block, position: int) -> NonFinite:
    contribution = plan.contributions[what.index]
    at = block.start + position
    value = float(contribution.auxiliary[what.kind].read(block.name, at, at + 1)[0])
    return NonFinite(
        f"{contribution.label}: {what.kind} of {where(plan, block, position)} is {value}, expected a finite number "
        "from 0 on; compute it again, and contribute the model with it"
    )

"""Running a plan whose method sees whole tensors: what belongs together is read whole and merged [RC-9].

Where a round takes tensor by tensor, one tensor of each input is in memory at a time; where not, all are.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mergealgebra.algebra.arrays import first_true
from mergealgebra.algebra.method import WholeModel, WholeRound
from mergealgebra.dialects.arithmetic import rounded_to
from mergealgebra.engine.buffers import BASE, RESULT, Hashers, Input
from mergealgebra.engine.faults import beyond_dtype, not_finite_base
from mergealgebra.engine.merged_spans import MergedSpan
from mergealgebra.engine.plan import Plan
from mergealgebra.engine.result_dtype import overflowed, rounded
from mergealgebra.engine.sources import Contribution, Source
from mergealgebra.errors import BackendError, NonFinite, Overflow
from mergealgebra.kernels.reference import Host
from mergealgebra.tensors.block_vectors import index_in
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.text import by_caller

#: What is needed beside tensors.
_SPARE_BYTES: Final = 1 << 24
_MIB: Final = 1 << 20


@dataclass(frozen=True)
class _Whole:
    """One tensor of every input that has it, by index, and merged. kept: how many elements trim kept, by index."""

    inputs: Mapping[Input, Host]
    merged: Host
    kept: Mapping[int, int]


def run_whole(plan: Plan, round_: WholeRound) -> Generator[MergedSpan, None, None]:
    """The merged model span by span, in canonical order. Contributions are merged in the order that the plan has.

    Raises NonFinite or Overflow for a number of the result that is not finite, and what the round raises.
    """
    held, merged = plan.held_names(), dict[str, _Whole]()
    for name in plan.base.records:
        if name not in held:
            base = np.asarray(plan.base.read(name))
            yield from _spans(plan, name, _Whole({BASE: base}, _copied(plan, name, base), {}))
            continue
        if name not in merged:
            merged |= _merged(plan, round_, [name] if round_.unit == "tensor" else held)
        yield from _spans(plan, name, merged.pop(name))


def _merged(plan: Plan, round_: WholeRound, names: Sequence[str]) -> dict[str, _Whole]:
    """The tensors that are merged together. Raises NonFinite or Overflow."""
    base = {name: _read(plan.base, name) for name in names}
    models = []
    for contribution in plan.contributions:
        tensors = {name: _read(contribution.source, name) for name in names if name in contribution.names}
        text = _decimal(contribution.coefficient)
        models.append(WholeModel(contribution.label, tensors, text, contribution.form, contribution.id or ""))
    results, kept = round_.merge(base, models)
    whole = {}
    for name in names:
        holders = {i: model.tensors[name] for i, model in enumerate(models) if name in model.tensors}
        out = DTYPES[plan.results[name].dtype].numpy
        merged = _stored(name, results[name], base[name], models, out)
        inputs: dict[Input, Host] = {BASE: base[name]}
        for index, tensor in holders.items():
            inputs[index] = tensor
        whole[name] = _Whole(inputs, merged, {i: kept[i].get(name, 0) for i in holders})
    return whole


def _copied(plan: Plan, name: str, base: Host) -> Host:
    """A tensor that is the base's, in the dtype of the result. Raises Overflow."""
    found = rounded(base, plan.results[name].dtype)
    position = None if found is base else first_true(overflowed(base, found).reshape(-1))
    if position is not None:
        where = f"tensor {name!r} at index {index_in(plan.results[name].shape, position)}"
        raise beyond_dtype(where, float(base.reshape(-1)[position]), plan.results[name].dtype)
    return found


def _stored(name: str, result: Host, base: Host, models: Sequence[WholeModel], out: np.dtype[Any]) -> Host:
    """A merged tensor in the dtype of the result. Raises NonFinite, naming the model that is at fault, or Overflow."""
    with np.errstate(over="ignore"):
        merged = rounded_to(out, result)
    position = first_true(~np.isfinite(merged.reshape(-1)))
    if position is None:
        return merged
    where = f"tensor {name!r} at index {index_in(base.shape, position)}"
    for model in models:
        if name in model.tensors and not np.isfinite(value := model.tensors[name].flat[position]):
            raise NonFinite(f"{model.label}: {where} is {value}; repair the checkpoint, or leave the tensor out")
    if not np.isfinite(value := base.flat[position]):
        raise not_finite_base(where, float(value))
    of = "the base's dtype" if out == base.dtype else out.name
    raise Overflow(
        f"{where}: the result is {merged.flat[position]} in {of}; use smaller coefficients or a smaller lambda"
    )


def _spans(plan: Plan, name: str, whole: _Whole) -> Generator[MergedSpan, None, None]:
    flat: dict[Input, Host] = {what: array.reshape(-1) for what, array in whole.inputs.items()}
    flat[RESULT] = whole.merged.reshape(-1)
    kept, nothing = dict(whole.kept), dict.fromkeys(whole.kept, 0)
    for span in plan.spans(name):
        hashers = Hashers(list(flat) if plan.hashed else [])
        for what, array in flat.items():
            hashers.take(what, array[span.start : span.stop])
        yield MergedSpan(span, flat[RESULT][span.start : span.stop], kept, {}, 0, hashers.digests())
        kept = nothing  # what trim kept of a tensor is told once, with its first piece


def _read(source: Source, name: str) -> Host:
    """A whole tensor in its shape."""
    return np.asarray(source.read(name)).reshape(source.records[name].shape)


def _decimal(coefficient: float) -> str:
    """The shortest decimal whose fp32 number this is."""
    return np.format_float_positional(np.float32(coefficient), trim="-")


# Memory


def refuse_little_memory(
    base: Source, contributions: Sequence[Contribution], round_: WholeRound, memory: int | None
) -> None:
    """Raise BackendError, with what would do, when a merge takes more memory than it may; None is no limit."""
    needed = needed_bytes(base, contributions, round_)
    if memory is None or needed <= memory:
        return
    what = "a tensor of all inputs" if round_.unit == "tensor" else "all tensors of all inputs"
    least = f"{-(-needed // _MIB)}M"
    raise BackendError(
        f"memory: {memory:,} bytes are too few, {round_.name} has {what} in memory at once, about "
        f"{needed:,} bytes; give {by_caller(f'--memory {least}', f'memory={least!r}')} or more, or another method"
    )


def needed_bytes(base: Source, contributions: Sequence[Contribution], round_: WholeRound) -> int:
    """An upper bound of the bytes that are in use at once, known from headers alone."""
    names = sorted(set().union(*(contribution.names for contribution in contributions)))
    groups = [[name] for name in names] if round_.unit == "tensor" else [names]
    return _SPARE_BYTES + max((_group_bytes(base, contributions, round_, names) for names in groups), default=0)


def _group_bytes(base: Source, contributions: Sequence[Contribution], round_: WholeRound, names: Sequence[str]) -> int:
    inputs = sum(_nbytes(c.source, name) for c in contributions for name in names if name in c.names)
    copies = 2 * sum(_nbytes(base, name) for name in names)
    elements = sum(base.records[name].size for name in names)
    return round_.nbytes([base.records[name].dtype for name in names], elements, inputs + copies, len(contributions))


def _nbytes(source: Source, name: str) -> int:
    record = source.records[name]
    return record.size * DTYPES[record.dtype].itemsize

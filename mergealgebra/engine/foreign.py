"""Running a plan whose recipe is in another dialect of TIES: what is trimmed together is read whole and merged [RC-9].

Where a dialect trims tensor by tensor, one tensor of each input is in memory at a time; where not, all are.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mergealgebra.algebra.arrays import first_true
from mergealgebra.dialects.arithmetic import rounded_to
from mergealgebra.dialects.inputs import Model
from mergealgebra.dialects.merge import merge_models
from mergealgebra.dialects.points import Dialect
from mergealgebra.engine.buffers import BASE, Hashers
from mergealgebra.engine.faults import not_finite_base
from mergealgebra.engine.merged_spans import RESULT, MergedSpan
from mergealgebra.engine.plan import Plan, Source
from mergealgebra.errors import NonFinite, Overflow
from mergealgebra.kernels.equations import Host
from mergealgebra.tensors.task_vector import index_in


@dataclass(frozen=True)
class _Whole:
    """One tensor of every input that has it, by index, and merged. kept: how many elements trim kept, by index."""

    inputs: Mapping[int, Host]
    merged: Host
    kept: Mapping[int, int]


def run_in_dialect(plan: Plan, dialect: Dialect) -> Generator[MergedSpan, None, None]:
    """The merged model in pieces, in canonical order. Contributions are merged in the order in which the plan has them.

    Raises NonFinite or Overflow for a number of the result that is not finite, and what `merge_models` raises.
    """
    held, merged = plan.held_names(), dict[str, _Whole]()
    for name in plan.base.records:
        if name not in held:
            base = np.asarray(plan.base.read(name))
            yield from _pieces(plan, name, _Whole({BASE: base}, base, {}))
            continue
        if name not in merged:
            merged |= _merged(plan, dialect, [name] if dialect["scope"] == "tensor" else held)
        yield from _pieces(plan, name, merged.pop(name))


def _merged(plan: Plan, dialect: Dialect, names: Sequence[str]) -> dict[str, _Whole]:
    """The tensors that are merged together. Raises NonFinite or Overflow."""
    parameters = plan.recipe.to_map()
    base = {name: _read(plan.base, name) for name in names}
    models = []
    for contribution in plan.contributions:
        tensors = {name: _read(contribution.source, name) for name in names if name in contribution.names}
        models.append(Model(contribution.label, tensors, _decimal(contribution.coefficient), contribution.form))
    results, kept = merge_models(dialect, base, models, parameters["density"], parameters["lambda"])
    whole = {}
    for name in names:
        holders = {i: model.tensors[name] for i, model in enumerate(models) if name in model.tensors}
        merged = _stored(name, results[name], base[name], models)
        whole[name] = _Whole({BASE: base[name], **holders}, merged, {i: kept[i].get(name, 0) for i in holders})
    return whole


def _stored(name: str, result: Host, base: Host, models: Sequence[Model]) -> Host:
    """A merged tensor in the base's dtype. Raises NonFinite, naming the model that is at fault, or Overflow."""
    with np.errstate(over="ignore"):
        merged = rounded_to(base.dtype, result)
    position = first_true(~np.isfinite(merged.reshape(-1)))
    if position is None:
        return merged
    where = f"tensor {name!r} at index {index_in(base.shape, position)}"
    for model in models:
        if name in model.tensors and not np.isfinite(value := model.tensors[name].flat[position]):
            raise NonFinite(f"{model.label}: {where} is {value}; repair the checkpoint, or leave the tensor out")
    if not np.isfinite(value := base.flat[position]):
        raise not_finite_base(where, float(value))
    raise Overflow(
        f"{where}: the result is {merged.flat[position]} in the base's dtype; "
        "use smaller coefficients or a smaller lambda"
    )


def _pieces(plan: Plan, name: str, whole: _Whole) -> Generator[MergedSpan, None, None]:
    flat = {index: array.reshape(-1) for index, array in {**whole.inputs, RESULT: whole.merged}.items()}
    kept, above = dict(whole.kept), dict.fromkeys(whole.kept, 0)
    for span in plan.spans(name):
        hashers = Hashers(list(flat) if plan.hashed else [])
        for index, array in flat.items():
            hashers.take(index, array[span.start : span.stop])
        yield MergedSpan(span, flat[RESULT][span.start : span.stop], kept, above, 0, hashers.digests())
        kept = above  # what trim kept of a tensor is told once, with its first piece


def _read(source: Source, name: str) -> Host:
    """A whole tensor in its shape."""
    return np.asarray(source.read(name)).reshape(source.records[name].shape)


def _decimal(coefficient: float) -> str:
    """The shortest decimal whose fp32 number this is."""
    return np.format_float_positional(np.float32(coefficient), trim="-")

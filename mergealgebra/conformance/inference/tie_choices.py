"""Whether an answer is one of those that a dialect allows where elements tie and its sort chooses [DI-18]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from operator import add
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from mergealgebra.dialects.arithmetic import numbers_of
from mergealgebra.dialects.merge import merge_in_dialect
from mergealgebra.dialects.points import Dialect
from mergealgebra.dialects.trim import kept
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.targets.differences import where_same
from mergealgebra.targets.questions import Question, Tensors

Array = np.ndarray[Any, Any]

#: How many ways to count what was kept are followed.
MOST: Final = 500


def is_a_choice(dialect: Dialect, question: Question, tensors: Tensors) -> bool:
    """Whether some choice among the tied elements gives these tensors.

    tensors: of the base's names and shapes. What is merged at a coordinate depends on who kept it and on nothing else,
    unless majorities count: so it is merged for all who may have. What is left is to choose at each coordinate who did,
    so that each model keeps its number; where that can be counted in more than `MOST` ways, it is taken to be so.
    """
    if not _is_local(dialect) or any(model.keys() != question.base.keys() for model in question.models):
        return False
    return all(_is_chosen(dialect, question, tensors, names) for names in _groups(dialect, question))


def _groups(dialect: Dialect, question: Question) -> list[list[str]]:
    names = sorted(question.base, key=str.encode)
    return [[name] for name in names] if dialect["scope"] == "tensor" else [names]


def _is_local(dialect: Dialect) -> bool:
    return not str(dialect["zero_sum"]).startswith("majority")


def can_be_told(dialect: Dialect, question: Question) -> bool:
    """Whether `is_a_choice` can tell: all is finite, and few that tie are kept. True where nothing is merged."""
    tensors = [array for model in (question.base, *question.models) for array in model.values()]
    if not _is_local(dialect) or not all(np.isfinite(array).all() for array in tensors):
        return False
    try:
        return all(_can_be_counted(_trims(dialect, question, names)) for names in _groups(dialect, question))
    except MergeAlgebraError:
        return True


def _can_be_counted(trims: Sequence[_Trim]) -> bool:
    return prod(trim.missing + 1 for trim in trims) <= MOST


def _trims(dialect: Dialect, question: Question, names: Sequence[str]) -> list[_Trim]:
    base = _only(question.base, names)
    return [_trim(dialect, base, _only(model, names), question.density) for model in question.models]


def _is_chosen(dialect: Dialect, question: Question, tensors: Tensors, names: Sequence[str]) -> bool:
    base, models = _only(question.base, names), tuple(_only(model, names) for model in question.models)
    trims = _trims(dialect, question, names)
    tied = np.array([trim.tied for trim in trims])
    fits = []
    for who in product(*((False, True) if trim.missing else (False,) for trim in trims)):
        keeps = [trim.above | (trim.tied & keep) for trim, keep in zip(trims, who, strict=True)]
        held = tuple(_held(base, model, keep) for model, keep in zip(models, keeps, strict=True))
        fits.append((who, _fit(dialect, replace(question, base=base, models=held), tensors)))
    if not np.any([fit for _, fit in fits], axis=0).all():
        return False
    if not _can_be_counted(trims):
        return True
    reached = {(0,) * len(models)}
    for j in range(tied.shape[1]):
        steps = {tuple(map(int, tied[:, j] & who)) for who, fit in fits if fit[j]}
        sums = {tuple(map(add, *pair)) for pair in product(reached, steps)}
        reached = {count for count in sums if all(c <= trim.missing for c, trim in zip(count, trims, strict=True))}
    return tuple(trim.missing for trim in trims) in reached


@dataclass(frozen=True)
class _Trim:
    """The trim of one group. above, tied: (d,) bool; missing: how many of those that tie are kept."""

    above: Array
    tied: Array
    missing: int


def _trim(dialect: Dialect, base: Tensors, model: Tensors, density: str) -> _Trim:
    """The trim of one model. Of zeros that tie it does not matter which are kept."""
    numbers = numbers_of(dialect, [array.dtype for array in base.values()])
    with np.errstate(all="ignore"):
        taus = [numbers.difference(model[name].reshape(-1), array.reshape(-1)) for name, array in base.items()]
        tau = np.concatenate(taus)
        magnitudes = np.abs(tau).astype(np.float32 if dialect["key"] == "fp32" else np.float64)
        keep = kept(dialect, tau, density)
    tied = magnitudes == magnitudes[keep].min(initial=np.inf)
    missing = int(np.count_nonzero(keep & tied))
    if missing == np.count_nonzero(tied) or not np.any(tau[tied] != 0):
        return _Trim(keep, np.zeros_like(tied), 0)
    return _Trim(keep & ~tied, tied, missing)


def _held(base: Tensors, model: Tensors, keep: Array) -> Tensors:
    """The model where it is kept, else the base."""
    sizes = np.cumsum([array.size for array in base.values()])[:-1]
    masks = zip(base.items(), np.split(keep, sizes), strict=True)
    return {name: np.where(mask.reshape(array.shape), model[name], array) for (name, array), mask in masks}


def _fit(dialect: Dialect, question: Question, tensors: Tensors) -> Array:
    """Where a merge that trims nothing gives these tensors. Returns (d,) bool."""
    untrimmed = {**dialect.options, "density": "decimal", "kept": "ceil", "boundary": "keep_all"}
    merged = merge_in_dialect(
        replace(dialect, options=MappingProxyType(untrimmed)),
        question.base,
        question.models,
        lambda_=question.lambda_,
        coefficients=question.coefficients,
    )
    return np.concatenate([where_same(tensors[name], array).reshape(-1) for name, array in merged.items()])


def _only(tensors: Tensors, names: Sequence[str]) -> Tensors:
    return {name: tensors[name] for name in names}

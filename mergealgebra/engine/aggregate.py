"""Partial aggregates: a merge as a commutative monoid with removal [EX-4, EX-5, EX-6].

    lift each contribution, combine in any tree, finalize once; retract undoes combine.

Aggregates are not idempotent, so they carry the ids of their contributions and refuse to count one twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mergealgebra.algebra import decimals
from mergealgebra.algebra.arrays import Array
from mergealgebra.algebra.exact import Coefficients, Sums
from mergealgebra.encoding import encode
from mergealgebra.engine.backends import backend
from mergealgebra.engine.executors import Workers
from mergealgebra.engine.memory import as_contribution
from mergealgebra.engine.plan import Block, make_plan
from mergealgebra.engine.run import quiet, scale_block
from mergealgebra.engine.task_vectors import read_block
from mergealgebra.engine.thresholds import find_thresholds
from mergealgebra.errors import AggregateError, Overflow, ShapeError
from mergealgebra.recipe import Recipe
from mergealgebra.tensors.task_vector import TaskVector, index_in


@dataclass(frozen=True, eq=False)
class Aggregate:
    """What a set of contributions adds up to, exactly.

    recipe: how they are reduced. coefficients: by contribution id. shapes, sums: by tensor name.
    checksum: over all of that; it is checked before every use.
    """

    recipe: Recipe
    coefficients: Mapping[str, float]
    shapes: Mapping[str, tuple[int, ...]]
    sums: Mapping[str, Sums]
    checksum: str

    @classmethod
    def lift(cls, recipe: Recipe, id_: str, task_vector: Mapping[str, Array], coefficient: str = "1") -> Aggregate:
        """One contribution as an aggregate. id_: any name that tells it from others, such as a contribution id.

        task_vector: name -> float array, NumPy or torch. Raises NonFinite, DecimalError, CoefficientError.
        """
        contribution = as_contribution(id_, task_vector, coefficient)
        source = contribution.source
        plan = make_plan(source, [contribution], recipe, backend("numpy"), threads=1)
        sums = {}
        with Workers(1, plan.backend.check_worker) as workers:
            trimming = find_thresholds(plan, workers, quiet)
            for name, record in source.records.items():
                block = Block(name, 0, record.size)
                _, taus = read_block(plan, block)
                scaled, _ = scale_block(plan, trimming, block, taus)
                sums[name] = recipe.reducer.lift(scaled[0][1], contribution.coefficient)
        shapes = {name: tuple(record.shape) for name, record in source.records.items()}
        return _made(recipe, {id_: contribution.coefficient}, shapes, sums)

    @property
    def ids(self) -> frozenset[str]:
        """The contributions in it."""
        return frozenset(self.coefficients)

    def combine(self, other: Aggregate) -> Aggregate:
        """Both in one: commutative and associative [EX-4].

        Raises AggregateError when they share an id, have other recipes or shapes, or one is damaged.
        """
        self._check_with(other)
        if shared := self.ids & other.ids:
            raise AggregateError(f"both aggregates count contribution {min(shared)}; each counts once")
        coefficients = {**self.coefficients, **other.coefficients}
        ours, theirs = self._prepared(coefficients), other._prepared(coefficients)
        both = {name: ours[name].combine(theirs[name]) for name in ours.keys() & theirs.keys()}
        return _made(self.recipe, coefficients, {**self.shapes, **other.shapes}, {**ours, **theirs, **both})

    def retract(self, other: Aggregate) -> Aggregate:
        """Without the contributions of `other`, as if they had never been here [EX-5].

        Raises AggregateError when one of them is not here, and as `combine` does.
        """
        self._check_with(other)
        if unknown := other.ids - self.ids:
            raise AggregateError(f"contribution {min(unknown)} is not in the aggregate, so it cannot be retracted")
        coefficients = {id_: c for id_, c in self.coefficients.items() if id_ not in other.coefficients}
        without = {name: self.sums[name].retract(sums) for name, sums in other.sums.items()}
        return _made(self.recipe, coefficients, self.shapes, {**self.sums, **without})

    def finalize(self) -> TaskVector:
        """The merged task vector tau_m, NumPy. Raises AggregateError when damaged or empty, Overflow."""
        self.check()
        if not self.coefficients:
            raise AggregateError("the aggregate holds no contribution; combine it with one first")
        coefficients = Coefficients(tuple(self.coefficients.values()))
        return TaskVector({name: self._finalized(name, coefficients) for name in self.sums})

    def check(self) -> None:
        """Raise AggregateError unless the checksum is that of the content [EX-6]."""
        if self.checksum != _checksum(self.recipe, self.coefficients, self.shapes, self.sums):
            raise AggregateError("the aggregate is damaged: its checksum does not fit; build it again")

    def _finalized(self, name: str, coefficients: Coefficients) -> Array:
        with np.errstate(all="ignore"):
            tau_m = self.recipe.reducer.finalize(self.sums[name], coefficients)
        bad = np.flatnonzero(~np.isfinite(tau_m))
        if bad.size:
            index = index_in(self.shapes[name], int(bad[0]))
            raise Overflow(f"tensor {name!r} at index {index}: the merged task vector is beyond fp32")
        return tau_m.reshape(self.shapes[name])

    def _prepared(self, coefficients: Mapping[str, float]) -> dict[str, Sums]:
        """The sums, without certificate if sums of these coefficients have none [EX-3]."""
        if Coefficients(tuple(coefficients.values())).certified:
            return dict(self.sums)
        return {name: sums.as_integers() for name, sums in self.sums.items()}

    def _check_with(self, other: Aggregate) -> None:
        self.check()
        other.check()
        if self.recipe != other.recipe:
            raise AggregateError(f"the aggregates have other recipes: {self.recipe.to_map()}, {other.recipe.to_map()}")
        for name in self.shapes.keys() & other.shapes.keys():
            if self.shapes[name] != other.shapes[name]:
                raise ShapeError(f"tensor {name!r} has shapes {self.shapes[name]} and {other.shapes[name]}")


def _made(
    recipe: Recipe, coefficients: Mapping[str, float], shapes: Mapping[str, tuple[int, ...]], sums: Mapping[str, Sums]
) -> Aggregate:
    coefficients = dict(sorted(coefficients.items()))
    return Aggregate(recipe, coefficients, shapes, sums, _checksum(recipe, coefficients, shapes, sums))


def _checksum(
    recipe: Recipe, coefficients: Mapping[str, float], shapes: Mapping[str, tuple[int, ...]], sums: Mapping[str, Sums]
) -> str:
    held = {id_: decimals.to_hex(c) for id_, c in coefficients.items()}
    sizes = {name: list(shape) for name, shape in shapes.items()}
    checksum = hashlib.sha256(encode([recipe.to_map(), held, sizes]))
    for name in sorted(sums):
        checksum.update(encode([name]))
        for part in _parts(sums[name]):
            checksum.update(part)
    return checksum.hexdigest()


def _parts(sums: Sums) -> Iterator[bytes]:
    for column in (*sums.columns, sums.grid, sums.uncertified):
        yield column.tobytes()
    yield repr(sums.integers.tolist()).encode()

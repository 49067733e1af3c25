"""Partial aggregates: a merge as a commutative monoid with removal [EX-4, EX-5, EX-6].

    lift each contribution, combine in any tree, finalize once; retract undoes combine.

Aggregates are not idempotent, so they carry the ids of their contributions and refuse to count one twice.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from mergealgebra.algebra import decimals
from mergealgebra.algebra.arrays import Array, refuse_flushed_subnormals
from mergealgebra.algebra.contract import finalized, lifted
from mergealgebra.algebra.exact import Coefficients, Sums, prepared
from mergealgebra.algebra.method import Round
from mergealgebra.encoding import encode
from mergealgebra.engine.answers import Answers
from mergealgebra.engine.buffers import Buffers, parts_of
from mergealgebra.engine.executors import Workers
from mergealgebra.engine.faults import Faulty, diagnose
from mergealgebra.engine.memory import as_contribution, completed, without_buffers
from mergealgebra.engine.plan import Plan, make_plan
from mergealgebra.engine.sources import Block
from mergealgebra.engine.statistics import find_answers
from mergealgebra.errors import AggregateError, MergeAlgebraWarning, Overflow, RecipeError, ShapeError
from mergealgebra.kernels.blocks import block_rounds, whole_round
from mergealgebra.kernels.numpy_reference import on_numpy
from mergealgebra.kernels.views import finite_terms, through, usable, view_of
from mergealgebra.methods.method import OUT_DTYPE, Method
from mergealgebra.progress import quiet
from mergealgebra.recipe import check_recipe
from mergealgebra.tensors.block_vectors import index_in
from mergealgebra.tensors.task_vector import TaskVector
from mergealgebra.text import shown


@dataclass(frozen=True)
class Lifted:
    """What an aggregate remembers of one contribution: coefficient, tensors, and the checksum of its own aggregate."""

    coefficient: float
    checksum: str
    tensors: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False, repr=False)
class Aggregate:
    """What a set of contributions adds up to, exactly.

    recipe: how they are reduced. contributions: by id. shapes, sums: by tensor name.
    checksum: over all of that; it is checked before every use.
    """

    recipe: Method
    contributions: Mapping[str, Lifted]
    shapes: Mapping[str, tuple[int, ...]]
    sums: Mapping[str, Sums]
    checksum: str

    def __repr__(self) -> str:
        return f"Aggregate({self.recipe!r}, contributions={len(self.contributions)}, tensors={len(self.sums)})"

    @classmethod
    def lift(
        cls,
        recipe: Method,
        id_: str,
        task_vector: Mapping[str, Array],
        coefficient: str = "1",
        auxiliary: Mapping[str, Mapping[str, Array]] | None = None,
    ) -> Aggregate:
        """One contribution as an aggregate. id_: any name that tells it from others, such as a contribution id.

        task_vector: name -> float array, NumPy or torch; buffers that are not float are left out, and a Python warning
        says so [CT-10]. auxiliary: arrays by kind and name, for a method that needs them. Raises NamesError where
        nothing is left, NonFinite, DecimalError, CoefficientError, RecipeError for a method without one round of exact
        sums, AggregateError for an id that is not text.

        >>> from mergealgebra import Mean
        >>> one, other = ({"w": np.float32([1, x])} for x in (2, -4))
        >>> both = Aggregate.lift(Mean(), "one", one).combine(Aggregate.lift(Mean(), "other", other))
        >>> both.finalize()["w"].tolist()
        [1.0, -1.0]
        """
        _check(recipe, id_)
        given = as_contribution(id_, task_vector, coefficient)
        fitting, remarks = without_buffers(given, given.source)
        (contribution,) = completed([fitting], recipe, None if auxiliary is None else [auxiliary])
        for remark in remarks:
            warnings.warn(remark, MergeAlgebraWarning, stacklevel=2)
        records = {name: record for name, record in given.source.records.items() if name in contribution.names}
        plan = make_plan(contribution.source, [contribution], recipe, on_numpy(), threads=1)
        try:
            with Workers(plan, Buffers, 1) as workers, np.errstate(all="ignore"):
                answers = find_answers(plan, workers, quiet, "", {})
                whole_tensors = [Block(name, 0, record.size) for name, record in records.items()]
                sums = {block.name: _lift_tensor(plan, answers, Buffers(plan), block) for block in whole_tensors}
        except Faulty as fault:
            raise diagnose(plan, fault, [0], quiet) from None
        shapes = {name: tuple(record.shape) for name, record in records.items()}
        number = contribution.coefficient
        unsealed = Lifted(number, "", frozenset(shapes))
        sealed = replace(unsealed, checksum=_checksum(recipe, {id_: unsealed}, shapes, sums))
        return _made(recipe, {id_: sealed}, shapes, sums)

    @property
    def ids(self) -> frozenset[str]:
        """The contributions in it."""
        return frozenset(self.contributions)

    def combine(self, other: Aggregate) -> Aggregate:
        """Both in one: commutative and associative [EX-4].

        Raises AggregateError when they share an id, have other recipes or shapes, or one is damaged.
        """
        self._check_with(other)
        if shared := self.ids & other.ids:
            raise AggregateError(f"both aggregates count contribution {min(shared)}; each counts once")
        contributions = {**self.contributions, **other.contributions}
        coefficients = _coefficients(contributions)
        ours = {name: prepared(sums, coefficients) for name, sums in self.sums.items()}
        theirs = {name: prepared(sums, coefficients) for name, sums in other.sums.items()}
        both = {name: ours[name].combine(theirs[name]) for name in ours.keys() & theirs.keys()}
        return _made(self.recipe, contributions, {**self.shapes, **other.shapes}, {**ours, **theirs, **both})

    def retract(self, other: Aggregate) -> Aggregate:
        """Without the contributions of `other`, as if they had never been here [EX-5].

        Raises AggregateError when one of them is not here, or was another one under that id, and as `combine` does.
        """
        self._check_with(other)
        if _round(self.recipe).columns.maxima:
            raise AggregateError(f"{self.recipe.name} takes maxima, and no contribution can be taken out of those")
        for id_, part in other.contributions.items():
            if self.contributions.get(id_) != part:
                raise AggregateError(
                    f"contribution {id_} is not in the aggregate as it is here; it cannot be retracted"
                )
        contributions = {id_: part for id_, part in self.contributions.items() if id_ not in other.contributions}
        without = {name: self.sums[name].retract(sums) for name, sums in other.sums.items()}
        return _made(self.recipe, contributions, self.shapes, {**self.sums, **without})

    def finalize(self) -> TaskVector:
        """The merged task vector tau_m, NumPy; its `apply` takes the recipe's lambda [EX-4].

        Raises AggregateError when damaged or empty, Overflow.
        """
        self.check()
        refuse_flushed_subnormals(np)
        if not self.contributions:
            raise AggregateError("the aggregate holds no contribution; combine it with one first")
        tensors = {name: self._finalized(name, _coefficients(self.contributions, name)) for name in self.sums}
        return TaskVector(tensors, lambda_=self.recipe.lambda_text)

    def check(self) -> None:
        """Raise AggregateError unless the checksum is that of the content [EX-6]."""
        if self.checksum != _checksum(self.recipe, self.contributions, self.shapes, self.sums):
            raise AggregateError("the aggregate is damaged: its checksum does not fit; build it again")

    def _finalized(self, name: str, coefficients: Coefficients) -> Array:
        if not coefficients.held:  # a mean of nothing is 0 / 0 [EX-5]
            return np.zeros(self.shapes[name], np.float32)
        with np.errstate(all="ignore"):
            tau_m = finalized(_round(self.recipe), self.sums[name], coefficients)
        bad = np.flatnonzero(~np.isfinite(tau_m))
        if bad.size:
            index = index_in(self.shapes[name], int(bad[0]))
            raise Overflow(f"tensor {name!r} at index {index}: the merged task vector is beyond fp32")
        return tau_m.reshape(self.shapes[name])

    def _check_with(self, other: Aggregate) -> None:
        if not isinstance(other, Aggregate):
            raise AggregateError(
                f"{shown(other)} is a {type(other).__name__}, not an Aggregate: the sums do not remember what a "
                "contribution added; lift its task vector again, and pass that"
            )
        self.check()
        other.check()
        if self.recipe != other.recipe:
            raise AggregateError(f"the aggregates have other recipes: {self.recipe.to_map()}, {other.recipe.to_map()}")
        for name in self.shapes.keys() & other.shapes.keys():
            if self.shapes[name] != other.shapes[name]:
                raise ShapeError(f"tensor {name!r} has shapes {self.shapes[name]} and {other.shapes[name]}")


def _lift_tensor(plan: Plan, answers: Answers, buffers: Buffers, block: Block) -> Sums:
    ((_, part),) = parts_of(plan, buffers, block, answers)
    round_, view = _round(plan.recipe), view_of(part, part.values, part.values)
    if not usable(view):
        raise Faulty(block, answers)
    terms = lifted(round_, through(view, round_.stages, part.found))
    if not finite_terms(terms):
        raise Faulty(block, answers)
    return Sums.of(terms, round_.columns.votes)


def _check(recipe: Method, id_: object) -> None:
    """Raise RecipeError for a method without an aggregate, AggregateError for an id that is not text."""
    check_recipe(recipe)
    if not isinstance(id_, str):
        raise AggregateError(f"the id is a {type(id_).__name__}, not text; the order is lift(recipe, id, task_vector)")
    if recipe.settings:  # an aggregate has no base [ST-6]
        raise AggregateError(
            f"{recipe.name}: settings are about the names of a base, which an aggregate does not know; leave "
            "`settings` out, or use merge"
        )
    if recipe.out_dtype:
        raise AggregateError(
            f"{recipe.name}: {OUT_DTYPE} is of a merged model, and an aggregate gives a task vector; leave it out"
        )
    if whole := whole_round(recipe):
        raise RecipeError(f"{whole.name} has no exact sums, so no aggregate; use merge")
    if reason := _why_no_aggregate(recipe):
        raise RecipeError(f"{recipe.name} {reason}, so it has no aggregate; use merge")


def _why_no_aggregate(recipe: Method) -> str:
    """Why contributions cannot be lifted one by one, as the end of a sentence; empty if they can [EX-4]."""
    if len(recipe.rounds) > 1:
        return f"has {len(recipe.rounds)} rounds, and each needs all contributions"
    if recipe.needs.arity is not None:
        return f"takes exactly {recipe.needs.arity} at a time"
    if recipe.needs.on == "theta":
        return "merges models, which are more than what was changed of the base"
    if recipe.needs.base:
        return "looks at the base, which an aggregate has not"
    if _round(recipe).weigh is not None:
        return "has coefficients that follow from all contributions"
    return ""


def _round(recipe: Method) -> Round:
    (round_,) = block_rounds(recipe)
    return round_


def _coefficients(contributions: Mapping[str, Lifted], name: str | None = None) -> Coefficients:
    """The coefficients of all; and of those that hold a tensor."""
    held = tuple(one.coefficient for one in contributions.values() if name in one.tensors)
    return Coefficients(tuple(one.coefficient for one in contributions.values()), held)


def _made(
    recipe: Method,
    contributions: Mapping[str, Lifted],
    shapes: Mapping[str, tuple[int, ...]],
    sums: Mapping[str, Sums],
) -> Aggregate:
    contributions = dict(sorted(contributions.items()))
    return Aggregate(recipe, contributions, shapes, sums, _checksum(recipe, contributions, shapes, sums))


def _checksum(
    recipe: Method,
    contributions: Mapping[str, Lifted],
    shapes: Mapping[str, tuple[int, ...]],
    sums: Mapping[str, Sums],
) -> str:
    checksum = hashlib.sha256()
    checksum.update(encode(recipe.to_map()))
    for id_, entry in sorted(contributions.items()):
        checksum.update(encode([id_, decimals.to_hex(entry.coefficient), entry.checksum, sorted(entry.tensors)]))
    for name in sorted(sums):
        checksum.update(encode([name, list(shapes[name])]))
    for name in sorted(sums):
        for part in _parts(sums[name]):
            checksum.update(part)
    return checksum.hexdigest()


def _parts(sums: Sums) -> Iterator[bytes]:
    for column in (*sums.columns, *sums.grids, *sums.maxima, sums.uncertified):
        yield column.tobytes()
    yield repr(sums.integers.tolist()).encode()

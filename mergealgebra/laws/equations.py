"""The laws, each one equation: a function that computes its two sides, to be compared by `relations`.

`merge` takes a base, name -> array, and a list of task vectors of its names and shapes, and returns the merged model. A
counterexample prints these functions as they stand here, so each needs nothing but NumPy and its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Model = dict[str, Array]
Merge = Callable[[Model, list[Model]], Model]
Sides = tuple[Any, Any]


def order_independence(merge: Merge, base: Model, task_vectors: list[Model], order: list[int]) -> Sides:
    """The order of the task vectors changes nothing."""
    return merge(base, task_vectors), merge(base, [task_vectors[i] for i in order])


def associativity(merge: Merge, a: Model, b: Model, c: Model) -> Sides:
    """(a . b) . c = a . (b . c), where x . y merges two task vectors over a base of zeros."""
    zeros = {name: np.zeros_like(array) for name, array in a.items()}
    return merge(zeros, [merge(zeros, [a, b]), c]), merge(zeros, [a, merge(zeros, [b, c])])


def idempotence(merge: Merge, base: Model, task_vector: Model, copies: int) -> Sides:
    """Copies of one task vector count as one."""
    return merge(base, [task_vector] * copies), merge(base, [task_vector])


def identity_of_zero(merge: Merge, base: Model, task_vectors: list[Model], place: int) -> Sides:
    """A task vector of zeros, put in at any place, changes nothing."""
    zero = {name: np.zeros_like(array) for name, array in task_vectors[0].items()}
    return merge(base, [*task_vectors[:place], zero, *task_vectors[place:]]), merge(base, task_vectors)


def single_model_identity(merge: Merge, base: Model, task_vector: Model) -> Sides:
    """One task vector alone gives its own model: base + task vector, rounded once to fp32."""
    return merge(base, [task_vector]), {name: array + task_vector[name] for name, array in base.items()}


def scale_equivariance(merge: Merge, task_vectors: list[Model], factor: float) -> Sides:
    """Task vectors times a power of two give the result times it, over a base of zeros."""

    def times(model: Model) -> Model:
        return {name: array * np.float32(factor) for name, array in model.items()}

    zeros = {name: np.zeros_like(array) for name, array in task_vectors[0].items()}
    return merge(zeros, [times(vector) for vector in task_vectors]), times(merge(zeros, task_vectors))


def sign_symmetry(merge: Merge, task_vectors: list[Model]) -> Sides:
    """Negated task vectors give the negated result, over a base of zeros."""

    def negated(model: Model) -> Model:
        return {name: -array for name, array in model.items()}

    zeros = {name: np.zeros_like(array) for name, array in task_vectors[0].items()}
    return merge(zeros, [negated(vector) for vector in task_vectors]), negated(merge(zeros, task_vectors))


def coordinate_permutation(merge: Merge, base: Model, task_vectors: list[Model], name: str, order: list[int]) -> Sides:
    """Permuting the elements of a tensor, in base and task vectors alike, permutes the result."""

    def permuted(model: Model) -> Model:
        return {**model, name: model[name].reshape(-1)[order].reshape(model[name].shape)}

    return merge(permuted(base), [permuted(vector) for vector in task_vectors]), permuted(merge(base, task_vectors))


def shard_invariance(merge: Merge, base: Model, task_vectors: list[Model], name: str, cut: int) -> Sides:
    """A tensor cut in two, which stay neighbours by name, gives the two pieces of the result."""

    def split(model: Model) -> Model:
        rest = {other: array for other, array in model.items() if other != name}
        flat = model[name].reshape(-1)
        return {**rest, f"{name}.0": flat[:cut], f"{name}.1": flat[cut:]}

    return merge(split(base), [split(vector) for vector in task_vectors]), split(merge(base, task_vectors))


def locality(merge: Merge, base: Model, task_vectors: list[Model], name: str, index: int, elsewhere: float) -> Sides:
    """Writing a number everywhere else in the first task vector does not change a coordinate."""
    first, *others = task_vectors
    changed = {other: np.full_like(array, elsewhere) for other, array in first.items()}
    changed[name].reshape(-1)[index] = first[name].reshape(-1)[index]
    left, right = merge(base, [changed, *others]), merge(base, task_vectors)
    return left[name].reshape(-1)[index], right[name].reshape(-1)[index]


def bounds(merge: Merge, task_vectors: list[Model]) -> Sides:
    """Over a base of zeros the result lies between the least and the greatest of 0 and the task vectors."""
    zeros = {name: np.zeros_like(array) for name, array in task_vectors[0].items()}
    columns = {name: np.stack([zeros[name], *(vector[name] for vector in task_vectors)]) for name in zeros}
    limits = {name: [column.min(axis=0), column.max(axis=0)] for name, column in columns.items()}
    return merge(zeros, task_vectors), limits


def dtype_stability(merge: Merge, base: Model, task_vectors: list[Model]) -> Sides:
    """The result has the names, dtypes and shapes of the base, whose dtype may be any of the four."""

    def kinds(model: Model) -> dict[str, Any]:
        return {name: [str(array.dtype), list(array.shape)] for name, array in model.items()}

    return kinds(merge(base, task_vectors)), kinds(base)


def purity(merge: Merge, base: Model, task_vectors: list[Model]) -> Sides:
    """A call changes neither base nor task vectors, and the same call again gives the same answer."""

    def copied(model: Model) -> Model:
        return {name: np.array(array) for name, array in model.items()}

    before, vectors_before = copied(base), [copied(vector) for vector in task_vectors]
    again, vectors_again = copied(base), [copied(vector) for vector in task_vectors]
    first = copied(merge(base, task_vectors))
    second = copied(merge(again, vectors_again))
    return [copied(base), *map(copied, task_vectors), second], [before, *vectors_before, first]


def homomorphism(merge: Any, base: Model, task_vectors: list[Model], pairs: list[list[int]]) -> Sides:
    """Lifted task vectors, combined two by two in any tree and finalized, give the merge of all."""
    parts = [merge.lift(vector) for vector in task_vectors]
    for i, j in pairs:
        parts.append(merge.combine(parts[i], parts[j]))

    def plain(model: Model) -> Model:
        return {name: np.asarray(array) for name, array in model.items()}

    return plain(merge.finalize(base, parts[-1])), plain(merge(base, task_vectors))

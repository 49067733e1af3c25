"""Merge functions that keep every law, and for each law one that breaks it and keeps all others.

Most choose, coordinate by coordinate, one of the numbers that the task vectors hold there: nothing is added up, so
nothing is rounded but base + chosen number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce

import numpy as np


def chosen_by(rule):
    """The merge that adds to the base what `rule` chooses from each column. rule: (n, d) fp32 -> (d,) fp32."""

    def merge(base, task_vectors):
        return {name: added(array, rule(columns(name, task_vectors))) for name, array in base.items()}

    return merge


def columns(name, task_vectors):
    """The task vectors' elements of one tensor, (n, d) fp32, its zeros +0."""
    return np.stack([vector[name].reshape(-1) for vector in task_vectors]) + np.float32(0)


def added(array, tau):
    """base + tau, rounded once and then to the base's dtype."""
    return np.asarray(array + tau.reshape(array.shape).astype(np.float32)).astype(array.dtype)


# Rules. A zero is no vote in any of them but `least`.


def largest(stack):
    """The number of the largest magnitude; where it stands with both signs, 0."""
    most = np.abs(stack).max(axis=0)
    return most * _sign_at(stack, most)


def _sign_at(stack, magnitude):
    """The sign with which a magnitude stands in each column; 0 when it stands with both, or is 0."""
    return (stack == magnitude).any(axis=0).astype(np.float32) - (stack == -magnitude).any(axis=0)


def largest_positive_first(stack):
    """The number of the largest magnitude; where it stands with both signs, the positive one."""
    most = np.abs(stack).max(axis=0)
    return np.where((stack == most).any(axis=0), most, -most)


def first(stack):
    """The first number that is not 0."""
    return reduce(lambda one, other: np.where(one == 0, other, one), stack)


def mean_of_votes(stack):
    """The mean of the numbers that are not 0."""
    votes = np.maximum((stack != 0).sum(axis=0), 1)
    sums = np.array([math.fsum(column.tolist()) for column in stack.T], np.float64)
    return (sums / votes).astype(np.float32)


def least(stack):
    """The number of the least magnitude, 0 included; where it stands with both signs, 0."""
    low = np.abs(stack).min(axis=0)
    return low * _sign_at(stack, low)


def least_vote(stack):
    """The number of the least magnitude that is not 0; where it stands with both signs, 0."""
    low = np.where(stack == 0, np.float32(np.inf), np.abs(stack)).min(axis=0)
    low[np.isinf(low)] = 0
    return low * _sign_at(stack, low)


def halved_if_thrice(stack):
    """The largest, halved where three or more vote and all agree."""
    votes = (stack != 0).sum(axis=0)
    top = largest(stack)
    unanimous = ((stack == top) | (stack == 0)).all(axis=0)
    return np.where((votes >= 3) & unanimous, top / 2, top).astype(np.float32)


def short_numbers_only(stack):
    """The largest of the numbers that bf16 can hold."""
    return largest(np.where(stack.view(np.uint32) & 0xFFFF == 0, stack, np.float32(0)))


def ones_first(stack):
    """The largest of those up to 1; where there is none, of all."""
    small = largest(np.where(np.abs(stack) <= 1, stack, np.float32(0)))
    any_small = ((stack != 0) & (np.abs(stack) <= 1)).any(axis=0)
    return np.where(any_small, small, largest(stack)).astype(np.float32)


def doubled_if_torn(stack):
    """The largest, doubled where three or more magnitudes vote."""
    kinds = [len({abs(float(x)) for x in column if x}) for column in stack.T]
    return np.where(np.array(kinds, int) >= 3, 2 * largest(stack), largest(stack)).astype(np.float32)


# Merges that are more than a rule for each coordinate.


def special_first_element(base, task_vectors):
    """`largest`, but `least_vote` for the very first element of the model."""
    merged = chosen_by(largest)(base, task_vectors)
    for name in sorted(base):
        if base[name].size:
            column = columns(name, task_vectors)[:, :1]
            merged[name].reshape(-1)[:1] = added(base[name].reshape(-1)[:1], least_vote(column))
            break
    return merged


def special_small_tensors(base, task_vectors):
    """`largest`, but `least_vote` for tensors of one element."""
    small = {name: array for name, array in base.items() if array.size == 1}
    return chosen_by(largest)(base, task_vectors) | chosen_by(least_vote)(small, task_vectors)


def loudest_vectors_only(base, task_vectors):
    """`largest` among the task vectors that hold the largest magnitude of all."""
    loudness = [max([float(np.abs(a).max(initial=0)) for a in vector.values()]) for vector in task_vectors]
    loudest = [vector for vector, level in zip(task_vectors, loudness, strict=True) if level == max(loudness)]
    return chosen_by(largest)(base, loudest)


def fp32_only(base, task_vectors):
    """`largest`, always fp32."""
    return {name: array.astype(np.float32) for name, array in chosen_by(largest)(base, task_vectors).items()}


def in_place(base, task_vectors):
    """`largest`, added to the base where it lies."""
    for name, array in chosen_by(largest)(base, task_vectors).items():
        base[name][...] = array
    return {name: array.copy() for name, array in base.items()}


# Parts.


@dataclass(frozen=True)
class Largest:
    """What is known of a column: its largest magnitude, and with which signs it stands."""

    magnitude: np.ndarray
    positive: np.ndarray
    negative: np.ndarray


def lift(task_vector):
    return {
        name: Largest(np.abs(array), array > 0, array < 0)
        for name, array in ((name, array + np.float32(0)) for name, array in task_vector.items())
    }


def combine(one, other):
    def joined(a, b):
        most = np.maximum(a.magnitude, b.magnitude)
        in_a, in_b = a.magnitude == most, b.magnitude == most
        return Largest(most, a.positive & in_a | b.positive & in_b, a.negative & in_a | b.negative & in_b)

    return {name: joined(one[name], other[name]) for name in one}


def finalize(base, part):
    def value(p):
        return (p.magnitude * (p.positive.astype("f4") - p.negative)).astype(np.float32)

    return {name: added(array, value(part[name])) for name, array in base.items()}


def lawful(base, task_vectors):
    """Keeps every law."""
    return chosen_by(largest)(base, task_vectors)


lawful.lift, lawful.combine, lawful.finalize = lift, combine, finalize


def forgetful(base, task_vectors):
    """`lawful`, with parts that forget a number and its opposite once they met, though the merge of all does not."""
    return chosen_by(largest)(base, task_vectors)


forgetful.lift = lambda task_vector: task_vector
forgetful.combine = lambda one, other: {name: largest(np.stack([one[name], other[name]])) for name in one}
forgetful.finalize = lambda base, part: {name: added(array, part[name]) for name, array in base.items()}


#: For each law, a function that breaks it and no other.
PLANTED = {
    "order_independence": chosen_by(first),
    "associativity": chosen_by(mean_of_votes),
    "idempotence": chosen_by(halved_if_thrice),
    "identity_of_zero": chosen_by(least),
    "single_model_identity": chosen_by(short_numbers_only),
    "scale_equivariance": chosen_by(ones_first),
    "sign_symmetry": chosen_by(largest_positive_first),
    "coordinate_permutation": special_first_element,
    "shard_invariance": special_small_tensors,
    "locality": loudest_vectors_only,
    "bounds": chosen_by(doubled_if_torn),
    "dtype_stability": fp32_only,
    "purity": in_place,
    "homomorphism": forgetful,
}

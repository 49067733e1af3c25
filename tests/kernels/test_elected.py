"""The mean of what was elected, as compiled code has it, against the equations of SCE [MG-8]."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.algebra import decimals
from mergealgebra.kernels.blocks import Reduced, Reduction
from mergealgebra.kernels.pieces import numpy_with_numba
from tests.kernels.blocks import Case, cases, same_as_reference

KERNEL = numpy_with_numba()
#: Weights of models, among them some that no sum of is certified with others.
WEIGHTS = st.sampled_from([0.25, 0.25, 0.25, 0.5, 0.0, -0.5, 1.0, 2.0**-60, 2.0**-149, 1e30]).map(
    lambda weight: float(np.float32(weight))
)


@st.composite
def elections(draw: st.DrawFn) -> Case:
    """Blocks of parts that have a weight in the mean beside the coefficient with which they elect."""
    case = draw(cases())
    parts = [replace(part, found=(), weights=(None, draw(WEIGHTS))) for part in case.parts]
    recipe = ma.Sce(lambda_=decimals.shortest(draw(st.sampled_from([1.0, -1.0, 0.0, 2.0**-149]))))
    return Case(case.base, parts, Reduction(recipe, case.reduction.coefficients))


@pytest.mark.clause("SC-3", "SC-4", "SC-5", "EX-2", "EX-3", "MG-8")
def test_what_is_elected_comes_out_as_the_equations_have_it():
    """In blocks with and without coordinates to repair; and not all of them are refused."""
    merged: list[tuple[Reduced, Case]] = []

    @settings(max_examples=500, database=None, derandomize=True)
    @given(case=elections())
    def compare(case: Case) -> None:
        found = same_as_reference(KERNEL, case)
        same_as_reference(KERNEL, replace(case, parts=case.parts[::-1]))
        merged.extend([(found, case)] if found else [])

    compare()
    assert len(merged) > 150
    assert sum(0 < found.uncertified < case.base.size for found, case in merged) > 5
    assert sum(found.data.tobytes() != case.base.tobytes() for found, case in merged) > 60

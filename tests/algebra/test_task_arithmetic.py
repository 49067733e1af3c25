"""Task arithmetic: the exact sum of v, rounded twice."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given

from mergealgebra.algebra import mean, reducer, task_arithmetic
from mergealgebra.algebra.exact import Coefficients
from tests.algebra.numbers import exact_sum, rn32, rn64, task_vectors

ARRAYS = {"numpy": np.asarray, "torch": torch.from_numpy}


@pytest.mark.clause("TA-1")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@given(v=task_vectors(count=4, size=3))
def test_it_is_what_the_clause_says(array, v):
    tau_m = task_arithmetic.finalize(
        reducer.combine(task_arithmetic.lift(array(row.copy()), 1.0) for row in v), Coefficients((1.0,) * 4)
    )
    assert tau_m.tolist() == [rn32(Fraction(rn64(exact_sum(column)))) for column in v.T.tolist()]
    assert tau_m.dtype == array(v).dtype


def test_it_has_the_two_functions_of_a_reducer():
    names: dict[str, object] = {}
    exec("from mergealgebra.algebra.task_arithmetic import *", names)
    assert names["lift"] is mean.lift
    assert names["finalize"] is task_arithmetic.finalize

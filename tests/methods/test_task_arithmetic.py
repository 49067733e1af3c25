"""Task arithmetic: the exact sum of v, rounded twice."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given

from mergealgebra.algebra.exact import Coefficients, combine
from mergealgebra.methods import mean, task_arithmetic
from tests.algebra.lifts import sums_of
from tests.algebra.numbers import exact_sum, rn32, rn64, task_vectors

ARRAYS = {"numpy": np.asarray, "torch": torch.from_numpy}


@pytest.mark.clause("TA-1")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@given(v=task_vectors(count=4, size=3))
def test_it_is_what_the_clause_says(array, v):
    tau_m = task_arithmetic.total(combine(sums_of(array(row.copy())) for row in v), Coefficients((1.0,) * 4))
    assert tau_m.tolist() == [rn32(Fraction(rn64(exact_sum(column)))) for column in v.T.tolist()]
    assert tau_m.dtype == array(v).dtype


def test_it_lifts_as_the_mean_does():
    assert task_arithmetic.lift is mean.lift

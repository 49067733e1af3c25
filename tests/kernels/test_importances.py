"""The looks of arcee fusion, as compiled code has them, against its equations [MG-8]."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergealgebra.algebra.method import Group
from mergealgebra.kernels import importances
from mergealgebra.kernels.blocks import Part, Watch, Where
from mergealgebra.kernels.numpy_reference import on_numpy
from mergealgebra.kernels.pieces import numpy_with_numba
from mergealgebra.methods.arcee_fusion import ArceeFusion
from tests.kernels.blocks import FLOATS, KINDS, numbers

KERNEL = numpy_with_numba()
STATISTIC = ArceeFusion().rounds[0].stages[0].statistic
#: Rows and their lengths: within a chunk, of several, the last one short or not.
SHAPES = ((5, 1), (3, 2), (7, 5), (2, 1024), (3, 4095), (2, 4096), (2, 4097), (1, 12_288), (2, 20_481))


def looked(kernel, base, part, shape):
    """What both looks find, or None where a number is not finite."""
    found, look = [], None
    for _ in range(2):
        with np.errstate(all="ignore"):
            seen = kernel.observe(base, part, Watch(STATISTIC, look), STATISTIC.nothing(look))
        if seen is None:
            return None
        counts, rows = seen
        rows = {start: (columns, moved.tobytes()) for start, (columns, moved) in rows.items()}
        found.append((counts.tobytes(), rows))
        _, look = STATISTIC.settle(look, Group(0, ("w",), base.size), seen)
    return found, look[1]


@pytest.mark.clause("AF-2", "AF-3", "AF-4", "EF-3", "DT-2", "DT-3", "MG-8")
@settings(max_examples=150)
@given(
    seed=st.integers(0, 1 << 32),
    shape=st.sampled_from(SHAPES),
    dtype=st.sampled_from(FLOATS),
    kind=st.sampled_from([*KINDS, "near 1", "coarse"]),
    form=st.sampled_from(["finetuned", "task_vector"]),
    coefficient=st.sampled_from([1.0, -1.0, float(np.float32(0.3)), 2.0**-149, float(np.float32(3e38))]),
)
def test_looks_find_what_the_equations_find(seed, shape, dtype, kind, form, coefficient):
    rng, size = np.random.default_rng(seed), shape[0] * shape[1]
    base, values = numbers(rng, size, dtype, kind), numbers(rng, size, dtype, "near 1")
    part = Part(values, form, coefficient, where=Where("w", shape))
    assert looked(KERNEL, base, part, shape) == looked(on_numpy(), base, part, shape)


@pytest.mark.clause("EF-3", "MG-8")
def test_only_what_has_no_certificate_is_left_to_the_equations(monkeypatch):
    """One power in ten million; e^x is nearly halfway between two numbers where x is -2^-25."""
    asked = []
    given_ = importances.row_divergences
    monkeypatch.setattr(importances, "row_divergences", lambda *block: asked.append(1) or given_(*block))
    base, rng = np.zeros(8, np.float32), np.random.default_rng(0)
    usual = Part(rng.normal(size=8).astype(np.float32), "task_vector", 1.0, where=Where("w", (2, 4)))
    looked(KERNEL, base, usual, (2, 4))
    assert not asked
    tiny = Part(np.float32([0, -(2.0**-25)] * 4), "task_vector", 1.0, where=Where("w", (4, 2)))
    assert looked(KERNEL, base, tiny, (4, 2)) == looked(on_numpy(), base, tiny, (4, 2))
    assert asked

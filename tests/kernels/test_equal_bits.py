"""Kernels on the CPU give the bits and the counts of the reference, whatever the numbers are [MG-8]."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mergealgebra.algebra.trim import ALL, Window, around, magnitude_bits, window_counts
from mergealgebra.kernels.blocks import Part
from mergealgebra.kernels.cpu import NumbaKernel
from mergealgebra.kernels.reference import on_torch
from mergealgebra.tensors.block_vectors import tau
from tests.kernels.blocks import FLOATS, KINDS, METHODS, SIZES, Case, cases, numbers, reduction_of, same_as_reference

KERNELS = {"numba": NumbaKernel(), "torch": on_torch(torch.device("cpu"))}
kernels = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)


@kernels
@pytest.mark.clause("MG-8", "EX-1", "EX-2", "EX-3", "TI-4", "TI-5", "TI-6", "TI-7", "TI-8", "ME-1", "TA-1", "MG-3")
@settings(max_examples=400)
@given(case=cases())
def test_blocks_come_out_as_the_reference_has_them(kernel, case: Case):
    same_as_reference(kernel, case)
    same_as_reference(kernel, replace(case, parts=case.parts[::-1]))


@pytest.mark.clause("MG-8")
def test_these_blocks_are_not_all_refused():
    """The comparison above says little of blocks with a number that is not finite, or nothing to repair."""
    results = []

    @settings(max_examples=300, database=None)
    @given(case=cases())
    def collect(case: Case) -> None:
        results.append((same_as_reference(KERNELS["numba"], case), case))

    collect()
    merged = [(found, case) for found, case in results if found]
    assert 0.3 * len(results) < len(merged) < len(results)
    for method in METHODS:
        assert sum(case.reduction.method.name == method for _, case in merged) > 20
    assert sum(0 < found.uncertified < case.base.size for found, case in merged) > 10
    assert sum(above(found) < found.kept[0] < case.base.size for found, case in merged) > 10
    assert sum(0 < found.kept[0] < case.base.size for found, case in merged) > 20
    assert sum(found.data.tobytes() != case.base.tobytes() for found, case in merged) > 60


@kernels
@pytest.mark.clause("TI-5", "MG-8")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("boundary", [0, 1, 1023, 1024, 1025, 2048, 4999])
def test_ties_are_cut_at_any_position(kernel, size, boundary):
    """All elements equal the threshold, and those before the position are kept: at the edges of tiles, too."""
    ones = Part(np.full(size, -1, np.float32), "task_vector", 1.0, ((0x3F800000, min(boundary, size)),))
    found = same_as_reference(kernel, Case(np.zeros(size, np.float32), [ones], reduction("ties", [ones])))
    assert found.kept == (min(boundary, size),)
    assert found.data.tolist() == [-1.0] * min(boundary, size) + [0.0] * (size - min(boundary, size))


@kernels
@pytest.mark.parametrize("threshold", [0x7F7FFFFF, 0x7F800000, 0x7FC00000, 0x7FFFFFFF])
@pytest.mark.parametrize("ties", [0, 1, 3])
def test_thresholds_above_everything_keep_nothing(kernel, threshold, ties):
    """No merge finds one, but a cache may hold any."""
    part = Part(np.float32([0, -1, 3e38]), "task_vector", 1.0, ((threshold, ties),))
    found = same_as_reference(kernel, Case(np.zeros(3, np.float32), [part], reduction("ties", [part])))
    assert (found.kept, found.witnesses) == ((0,), (((0, 0),),))


def reduction(method, parts, lambda32=1.0, others=()):
    return reduction_of(method, [*(part.coefficient for part in parts), *others], lambda32)


def above(found):
    """How many elements of the first part lie above its threshold, where the method trims."""
    return found.witnesses[0][0][1] if found.witnesses[0] else found.kept[0]


# Counting


def windows() -> st.SearchStrategy[Window]:
    """All magnitudes, those around any, a bin of all, and single ones."""
    bits = st.one_of(st.integers(0, 0x7F7FFFFF), st.sampled_from([0, 1, 0x3F800000, 0x7F7FFFFF]))
    return st.one_of(
        st.just(ALL),
        bits.map(around),
        bits.map(lambda b: ALL.inside(b >> 16)),
        bits.map(lambda b: Window(b, 0, 1)),
    )


@kernels
@pytest.mark.clause("TI-3", "MG-8")
@settings(max_examples=300)
@given(
    seed=st.integers(0, 1 << 32),
    size=st.sampled_from(SIZES),
    dtypes=st.tuples(st.sampled_from(FLOATS), st.sampled_from(FLOATS)),
    kinds=st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)),
    form=st.sampled_from(["finetuned", "task_vector"]),
    window=windows(),
)
def test_magnitudes_are_counted_as_the_reference_counts_them(kernel, seed, size, dtypes, kinds, form, window):
    rng = np.random.default_rng(seed)
    base, values = (numbers(rng, size, dtype, kind) for dtype, kind in zip(dtypes, kinds, strict=True))
    with np.errstate(all="ignore"):
        expected = tau(values, base, form)
        counts = np.full(window.bins + 1, 7, np.int64)  # counts are added to those before
        finite = kernel.count(base, Part(values, form, 1.0), window, counts)
    assert finite == np.isfinite(expected).all()
    if finite:
        assert np.array_equal(counts, 7 + window_counts(expected, window))


@kernels
@pytest.mark.clause("TI-3")
def test_windows_end_where_they_say(kernel):
    """At the low end, the high end, just outside both, and where everything is above."""
    bits = np.arange(0x3F7F0000 - 3, 0x3F810003, 1 << 4, np.int32)
    edges = np.int32([0x3F7EFFFF, 0x3F7F0000, 0x3F80FFFF, 0x3F810000, 0, 1, 0x7F7FFFFF])
    values = np.concatenate([bits, edges]).view(np.float32)
    for window in (around(0x3F800000), Window(0x3F800000, 0, 1), Window(0x7F7FFFFF, 0, 1), Window(0, 0, 1), around(0)):
        counts = np.zeros(window.bins + 1, np.int64)
        assert kernel.count(values, Part(values, "task_vector", 1.0), window, counts)
        inside = (values.view(np.int32) >= window.low) & (values.view(np.int32) < window.low + window.bins)
        above = values.view(np.int32) >= window.low + window.bins
        assert (counts[:-1].sum(), counts[-1]) == (inside.sum(), above.sum())
        assert counts[:-1].nonzero()[0].tolist() == sorted(set((values.view(np.int32)[inside] - window.low).tolist()))


# Memory


@kernels
@pytest.mark.parametrize("dtype", FLOATS)
def test_arrays_may_begin_anywhere(kernel, dtype):
    """A user's array may be a view into bytes, at an odd address."""
    rng = np.random.default_rng(0)
    base, values = (moved(numbers(rng, 1025, dtype, "near 1")) for _ in range(2))
    parts = [
        Part(values, form, 1.0, ((int(magnitude_bits(np.float32(1))), 600),)) for form in ("finetuned", "task_vector")
    ]
    found = same_as_reference(kernel, Case(base, parts, reduction("ties", parts)))
    assert found.data.tobytes() != base.tobytes()


def moved(array: np.ndarray) -> np.ndarray:
    """The same array at an odd address."""
    data = bytearray(b"\0" + array.tobytes())
    return np.frombuffer(data, np.uint8)[1:].view(array.dtype)

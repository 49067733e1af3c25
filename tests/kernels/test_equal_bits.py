"""Kernels on the CPU give the bits and the counts of the reference, whatever the numbers are [MG-8]."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import combinations_with_replacement

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mergealgebra.algebra.exact import Coefficients
from mergealgebra.algebra.thresholds import Thresholds
from mergealgebra.algebra.trim import ALL, Window, around, magnitude_bits, window_counts
from mergealgebra.kernels.blocks import Part, Reduction, StoredSums, Watch, Where
from mergealgebra.kernels.cpu import NumbaKernel
from mergealgebra.kernels.numpy_reference import on_numpy
from mergealgebra.kernels.pieces import numpy_with_numba
from mergealgebra.kernels.reference import on_torch
from mergealgebra.methods.dare import Drop
from mergealgebra.tensors.block_vectors import tau
from tests.kernels.blocks import (
    FLOATS,
    KINDS,
    METHODS,
    SIZES,
    STAGES,
    Case,
    Combination,
    cases,
    numbers,
    reduction_of,
    same_as_reference,
)

KERNELS = {"numba": NumbaKernel(), "numpy+numba": numpy_with_numba(), "torch": on_torch(torch.device("cpu"))}
kernels = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)


@kernels
@pytest.mark.clause("MG-8", "EX-1", "EX-2", "EX-3", "TI-4", "TI-5", "TI-6", "TI-7", "TI-8", "ME-1", "TA-1", "MG-3")
@pytest.mark.clause("LI-1", "MG-13", "MG-14", "TV-13", "DA-1", "RM-2", "RM-3", "DT-5")
@settings(max_examples=500)
@given(case=cases())
def test_blocks_come_out_as_the_reference_has_them(kernel, case: Case):
    same_as_reference(kernel, case)
    same_as_reference(kernel, replace(case, parts=case.parts[::-1]))


@pytest.mark.clause("MG-8")
def test_these_blocks_are_not_all_refused():
    """The comparison above says little of blocks with a number that is not finite, or nothing to repair."""
    results = []

    @settings(max_examples=700, database=None, derandomize=True)
    @given(case=cases())
    def collect(case: Case) -> None:
        results.append((same_as_reference(KERNELS["numba"], case), case))

    collect()
    merged = [(found, case) for found, case in results if found]
    assert 0.3 * len(results) < len(merged) < len(results)
    for method in METHODS:
        assert sum(case.reduction.method.name == method for _, case in merged) > 8
    assert sum(0 < found.uncertified < case.base.size for found, case in merged) > 5
    assert sum(above(found) < found.kept[0] < case.base.size for found, case in merged) > 5
    assert sum(0 < found.kept[0] < case.base.size for found, case in merged) > 5
    for key, values in {"on": ["theta", "copied"], "weighed": ["yes"], "stages": list(STAGES)}.items():
        for value in values:
            assert any(getattr(case.reduction.method, key, "") == value for _, case in merged), value
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
    return found.witnesses[0][-1][1] if found.witnesses[0] else found.kept[0]


@kernels
@pytest.mark.clause("DT-1", "DT-2", "TV-13", "MG-8")
@settings(max_examples=100)
@given(case=cases(), size=st.sampled_from([1, 1023, 2049, 4095, 4096, 4097, 12_289]), known=st.integers(0, 3))
def test_dot_products_come_out_as_the_reference_has_them(kernel, case: Case, size: int, known: int):
    """Of all pairs that are not known, in chunks of which the last may be short."""
    base, parts = (
        np.resize(case.base, size),
        [replace(part, values=np.resize(part.values, size)) for part in case.parts],
    )
    if case.reduction.method.rounds[0].stages:
        parts = [replace(part, found=(None,) * len(part.found)) for part in parts]
    with np.errstate(all="ignore"):
        found = kernel.dots(base, parts, case.reduction, 0, min(known, len(parts) - 1))
        expected = on_numpy().dots(base, parts, case.reduction, 0)
    assert (found is None) == (expected is None)
    if found is not None:
        pairs = list(combinations_with_replacement(range(len(parts)), 2))
        wanted = [at for at, (_, last) in enumerate(pairs) if last >= min(known, len(parts) - 1)]
        assert found.shape == (len(wanted), -(-size // 4096))
        assert found.tobytes() == expected[wanted].tobytes()


@pytest.mark.clause("EX-5", "DA-1")
def test_what_is_left_of_a_drop_is_taken_out_of_sums_again():
    """An aggregate of DARE: the same sums as by the equations, whatever came and went."""
    n, rng = 3000, np.random.default_rng(0)
    base, recipe = rng.normal(size=n).astype(np.float32), Combination(equations="task_arithmetic", stages="drop")
    parts = [
        Part(rng.normal(size=n).astype(np.float32), "finetuned", 1.0, (None,), Where("w", (n,), 1, root * 32))
        for root in ("ab", "cd", "ef")
    ]
    sums = {}
    for kernel in (KERNELS["numba"], on_numpy()):
        stored = StoredSums(*np.zeros((2, 1, n)), np.empty(0), np.empty(0), np.full((1, n), 255, np.uint8))
        kernel.update(base, stored, [], parts[:2], Reduction(recipe, Coefficients((1.0, 1.0))))
        updated = kernel.update(base, stored, parts[:1], parts[2:], Reduction(recipe, Coefficients((1.0, 1.0))))
        sums[kernel.name] = stored.sums.tobytes(), updated.data.tobytes(), updated.kept
    assert sums["numba"] == sums["numpy"]


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


@pytest.mark.clause("TI-3", "DA-3", "MG-8")
@settings(max_examples=100)
@given(
    seed=st.integers(0, 1 << 32),
    size=st.sampled_from(SIZES),
    start=st.sampled_from([0, 1, 2, 3, 1 << 33]),
    density=st.sampled_from([Fraction(1, 3), Fraction(1), Fraction(1, 1 << 40)]),
    window=windows(),
)
def test_magnitudes_after_a_drop_are_counted_as_the_reference_counts_them(seed, size, start, density, window):
    base, values = (numbers(np.random.default_rng(seed + i), size, "F32", "near 1") for i in range(2))
    part = Part(values, "finetuned", 1.0, (None,), Where("w", (1 << 34,), start, "ab" * 32))
    watch = Watch(Thresholds(Fraction(1, 2), "model", "keep_all"), window, (Drop(density, "3"),))
    found, expected = (
        kernel.observe(base, part, watch, np.zeros(window.bins + 1, np.int64))
        for kernel in (KERNELS["numba"], on_numpy())
    )
    assert np.array_equal(found, expected)


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

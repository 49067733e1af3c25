"""The Triton kernel gives the bits of the equations. Without a CUDA device Triton's interpreter runs it, slowly."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mergealgebra.algebra.trim import ALL, Window
from mergealgebra.errors import BackendError, SubnormalsFlushed
from mergealgebra.kernels.blocks import Part
from mergealgebra.kernels.numpy_reference import on_numpy
from mergealgebra.tensors.dtypes import DTYPES, to_torch
from tests.kernels.blocks import reduction_of

ON_CUDA = torch.cuda.is_available()
needs_cuda = pytest.mark.skipif(not ON_CUDA, reason="needs a CUDA device")

with pytest.MonkeyPatch.context() as patch:
    if not ON_CUDA:
        assert "triton" not in sys.modules, "triton was imported before it could be told to interpret"
        patch.setenv("TRITON_INTERPRET", "1")
    gpu = pytest.importorskip("mergealgebra.kernels.gpu", reason="needs triton", exc_type=BackendError)

FLOATS = {"F64": 2.0**-1074, "F32": 2.0**-149, "BF16": 2.0**-133, "F16": 2.0**-24}  # with the least above 0
NAMES = tuple(FLOATS)
METHODS = ("ties", "mean", "task_arithmetic", "trimmed_sum")
MANY = 1 << 40  # a position after every block: all ties are kept
ALL_BUT_ZEROS = ((1, MANY),)


@pytest.fixture(autouse=True)
def interpreted(monkeypatch):
    """Triton asks the environment again when it runs."""
    if not ON_CUDA:
        monkeypatch.setenv("TRITON_INTERPRET", "1")


@pytest.fixture(scope="module")
def kernel():
    return gpu.TritonKernel()


#: Asks for the device, then compiles for one that need not be there: base, kinds of parts and method by their codes.
_COMPILE = """
import json, sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from mergealgebra.errors import BackendError
from mergealgebra.kernels import gpu

POINTERS = {0: "*i64", 1: "*i32", 2: "*i16", 3: "*i16"}
found = {"refusal": None, "codes": []}
try:
    gpu.TritonKernel()
except BackendError as error:
    found["refusal"] = str(error)
for base, kinds, method in ((1, 1 << 3, 0), (2, 1 << 5, 0), (3, 0b10010011, 1), (0, 1 << 0, 2)):
    numbers = {"base_ptr": POINTERS[base], "out_ptr": POINTERS[base], "counts_ptr": "*i64", "table_ptr": "*i64"}
    constants = dict(BASE=base, KINDS=kinds, METHOD=method, MARK=False, TILE=gpu.TILE)
    signature = {**numbers, "n": "i32", **dict.fromkeys(constants, "constexpr")}
    aligned = {(i,): [["tt.divisibility", 16]] for i in range(5)}
    source = ASTSource(fn=gpu.reduce_tile, signature=signature, constexprs=constants, attrs=aligned)
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=dict(gpu.OPTIONS))
    found["codes"].append(compiled.asm["ptx"])
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def without_interpreter(tmp_path_factory):
    """What a process has to say in which triton compiles: the refusal where there is no device, and PTX code."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path_factory.mktemp("triton"))
    found = subprocess.run(
        [sys.executable, "-c", _COMPILE], capture_output=True, text=True, env=environment, check=False
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def array(values, dtype="F32"):
    with np.errstate(all="ignore"):
        return np.asarray(values, np.float64).astype(DTYPES[dtype].numpy)


def vector(values, dtype="F32", coefficient=1.0, threshold=1, ties=MANY):
    return Part(array(values, dtype), "task_vector", coefficient, ((threshold, ties),))


def tuned(values, dtype="F32", coefficient=1.0, threshold=1, ties=MANY):
    return replace(vector(values, dtype, coefficient, threshold, ties), form="finetuned")


def reduction(method, parts, lambda32=1.0):
    return reduction_of(method, [part.coefficient for part in parts], lambda32)


def above(found):
    """How many elements of the first part lie above its threshold."""
    return found.witnesses[0][0][1]


def magnitude_bits(value):
    return int(np.float32(value).view(np.int32))


def check(kernel, base, parts, how):
    """The kernel's answer, which must be the reference's: bits, counts, or None. Without a trim, nothing is."""
    parts = [part if how.rounds[0].stages else replace(part, found=()) for part in parts]
    with np.errstate(all="ignore"):
        expected = on_numpy().reduce(base, parts, how)
    found = kernel.reduce(base, parts, how)
    if expected is None or found is None:
        assert found is expected
        return found
    assert found.data.dtype == base.dtype
    assert found.data.tobytes() == expected.data.tobytes()
    assert (found.kept, found.witnesses) == (expected.kept, expected.witnesses)
    assert found.uncertified == expected.uncertified
    return found


def scattered(seed, n, dtype):
    """Numbers of many binades, zeros of both signs and subnormals among them; sums of them rarely overflow."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=n) * 2.0 ** rng.integers(-6, 4, n)
    values[rng.random(n) < 0.2] = 0.0
    values[rng.random(n) < 0.1] *= -0.0
    tiny = rng.random(n) < 0.1
    values[tiny] = rng.integers(1, 9, tiny.sum()) * FLOATS[dtype]
    return array(values, dtype)


@st.composite
def blocks(draw):
    """A block with its parts, and how to merge it: any dtypes, forms, thresholds and positions of ties together."""
    n = draw(st.sampled_from([1, 2, 31, 64, 257, gpu.TILE + 3]))
    dtype = draw(st.sampled_from(NAMES))
    base = scattered(draw(st.integers(0, 99)), n, dtype)
    method = draw(st.sampled_from(METHODS))
    parts = []
    for seed in range(draw(st.integers(1, 5))):
        form, held = draw(st.sampled_from(["finetuned", "task_vector"])), draw(st.sampled_from([dtype, *FLOATS]))
        step = scattered(100 + seed, n, held)
        with np.errstate(all="ignore"):
            moved = (base.astype(np.float64) + step.astype(np.float64)).astype(step.dtype)
        coefficients = [1.0, 0.5, 0.30000001192092896, 2.0**-60] + [-1.5] * (
            method in ("task_arithmetic", "trimmed_sum")
        )
        threshold = draw(st.sampled_from([1, magnitude_bits(0.5), max(1, magnitude_bits(np.abs(step[0])))]))
        values = moved if form == "finetuned" else step
        parts.append(
            Part(
                values,
                form,
                draw(st.sampled_from(coefficients)),
                ((threshold, draw(st.sampled_from([0, n // 2, MANY]))),),
            )
        )
    return base, parts, reduction(method, parts, draw(st.sampled_from([1.0, -0.75, 0.0])))


@settings(max_examples=25)  # the interpreter takes up to a tenth of a second for each
@pytest.mark.clause("MG-8", "EX-1", "EX-3", "TI-7", "TI-8", "ME-1", "TA-1", "MG-3")
@given(block=blocks())
def test_blocks_come_out_as_the_equations_have_them(kernel, block):
    check(kernel, *block)


class TestDtypes:
    @pytest.mark.clause("TV-2", "TV-5", "MG-3", "MG-8")
    @pytest.mark.parametrize("base", FLOATS)
    @pytest.mark.parametrize("held", FLOATS)
    def test_of_base_and_part_may_differ(self, kernel, base, held):
        start, end = scattered(1, 67, base), scattered(2, 67, held)
        parts = [
            Part(end, "finetuned", 0.75, ALL_BUT_ZEROS),
            Part(end, "task_vector", 1.0, ((magnitude_bits(0.25), 40),)),
        ]
        assert check(kernel, start, parts, reduction("ties", parts)).data.tobytes() != start.tobytes()

    @pytest.mark.clause("MG-3", "MG-4")
    @pytest.mark.parametrize(("dtype", "step"), [("BF16", 2.0**-7), ("F16", 2.0**-10)])
    def test_results_are_rounded_to_nearest_even_from_fp32(self, kernel, dtype, step):
        """Every step of a 1024th between two neighbours, and a number that fp64 would round elsewhere."""
        taus = [*(np.arange(1, 2050) / 1024 * step), step / 2 + 2.0**-30, step * 1.5 - 2.0**-30]
        parts = [vector(taus, "F64")]
        check(kernel, array(np.ones(len(taus)), dtype), parts, reduction("task_arithmetic", parts))

    @pytest.mark.clause("MG-4", "MG-9")
    @pytest.mark.parametrize("dtype", FLOATS)
    def test_subnormals_stay(self, kernel, dtype):
        least = FLOATS[dtype]
        base = array(np.arange(-8, 9) * least, dtype)
        parts = [
            tuned(np.arange(17) * least, dtype, 0.5),
            vector(np.arange(-9, 8) * 2.0**-149, "F32"),
            vector(np.arange(-3, 14) * 2.0**-133, "BF16", 0.75),
            vector(np.arange(-3, 14) * 2.0**-24, "F16", 2.0**-120),
        ]
        assert check(kernel, base, parts, reduction("ties", parts)).data.any()


class TestDifferences:
    @pytest.mark.clause("TV-3")
    @pytest.mark.parametrize("dtype", FLOATS)
    def test_of_what_did_not_change_are_zero(self, kernel, dtype):
        """NaN with equal bits, infinities of either sign, zeros of different signs."""
        base = array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0], dtype)
        moved = array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1.5], dtype)
        parts = [Part(moved, "finetuned", 1.0, ALL_BUT_ZEROS)]
        found = check(kernel, base, parts, reduction("ties", parts))
        assert found.data[:5].tobytes() == base[:5].tobytes()
        assert float(found.data[5]) == 1.5
        assert above(found) == 1

    @pytest.mark.clause("TV-3")
    def test_of_equal_infinities_of_two_dtypes_are_zero(self, kernel):
        base, parts = array([np.inf, -np.inf]), [tuned([np.inf, -np.inf], "BF16"), tuned([np.inf, -np.inf], "F64")]
        assert check(kernel, base, parts, reduction("ties", parts)).data.tobytes() == base.tobytes()

    @pytest.mark.clause("TV-4")
    @pytest.mark.parametrize("held", [("F32", "F32"), ("F32", "BF16"), ("F64", "F64"), ("F16", "F32")])
    @pytest.mark.parametrize("values", [(np.nan, 1.0), (np.inf, 1.0), (1.0, np.nan), (np.inf, -np.inf)])
    def test_that_are_not_finite_are_for_the_caller(self, kernel, held, values):
        (old, new), (dtype, other) = values, held
        parts = [vector([0.0, 0.0]), tuned([1.0, new], other)]
        assert check(kernel, array([1.0, old], dtype), parts, reduction("ties", parts)) is None

    @pytest.mark.clause("TV-3", "TV-4")
    def test_of_nan_with_other_bits_or_dtype_are_not_finite(self, kernel):
        base = np.array([0x7FC00000], np.uint32).view(np.float32)
        for new in (np.array([0x7FC00001], np.uint32).view(np.float32), array([np.nan], "BF16")):
            parts = [Part(new, "finetuned", 1.0, ALL_BUT_ZEROS)]
            assert check(kernel, base, parts, reduction("ties", parts)) is None

    @pytest.mark.clause("TV-5")
    @pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
    def test_that_were_stored_must_be_finite(self, kernel, value):
        parts = [vector([0.0, value], "F64")]
        assert check(kernel, array([1.0, 1.0]), parts, reduction("mean", parts)) is None


class TestTrim:
    @pytest.mark.clause("TI-4", "TI-5")
    @pytest.mark.parametrize("ties", [-5, 0, 1, 3, 4, 6, MANY])
    def test_keeps_ties_before_a_position(self, kernel, ties):
        parts = [vector([0.5, -0.5, 2, 0.5, 0.25, -0.5], threshold=magnitude_bits(0.5), ties=ties)]
        found = check(kernel, array(np.zeros(6)), parts, reduction("ties", parts))
        expected = [x if abs(x) == 2 or (abs(x) == 0.5 and i < ties) else 0.0 for i, x in enumerate(parts[0].values)]
        assert found.data.tolist() == expected
        assert above(found) == 1
        assert found.kept == (1 + sum(i < ties for i in (0, 1, 3, 5)),)

    @pytest.mark.clause("TI-5")
    def test_counts_positions_over_tiles(self, kernel):
        n = 2 * gpu.TILE + 5
        parts = [vector(np.ones(n), threshold=magnitude_bits(1.0), ties=gpu.TILE + 7)]
        found = check(kernel, array(np.zeros(n)), parts, reduction("ties", parts))
        assert found.kept == (gpu.TILE + 7,)

    @pytest.mark.clause("TI-4")
    def test_is_off_for_methods_without(self, kernel):
        parts = [vector([0.0, -0.0, 1.0])]
        found = check(kernel, array([-0.0, 5.0, 1.0]), parts, reduction("mean", parts))
        assert (found.kept, found.witnesses) == ((3,), ((),))
        assert found.data.tobytes() == array([-0.0, 5.0, 2.0]).tobytes()

    def test_counts_parts_in_the_order_given(self, kernel):
        """Inside, they are sorted by dtype."""
        parts = [vector([1.0] * k + [0.0] * (4 - k), d) for k, d in enumerate(["F16", "F64", "BF16", "F32", "F64"])]
        assert check(kernel, array(np.zeros(4)), parts, reduction("ties", parts)).kept == (0, 1, 2, 3, 4)


class TestSums:
    @pytest.mark.clause("TI-7", "EX-1", "EX-3")
    @pytest.mark.parametrize(
        ("values", "mean", "uncertified"),
        [
            ([2**24, 1, 1, -(2**24), -1], (2**24 + 2) / 3, 0),
            ([2**53, 1, -(2**53)], 2**52, 1),  # S = 2^53 + 1 is halved to 2^52 + 1/2, which is 2^52 as fp32
            ([2**60, 1, -(2**60)], 2**59, 1),
            ([1, 2**60, -1, -(2**60), -1], -(2**60) / 3, 1),
            ([2**60, -(2**60)], 0, 0),
            ([2.0**100, 2.0**-100, -(2.0**100)], 2.0**99, 1),
        ],
    )
    def test_are_exact(self, kernel, values, mean, uncertified, count_fallbacks):
        """Between two harmless coordinates, so that the exact one must find its place."""
        parts = [vector([1.0, value, 1.0]) for value in values]
        found = check(kernel, array([1.0, 0.0, 1.0]), parts, reduction("ties", parts))
        assert found.data.tolist() == [2.0, float(np.float32(mean)), 2.0]
        assert found.uncertified == uncertified
        count_fallbacks(found.uncertified)

    @pytest.mark.clause("TI-5", "EX-3")
    def test_without_certificate_know_their_place_among_ties(self, kernel):
        large = vector([0, 0, 2**60, 0, 0, 2**60], threshold=magnitude_bits(2**60), ties=3)
        parts = [large, vector([1] * 6), vector([0, 0, 2**40, 0, 0, 2**40])]
        found = check(kernel, array(np.zeros(6)), parts, reduction("trimmed_sum", parts))
        assert (found.data.tolist(), found.uncertified) == ([1, 1, 2.0**60 + 2.0**40, 1, 1, 2.0**40], 2)

    @pytest.mark.clause("EX-2")
    def test_have_their_certificate_up_to_the_limit(self, kernel):
        """The grid of 1 is 2^-23, so the limit beside it is 2^30, which is too much already; 2^-96 for subnormals."""
        certified = [[2**29, 2**29 - 32, 1], [2.0**-97, 2.0**-149], [2.0**-97, 2.0**-126]]
        uncertified = [[2**29, 2**29 - 32, 31, 1], [2**29, 2**29, 1], [2.0**-97, 2.0**-97, 2.0**-127]]
        for missed, values in [(0, v) for v in certified] + [(1, v) for v in uncertified]:
            parts = [vector([value]) for value in values]
            assert check(kernel, array([0.0]), parts, reduction("mean", parts)).uncertified == missed

    @pytest.mark.clause("EX-3")
    @pytest.mark.parametrize("method", METHODS)
    def test_of_coefficients_without_certificate(self, kernel, method):
        """2^-60 is lost beside 1 in fp64: TIES needs integers, and every coordinate counts as uncertified."""
        values = {1.0: [1.0, -2.0, 1.0], 2.0**-60: [1.0, 3.0, -(2.0**70)], 0.5: [1.0, 1.0, 0.0]}
        parts = [vector(v, coefficient=c) for c, v in values.items()]
        how = reduction(method, parts)
        assert not how.coefficients.certified
        assert check(kernel, array([0.0, 1.0, 2.0]), parts, how).uncertified == 3

    @pytest.mark.clause("TA-1", "TI-6")
    def test_take_negative_coefficients(self, kernel):
        parts = [vector([1.0, -3.0, 2.0], coefficient=-1.5), vector([1.0, 1.0, 3.0], coefficient=1.0)]
        found = check(kernel, array([0.0, 0.0, 0.0]), parts, reduction("task_arithmetic", parts))
        assert found.data.tolist() == [-0.5, 5.5, 0.0]

    @pytest.mark.clause("TI-6", "TI-8")
    def test_leave_out_a_v_that_underflows(self, kernel):
        parts = [vector([2.0**-149], coefficient=0.25), vector([1.0], coefficient=1.0), vector([0.5], coefficient=1.0)]
        assert check(kernel, array([0.0]), parts, reduction("ties", parts)).data.tolist() == [0.75]

    @pytest.mark.clause("MG-8")
    @pytest.mark.parametrize("method", METHODS)
    def test_of_many_parts_of_all_dtypes(self, kernel, method):
        base = scattered(0, 37, "F32")
        parts = [
            Part(scattered(seed, 37, NAMES[seed % 4]), ("finetuned", "task_vector")[seed % 3 > 0], 1.0, ALL_BUT_ZEROS)
            for seed in range(1, 41)
        ]
        assert check(kernel, base, parts, reduction(method, parts)).data.tobytes() != base.tobytes()


class TestApply:
    @pytest.mark.clause("MG-1", "MG-2")
    @pytest.mark.parametrize("dtype", FLOATS)
    @pytest.mark.parametrize("lambda32", [0.0, -0.5, 3.0])
    def test_copies_the_bits_of_what_does_not_move(self, kernel, dtype, lambda32):
        base = array([-0.0, np.nan, 1.0, 2.0], dtype)
        parts = [vector([0.0, 0.0, 1.0, 0.0])]
        found = check(kernel, base, parts, reduction("ties", parts, lambda32))
        assert float(found.data[2]) == 1 + lambda32
        assert [found.data[i].tobytes() for i in (0, 1, 3)] == [base[i].tobytes() for i in (0, 1, 3)]

    @pytest.mark.clause("TI-6", "MG-5")
    @pytest.mark.parametrize(
        ("dtype", "base", "taus", "coefficients", "lambda32"),
        [
            ("F32", 0, [3e38], [4.0], 1.0),
            ("F32", 0, [3e38], [4.0], 0.0),
            ("F32", 0, [3e38, 3e38], [1.0, 1.0], 0.0),
            ("F32", 0, [3e38, 3e38, 1e-38], [1.0, 1.0, 1.0], 0.5),
            ("F32", 3e38, [3e38], [1.0], 1.0),
            ("F32", 0, [3e38], [1.0], 2.0),
            ("F32", np.nan, [1.0], [1.0], 1.0),
            ("BF16", 3.38e38, [2e36], [1.0], 1.0),
            ("BF16", np.nan, [1.0], [1.0], 1.0),
            ("F16", 65000, [1000], [1.0], 1.0),
            ("F16", np.inf, [1.0], [1.0], 1.0),
            ("F64", np.inf, [1.0], [1.0], 1.0),
            ("F64", np.nan, [1.0], [1.0], -1.0),
        ],
    )
    def test_tells_of_numbers_beyond_the_range(self, kernel, dtype, base, taus, coefficients, lambda32):
        parts = [vector([0.0, tau], coefficient=c) for tau, c in zip(taus, coefficients, strict=True)]
        assert check(kernel, array([0, base], dtype), parts, reduction("task_arithmetic", parts, lambda32)) is None

    @pytest.mark.clause("EX-3", "MG-5")
    def test_lets_the_exact_sum_judge_its_range(self, kernel):
        """fp64 loses each small term beside the large ones, and the sum without them is beyond fp32."""
        values = [2.0**127, 2.0**127 - 2.0**103] + [-(2.0**74) + 2.0**50] * 4
        parts = [vector([value, 0.5]) for value in values]
        found = check(kernel, array([0.0, 0.0]), parts, reduction("task_arithmetic", parts))
        assert (found.data.tolist(), found.uncertified) == ([float(np.finfo(np.float32).max), 3.0], 1)


class TestCount:
    WINDOWS = (ALL, Window(magnitude_bits(0.25), 0, 1 << 10), Window(magnitude_bits(0.1), 16, 64), Window(0, 23, 1))

    @pytest.mark.clause("TI-3")
    @pytest.mark.parametrize("window", WINDOWS)
    @pytest.mark.parametrize("dtypes", [("F32", "F32"), ("BF16", "BF16"), ("F16", "F32"), ("F64", "BF16")])
    def test_adds_what_lies_in_each_bin_and_above(self, kernel, window, dtypes):
        n = gpu.TILE + 77
        base, values = scattered(1, n, dtypes[0]), scattered(2, n, dtypes[1])
        values[3:9] = array([0.25] * 6, dtypes[1])
        for form in ("finetuned", "task_vector"):
            part = Part(values, form, 1.0)
            expected, found = np.full(window.bins + 1, 5), np.full(window.bins + 1, 5)
            assert on_numpy().count(base, part, window, expected)
            assert kernel.count(base, part, window, found)
            assert found.tolist() == expected.tolist()

    @pytest.mark.clause("TV-4")
    def test_adds_nothing_where_some_tau_is_not_finite(self, kernel):
        counts = np.zeros(ALL.bins + 1, np.int64)
        assert not kernel.count(array([1.0, 1.0]), tuned([2.0, np.inf]), ALL, counts)
        assert not counts.any()


class TestOnDevice:
    @pytest.mark.parametrize("dtype", ["F32", "BF16"])
    def test_tensors_may_lie_anywhere(self, kernel, dtype):
        device = "cuda" if ON_CUDA else "cpu"
        base, moved = scattered(1, 100, dtype), scattered(2, 100, dtype)
        parts = [Part(moved[3::2].copy(), "finetuned", 1.0, ALL_BUT_ZEROS)]
        there = [replace(parts[0], values=to_torch(moved, device)[3::2])]
        with np.errstate(all="ignore"):
            expected = on_numpy().reduce(base[3::2].copy(), parts, reduction("ties", parts))
        found = gpu.reduce_on_device(to_torch(base, device)[3::2], there, reduction("ties", parts))
        assert torch.equal(found.data.cpu().view(torch.uint8), to_torch(expected.data).view(torch.uint8))
        assert found.kept == expected.kept

    @pytest.mark.clause("MG-8")
    def test_threads_do_not_meet(self, kernel):
        """Blocks of different sizes and dtypes at the same time, each thread checked before it starts."""

        def work(seed):
            base = scattered(seed, 50 + 7 * seed, NAMES[seed % 4])
            parts = [Part(scattered(seed + k, base.size, "F32"), "task_vector", 1.0, ALL_BUT_ZEROS) for k in (20, 40)]
            return check(kernel, base, parts, reduction("ties", parts)).data.any()

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(work, range(16)))

    @needs_cuda
    @pytest.mark.parametrize("dtype", FLOATS)
    def test_large_blocks_of_several_threads(self, kernel, dtype):
        def work(seed):
            base = scattered(seed, (1 << 20) + 1, dtype)
            parts = [Part(scattered(seed + k, base.size, dtype), "finetuned", 1.0, ALL_BUT_ZEROS) for k in (20, 40, 60)]
            return check(kernel, base, parts, reduction("ties", parts)).data.any()

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(work, range(8)))


class TestWorkers:
    @pytest.mark.clause("MG-9")
    def test_are_taken_where_subnormals_live(self, kernel):
        kernel.check_worker()

    @pytest.mark.clause("MG-9")
    def test_are_refused_where_the_thread_flushes(self, kernel):
        found = []

        def work():
            torch.set_flush_denormal(True)
            try:
                kernel.check_worker()
            except SubnormalsFlushed as error:
                found.append(str(error))
            finally:
                torch.set_flush_denormal(False)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert found
        assert "this process flushes" in found[0]

    @pytest.mark.clause("MG-9")
    def test_are_refused_where_only_the_kernel_flushes(self, kernel, monkeypatch):
        def flushing(base, parts, how):
            found = reduce_on_device(base, parts, how)
            tiny = torch.finfo(base.dtype).smallest_normal
            return replace(found, data=torch.where(found.data.abs() < tiny, 0, found.data).to(base.dtype))

        reduce_on_device = gpu.reduce_on_device
        monkeypatch.setattr(gpu, "reduce_on_device", flushing)
        with pytest.raises(SubnormalsFlushed, match="the triton kernel flushes subnormal numbers"):
            kernel.check_worker()

    @pytest.mark.parametrize("verb", ["reduce", "count"])
    def test_say_what_to_do_when_the_device_is_full(self, kernel, monkeypatch, verb):
        def full(*_):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ...")

        monkeypatch.setattr(gpu, "_to_device", full)
        part = vector([1.0])
        arguments = [reduction("ties", [part])] if verb == "reduce" else [ALL, np.zeros(ALL.bins + 1, np.int64)]
        call = [array([1.0]), [part] if verb == "reduce" else part, *arguments]
        with pytest.raises(BackendError, match=r"does not fit the memory of the CUDA device; use a smaller block"):
            getattr(kernel, verb)(*call)

    def test_pass_other_errors_on(self, kernel, monkeypatch):
        def broken(*_):
            raise RuntimeError("something else")

        monkeypatch.setattr(gpu, "_to_device", broken)
        with pytest.raises(RuntimeError, match="something else"):
            kernel.reduce(array([1.0]), [vector([1.0])], reduction("ties", [vector([1.0])]))

    @pytest.mark.skipif(ON_CUDA, reason="there is a CUDA device here")
    def test_need_a_device(self, without_interpreter):
        with pytest.raises(BackendError, match="only under TRITON_INTERPRET=1"):
            gpu.TritonKernel("cuda")
        assert "backend 'triton' needs a CUDA device that torch can see" in without_interpreter["refusal"]

    @pytest.mark.parametrize("missing", ["torch", "triton"])
    def test_need_torch_and_triton(self, monkeypatch, missing):
        monkeypatch.setitem(sys.modules, missing, None)
        monkeypatch.delitem(sys.modules, "mergealgebra.kernels.gpu")
        with pytest.raises(BackendError, match=rf"needs {missing}, which is not installed; pip install"):
            importlib.import_module("mergealgebra.kernels.gpu")


class TestCompiled:
    """The code that a device would run, which can be read without one."""

    @pytest.mark.clause("MG-3", "MG-8", "MG-9")
    def test_code_rounds_as_ieee(self, without_interpreter):
        for code in without_interpreter["codes"]:
            for forbidden in (".ftz", "fma.", "mad.f", ".approx", "div.full", "cvt.rn.bf16", ".f16.f64", "lg2", "ex2"):
                assert forbidden not in code
        assert all("div.rn.f64" in code for code in without_interpreter["codes"][:3])

    def test_code_reads_vectors_through_addresses_in_a_table(self, without_interpreter):
        """The base, the first part and each next one: with so many loads of vectors each."""
        for code, loads in zip(without_interpreter["codes"], (2, 1, 1, 4), strict=True):
            assert code.count("ld.global.v") >= 3 * loads

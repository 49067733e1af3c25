"""Threads and blocks fit the memory that is given, and what they cost is at most what the plan says."""

from __future__ import annotations

import re

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

import mergealgebra as ma
from mergealgebra.engine import limits
from mergealgebra.engine.limits import LEAST_BLOCK, MEMORY, available_cores
from mergealgebra.engine.plan import Plan
from mergealgebra.engine.sources import SPAN
from mergealgebra.errors import BackendError
from tests.engine.sources import Arrays, merged, plan_of

MIB = 1 << 20
SIZE = 3 * SPAN


def sized(dtype=np.float32, size=SIZE) -> Arrays:
    """A tensor that takes no memory."""
    return Arrays({"w": np.broadcast_to(np.zeros(1, dtype), size)})


def plan(contributions: int, dtype=np.float32, size=SIZE, **how) -> Plan:
    return plan_of([sized(size=size)] * contributions, ma.Mean(), sized(dtype, size), **how)


def needed(made: Plan) -> int:
    """What is in use at once: blocks of all inputs and a mebibyte for each worker, and results that wait."""
    row = sum(4 for _ in made.contributions) + made.base.tensors["w"].dtype.itemsize
    piece = min(SPAN, made.base.size) * made.base.tensors["w"].dtype.itemsize
    return made.threads * (made.block * row + MIB) + (2 * made.threads + 1) * piece


class TestMemory:
    @pytest.mark.parametrize("contributions", [1, 8, 200])
    @pytest.mark.parametrize("dtype", [np.float64, np.float32, ml_dtypes.bfloat16])
    @pytest.mark.parametrize("memory", [30 * MIB, 64 * MIB, 200 * MIB, 1 << 40])
    def test_is_kept_to(self, contributions, dtype, memory):
        for threads in (1, 2, 64):
            made = plan(contributions, dtype, threads=threads, memory=memory)
            assert needed(made) <= memory
            assert 1 <= made.threads <= threads
            assert LEAST_BLOCK <= made.block <= SPAN
            assert made.memory == memory

    def test_is_256_mib_if_nobody_says(self):
        made = plan(8)
        assert (made.memory, made.threads) == (MEMORY, available_cores())
        assert MEMORY == 256 * MIB
        assert needed(plan(200, threads=64)) <= MEMORY

    def test_that_is_enough_changes_nothing(self):
        """Blocks suit the cache, and threads are those asked for, however much there is."""
        made = [plan(8, threads=4, memory=memory, name="numba") for memory in (1 << 30, 1 << 40)]
        assert {(p.threads, p.block) for p in made} == {(4, made[0].block)}
        assert made[0].block * 36 <= limits.CACHE_BYTES < 2 * made[0].block * 36

    def test_is_not_taken_by_what_equations_make_on_the_way(self):
        """NumPy and torch make several arrays of the size of a block, so that is small, unless somebody says."""
        for name in ("numpy", "torch"):
            made = plan(1, name=name)
            assert made.block == made.kernel.block < plan(1, name="numba").block
            assert plan(1, name=name, block=SPAN).block == SPAN

    def test_that_is_scarce_makes_blocks_smaller_then_threads_fewer(self):
        found = [plan(200, threads=8, memory=memory) for memory in range(160 * MIB, 20 * MIB, -MIB)]
        pairs = [(p.threads, p.block) for p in found]
        assert pairs == sorted(pairs, reverse=True)
        assert pairs[0][0] == 8
        assert pairs[-1][0] < 8
        assert all(block == LEAST_BLOCK for threads, block in pairs if threads < 8)

    def test_that_is_too_little_is_said_with_what_would_do(self):
        with pytest.raises(BackendError, match=r"^memory: 1,000 bytes are too few, .*; raise memory=, .*$") as raised:
            plan(8, memory=1000)
        least = int(re.search(r"takes ([0-9,]+) or more", str(raised.value))[1].replace(",", ""))
        assert needed(plan(8, memory=least)) == least
        with pytest.raises(BackendError, match="too few"):
            plan(8, memory=least - 1)

    def test_goes_before_threads_but_not_before_a_block(self):
        """A block that somebody chose stays."""
        made = plan(8, threads=8, block=100_000, memory=64 * MIB)
        assert made.block == 100_000
        assert made.threads < 8
        with pytest.raises(BackendError, match="lower block="):
            plan(8, threads=8, block=SPAN, memory=32 * MIB)

    def test_of_small_models_is_little(self):
        assert plan(3, size=10, threads=3, memory=5 * MIB).threads == 3

    @pytest.mark.parametrize("wrong", [{"threads": 0}, {"threads": -1}, {"block": 0}, {"memory": 0}, {"memory": -5}])
    def test_and_the_like_are_at_least_one(self, wrong):
        ((name, number),) = wrong.items()
        with pytest.raises(BackendError, match=rf"^{name}: {number} is below 1; leave it out for the default$"):
            plan(1, **wrong)


def test_blocks_are_never_longer_than_spans():
    assert plan(1, block=1 << 30, memory=1 << 40).block == SPAN


def test_more_inputs_than_the_cache_has_bytes(monkeypatch):
    """Hundreds of thousands of contributions."""
    monkeypatch.setattr(limits, "CACHE_BYTES", 7)
    assert plan(1).block == LEAST_BLOCK


@pytest.mark.clause("MG-8")
@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_memory_changes_no_bit(name):
    rng = np.random.default_rng(0)
    vectors = [{"w": rng.normal(size=20_000).astype(np.float32)} for _ in range(5)]
    expected, totals = merged(plan_of(vectors, ma.Ties(density="0.2"), name="numpy", threads=1))
    for memory in (2 * MIB, 3 * MIB, 1 << 30):
        found, other = merged(plan_of(vectors, ma.Ties(density="0.2"), name=name, threads=3, memory=memory))
        assert found["w"].tobytes() == expected["w"].tobytes()
        assert other.kept == totals.kept


@pytest.mark.clause("EN-6", "MG-8")
def test_spans_of_rows_are_whole_rows_and_whole_leaves(tmp_path):
    """Rows of five numbers of two bytes, of which no power of two is a whole number."""
    rng = np.random.default_rng(0)
    base = {"w": rng.normal(size=(600_000, 5)).astype(ml_dtypes.bfloat16)}
    for name, model in {"base": base, "tuned": {"w": (base["w"] * 1.01).astype(ml_dtypes.bfloat16)}}.items():
        save_file(model, tmp_path / f"{name}.safetensors")
    made = plan_of([Arrays(base)], ma.DellaLinear(), Arrays(base))
    assert [span.size for span in made.spans("w")] == [5 << 19, 3_000_000 - (5 << 19)]
    out = tmp_path / "out.safetensors"
    ma.merge(tmp_path / "base.safetensors", [tmp_path / "tuned.safetensors"], ma.DellaLinear(), out=out)
    assert ma.verify(out).ok

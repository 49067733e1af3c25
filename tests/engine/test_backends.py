"""All backends, on files of every dtype: equal bits; and what is said of a backend that is not there."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import mergealgebra as ma
from mergealgebra.engine.backends import backend, torch_on
from mergealgebra.errors import BackendError
from mergealgebra.execution import Execution
from mergealgebra.kernels import reference
from tests.engine.scenes import merged, tensors_of
from tests.models import DTYPES, base, fine_tune

RECIPES = {
    "ties": ma.Ties(density="0.3", lambda_="0.7"),
    "ties of each tensor, ties cut": ma.Ties(density="0.3", scope="tensor", boundary="lowest_index"),
    "ties of everything": ma.Ties(lambda_="-1.3"),
    "mean": ma.Mean(lambda_="0.9"),
    "task arithmetic": ma.TaskArithmetic(lambda_="0.123456789"),
}
COEFFICIENTS = ("0.3", "1", "2.5")


def scattered(seed):
    """Tensors of every float dtype over many binades, subnormals among them; nothing overflows when merged."""
    random = np.random.default_rng(seed)
    tensors = {}
    for name, dtype in DTYPES.items():
        exponents = random.integers(*((-24, 12) if name == "F16" else (-160, 100)), 3000)
        values = random.choice([-1.0, 1.0], 3000) * random.uniform(1, 2, 3000) * 2.0**exponents
        values[random.integers(0, 3000, 300)] = 0.0
        values[random.integers(0, 3000, 100)] *= -0.0
        tensors[name] = values.astype(dtype).reshape(30, 100)
    return tensors


def moved(start, seed):
    """A fine-tune: a third of the elements as they are, a third a little off, a third elsewhere altogether."""
    random = np.random.default_rng(seed)
    tuned = {}
    for name, array in start.items():
        near = (array.astype(np.float64) * random.uniform(0.99, 1.01, array.shape)).astype(array.dtype)
        far = scattered(seed)[name]
        kind = random.integers(0, 3, array.shape)
        tuned[name] = np.where(kind == 0, array, np.where(kind == 1, near, far)).astype(array.dtype)
    return tuned


@pytest.mark.clause("MG-8", "MG-3")
class TestEqualBits:
    @pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
    @pytest.mark.parametrize("backend", ["torch", "numba"])
    def test_for_numpy_and_others(self, tmp_path, recipe, backend):
        self._compare(tmp_path, recipe, [Execution(backend, threads=1), Execution(backend, threads=3, block=997)])

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="torch-cuda: torch sees no CUDA device here")
    @pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
    def test_for_numpy_and_cuda(self, tmp_path, recipe):
        self._compare(
            tmp_path, recipe, [Execution("torch-cuda", threads=1), Execution("torch-cuda", threads=3, block=997)]
        )

    def _compare(self, root, recipe, ways):
        start = scattered(0)
        tuned = [moved(start, seed) for seed in (1, 2, 3)]
        reference = merged(root, tuned, start, recipe, Execution("numpy", threads=1), COEFFICIENTS)
        assert any(a.tobytes() != start[name].tobytes() for name, a in tensors_of(root / "out").items())
        for number, way in enumerate(ways):
            result = merged(root, tuned, start, recipe, way, COEFFICIENTS, out=f"out{number}")
            assert result.backend == way.backend
            assert result.lock == replace(reference.lock, backend=way.backend)
            assert (root / f"out{number}" / "model.safetensors").read_bytes() == (
                root / "out" / "model.safetensors"
            ).read_bytes()

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_blocks_come_back_as_they_went(self, dtype):
        """Bits survive the way to torch and back, NaN with their payloads too."""
        size = np.dtype(DTYPES[dtype]).itemsize
        host = np.random.default_rng(0).bytes(1000 * size)
        array = np.frombuffer(host, DTYPES[dtype]).copy()
        there = torch_on("cpu")
        assert there.unload(there.load(array)).tobytes() == host


ONE = {"w": np.ones(3, np.float32)}
#: Every backend that needs nothing but its library, by what is asked for: nobody may get another one in silence.
GIVEN = {"numpy": "numpy", "numba": "numba", "numpy+numba": "numpy+numba", "torch": "torch", "auto": "numba"}


class TestChoice:
    @pytest.mark.parametrize("asked", GIVEN)
    def test_is_what_was_asked_for(self, tmp_path, asked):
        result = merged(tmp_path, execution=Execution(asked))
        assert result.backend == result.lock.backend == GIVEN[asked]
        assert ma.merge(ONE, [ONE], ma.Mean(), backend=asked).backend == GIVEN[asked]

    @pytest.mark.parametrize("asked", GIVEN)
    def test_is_what_computes(self, monkeypatch, asked):
        """The name is no label: the kernel of that name is the one that is called."""
        chosen = backend(asked)
        assert chosen.name == GIVEN[asked]
        assert (type(chosen).__name__ == "NumbaKernel") == (GIVEN[asked] == "numba")
        if GIVEN[asked] != "numba":
            assert type(chosen.load(ONE["w"])).__module__.partition(".")[0] == GIVEN[asked].partition("+")[0]

    @pytest.mark.parametrize(("asked", "given"), [("torch", "torch"), ("auto", "torch"), ("numba", "numba")])
    def test_auto_computes_where_the_tensors_are(self, asked, given):
        there = {"w": torch.ones(3)}
        found = ma.merge(there, [there], ma.Mean(), backend=asked)
        assert found.backend == given
        assert isinstance(found["w"], torch.Tensor)

    def test_auto_is_numpy_without_numba(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "numba", None)
        assert merged(tmp_path, execution=Execution("auto")).backend == "numpy"
        assert ma.merge(ONE, [ONE], ma.Mean(), backend="auto").backend == "numpy"

    def test_numba_may_be_missing(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "numba", None)
        for use in (
            lambda: backend("numba"),
            lambda: merged(tmp_path, execution=Execution("numba")),
            lambda: ma.merge(ONE, [ONE], ma.Mean(), backend="numba"),
        ):
            with pytest.raises(BackendError, match=r"'numba' is not installed; pip install numba"):
                use()
        assert not (tmp_path / "out").exists()

    def test_an_unknown_one_is_refused_before_anything_is_written(self, tmp_path):
        with pytest.raises(
            BackendError,
            match=r"backend 'tpu' is unknown; expected one of auto, numba, numpy, numpy\+numba, torch, torch-cuda",
        ):
            merged(tmp_path, execution=Execution("tpu"))
        assert not (tmp_path / "out").exists()

    def test_torch_may_be_missing(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "torch", None)
        with pytest.raises(BackendError, match=r"not installed; pip install torch"):
            backend("torch")

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
    def test_cuda_may_be_missing(self):
        with pytest.raises(BackendError, match="needs a CUDA device"):
            backend("torch-cuda")

    @pytest.mark.parametrize("value", [0, -1])
    @pytest.mark.parametrize("option", ["threads", "block", "memory"])
    def test_of_threads_block_and_memory_is_checked(self, tmp_path, option, value):
        with pytest.raises(BackendError, match="is below 1"):
            merged(tmp_path, [fine_tune(0)], base(), execution=Execution(**{option: value}))
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("threads", [1, 2])
def test_torch_starts_no_threads_of_its_own_while_workers_compute_with_it(threads, monkeypatch):
    """On a busy machine they wait for each other: one worker took ten times as long as two."""
    real, seen = reference.view_of, set()
    monkeypatch.setattr(reference, "view_of", lambda *given: seen.add(torch.get_num_threads()) or real(*given))
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        ones = {"w": np.ones(9, np.float32)}
        ma.merge(ones, [ones], ma.Mean(), backend="torch", threads=threads)
        assert (seen, torch.get_num_threads()) == ({1}, 3)
    finally:
        torch.set_num_threads(before)

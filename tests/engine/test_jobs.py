"""A merge as a job that travels: to threads, and to processes, with equal bits."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.engine.backends import backend
from mergealgebra.engine.memory import merge
from mergealgebra.errors import BackendError
from mergealgebra.execution import Execution
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.engine.scenes import base, fine_tune, merged, write_file

METHODS = {
    "ties": ma.Ties(density="0.3"),
    "ties, ties cut": ma.Ties(density="0.3", boundary="lowest_index", scope="tensor"),
    "dare before ties": ma.DareTies(density="0.5", trim_density="0.2", seed="7"),
    "rows, dropped by rank": ma.Della(seed="7"),
}


@pytest.fixture(scope="module")
def processes():
    """Two processes that import the package anew, as on another machine."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.mark.clause("MG-8")
@pytest.mark.parametrize("name", ["numpy", "numba"])
@pytest.mark.parametrize("recipe", METHODS.values(), ids=METHODS)
def test_threads_and_processes_give_the_same_bits(tmp_path, recipe, name, processes: Executor, threads: Executor):
    if not backend(name).computes(recipe):
        name = "auto"
    results = [
        merged(tmp_path, out=str(i), recipe=recipe, execution=Execution(name, 2, 64, executor=executor))
        for i, executor in enumerate((None, threads, processes))
    ]
    assert len({result.model_root for result in results}) == 1
    assert len({result.lock.to_bytes() for result in results}) == 1


def test_an_error_comes_back_from_a_process(tmp_path, processes):
    name = next(name for name, array in fine_tune(0).items() if array.dtype == np.float32)
    broken = fine_tune(0) | {name: np.full_like(fine_tune(0)[name], np.nan)}
    with pytest.raises(ma.errors.NonFinite, match=f"{name!r} at index"):
        merged(tmp_path, [broken], execution=Execution(executor=processes))


def test_arrays_in_memory_stay_in_this_process(processes):
    vector = {"w": np.ones(4, np.float32)}
    with pytest.raises(BackendError, match="in this process"):
        merge({"w": np.zeros(4, np.float32)}, [vector], ma.Mean(), executor=processes)


def test_a_checkpoint_travels_as_where_it_lies(tmp_path):
    path = write_file(tmp_path / "base.safetensors", base())
    with Checkpoint.open(path) as here, pickle.loads(pickle.dumps(here)) as there:
        assert there.root() == here.root()
        assert len(pickle.dumps(here)) < path.stat().st_size + 4096

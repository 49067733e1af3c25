"""What NumPy and torch both need: bits, places, copies, and the refusal of flushed subnormals."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mergealgebra.algebra import arrays, exact, trim
from mergealgebra.algebra.apply import apply
from mergealgebra.algebra.difference import difference
from mergealgebra.algebra.method import Group, Statistic, View
from mergealgebra.errors import SubnormalsFlushed
from mergealgebra.methods.registry import METHODS

ARRAYS = {"numpy": np.asarray, "torch": torch.from_numpy}
LEAST = 2.0**-149


def found_by(statistic: Statistic, view: View) -> object:
    """What a statistic finds of a tensor that is one block."""
    group = Group(0, (view.tensor,), view.tau.size)
    look, done = statistic.first(group, None), False
    while not done:
        done, look = statistic.settle(look, group, statistic.observe(look, view, statistic.nothing(look)))
    return statistic.within(look, view.tensor, 0, view.tau.size)


def test_numpy_arrays_meet_numpy_itself(monkeypatch):
    """Without array-api-compat, all equations run: it need not be there for a merge on NumPy."""
    monkeypatch.setitem(sys.modules, "array_api_compat", None)
    v = np.float32([1, -2, 0])
    assert arrays.array_namespace(v, v) is np
    apply(v, v, 2.0)
    trim.window_counts(difference(v, v, v == 0), trim.around(1))
    for method in METHODS.values():
        shared: tuple[np.ndarray, ...] = ()
        for round_ in method().rounds:
            view = View(v, 1.0, "w", (3,), root="00" * 32, auxiliary={"fisher": abs(v)}, shared=shared, base=v)
            for stage in round_.stages:
                found = None if stage.statistic is None else found_by(stage.statistic, view)
                view = replace(view.with_tau(stage(view, found)), found=(*view.found, found))
            sums = exact.Sums.of(round_.lift(view), round_.columns.votes)
            both = sums.combine(sums)
            whole = both if sums.maxima else both.retract(sums)
            shared += (round_.finalize(whole, exact.Coefficients((1.0,), (1.0,))),)
    arrays.with_values(trim.trim(v, 1, 3), np.array([0]), np.array([1.0]))
    assert arrays.first_true(v > 0) == 0


def test_torch_tensors_meet_the_array_api():
    tensor = torch.tensor([1.0])
    assert arrays.array_namespace(tensor, tensor).astype(tensor, torch.float64).dtype == torch.float64


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_bits_are_a_view(array):
    x = array(np.float32([1, -0.0, LEAST]))
    assert arrays.int_bits(x).tolist() == [0x3F800000, -(1 << 31), 1]
    arrays.int_bits(x)[2] = 0x40000000
    assert x.tolist()[2] == 2


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_first_true(array):
    assert arrays.first_true(array(np.array([False, False, True, True]))) == 2
    assert arrays.first_true(array(np.array([True, False]))) == 0
    assert arrays.first_true(array(np.array([False, False]))) is None
    assert arrays.first_true(array(np.array([], bool))) is None
    assert type(arrays.first_true(array(np.array([True])))) is int


def test_to_numpy_copies_nothing():
    x = np.float32([1, 2])
    assert arrays.to_numpy(x) is x
    tensor = torch.from_numpy(x)
    assert isinstance(arrays.to_numpy(tensor), np.ndarray)
    tensor[0] = 7
    assert arrays.to_numpy(tensor).tolist() == [7, 2]


class Elsewhere:
    """A tensor on a device: it comes to the host by `cpu` alone."""

    def cpu(self) -> np.ndarray:
        return np.float32([5])


def test_to_numpy_brings_a_tensor_to_the_host():
    assert arrays.to_numpy(Elsewhere()).tolist() == [5]


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8])
def test_with_values_is_a_copy(array, dtype):
    x = array(np.array([1, 2, 3], dtype))
    copy = arrays.with_values(x, np.array([2, 0]), np.array([7, 8], np.float64))
    assert copy.tolist() == [8, 2, 7]
    assert copy.dtype == x.dtype
    assert x.tolist() == [1, 2, 3]


def test_with_values_stays_on_the_device_of_its_tensor():
    on_meta = arrays.with_values(torch.empty(3, device="meta"), np.array([1]), np.array([2.0]))
    assert on_meta.device.type == "meta"


def test_with_values_makes_what_it_needs_where_its_tensor_is(monkeypatch):
    """An index or a value left on the host would not do on a GPU."""
    devices = []

    def asarray(x, *, device=None, **how):
        devices.append(device)
        return np.array(x, **how)

    monkeypatch.setattr(arrays, "array_namespace", lambda _: SimpleNamespace(asarray=asarray))
    x = np.float32([1, 2])
    assert arrays.with_values(x, np.array([1]), np.array([7.0])).tolist() == [1, 7]
    assert devices == [None, x.device, x.device]


class Flushing(np.ndarray):
    """Numbers that come out as zero where they are subnormal: sums, products, or whatever is read."""

    flushed: str

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        plain = [np.asarray(x) if isinstance(x, np.ndarray) else x for x in inputs]
        if self.flushed == "reads":
            plain = [_flushed(x) if isinstance(x, np.ndarray) else x for x in plain]
        result = getattr(ufunc, method)(*plain, **kwargs)
        if self.flushed == {np.add: "sums", np.multiply: "products"}.get(ufunc):
            result = _flushed(result)
        return made(np.asarray(result), self.flushed)


def _flushed(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < np.finfo(x.dtype).tiny, x * 0, x) if x.dtype.kind == "f" else x


def made(x: np.ndarray, flushed: str) -> Flushing:
    numbers = x.view(Flushing)
    numbers.flushed = flushed
    return numbers


def library(flushes: object, flushed: str = "") -> SimpleNamespace:
    """NumPy, but for one dtype that flushes; every array must be made on `device`, and be as long as a block."""

    def full(shape, value, dtype, device):
        assert device == "device"
        assert shape >= (1 << 17,)
        numbers = np.full(shape, value, dtype)
        return made(numbers, flushed) if dtype is flushes else numbers

    return SimpleNamespace(float32=np.float32, float64=np.float64, full=full, all=np.all)


@pytest.mark.clause("MG-9")
@pytest.mark.parametrize("flushed", ["sums", "products", "reads"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_library_that_flushes_in_one_dtype_and_way_is_refused(dtype, flushed):
    with pytest.raises(SubnormalsFlushed, match=r"^this process flushes subnormal numbers to zero, so its merged bits"):
        arrays.refuse_flushed_subnormals(library(dtype, flushed), "device")


@pytest.mark.clause("MG-9")
def test_a_library_that_flushes_nothing_is_not_refused():
    arrays.refuse_flushed_subnormals(np)
    arrays.refuse_flushed_subnormals(library(None), "device")
    arrays.refuse_flushed_subnormals(torch, torch.device("cpu"))


@pytest.mark.clause("MG-9")
def test_the_message_says_what_to_do():
    with pytest.raises(SubnormalsFlushed) as caught:
        arrays.refuse_flushed_subnormals(library(np.float32, "sums"), "device")
    assert str(caught.value) == (
        "this process flushes subnormal numbers to zero, so its merged bits would differ from everyone else's; "
        "do not call torch.set_flush_denormal(True), and unload libraries built with -ffast-math"
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_a_mask_keeps_bits_and_leaves_positive_zeros(array, dtype):
    """Whatever they are: NaN and infinities leave nothing behind, and a negative zero that is kept keeps its sign."""
    x = np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, LEAST, -3.0], dtype)
    for mask in (np.arange(x.size) % 2 == 0, np.arange(x.size) % 2 == 1):
        found = np.asarray(arrays.kept(array(x), array(mask)))
        assert found.tobytes() == np.where(mask, x, dtype(0)).tobytes()


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_two_arrays_are_joined_by_a_mask_to_the_bit(array):
    x, y = np.float32([np.nan, np.inf, -0.0, LEAST]), np.float32([-3, np.nan, 0, -np.inf])
    for mask in (np.array([True, False, True, False]), np.array([False, True, False, True])):
        assert np.asarray(arrays.either(array(mask), array(x), array(y))).tobytes() == np.where(mask, x, y).tobytes()

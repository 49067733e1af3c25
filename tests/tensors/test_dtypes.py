"""Dtypes: what is supported, and that widening is exact and narrowing rounds once."""

import re
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors import SafetensorError, safe_open

from mergealgebra.errors import DtypeError
from mergealgebra.tensors.dtypes import DTYPES, UNMERGED, bits, lookup, name_of, narrow, to_host, to_torch, widen
from tests.models import write_raw

FLOATS = ("F64", "F32", "BF16", "F16")
SMALL_FLOATS = {"BF16": ml_dtypes.bfloat16, "F16": np.float16}
#: Those that both libraries have: of packed ones, torch takes two for one element, or has none.
IN_BOTH = [name for name, dtype in DTYPES.items() if dtype.bits >= 8]
ALL_16_BITS = np.arange(1 << 16, dtype=np.uint16)


def as_torch(array):
    """The same bits as a torch tensor; torch cannot take ml_dtypes arrays."""
    if array.dtype.name.startswith(("bfloat", "float8")):
        integers = torch.from_numpy(array.view(f"i{array.itemsize}"))
        return integers.view(getattr(torch, array.dtype.name))
    return torch.from_numpy(array)


@pytest.mark.clause("EN-12")
def test_the_table_is_the_clause():
    packed = {"F6_E2M3": 6, "F6_E3M2": 6, "F4": 4}
    unmerged = {"F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64", *packed}
    others = {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", *unmerged}
    assert {name for name, dtype in DTYPES.items() if dtype.is_float} == set(FLOATS)
    assert {name for name, dtype in DTYPES.items() if not dtype.is_float} == others
    assert {name: dtype.itemsize for name, dtype in DTYPES.items() if dtype.itemsize == 2} == dict.fromkeys(
        ("BF16", "F16", "U16", "I16"), 2
    )
    assert {name: dtype.bits for name, dtype in DTYPES.items() if dtype.bits != 8 * dtype.itemsize} == packed
    assert unmerged == UNMERGED


@pytest.mark.clause("EN-12")
def test_the_table_is_what_the_package_reads(tmp_path):
    """Its own list stands in what it says of a dtype that it does not know."""
    write_raw(tmp_path / "m.safetensors", '{"w":{"dtype":"X1","shape":[0],"data_offsets":[0,0]}}', b"")
    with pytest.raises(SafetensorError) as caught, safe_open(tmp_path / "m.safetensors", "numpy"):
        pass
    assert set(re.findall("`([A-Z0-9_]+)`", str(caught.value))) - {"X1"} == set(DTYPES)


@pytest.mark.clause("EN-12")
def test_an_unknown_dtype_is_refused_with_those_that_a_weight_may_have():
    with pytest.raises(DtypeError) as caught:
        lookup("F8", "m.safetensors: tensor 'w'")
    assert str(caught.value) == (
        "m.safetensors: tensor 'w': 'F8' is not a dtype of safetensors; "
        "write the tensor again, a weight as one of F64, F32, BF16, F16"
    )


UNKNOWN = {"lower case": "f32", "empty": "", "torch's name": "float32", "long": "F" * 10_000, "lines": "F\n32"}


@pytest.mark.clause("EN-12")
@pytest.mark.parametrize("name", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_unknown_dtypes_are_refused_on_one_line(name):
    with pytest.raises(DtypeError, match="is not a dtype") as caught:
        lookup(name, "w")
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


@pytest.mark.clause("EN-12")
@pytest.mark.parametrize("name", IN_BOTH)
def test_numpy_and_torch_arrays_have_the_same_names(name):
    array = np.zeros(3, DTYPES[name].numpy)
    assert name_of(array) == name
    assert name_of(array.astype(array.dtype.newbyteorder(">"))) == name
    assert name_of(as_torch(array)) == name
    assert name_of(array[0]) == name
    assert array.itemsize == DTYPES[name].itemsize


REFUSED_ARRAYS = {
    "complex": np.zeros(1, np.complex128),
    "strings": np.array(["a"]),
    "objects": np.array([None]),
    "torch complex": torch.zeros(1, dtype=torch.complex128),
    "torch float4": torch.zeros(1, dtype=torch.uint8).view(torch.float4_e2m1fn_x2),
    "a list": [1.0],
    "a float": 1.0,
}


@pytest.mark.parametrize("array", REFUSED_ARRAYS.values(), ids=REFUSED_ARRAYS.keys())
def test_other_arrays_have_no_name(array):
    with pytest.raises(DtypeError, match=r"^tensor 'w': .* is not (supported|an array)"):
        name_of(array, "tensor 'w'")


@pytest.mark.parametrize("name", SMALL_FLOATS)
def test_widening_16_bits_is_exact_for_all_of_them(name):
    narrow_values = ALL_16_BITS.view(SMALL_FLOATS[name])
    exact = np.array([float(value) for value in narrow_values])
    for wide in (widen(narrow_values), widen(as_torch(narrow_values)).numpy()):
        assert wide.dtype == np.float32
        with np.errstate(invalid="ignore"):  # signalling NaN
            np.testing.assert_array_equal(wide.astype(np.float64), exact)  # NaN equals NaN here
        np.testing.assert_array_equal(np.signbit(wide), np.signbit(exact))


def test_widening_keeps_fp32_and_fp64_and_their_memory():
    for dtype in (np.float32, np.float64):
        array = np.array([1.5, np.nan, 5e-324, -0.0], dtype)
        assert widen(array) is not None
        assert np.shares_memory(widen(array), array)
        assert widen(torch.from_numpy(array)).data_ptr() == array.ctypes.data


@pytest.mark.parametrize("name", [name for name in DTYPES if name not in FLOATS])
def test_widening_refuses_integers(name):
    with pytest.raises(DtypeError, match=f"dtype {name}"):
        widen(np.zeros(1, DTYPES[name].numpy))


# What fp32 rounds to, as bits. Above 1: a tie goes to the even neighbour, and what is beyond it goes up.
NARROWED = {
    "bf16 tie to even, down": ("BF16", 0x3F808000, 0x3F80),
    "bf16 tie to even, up": ("BF16", 0x3F818000, 0x3F82),
    "bf16 above the tie": ("BF16", 0x3F808001, 0x3F81),
    "bf16 overflow": ("BF16", 0x7F7FFFFF, 0x7F80),
    "bf16 subnormal": ("BF16", 0x00018000, 0x0002),
    "bf16 negative zero": ("BF16", 0x80000000, 0x8000),
    "f16 tie to even, down": ("F16", 0x3F801000, 0x3C00),
    "f16 tie to even, up": ("F16", 0x3F803000, 0x3C02),
    "f16 above the tie": ("F16", 0x3F801001, 0x3C01),
    "f16 overflow": ("F16", 0x477FF000, 0x7C00),
    "f16 largest": ("F16", 0x477FEFFF, 0x7BFF),
    "f16 subnormal tie": ("F16", 0x33C00000, 0x0002),
    "f16 underflow": ("F16", 0xB3000000, 0x8000),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("name", "fp32", "expected"), NARROWED.values(), ids=NARROWED.keys())
def test_narrowing_rounds_to_nearest_even(name, fp32, expected):
    array = np.array([fp32], np.uint32).view(np.float32)
    assert bits(narrow(array, name))[0] == expected
    assert bits(narrow(as_torch(array), name)).numpy().view(np.uint16)[0] == expected


@pytest.mark.parametrize("name", SMALL_FLOATS)
def test_narrowing_gives_back_what_was_widened(name):
    array = ALL_16_BITS.view(SMALL_FLOATS[name])
    finite = array[np.isfinite(array.astype(np.float32))]
    np.testing.assert_array_equal(bits(narrow(widen(finite), name)), bits(finite))
    back = narrow(widen(as_torch(finite)), name)
    np.testing.assert_array_equal(bits(back).numpy().view(np.uint16), bits(finite))


TWO_STEPS = {
    f"{given.__name__} to {name}": (given, name)
    for given, names in {
        np.float64: ("F32", "BF16", "F16", "I64", "F8_E4M3"),
        np.float32: ("F64", "I32", "F8_E4M3"),
        np.float16: ("F16", "BF16"),
    }.items()
    for name in names
}


@pytest.mark.parametrize(("given", "name"), TWO_STEPS.values(), ids=TWO_STEPS.keys())
def test_narrowing_takes_one_step_only(given, name):
    for array in (np.ones(1, given), torch.from_numpy(np.ones(1, given))):
        with pytest.raises(DtypeError, match="one rounding step"):
            narrow(array, name)


@pytest.mark.parametrize("name", IN_BOTH)
def test_bits_tell_all_values_apart(name):
    dtype = DTYPES[name]
    raw = np.arange(64, dtype=np.uint8) % 2 if name == "BOOL" else np.arange(192, 256, dtype=np.uint8)
    array = raw.view(dtype.numpy).reshape(-1, 2)
    seen, seen_by_torch = bits(array), bits(as_torch(array))
    assert seen.dtype.kind == "u"
    assert seen.shape == array.shape == tuple(seen_by_torch.shape)
    assert seen.tobytes() == seen_by_torch.numpy().tobytes() == raw.tobytes()


def test_bits_of_big_endian_arrays_are_those_of_their_values():
    assert bits(np.array([1.0], ">f4"))[0] == 0x3F800000


def test_bits_of_a_0_d_array():
    assert bits(np.array(-0.0, np.float32)) == 0x80000000
    assert bits(torch.tensor(-0.0)).item() == -(1 << 31)


@pytest.mark.clause("EN-12")
@pytest.mark.parametrize("name", IN_BOTH)
def test_arrays_go_to_torch_and_back_with_their_bits(name):
    dtype = DTYPES[name]
    raw = np.arange(64, dtype=np.uint8) % 2 if name == "BOOL" else np.arange(192, 256, dtype=np.uint8)
    array = raw.view(dtype.numpy).reshape(-1, 2)
    there = to_torch(array)
    assert name_of(there) == name
    assert to_host(there).dtype == dtype.numpy
    assert to_host(there).tobytes() == raw.tobytes()


def test_a_conjugate_is_read_as_its_values():
    assert to_host(torch.tensor([1 + 2j]).conj()).tolist() == [1 - 2j]


def test_importing_dtypes_does_not_import_torch():
    code = "import sys, mergealgebra.tensors.checkpoint; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

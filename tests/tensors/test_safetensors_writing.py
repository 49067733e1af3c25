"""Writing safetensors files: one way to the byte, and the `safetensors` package reads it, as we read its files."""

import tempfile
from pathlib import Path

import ml_dtypes  # noqa: F401 - safetensors reads BF16 with it
import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.errors import (
    DtypeError,
    DuplicateName,
    HeaderError,
    ShapeError,
)
from mergealgebra.tensors import safetensors_file
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.safetensors_file import (
    canonical_header,
    index_bytes,
    read_header,
    shard_names,
    shards,
)
from tests.models import write_canonical, write_raw
from tests.tensors.read_back import assert_same, read_all

# Writing


@pytest.mark.clause("EN-17")
def test_the_header_is_written_to_the_byte():
    text = (
        '{"__metadata__":{"format":"pt"},'
        '"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},'
        '"b":{"dtype":"F64","shape":[],"data_offsets":[12,20]},'
        '"c":{"dtype":"BOOL","shape":[0,7],"data_offsets":[20,20]}}'
    )
    padded = text.encode() + b" " * (-len(text) % 8)
    entries = [("b", "F64", (), 8), ("c", "BOOL", (0, 7), 0), ("a", "BF16", (2, 3), 12)]
    assert canonical_header(entries) == len(padded).to_bytes(8, "little") + padded
    assert canonical_header(reversed(entries)) == canonical_header(entries)


@pytest.mark.clause("EN-17")
def test_a_header_is_padded_to_eight_bytes():
    for length in range(16):
        header = canonical_header([("n" * length, "U8", (0,), 0)])
        assert len(header) % 8 == 0
        assert len(header) - len(header.rstrip(b" ")) < 8
        assert int.from_bytes(header[:8], "little") == len(header) - 8


@pytest.mark.clause("EN-17")
def test_names_are_escaped_as_the_clause_says():
    short = {'"': r"\"", "\\": r"\\", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
    rest = {chr(code): f"\\u{code:04x}" for code in range(0x20)}
    plain = {c: c for c in map(chr, (*range(0x20, 0x300), 0x2028, 0x2029, 0xFEFF, 0xFFFF, 0x1F600, 0x10FFFF))}
    for character, written in (plain | rest | short).items():
        header = canonical_header([(character, "U8", (0,), 0)])
        assert header[8:].startswith(f'{{"__metadata__":{{"format":"pt"}},"{written}":'.encode())


UNWRITABLE = {
    "metadata's name": (HeaderError, [("__metadata__", "U8", (1,), 1)]),
    "lone surrogate": (HeaderError, [("a\udc80", "U8", (1,), 1)]),
    "name twice": (DuplicateName, [("a", "U8", (1,), 1), ("a", "I8", (1,), 1)]),
    "unknown dtype": (DtypeError, [("a", "float32", (1,), 4)]),
    "bytes that do not fit": (ShapeError, [("a", "F32", (2,), 4)]),
    "too many bytes": (ShapeError, [("a", "F64", (1 << 60,), 1 << 63)]),
}


@pytest.mark.parametrize("case", UNWRITABLE)
@pytest.mark.parametrize("write", [canonical_header, shards])
def test_what_could_not_be_read_is_not_written(case, write):
    error, entries = UNWRITABLE[case]
    with pytest.raises(error, match=r"^tensor '(__metadata__|a)"):
        write(entries)


@pytest.mark.clause("EN-9")
def test_a_header_that_no_reader_allows_is_not_written(monkeypatch):
    monkeypatch.setattr(safetensors_file, "MAX_HEADER_BYTES", 200)
    canonical_header([("n" * 100, "U8", (0,), 0)])
    with pytest.raises(HeaderError, match="write fewer tensors"):
        canonical_header([("n" * 200, "U8", (0,), 0)])


#: name -> (sizes of the tensors, sizes in each shard), for shards of 10 bytes.
CUTS = {
    "nothing": ([], [[]]),
    "one": ([3], [[3]]),
    "exactly full": ([4, 6], [[4, 6]]),
    "one byte more": ([4, 7], [[4], [7]]),
    "too large alone": ([11], [[11]]),
    "too large first": ([11, 1], [[11], [1]]),
    "too large last": ([1, 11], [[1], [11]]),
    "no filling of gaps": ([6, 6, 4], [[6], [6, 4]]),
    "empty when full": ([10, 0], [[10, 0]]),
    "empty in front": ([0, 11], [[0], [11]]),
}


@pytest.mark.clause("EN-18")
@pytest.mark.parametrize("case", CUTS)
def test_a_model_is_cut_by_a_rule_of_its_own_sizes(case, monkeypatch):
    monkeypatch.setattr(safetensors_file, "SHARD_BYTES", 10)
    sizes, expected = CUTS[case]
    entries = [(f"t{i}", "U8", (size,), size) for i, size in enumerate(sizes)]
    for given_order in (entries, entries[::-1]):
        cut = shards(given_order)
        assert [[nbytes for *_, nbytes in shard] for shard in cut] == expected
        assert [entry for shard in cut for entry in shard] == entries


@pytest.mark.clause("EN-18")
def test_shards_hold_five_thousand_million_bytes():
    half = 2_500_000_000
    assert len(shards([("a", "U8", (half,), half), ("b", "U8", (half,), half)])) == 1
    assert len(shards([("a", "U8", (half,), half), ("b", "U8", (half + 1,), half + 1)])) == 2


@pytest.mark.clause("EN-18")
def test_shard_names():
    assert shard_names(1) == ["model.safetensors"]
    assert shard_names(2) == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]


@pytest.mark.clause("EN-18")
def test_the_index_is_written_to_the_byte():
    cut = [[("a", "U8", (3,), 3), ("é\n", "U8", (2,), 2)], [("b", "F32", (), 4)]]
    assert index_bytes(cut).decode() == (
        "{\n"
        '  "metadata": {\n'
        '    "total_size": 9\n'
        "  },\n"
        '  "weight_map": {\n'
        '    "a": "model-00001-of-00002.safetensors",\n'
        '    "é\\n": "model-00001-of-00002.safetensors",\n'
        '    "b": "model-00002-of-00002.safetensors"\n'
        "  }\n"
        "}\n"
    )


@pytest.mark.clause("EN-17", "EN-19")
def test_equal_tensors_are_equal_files(tmp_path):
    array, row = np.arange(24, dtype=np.float32).reshape(2, 3, 4), np.arange(3, dtype=np.uint8)
    forms = {
        "plain": {"a": array, "b": row},
        "other order": {"b": row, "a": array},
        "big-endian": {"a": array.astype(">f4"), "b": row},
        "fortran order": {"a": np.asfortranarray(array), "b": row},
        "views": {"a": np.repeat(array, 2, axis=2)[..., ::2], "b": np.repeat(row, 2)[::2]},
    }
    for name, tensors in forms.items():
        write_canonical(tmp_path / name, tensors)
    assert len({(tmp_path / name).read_bytes() for name in forms}) == 1
    assert (tmp_path / "plain").read_bytes().endswith(array.tobytes() + row.tobytes())


# Against the safetensors package

#: The dtypes that it reads into an array of the same shape; into NumPy's, none that NumPy itself lacks but bfloat16.
IN_TORCH = [name for name, dtype in DTYPES.items() if dtype.bits >= 8]
IN_NUMPY = [name for name in IN_TORCH if not name.startswith("F8")]


def samples(name):
    """Arrays of one dtype: plain, 0-d, empty, and of a size that leaves its neighbours misaligned."""
    dtype = DTYPES[name]
    raw = np.random.default_rng(7).integers(0, 2 if name == "BOOL" else 256, 24 * dtype.itemsize, dtype=np.uint8)
    values = raw.view(dtype.numpy)
    return {
        "w": values.reshape(2, 3, 4),
        "0-d": values[0].reshape(()),
        "empty": values[:0].reshape(0, 5),
        "odd": values[:1],
    }


@pytest.mark.clause("EN-12", "EN-13")
@pytest.mark.parametrize("name", IN_TORCH)
def test_the_package_reads_what_we_write(name, tmp_path):
    tensors = samples(name) | {"a": np.ones(3, np.uint8)}
    write_canonical(tmp_path / "m.safetensors", tensors)
    if name in IN_NUMPY:
        assert_same(safetensors.numpy.load_file(tmp_path / "m.safetensors"), tensors)
    by_torch = safetensors.torch.load_file(tmp_path / "m.safetensors")
    raw = {key: value.reshape(-1).view(torch.uint8).numpy().tobytes() for key, value in by_torch.items()}
    assert raw == {key: value.tobytes() for key, value in tensors.items()}


@pytest.mark.clause("EN-12", "EN-13")
@pytest.mark.parametrize(("name", "shape"), {"F4": (2, 3), "F6_E2M3": (4, 1), "F6_E3M2": (2, 2)}.items())
def test_packed_elements_are_read_as_the_package_lays_them_out(name, shape, tmp_path):
    header = f'{{"w":{{"dtype":"{name}","shape":{list(shape)},"data_offsets":[0,3]}}}}'
    path = write_raw(tmp_path / "m.safetensors", header, b"\x01\x80\xff")
    with safetensors.safe_open(path, "numpy") as file:
        assert tuple(file.get_slice("w").get_shape()) == shape
    (record,) = read_header(path).values()
    assert (record.dtype, record.shape, record.size, record.shape_read) == (name, shape, 3, (3,))
    assert read_all(path)["w"].tobytes() == b"\x01\x80\xff"


@pytest.mark.clause("EN-12", "EN-13")
@pytest.mark.parametrize(
    ("name", "library"),
    [
        *(pytest.param(name, safetensors.numpy, id=f"{name}-numpy") for name in IN_NUMPY),
        *(pytest.param(name, safetensors.torch, id=f"{name}-torch") for name in IN_TORCH),
    ],
)
def test_we_read_what_the_package_writes(name, library, tmp_path):
    tensors = samples(name) | {"a": np.ones(3, np.uint8)}
    write_canonical(tmp_path / "ours.safetensors", tensors)
    loaded = library.load_file(tmp_path / "ours.safetensors")
    library.save_file(loaded, tmp_path / "theirs.safetensors", metadata={"format": "pt", "k": "é"})
    assert_same(read_all(tmp_path / "theirs.safetensors"), tensors)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6).filter(lambda name: name != "__metadata__")


@st.composite
def tensor_sets(draw):
    """Named arrays of any supported dtype and small shape."""
    shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)
    tensors = {}
    for name, dtype, shape in draw(st.lists(st.tuples(TEXT, st.sampled_from(sorted(IN_NUMPY)), shapes), max_size=5)):
        nbytes = int(np.prod(shape)) * DTYPES[dtype].itemsize
        raw = np.frombuffer(draw(st.binary(min_size=nbytes, max_size=nbytes)), np.uint8)
        raw = raw & 1 if dtype == "BOOL" else raw
        tensors[name] = raw.view(DTYPES[dtype].numpy).reshape(shape)
    return tensors


@pytest.mark.clause("EN-10", "EN-17", "EN-19")
@given(tensor_sets())
def test_tensors_come_back_from_a_file(tensors):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m.safetensors")
        write_canonical(path, tensors)
        back = read_all(path)
        assert_same(back, tensors)
        assert list(back) == sorted(tensors, key=str.encode)
        assert_same(safetensors.numpy.load_file(path), tensors)
        first = path.read_bytes()
        write_canonical(path, dict(reversed(back.items())))
        assert path.read_bytes() == first

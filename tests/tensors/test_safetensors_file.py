"""One safetensors file: every doubt is refused by name."""

import json
import os
import time
import tracemalloc
from types import SimpleNamespace

import ml_dtypes  # noqa: F401 - safetensors reads BF16 with it
import numpy as np
import pytest

from mergealgebra.errors import (
    CheckpointError,
    DtypeError,
    DuplicateName,
    HeaderError,
    LayoutError,
    MergeAlgebraError,
    ShapeError,
)
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.header import TensorRecord
from mergealgebra.tensors.safetensors_file import (
    canonical_header,
    read_header,
)
from mergealgebra.text import Where
from tests.tensors.read_back import content


def header_of(text, length=None):
    """The bytes that begin a file: the header as it stands, and its length or a lie about it."""
    raw = text.encode() if isinstance(text, str) else text
    return (len(raw) if length is None else length).to_bytes(8, "little") + raw


def entry(dtype='"U8"', shape="[4]", offsets="[0,4]"):
    return f'{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}}}'


def one(**fields):
    """The header of a file with the one tensor `w`, spoilt in the fields that are given."""
    return header_of(f'{{"w":{entry(**fields)}}}')


def many(*entries):
    return header_of("{" + ",".join(f'"{name}":{text}' for name, text in entries) + "}")


DATA = b"\x01\x02\x03\x04"
META = f'{{"__metadata__":%s,"w":{entry()}}}'

#: name -> (error, the file's bytes, what the message says besides the file's name)
BAD = {
    # EN-9
    "empty file": (HeaderError, b"", "0 bytes"),
    "seven bytes": (HeaderError, b"\0" * 7, "7 bytes"),
    "length beyond the file": (HeaderError, header_of("{}", 3), "3 bytes, expected at most 2"),
    "length of 2^60": (HeaderError, header_of("{}", 1 << 60), "1152921504606846976 bytes"),
    "length of 2^64 - 1": (HeaderError, b"\xff" * 8 + b"{}", "18446744073709551615 bytes"),
    "git lfs pointer": (HeaderError, b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "no json": (HeaderError, header_of(""), "Expecting value"),
    "an array": (HeaderError, header_of("[]"), "expected an object"),
    "a number": (HeaderError, header_of("1"), "expected an object"),
    "cut short": (HeaderError, header_of('{"w":' + entry()), "Expecting ',' delimiter at byte 52"),
    "two objects": (HeaderError, header_of("{}{}"), "byte 2"),
    "tabs around": (HeaderError, header_of("\t{}"), "Expecting value"),
    "line feed after": (HeaderError, header_of("{}\n"), "byte 2"),
    "utf-16": (HeaderError, header_of("{}".encode("utf-16")), "utf-8"),
    "byte order mark": (HeaderError, header_of(b"\xef\xbb\xbf{}"), "Expecting value"),
    "not utf-8": (HeaderError, header_of(b'{"\xff":1}'), "utf-8"),
    "surrogate in utf-8": (HeaderError, header_of(b'{"\xed\xa0\x80":1}'), "utf-8"),
    "nan": (HeaderError, header_of('{"w":NaN}'), "NaN"),
    "control character": (HeaderError, header_of(b'{"\n":1}'), "control character"),
    "too deep": (HeaderError, header_of('{"w":[[[[]]]]}'), "deeper than 4"),
    # EN-10
    "name twice": (DuplicateName, many(("w", entry()), ("w", entry())), "tensor 'w' stands twice"),
    "name twice, escaped": (DuplicateName, many(("w", entry()), (r"\u0077", entry())), "tensor 'w' stands twice"),
    "key twice": (
        DuplicateName,
        header_of('{"w":{"dtype":"U8","dtype":"I8"}}'),
        "tensor 'w' has the key 'dtype' twice",
    ),
    "metadata twice": (DuplicateName, header_of('{"__metadata__":{},"__metadata__":{}}'), "'__metadata__'"),
    "metadata key twice": (
        DuplicateName,
        header_of(META % r'{"a":"1","\u0061":"2"}'),
        "__metadata__ has the key 'a' twice",
    ),
    "metadata a string": (HeaderError, header_of(META % '"pt"'), "__metadata__ is 'pt'"),
    "metadata null": (HeaderError, header_of(META % "null"), "__metadata__ is None"),
    "metadata of numbers": (HeaderError, header_of(META % '{"a":1}'), "__metadata__ has 1 for 'a'"),
    "metadata of objects": (HeaderError, header_of(META % '{"a":{}}'), "__metadata__"),
    "surrogate in metadata key": (HeaderError, header_of(META % r'{"\udc00":"1"}'), "lone surrogate"),
    "surrogate in metadata": (HeaderError, header_of(META % r'{"a":"\ud800"}'), "lone surrogate"),
    "surrogate in a name": (HeaderError, many((r"\ud800", entry())), r"tensor '\ud800' has a lone surrogate"),
    "surrogates in the wrong order": (HeaderError, many((r"\udc00\ud800", entry())), "lone surrogate"),
    # EN-11
    "entry a number": (HeaderError, header_of('{"w":7}'), "tensor 'w' is 7"),
    "entry an array": (HeaderError, header_of('{"w":[]}'), "tensor 'w' is []"),
    "entry empty": (HeaderError, header_of('{"w":{}}'), "tensor 'w' has the keys []"),
    "no shape": (HeaderError, header_of('{"w":{"dtype":"U8","data_offsets":[0,4]}}'), "tensor 'w' has the keys"),
    "a fourth key": (HeaderError, header_of('{"w":{"x":1,' + entry()[1:] + "}"), "tensor 'w' has the key 'x'"),
    "dtype a number": (DtypeError, one(dtype="8"), "tensor 'w' has the dtype 8"),
    "dtype null": (DtypeError, one(dtype="null"), "tensor 'w' has the dtype None"),
    "dtype a list": (DtypeError, one(dtype='["U8"]'), "tensor 'w' has the dtype"),
    "shape a number": (ShapeError, one(shape="4"), "tensor 'w' has the shape 4"),
    "shape null": (ShapeError, one(shape="null"), "tensor 'w' has the shape None"),
    "shape 4.0": (ShapeError, one(shape="[4.0]"), "tensor 'w' has 4.0 in its shape"),
    "shape 4e0": (ShapeError, one(shape="[4e0]"), "tensor 'w' has 4e0 in its shape"),
    "shape -0": (ShapeError, one(shape="[-0]", offsets="[0,0]"), "tensor 'w' has -0 in its shape"),
    "shape true": (ShapeError, one(shape="[4,true]"), "tensor 'w' has True in its shape"),
    "shape a string": (ShapeError, one(shape='["4"]'), "tensor 'w' has '4' in its shape"),
    "shape nested": (ShapeError, one(shape="[[4]]"), "tensor 'w' has [4] in its shape"),
    "shape negative": (ShapeError, one(shape="[-4]"), "tensor 'w' has -4 in its shape"),
    "shape 2^63": (ShapeError, one(shape=f"[0,{1 << 63}]", offsets="[0,0]"), "9223372036854775808 in its shape"),
    "shape of 5000 digits": (ShapeError, one(shape=f"[{'9' * 5000}]"), "tensor 'w' has 9999"),
    "shape overflows": (ShapeError, one(shape=f"[{1 << 32},{1 << 32}]"), "2^63 bytes or more"),
    "bytes overflow": (ShapeError, one(dtype='"F64"', shape=f"[{1 << 60}]"), "2^63 bytes or more"),
    "empty, and overflows": (ShapeError, one(shape=f"[{1 << 32},0,{1 << 31}]", offsets="[0,0]"), "2^63 bytes or more"),
    "shape too small": (ShapeError, one(shape="[3]"), "tensor 'w' has 4 bytes, but U8 of shape (3,) takes 3"),
    "shape too large": (ShapeError, one(dtype='"F32"', shape="[2]"), "takes 8"),
    "0-d of four bytes": (ShapeError, one(shape="[]"), "takes 1"),
    "offsets a number": (LayoutError, one(offsets="4"), "tensor 'w' has data_offsets 4"),
    "offsets null": (LayoutError, one(offsets="null"), "tensor 'w' has data_offsets None"),
    "one offset": (LayoutError, one(offsets="[4]"), "tensor 'w' has data_offsets [4]"),
    "three offsets": (LayoutError, one(offsets="[0,4,4]"), "tensor 'w' has data_offsets [0, 4, 4]"),
    "offsets reversed": (LayoutError, one(offsets="[4,0]"), "tensor 'w' has data_offsets [4, 0]"),
    "offset negative": (LayoutError, one(offsets="[-4,0]"), "tensor 'w' has data_offsets [-4, 0]"),
    "offset 4.0": (LayoutError, one(offsets="[0,4.0]"), "tensor 'w' has data_offsets [0, 4.0]"),
    "offset 1e400": (LayoutError, one(offsets="[0,1e400]"), "tensor 'w' has data_offsets [0, 1e400]"),
    "offset true": (LayoutError, one(shape="[1]", offsets="[0,true]"), "tensor 'w' has data_offsets"),
    "offset false": (LayoutError, one(offsets="[false,4]"), "tensor 'w' has data_offsets"),
    "offset of 5000 digits": (LayoutError, one(offsets=f"[0,{'9' * 5000}]"), "tensor 'w' has data_offsets"),
    # EN-12
    "packed elements that end in a byte": (
        ShapeError,
        one(dtype='"F6_E2M3"', shape="[5]"),
        "tensor 'w' has the shape (5,), whose elements of 6 bits do not fill whole bytes",
    ),
    "unknown dtype": (DtypeError, one(dtype='"f32"'), "tensor 'w': 'f32' is not a dtype"),
    # EN-13
    "hole in front": (LayoutError, one(shape="[3]", offsets="[1,4]"), "tensor 'w' leaves a hole"),
    "hole inside": (
        LayoutError,
        many(("v", entry(shape="[1]", offsets="[0,1]")), ("w", entry(shape="[2]", offsets="[2,4]"))),
        "tensor 'w' leaves a hole before it: its data begins at 2, expected 1",
    ),
    "overlap": (
        LayoutError,
        many(("v", entry(shape="[3]", offsets="[0,3]")), ("w", entry(shape="[2]", offsets="[2,4]"))),
        "tensor 'w' overlaps",
    ),
    "shared data": (LayoutError, many(("v", entry()), ("w", entry())), "tensor 'w' overlaps"),
    "bytes left over": (
        LayoutError,
        one(shape="[3]", offsets="[0,3]"),
        "tensor 'w': tensors end at byte 3 of the data",
    ),
    "data without tensors": (LayoutError, header_of("{}"), "tensors end at byte 0 of the data, and the file at 4"),
    "file cut short": (LayoutError, one(shape="[5]", offsets="[0,5]"), "tensor 'w': tensors end at byte 5"),
    "empty tensor beyond the end": (
        LayoutError,
        many(("v", entry(shape="[0]", offsets="[5,5]")), ("w", entry())),
        "tensor 'v' is empty",
    ),
}
WITHOUT_DATA = {"empty file", "seven bytes", "git lfs pointer", "length beyond the file"}


@pytest.mark.clause("EN-9", "EN-10", "EN-11", "EN-12", "EN-13")
@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_by_name(case, tmp_path):
    error, start, says = BAD[case]
    path = tmp_path / "m.safetensors"
    path.write_bytes(start if case in WITHOUT_DATA else start + DATA)
    with pytest.raises(error) as caught:
        read_header(path)
    message = str(caught.value)
    assert type(caught.value) is error
    assert message.startswith(str(path))
    assert says in message
    assert "\n" not in message
    assert len(message) < 700 + len(str(path))


#: name -> (the file's bytes, the names and offsets that must be read)
GOOD = {
    "spaces around": (header_of("  " + one().decode()[8:] + "   ") + DATA, {"w": 0}),
    "white space inside": (header_of('{ "w" :\t\n' + entry() + "}") + DATA, {"w": 0}),
    "no tensors": (header_of("{}"), {}),
    "only metadata": (header_of('{"__metadata__":{"format":"pt"}}'), {}),
    "metadata last": (header_of('{"w":' + entry() + ',"__metadata__":{}}') + DATA, {"w": 0}),
    "unpadded": (one() + DATA, {"w": 0}),
    "misaligned": (
        many(("a", entry(shape="[1]", offsets="[0,1]")), ("w", entry('"F32"', "[1]", "[1,5]"))) + DATA + b"\0",
        {"a": 0, "w": 1},
    ),
    "data in another order": (
        many(("a", entry(shape="[2]", offsets="[2,4]")), ("b", entry(shape="[2]", offsets="[0,2]"))) + DATA,
        {"a": 2, "b": 0},
    ),
    "empty inside another": (many(("e", entry(shape="[0]", offsets="[2,2]")), ("w", entry())) + DATA, {"e": 2, "w": 0}),
    "empty at the end": (many(("e", entry(shape="[3,0]", offsets="[4,4]")), ("w", entry())) + DATA, {"e": 4, "w": 0}),
    "empty of huge sizes": (one(shape=f"[{(1 << 63) - 1},0]", offsets="[0,0]"), {"w": 0}),
    "surrogate pair": (many((r"\ud83d\ude00", entry())) + DATA, {"\U0001f600": 0}),
    "empty name": (many(("", entry())) + DATA, {"": 0}),
    "brackets in a name": (many((r"[[[[[\"{\\", entry())) + DATA, {'[[[[["{\\': 0}),
}


@pytest.mark.clause("EN-9", "EN-10", "EN-11", "EN-13")
@pytest.mark.parametrize("case", GOOD)
def test_a_good_file_is_read(case, tmp_path):
    raw, offsets = GOOD[case]
    path = tmp_path / "m.safetensors"
    path.write_bytes(raw)
    start = 8 + int.from_bytes(raw[:8], "little")
    assert {name: record.offset - start for name, record in read_header(path).items()} == offsets


def test_a_record_says_where_its_tensor_lies(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(one(dtype='"I16"', shape="[2,1]") + DATA)
    (record,) = read_header(path).values()
    assert record == TensorRecord("w", "I16", (2, 1), path, len(one(dtype='"I16"', shape="[2,1]")), 4, record.identity)
    assert record.size == 2
    assert content(read_header(path)["w"]) == DATA


def test_places_are_put_into_words_only_for_messages(tmp_path, monkeypatch):
    """Words for each of 100,000 tensors would take longer than all the rest."""
    monkeypatch.setattr(Where, "__str__", lambda _: pytest.fail("it speaks of a tensor that nothing is wrong with"))
    (tmp_path / "m").write_bytes(canonical_header([("w", "U8", (4,), 4), ("e", "U8", (0,), 0)]) + DATA)
    assert len(read_header(tmp_path / "m")) == 2


def test_names_come_in_the_order_of_their_utf8_bytes(tmp_path):
    names = ["b", "a", "", "\uffff", "\U00010000", "é", "e\u0301", "Z", "\x7f", "\x00"]
    entries = ((json.dumps(name)[1:-1], entry(shape="[0]", offsets="[0,0]")) for name in names)
    (tmp_path / "m").write_bytes(many(*entries))
    assert list(read_header(tmp_path / "m")) == [b.decode() for b in sorted(name.encode() for name in names)]


UNREADABLE = {"missing": "none", "a folder": ".", "a pipe": "pipe", "a dangling link": "link", "under a file": "file/x"}


@pytest.mark.parametrize("name", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_no_file_is_refused(name, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"^[^\n]+$") as caught:
        read_header(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(CheckpointError, match="is not a path"):
        read_header(path)


def test_the_path_is_shown_as_given_and_on_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"^none\.safetensors cannot be read: No such file or directory"):
        read_header("none.safetensors")
    with pytest.raises(CheckpointError, match=r"^'two\\nlines' cannot be read"):
        read_header("two\nlines")


@pytest.mark.clause("EN-9", "EN-14")
def test_a_hundred_megabytes_of_brackets_are_refused_at_once(tmp_path):
    (tmp_path / "m").write_bytes(header_of(b"[" * 100_000_000))
    begun = time.perf_counter()
    with pytest.raises(HeaderError, match="deeper than 4"):
        read_header(tmp_path / "m")
    assert time.perf_counter() - begun < 20


@pytest.mark.clause("EN-9")
def test_a_header_of_more_than_a_hundred_million_bytes_is_refused(tmp_path):
    with (tmp_path / "m").open("wb") as file:
        file.write(header_of("{}", 100_000_001))
        file.truncate(1 << 40)  # sparse
    with pytest.raises(HeaderError, match="100000001 bytes, expected at most 100000000"):
        read_header(tmp_path / "m")


def test_a_file_that_shrinks_while_its_header_is_read_is_refused(tmp_path, monkeypatch):
    (tmp_path / "m").write_bytes(header_of("{}", 30))
    whole = (tmp_path / "m").stat()
    longer = SimpleNamespace(**{name: getattr(whole, name) for name in dir(whole) if name.startswith("st_")})
    longer.st_size = 38
    monkeypatch.setattr(os, "fstat", lambda _: longer)
    with pytest.raises(HeaderError, match="became shorter"):
        read_header(tmp_path / "m")


LIES = {
    "header of 2^60": header_of("{}", 1 << 60),
    "header of 99 million": header_of("{}", 99_000_000),
    "tensor of 2^50": one(shape=f"[{1 << 50}]", offsets=f"[0,{1 << 50}]"),
    "shape of 2^50": one(shape=f"[{1 << 50}]"),
    "a hundred dimensions": one(shape=f"[{','.join([str(1 << 62)] * 100)}]"),
}


@pytest.mark.clause("EN-14")
@pytest.mark.parametrize("raw", LIES.values(), ids=LIES.keys())
def test_a_header_that_lies_allocates_nothing(raw, tmp_path):
    (tmp_path / "m").write_bytes(raw + DATA)
    tracemalloc.start()
    try:
        with pytest.raises(MergeAlgebraError):
            read_header(tmp_path / "m")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


SMALL = canonical_header([("a", "F32", (), 4), ("é\n", "U8", (2, 2), 4), ("c", "I64", (0,), 0)])
FLIPS = set(b'"{}[],:\\/ 019-+.eEnu\0\t\n\x7f\x80\xc3\xed\xff')


@pytest.mark.clause("EN-9", "EN-10", "EN-11", "EN-12", "EN-13")
def test_every_changed_byte_is_refused_or_read_soundly(tmp_path):
    path = tmp_path / "m.safetensors"
    data = bytes(range(8))
    outcomes = set()
    for position, byte in enumerate(SMALL):
        for other in FLIPS | {byte ^ 1 << bit for bit in range(8)}:
            path.write_bytes(SMALL[:position] + bytes([other]) + SMALL[position + 1 :] + data)
            try:
                records = read_header(path)
            except MergeAlgebraError as error:
                assert str(path) in str(error)
                outcomes.add(type(error))
            else:
                assert_sound(records, path)
    assert outcomes == {HeaderError, DuplicateName, DtypeError, ShapeError, LayoutError}


def assert_sound(records, path):
    """The records are in order and tile the data."""
    assert list(records) == sorted(records, key=str.encode)
    whole = b"".join(content(record) for record in sorted(records.values(), key=lambda record: record.offset))
    raw = path.read_bytes()
    assert whole == raw[8 + int.from_bytes(raw[:8], "little") :]
    for record in records.values():
        assert record.size * DTYPES[record.dtype].itemsize == record.nbytes
        assert int(np.prod(record.shape, dtype=object)) * DTYPES[record.dtype].bits == 8 * record.nbytes

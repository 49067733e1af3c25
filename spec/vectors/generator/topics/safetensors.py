"""safetensors files: what is read, what is refused, and the one way to write a set of tensors."""

from __future__ import annotations

from typing import Any

from generator.cases import Case
from generator.reference.safetensors import write_file
from generator.reference.tensors import read_tensors
from generator.topics.safetensors_refused import REFUSED, file_of
from generator.writing import bf16, f16, f32, f64, integers, spec

Json = Any
ONE, TWO = "0000803f", "00000040"  # 1 and 2 as F32
A = '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
EMPTY_A = '"a":{{"dtype":"F32","shape":{shape},"data_offsets":[{at},{at}]}}'


def tensor_a(name: str = "a") -> dict[str, Json]:
    return {name: f32(1)}


def with_empty(shape: str, at: int) -> str:
    """A file of the tensor b of two elements and an empty tensor a that stands at `at`."""
    empty = EMPTY_A.format(shape=shape, at=at)
    return file_of("{" + empty + ',"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', ONE + TWO)


def both(shape: list[int]) -> dict[str, Json]:
    return {"a": f32(shape=shape), "b": f32(1, 2)}


READ: list[tuple[str, str, Json, str, str]] = [
    ("plain", file_of("{" + A + "}", ONE), tensor_a(), "EN-9 EN-11", "one tensor, header not padded"),
    ("padded", file_of("{" + A + "}   ", ONE), tensor_a(), "EN-9", "spaces behind the JSON"),
    ("spaces-before", file_of("  {" + A + "}", ONE), tensor_a(), "EN-9", "spaces before the JSON"),
    ("white-space-inside", file_of('{ "a" :\n\t{ "dtype":"F32", "shape":[ 1 ],\r\n "data_offsets":[0, 4] } }', ONE),
     tensor_a(), "EN-9", "white space inside the JSON is JSON's"),
    ("white-space-edges", file_of("{\n\t\r " + A + " \r\t\n}", ONE), tensor_a(), "EN-9",
     "white space inside the JSON, at its edges"),
    ("keys-in-any-order", file_of('{"a":{"data_offsets":[0,4],"shape":[1],"dtype":"F32"}}', ONE), tensor_a(),
     "EN-11", "the keys of an entry in another order"),
    ("no-tensors", file_of("{}", ""), {}, "EN-9", "an empty object and no data"),
    ("only-metadata", file_of('{"__metadata__":{"format":"pt"}}', ""), {}, "EN-10", "metadata is no tensor"),
    ("metadata-empty", file_of('{"__metadata__":{},' + A + "}", ONE), tensor_a(), "EN-10", "empty metadata"),
    ("metadata-last", file_of("{" + A + ',"__metadata__":{"a":"b","c":"d"}}', ONE), tensor_a(), "EN-8 EN-10",
     "metadata behind the tensors: the root is that of the plain file"),
    ("metadata-escaped", file_of('{"__metadat\\u0061__":{"k":"v"},' + A + "}", ONE), tensor_a(), "EN-10",
     "the name of the metadata, escaped, is still that name"),
    ("name-escaped", file_of('{"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', ONE), tensor_a(),
     "EN-10", "a name is what is left after unescaping"),
    ("name-surrogate-pair", file_of('{"\\ud83d\\ude00":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', ONE),
     tensor_a("\U0001f600"), "EN-10", "an escaped pair of surrogates is one character"),
    ("name-empty", file_of('{"":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', ONE), tensor_a(""), "EN-11",
     "the empty name"),
    ("scalar", file_of('{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}', ONE), {"a": f32(1, shape=[])},
     "EN-11", "a 0-d tensor"),
    ("shape-longest", file_of('{"a":{"dtype":"F32","shape":[' + ",".join(["1"] * 64) + '],"data_offsets":[0,4]}}', ONE),
     {"a": f32(1, shape=[1] * 64)}, "EN-11", "64 sizes"),
    ("data-in-other-order", file_of('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},'
     '"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', ONE + TWO), {"a": f32(2), "b": f32(1)}, "EN-13",
     "the data in another order than the header"),
    ("misaligned", file_of('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
     '"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}', "07" + ONE), {"a": integers("U8", 7), "b": f32(1)},
     "EN-13", "a tensor at an odd offset"),
    ("empty-at-start", with_empty("[0]", 0), both([0]), "EN-13", "an empty tensor where another one starts"),
    ("empty-inside", with_empty("[0]", 3), both([0]), "EN-13", "an empty tensor inside the data of another one"),
    ("empty-at-end", with_empty("[5,0]", 8), both([5, 0]), "EN-13", "an empty tensor at the very end"),
    ("empty-large", with_empty("[2305843009213693951,0]", 0), both([2**61 - 1, 0]), "EN-11",
     "the sizes other than 0 make 2^63 - 4 bytes"),
    ("two-empty", file_of('{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},'
     '"b":{"dtype":"BF16","shape":[0,2],"data_offsets":[0,0]}}', ""), {"a": f32(shape=[0]), "b": bf16(shape=[0, 2])},
     "EN-13", "empty tensors at one place"),
    *(
        (f"dtype-{dtype.lower()}", file_of(f'{{"a":{{"dtype":"{dtype}","shape":[1],"data_offsets":[0,{size}]}}}}',
         "01" + "00" * (size - 1)), {"a": spec(dtype, [1], bytes([1]) + bytes(size - 1))}, "EN-12",
         f"{dtype} is read")
        for dtype, size in {"F64": 8, "F32": 4, "BF16": 2, "F16": 2, "BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2,
                            "U32": 4, "I32": 4, "U64": 8, "I64": 8, "C64": 8}.items()
    ),
    *(
        (f"dtype-{dtype.lower().replace('_', '-')}", file_of(f'{{"a":{{"dtype":"{dtype}","shape":[4],'
         f'"data_offsets":[0,{len(data) // 2}]}}}}', data), {"a": spec(dtype, [4], bytes.fromhex(data))}, "EN-12",
         f"{dtype} is read, whatever its bits say")
        for dtype, data in {**dict.fromkeys(["F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"],
                                            "007f80ff"), "F6_E2M3": "0180ff", "F6_E3M2": "0180ff", "F4": "0ff1"}.items()
    ),
    ("dtype-f4-empty", file_of('{"a":{"dtype":"F4","shape":[3,0],"data_offsets":[0,0]}}', ""),
     {"a": spec("F4", [3, 0], b"")}, "EN-11 EN-12", "no elements of four bits"),
]  # fmt: skip

WRITTEN: list[tuple[str, Json, str]] = [
    ("empty", {}, "no tensors: metadata alone"),
    ("one", {"w": f32(1, 2, shape=[1, 2])}, "one tensor"),
    ("scalar", {"w": f64("1.5", shape=[])}, "a 0-d tensor"),
    ("zero-size", {"a": f32(shape=[0]), "b": f16(1), "c": f32(shape=[3, 0])},
     "empty tensors stand where the data is"),
    ("order", {"b.2": f32(1), "b": bf16(2), "a": integers("I64", -1), "b.10": integers("U8", 7)},
     "name order, not the order of dtypes: data is not aligned"),
    ("escapes", {'q"': f32(1), "b\\": f32(2), "t\t\n\r\b\f": f32(3), "\x01\x1f": f32(4)},
     "the short escapes, and \\u00xx in lower case for the rest below U+0020"),
    ("not-escaped", {"a/b": f32(1), "\x7f": f32(2), "\u2028": f32(3), "\u00e9": f32(4), "\U0001f600": f32(5),
                     "<&>": f32(6)},
     "nothing else is escaped: not /, not U+007F, not U+2028, nothing above"),
    ("astral-order", {"\uffff": f32(1), "\U00010000": f32(2)}, "U+FFFF before U+10000"),
    ("negative-zero", {"w": f32("-0", "nan", "0xffc00001", "-inf")}, "bits as they are"),
    *((f"padding-{n}", {"w" * n: f32(1)}, "padding to 8 bytes, from none to seven") for n in range(1, 9)),
]  # fmt: skip

LONE = {"high": "d800", "low": "0061dc00", "reversed": "de00d83d", "last": "0061dbff"}
UNWRITABLE: list[tuple[str, Json, str]] = [
    ("metadata", {"tensors": {"__metadata__": f32(1)}}, "no tensor is named __metadata__"),
    ("metadata-beside", {"tensors": {"a": f32(1), "__metadata__": f32(1)}}, "nor beside others"),
    *((f"surrogate-{i}", {"utf16": [[name, f32(1)]]}, f"a lone surrogate: the code units {name}")
      for i, name in LONE.items()),
]  # fmt: skip

CASES = [
    *(
        Case("read-safetensors", f"read-{i}", clauses, why, {"file": file}, {"tensors": tensors})
        for i, file, tensors, clauses, why in READ
    ),
    *(
        Case("read-safetensors", f"read-refused-{i}", clauses, why, {"file": file}, rule)
        for i, file, rule, clauses, why in REFUSED
    ),
    *(Case("write-safetensors", f"write-{i}", "EN-17 EN-19", why, {"tensors": tensors}) for i, tensors, why in WRITTEN),
    Case(
        "write-safetensors",
        "write-utf16",
        "EN-17",
        "a pair of surrogates is one character",
        {"utf16": [["d83dde00", f32(1)]]},
        {"file": write_file(read_tensors({"\U0001f600": f32(1)})).hex()},
    ),
    *(
        Case("write-safetensors", f"write-refused-{i}", "EN-17", why, inputs, "HeaderError")
        for i, inputs, why in UNWRITABLE
    ),
]

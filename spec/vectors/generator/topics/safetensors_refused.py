"""safetensors files that break a rule, grouped by the rule."""

from __future__ import annotations

from typing import Any

ONE = "0000803f"
A = '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'


def file_of(header: str | bytes, data: str) -> str:
    """The hexadecimal bytes of a file with this header and this data (hexadecimal)."""
    text = header.encode("utf-8") if isinstance(header, str) else header
    return (len(text).to_bytes(8, "little") + text).hex() + data


def entry(dtype: str = '"F32"', shape: str = "[1]", offsets: str = "[0,4]", data: str = ONE) -> str:
    """A file of one tensor whose entry has these pieces of JSON."""
    return file_of(f'{{"a":{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}}}}}', data)


def two(first: str, second: str, data: str) -> str:
    """A file of two F32 tensors, each given as "shape,offsets" in JSON."""
    (s1, o1), (s2, o2) = (text.split(";") for text in (first, second))
    a, b = (f'{{"dtype":"F32","shape":{s},"data_offsets":{o}}}' for s, o in ((s1, o1), (s2, o2)))
    return file_of(f'{{"a":{a},"b":{b}}}', data)


NEST = 20_000
VERY_DEEP = [
    (len('{"a":}') + 2 * NEST).to_bytes(8, "little").hex() + b'{"a":'.hex(),
    {"repeat": "5b", "bytes": NEST},
    {"repeat": "5d", "bytes": NEST},
    "7d",
]

HEADERS: list[tuple[str, Any, str, str]] = [
    ("no-bytes", "", "EN-9", "an empty file"),
    ("seven-bytes", "02000000000000", "EN-9", "less than eight bytes"),
    ("no-header", "0000000000000000", "EN-9", "N is 0: no JSON at all"),
    ("tab-before", file_of("\t{" + A + "}", ONE), "EN-9", "a tab before the JSON: only spaces may stand there"),
    ("line-feed-before", file_of("\n{" + A + "}", ONE), "EN-9", "a line feed before the JSON"),
    ("tab-behind", file_of("{" + A + "}\t", ONE), "EN-9", "a tab behind the JSON"),
    ("line-feed-behind", file_of("{" + A + "}\n", ONE), "EN-9", "a line feed behind the JSON"),
    ("carriage-return-behind", file_of("{" + A + "} \r ", ONE), "EN-9", "a carriage return between spaces"),
    ("header-cut", "0300000000000000" + b"{}".hex(), "EN-9", "N beyond the end of the file"),
    ("header-too-long", "01e1f50500000000" + b"{}".hex(), "EN-9", "N is 100,000,001"),
    ("header-huge", "ffffffffffffffff" + b"{}".hex(), "EN-9 EN-14", "N is 2^64 - 1: nothing may be allocated for it"),
    ("not-json", file_of("{a}", ""), "EN-9", "not JSON"),
    ("two-objects", file_of("{}{}", ""), "EN-9", "two objects"),
    ("trailing-comma", file_of("{" + A + ",}", ONE), "EN-9", "a trailing comma"),
    ("comment", file_of("{" + A + "/**/}", ONE), "EN-9", "a comment"),
    ("single-quotes", file_of("{'a':{'dtype':'F32','shape':[1],'data_offsets':[0,4]}}", ONE), "EN-9",
     "single quotes"),
    ("array", file_of("[]", ""), "EN-9", "an array"),
    ("null", file_of("null", ""), "EN-9", "null"),
    ("nul-padding", file_of("{" + A + "}\0\0", ONE), "EN-9", "padded with NUL"),
    ("bom", file_of("\ufeff{" + A + "}", ONE), "EN-9", "a byte order mark"),
    ("not-utf8", file_of(b'{"\xff":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', ONE), "EN-9", "not UTF-8"),
    ("utf8-surrogate", file_of(b'{"\xed\xa0\x80":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', ONE), "EN-9",
     "a surrogate in three bytes is not UTF-8"),
    ("control-character", file_of('{"a\n":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', ONE), "EN-9",
     "a raw line feed in a string is not JSON"),
    ("deep", file_of('{"a":' + "[" * 200 + "]" * 200 + "}", ""), "EN-9", "nested 200 deep"),
    ("very-deep", VERY_DEEP, "EN-9",
     "nested 20,000 deep: refused without exhausting a stack"),
    ("lone-surrogate", file_of('{"\\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', ONE), "EN-10",
     "an escaped lone surrogate as a name"),
    ("lone-low-surrogate", file_of('{"a\\udc00":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', ONE), "EN-10",
     "an escaped lone low surrogate in a name"),
    ("reversed-surrogates", file_of('{"\\ude00\\ud83d":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', ONE),
     "EN-10", "a pair in the wrong order is two lone ones"),
    ("metadata-lone-surrogate", file_of('{"__metadata__":{"k":"\\ud800"}}', ""), "EN-10",
     "a lone surrogate in a value of the metadata"),
    ("metadata-key-surrogate", file_of('{"__metadata__":{"\\udfff":"v"}}', ""), "EN-10",
     "a lone surrogate in a key of the metadata"),
    ("metadata-number", file_of('{"__metadata__":{"k":1}}', ""), "EN-10", "metadata that is not a string"),
    ("metadata-null", file_of('{"__metadata__":null}', ""), "EN-10", "metadata that is no object"),
    ("metadata-nested", file_of('{"__metadata__":{"k":{"l":"m"}}}', ""), "EN-10", "an object in the metadata"),
    ("metadata-tensor", file_of('{"__metadata__":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}', ""), "EN-10",
     "a tensor under the name of the metadata"),
    ("entry-missing-dtype", file_of('{"a":{"shape":[1],"data_offsets":[0,4]}}', ONE), "EN-11", "no dtype"),
    ("entry-missing-shape", file_of('{"a":{"dtype":"F32","data_offsets":[0,4]}}', ONE), "EN-11", "no shape"),
    ("entry-missing-offsets", file_of('{"a":{"dtype":"F32","shape":[1]}}', ONE), "EN-11", "no offsets"),
    ("entry-extra-key", file_of('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}', ONE), "EN-11",
     "a key too many"),
    ("entry-not-object", file_of('{"a":[]}', ""), "EN-11", "an entry that is no object"),
    ("entry-null", file_of('{"a":null}', ""), "EN-11", "an entry that is null"),
    ("dtype-number", entry(dtype="32"), "EN-11", "a dtype that is no string"),
    ("shape-negative", entry(shape="[-1]"), "EN-11", "a negative size"),
    ("shape-float", entry(shape="[1.0]"), "EN-11", "a size with a point"),
    ("shape-exponent", entry(shape="[1e0]"), "EN-11", "a size with an exponent"),
    ("shape-true", entry(shape="[true]"), "EN-11", "a boolean is no integer"),
    ("shape-string", entry(shape='["1"]'), "EN-11", "a string is no integer"),
    ("shape-number", entry(shape="1"), "EN-11", "a shape that is no array"),
    ("shape-nested", entry(shape="[[1]]"), "EN-11", "an array inside the shape"),
    ("shape-nan", entry(shape="[NaN]"), "EN-9", "NaN is not JSON"),
    ("shape-2-63", entry(shape="[9223372036854775808,0]", offsets="[0,0]", data=""), "EN-11",
     "a size of 2^63, though the product is 0"),
    ("shape-long", entry(shape="[" + ",".join(["1"] * 65) + "]"), "EN-11", "65 sizes"),
    ("shape-minus-zero", entry(shape="[-0]", offsets="[0,0]", data=""), "EN-11", "a size with a sign"),
    ("offsets-minus-zero", entry(offsets="[-0,4]"), "EN-11", "an offset with a sign"),
    ("offsets-one", entry(offsets="[4]"), "EN-11", "one offset"),
    ("offsets-three", entry(offsets="[0,4,4]"), "EN-11", "three offsets"),
    ("offsets-float", entry(offsets="[0,4.0]"), "EN-11", "an offset with a point"),
]  # fmt: skip

DUPLICATES = [
    ("name", file_of("{" + A + "," + A + "}", ONE), "a name twice"),
    ("name-escaped", file_of("{" + A + ',"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', ONE),
     "a name twice, once escaped"),
    ("key", file_of('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', ONE), "dtype twice"),
    ("key-escaped", file_of('{"a":{"shape":[1],"sh\\u0061pe":[1],"dtype":"F32","data_offsets":[0,4]}}', ONE),
     "shape twice, once escaped"),
    ("metadata", file_of('{"__metadata__":{},"__metadata__":{},' + A + "}", ONE), "the metadata twice"),
    ("in-metadata", file_of('{"__metadata__":{"k":"v","k":"v"},' + A + "}", ONE), "a key of the metadata twice"),
]  # fmt: skip

#: Their numbers are in the ids of cases; what had the others is read now.
DTYPES = {4: "f32", 5: "F32 ", 6: "", 7: "float32", 8: "C128", 9: "F4_E2M1"}

LAYOUTS = [
    ("too-few-bytes", entry(shape="[2]"), "EN-11", "offsets of 4 bytes for a shape of 8"),
    ("too-many-bytes", entry(shape="[0]"), "EN-11", "offsets of 4 bytes for an empty shape"),
    ("reversed", entry(offsets="[4,0]"), "EN-11", "b > e"),
    ("reversed-empty", entry(shape="[0]", offsets="[4,0]"), "EN-11", "b > e, and an empty shape"),
    ("reversed-behind", two("[1];[0,4]", "[1];[8,4]", ONE + ONE), "EN-11", "b > e in the second tensor"),
    ("product-overflow", entry(shape="[4294967296,4294967296]", offsets="[0,0]", data=""), "EN-11",
     "a product of 2^64, which 64 bits take for 0"),
    ("bytes-overflow", entry(shape="[4611686018427387905]"), "EN-11", "2^62 + 1 elements of 4 bytes: 4, modulo 2^64"),
    ("empty-too-large", entry(shape="[2305843009213693952,0]", offsets="[0,0]", data=""), "EN-11",
     "the sizes other than 0 make 2^63 bytes"),
    ("empty-product-overflow", entry(shape="[0,4294967296,4294967296]", offsets="[0,0]", data=""), "EN-11",
     "the sizes other than 0 make 2^66 bytes"),
    ("packed-odd", entry(dtype='"F4"', offsets="[0,1]", data="01"), "EN-11", "an element of four bits is no byte"),
    ("packed-six", entry(dtype='"F6_E2M3"', shape="[2]", offsets="[0,2]", data="0102"), "EN-11",
     "two elements of six bits are no whole number of bytes"),
    ("packed-too-many", entry(dtype='"F4"', shape="[2]"), "EN-11", "two elements of four bits are one byte"),
    ("packed-overflow", entry(dtype='"F4"', shape="[9223372036854775807,2,0]", offsets="[0,0]", data=""), "EN-11",
     "the sizes other than 0 make 2^63 elements or more, though fewer bytes"),
    ("beyond-end", entry(shape="[2]", offsets="[0,8]"), "EN-13", "a tensor beyond the end of the data"),
    ("trailing-data", entry(data=ONE + "00"), "EN-13", "a byte behind the last tensor"),
    ("leading-hole", entry(offsets="[4,8]", data=ONE + ONE), "EN-13", "a hole before the first tensor"),
    ("hole", two("[1];[0,4]", "[1];[5,9]", ONE + "00" + ONE), "EN-13", "a hole between two tensors"),
    ("overlap", two("[1];[0,4]", "[1];[3,7]", ONE + ONE[:6]), "EN-13", "two tensors that overlap"),
    ("shared", two("[1];[0,4]", "[1];[0,4]", ONE), "EN-13", "two tensors at one place"),
    ("inside", two("[2];[0,8]", "[1];[2,6]", ONE + ONE), "EN-13", "one tensor inside another"),
    ("data-without-tensors", file_of("{}", "00"), "EN-13", "data, and no tensor"),
    ("empty-beyond-end", two("[1];[0,4]", "[0];[5,5]", ONE), "EN-13", "an empty tensor beyond the end of the data"),
    ("no-data", entry(data=""), "EN-13", "the data is missing"),
]  # fmt: skip

REFUSED = [
    *((f"header-{i}", file, "HeaderError", clauses, why) for i, file, clauses, why in HEADERS),
    *((f"duplicate-{i}", file, "DuplicateName", "EN-10", why) for i, file, why in DUPLICATES),
    *(
        (f"dtype-{n}", entry(dtype=f'"{dtype}"'), "DtypeError", "EN-12", f"the dtype {dtype!r} is not supported")
        for n, dtype in DTYPES.items()
    ),
    *((f"layout-{i}", file, "LayoutError", clauses, why) for i, file, clauses, why in LAYOUTS),
]

"""Canonical values: every boundary of every form, and the bytes that a decoder refuses."""

from __future__ import annotations

from typing import Any

from generator.cases import Case
from generator.reference.canonical import encode, read_value, show_value

Json = Any

INTEGERS = {
    0: "00", 1: "01", 127: "7f", 128: "cc80", 255: "ccff", 256: "cd0100", 65535: "cdffff", 65536: "ce00010000",
    2**31: "ce80000000", 2**32 - 1: "ceffffffff", 2**32: "cf0000000100000000", 2**63 - 1: "cf7fffffffffffffff",
    2**63: "cf8000000000000000", 2**64 - 1: "cfffffffffffffffff", -1: "ff", -32: "e0", -33: "d0df", -128: "d080",
    -129: "d1ff7f", -32768: "d18000", -32769: "d2ffff7fff", -(2**31): "d280000000",
    -(2**31) - 1: "d3ffffffff7fffffff", -(2**63): "d38000000000000000",
}  # fmt: skip

VALUES: list[tuple[str, Any, str | None, str]] = [
    ("nil", None, "c0", "nil"),
    ("false", False, "c2", "a boolean is no integer"),
    ("true", True, "c3", "a boolean is no integer"),
    ("empty-string", "", "a0", "the empty string"),
    ("string", "ties", "a474696573", "a short string"),
    ("string-nul", "\x00", "a100", "U+0000 is a character like others"),
    ("string-two-bytes", "\u00e9", "a2c3a9", "length counts bytes, not characters"),
    ("string-decomposed", "e\u0301", "a365cc81", "never normalised"),
    ("string-astral", "\U0001f600", "a4f09f9880", "a character above U+FFFF"),
    ("string-last", "\U0010ffff", "a4f48fbfbf", "the last code point"),
    ("string-noncharacter", "\uffff", "a3efbfbf", "a noncharacter is no surrogate"),
    ("string-31", "a" * 31, None, "the longest fixstr"),
    ("string-32", "a" * 32, None, "the shortest str 8"),
    ("string-16-e-acute", "\u00e9" * 16, None, "16 characters of 32 bytes: str 8"),
    ("string-255", "a" * 255, None, "the longest str 8"),
    ("string-256", "a" * 256, None, "the shortest str 16"),
    ("empty-bytes", b"", "c400", "bin has no fix form"),
    ("bytes", b"\x00\xff", "c40200ff", "a byte string"),
    ("bytes-255", b"\x07" * 255, None, "the longest bin 8"),
    ("bytes-256", b"\x07" * 256, None, "the shortest bin 16"),
    ("empty-array", [], "90", "the empty array"),
    ("array", [1, "a", b"a", None], "9401a161c40161c0", "items of several kinds"),
    ("array-15", [0] * 15, "9f" + "00" * 15, "the longest fixarray"),
    ("array-16", [0] * 16, "dc0010" + "00" * 16, "the shortest array 16"),
    ("empty-map", {}, "80", "the empty map"),
    ("map-order", {"b": 1, "a": 2}, "82a16102a16201", "keys in ascending order"),
    ("map-order-length", {"aa": 1, "b": 2, "a": 3, "": 4}, "84a004a16103a2616101a16202",
     "a prefix comes first, and length decides nothing else"),
    ("map-order-utf8", {"\U00010000": 1, "\uffff": 2, "\ud7ff": 3, "\ue000": 4, "z": 5},
     "85a17a05a3ed9fbf03a3ee808004a3efbfbf02a4f090808001",
     "by UTF-8 bytes U+FFFF comes before U+10000; by UTF-16 code units it does not"),
    ("map-order-case", {"a": 1, "B": 2, "_": 3}, "83a14202a15f03a16101", "bytes, not a language's alphabet"),
    ("map-15", {f"{i:02}": i for i in range(15)}, None, "the longest fixmap"),
    ("map-16", {f"{i:02}": i for i in range(16)}, None, "the shortest map 16"),
    ("map-nested", {"x": {"y": [True, {"z": b""}]}}, "81a17881a17992c381a17ac400", "maps and arrays in each other"),
]  # fmt: skip

LONG: list[tuple[str, Json, str]] = [
    ("string-65535", {"str": {"repeat": "a", "times": 65535}}, "daffff6161"),
    ("string-65536", {"str": {"repeat": "a", "times": 65536}}, "db00010000"),
    ("bytes-65535", {"bin": {"repeat": "00", "bytes": 65535}}, "c5ffff0000"),
    ("bytes-65536", {"bin": {"repeat": "00", "bytes": 65536}}, "c600010000"),
    ("array-65535", {"array": {"repeat": None, "times": 65535}}, "dcffffc0c0"),
    ("array-65536", {"array": {"repeat": None, "times": 65536}}, "dd00010000"),
]

REFUSED = {
    "empty": ("", "no value"),
    "two-values": ("0000", "bytes behind the value"),
    "trailing-nil": ("c0c0", "bytes behind the value"),
    "int-cc-7f": ("cc7f", "127 in two bytes"),
    "int-cd-00ff": ("cd00ff", "255 in three bytes"),
    "int-ce-0000ffff": ("ce0000ffff", "65535 in five bytes"),
    "int-cf-ffffffff": ("cf00000000ffffffff", "2^32 - 1 in nine bytes"),
    "int-d0-positive": ("d005", "5 in an int form"),
    "int-d0-zero": ("d000", "0 in an int form"),
    "int-d0-minus-1": ("d0ff", "-1 in two bytes"),
    "int-d0-minus-32": ("d0e0", "-32 in two bytes"),
    "int-d1-positive": ("d10080", "128 in an int form"),
    "int-d1-minus-128": ("d1ff80", "-128 in three bytes"),
    "int-d2-minus-32768": ("d2ffff8000", "-32768 in five bytes"),
    "int-d3-minus-2-31": ("d3ffffffff80000000", "-2^31 in nine bytes"),
    "int-d3-positive": ("d37fffffffffffffff", "2^63 - 1 in an int form"),
    "str8-short": ("d90161", "a string of one byte as str 8"),
    "str8-31": ("d91f" + "61" * 31, "a string of 31 bytes as str 8"),
    "str16-short": ("da000161", "a string of one byte as str 16"),
    "str32-short": ("db0000000161", "a string of one byte as str 32"),
    "bin16-short": ("c5000161", "a byte string of one byte as bin 16"),
    "bin32-short": ("c60000000161", "a byte string of one byte as bin 32"),
    "array16-short": ("dc000100", "an array of one item as array 16"),
    "array32-short": ("dd0000000100", "an array of one item as array 32"),
    "map16-short": ("de0001a16100", "a map of one entry as map 16"),
    "map32-short": ("df00000001a16100", "a map of one entry as map 32"),
    "float32": ("ca3f800000", "a float"),
    "float64": ("cb3ff0000000000000", "a float"),
    "float-in-map": ("81a161ca3f800000", "a float inside"),
    "fixext1": ("d40100", "an extension type"),
    "fixext4-timestamp": ("d6ff00000000", "an extension type"),
    "ext8": ("c70105aa", "an extension type"),
    "reserved-c1": ("c1", "the tag that MessagePack never uses"),
    "map-order": ("82a16201a16102", "keys in descending order"),
    "map-order-utf16": ("82a4f090808001a3efbfbf02", "U+10000 before U+FFFF: the order of UTF-16"),
    "map-duplicate": ("82a16101a16102", "a key twice"),
    "map-duplicate-equal": ("82a16101a16101", "a key twice with one value"),
    "map-integer-key": ("810102", "a key that is an integer"),
    "map-bytes-key": ("81c4016101", "a key that is a byte string"),
    "map-nil-key": ("81c001", "a key that is nil"),
    "map-array-key": ("819001", "a key that is an array"),
    "truncated-int": ("cd01", "an integer cut short"),
    "truncated-string": ("a26f", "a string cut short"),
    "truncated-length": ("d9", "a length cut short"),
    "truncated-array": ("9200", "an array without its last item"),
    "truncated-map": ("81a161", "a map without its last value"),
    "huge-array": ("ddffffffff", "2^32 - 1 items promised, none there: nothing may be allocated for them"),
    "huge-string": ("dbffffffff", "2^32 - 1 bytes promised, none there"),
    "huge-map": ("dfffffffff", "2^32 - 1 entries promised, none there"),
    "utf8-overlong": ("a2c080", "U+0000 in two bytes"),
    "utf8-surrogate": ("a3eda080", "a lone surrogate"),
    "utf8-surrogate-pair": ("a6eda0bdedb880", "a pair of surrogates, each in three bytes"),
    "utf8-beyond": ("a4f4908080", "above U+10FFFF"),
    "utf8-lone-continuation": ("a180", "a continuation byte alone"),
    "utf8-truncated": ("a1c3", "a character cut short"),
    "utf8-bad-key": ("81a1ff00", "a key that is not UTF-8"),
    "depth-9": ("91" * 9 + "c0", "nine arrays around nil"),
    "depth-9-maps": ("81a161" * 9 + "c0", "nine maps around nil"),
    "depth-9-empty": ("91" * 9 + "90", "nine arrays around an empty one"),
}
ACCEPTED = {
    "depth-8": ("91" * 8 + "c0", "eight arrays around nil: depth 8"),
    "depth-8-empty": ("91" * 8 + "90", "an empty array holds no other value: nine arrays, depth 8"),
    "depth-8-maps": ("81a161" * 8 + "80", "the same with maps"),
}


def described(i: str) -> str:
    kind, _, length = i.partition("-")
    return f"{kind} of length {length}: a boundary of the lengths' forms"


CASES = [
    *(
        Case("encode", f"encode-int-{str(n).replace('-', 'minus-')}", "EN-1 EN-2", "a boundary of the integer forms",
             {"value": show_value(n)}, {"encoding": hex_})
        for n, hex_ in INTEGERS.items()
    ),
    *(
        Case("decode", f"decode-int-{str(n).replace('-', 'minus-')}", "EN-2 EN-3", "a boundary of the integer forms",
             {"encoding": hex_}, {"value": show_value(n)})
        for n, hex_ in INTEGERS.items()
    ),
    *(
        Case("encode", f"encode-{i}", "EN-1 EN-2", why,
             {"value": {"map": [[k, show_value(x)] for k, x in value.items()]} if isinstance(value, dict)
              else show_value(value)}, {"encoding": hex_} if hex_ else None)
        for i, value, hex_, why in VALUES
    ),
    *(
        Case("decode", f"decode-{i}", "EN-2 EN-3", why, {"encoding": encode(value).hex()},
             {"value": show_value(value)})
        for i, value, _, why in VALUES
    ),
    *(
        Case("encode-long", f"encode-{i}", "EN-2", described(i), {"value": value},
             {"head": head, "bytes": len(encode(read_value(value)))})
        for i, value, head in LONG
    ),
    *(
        Case("decode", f"decode-refused-{i}", "EN-3", why, {"encoding": hex_}, "EncodingError")
        for i, (hex_, why) in REFUSED.items()
    ),
    *(
        Case("decode", f"decode-{i}", "EN-3", why, {"encoding": hex_}) for i, (hex_, why) in ACCEPTED.items()
    ),
    Case("accept-encoding", "decode-limit", "EN-3", "2^20 bytes: at the limit",
         {"encoding": ["c6000ffffb", {"repeat": "00", "bytes": 2**20 - 5}]}, {}),
    Case("accept-encoding", "decode-refused-limit", "EN-3", "2^20 + 1 bytes: above the limit",
         {"encoding": ["c6000ffffc", {"repeat": "00", "bytes": 2**20 - 4}]}, "EncodingError"),
    Case("accept-encoding", "decode-refused-deep", "EN-3",
         "100,000 arrays in each other: refused without exhausting a stack",
         {"encoding": [{"repeat": "91", "bytes": 100_000}, "c0"]}, "EncodingError"),
]  # fmt: skip

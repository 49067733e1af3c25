"""Canonical values and their one encoding, a subset of MessagePack [EN-1 to EN-3]."""

from __future__ import annotations

from typing import Any

from generator.reference.refused import Refused
from generator.reference.tensors import read_bytes

LIMIT = 2**20
DEPTH = 8
Value = Any  # None, bool, int, str, bytes, list of values, dict from str to values


def head(length: int, forms: list[tuple[int, int, int]]) -> bytes:
    """The first of the (tag, bytes of the number, lengths below) that holds the length."""
    for tag, width, below in forms:
        if length < below:
            return bytes([tag | length]) if width == 0 else bytes([tag]) + length.to_bytes(width, "big")
    raise ValueError(f"{length} does not fit")


UNSIGNED = [(0x00, 0, 2**7), (0xCC, 1, 2**8), (0xCD, 2, 2**16), (0xCE, 4, 2**32), (0xCF, 8, 2**64)]
SIGNED = [(0xD0, 1), (0xD1, 2), (0xD2, 4), (0xD3, 8)]
STRING = [(0xA0, 0, 2**5), (0xD9, 1, 2**8), (0xDA, 2, 2**16), (0xDB, 4, 2**32)]
BINARY = [(0xC4, 1, 2**8), (0xC5, 2, 2**16), (0xC6, 4, 2**32)]
ARRAY = [(0x90, 0, 2**4), (0xDC, 2, 2**16), (0xDD, 4, 2**32)]
MAP = [(0x80, 0, 2**4), (0xDE, 2, 2**16), (0xDF, 4, 2**32)]


def encode_integer(x: int) -> bytes:
    if x >= 0:
        return head(x, UNSIGNED)
    if x >= -32:
        return bytes([256 + x])
    tag, width = next((tag, width) for tag, width in SIGNED if x >= -(2 ** (8 * width - 1)))
    return bytes([tag]) + x.to_bytes(width, "big", signed=True)


def encode(value: Value) -> bytes:
    """The encoding of a canonical value [EN-2]."""
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        return encode_integer(value)
    if isinstance(value, str):
        text = value.encode("utf-8")
        return head(len(text), STRING) + text
    if isinstance(value, bytes):
        return head(len(value), BINARY) + value
    if isinstance(value, list):
        return head(len(value), ARRAY) + b"".join(encode(item) for item in value)
    items = sorted(value.items(), key=lambda item: item[0].encode("utf-8"))
    return head(len(items), MAP) + b"".join(encode(key) + encode(item) for key, item in items)


class Decoder:
    """Reads one value; every form but the shortest is refused where it stands."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, n: int) -> bytes:
        if self.at + n > len(self.data):
            raise Refused("EncodingError")
        self.at += n
        return self.data[self.at - n : self.at]

    def length(self, tag: int, forms: list[tuple[int, int, int]]) -> int | None:
        """The number that a tag of this family carries, or None when the tag is of another family."""
        for first, width, below in forms:
            if width == 0 and first <= tag < first + below:
                return tag - first
            if width and tag == first:
                n = int.from_bytes(self.take(width), "big")
                if head(n, forms)[0] != tag:
                    raise Refused("EncodingError")
                return n
        return None

    def value(self, level: int) -> Value:
        tag = self.take(1)[0]
        if tag in (0xC0, 0xC2, 0xC3):
            return {0xC0: None, 0xC2: False, 0xC3: True}[tag]
        if tag >= 0xE0:
            return tag - 256
        if 0xD0 <= tag <= 0xD3:
            return self.negative(tag)
        for forms, content in ((UNSIGNED, int), (STRING, self.text), (BINARY, self.take)):
            if (n := self.length(tag, forms)) is not None:
                return content(n)
        return self.container(tag, level)

    def negative(self, tag: int) -> int:
        x = int.from_bytes(self.take(dict(SIGNED)[tag]), "big", signed=True)
        if x >= 0 or encode_integer(x)[0] != tag:
            raise Refused("EncodingError")
        return x

    def text(self, n: int) -> str:
        try:
            return self.take(n).decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("EncodingError") from None

    def container(self, tag: int, level: int) -> Value:
        """An array or a map; one that holds anything at level 8 makes the whole deeper than 8 [EN-3]."""
        items, pairs = self.length(tag, ARRAY), self.length(tag, MAP)
        if items is None and pairs is None:
            raise Refused("EncodingError")
        if (items or pairs) and level >= DEPTH:
            raise Refused("EncodingError")
        if items is not None:
            return [self.value(level + 1) for _ in range(items)]
        result: dict[str, Value] = {}
        last: bytes | None = None
        for _ in range(pairs or 0):
            key = self.value(level + 1)
            if not isinstance(key, str) or (last is not None and key.encode("utf-8") <= last):
                raise Refused("EncodingError")
            last = key.encode("utf-8")
            result[key] = self.value(level + 1)
        return result


def decode(data: bytes, limit: int = LIMIT) -> Value:
    """The value whose encoding `data` is, or EncodingError [EN-3]."""
    if len(data) > limit:
        raise Refused("EncodingError")
    decoder = Decoder(data)
    value = decoder.value(0)
    if decoder.at != len(data):
        raise Refused("EncodingError")
    return value


def repeated(spec: Any) -> bool:
    return isinstance(spec, dict) and "repeat" in spec


def read_value(spec: Any) -> Value:
    """A canonical value as a case writes it: null, true, {"int": "1"}, {"str"}, {"bin"}, {"array"}, {"map"}."""
    if spec is None or isinstance(spec, bool):
        return spec
    ((kind, content),) = spec.items()
    return READERS[kind](content)


def read_text(content: Any) -> str:
    return content["repeat"] * content["times"] if repeated(content) else content


def read_array(content: Any) -> list[Value]:
    if repeated(content):
        return [read_value(content["repeat"])] * content["times"]
    return [read_value(item) for item in content]


def read_map(content: Any) -> dict[str, Value]:
    return {key: read_value(item) for key, item in content}


READERS = {"int": int, "str": read_text, "bin": read_bytes, "array": read_array, "map": read_map}


def show_value(value: Value) -> Any:
    """The inverse of `read_value`; map entries in the order of their keys' UTF-8 bytes."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return {"int": str(value)}
    if isinstance(value, str):
        return {"str": value}
    if isinstance(value, bytes):
        return {"bin": value.hex()}
    if isinstance(value, list):
        return {"array": [show_value(item) for item in value]}
    pairs = sorted(value.items(), key=lambda pair: pair[0].encode("utf-8"))
    return {"map": [[key, show_value(item)] for key, item in pairs]}

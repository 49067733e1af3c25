"""Tensors as dtype, shape and little-endian bytes, and the ways a case writes bytes and tensors down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from generator.reference.rounding import BF16, F16, F32, F64, Format

FLOATS: dict[str, Format] = {"F64": F64, "F32": F32, "BF16": BF16, "F16": F16}
SIZES = {name: fmt.size for name, fmt in FLOATS.items()} | {
    "BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "U32": 4, "I32": 4, "U64": 8, "I64": 8, "C64": 8,
    "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1,
}  # fmt: skip
#: The bits of an element: those of six and four are packed [EN-12].
BITS = {name: 8 * size for name, size in SIZES.items()} | {"F6_E2M3": 6, "F6_E3M2": 6, "F4": 4}


@dataclass(frozen=True)
class Tensor:
    """One tensor; `data` has BITS[dtype] bits for each element, C order."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def is_float(self) -> bool:
        return self.dtype in FLOATS

    @property
    def fmt(self) -> Format:
        return FLOATS[self.dtype]

    def bits(self) -> list[int]:
        size = SIZES[self.dtype]
        return [int.from_bytes(self.data[i : i + size], "little") for i in range(0, len(self.data), size)]

    def index(self, position: int) -> list[int]:
        """The coordinates of an element [TV-9]: `[]` in a 0-d tensor."""
        coordinates: list[int] = []
        for size in reversed(self.shape):
            position, coordinate = divmod(position, size)
            coordinates.insert(0, coordinate)
        return coordinates

    def to_json(self) -> dict[str, Any]:
        return {"dtype": self.dtype, "shape": list(self.shape), "hex": self.data.hex()}


Tensors = Mapping[str, Tensor]


def tensor_of_bits(dtype: str, shape: tuple[int, ...], bits: list[int]) -> Tensor:
    return Tensor(dtype, shape, b"".join(b.to_bytes(SIZES[dtype], "little") for b in bits))


def name_key(name: str) -> bytes:
    """Name order is the order of the UTF-8 bytes."""
    return name.encode("utf-8")


def in_name_order(tensors: Tensors) -> list[tuple[str, Tensor]]:
    return [(name, tensors[name]) for name in sorted(tensors, key=name_key)]


def read_bytes(spec: Any) -> bytes:
    """Bytes of a case: hex, {"repeat": hex, "bytes": n}, {"counted": hex, "times": n}, or a list of these.

    The last but one is the pattern n times, each with a counter behind it: 0, 1, ... in four bytes, big-endian.
    """
    if isinstance(spec, str):
        return bytes.fromhex(spec)
    if isinstance(spec, list):
        return b"".join(read_bytes(part) for part in spec)
    if "counted" in spec:
        pattern = bytes.fromhex(spec["counted"])
        return b"".join(pattern + i.to_bytes(4, "big") for i in range(spec["times"]))
    pattern = bytes.fromhex(spec["repeat"])
    return (pattern * (spec["bytes"] // len(pattern) + 1))[: spec["bytes"]]


def read_tensor(spec: Any) -> Tensor:
    return Tensor(spec["dtype"], tuple(spec["shape"]), read_bytes(spec["hex"]))


def read_tensors(spec: Any) -> dict[str, Tensor]:
    return {name: read_tensor(tensor) for name, tensor in spec.items()}


def show_tensors(tensors: Tensors) -> dict[str, Any]:
    return {name: tensor.to_json() for name, tensor in in_name_order(tensors)}

"""safetensors files: a strict reader and the canonical writer [EN-9 to EN-13, EN-17]."""

from __future__ import annotations

import json
from math import prod
from typing import Any

from generator.reference.refused import Refused
from generator.reference.tensors import BITS, Tensor, Tensors, in_name_order

MAX_HEADER = 100_000_000
MAX_NESTING = 4
MAX_SIZES = 64
METADATA = "__metadata__"


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; its keys are compared after unescaping [EN-10]."""
    if len({key for key, _ in pairs}) != len(pairs):
        raise Refused("DuplicateName")
    return dict(pairs)


def refuse_constant(text: str) -> None:
    raise Refused("HeaderError")


def digits_alone(text: str) -> int:
    """An integer without a sign [EN-11]; the header has no other numbers."""
    if text.startswith("-"):
        raise Refused("HeaderError")
    return int(text)


def nesting(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(nesting, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(nesting, value), default=0)
    return 0


def check_text(text: str) -> None:
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise Refused("HeaderError")


def read_header(data: bytes) -> tuple[dict[str, Any], int]:
    """The header's object and where the data begins [EN-9]."""
    n = int.from_bytes(data[:8], "little")
    if len(data) < 8 or n > MAX_HEADER or n > len(data) - 8:
        raise Refused("HeaderError")
    try:
        text = data[8 : 8 + n].decode("utf-8").strip(" ")
        if not (text.startswith("{") and text.endswith("}")):
            raise Refused("HeaderError")
        header = json.loads(text, object_pairs_hook=unique, parse_constant=refuse_constant, parse_int=digits_alone)
        if nesting(header) > MAX_NESTING:
            raise Refused("HeaderError")
    except (ValueError, RecursionError):
        raise Refused("HeaderError") from None
    return header, 8 + n


def check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict):
        raise Refused("HeaderError")
    for key, text in metadata.items():
        if not isinstance(text, str):
            raise Refused("HeaderError")
        check_text(key)
        check_text(text)


def is_natural(x: Any) -> bool:
    return isinstance(x, int) and not isinstance(x, bool) and 0 <= x < 2**63


def is_shape(shape: list[Any]) -> bool:
    """At most 64 sizes."""
    return len(shape) <= MAX_SIZES and all(map(is_natural, shape))


def read_entry(entry: Any, size: int) -> tuple[str, tuple[int, ...], int, int]:
    """One tensor's dtype, shape and offsets; `size` is that of the data [EN-11 to EN-13]."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise Refused("HeaderError")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not (isinstance(dtype, str) and isinstance(shape, list) and isinstance(offsets, list)):
        raise Refused("HeaderError")
    if not (is_shape(shape) and all(map(is_natural, offsets)) and len(offsets) == 2):
        raise Refused("HeaderError")
    if dtype not in BITS:
        raise Refused("DtypeError")
    begin, end = offsets
    bounded = prod(n for n in shape if n) * max(8, BITS[dtype]) < 2**66
    if not (bounded and begin <= end <= size and prod(shape) * BITS[dtype] == 8 * (end - begin)):
        raise Refused("LayoutError")
    return dtype, tuple(shape), begin, end


def read_file(data: bytes) -> dict[str, Tensor]:
    """The tensors of a file, or the rule that it breaks."""
    header, start = read_header(data)
    size = len(data) - start
    for name in header:
        check_text(name)
    if METADATA in header:
        check_metadata(header.pop(METADATA))
    entries = {name: read_entry(entry, size) for name, entry in header.items()}
    covered = 0
    for begin, end in sorted((begin, end) for _, _, begin, end in entries.values() if begin != end):
        if begin != covered:
            raise Refused("LayoutError")
        covered = end
    if covered != size:
        raise Refused("LayoutError")
    return {
        name: Tensor(dtype, shape, data[start + begin : start + end])
        for name, (dtype, shape, begin, end) in entries.items()
    }


ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quote(text: str) -> str:
    """A JSON string as EN-17 writes it."""
    escaped = [ESCAPES.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in text]
    return '"' + "".join(escaped) + '"'


def check_writable(name: str) -> None:
    if name == METADATA or any("\ud800" <= c <= "\udfff" for c in name):
        raise Refused("HeaderError")


def write_file(tensors: Tensors) -> bytes:
    """The canonical file of a set of tensors [EN-17]."""
    for name in tensors:
        check_writable(name)
    fields, at = [quote(METADATA) + ':{"format":"pt"}'], 0
    ordered = in_name_order(tensors)
    for name, t in ordered:
        shape = ",".join(map(str, t.shape))
        offsets = f"{at},{at + len(t.data)}"
        fields.append(f'{quote(name)}:{{"dtype":"{t.dtype}","shape":[{shape}],"data_offsets":[{offsets}]}}')
        at += len(t.data)
    header = ("{" + ",".join(fields) + "}").encode("utf-8")
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + b"".join(t.data for _, t in ordered)

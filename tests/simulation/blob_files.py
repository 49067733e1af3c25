"""Blobs as the simulation knows them: canonical files written here, and what may become of them on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.simulation.damage import OUTER

#: Tensors of a file: name -> dtype, shape, bytes.
Tensors = Mapping[str, tuple[str, tuple[int, ...], bytes]]


def canonical_file(tensors: Tensors) -> bytes:
    """The one file in which these tensors are written [EN-17]."""
    return _file(tensors, {"__metadata__": {"format": "pt"}})


def _file(tensors: Tensors, header: dict[str, Any]) -> bytes:
    at = 0
    for name, (dtype, shape, data) in sorted(tensors.items()):
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(data for _, (_, _, data) in sorted(tensors.items()))


def _tensors_of(blob: bytes) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    end = 8 + int.from_bytes(blob[:8], "little")
    header, data = json.loads(blob[8:end]), blob[end:]
    header.pop("__metadata__", None)
    return {
        name: (entry["dtype"], tuple(entry["shape"]), data[slice(*entry["data_offsets"])])
        for name, entry in header.items()
    }


def _reshaped(blob: bytes, _: int) -> bytes:
    """The same bytes in other shapes: every outer check passes, the root must not."""
    return canonical_file(
        {name: (dtype, (*shape, 1), data) for name, (dtype, shape, data) in _tensors_of(blob).items()}
    )


def _retyped(blob: bytes, _: int) -> bytes:
    """The same bytes as another dtype of the same width."""
    others = {"F16": "BF16", "BF16": "F16", "F32": "I32", "I32": "F32"}
    return canonical_file(
        {name: (others[dtype], shape, data) for name, (dtype, shape, data) in _tensors_of(blob).items()}
    )


def _renamed(blob: bytes, _: int) -> bytes:
    """The same tensors under other names."""
    return canonical_file({f"{name}.x": tensor for name, tensor in _tensors_of(blob).items()})


def _changed(blob: bytes, number: int) -> bytes:
    """A sound file that holds other numbers."""
    return blob[:-1] + bytes([blob[-1] ^ 1 << number % 7])


def _respelt(blob: bytes, _: int) -> bytes:
    """The same tensors, whose root is right, in a file that is not the canonical one [CT-6]."""
    return _file(_tensors_of(blob), {"__metadata__": {"format": "np"}})


#: What may have become of a blob, by name; it is never the blob any more.
BLOB_DAMAGES: dict[str, Callable[[bytes, int], bytes]] = {
    **OUTER,
    "reshaped": _reshaped,
    "retyped": _retyped,
    "renamed": _renamed,
    "changed": _changed,
    "respelt": _respelt,
}

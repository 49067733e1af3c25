"""How large the lock of a merge will be, before it is made."""

from __future__ import annotations

from collections.abc import Iterable
from json.encoder import encode_basestring
from typing import Final

from mergealgebra.tensors.header import TensorRecord

#: The bytes of a lock but for its tensors and contributions, and of a contribution, at the most.
_MOST_AROUND: Final = 1 << 12
_MOST_CONTRIBUTION: Final = {1: 320, 2: 1 << 10}


def size_of_lock(records: Iterable[TensorRecord], contributions: int, format_: int = 1) -> int:
    """The bytes of the lock of a merge, or a few more: what stands beside tensors is taken to be long."""
    return _MOST_AROUND + contributions * _MOST_CONTRIBUTION[format_] + sum(map(_size_of_tensor, records))


def _size_of_tensor(record: TensorRecord) -> int:
    """What a tensor takes, to the byte."""
    sizes = ",\n".join(f"        {size}" for size in record.shape)
    shape = f"[\n{sizes}\n      ]" if sizes else "[]"
    lines = (
        f"    {encode_basestring(record.name)}: {{",
        f'      "dtype": "{record.dtype}",',
        f'      "shape": {shape},',
        f'      "root": "{"0" * 64}"',
        "    },",
    )
    return sum(len(line.encode()) + 1 for line in lines)

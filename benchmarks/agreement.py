"""How far two merged models lie apart: a comparison of speed means nothing unless both did the same work.

python agreement.py ONE OTHER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from settings import MODEL_FILE

#: Two values agree when they differ by no more than this share of a weight's usual size, or one step of bf16.
ABSOLUTE, RELATIVE = 1e-6, 2**-7


def disagreement(one: Path, other: Path) -> dict[str, float]:
    """The share of the elements that differ by more than rounding, and the largest difference."""
    ours, theirs = _tensors(one), _tensors(other)
    if ours.keys() != theirs.keys():
        raise SystemExit(f"different tensors: {sorted(ours.keys() ^ theirs.keys())}")
    far, largest, count = 0, 0.0, 0
    for name, mine in ours.items():
        a, b = _widened(mine), _widened(theirs[name])
        difference = np.abs(a - b)
        far += int(np.count_nonzero(difference > ABSOLUTE + RELATIVE * np.abs(a)))
        largest = max(largest, float(difference.max()))
        count += a.size
    return {"share": far / count, "largest": largest}


def _tensors(model: Path) -> dict[str, NDArray[np.generic]]:
    """Every tensor of a safetensors file by name, mapped; bf16 as its bits."""
    content = np.memmap(model / MODEL_FILE, np.uint8, "r")
    start = 8 + int(content[:8].view("<u8")[0])
    header = json.loads(content[8:start].tobytes())
    stored = {"F32": np.float32, "BF16": np.uint16}
    return {
        name: content[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]].view(stored[entry["dtype"]])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _widened(values: NDArray[np.generic]) -> NDArray[np.float32]:
    if values.dtype == np.uint16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)


if __name__ == "__main__":
    print(json.dumps(disagreement(Path(sys.argv[1]), Path(sys.argv[2]))))

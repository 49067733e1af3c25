"""Tiny real checkpoints: a base, its fine-tunes, and the folders in which models are handed on.

Files are written by the `safetensors` package, so that what is read here was not written by our own writer;
only `write_canonical` writes them as we do.
All values are small whole numbers or halves: every difference and sum of a few of them is exact in each dtype.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

from mergealgebra.tensors.dtypes import DTYPES as STORED
from mergealgebra.tensors.dtypes import name_of
from mergealgebra.tensors.safetensors_file import canonical_header, in_name_order

Array = np.ndarray[Any, Any]
Tensors = dict[str, Array]

DTYPES = {"F64": np.float64, "F32": np.float32, "BF16": ml_dtypes.bfloat16, "F16": np.float16}

#: The float tensors of the model: a matrix, two vectors, a scalar, and one without elements.
FLOATS = {"embed.weight": (16, 4), "layer.0.bias": (4,), "layer.0.weight": (3, 4), "norm.scale": (), "spare": (0, 3)}


def base(dtype: str = "F32") -> Tensors:
    """The model that everybody starts from: `FLOATS` in one dtype, and two buffers that are not float."""
    random = np.random.default_rng(0)
    floats = {name: random.integers(-8, 9, shape) * 2.0 for name, shape in FLOATS.items()}
    buffers = {"mask": np.array([True, False, True]), "positions": np.arange(16, dtype=np.int64)}
    return {**{name: np.asarray(value, DTYPES[dtype]) for name, value in floats.items()}, **buffers}


def fine_tune(number: int, dtype: str = "F32") -> Tensors:
    """The number-th model trained from `base`: about half of its float elements moved by up to 4."""
    random = np.random.default_rng(number + 1)
    tuned = base(dtype)
    for name, shape in FLOATS.items():
        moves = random.integers(-8, 9, shape) / 2 * random.integers(0, 2, shape)
        tuned[name] = np.asarray(tuned[name].astype(np.float64) + moves, DTYPES[dtype])
    return tuned


def task_vector(number: int) -> Tensors:
    """What `fine_tune(number)` adds to the base, as fp32."""
    start, tuned = base(), fine_tune(number)
    return {name: np.asarray(tuned[name] - start[name]) for name in FLOATS}


def with_value(tensors: Mapping[str, Array], name: str, index: tuple[int, ...], value: Any) -> Tensors:
    """The same tensors but for one element."""
    changed = {name: array.copy() for name, array in tensors.items()}
    changed[name][index] = value
    return changed


def write_file(path: Path, tensors: Mapping[str, Array]) -> Path:
    """One safetensors file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.asarray(array) for name, array in tensors.items()}, path, metadata={"format": "pt"})
    return path


def write_canonical(path: Path, tensors: Mapping[str, Array]) -> None:
    """The canonical file of these tensors [EN-17, EN-19]. Raises as `in_name_order` does; then nothing is written."""
    entries = in_name_order((name, name_of(array), array.shape, array.nbytes) for name, array in tensors.items())
    stored = [tensors[name].astype(STORED[dtype].numpy, copy=False).tobytes() for name, dtype, *_ in entries]
    path.write_bytes(canonical_header(entries) + b"".join(stored))


def write_folder(folder: Path, tensors: Mapping[str, Array]) -> Path:
    """A model folder as Hugging Face's `save_pretrained` leaves it."""
    write_file(folder / "model.safetensors", tensors)
    return _describe(folder)


def write_sharded(folder: Path, tensors: Mapping[str, Array], shards: int = 2) -> Path:
    """A model folder whose tensors are spread over several files."""
    names = list(tensors)
    files = {name: f"model-{i % shards + 1:05}-of-{shards:05}.safetensors" for i, name in enumerate(names)}
    for file in sorted(set(files.values())):
        write_file(folder / file, {name: tensors[name] for name in names if files[name] == file})
    index = {"metadata": {"total_size": sum(array.nbytes for array in tensors.values())}, "weight_map": files}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))
    return _describe(folder)


def write_raw(path: Path, header: str, data: bytes) -> Path:
    """A safetensors file with this header and this data, whatever they are."""
    path.write_bytes(len(header.encode()).to_bytes(8, "little") + header.encode() + data)
    return path


def _describe(folder: Path) -> Path:
    (folder / "config.json").write_text(json.dumps({"model_type": "tiny", "hidden_size": 4}))
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0", "model": {"vocab": {"a": 0}}}))
    (folder / "LICENSE").write_text("All rites reversed.\n")
    (folder / "training_args.bin").write_bytes(b"\x80\x02not weights")
    return folder

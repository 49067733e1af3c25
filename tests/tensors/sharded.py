"""Six tensors of all kinds in two shards, and what a checkpoint must hold of them."""

import json

import ml_dtypes
import numpy as np

from mergealgebra.tensors.safetensors_file import shard_names
from tests.models import write_canonical

TENSORS = {
    "b.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "a.weight": np.arange(6).astype(ml_dtypes.bfloat16),
    "a.bias": np.array(0.5, np.float64),
    "ids": np.array([[1, 2]], np.int64),
    "mask": np.array([True, False, True]),
    "none": np.zeros((0, 3), np.float16),
}
FIRST = {name: TENSORS[name] for name in ("a.bias", "b.weight", "mask")}
SECOND = {name: TENSORS[name] for name in ("a.weight", "ids", "none")}
ONE, TWO = shard_names(2)
INDEX = "model.safetensors.index.json"


def write_sharded(folder, weight_map=None, index=None, first=FIRST, second=SECOND):
    """A folder of two shards; what a test wants wrong is given."""
    folder.mkdir(exist_ok=True)
    write_canonical(folder / ONE, first)
    write_canonical(folder / TWO, second)
    true_map = dict.fromkeys(FIRST, ONE) | dict.fromkeys(SECOND, TWO)
    content = {"metadata": {"total_size": 1}, "weight_map": true_map if weight_map is None else weight_map(true_map)}
    (folder / INDEX).write_text(json.dumps(content) if index is None else index)
    return folder


def assert_holds(checkpoint, tensors):
    assert list(checkpoint.records) == sorted(tensors, key=str.encode)
    for name, array in tensors.items():
        read = checkpoint.read(name)
        assert read.dtype == array.dtype
        assert read.tobytes() == array.tobytes()
        assert read.shape == (array.size,)
        assert checkpoint.records[name].shape == array.shape

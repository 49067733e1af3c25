"""Model folders that a merge wrote: what stands in them, and how others read them."""

from __future__ import annotations

import json

from safetensors import safe_open

from mergealgebra.file_merge import Model, merge_checkpoints
from tests.engine.scenes import TIES, WAYS

INPUTS = {"base", "ft0.safetensors", "ft1.safetensors", "ft2.safetensors"}
DESCRIBED = {"config.json", "tokenizer.json", "LICENSE"}
OURS = {"merge.lock", "README.md"}
INDEX = "model.safetensors.index.json"
RACE = "out exists now: another merge, or somebody else, wrote it .* choose another name and run this again"
#: What the name of an unfinished model ends with.
TOKEN = "0123456789abcdef.unfinished"


def read_by_package(folder):
    """The tensors of a model folder, found as `from_pretrained` finds them and read by the `safetensors` package."""
    index = folder / INDEX
    if index.exists():
        weight_map = json.loads(index.read_bytes())["weight_map"]
    else:
        with safe_open(folder / "model.safetensors", "np") as file:
            weight_map = dict.fromkeys(file.keys(), "model.safetensors")
    tensors = {}
    for name, shard in weight_map.items():
        with safe_open(folder / shard, "np") as file:
            assert file.metadata() == {"format": "pt"}
            tensors[name] = file.get_tensor(name)
    return tensors


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert (array.dtype, array.shape) == (theirs[name].dtype, theirs[name].shape), name
        assert array.tobytes() == theirs[name].tobytes(), name


def merged_again(root):
    """Merge what `merged` wrote below `root`, and leave it untouched."""
    models = [Model(root / f"ft{number}.safetensors") for number in range(3)]
    return merge_checkpoints(root / "base", models, TIES, root / "out", WAYS["one thread"])

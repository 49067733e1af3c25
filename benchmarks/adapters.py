"""Three adapters of one base against the three models that they make: bytes, and the time of a merge by TIES.

    .venv/bin/python benchmarks/adapters.py [--layers 8] [--width 1024] [--rank 16] [--folder FOLDER]

Prints one line for each. Both merges give the same tensors but for the rounding of whole models to bf16, which adapters
do not have. CPU time is that of a child process; everything comes from the page cache.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

RECIPE = "method: ties\ndensity: '0.2'\nbase: base.safetensors\nmodels:\n"


def main() -> None:
    """Make the models, and merge both ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("layers", 8), ("width", 1024), ("rank", 16)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--folder")
    given = parser.parse_args()
    with TemporaryDirectory(dir=given.folder) as folder:
        root = Path(folder)
        count = make(root, given.layers, given.width, given.rank)
        print(f"base: {count / 1e6:.0f}M parameters in bf16; adapters of rank {given.rank} on every linear layer, fp32")
        for what, paths in (("models", "full{}.safetensors"), ("adapters", "lora{}")):
            merge(root, what, [paths.format(i) for i in range(3)])


def make(root: Path, layers: int, width: int, rank: int) -> int:
    """Write a base, three adapters, and the models that they make. Returns the base's number of parameters."""
    random = np.random.default_rng(1)
    shapes = {"self_attn.q_proj": (width, width), "self_attn.o_proj": (width, width)}
    shapes |= {"mlp.up_proj": (3 * width, width), "mlp.down_proj": (width, 3 * width)}
    modules = {f"model.layers.{i}.{name}": shape for i in range(layers) for name, shape in shapes.items()}
    base = {f"{name}.weight": 0.02 * random.standard_normal(shape, np.float32) for name, shape in modules.items()}
    base = {name: array.astype(ml_dtypes.bfloat16) for name, array in base.items()}
    save_file(base, root / "base.safetensors")
    for i in range(3):
        factors, whole = {}, {}
        for name, (rows, columns) in modules.items():
            up = 0.02 * random.standard_normal((rows, rank), np.float32)
            down = 0.02 * random.standard_normal((rank, columns), np.float32)
            factors |= {f"base_model.model.{name}.lora_A.weight": down, f"base_model.model.{name}.lora_B.weight": up}
            start = base[f"{name}.weight"].astype(np.float32)
            whole[f"{name}.weight"] = (start + 2 * (up @ down)).astype(ml_dtypes.bfloat16)
        (root / f"lora{i}").mkdir()
        save_file(factors, root / f"lora{i}" / "adapter_model.safetensors")
        settings = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank}
        (root / f"lora{i}" / "adapter_config.json").write_text(json.dumps(settings))
        save_file(whole, root / f"full{i}.safetensors")
    return sum(array.size for array in base.values())


def merge(root: Path, what: str, paths: list[str]) -> None:
    """Merge these, and print their bytes and the time."""
    (root / f"{what}.yaml").write_text(RECIPE + "".join(f"- path: {path}\n" for path in paths))
    files = [file for path in paths for file in ([root / path, *(root / path).glob("*")])]
    nbytes = sum(file.stat().st_size for file in files if file.is_file())
    before, start = os.times(), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "mergealgebra", "merge", f"{what}.yaml", f"{what}-merged"],
        cwd=root,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    took, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"{what:<9} {nbytes / 1e6:8.1f} MB   {took:6.1f} s   {cpu:6.1f} s of CPU time")


if __name__ == "__main__":
    main()

"""Merge checkpoints with the function `ties` of peft, one tensor after the other. Runs in the peers' environment.

    python peft_ties.py --density 0.2 --out OUT BASE FINETUNE...

As kind to peft as can be: tensors are read when their turn comes, and differences are taken in fp32 (bf16 tensors
would be slower on a CPU, and their differences rounded).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from peft.utils.merge_utils import ties
from safetensors import safe_open
from safetensors.torch import save_file

MODEL_FILE = "model.safetensors"


def main() -> None:
    """Merge what the command line names; coefficients and lambda are 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--density", type=float, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    wanted = parser.parse_args()
    torch.set_num_threads(wanted.threads)
    base, *finetunes = [safe_open(model / MODEL_FILE, "pt") for model in wanted.models]
    weights = torch.ones(len(finetunes))
    merged = {}
    for name in sorted(base.keys()):
        start = base.get_tensor(name)
        task_vectors = [finetune.get_tensor(name).float() - start.float() for finetune in finetunes]
        merged[name] = (start.float() + ties(task_vectors, weights, wanted.density)).to(start.dtype)
    wanted.out.mkdir(parents=True)
    save_file(merged, wanted.out / MODEL_FILE, metadata={"format": "pt"})


if __name__ == "__main__":
    main()

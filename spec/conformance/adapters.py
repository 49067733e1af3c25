"""Records what peft makes of adapters: `make adapters` runs it where peft is installed, apart from this package.

Each folder holds an adapter as peft saves it, and in merged.safetensors what `merge_and_unload` changes.
"""

from __future__ import annotations

import shutil
import sys
import warnings
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.pytorch_utils import Conv1D

HERE = Path(__file__).parents[2] / "tests" / "formats" / "adapters" / "peft"
D = 6


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.randn(3, 8, D))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("bd,eod->beo", x, self.up).sum()


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.v = nn.Linear(D, D), nn.Linear(D, 4)
        self.c, self.square = Conv1D(8, D), Conv1D(D, D)
        self.conv, self.point = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 1)
        self.norm = nn.LayerNorm(D)
        self.experts = Experts()


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, D)
        self.layers = nn.ModuleList([Block(), Block()])
        self.head = nn.Linear(D, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


#: Names of the folders, and what peft is told.
ADAPTERS = {
    "plain": {"target_modules": ["q", "v"], "r": 2, "lora_alpha": 3},
    "transposed": {"target_modules": ["c", "square"], "r": 2, "lora_alpha": 3},
    "patterns": {
        "target_modules": ["q", "v"],
        "r": 2,
        "lora_alpha": 5,
        "use_rslora": True,
        "rank_pattern": {r"layers\.1\.q": 3, "v": 1},
        "alpha_pattern": {"^layers.0.q": 7},
    },
    "convolutions": {"target_modules": ["conv", "point"], "r": 2, "lora_alpha": 3},
    "embedding": {"target_modules": ["embed", "q"], "r": 2, "lora_alpha": 3, "modules_to_save": ["head"]},
    "biases": {"target_modules": ["q"], "r": 2, "lora_alpha": 3, "bias": "lora_only"},
    "lora_bias": {"target_modules": ["q", "v"], "r": 2, "lora_alpha": 3, "lora_bias": True},
    "tokens": {"target_modules": ["q"], "r": 2, "lora_alpha": 3, "trainable_token_indices": {"embed": [2, 7]}},
    "parameters": {"target_modules": [], "target_parameters": ["experts.up", "v.weight"], "r": 2, "lora_alpha": 3},
    "dora": {"target_modules": ["q", "v"], "r": 2, "lora_alpha": 3, "use_dora": True},
    "dora_transposed": {"target_modules": ["c", "square"], "r": 2, "lora_alpha": 3, "use_dora": True},
    "half": {"target_modules": ["q", "v"], "r": 2, "lora_alpha": 3},
}


def load(adapter: str, base: str, out: str) -> None:
    """Load an adapter as peft does, merge it into the model, and write that."""
    model = Model()
    model.load_state_dict(load_file(base))
    tuned = PeftModel.from_pretrained(model, adapter)
    merged = tuned.merge_and_unload().state_dict()
    save_file({name: tensor.contiguous() for name, tensor in merged.items()}, out)


def record() -> None:
    """Write what peft saves and merges."""
    warnings.simplefilter("ignore")
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir()
    torch.manual_seed(1)
    model = Model()
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_file(start, HERE / "base.safetensors")
    for name, settings in ADAPTERS.items():
        fresh = Model()
        fresh.load_state_dict(start)
        tuned = get_peft_model(fresh, LoraConfig(**settings))
        for key, tensor in tuned.named_parameters():
            if tensor.requires_grad:
                tensor.data = torch.randn_like(tensor) / 8 + (tensor.data if "head" in key or "embed" in key else 0)
        if name == "half":
            for key, tensor in tuned.named_parameters():
                if "lora_" in key:
                    tensor.data = tensor.data.bfloat16()
        tuned.save_pretrained(HERE / name)
        (HERE / name / "README.md").unlink(missing_ok=True)
        merged = tuned.merge_and_unload().state_dict()
        changed = {key: value for key, value in merged.items() if not torch.equal(value, start[key])}
        save_file({key: value.contiguous() for key, value in changed.items()}, HERE / name / "merged.safetensors")
        print(name, sorted(changed), file=sys.stderr)


if __name__ == "__main__":
    load(*sys.argv[1:]) if sys.argv[1:] else record()

"""What the files of a model are called [LK-1, EN-18]."""

from __future__ import annotations

from typing import Final

#: What a model's files begin with: transformers' and ours, and diffusers'.
STEM: Final = "model"
DIFFUSERS_STEM: Final = "diffusion_pytorch_model"
MODEL: Final = f"{STEM}.safetensors"
INDEX: Final = f"{MODEL}.index.json"
#: An adapter of peft.
ADAPTER: Final = "adapter_model.safetensors"
ADAPTER_CONFIG: Final = "adapter_config.json"
LOCK: Final = "merge.lock"

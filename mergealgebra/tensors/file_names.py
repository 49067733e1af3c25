"""What the files of a model are called [LK-1, EN-18]."""

from __future__ import annotations

from typing import Final

#: What a model's files begin with: transformers' and ours, and diffusers'.
STEM: Final = "model"
DIFFUSERS_STEM: Final = "diffusion_pytorch_model"
MODEL: Final = f"{STEM}.safetensors"
INDEX: Final = f"{MODEL}.index.json"
LOCK: Final = "merge.lock"

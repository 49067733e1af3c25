"""How the tensors of adapters are called: by module, and by what each is of it [AD-3]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from mergealgebra.errors import AdapterError
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.header import TensorRecord
from mergealgebra.text import location, shown

UP: Final = "up"
DOWN: Final = "down"
ALPHA: Final = "alpha"
UP_BIAS: Final = "bias of up"
EMBEDDING_UP: Final = "up of an embedding"
EMBEDDING_DOWN: Final = "down of an embedding"
TOKENS: Final = "rows of tokens"
DIFF: Final = "difference"
DIFF_BIAS: Final = "difference of the bias"
MAGNITUDE: Final = "magnitude"

#: What each tensor is, by the end of its name: peft's spelling, kohya's, and those of diffusers that ComfyUI knows.
_ROLES: Final = MappingProxyType(
    {
        ".lora_A.weight": DOWN,
        ".lora_B.weight": UP,
        ".lora_A.default.weight": DOWN,
        ".lora_B.default.weight": UP,
        ".lora_A": DOWN,
        ".lora_B": UP,
        ".lora_B.bias": UP_BIAS,
        ".lora_B.default.bias": UP_BIAS,
        ".lora_embedding_A": EMBEDDING_DOWN,
        ".lora_embedding_B": EMBEDDING_UP,
        ".lora_embedding_A.default": EMBEDDING_DOWN,
        ".lora_embedding_B.default": EMBEDDING_UP,
        ".token_adapter.trainable_tokens_delta": TOKENS,
        ".lora_magnitude_vector": MAGNITUDE,
        ".lora_magnitude_vector.weight": MAGNITUDE,
        ".lora_magnitude_vector.default.weight": MAGNITUDE,
        ".lora_down.weight": DOWN,
        ".lora_up.weight": UP,
        "_lora.down.weight": DOWN,
        "_lora.up.weight": UP,
        ".lora.down.weight": DOWN,
        ".lora.up.weight": UP,
        ".lora_linear_layer.down.weight": DOWN,
        ".lora_linear_layer.up.weight": UP,
        ".alpha": ALPHA,
        ".dora_scale": MAGNITUDE,
        ".diff": DIFF,
        ".diff_b": DIFF_BIAS,
    }
)

_TUCKER: Final = "a Tucker decomposition (LoCon with lora_mid)"
_LOHA: Final = "LoHa"
_LOKR: Final = "LoKr"
#: What is not a product of two factors, by a part of the names.
_OTHERS: Final = MappingProxyType(
    {
        ".lora_mid.": _TUCKER,
        ".hada_": _LOHA,
        ".lokr_": _LOKR,
        ".oft_": "OFT",
        ".oft_R": "OFT",
        ".boft_": "BOFT",
        ".a1.weight": "GLoRA",
        ".vera_lambda_": "VeRA",
        ".ia3_l": "IA3",
        ".lora_E": "AdaLoRA",
    }
)


@dataclass
class Module:
    """A module of an adapter: the name that its tensors begin with, and they, by what they are."""

    name: str
    tensors: dict[str, TensorRecord] = field(default_factory=dict)


@dataclass
class Keys:
    """What an adapter's file holds: modules by their names there, and what was trained whole, by its name."""

    path: Path
    modules: dict[str, Module] = field(default_factory=dict)
    whole: dict[str, TensorRecord] = field(default_factory=dict)


def looks_like_adapter(names: Mapping[str, object]) -> bool:
    """Whether these are the names of an adapter's tensors: some is a factor, or belongs to another kind of adapter."""
    return any(_role(name)[1] in (UP, DOWN, EMBEDDING_UP, TOKENS) or _other(name) for name in names)


def read_keys(file: Checkpoint) -> Keys:
    """The tensors of an adapter by their modules. Raises AdapterError for what is not a product of two factors [AD-8],
    naming file and tensor.
    """
    keys = Keys(file.path)
    for name, record in file.records.items():
        if other := _other(name):
            raise AdapterError(
                f"{location(record.path, name)} belongs to {other}, which is not a product of two factors: merge the "
                "adapter into its model with the program that made it, and contribute that model"
            )
        module, role = _role(name)
        if role is None:
            keys.whole[name] = record
            continue
        tensors = keys.modules.setdefault(module, Module(module)).tensors
        if role in tensors:
            raise AdapterError(
                f"{location(record.path, name)}: {shown(tensors[role].name)} is the same in another spelling; keep one"
            )
        tensors[role] = record
    return keys


def _role(name: str) -> tuple[str, str | None]:
    """The module and what a tensor is of it; the name itself and None for what no spelling has."""
    for at in (i for i, character in enumerate(name) if character in "._"):
        if role := _ROLES.get(name[at:]):
            return name[:at], role
    return name, None


def _other(name: str) -> str:
    return next((kind for part, kind in _OTHERS.items() if part in name), "")

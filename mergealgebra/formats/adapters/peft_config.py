"""adapter_config.json: what peft says of an adapter, and which of it no factors can hold [AD-6, AD-7]."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from mergealgebra.disk import TooLarge, read_file
from mergealgebra.errors import AdapterError
from mergealgebra.permissions import reading_advice
from mergealgebra.text import location, shown

CONFIG: Final = "adapter_config.json"
#: rank_pattern of a large model has an entry for each layer.
_MAX_BYTES: Final = 1 << 22

#: Keys that choose layers or say how training went: the tensors tell, or it does not change the result.
_NOT_READ: Final = frozenset(
    (
        *("alora_invocation_string", "auto_mapping", "corda_config", "ensure_weight_tying", "ephemeral_gpu_offload"),
        *("eva_config", "exclude_modules", "inference_mode", "layers_pattern", "layers_to_transform", "loftq_config"),
        *("lora_bias", "lora_dropout", "lora_ga_config", "megatron_config", "megatron_core", "modules_to_save"),
        *("peft_type", "peft_version", "qalora_group_size", "revision", "runtime_config", "target_modules"),
        *("task_type", "velora_config", "bias", "base_model_name_or_path", "init_lora_weights"),
    )
)
_READ: Final = frozenset(
    (
        *("alpha_pattern", "fan_in_fan_out", "lora_alpha", "r", "rank_pattern", "target_parameters"),
        *("trainable_token_indices", "use_dora", "use_rslora"),
    )
)
_MERGED: Final = "merge it into its model with peft (merge_and_unload), and contribute that model"
#: What makes an adapter no product of factors, with what to do.
_REFUSED: Final = MappingProxyType(
    {
        "layer_replication": f"layers are replicated, so the model has more of them than the base: {_MERGED}",
        "use_qalora": f"QA-LoRA sums its inputs in groups first: {_MERGED}",
        "use_bdlora": f"its factors are block-diagonal: {_MERGED}",
        "kasa_config": f"KaSA changes the base's own weights: {_MERGED}",
        "monteclora_config": f"its factors are drawn at random: {_MERGED}",
        "arrow_config": "it chooses among adapters token by token, which no weights can hold: merge those adapters",
        "alora_invocation_tokens": "it is switched on by tokens, which no weights can hold: leave it out",
    }
)
#: Initialisations that subtract from the base what they put into the factors, or choose another base.
_ALTERED: Final = ("pissa", "olora", "corda", "loftq", "eva", "lora_ga")


@dataclass(frozen=True)
class PeftConfig:
    """What adapter_config.json says of the factors. base: the model that it was trained on, as it says."""

    path: Path
    base: str
    rank: int
    alpha: float
    rslora: bool
    rank_pattern: Mapping[str, Any]
    alpha_pattern: Mapping[str, Any]
    fan_in_fan_out: bool
    target_parameters: tuple[str, ...]
    tokens: Any

    def rank_of(self, module: str) -> int:
        """The rank of a module: that of the first pattern that its name ends with, or that of all."""
        return int(_number(self.path, "rank_pattern", _of(self.rank_pattern, module, self.rank), int))

    def scale_of(self, module: str) -> float:
        """What multiplies the product, as peft computes it in binary64 [AD-6]."""
        alpha: float = _number(self.path, "alpha_pattern", _of(self.alpha_pattern, module, self.alpha), float)
        rank = self.rank_of(module)
        return alpha / math.sqrt(rank) if self.rslora else alpha / rank


def read_config(folder: Path) -> PeftConfig:
    """What the configuration of an adapter says.

    Raises AdapterError, naming the file and the key, for what it lacks and for what factors cannot hold [AD-7].
    """
    path = folder / CONFIG
    found = _read(path)
    _refuse(path, found)
    if "lora_alpha" not in found or "r" not in found:
        missing = "r" if "r" not in found else "lora_alpha"
        raise AdapterError(
            f"{location(path)} has no {missing!r}, which the scale follows from: write it as it was trained"
        )
    return PeftConfig(
        path,
        str(found.get("base_model_name_or_path") or ""),
        _number(path, "r", found["r"], int),
        _number(path, "lora_alpha", found["lora_alpha"], float),
        bool(found.get("use_rslora")),
        _mapping(path, "rank_pattern", found),
        _mapping(path, "alpha_pattern", found),
        bool(found.get("fan_in_fan_out")),
        tuple(_texts(path, "target_parameters", found)),
        found.get("trainable_token_indices"),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(read_file(path, _MAX_BYTES))
    except FileNotFoundError:
        raise AdapterError(
            f"{location(path)} is missing, and without it the factors' scale is not known: get the whole folder"
        ) from None
    except TooLarge as error:
        raise AdapterError(f"{location(path)} cannot be read: {error.strerror}; get it again") from None
    except OSError as error:
        advice = reading_advice(error, path, "get it again")
        raise AdapterError(f"{location(path)} cannot be read: {error.strerror}; {advice}") from None
    except (ValueError, RecursionError) as error:
        raise AdapterError(f"{location(path)} is not JSON, {error}: get it again") from None
    if not isinstance(found, dict):
        raise AdapterError(f"{location(path)} holds no settings: get it again")
    return found


def _refuse(path: Path, found: Mapping[str, Any]) -> None:
    """Raise AdapterError for what no factors can hold, by its key."""
    kind = found.get("peft_type", "LORA")
    if kind != "LORA":
        raise AdapterError(f"{location(path)}: 'peft_type' is {shown(kind)}, and only LORA is factors: {_MERGED}")
    for key, why in _REFUSED.items():
        if found.get(key):
            raise AdapterError(f"{location(path)}: {key!r} is set: {why}")
    start = str(found.get("init_lora_weights", "")).lower()
    if start.startswith(_ALTERED):
        raise AdapterError(
            f"{location(path)}: 'init_lora_weights' is {shown(start)}, which altered the base: save the adapter as a "
            "difference from the original base, in peft save_pretrained(..., "
            "path_initial_model_for_weight_conversion=...), or merge it into its own base and contribute that model"
        )
    unknown = sorted(key for key, value in found.items() if value and key not in _READ | _NOT_READ)
    if unknown:
        raise AdapterError(
            f"{location(path)}: what {unknown[0]!r} does is not known here: {_MERGED}, or take the key out"
        )


def _of(patterns: Mapping[str, Any], module: str, otherwise: object) -> object:
    """The value of the first pattern that matches the end of a module's name, as peft matches it."""
    for pattern, value in patterns.items():
        try:
            if re.match(rf"(.*\.)?({pattern})$", module):
                return value
        except re.error:
            continue
    return otherwise


def _number(path: Path, key: str, value: object, kind: type) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise AdapterError(
            f"{location(path)}: {key!r} is {shown(value)}, expected a number: write it as it was trained"
        )
    if kind is int and (value != int(value) or value < 1):
        raise AdapterError(f"{location(path)}: {key!r} is {shown(value)}, expected a rank, 1 or more")
    return kind(value)


def _mapping(path: Path, key: str, found: Mapping[str, Any]) -> Mapping[str, Any]:
    value = found.get(key) or {}
    if not isinstance(value, dict):
        raise AdapterError(f"{location(path)}: {key!r} is {shown(value)}, expected numbers by name")
    return value


def _texts(path: Path, key: str, found: Mapping[str, Any]) -> list[str]:
    value = found.get(key) or []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise AdapterError(f"{location(path)}: {key!r} is {shown(value)}, expected a list of names")
    return value

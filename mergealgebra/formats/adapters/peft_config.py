"""adapter_config.json: what peft says of an adapter, and which of it no factors can hold [AD-6, AD-7]."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from mergealgebra.disk import TooLarge, read_file
from mergealgebra.errors import AdapterError
from mergealgebra.permissions import reading_advice
from mergealgebra.tensors.file_names import ADAPTER_CONFIG
from mergealgebra.text import location, shown

_Rank = Annotated[int, Field(gt=0, lt=1 << 32)]
_Row = Annotated[int, Field(ge=0)]
_Number = TypeVar("_Number", int, float)
#: rank_pattern of a large model has an entry for each layer.
_MAX_BYTES: Final = 1 << 22

#: Keys that choose layers or say how training went: the tensors tell, or it does not change the result.
_NOT_READ: Final = frozenset(
    (
        *("alora_invocation_string", "auto_mapping", "corda_config", "ensure_weight_tying", "ephemeral_gpu_offload"),
        *("eva_config", "exclude_modules", "inference_mode", "layers_pattern", "layers_to_transform", "loftq_config"),
        *("lora_bias", "lora_dropout", "lora_ga_config", "megatron_config", "megatron_core", "modules_to_save"),
        *("peft_version", "qalora_group_size", "revision", "runtime_config", "target_modules", "task_type", "use_dora"),
        *("velora_config", "bias"),
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
#: What belongs where pydantic found something else, by its name for the error.
_EXPECTED: Final = MappingProxyType(
    {
        "bool_type": "true or false",
        "dict_type": "numbers by name",
        "finite_number": "a number",
        "float_type": "a number",
        "greater_than": "a rank, 1 or more",
        "greater_than_equal": "the number of a row, 0 or more",
        "int_type": "a whole number",
        "less_than": "a rank, which is the size of a tensor",
        "list_type": "a list",
        "string_type": "a text",
    }
)


def _by_module(given: object) -> object:
    """Rows by the embedding's name; peft takes them without it where there is one."""
    return {"": given} if isinstance(given, list) else given


class PeftConfig(BaseModel):
    """What adapter_config.json says of the factors, under its own keys; the first that is wrong is told."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)  # other keys: see _refuse
    _path: Path
    peft_type: Literal["LORA"] = "LORA"
    r: _Rank
    lora_alpha: FiniteFloat
    use_rslora: bool = False
    rank_pattern: dict[str, _Rank] = {}
    alpha_pattern: dict[str, FiniteFloat] = {}
    fan_in_fan_out: bool = False
    target_parameters: list[str] = []
    trainable_token_indices: Annotated[dict[str, list[_Row]], BeforeValidator(_by_module)] = {}
    base_model_name_or_path: str = ""
    init_lora_weights: Any = True

    @model_validator(mode="before")
    @classmethod
    def _null_is_the_default(cls, found: Any) -> Any:
        return {key: value for key, value in found.items() if value is not None} if isinstance(found, dict) else found

    def model_post_init(self, path: Path, /) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """Where this stands."""
        return self._path

    def rank_of(self, module: str) -> int:
        """The rank of a module: that of the first pattern that its name ends with, or that of all."""
        return _of(self.rank_pattern, module, self.r)

    def scale_of(self, module: str) -> float:
        """What multiplies the product, as peft computes it in binary64 [AD-6]."""
        alpha, rank = _of(self.alpha_pattern, module, self.lora_alpha), self.rank_of(module)
        return alpha / math.sqrt(rank) if self.use_rslora else alpha / rank


def read_config(folder: Path) -> PeftConfig:
    """What the configuration of an adapter says.

    Raises AdapterError, naming the file and the key, for what it lacks and for what factors cannot hold [AD-7].
    """
    path = folder / ADAPTER_CONFIG
    try:
        found = PeftConfig.model_validate_json(_bytes(path), context=path)
    except ValidationError as error:
        raise AdapterError(_told(path, error)) from None
    _refuse(path, found)
    return found


def _bytes(path: Path) -> bytes:
    try:
        return read_file(path, _MAX_BYTES)
    except FileNotFoundError:
        raise AdapterError(
            f"{location(path)} is missing, and without it the factors' scale is not known: get the whole folder"
        ) from None
    except TooLarge as error:
        raise AdapterError(f"{location(path)} cannot be read: {error.strerror}; get it again") from None
    except OSError as error:
        advice = reading_advice(error, path, "get it again")
        raise AdapterError(f"{location(path)} cannot be read: {error.strerror}; {advice}") from None


def _told(path: Path, error: ValidationError) -> str:
    """The first thing that is wrong: where, what is there, and what belongs there."""
    first = error.errors(include_url=False)[0]
    kind, key = first["type"], ": ".join(repr(part) for part in first["loc"] if part != "")
    if kind == "json_invalid":
        return f"{location(path)} is not JSON, {first['ctx']['error']}: get it again"
    if kind == "model_type":
        return f"{location(path)} holds no settings: get it again"
    if kind == "missing":
        return f"{location(path)} has no {key}, which the scale follows from: write it as it was trained"
    found = f"{location(path)}: {key} is {shown(first['input'])}"
    if kind == "literal_error":
        return f"{found}, and only LORA is factors: {_MERGED}"
    return f"{found}, expected {_EXPECTED[kind]}: write it as it was trained"


def _refuse(path: Path, config: PeftConfig) -> None:
    """Raise AdapterError for what no factors can hold, by its key."""
    found = {key: value for key, value in (config.model_extra or {}).items() if value}
    for key, why in _REFUSED.items():
        if key in found:
            raise AdapterError(f"{location(path)}: {key!r} is set: {why}")
    start = str(config.init_lora_weights).lower()
    if start.startswith(_ALTERED):
        raise AdapterError(
            f"{location(path)}: 'init_lora_weights' is {shown(start)}, which altered the base: save the adapter as a "
            "difference from the original base, in peft save_pretrained(..., "
            "path_initial_model_for_weight_conversion=...), or merge it into its own base and contribute that model"
        )
    if unknown := sorted(found.keys() - _NOT_READ):
        raise AdapterError(
            f"{location(path)}: what {unknown[0]!r} does is not known here: {_MERGED}, or take the key out"
        )


def _of(patterns: Mapping[str, _Number], module: str, otherwise: _Number) -> _Number:
    """The value of the first pattern that matches the end of a module's name, as peft matches it."""
    for pattern, value in patterns.items():
        try:
            if re.match(rf"(.*\.)?({pattern})$", module):
                return value
        except re.error:
            continue
    return otherwise

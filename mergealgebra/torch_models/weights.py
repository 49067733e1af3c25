"""The tensors of a module or a state_dict: each that is shared once, under the name that its library saves [MG-17]."""

from __future__ import annotations

import re
import sys
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from mergealgebra.errors import CheckpointError, DtypeError
from mergealgebra.tensors.dtypes import is_torch
from mergealgebra.tensors.tied import HEADS, ends
from mergealgebra.text import kind_of


class Module(Protocol):
    """A torch.nn.Module, a PreTrainedModel among them."""

    def state_dict(self, *args: Any, **kwargs: Any) -> Mapping[str, Any]:
        """Its tensors by name."""
        ...


#: What a library calls a parameter of codes.
_QUANTISED: Final = {"Params4bit": "bitsandbytes", "Int8Params": "bitsandbytes"}
#: A module's own data beside its tensors, which is no tensor to merge.
_EXTRA: Final = "_extra_state"


@dataclass(frozen=True)
class Weights:
    """Named tensors. ties: each name under which a tensor stands again, with the one under which it is merged."""

    tensors: Mapping[str, Any]
    ties: Mapping[str, str] = field(default_factory=dict)

    def own(self) -> dict[str, Any]:
        """Each tensor once."""
        return {name: tensor for name, tensor in self.tensors.items() if name not in self.ties}

    def beside(self, base: Container[str]) -> dict[str, Any]:
        """Each tensor under the names that a base has for it, or once where it has none."""
        known = {self.ties.get(name, name) for name in self.tensors if name in base}
        return {
            name: tensor
            for name, tensor in self.tensors.items()
            if name in base or not (name in self.ties or name in known)
        }


def is_module(given: object) -> bool:
    """Whether this is a torch.nn.Module, found out without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(given, torch.nn.Module)


def has_adapters(given: object) -> bool:
    """Whether a module holds layers of adapters, as peft puts them into a model."""
    if not is_module(given):
        return False
    module: Any = given
    return any(hasattr(layer, "base_layer") or hasattr(layer, "original_module") for layer in module.modules())


def weights_of(given: Mapping[str, Any] | Module, what: str) -> Weights:
    """The tensors of a module or of a state_dict. what: how messages name it.

    Raises CheckpointError for quantised ones, and DtypeError for what is spread over devices.
    """
    if isinstance(given, Mapping):
        return named_weights(given, what)
    return named_weights(given.state_dict(keep_vars=True), what, _said_to_be_tied(given))


def named_weights(tensors: Mapping[str, Any], what: str, tied: Iterable[str] = ()) -> Weights:
    """The same of named tensors. tied: patterns of the names that their library does not save."""
    found = {name: tensor for name, tensor in tensors.items() if is_torch(tensor) or not _is_extra(name)}
    for name, tensor in found.items():
        _refuse_odd(tensor, f"{what}: tensor {name!r}", what)
    patterns = tuple(tied)
    groups: dict[tuple[Any, ...], list[str]] = {}
    for name, tensor in found.items():
        if is_torch(tensor) and (place := _place(tensor)):
            groups.setdefault(place, []).append(name)
    ties: dict[str, str] = {}
    for names in groups.values():
        first = _saved(names, patterns) if len(names) > 1 else names[0]
        ties |= {name: first for name in names if name != first}
    return Weights(found, ties)


def _is_extra(name: object) -> bool:
    return isinstance(name, str) and (name == _EXTRA or name.endswith(f".{_EXTRA}"))


def _place(tensor: Any) -> tuple[Any, ...] | None:
    """Where the elements of a tensor are: two at one place are one. None where that says nothing."""
    torch = sys.modules["torch"]
    if tensor.is_meta:
        return (id(tensor),)
    if tensor.layout is not torch.strided or tensor.is_nested or not tensor.numel() or not tensor.data_ptr():
        return None
    return tensor.device, tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride()


def _said_to_be_tied(module: Module) -> list[str]:
    """The names, or patterns of them, that a transformers model does not save because they stand elsewhere too."""
    for attribute in ("all_tied_weights_keys", "_tied_weights_keys"):
        if said := getattr(module, attribute, None):
            return [pattern for pattern in said if isinstance(pattern, str)]
    return []


def _saved(names: list[str], tied: tuple[str, ...]) -> str:
    """Under which of its names a tensor is saved: by transformers, or as safetensors' save_model does."""
    kept = [name for name in names if not any(_fits(pattern, name) for pattern in tied)] or names
    return min([name for name in kept if not ends(name, HEADS)] or kept)


def _fits(pattern: str, name: str) -> bool:
    try:
        return pattern == name or re.search(pattern, name) is not None
    except re.error:
        return False


def _refuse_odd(tensor: Any, where: str, what: str) -> None:
    """Raise CheckpointError for codes, DtypeError for shards and for what has no elements yet."""
    kind = type(tensor).__name__
    scheme = _QUANTISED.get(kind)
    if not is_torch(tensor):
        if "_packed_params" not in where:
            return  # told as no array, where it is read
        scheme = "torch"
    elif tensor.is_quantized:
        scheme = f"torch's {str(tensor.dtype).removeprefix('torch.')}"
    if scheme:
        raise CheckpointError(
            f"{where} is quantised ({scheme}), and codes cannot be merged: load {what} without quantisation, or "
            "dequantise it"
        )
    if kind in ("UninitializedParameter", "UninitializedBuffer"):
        raise DtypeError(f"{where} has no shape yet: run the model once, so that its lazy layers get theirs")
    if hasattr(tensor, "full_tensor"):
        raise DtypeError(f"{where} is a {kind}, spread over devices; gather it first, with tensor.full_tensor()")
    if hasattr(tensor, "__tensor_flatten__"):
        raise CheckpointError(
            f"{where} is {kind_of(tensor)}, whose elements are stored in another way, as quantised ones are; load "
            f"{what} with plain tensors, or dequantise it"
        )

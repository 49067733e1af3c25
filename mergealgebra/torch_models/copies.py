"""The way back: merged arrays in a copy of a module, or in a state_dict like another [MG-18]."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from mergealgebra.errors import NamesError, ShapeError
from mergealgebra.tensors.choice import count_of
from mergealgebra.tensors.dtypes import is_torch, to_torch
from mergealgebra.text import kind_of
from mergealgebra.torch_models.weights import Weights, has_adapters, is_module, weights_of

Like = TypeVar("Like")


def refuse_unlike(like: object) -> None:
    """Raise NamesError unless merged arrays can be given back so. It is cheap: nothing is computed before."""
    if has_adapters(like):
        raise NamesError(
            f"like is {kind_of(like)} with adapters in it; pass a model without, of the class of its base model"
        )
    if not is_module(like) and not isinstance(like, Mapping):
        raise NamesError(f"like is {kind_of(like)}; pass a torch.nn.Module, or a state_dict")


def filled(like: Like, merged: Mapping[str, Any]) -> Like:
    """A copy of `like` that holds what was merged, in its dtypes; a tensor that is shared there is shared here too.

    merged: arrays, NumPy or torch, by name. Raises NamesError and ShapeError where they do not fit.
    """
    given: Any = like
    weights = weights_of(given, "like")
    tensors = {name: _merged_as(name, tensor, weights, merged) for name, tensor in weights.own().items()}
    placed = {id(merged[name]) for name in weights.tensors if name in merged}  # perhaps under fewer names
    if extra := sorted(name for name, array in merged.items() if id(array) not in placed):
        raise NamesError(
            f"the merged tensor {extra[0]!r} is not in like{count_of(extra, 'nor is', 'nor are')}: pass a model of "
            "the base's class and configuration"
        )
    if not is_module(like):
        found = copy.copy(given) if isinstance(given, dict) else {}  # a state_dict has versions with it
        found.update((name, tensors[weights.ties.get(name, name)]) for name in weights.tensors)
        return cast(Like, found)
    return cast(Like, _copied(given, weights, tensors))


def _merged_as(name: str, tensor: Any, weights: Weights, merged: Mapping[str, Any]) -> Any:
    """What was merged under one of the names of a tensor of `like`, of its kind and on its device."""
    names = [name, *(other for other, first in weights.ties.items() if first == name)]
    found = next((other for other in names if other in merged), None)
    if found is None:
        raise NamesError(
            f"like has a tensor {name!r} that was not merged: pass a model of the base's class and configuration"
        )
    array = merged[found]
    if tuple(array.shape) != tuple(tensor.shape):
        raise ShapeError(
            f"tensor {name!r} has shape {list(tensor.shape)} in like and {list(array.shape)} in the merged model: "
            "pass a model of the base's configuration"
        )
    if not is_torch(tensor):
        return array.detach().cpu().numpy() if is_torch(array) else array.copy()
    device = "cpu" if tensor.is_meta else tensor.device
    return array.detach().to(device, copy=True) if is_torch(array) else to_torch(array.copy(), device)


def _copied(module: Any, weights: Weights, tensors: Mapping[str, Any]) -> Any:
    """A copy of a module around these tensors: it holds them where the module holds its own, so that ties stay."""
    torch = sys.modules["torch"]
    held = {id(tensor) for tensor in (*module.parameters(), *module.buffers())}
    instead: dict[int, Any] = {}
    for name, tensor in weights.tensors.items():
        if id(tensor) not in held:
            raise NamesError(
                f"state_dict() of like makes its tensor {name!r} anew; pass like=model.state_dict(), and load what "
                "comes back with load_state_dict"
            )
        new = tensors[weights.ties.get(name, name)]
        if isinstance(tensor, torch.nn.Parameter):
            differentiable = new.is_floating_point() or new.is_complex()
            new = torch.nn.Parameter(new, requires_grad=tensor.requires_grad and differentiable)
        instead.setdefault(id(tensor), new)
    for name, buffer in module.named_buffers():
        if buffer.is_meta and id(buffer) not in instead:
            raise NamesError(
                f"the buffer {name!r} of like is on torch's meta device, and no state_dict holds it; make the model "
                "on a real device"
            )
    return copy.deepcopy(module, instead)

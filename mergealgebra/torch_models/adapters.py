"""LoRA adapters that peft has put into a model: their factors, and the weights of the model below them [MG-19]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mergealgebra.errors import CheckpointError, NamesError
from mergealgebra.tensors.array_checkpoint import ArrayCheckpoint
from mergealgebra.tensors.forms import Formed
from mergealgebra.text import kind_of, listed
from mergealgebra.torch_models.weights import Weights, has_adapters, named_weights, weights_of

#: Parts of names that peft puts in where it wraps a layer.
_WRAPPED: Final = ("base_layer", "original_module")
#: How initialisations begin that take what they put into the adapter out of the weights.
_ALTERING: Final = ("pissa", "olora", "corda", "loftq", "lora_ga")


@dataclass(frozen=True, eq=False)
class Adapter:
    """A LoRA adapter in a model, to be merged as its factors [MG-19].

    model: a PeftModel, or a transformers or diffusers model with adapters loaded; it may be quantised, as its weights
    are not read. name: of the adapter; the active one if left out.

    ma.merge(base, [ma.Adapter(model, "math"), (ma.Adapter(model, "code"), "0.5")], ma.Ties(), like=base)
    """

    model: Any
    name: str = ""


def base_weights(module: Any, what: str) -> Weights:
    """The weights of a model below its adapters, under the names that they have without. what: how messages name it.

    Raises CheckpointError where an adapter is merged into them, or was made by altering them.
    """
    if not has_adapters(module):
        return weights_of(module, what)
    for name, layer in _layers(_inner(module)):
        if merged := getattr(layer, "merged_adapters", None):
            raise CheckpointError(
                f"{what}: the adapter {merged[0]!r} is merged into its {name}: take it out again first, with "
                "unmerge_adapter()"
            )
    for adapter, config in getattr(module, "peft_config", {}).items():
        _refuse_altered(config, adapter, what)
        if getattr(config, "bias", "none") != "none":
            raise CheckpointError(
                f"{what}: the adapter {adapter!r} has trained the biases of the model itself (bias="
                f"{config.bias!r}); pass the base apart, as it was before"
            )
    inner = _inner(module)
    whole = weights_of(inner, what)
    names = {name: _plain(name) for name in whole.tensors if not _is_of_adapter(name, inner)}
    tensors = {new: whole.tensors[old] for old, new in names.items()}
    return named_weights(tensors, what, [_plain(name) for name in whole.ties])


def adapter_tensors(adapter: Adapter, what: str) -> Formed:
    """An adapter as factors, and as whole tensors what it trained whole. what: how messages name it.

    Raises CheckpointError for adapters that are not plain LoRA, and NamesError where it is not there.
    """
    if not has_adapters(adapter.model):
        raise NamesError(f"{what} is an adapter of {kind_of(adapter.model)}, which has none; pass a PeftModel")
    inner, name = _inner(adapter.model), adapter.name or _active(adapter.model, what)
    config = getattr(adapter.model, "peft_config", {}).get(name)
    _refuse_altered(config, name, what)
    stored = {} if config is None else _biases(inner, getattr(config, "bias", "none"), what)
    for place, layer in _layers(inner):
        if hasattr(layer, "original_module"):
            stored |= _trained_whole(layer, name, place)
        else:
            for tensor, (up, down, scale) in _factors(layer, name, f"{what}: the adapter {name!r} at {place}").items():
                whose = _plain(f"{place}.{tensor}")
                stored |= {f"{whose}.low_rank_up": up, f"{whose}.low_rank_down": down}
                stored[f"{whose}.low_rank_scale"] = np.array(scale, np.float64)
    if not stored:
        raise NamesError(f"{what}: the adapter {name!r} holds nothing in this model{_others(adapter.model)}")
    return Formed(ArrayCheckpoint(stored, what))


def _biases(inner: Any, which: str, what: str) -> dict[str, Any]:
    """The biases of the model itself that an adapter trained, as peft saves them. which: all, lora_only or none."""
    if which == "none":
        return {}
    wrapped = {f"{place}.base_layer.bias" for place, layer in _layers(inner) if hasattr(layer, "lora_A")}
    return {
        _plain(name): tensor
        for name, tensor in weights_of(inner, what).tensors.items()
        if not _is_of_adapter(name, inner) and ("bias" in name if which == "all" else name in wrapped)
    }


def _active(model: Any, what: str) -> str:
    """The one adapter that is active. Raises NamesError where there are several, or none."""
    names = sorted({name for _, layer in _layers(_inner(model)) for name in _said_active(layer)})
    if len(names) != 1:
        which = f"{len(names)} active adapters ({listed(names)})" if names else "no active adapter"
        raise NamesError(
            f"{what} is {kind_of(model)} with {which}: name one, as ma.Adapter(model, NAME){_others(model)}"
        )
    return names[0]


def _said_active(layer: Any) -> list[str]:
    said = getattr(layer, "active_adapters", None)
    return [said] if isinstance(said, str) else list(said or ())


def _others(model: Any) -> str:
    there = sorted(getattr(model, "peft_config", {}))
    return f"; there are {listed(map(repr, there))}" if there else ""


def _inner(model: Any) -> Any:
    """The model whose layers are wrapped: that in a PeftModel, or the model itself."""
    unwrapped = getattr(model, "get_base_model", None)
    return unwrapped() if unwrapped is not None and hasattr(model, "peft_config") else model


def _layers(module: Any) -> Iterator[tuple[str, Any]]:
    """The wrappers that peft has put in, each with the name of what it wraps."""
    for name, layer in module.named_modules():
        if _wraps(layer):
            yield name, layer


def _plain(name: str) -> str:
    """The name of a tensor without its wrappers."""
    return ".".join(part for part in name.split(".") if part and part not in _WRAPPED)


def _is_of_adapter(name: str, module: Any) -> bool:
    """Whether a tensor is none of the model's own: it lies in a wrapper, and not in what that wraps."""
    *path, _ = name.split(".")
    for part in path:
        if _wraps(module) not in ("", part):
            return True
        module = getattr(module, part)
    return bool(_wraps(module))


def _wraps(module: Any) -> str:
    """The attribute of a wrapper that holds what it wraps; empty for other modules."""
    return next((name for name in _WRAPPED if hasattr(module, name)), "")


def _trained_whole(layer: Any, adapter: str, place: str) -> dict[str, Any]:
    """What an adapter has of a layer that it trained whole."""
    if adapter not in getattr(layer, "modules_to_save", ()):
        return {}
    return {f"{place}.{name}": tensor for name, tensor in layer.modules_to_save[adapter].state_dict().items()}


def _factors(layer: Any, adapter: str, where: str) -> dict[str, tuple[Any, Any, float]]:
    """The factors up [m, r] and down [r, ...] of a wrapped layer's weight, and their scale; those of its bias too.

    Raises CheckpointError for what is not factors.
    """
    if not hasattr(layer, "lora_A"):
        if any(adapter in getattr(layer, kind, ()) for kind in getattr(layer, "adapter_layer_names", ())):
            raise _refused(where, f"is {kind_of(layer)}, not LoRA")
        return {}
    linear, embedding = adapter in layer.lora_A, adapter in getattr(layer, "lora_embedding_A", ())
    if not linear and not embedding:
        return {}
    _refuse_variant(layer, adapter, where)
    scale = float(layer.scaling[adapter])
    if embedding:
        return {"weight": (layer.lora_embedding_A[adapter].T, layer.lora_embedding_B[adapter].T, scale)}
    up, down, bias = layer.lora_B[adapter].weight, layer.lora_A[adapter].weight, layer.lora_B[adapter].bias
    if hasattr(layer, "parameter_name"):
        return {layer.parameter_name: (*_of_parameter(layer, up, down, where), scale)}
    turned = getattr(layer, "fan_in_fan_out", False)
    found = {"weight": (down.T, up.T, scale) if turned else (up.flatten(1), down, scale)}
    if bias is not None:
        found["bias"] = (bias.unsqueeze(1), np.ones(1, np.float32), scale)
    return found


def _of_parameter(layer: Any, up: Any, down: Any, where: str) -> tuple[Any, Any]:
    """The factors of a parameter that `target_parameters` names: of one with three axes, those of each expert."""
    experts = layer.num_experts
    if experts == 1:
        return up, down
    swapped = getattr(layer, "_did_swap_in_out_features", None)
    if swapped is None:
        raise _refused(where, "is of experts, and does not say which axis is which")
    ups, downs = up.reshape(up.shape[0], -1, experts), down.reshape(experts, -1, down.shape[-1])
    if swapped:
        return ups.permute(2, 0, 1), downs
    return downs.transpose(1, 2), ups.permute(2, 1, 0)


def _refuse_variant(layer: Any, adapter: str, where: str) -> None:
    """Raise CheckpointError where the adapter is more than two factors, or its layer has more than one weight."""
    if getattr(layer, "use_dora", {}).get(adapter) or adapter in getattr(layer, "lora_variant", ()):
        raise _refused(where, "is no plain LoRA (DoRA, or another variant)")
    if not hasattr(layer, "parameter_name") and getattr(layer.base_layer, "weight", None) is None:
        raise _refused(where, f"is of {kind_of(layer.base_layer)}, which has no weight that it could be added to")
    if getattr(layer.base_layer, "groups", 1) > 1:
        raise _refused(where, "is of a convolution in groups")


def _refused(where: str, why: str) -> CheckpointError:
    return CheckpointError(
        f"{where} {why}: only plain LoRA is merged as factors; merge the model that merge_and_unload() gives instead"
    )


def _refuse_altered(config: Any, adapter: str, what: str) -> None:
    """Raise CheckpointError for an adapter that is no addition to the weights that its base had."""
    kind = getattr(getattr(config, "peft_type", None), "value", "LORA")
    if kind != "LORA":
        raise CheckpointError(
            f"{what}: the adapter {adapter!r} is {kind}, and LoRA alone is merged as factors; merge the model that "
            "merge_and_unload() gives instead"
        )
    begin = getattr(config, "init_lora_weights", None)
    if isinstance(begin, str) and begin.lower().startswith(_ALTERING):
        raise CheckpointError(
            f"{what}: the adapter {adapter!r} was begun by {begin}, which alters the weights that it is added to: "
            "convert it (save_pretrained with path_initial_model_for_weight_conversion), or merge the model that "
            "merge_and_unload() gives"
        )

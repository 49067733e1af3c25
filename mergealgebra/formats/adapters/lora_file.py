"""Adapters in one file without a configuration, of diffusion models: kohya's, diffusers', ComfyUI's [AD-5, AD-10]."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from mergealgebra.errors import AdapterError
from mergealgebra.formats.adapters import keys
from mergealgebra.formats.adapters.contents import Part, as_formed
from mergealgebra.formats.adapters.keys import Keys, Module, read_keys
from mergealgebra.formats.adapters.layers import Turning, pair, rank_of, weight_factors
from mergealgebra.formats.adapters.modules import BaseNames, unwrapped
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.form_names import SUFFIXES, TASK_VECTOR
from mergealgebra.tensors.forms import Formed
from mergealgebra.tensors.header import TensorRecord
from mergealgebra.text import location, shown


def open_lora_file(path: Path, file: Checkpoint, base: Checkpoint) -> Formed:
    """The difference that an adapter makes to this base, as factors. file: its tensors.

    Raises AdapterError, NamesError, ShapeError or DtypeError, naming file and tensor.
    """
    found = read_keys(file)
    _refuse_peft(path, found)
    modules = {unwrapped(f"{name}.")[:-1]: module for name, module in found.modules.items()}
    wanted = {name: _wanted(name, module) for name, module in modules.items()}
    whole = {unwrapped(name): record for name, record in found.whole.items()}
    known = BaseNames(base.records.keys(), location(path))
    names = known.resolve([*(n for of in wanted.values() for n in of), *whole])
    parts: dict[str, Part] = {names[name]: record for name, record in whole.items()}
    alphas = _alphas(path, modules)
    turning = Turning()
    for name, module in modules.items():
        for suffix, role in ((".weight", keys.DIFF), (".bias", keys.DIFF_BIAS)):
            if record := module.tensors.get(role):
                parts[names[name + suffix] + SUFFIXES[TASK_VECTOR][0]] = record
        if name in alphas:
            target = names[f"{name}.weight"]
            parts |= weight_factors(target, module, alphas[name], base.records[target].shape, turning)
    return as_formed(file, parts)


def _refuse_peft(path: Path, found: Keys) -> None:
    """Raise AdapterError for what only a configuration explains."""
    for module in found.modules.values():
        for role in (keys.MAGNITUDE, keys.TOKENS, keys.UP_BIAS, keys.EMBEDDING_UP):
            if record := module.tensors.get(role):
                what = "belongs to DoRA" if role == keys.MAGNITUDE else "is of peft, and says too little by itself"
                todo = "merge it into its model first" if role == keys.MAGNITUDE else "name its folder, with the config"
                raise AdapterError(f"{location(path, record.name)} {what}: {todo}")
        if module.name.startswith("base_model.model.") and keys.ALPHA not in module.tensors:
            raise AdapterError(
                f"{location(path)} is a peft adapter without its adapter_config.json, from which the scale follows: "
                "name its whole folder"
            )


def _wanted(name: str, module: Module) -> list[str]:
    wanted = [f"{name}.weight"] if module.tensors.keys() - {keys.DIFF_BIAS} else []
    return [*wanted, f"{name}.bias"] if keys.DIFF_BIAS in module.tensors else wanted


def _alphas(path: Path, modules: dict[str, Module]) -> dict[str, float]:
    """The scale of each module that has factors: alpha / rank in binary64; 1 where no module has an alpha."""
    with_factors = {
        name: module for name, module in modules.items() if {keys.UP, keys.DOWN, keys.ALPHA} & module.tensors.keys()
    }
    lacking = [name for name, module in with_factors.items() if keys.ALPHA not in module.tensors]
    if lacking and len(lacking) < len(with_factors):
        raise AdapterError(
            f"{location(path, f'{lacking[0]}.alpha')} is missing, and other modules have theirs: get the file again"
        )
    scales = {}
    for name, module in with_factors.items():
        rank = rank_of(*pair(module, keys.UP, keys.DOWN))
        scales[name] = 1.0 if lacking else _number(module.tensors[keys.ALPHA]) / rank
    return scales


def _number(record: TensorRecord) -> float:
    """The one number that a tensor holds. Raises AdapterError."""
    with Checkpoint(record.path, {record.name: record}) as file:
        value = file.read(record.name).astype(np.float64)
    if value.size != 1 or not math.isfinite(value[0]):
        raise AdapterError(f"{location(record.path, record.name)} is {shown(value.tolist())}, expected one number")
    return float(value[0])

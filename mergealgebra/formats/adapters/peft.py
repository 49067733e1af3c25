"""peft's adapters: a folder with adapter_config.json and adapter_model.safetensors [AD-5, AD-6, AD-9]."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mergealgebra.errors import AdapterError, MergeAlgebraError
from mergealgebra.formats.adapters import keys
from mergealgebra.formats.adapters.contents import Part, as_formed, factors
from mergealgebra.formats.adapters.dora import magnitude_change
from mergealgebra.formats.adapters.experts import scattered_factors
from mergealgebra.formats.adapters.keys import Module, read_keys
from mergealgebra.formats.adapters.layers import Turning, bias_factors, pair, rank_of, weight_factors
from mergealgebra.formats.adapters.modules import BaseNames, unwrapped
from mergealgebra.formats.adapters.parameters import expert_factors, parameters
from mergealgebra.formats.adapters.peft_config import PeftConfig, read_config
from mergealgebra.tensors.block_vectors import subtract
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.file_names import ADAPTER
from mergealgebra.tensors.forms import Formed
from mergealgebra.tensors.header import TensorRecord
from mergealgebra.tensors.safetensors_file import read_header
from mergealgebra.text import location, shown


def open_peft(folder: Path, base: Checkpoint) -> Formed:
    """The difference that an adapter makes to this base, as factors.

    Raises AdapterError, NamesError, ShapeError or DtypeError, naming file and key or tensor, and as `read_header`.
    """
    config = read_config(folder)
    path = folder / ADAPTER
    if not path.exists():
        raise AdapterError(
            f"{location(folder)} has no {ADAPTER}: get the whole folder, or save it with safe_serialization=True"
        )
    file = Checkpoint(path, read_header(path))
    try:
        parts = dict(_Reader(config, file, base).parts())
    except MergeAlgebraError as error:
        file.close()
        raise _of_base(error, config) from None
    return as_formed(file, parts)


def _of_base(error: MergeAlgebraError, config: PeftConfig) -> MergeAlgebraError:
    """The error, with the base that the adapter names where the names or shapes are another's."""
    named = config.base_model_name_or_path
    if not named or "base" not in str(error):
        return error
    return type(error)(f"{error} ({location(config.path)} says that its base is {shown(named)})")


class _Reader:
    """One adapter, read for one base."""

    def __init__(self, config: PeftConfig, file: Checkpoint, base: Checkpoint) -> None:
        found = read_keys(file)
        self._config, self._file, self._keys, self._base = config, file, found, base
        self._turning = Turning(config.fan_in_fan_out)
        self._parameters = parameters(config, found.modules, base)
        wanted = [name for module in found.modules.values() for name in self._wanted(module)]
        self._names = BaseNames(base.records.keys(), location(found.path)).resolve(wanted) if wanted else {}
        self._whole = self._resolved_whole(wanted)

    def parts(self) -> Iterator[tuple[str, Part]]:
        """What is stored of the adapter, by its names."""
        made: dict[str, Part] = {}
        for module in self._keys.modules.values():
            for name, part in self._parts_of(module).items():
                if name in made:
                    raise AdapterError(f"{location(self._config.path)}: {shown(name)} would be changed twice")
                made[name] = part
        self._turning.check(location(self._config.path))
        targets = set(self._names.values())
        for name, record in self._whole.items():
            if name not in targets or not self._is_base(name, record):
                made[name] = record
        yield from made.items()

    def _wanted(self, module: Module) -> list[str]:
        """The tensors that a module changes, by its own names."""
        own = unwrapped(f"{module.name}.")[:-1]
        wanted = []
        if module.tensors.keys() - {keys.UP_BIAS} and not self._parameters.scattered(module.name):
            wanted.append(self._parameters.names.get(module.name, f"{own}.weight"))
        if keys.UP_BIAS in module.tensors:
            wanted.append(f"{own}.bias")
        return wanted

    def _parts_of(self, module: Module) -> dict[str, Part]:
        own = unwrapped(f"{module.name}.")[:-1]
        pattern = self._parameters.names.get(module.name, own)
        scale, rank = self._config.scale_of(pattern), self._config.rank_of(pattern)
        if apart := self._parameters.scattered(module.name):
            return scattered_factors(apart, module, rank, scale)
        target = self._names[self._wanted(module)[0]]
        if rows := module.tensors.get(keys.TOKENS):
            return self._rows(target, own, rows)
        embedding = keys.EMBEDDING_DOWN in module.tensors
        up, down = pair(module, *((keys.EMBEDDING_UP, keys.EMBEDDING_DOWN) if embedding else (keys.UP, keys.DOWN)))
        shape = self._base.records[target].shape
        if module.name in self._parameters.names and len(shape) == 3:
            return expert_factors(target, module, rank, scale, shape)
        self._check_rank(pattern, rank_of(up, down), down)
        if keys.MAGNITUDE in module.tensors:
            made = magnitude_change(target, module, scale, self._base, self._file, self._turning)
        else:
            made = weight_factors(target, module, scale, shape, self._turning)
        if bias := module.tensors.get(keys.UP_BIAS):
            made |= bias_factors(self._names[f"{own}.bias"], bias, scale)
        return made

    def _check_rank(self, module: str, found: int, record: TensorRecord) -> None:
        if found != self._config.rank_of(module):
            raise AdapterError(
                f"{location(record.path, record.name)} has rank {found}, and by {location(self._config.path)} it is "
                f"{self._config.rank_of(module)}: get both files of one adapter"
            )

    def _rows(self, target: str, module: str, record: TensorRecord) -> dict[str, Part]:
        """Rows that were trained whole, as factors: which rows, and by how much they differ from the base's."""
        indices = _indices(self._config, module, record)
        shape = self._base.records[target].shape
        if len(shape) != 2 or record.shape != (len(indices), shape[1]) or max(indices, default=0) >= shape[0]:
            raise AdapterError(
                f"{location(record.path, record.name)} has shape {list(record.shape)}, for {len(indices)} rows of "
                f"{shown(target)} of the base, which has {list(shape)}: it belongs to another base"
            )
        with Checkpoint(record.path, {record.name: record}) as file:
            rows = file.read(record.name).reshape(record.shape)
        width, up = shape[1], np.zeros((shape[0], len(indices)), np.float32)
        down = np.empty((len(indices), width), np.float32)
        for number, index in enumerate(indices):
            down[number] = subtract(rows[number], self._base.read(target, index * width, (index + 1) * width))
            up[index, number] = 1
        return factors(target, up, down, 1.0)

    def _resolved_whole(self, wanted: list[str]) -> dict[str, TensorRecord]:
        """What was trained whole, under the base's names; what the base has not keeps its own, for the error there."""
        whole = {unwrapped(name): record for name, record in self._keys.whole.items()}
        theirs = self._base.records.keys()
        names = BaseNames(theirs, location(self._keys.path))
        if not whole:
            return {}
        try:
            found = names.resolve([*wanted, *whole])
        except AdapterError:
            return {name if name in theirs else record.name: record for name, record in whole.items()}
        return {found[name]: record for name, record in whole.items()}

    def _is_base(self, name: str, record: TensorRecord) -> bool:
        """Whether a tensor stored beside factors of the same is the base's. Raises AdapterError if it is not."""
        theirs = self._base.records[name]
        if (record.shape, record.dtype) == (theirs.shape, theirs.dtype):
            with Checkpoint(record.path, {record.name: record}) as file:
                if file.tensor_root(record.name) == self._base.tensor_root(name):
                    return True
        raise AdapterError(
            f"{location(record.path, record.name)} is stored whole beside factors for it, and is not the base's "
            f"{shown(name)}: its embedding was resized or trained too; merge it into its model with peft "
            "(merge_and_unload), and contribute that model"
        )


def _indices(config: PeftConfig, module: str, record: TensorRecord) -> list[int]:
    """The rows of `trainable_token_indices` for a module."""
    given = config.trainable_token_indices
    named = [rows for name, rows in given.items() if module == name or module.endswith(f".{name}")]
    if not named and len(given) == 1:
        named = [*given.values()]  # of a head that is the embedding
    if not named:
        raise AdapterError(
            f"{location(config.path)}: 'trainable_token_indices' does not say which rows {shown(record.name)} are"
        )
    return named[0]

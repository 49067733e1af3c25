"""Merges of models in memory: modules, state_dicts of fine-tunes, adapters and task vectors [MG-16].

They are merged as files of the same tensors are, by ids and roots, so they give the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np

from mergealgebra.engine.memory import Merged
from mergealgebra.engine.merged_spans import MergedSpan
from mergealgebra.errors import NamesError
from mergealgebra.execution import Execution
from mergealgebra.file_merge import Model, checked, made_ready
from mergealgebra.lock import Lock
from mergealgebra.merge_arguments import Numbers
from mergealgebra.methods.method import Method
from mergealgebra.tensors.array_checkpoint import ArrayCheckpoint
from mergealgebra.tensors.choice import Patterns
from mergealgebra.tensors.dtypes import DTYPES, like
from mergealgebra.tensors.form_names import FINETUNED, TASK_VECTOR
from mergealgebra.tensors.forms import Held
from mergealgebra.tensors.task_vector import TaskVector
from mergealgebra.text import kind_of
from mergealgebra.torch_models.adapters import Adapter, adapter_tensors, base_weights
from mergealgebra.torch_models.weights import Weights, has_adapters, is_module, weights_of

_BASE: Final = "the base"


class MergedModel(Merged):
    """A merged model: name -> array, under all names that the base has for it.

    lock: what a merge.lock of it says; `kept` is in the order of its contributions.
    """

    lock: Lock

    @property
    def model_root(self) -> str:
        """What came out, as the lock of the same merge of files has it [EN-7]."""
        return self.lock.model_root


def is_model(given: object) -> bool:
    """Whether this can only be a model, and no task vector: a module or an adapter."""
    return isinstance(given, Adapter) or is_module(given)


def merge_models(
    base: Any,
    models: Sequence[tuple[Any, str]],
    recipe: Method,
    execution: Execution,
    form: str | None,
    *,
    auxiliary: Sequence[Mapping[str, Any]],
    settings: Sequence[Sequence[Numbers]],
    take: Patterns = (),
    leave: Patterns = (),
) -> MergedModel:
    """Merge models into a base, as files of the same tensors are merged [MG-16].

    form: of those that are mappings. auxiliary: of each, by kind. settings: of each. Raises MergeAlgebraError.
    """
    weights = _base_of(base)
    original = ArrayCheckpoint(weights.own(), _BASE)
    named = []
    for i, (given, coefficient) in enumerate(models):
        what = f"model {i}"
        own_form = _form_of(given, form, what)
        held = _held(given, original, own_form, what)
        named.append(Model(Path(what), coefficient, (), (), auxiliary[i], settings[i], held, own_form))
    own = checked(named, recipe)
    with ExitStack() as opened:
        held_of_each: list[Held] = [model.held for model in named if model.held is not None]
        merge, warnings = made_ready(
            original, named, held_of_each, own, recipe, execution, opened, take=take, leave=leave
        )
        collected = _Collected(original)
        lock = merge.hand_over(collected.take)
    return _merged_model(weights, collected, lock, warnings)


def _base_of(base: Any) -> Weights:
    if isinstance(base, Adapter):
        raise NamesError("the base is an adapter; pass the model that it is loaded in, or that model's base")
    if is_module(base):
        return base_weights(base, _BASE)
    if not isinstance(base, Mapping):
        raise NamesError(f"the base is {kind_of(base)}; beside models in memory it is a module, or a state_dict")
    return weights_of(base, _BASE)


def _form_of(given: Any, form: str | None, what: str) -> str:
    """What the tensors of a model are. Raises NamesError where nobody can know."""
    if is_model(given):
        return FINETUNED
    if isinstance(given, TaskVector):
        return TASK_VECTOR
    if not isinstance(given, Mapping):
        raise NamesError(f"{what} is {kind_of(given)}; pass a module, a state_dict, an adapter or a task vector")
    if form is None:
        raise NamesError(
            f"{what} is {kind_of(given)} beside modules, and may be a model or a difference: say form='finetuned' "
            "for the state_dict of a model, form='task_vector' for a difference"
        )
    return form


def _held(given: Any, base: ArrayCheckpoint, form: str, what: str) -> Held:
    """The tensors of a model, open."""
    if isinstance(given, Adapter):
        return adapter_tensors(given, what)
    if has_adapters(given):
        return adapter_tensors(Adapter(given), what)
    weights = weights_of(given, what)
    return ArrayCheckpoint(weights.tensors if form == TASK_VECTOR else weights.beside(base.records), what)


class _Collected:
    """The spans of a merged model, put together."""

    def __init__(self, base: ArrayCheckpoint) -> None:
        self._records = base.records
        self._hosts: dict[str, np.ndarray[Any, Any]] = {}

    def take(self, merged: MergedSpan) -> None:
        """One span; spans come in order, and perhaps all of them again."""
        span = merged.span
        if span.name not in self._hosts:
            self._hosts[span.name] = np.empty(self._records[span.name].size, merged.data.dtype)
        self._hosts[span.name][span.start : span.stop] = merged.data

    def array(self, name: str) -> np.ndarray[Any, Any]:
        """A tensor, whole."""
        record = self._records[name]
        if not record.size:
            return np.empty(record.shape, DTYPES[record.dtype].numpy)
        return self._hosts[name].reshape(record.shape)


def _merged_model(weights: Weights, collected: _Collected, lock: Lock, warnings: Sequence[str]) -> MergedModel:
    arrays = {name: like(collected.array(name), tensor) for name, tensor in weights.own().items()}
    merged = MergedModel((name, arrays[weights.ties.get(name, name)]) for name in weights.tensors)
    merged.lock, merged.backend, merged.uncertified = lock, lock.backend, lock.uncertified
    merged.kept = tuple(contribution.kept for contribution in lock.contributions)
    merged.warnings = tuple(dict.fromkeys([*warnings, *lock.remarks]))
    return merged

"""`merge`: the whole path on arrays in memory, NumPy or torch, for notebooks, tests and other programs [MG-12]."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from mergealgebra.algebra import decimals
from mergealgebra.algebra.arrays import Array
from mergealgebra.encoding import LEAF_BYTES, model_root, tensor_root
from mergealgebra.engine.backends import BACKENDS, backend_for, torch_on
from mergealgebra.engine.checks import refuse_text
from mergealgebra.engine.faults import Faulty, diagnose
from mergealgebra.engine.merged_spans import Totals
from mergealgebra.engine.plan import make_plan
from mergealgebra.engine.run import run
from mergealgebra.engine.sources import Contribution, Source
from mergealgebra.errors import BackendError, CoefficientError, NamesError, NothingVisible, RecipeError
from mergealgebra.kernels.blocks import Kernel, whole_round
from mergealgebra.kernels.reference import Host
from mergealgebra.methods.method import Method
from mergealgebra.methods.settings import Setting, contributions_in, for_models
from mergealgebra.progress import quiet
from mergealgebra.recipe import check_recipe
from mergealgebra.tensors.buffers import buffer_remarks, unfit_buffers
from mergealgebra.tensors.dtypes import DTYPES, is_torch, like, name_of, to_host
from mergealgebra.tensors.models import Record
from mergealgebra.tensors.quantised import refuse_quantised
from mergealgebra.tensors.task_vector import in_name_order
from mergealgebra.text import kind_of

_BASE: Final = "the base"


#: The root of the base, a contribution and the root of its tensors, to its id [CT-3].
Identify = Callable[[str, Contribution, str], str]


class Merged(dict[str, Array]):
    """A merged model: name -> array, of the base's kind and dtypes.

    backend: the one that computed it. kept: how many elements of each task vector trim kept.
    uncertified: how many coordinates needed integers to sum them exactly [EX-3]. warnings: lines about buffers of the
    task vectors that do not fit and were left out [CT-10].
    """

    backend: str
    kept: tuple[int, ...]
    uncertified: int
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Merged(tensors={len(self)}, backend={getattr(self, 'backend', None)!r})"


def merge(
    base: Mapping[str, Array],
    task_vectors: Sequence[Mapping[str, Array]],
    recipe: Method,
    coefficients: Sequence[str] | None = None,
    backend: str = "numpy",
    *,
    threads: int | None = None,
    block: int | None = None,
    auxiliary: Sequence[Mapping[str, Mapping[str, Array]]] | None = None,
    executor: Executor | None = None,
    identify: Identify | None = None,
    settings: Sequence[Sequence[Setting]] | None = None,
) -> Merged:
    """Merge task vectors into a base [MG-8, MG-12]. Other dialects add in the order of the list [RC-9, DI-19].

    base: name -> array. task_vectors: mappings from some of the names to float arrays of the same shapes.
    coefficients: a decimal for each, all "1" when left out. auxiliary: for each, arrays by kind and name.
    executor: where work is done, in this process. identify: what makes ids, for a method whose task is the id of a
    contribution, and for settings by contribution. settings: of each, those of its own [ST-9].

    Raises MergeAlgebraError; NonFinite names task vector, tensor and index.
    """
    check_recipe(recipe)
    source = _Arrays(base, _BASE)
    entries = enumerate(zip(task_vectors, _one_for_each(task_vectors, coefficients), strict=True))
    given = [as_contribution(f"task vector {i}", vector, text) for i, (vector, text) in entries]
    fitting, remarks = zip(*(without_buffers(contribution, source) for contribution in given), strict=True)
    contributions = completed(fitting, recipe, auxiliary)
    own = settings or [()] * len(contributions)
    if recipe.needs.task or contributions_in(recipe) or any(own):
        contributions = _named(contributions, source, identify)
        of_ids = zip(contributions, own, strict=True)
        recipe = for_models(recipe, [(one.label, one.id or "", each) for one, each in of_ids])
    chosen = _choose(backend, source, recipe)
    plan = make_plan(source, contributions, recipe, chosen, threads=threads, block=block)
    hosts = {name: np.empty(r.size, DTYPES[r.dtype].numpy) for name, r in plan.results.items()}
    totals = Totals()
    try:
        for merged_span in run(plan, totals, executor=executor):
            span = merged_span.span
            hosts[span.name][span.start : span.stop] = merged_span.data
    except Faulty as fault:
        raise diagnose(plan, fault, range(len(contributions)), quiet) from None
    merged = Merged({name: like(host.reshape(base[name].shape), base[name]) for name, host in hosts.items()})
    merged.backend, merged.uncertified = chosen.name, totals.uncertified
    merged.kept = tuple(map(totals.kept_by, range(len(contributions))))
    merged.warnings = tuple(dict.fromkeys(line for lines in (*remarks, plan.remarks) for line in lines))
    return merged


def _one_for_each(task_vectors: Sequence[Mapping[str, Array]], coefficients: Sequence[str] | None) -> list[str]:
    """A coefficient for each task vector, of which there is one at least. Raises CoefficientError, NothingVisible."""
    if coefficients is not None:
        refuse_text(coefficients)
    texts = ["1"] * len(task_vectors) if coefficients is None else list(coefficients)
    if len(texts) != len(task_vectors):
        raise CoefficientError(f"{len(texts)} coefficients for {len(task_vectors)} task vectors; give one for each")
    if not task_vectors:
        raise NothingVisible("there is nothing to merge; pass at least one task vector")
    return texts


def as_contribution(label: str, task_vector: Mapping[str, Array], coefficient: str) -> Contribution:
    """A task vector in memory as the engine takes it. coefficient: a decimal. Raises DtypeError, DecimalError."""
    source = _Arrays(task_vector, label)
    number = decimals.fp32(coefficient, f"{label}: coefficient")
    return Contribution(label, "task_vector", number, source, frozenset(source.records))


def without_buffers(contribution: Contribution, base: Source) -> tuple[Contribution, list[str]]:
    """What is merged of a task vector in memory, and a line for the buffers that do not fit the base [CT-10].

    Raises NamesError when nothing is left [CT-5].
    """
    unfit = unfit_buffers("task_vector", contribution.source, base, contribution.names)
    names = contribution.names.difference(unfit)
    if not names:
        raise NamesError(f"{contribution.label}: no float tensor is left to merge; take more, or leave fewer")
    return replace(contribution, names=names), buffer_remarks(unfit)


def completed(
    contributions: Sequence[Contribution],
    recipe: Method,
    auxiliary: Sequence[Mapping[str, Mapping[str, Array]]] | None,
) -> list[Contribution]:
    """The contributions with what the method needs beside their task vectors: auxiliary arrays, and their roots.

    Raises RecipeError for another number of auxiliary mappings than of contributions.
    """
    found = list(contributions)
    if auxiliary is not None:
        if len(auxiliary) != len(found):
            raise RecipeError(
                f"auxiliary has {len(auxiliary)} entries for {len(found)} task vectors; give one for each"
            )
        for i, kinds in enumerate(auxiliary):
            of_kind = {kind: _Arrays(arrays, f"{kind} of {found[i].label}") for kind, arrays in kinds.items()}
            found[i] = replace(found[i], auxiliary=of_kind)
    if recipe.needs.roots:
        found = [replace(contribution, tensors=root_of(contribution)) for contribution in found]
    return found


def root_of(contribution: Contribution) -> str:
    """The root of the tensors that are contributed, from arrays in memory [EN-7]."""
    return _root_of(contribution.source, contribution.names)


def _named(contributions: Sequence[Contribution], base: Source, identify: Identify | None) -> list[Contribution]:
    """The contributions with their ids, those that they would have in a workspace [CT-3, RC-13]."""
    if identify is None:
        raise RecipeError(
            "a task, or a setting, names a contribution by its id, and arrays have none here; merge by `ma.merge`"
        )
    base_root = _root_of(base, base.records)
    return [replace(one, id=identify(base_root, one, root_of(one))) for one in contributions]


def _root_of(source: Source, names: Container[str]) -> str:
    records = source.records
    return model_root(
        (name, records[name].dtype, tuple(records[name].shape), _root_of_array(source.read(name)))
        for name in records
        if name in names
    )


def _root_of_array(array: Host) -> str:
    data = np.ascontiguousarray(array).view(np.uint8).data
    return tensor_root(data[start : start + LEAF_BYTES] for start in range(0, len(data), LEAF_BYTES))


class _Arrays:
    """Arrays in memory as a source of tensors."""

    def __init__(self, arrays: Mapping[str, Array], what: str) -> None:
        if hasattr(arrays, "state_dict"):
            raise NamesError(f"{what} is {kind_of(arrays)}; pass its state_dict()")
        if not isinstance(arrays, Mapping):
            raise NamesError(
                f"{what} is {kind_of(arrays)}, not a mapping of names to arrays; of a path, "
                f"{'safetensors.numpy.load_file' if what == _BASE else 'ma.TaskVector.between'} makes one, and out= "
                "merges paths"
            )
        self._flat: dict[str, Host] = {}
        records: dict[str, Any] = {}
        self.devices = set()
        for name in in_name_order(arrays):
            array = arrays[name]
            where = f"{what}: tensor {name!r}"
            dtype = name_of(array, where)
            self._flat[name] = np.ascontiguousarray(to_host(array, where)).reshape(-1)
            records[name] = Record(dtype, tuple(array.shape), self._flat[name].size)
            self.devices.add(str(array.device) if is_torch(array) else "numpy")
        refuse_quantised({name: record.dtype for name, record in records.items()}, what)
        self.records: Mapping[str, Any] = MappingProxyType(records)

    def __reduce__(self) -> tuple[Any, ...]:
        raise BackendError("arrays in memory are merged in this process: leave executor out, or merge files by path")

    def read(self, name: str, start: int = 0, stop: int | None = None, into: memoryview | None = None) -> Host:
        return self._flat[name][start:stop]


def _choose(name: str, base: _Arrays, recipe: Method) -> Kernel:
    """The backend asked for; "auto" and "torch" compute where the base's torch tensors are."""
    devices = base.devices - {"numpy"}
    if len(base.devices) > 1:
        raise BackendError(f"the base mixes arrays of {', '.join(sorted(base.devices))}; move them to one place")
    if name in ("auto", "torch") and name in BACKENDS and devices and not whole_round(recipe):
        return torch_on(devices.pop())
    return backend_for(recipe, name)

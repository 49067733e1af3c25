"""The checks of task vectors and merges: what the kernels compute, on every backend and in any cut.

Checks end in `_with`: they take a backend and ways to compute, none of which may change an answer [MG-8].
"""

from __future__ import annotations

import glob
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

import mergealgebra as ma
from mergealgebra import encoding
from mergealgebra.algebra import decimals, exact
from mergealgebra.algebra.method import View
from mergealgebra.algebra.trim import ALL, around, window_counts
from mergealgebra.contribution import make_manifest, names_of
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.engine import memory
from mergealgebra.engine.backends import backend as backend_named
from mergealgebra.engine.faults import Faulty, diagnose
from mergealgebra.engine.merged_spans import Totals
from mergealgebra.engine.plan import Plan, make_plan
from mergealgebra.engine.run import run, run_check
from mergealgebra.engine.sources import Contribution
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.execution import Execution
from mergealgebra.kernels.blocks import Part
from mergealgebra.merge_input import Input
from mergealgebra.methods import task_arithmetic
from mergealgebra.progress import quiet
from mergealgebra.recipe import recipe_from_map
from mergealgebra.resolve import Merge
from mergealgebra.tensors.block_vectors import tau
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.choice import Choice
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.safetensors_file import canonical_header, in_name_order
from tests.spec.vectors import Json, arrays, data, tagged

Check = Callable[[Json, Path], Json]


def written(path: Path, tensors: Json) -> Checkpoint:
    """The tensors of a case in a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {name: data(tensor["hex"]) for name, tensor in tensors.items()}
    entries = [(name, t["dtype"], tuple(t["shape"]), len(stored[name])) for name, t in tensors.items()]
    path.write_bytes(canonical_header(entries) + b"".join(stored[name] for name, *_ in in_name_order(entries)))
    return Checkpoint.open(path)


# Task vectors


def task_vector_with(backend: str, stored: bool = False) -> Check:
    """The check `task-vector` or `stored-task-vector`: by the equations, and as the backend counts its magnitudes."""
    form, side = ("task_vector", "stored") if stored else ("finetuned", "finetuned")

    def task_vector(case: Json, folder: Path) -> Json:
        base, source = written(folder / "base", case["base"]), written(folder / "tuned", case[side])
        choice = Choice(tuple(case.get("take", ())), tuple(case.get("leave", ())))
        names = names_of(form, source, base, choice)
        contribution = Contribution("it", form, 1.0, source, frozenset(names))
        plan = make_plan(base, [contribution], ma.Mean(), backend_named(backend), threads=1)
        run_check(plan)
        with np.errstate(invalid="ignore"):  # as workers do
            found = {name: tau(source.read(name), base.read(name), form) for name in names}
        for name in names:
            _is_counted(plan, Part(source.read(name), form, 1.0), base.read(name), found[name])
        return {"tau": tagged({name: found[name].reshape(source.records[name].shape) for name in names})}

    return task_vector


def _is_counted(plan: Plan, part: Part, base: np.ndarray, expected: np.ndarray) -> None:
    bits = sorted(set((expected.view(np.int32) & 0x7FFFFFFF).tolist()))
    for window in (ALL, *map(around, bits)):
        counts = np.zeros(window.bins + 1, np.int64)
        assert plan.kernel.count(base, part, window, counts)
        assert np.array_equal(counts, window_counts(expected, window))


# Certificates and trim


def certificate(case: Json, _: Path) -> Json:
    numbers = [decimals.from_hex(digits) for digits in case["numbers"]]
    certified = exact.Coefficients(tuple(numbers)).certified
    parts = [exact.Sums.of(task_arithmetic.lift(View(np.array([number], np.float32), 1.0))) for number in numbers]
    assert not parts or (reduce(exact.Sums.combine, parts).uncertified.size == 0) == certified
    return {"certified": certified}


def trim_with(backend: str, **how: Any) -> Check:
    """The check `trim`: merged alone into a base of zeros, a task vector comes out trimmed."""

    def trim(case: Json, folder: Path) -> Json:
        source = written(folder / "tau", case["tau"])
        zeros = {name: np.zeros(record.shape, np.float32) for name, record in source.records.items()}
        base = written(folder / "base", tagged(zeros))
        held = Contribution("it", "task_vector", 1.0, source, frozenset(source.records))
        plan = make_plan(base, [held], ma.Ties(**case["recipe"]), backend_named(backend), **how)
        found, totals = _computed(plan)
        trimmed = {name: found[name].reshape(record.shape) for name, record in base.records.items()}
        assert totals.kept_by(0) == sum(int(np.count_nonzero(x)) for x in trimmed.values())
        return {"trimmed": tagged(trimmed), "kept": totals.kept_by(0)}

    return trim


def _computed(plan: Plan) -> tuple[dict[str, np.ndarray], Totals]:
    """The merged tensors, flat, and what was counted. Raises the error that a merge names."""
    totals = Totals()
    hosts = {name: [np.empty(0, DTYPES[r.dtype].numpy)] for name, r in plan.results.items()}
    try:
        for piece in run(plan, totals):
            hosts[piece.span.name].append(piece.data)
    except Faulty as fault:
        raise diagnose(plan, fault, range(len(plan.contributions)), quiet) from None
    return {name: np.concatenate(parts) for name, parts in hosts.items()}, totals


# Merges


def label(place: int) -> str:
    """How the contribution at a place of a case is called in messages."""
    return f"task vector {place}"


def merge_with(backend: str, **how: Any) -> Check:
    """The check `merge` on one backend: in memory, or from files as `resolve` has them."""

    def merge(case: Json, folder: Path) -> Json:
        if case.get("in_memory"):
            return _in_memory(case, backend, **how)
        base, inputs = _inputs(case, folder)
        recipe = recipe_from_map(case["recipe"])
        lock = Merge(base, inputs, recipe, Execution(backend, **how), None).compute()
        contributions = [input_.contribution for input_ in inputs]
        found, totals = _computed(make_plan(base, contributions, recipe, backend_named(backend), **how))
        assert lock.backend == backend
        assert lock.uncertified == totals.uncertified
        return {
            "tensors": tagged({name: found[name].reshape(r.shape) for name, r in base.records.items()}),
            "kept": [contribution.kept for contribution in lock.contributions],
            "uncertified": totals.uncertified,
            "model_root": lock.model_root,
            "contributions": [contribution.id for contribution in lock.contributions],
            "merge_id": lock.merge_id,
        }

    return merge


def merge_of(case: Json, folder: Path, execution: Execution) -> Merge:
    """A merge from files; every contribution is labelled with its place in the case."""
    base, inputs = _inputs(case, folder)
    return Merge(base, inputs, recipe_from_map(case["recipe"]), execution, None)


def _inputs(case: Json, folder: Path) -> tuple[Checkpoint, list[Input]]:
    base, inputs = written(folder / "base", case["base"]), []
    for i, entry in enumerate(case["contributions"]):
        source = written(folder / str(i) / "tuned", entry["tensors"])
        number = decimals.fp32(entry["coefficient"], "coefficient")
        names, root = frozenset(source.records), source.root()
        id_ = _found(entry, base, source).id if _names_contributions(case["recipe"]) else None
        inputs.append(Input(source, Contribution(label(i), entry["form"], number, source, names, root, id=id_)))
    return base, inputs


def _names_contributions(recipe: Json) -> bool:
    """Whether it has ids of contributions in it."""
    return bool(recipe.get("task")) or any("contribution" in entry for entry in recipe.get("settings", ()))


def _in_memory(case: Json, backend: str, **how: Any) -> Json:
    entries = case["contributions"]
    auxiliary = [{kind: arrays(x) for kind, x in entry.get("auxiliary", {}).items()} for entry in entries]
    merged = memory.merge(
        arrays(case["base"]),
        [arrays(entry["tensors"]) for entry in entries],
        recipe_from_map(case["recipe"]),
        [entry["coefficient"] for entry in entries],
        backend,
        auxiliary=auxiliary if any(auxiliary) else None,
        **how,
    )
    assert merged.backend == backend
    roots = []
    for name, tensor in tagged(merged).items():
        root = encoding.tensor_root([bytes.fromhex(tensor["hex"])])
        roots.append((name, tensor["dtype"], tuple(tensor["shape"]), root))
    return {
        "tensors": tagged(merged),
        "kept": list(merged.kept),
        "uncertified": merged.uncertified,
        "model_root": encoding.model_root(roots),
    }


def _own_recipe(recipe: Json) -> ma.Method:
    """What a workspace has of its own, where the recipe has settings by contribution [ST-7]."""
    settings = [entry for entry in recipe.get("settings", ()) if "contribution" not in entry]
    return recipe_from_map(recipe | {"settings": settings})


def merge_in_workspace(case: Json, folder: Path) -> Json:
    """A merge as people make it: a workspace, contributions published in reverse order, resolved.

    Resolved twice: the second time the thresholds are those that the first one kept.
    """
    written(folder / "base", case["base"]).close()
    recipe, own = recipe_from_map(case["recipe"]), _own_recipe(case["recipe"])
    workspace = ma.Workspace.init(folder / "workspace", base=folder / "base", recipe=own)
    for i, entry in reversed(list(enumerate(case["contributions"]))):
        written(folder / str(i) / "tuned", entry["tensors"]).close()
        # A fine-tune that lacks a name has to say so; a stored task vector may lack any.
        take = tuple(map(glob.escape, entry["tensors"])) if entry["form"] == "finetuned" else ()
        tuned, text = folder / str(i) / "tuned", entry["coefficient"]
        workspace.contribute(tuned, text, form=entry["form"], take=take, force=True, threads=1)  # some are zeros
    made = workspace.resolve(folder / "out", recipe=recipe, threads=1).lock
    ma.verify(folder / "out", against=workspace.path, threads=1).raise_if_failed()
    assert workspace.resolve(folder / "again", recipe=recipe).lock == made
    with Checkpoint.open(folder / "out") as merged:
        tensors = {name: merged.read(name).reshape(r.shape) for name, r in merged.records.items()}
    return {
        "tensors": tagged(tensors),
        "kept": [contribution.kept for contribution in made.contributions],
        "uncertified": made.uncertified,
        "model_root": made.model_root,
        "contributions": [contribution.id for contribution in made.contributions],
        "merge_id": made.merge_id,
    }


# Aggregates


def aggregate(case: Json, folder: Path) -> Json:
    """Lift each, combine in two trees, retract one by one; tau_m before and after each retraction."""
    ids, lifts = _lifts(case, folder)
    whole = reduce(ma.Aggregate.combine, lifts)
    other = reduce(lambda a, b: b.combine(a), reversed(lifts))
    steps = [whole.finalize()]
    assert tagged(other.finalize()) == tagged(steps[0])
    for place in case["retract"]:
        whole = whole.retract(lifts[place])
        steps.append(whole.finalize())
    return {"ids": ids, "tau_m": [tagged(step) for step in steps]}


def combine(case: Json, folder: Path) -> Json:
    """Two aggregates, each of all its contributions, in both orders."""
    (left, left_lifts), (right, right_lifts) = (_lifts(case[side], folder / side) for side in ("left", "right"))
    a, b = reduce(ma.Aggregate.combine, left_lifts), reduce(ma.Aggregate.combine, right_lifts)
    found = tagged(a.combine(b).finalize())
    assert tagged(b.combine(a).finalize()) == found
    return {"ids": sorted(left + right), "tau_m": found}


def _lifts(case: Json, folder: Path) -> tuple[list[str], list[ma.Aggregate]]:
    """The ids and the lifts of contributions, in the order of the case."""
    base = written(folder / "base", case["base"])
    recipe = recipe_from_map(case["recipe"])
    ids, lifts = [], []
    for i, entry in enumerate(case["contributions"]):
        source = written(folder / str(i) / "tuned", entry["tensors"])
        found = _found(entry, base, source)
        ids.append(found.id)
        try:
            lifts.append(ma.Aggregate.lift(recipe, found.id, _taus(base, entry), entry["coefficient"]))
        except MergeAlgebraError as error:  # an aggregate names a contribution by its id
            raise type(error)(str(error).replace(found.id, label(i))) from None
    return ids, lifts


def _found(entry: Json, base: Checkpoint, source: Checkpoint) -> Manifest:
    """The manifest of a contribution of a case."""
    names = list(source.records)
    if entry["form"] == "finetuned":
        names = names_of("finetuned", source, base, Choice(take=tuple(map(glob.escape, names))))
    number = decimals.fp32(entry["coefficient"], "coefficient")
    return make_manifest(entry["form"], base.root(), source, {n: source.tensor_root(n) for n in names}, number)


def _taus(base: Checkpoint, entry: Json) -> dict[str, np.ndarray]:
    held = arrays(entry["tensors"])
    if entry["form"] == "task_vector":
        return held
    whole = {name: base.read(name).reshape(base.records[name].shape) for name in held}
    return dict(ma.TaskVector.between(whole, held))

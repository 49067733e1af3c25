"""What each `check` of the vectors means for this implementation: from a case's input to its answer.

An answer is compared with `expected` as JSON; a MergeAlgebraError is compared with `error`.
"""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

import mergealgebra as ma
from mergealgebra import encoding
from mergealgebra.algebra import decimals, exact, task_arithmetic
from mergealgebra.contribution import Choice, make_manifest, names_of
from mergealgebra.crdt.genesis import Genesis, merge_id
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import KINDS, Attest, Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.engine.backends import backend as backend_named
from mergealgebra.engine.executors import Workers
from mergealgebra.engine.plan import Contribution, Plan, make_plan
from mergealgebra.engine.run import Tally, quiet, run, run_check
from mergealgebra.engine.thresholds import find_thresholds
from mergealgebra.errors import MergeAlgebraError, RecipeError
from mergealgebra.lock import LOCK, Lock, achieved_density
from mergealgebra.recipe import Ties, complete_recipe, recipe_from_map
from mergealgebra.recipe_file import read_merge_file, read_recipe
from mergealgebra.resolve import How, Merge
from mergealgebra.store.blobs import stream_blob
from mergealgebra.tensors import safetensors_file
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.dtypes import DTYPES
from tests.models import write_canonical
from tests.spec.vectors import Json, arrays, data, tagged, value

# Encodings


def encode(case: Json, _: Path) -> Json:
    return {"encoding": encoding.encode(value(case["value"])).hex()}


def encode_long(case: Json, _: Path) -> Json:
    encoded = encoding.encode(value(case["value"]))
    return {"head": encoded[:5].hex(), "bytes": len(encoded), "sha256": hashlib.sha256(encoded).hexdigest()}


def decode(case: Json, _: Path) -> Json:
    return {"value": _tag(encoding.decode(data(case["encoding"])))}


def accept_encoding(case: Json, _: Path) -> Json:
    encoding.decode(data(case["encoding"]))
    return {}


def _tag(item: object) -> Json:
    if item is None or isinstance(item, bool):
        return item
    if isinstance(item, dict):
        return {"map": [[key, _tag(content)] for key, content in item.items()]}
    if isinstance(item, list):
        return {"array": [_tag(content) for content in item]}
    if isinstance(item, bytes):
        return {"bin": item.hex()}
    return {"str": item} if isinstance(item, str) else {"int": str(item)}


def id_(case: Json, _: Path) -> Json:
    return {"id": encoding.hash_id(case["domain"], data(case["bytes"]))}


def tree_hash(case: Json, _: Path) -> Json:
    return {"hash": encoding.merkle_root(map(data, case["leaves"])).hex()}


def tensor_root(case: Json, _: Path) -> Json:
    hasher = encoding.TensorHasher()
    hasher.update(data(case["bytes"]))
    return {"root": hasher.root()}


def model_root(case: Json, folder: Path) -> Json:
    checkpoint = _checkpoint(folder / "model.safetensors", case["tensors"])
    return {"name_order": list(checkpoint.records), "root": checkpoint.root()}


# Files


def read_safetensors(case: Json, folder: Path) -> Json:
    return _read(_placed(folder / "model.safetensors", data(case["file"])))


def write_safetensors(case: Json, folder: Path) -> Json:
    named = {bytes.fromhex(name).decode("utf-16-be", "surrogatepass"): t for name, t in case.get("utf16", ())}
    write_canonical(folder / "model.safetensors", arrays(case.get("tensors", {}) | named))
    return {"file": (folder / "model.safetensors").read_bytes().hex()}


def read_checkpoint(case: Json, folder: Path) -> Json:
    for name, content in case["files"].items():
        _placed(folder / name, data(content))
    return _read(folder)


def shards(case: Json, _: Path) -> Json:
    entries = [
        (name, dtype, tuple(shape), DTYPES[dtype].itemsize * int(np.prod(shape, dtype=object)))
        for name, dtype, shape in case["tensors"]
    ]
    cut = safetensors_file.shards(entries)
    named = zip(safetensors_file.shard_names(len(cut)), cut, strict=True)
    index = safetensors_file.index_bytes(cut).decode() if len(cut) > 1 else None
    return {"shards": [{"file": file, "tensors": [e[0] for e in shard]} for file, shard in named], "index": index}


def _read(path: Path) -> Json:
    with Checkpoint.open(path) as checkpoint:
        found = {name: checkpoint.read(name).reshape(r.shape) for name, r in checkpoint.records.items()}
        return {"tensors": tagged(found), "root": checkpoint.root()}


def _placed(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _checkpoint(path: Path, tensors: Json) -> Checkpoint:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_canonical(path, arrays(tensors))
    return Checkpoint.open(path)


# Recipes


def decimal(case: Json, _: Path) -> Json:
    text = case["text"]
    canonical, number = decimals.canonical_decimal(text, "x"), decimals.fp32(text, "x")
    return {"canonical": canonical, "fp32": decimals.to_hex(number)}


def density(case: Json, _: Path) -> Json:
    decimals.exact_density(case["text"])
    return {"canonical": decimals.canonical_decimal(case["text"], "density")}


def coefficient(case: Json, _: Path) -> Json:
    number = decimals.fp32(case["text"], "coefficient")
    negative = case["method"] is None or recipe_from_map({"method": case["method"]}).negative_coefficients
    decimals.check_coefficient(number, "x", negative=negative)
    return {"canonical": decimals.canonical_decimal(case["text"], "x"), "fp32": decimals.to_hex(number)}


def recipe(case: Json, _: Path) -> Json:
    made = recipe_from_map(case["recipe"])
    return {"recipe": made.to_map(), "encoding": encoding.encode(made.to_map()).hex(), "id": made.id}


def recipe_file(case: Json, folder: Path) -> Json:
    made = read_recipe(_placed(folder / "recipe.yaml", case["yaml"].encode()))
    return {"recipe": made.to_map(), "id": made.id}


def merge_configuration(case: Json, folder: Path) -> Json:
    made = read_merge_file(_placed(folder / "merge.yaml", case["yaml"].encode()))
    models = [{"path": str(m.path.relative_to(folder)), "coefficient": m.coefficient} for m in made.models]
    base = str(made.base.relative_to(folder))
    return {"recipe": made.recipe.to_map(), "id": made.recipe.id, "base": base, "models": models}


# Task vectors and contributions


def pattern(case: Json, _: Path) -> Json:
    return {"matches": Choice(take=(case["pattern"],)).of(case["names"])}


def task_vector(case: Json, folder: Path) -> Json:
    return _task_vector("finetuned", case["finetuned"], case, folder)


def stored_task_vector(case: Json, folder: Path) -> Json:
    return _task_vector("task_vector", case["stored"], case, folder)


def _task_vector(form: str, tensors: Json, case: Json, folder: Path) -> Json:
    base, source = _checkpoint(folder / "base", case["base"]), _checkpoint(folder / "tuned", tensors)
    choice = Choice(tuple(case.get("take", ())), tuple(case.get("leave", ())))
    names = names_of(form, source, base, choice)
    contribution = Contribution("it", form, 1.0, source, frozenset(names))
    plan = make_plan(base, [contribution], ma.Mean(), backend_named("numpy"), threads=1)
    run_check(plan)
    found = {}
    for name in names:
        blocks = [contribution.tau(block, base.read(name), lambda x: x) for block in plan.blocks(name)]
        record = source.records[name]
        found[name] = np.concatenate([np.empty(0, np.float32), *blocks]).reshape(record.shape)
    return {"tau": tagged(found)}


def contribution(case: Json, folder: Path) -> Json:
    base, source = _checkpoint(folder / "base", case["base"]), _checkpoint(folder / "tuned", case["tensors"])
    manifest, names = _manifest(case, base, source)
    blob = folder / "blob"
    write_canonical(blob, {name: source.read(name).reshape(source.records[name].shape) for name in names})
    return {
        "manifest": _tag(manifest.to_map()),
        "encoding": encoding.encode(manifest.to_map()).hex(),
        "id": manifest.id,
        "blob": blob.read_bytes().hex(),
    }


def _manifest(case: Json, base: Checkpoint, source: Checkpoint) -> tuple[Manifest, list[str]]:
    choice = Choice(tuple(case.get("take", ())), tuple(case.get("leave", ())))
    names = names_of(case["form"], source, base, choice)
    number = decimals.check_coefficient(decimals.fp32(case["coefficient"], "coefficient"), "it", negative=True)
    held = Contribution("it", case["form"], number, source, frozenset(names))
    run_check(make_plan(base, [held], ma.TaskArithmetic(), backend_named("numpy"), threads=1))
    roots = {name: source.tensor_root(name) for name in names}
    return make_manifest(case["form"], base.root(), source, roots, number), names


def manifest(case: Json, _: Path) -> Json:
    return {"id": Manifest.from_map(value(case["manifest"])).id}


def blob(case: Json, folder: Path) -> Json:
    path = _placed(folder / "blob.safetensors", data(case["file"]))
    stream_blob(path, case["root"], lambda piece: None)
    return {"tensors": _read(path)["tensors"]}


# Reduction


def certificate(case: Json, _: Path) -> Json:
    numbers = [decimals.from_hex(digits) for digits in case["numbers"]]
    certified = exact.Coefficients(tuple(numbers)).certified
    parts = [task_arithmetic.lift(np.array([number], np.float32), 1.0) for number in numbers]
    assert not parts or (reduce(exact.Sums.combine, parts).uncertified.size == 0) == certified
    return {"certified": certified}


def trim(case: Json, folder: Path) -> Json:
    source = _checkpoint(folder / "tau", case["tau"])
    held = Contribution("it", "task_vector", 1.0, source, frozenset(source.records))
    plan = make_plan(source, [held], Ties(**case["recipe"]), backend_named("numpy"), threads=1, block=2)
    with Workers(1, lambda: None) as workers:
        trimming = find_thresholds(plan, workers, quiet)
    found = {}
    for name, record in source.records.items():
        parts = [trimming.trim(0, b, source.read(name, b.start, b.stop)) for b in plan.blocks(name)]
        found[name] = np.concatenate([np.empty(0, np.float32), *parts]).reshape(record.shape)
    return {"trimmed": tagged(found), "kept": sum(int(np.count_nonzero(x)) for x in found.values())}


def merge_with(backend: str, **how: Any) -> Callable[[Json, Path], Json]:
    """The check `merge` on one backend: in memory, or from files as `resolve` has them."""

    def merge(case: Json, folder: Path) -> Json:
        if case.get("in_memory"):
            return _in_memory(case, backend, **how)
        base, manifests, plan = _plan(case, folder, backend, **how)
        tally = Tally([0] * len(manifests))
        hosts = {name: [np.empty(0, DTYPES[r.dtype].numpy)] for name, r in base.records.items()}
        for piece in run(plan, tally):
            hosts[piece.block.name].append(piece.data)
        merged = {n: np.concatenate(parts).reshape(base.records[n].shape) for n, parts in hosts.items()}
        again = Merge([base], base.root(), manifests, plan).compute(quiet)
        assert again.uncertified == tally.uncertified
        return {
            "tensors": tagged(merged),
            "kept": tally.kept,
            "uncertified": tally.uncertified,
            "model_root": again.model_root,
            "contributions": list(manifests),
            "merge_id": merge_id(base.root(), plan.recipe.id, manifests),
        }

    return merge


def _in_memory(case: Json, backend: str, **how: Any) -> Json:
    merged = ma.merge(
        arrays(case["base"]),
        [arrays(entry["tensors"]) for entry in case["contributions"]],
        recipe_from_map(case["recipe"]),
        [entry["coefficient"] for entry in case["contributions"]],
        backend,
        **how,
    )
    roots = []
    for name, tensor in tagged(merged).items():
        root = tensor_root({"bytes": tensor["hex"]}, Path())["root"]
        roots.append((name, tensor["dtype"], tuple(tensor["shape"]), root))
    return {
        "tensors": tagged(merged),
        "kept": list(merged.kept),
        "uncertified": merged.uncertified,
        "model_root": encoding.model_root(roots),
    }


def _plan(case: Json, folder: Path, backend: str, **how: Any) -> tuple[Checkpoint, dict[str, Manifest], Plan]:
    """A merge from files; every contribution is labelled with its place in the case."""
    base = _checkpoint(folder / "base", case["base"])
    made: dict[str, tuple[Manifest, Contribution]] = {}
    for i, entry in enumerate(case["contributions"]):
        source = _checkpoint(folder / str(i) / "tuned", entry["tensors"])
        number = decimals.fp32(entry["coefficient"], "coefficient")
        held = Contribution(label(i), entry["form"], number, source, frozenset(source.records))
        make_plan(base, [held], recipe_from_map(case["recipe"]), backend_named("numpy"))
        found = _found(entry, base, source)
        if found.id in made:
            raise RecipeError(f"{label(i)} stands twice")
        made[found.id] = found, held
    ordered = dict(sorted(made.items()))
    contributions = [held for _, held in ordered.values()]
    plan = make_plan(base, contributions, recipe_from_map(case["recipe"]), backend_named(backend), **how)
    return base, {name: found for name, (found, _) in ordered.items()}, plan


def merge_in_workspace(case: Json, folder: Path) -> Json:
    """A merge as people make it: a workspace, contributions published in reverse order, resolved."""
    _checkpoint(folder / "base", case["base"]).close()
    workspace = ma.Workspace.init(folder / "workspace", base=folder / "base", recipe=recipe_from_map(case["recipe"]))
    for i, entry in reversed(list(enumerate(case["contributions"]))):
        _checkpoint(folder / str(i) / "tuned", entry["tensors"]).close()
        # A fine-tune that lacks a name has to say so; a stored task vector may lack any.
        take = tuple(map(glob.escape, entry["tensors"])) if entry["form"] == "finetuned" else ()
        workspace.contribute(folder / str(i) / "tuned", entry["coefficient"], form=entry["form"], take=take)
    made = workspace.resolve(folder / "out").lock
    ma.verify(folder / "out", against=workspace.path).raise_if_failed()
    return {
        "tensors": _read(folder / "out")["tensors"],
        "kept": [contribution.kept for contribution in made.contributions],
        "uncertified": made.uncertified,
        "model_root": made.model_root,
        "contributions": [contribution.id for contribution in made.contributions],
        "merge_id": made.merge_id,
    }


def label(place: int) -> str:
    """How the contribution at a place of a case is called in messages."""
    return f"task vector {place}"


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
    base = _checkpoint(folder / "base", case["base"])
    recipe = recipe_from_map(case["recipe"])
    ids, lifts = [], []
    for i, entry in enumerate(case["contributions"]):
        source = _checkpoint(folder / str(i) / "tuned", entry["tensors"])
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


# Operations and states


def genesis(case: Json, _: Path) -> Json:
    made = Genesis(case["base"], case["name"], recipe_from_map(case["recipe"]).to_map())
    return {"encoding": made.encode().hex(), "workspace": made.workspace_id}


def read_genesis(case: Json, _: Path) -> Json:
    made = Genesis.decode(bytes.fromhex(case["genesis"]))
    complete_recipe(made.recipe)
    return {"workspace": made.workspace_id}


def operation(case: Json, _: Path) -> Json:
    body = value(case["body"])
    payload = KINDS[body["kind"]].from_fields(body["fields"])
    made = Operation(case["workspace"], payload, body.get("time"), body.get("note"))
    return {"encoding": made.encode().hex(), "id": made.id}


def read_operation(case: Json, _: Path) -> Json:
    return {"id": Operation.decode(data(case["operation"]), case["workspace"]).id}


def _state(case: Json) -> ORSet:
    root = Genesis.decode(bytes.fromhex(case["genesis"]))
    return ORSet(root, frozenset(Operation.decode(data(o), root.workspace_id) for o in case["operations"]))


def state(case: Json, _: Path) -> Json:
    found = _state(case)
    visible = found.visible()
    merged = {o.payload.merge_id for o in found.operations if isinstance(o.payload, Attest)}
    tensors = [manifest.tensors for manifest in visible.values()]
    return {
        "visible": list(visible),
        "merge_id": found.merge_id,
        "contradicted_merge_ids": sorted(m for m in merged if len(found.attestations(m)) > 1),
        "shared_tensors": sorted({root for root in tensors if tensors.count(root) > 1}),
    }


def join(case: Json, _: Path) -> Json:
    joined = _state(case["left"]).join(_state(case["right"]))
    return {"operations": list(joined.by_id()), "visible": list(joined.visible())}


def retract(case: Json, _: Path) -> Json:
    (made,) = _state(case).remove(case["contribution"]).operations
    return {"operations": list(made.payload.operations)}


# Locks


def lock(case: Json, folder: Path) -> Json:
    base, manifests, plan = _plan(case, folder, case["backend"])
    made = Merge([base], base.root(), manifests, plan).write(folder / "out", How().progress).lock
    written = json.loads((folder / "out" / LOCK).read_text(encoding="utf-8"))
    assert Lock.read(folder / "out") == made
    return {"lock": written}


def lock_text(case: Json, folder: Path) -> Json:
    lock(case, folder)
    return {"text": (folder / "out" / LOCK).read_bytes().decode()}


def verify_lock(case: Json, folder: Path) -> Json:
    text = case["text"] if "text" in case else json.dumps(case["lock"])
    _placed(folder / LOCK, text.encode())
    Lock.read(folder)
    return {}


def density_of(case: Json, _: Path) -> Json:
    return {"text": achieved_density([int(case["kept"])], [int(case["elements"])])}


CHECKS: dict[str, Callable[[Json, Path], Json]] = {
    "accept-encoding": accept_encoding,
    "achieved-density": density_of,
    "aggregate": aggregate,
    "blob": blob,
    "certificate": certificate,
    "coefficient": coefficient,
    "combine": combine,
    "contribution": contribution,
    "decimal": decimal,
    "decode": decode,
    "density": density,
    "encode": encode,
    "encode-long": encode_long,
    "genesis": genesis,
    "id": id_,
    "join": join,
    "lock": lock,
    "lock-text": lock_text,
    "manifest": manifest,
    "merge": merge_with("numpy"),
    "merge-configuration": merge_configuration,
    "model-root": model_root,
    "operation": operation,
    "pattern": pattern,
    "read-checkpoint": read_checkpoint,
    "read-genesis": read_genesis,
    "read-operation": read_operation,
    "read-safetensors": read_safetensors,
    "recipe": recipe,
    "recipe-file": recipe_file,
    "retract": retract,
    "shards": shards,
    "state": state,
    "stored-task-vector": stored_task_vector,
    "task-vector": task_vector,
    "tensor-root": tensor_root,
    "tree-hash": tree_hash,
    "trim": trim,
    "verify-lock": verify_lock,
    "write-safetensors": write_safetensors,
}

"""What each `check` of the vectors means for this implementation: from a case's input to its answer.

An answer is compared with `expected` as JSON; a MergeAlgebraError is compared with `error`.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

import mergealgebra as ma
from mergealgebra import encoding
from mergealgebra.algebra import decimals, elementary, masks, scalars
from mergealgebra.algebra.arrays import Array, to_numpy
from mergealgebra.attestations import witnesses
from mergealgebra.contribution import Chosen, auxiliary_entry, choose_auxiliary, make_manifest, names_of
from mergealgebra.contribution_blobs import as_contribution
from mergealgebra.crdt import permission
from mergealgebra.crdt.authority import Keep, Later, Revoke
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import KINDS, SIGNED_KINDS, Attest, Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.pack_index import PackIndex
from mergealgebra.crdt.pack_levels import insides, to_merge
from mergealgebra.crdt.packs import Pack
from mergealgebra.engine.backends import backend as backend_named
from mergealgebra.engine.plan import make_plan
from mergealgebra.engine.run import run_check
from mergealgebra.errors import PackError, WorkspaceError, WrongWorkspace
from mergealgebra.execution import Execution
from mergealgebra.lock import Lock, achieved_density
from mergealgebra.methods import numbers
from mergealgebra.methods.method import field_of
from mergealgebra.recipe import complete_recipe, recipe_from_map
from mergealgebra.recipe_file import read_merge_file, read_recipe
from mergealgebra.signatures import fingerprint, is_key, is_valid
from mergealgebra.store.blob_map import BlobMap
from mergealgebra.store.blobs import stream_blob
from mergealgebra.store.entries import ROOT, Entry
from mergealgebra.tensors import safetensors_file
from mergealgebra.tensors.block_vectors import tau
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.choice import Choice
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.file_names import LOCK
from mergealgebra.tensors.forms import Formed, of_form
from tests.models import write_canonical
from tests.signers import SeedSigner
from tests.spec.peer_checks import PEER_CHECKS
from tests.spec.reductions import (
    aggregate,
    certificate,
    combine,
    merge_of,
    merge_with,
    task_vector_with,
    trim_with,
    written,
)
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
    return {"root": encoding.tensor_root([data(case["bytes"])])}


def model_root(case: Json, folder: Path) -> Json:
    checkpoint = written(folder / "model.safetensors", case["tensors"])
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
        found = {
            name: {"dtype": r.dtype, "shape": list(r.shape), "hex": checkpoint.read(name).tobytes().hex()}
            for name, r in checkpoint.records.items()
        }
        return {"tensors": found, "root": checkpoint.root()}


def _placed(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


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
    negative = case["method"] is None or recipe_from_map({"method": case["method"]}).needs.negative
    decimals.check_coefficient(number, "x", negative=negative, method=str(case["method"]))
    return {"canonical": decimals.canonical_decimal(case["text"], "x"), "fp32": decimals.to_hex(number)}


def recipe(case: Json, _: Path) -> Json:
    made = recipe_from_map(case["recipe"])
    return {"recipe": made.to_map(), "encoding": encoding.encode(made.to_map()).hex(), "id": made.id}


def recipe_map(case: Json, _: Path) -> Json:
    made = complete_recipe(case["recipe"])
    assert made.to_map() == case["recipe"]
    return {"encoding": encoding.encode(made.to_map()).hex(), "id": made.id}


def by_tensor(case: Json, _: Path) -> Json:
    made = recipe_from_map(case["recipe"])
    keys = [
        key for key in ("density", "trim_density", "lambda", "t", "scale", "gamma", "epsilon") if key in made.to_map()
    ]
    return {
        "numbers": {
            name: {key: str(Fraction(getattr(found.method, field_of(key)))) for key in keys}
            | {"coefficient": str(found.factor)}
            for name, found in numbers.by_tensor(made, case["names"]).items()
        }
    }


def random_words(case: Json, _: Path) -> Json:
    key, first = bytes.fromhex(case["key"]), 4 * int(case["counter"])
    words = int.from_bytes(key[:4], "big"), int.from_bytes(key[4:], "big")
    return {"words": [f"{word:08x}" for word in masks.words_from(words, first, 4).tolist()]}


def mask(case: Json, _: Path) -> Json:
    key = masks.mask_key(case["seed"], case["root"], case["tensor"])
    words = masks.words(key, np.array(case["positions"], np.int64))
    kept = words < masks.keep_below(decimals.exact_density(case["density"]))
    return {
        "key": "".join(f"{word:08x}" for word in key),
        "words": [f"{word:08x}" for word in words.tolist()],
        "kept": np.array(case["positions"], np.int64)[kept].tolist(),
    }


def function_with(array: Callable[[np.ndarray], Array]) -> Callable[[Json, Path], Json]:
    """A check of functions on the arrays of a library."""

    def function(case: Json, _: Path) -> Json:
        results = to_numpy(getattr(elementary, case["function"])(array(_fp64(case["arguments"]))))
        return {"results": ["nan" if np.isnan(x) else f"{x.view(np.uint32):08x}" for x in results]}

    return function


def scalar(case: Json, _: Path) -> Json:
    results = [getattr(scalars, case["function"])(x) for x in _fp64(case["arguments"]).tolist()]
    return {"results": list(map(_hex64, results))}


def square_root(case: Json, _: Path) -> Json:
    return {"results": [_hex64(scalars.sqrt(Fraction(int(n), int(d)))) for n, d in case["ratios"]]}


def _fp64(arguments: list[str]) -> np.ndarray:
    return np.array([int(bits, 16) for bits in arguments], np.uint64).view(np.float64)


def _hex64(x: float) -> str:
    return struct.pack(">d", x).hex()


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


def contribution(case: Json, folder: Path) -> Json:
    base, source = written(folder / "base", case["base"]), written(folder / "tuned", case["tensors"])
    held = of_form(case["form"], source)
    names = names_of(case["form"], held, base, Choice(tuple(case.get("take", ())), tuple(case.get("leave", ()))))
    number = decimals.check_coefficient(
        decimals.fp32(case["coefficient"], "coefficient"), "it", negative=True, method="it"
    )
    one = as_contribution("it", case["form"], number, held, names)
    run_check(make_plan(base, [one], ma.TaskArithmetic(), backend_named("numpy"), threads=1))
    chosen, beside, more = Chosen(held, names, (), {}), [], {}
    for kind, tensors in case.get("auxiliary", {}).items():
        given = choose_auxiliary(kind, written(folder / kind, tensors), chosen)
        beside.append(auxiliary_entry(kind, given, given.roots()))
        more[kind] = _blob(folder / "more", given, list(given.records))
    manifest = make_manifest(case["form"], base.root(), held, held.roots(1, names), number, beside)
    stored = held.stored_names(names) if isinstance(held, Formed) else names
    return {
        "manifest": _tag(manifest.to_map()),
        "encoding": encoding.encode(manifest.to_map()).hex(),
        "id": manifest.id,
        "blob": _blob(folder / "blob", source, stored),
        "auxiliary": more,
    }


def _blob(path: Path, source: Checkpoint, names: list[str]) -> str:
    write_canonical(path, {name: source.read(name).reshape(source.records[name].shape) for name in names})
    return path.read_bytes().hex()


def formed_task_vector(case: Json, folder: Path) -> Json:
    """In one piece, and in pieces of one element."""
    base, held = written(folder / "base", case["base"]), Formed(written(folder / "stored", case["stored"]))
    names = names_of("mixed", held, base, held.records)
    one = as_contribution("it", "mixed", 1.0, held, names)
    run_check(make_plan(base, [one], ma.Mean(), backend_named("numpy"), threads=1))
    found = {}
    for name in names:
        size, form = held.records[name].size, one.form_of(name)
        whole = tau(held.read(name), base.read(name), form)
        pieces = [tau(held.read(name, i, i + 1), base.read(name, i, i + 1), form) for i in range(size)]
        assert whole.tobytes() == b"".join(piece.tobytes() for piece in pieces)
        found[name] = whole.reshape(held.records[name].shape)
    return {"tau": tagged(found)}


def manifest(case: Json, _: Path) -> Json:
    return {"id": Manifest.from_map(value(case["manifest"])).id}


def blob(case: Json, folder: Path) -> Json:
    path = _placed(folder / "blob.safetensors", data(case["file"]))
    stream_blob(Entry(path.parent, ROOT, path.name), case["root"], lambda piece: None)
    return {"tensors": _read(path)["tensors"]}


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
    made = Operation(case["workspace"], payload, body.get("time"), body.get("note"), body.get("name"))
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


def pack(case: Json, _: Path) -> Json:
    made = Pack.of([bytes.fromhex(one) for one in case["operations"]], case["replaces"])
    assert Pack.decode(made.encode()) == made
    return {"encoding": made.encode().hex(), "name": made.name}


def read_pack(case: Json, folder: Path) -> Json:
    made = Pack.decode(data(case["pack"]))
    for encoded in made.operations.values():
        try:
            Operation.decode(encoded, case["workspace"])
        except ma.MergeAlgebraError as error:
            raise (error if isinstance(error, WrongWorkspace) else PackError(str(error))) from None
    return {"operations": list(made.operations), "replaces": list(made.replaces)}


def merge_packs(case: Json, _: Path) -> Json:
    held = {file["name"]: dict.fromkeys(file["operations"]) for file in case["packs"]}
    sizes = {file["name"]: file["bytes"] for file in case["packs"]}
    return {"merge": to_merge(held, sizes), "inside": sorted(name for name, _ in insides(held))}


def pack_index(case: Json, _: Path) -> Json:
    return {"encoding": PackIndex(*(tuple(sorted(set(case[key]))) for key in ("packs", "operations"))).encode().hex()}


def read_pack_index(case: Json, _: Path) -> Json:
    found = PackIndex.decode(data(case["index"]))
    return {"packs": list(found.packs), "operations": list(found.operations)}


def blob_map(case: Json, _: Path) -> Json:
    tensors = sorted((name, dtype, shape, data(raw)) for name, dtype, shape, raw in case["tensors"])
    made = BlobMap.of((name, dtype, shape, _digests(raw)) for name, dtype, shape, raw in tensors)
    file = made.header + b"".join(raw for *_, raw in tensors)
    for leaf in made.run(0, made.leaves):
        assert hashlib.sha256(b"\0" + file[leaf.offset : leaf.offset + leaf.nbytes]).digest() == leaf.digest
    return {"encoding": made.encode().hex(), "root": made.root, **_places(made)}


def read_blob_map(case: Json, _: Path) -> Json:
    encoded = data(case["map"])
    made = BlobMap.decode(encoded, case["root"], int(case["elements"]))
    assert made.encode() == encoded
    return _places(made)


def _digests(raw: bytes) -> bytes:
    hasher = encoding.LeafHasher()
    hasher.update(raw)
    return b"".join(hasher.digests())


def _places(made: BlobMap) -> Json:
    leaves = [[leaf.tensor.name, leaf.offset, leaf.nbytes] for leaf in made.run(0, made.leaves)]
    return {"leaves": leaves, "bytes": made.nbytes}


# Signed workspaces


def key(case: Json, _: Path) -> Json:
    given = bytes.fromhex(case["key"])
    return {"sound": True, "fingerprint": fingerprint(case["key"])} if is_key(given) else {"sound": False}


def signature(case: Json, _: Path) -> Json:
    return {"valid": is_valid(*(bytes.fromhex(case[name]) for name in ("key", "signature", "message")))}


def signed_genesis(case: Json, _: Path) -> Json:
    recipe = recipe_from_map(case["recipe"]).to_map()
    if not case["maintainers"]:  # in Python that is an open workspace: nobody can write this one
        raise WorkspaceError("a signed workspace without maintainers")
    made = Genesis(case["base"], case["name"], recipe, maintainers=tuple(case["maintainers"]))
    return {"encoding": made.encode().hex(), "workspace": made.workspace_id}


def read_signed_genesis(case: Json, _: Path) -> Json:
    made = Genesis.decode(bytes.fromhex(case["genesis"]))
    return {"workspace": made.workspace_id, "maintainers": list(made.maintainers)}


def sign(case: Json, _: Path) -> Json:
    body = value(case["body"])
    if body["version"] == 3 and body["kind"] in SIGNED_KINDS:
        payload = SIGNED_KINDS[body["kind"]].from_fields(body["fields"])
    else:  # nobody writes this here: it is read, and written again
        known = {"version", "workspace", "kind", "author", "grant"}
        payload = Later.of(body, frozenset(known | ({"time", "note", "name"} if body["version"] == 3 else set())))
    said = {name: body[name] for name in ("time", "note", "name") if name in body and body["version"] == 3}
    signer = SeedSigner(bytes.fromhex(case["seed"]))
    grant = body["grant"].hex() if "grant" in body else None
    made = Operation(case["workspace"], payload, **said).signed_by(signer, grant)
    return {"encoding": made.encode().hex(), "id": made.id}


def read_signed(case: Json, _: Path) -> Json:
    made = Operation.decode_signed(data(case["operation"]), case["workspace"])
    assert made.encode() == data(case["operation"])
    return {"id": made.id, "later": made.kind == Later.kind}


def signed_state_of(case: Json) -> ORSet:
    root = Genesis.decode(bytes.fromhex(case["genesis"]))
    return ORSet(root, frozenset(Operation.decode_signed(data(o), root.workspace_id) for o in case["operations"]))


def signed_state(case: Json, _: Path) -> Json:
    found = signed_state_of(case)
    merges = sorted({o.payload.merge_id for o in found.effective if isinstance(o.payload, Attest)})
    return {
        "admissible": list(found.admissible.by_id()),
        "effective": sorted(operation.id for operation in found.effective),
        "visible": list(found.visible()),
        "merge_id": found.merge_id,
        "witnesses": {m: {root: len(keys) for root, keys in witnesses(found, m).items()} for m in merges},
    }


def signed_retract(case: Json, _: Path) -> Json:
    (made,) = (
        signed_state_of(case).remove(case["contribution"], signer=SeedSigner(bytes.fromhex(case["seed"]))).operations
    )
    return {"operations": list(made.payload.operations)}


def revoke(case: Json, _: Path) -> Json:
    made = permission.revoke(signed_state_of(case), case["key"], SeedSigner(bytes.fromhex(case["seed"]))).operations
    assert all(operation.is_valid for operation in made)
    kept = [name for operation in made if isinstance(operation.payload, Keep) for name in operation.payload.operations]
    (grants,) = (operation.payload.grants for operation in made if isinstance(operation.payload, Revoke))
    return {"grants": list(grants), "kept": kept}


# Locks


def lock(case: Json, folder: Path) -> Json:
    made = merge_of(case, folder, Execution(case["backend"])).write(folder / "out").lock
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
    "by-tensor": by_tensor,
    "certificate": certificate,
    "coefficient": coefficient,
    "combine": combine,
    "contribution": contribution,
    "decimal": decimal,
    "decode": decode,
    "density": density,
    "encode": encode,
    "encode-long": encode_long,
    "formed-task-vector": formed_task_vector,
    "function": function_with(np.asarray),
    "genesis": genesis,
    "id": id_,
    "join": join,
    "pack": pack,
    "read-pack": read_pack,
    "merge-packs": merge_packs,
    "pack-index": pack_index,
    "read-pack-index": read_pack_index,
    "blob-map": blob_map,
    "read-blob-map": read_blob_map,
    "lock": lock,
    "lock-text": lock_text,
    "manifest": manifest,
    "mask": mask,
    "merge": merge_with("numpy"),
    "merge-configuration": merge_configuration,
    "model-root": model_root,
    "operation": operation,
    "pattern": pattern,
    "read-checkpoint": read_checkpoint,
    "read-genesis": read_genesis,
    "read-operation": read_operation,
    "read-safetensors": read_safetensors,
    "random-words": random_words,
    "recipe": recipe,
    "recipe-file": recipe_file,
    "recipe-map": recipe_map,
    "retract": retract,
    "scalar": scalar,
    "shards": shards,
    "square-root": square_root,
    "state": state,
    "key": key,
    "signature": signature,
    "signed-genesis": signed_genesis,
    "read-signed-genesis": read_signed_genesis,
    "sign": sign,
    "read-signed": read_signed,
    "signed-state": signed_state,
    "signed-retract": signed_retract,
    "revoke": revoke,
    "stored-task-vector": task_vector_with("numpy", stored=True),
    "task-vector": task_vector_with("numpy"),
    "tensor-root": tensor_root,
    "tree-hash": tree_hash,
    "trim": trim_with("numpy", threads=1, block=2),
    "verify-lock": verify_lock,
    "write-safetensors": write_safetensors,
    **PEER_CHECKS,
}

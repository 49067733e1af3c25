"""What each `check` of the vectors does with a case's input: README.md has the same table in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

from generator.peer_checks import PEER_CHECKS
from generator.reference import (
    blob_maps,
    canonical,
    checkpoints,
    contributions,
    decimals,
    ed25519,
    forms,
    functions,
    hashes,
    operations,
    packs,
    signed,
)
from generator.reference import lock as locks
from generator.reference.aggregates import aggregate, certificate, combine
from generator.reference.configuration import configuration, recipe_file
from generator.reference.dialect_table import DIALECTS, POINTS
from generator.reference.dialects import Question, results
from generator.reference.masks import WORD, check_seed, keeps, mask_key, philox, word
from generator.reference.patterns import chosen, matches
from generator.reference.recipes import complete, is_full_recipe, read_recipe, recipe_id
from generator.reference.reduction import trim
from generator.reference.refused import Refused
from generator.reference.rounding import F64, value
from generator.reference.safetensors import read_file, write_file
from generator.reference.settings import NUMBERS, numbers_of
from generator.reference.taskvectors import between, of_stored
from generator.reference.tensors import Tensors, name_key, read_bytes, read_tensor, read_tensors, show_tensors

Json = Any


def decimal(x: Json) -> Json:
    return {"canonical": decimals.canonical(x["text"]), "fp32": f"{decimals.fp32(x['text']):08x}"}


def density(x: Json) -> Json:
    decimals.density(x["text"])
    return {"canonical": decimals.canonical(x["text"])}


def coefficient(x: Json) -> Json:
    bits = decimals.coefficient(x["text"], x["method"])
    return {"canonical": decimals.canonical(x["text"]), "fp32": f"{bits:08x}"}


def encode(x: Json) -> Json:
    return {"encoding": canonical.encode(canonical.read_value(x["value"])).hex()}


def encode_long(x: Json) -> Json:
    """A value too long to print: its encoding by head, length and hash."""
    encoding = canonical.encode(canonical.read_value(x["value"]))
    return {
        "head": encoding[:5].hex(),
        "bytes": len(encoding),
        "sha256": hashes.sha256(encoding).hexdigest(),
    }


def decode(x: Json) -> Json:
    return {"value": canonical.show_value(canonical.decode(read_bytes(x["encoding"])))}


def accept_encoding(x: Json) -> Json:
    canonical.decode(read_bytes(x["encoding"]))
    return {}


def identify(x: Json) -> Json:
    return {"id": hashes.H(x["domain"], read_bytes(x["bytes"])).hex()}


def tree_hash(x: Json) -> Json:
    return {"hash": hashes.tree_hash([read_bytes(leaf) for leaf in x["leaves"]]).hex()}


def tensor_root(x: Json) -> Json:
    return {"root": hashes.root_of_bytes(read_bytes(x["bytes"])).hex()}


def model_root(x: Json) -> Json:
    tensors = read_tensors(x["tensors"])
    return {"name_order": sorted(tensors, key=name_key), "root": hashes.model_root(tensors).hex()}


def rooted(tensors: Tensors) -> Json:
    return {"tensors": show_tensors(tensors), "root": hashes.model_root(tensors).hex()}


def read_safetensors(x: Json) -> Json:
    return rooted(read_file(read_bytes(x["file"])))


def write_safetensors(x: Json) -> Json:
    """A name of `utf16` is in hexadecimal, since not every reader of JSON knows lone surrogates."""
    pairs = {bytes.fromhex(name).decode("utf-16-be", "surrogatepass"): t for name, t in x.get("utf16", ())}
    tensors = read_tensors(x.get("tensors", {})) | {name: read_tensor(t) for name, t in pairs.items()}
    return {"file": write_file(tensors).hex()}


def read_checkpoint(x: Json) -> Json:
    return rooted(checkpoints.read_folder({name: read_bytes(file) for name, file in x["files"].items()}))


def shards(x: Json) -> Json:
    return checkpoints.shards([(name, dtype, shape) for name, dtype, shape in x["tensors"]])


def task_vector(x: Json) -> Json:
    taus = between(read_tensors(x["base"]), read_tensors(x["finetuned"]), x.get("take", ()), x.get("leave", ()))
    return {"tau": show_tensors(taus)}


def stored_task_vector(x: Json) -> Json:
    base, stored = read_tensors(x["base"]), read_tensors(x["stored"])
    return {"tau": show_tensors(of_stored(base, stored, x.get("take", ()), x.get("leave", ())))}


def pattern(x: Json) -> Json:
    return {"matches": [name for name in x["names"] if matches(x["pattern"], name)]}


def trimmed(x: Json) -> Json:
    tau, recipe = read_tensors(x["tau"]), read_recipe({"method": "ties"} | x["recipe"])
    tensors, count = trim(tau, dict.fromkeys(tau, recipe))
    return {"kept": count, "trimmed": show_tensors(tensors)}


def by_tensor(x: Json) -> Json:
    """The exact numbers that float tensors of a base have, by key [ST-2, ST-3]."""
    full = complete(x["recipe"])
    own = {key: decimals.parse(full[key]) for key in NUMBERS if key in full} | {"coefficient": decimals.parse("1")}
    found = {name: own | row for name, row in numbers_of(full.get("settings", []), x["names"]).items()}
    return {"numbers": {name: {key: str(n) for key, n in sorted(row.items())} for name, row in found.items()}}


def show_words(words: Iterable[int]) -> list[str]:
    return [f"{one:08x}" for one in words]


def random_words(x: Json) -> Json:
    """The four words of a counter [RM-2]."""
    key, counter = bytes.fromhex(x["key"]), int(x["counter"])
    words = int.from_bytes(key[:4], "big"), int.from_bytes(key[4:], "big")
    return {"words": show_words(philox(words, [counter & WORD, counter >> 32, 0, 0]))}


def mask(x: Json) -> Json:
    """The key of a mask, its words at some positions, and whether it keeps the elements there [RM-1 to RM-3]."""
    key = mask_key(check_seed(x["seed"]), bytes.fromhex(x["root"]), x["tensor"])
    probability = decimals.density(x["density"])
    return {
        "key": "".join(show_words(key)),
        "words": show_words(word(key, position) for position in x["positions"]),
        "kept": [position for position in x["positions"] if keeps(key, position, probability)],
    }


def function(x: Json) -> Json:
    """A function of an array, number by number [EF-1]."""
    found = [functions.of_array(x["function"], int(bits, 16)) for bits in x["arguments"]]
    return {"results": ["nan" if bits is None else f"{bits:08x}" for bits in found]}


def scalar(x: Json) -> Json:
    """A function of finite numbers [EF-4]."""
    rounded = functions.ROUNDED[x["function"]]
    return {"results": [f"{rounded(F64, value(F64, int(bits, 16))):016x}" for bits in x["arguments"]]}


def square_root(x: Json) -> Json:
    """The roots of fractions [EF-4]."""
    ratios = (Fraction(int(numerator), int(denominator)) for numerator, denominator in x["ratios"])
    return {"results": [f"{functions.rounded_sqrt(F64, q):016x}" for q in ratios]}


def merge(x: Json) -> Json:
    """From contributions to the merged model [all of reduction.md]."""
    outcome = contributions.merge_contributions(x)
    result = {
        "tensors": show_tensors(outcome.merged.tensors),
        "kept": outcome.kept,
        "uncertified": outcome.merged.uncertified,
        "model_root": hashes.model_root(outcome.merged.tensors).hex(),
    }
    if x.get("in_memory"):
        return result
    return result | {
        "contributions": [c.id.hex() for c in outcome.contributions],
        "merge_id": outcome.merge_id.hex(),
    }


def recipe(x: Json) -> Json:
    full = complete(x["recipe"])
    return {"recipe": full, "encoding": canonical.encode(full).hex(), "id": recipe_id(full).hex()}


def recipe_map(x: Json) -> Json:
    """The map of a recipe as a genesis has it, of a method that need not be known [RC-12]."""
    if not is_full_recipe(x["recipe"]):
        raise Refused("RecipeError")
    return {"encoding": canonical.encode(x["recipe"]).hex(), "id": recipe_id(x["recipe"]).hex()}


def read_recipe_file(x: Json) -> Json:
    return recipe_file(x["pairs"])


def merge_configuration(x: Json) -> Json:
    return configuration(x["pairs"])


def contribution(x: Json) -> Json:
    """Manifest, id and blob of a contribution; patterns as in CT-8."""
    base = read_tensors(x["base"])
    held = chosen(read_tensors(x["tensors"]), x.get("take", ()), x.get("leave", ()))
    if x["form"] == "finetuned":
        taus = between(base, held, x.get("take", ()), x.get("leave", ()))
        held = {name: t for name, t in held.items() if t.is_float}
    else:
        taus = forms.task_vector_of(base, x["form"], held)
    if not held:
        raise Refused("ContributionError")
    auxiliary = {kind: read_tensors(tensors) for kind, tensors in x.get("auxiliary", {}).items()}
    for kind, tensors in auxiliary.items():
        forms.check_auxiliary(kind, tensors, taus)
    c = decimals.coefficient(x["coefficient"], None)
    found, elements = forms.forms_found(x["form"], held), sum(t.elements for t in taus.values())
    manifest = contributions.manifest_of(hashes.model_root(base), found, c, elements, held, auxiliary)
    encoding = canonical.encode(manifest)
    answer = {
        "manifest": canonical.show_value(manifest),
        "encoding": encoding.hex(),
        "id": contributions.contribution_id(manifest).hex(),
        "blob": write_file(held).hex(),
    }
    more = {kind: write_file(tensors).hex() for kind, tensors in auxiliary.items()}
    return answer | ({"auxiliary": more} if more else {})


def formed(x: Json) -> Json:
    """The task vector of a contribution whose tensors are stored in several forms, or as factors."""
    return {"tau": show_tensors(forms.task_vector_of(read_tensors(x["base"]), "mixed", read_tensors(x["stored"])))}


def manifest(x: Json) -> Json:
    fields = contributions.check_manifest(canonical.read_value(x["manifest"]))
    return {"id": contributions.contribution_id(fields).hex()}


def blob(x: Json) -> Json:
    return {"tensors": show_tensors(contributions.check_blob(bytes.fromhex(x["root"]), read_bytes(x["file"])))}


def genesis(x: Json) -> Json:
    encoding = operations.make_genesis(bytes.fromhex(x["base"]), x["name"], x["recipe"])
    return {"encoding": encoding.hex(), "workspace": operations.workspace_id(encoding).hex()}


def read_genesis(x: Json) -> Json:
    encoding = read_bytes(x["genesis"])
    operations.read_genesis(encoding)
    return {"workspace": operations.workspace_id(encoding).hex()}


def operation(x: Json) -> Json:
    encoding = canonical.encode({"body": canonical.read_value(x["body"])})
    operations.read_operation(bytes.fromhex(x["workspace"]), encoding)
    return {"encoding": encoding.hex(), "id": operations.operation_id(encoding).hex()}


def read_operation(x: Json) -> Json:
    encoding = read_bytes(x["operation"])
    operations.read_operation(bytes.fromhex(x["workspace"]), encoding)
    return {"id": operations.operation_id(encoding).hex()}


def read_state(x: Json) -> operations.State:
    return operations.read_state(bytes.fromhex(x["genesis"]), [bytes.fromhex(op) for op in x["operations"]])


def hexes(ids: Any) -> list[str]:
    return [i.hex() for i in ids]


def state(x: Json) -> Json:
    found = read_state(x)
    return {
        "visible": hexes(operations.visible(found)),
        "merge_id": operations.state_merge_id(found).hex(),
        "contradicted_merge_ids": hexes(operations.contradictions(found)),
        "shared_tensors": hexes(operations.shared_tensors(found)),
    }


def retract(x: Json) -> Json:
    return {"operations": hexes(operations.retract(read_state(x), bytes.fromhex(x["contribution"])))}


def join(x: Json) -> Json:
    """The union of two states of one workspace [OS-7]."""
    left, right = read_state(x["left"]), read_state(x["right"])
    if left.genesis != right.genesis:
        raise Refused("WrongWorkspace")
    union = operations.State(left.genesis, left.operations | right.operations)
    return {"operations": hexes(sorted(union.operations)), "visible": hexes(operations.visible(union))}


def pack(x: Json) -> Json:
    made = packs.make_pack(map(bytes.fromhex, x["operations"]), map(bytes.fromhex, x["replaces"]))
    return {"encoding": made.hex(), "name": packs.pack_name(made).hex()}


def read_pack(x: Json) -> Json:
    ids, replaces = packs.read_pack(bytes.fromhex(x["workspace"]), read_bytes(x["pack"]))
    return {"operations": hexes(ids), "replaces": hexes(replaces)}


def pack_index(x: Json) -> Json:
    names, operations = ([bytes.fromhex(one) for one in x[key]] for key in ("packs", "operations"))
    return {"encoding": packs.make_index(names, operations).hex()}


def read_pack_index(x: Json) -> Json:
    names, operations = packs.read_index(read_bytes(x["index"]))
    return {"packs": hexes(names), "operations": hexes(operations)}


def blob_map(x: Json) -> Json:
    """The map of a blob, from its tensors."""
    rows = [(name, dtype, shape, read_bytes(data)) for name, dtype, shape, data in x["tensors"]]
    made = blob_maps.make_map(rows)
    found = blob_maps.Map([blob_maps.read_row(row) for row in canonical.decode(made)["tensors"]])
    return {"encoding": made.hex(), "root": found.root.hex(), "leaves": found.leaves, "bytes": found.bytes}


def read_blob_map(x: Json) -> Json:
    found = blob_maps.read_map(read_bytes(x["map"]), bytes.fromhex(x["root"]), int(x["elements"]))
    return {"leaves": found.leaves, "bytes": found.bytes}


def merge_packs(x: Json) -> Json:
    """Which packs the next one replaces, and which lie inside a larger one."""
    held = {file["name"]: frozenset(file["operations"]) for file in x["packs"]}
    sizes = {file["name"]: file["bytes"] for file in x["packs"]}
    return {"merge": list(packs.to_merge(held, sizes)), "inside": packs.inside(held)}


def key(x: Json) -> Json:
    data = bytes.fromhex(x["key"])
    return {"sound": True, "fingerprint": signed.fingerprint(data)} if signed.is_key(data) else {"sound": False}


def signature(x: Json) -> Json:
    parts = (bytes.fromhex(x[name]) for name in ("key", "signature", "message"))
    return {"valid": ed25519.verify(*parts)}


def signed_genesis(x: Json) -> Json:
    maintainers = [bytes.fromhex(key) for key in x["maintainers"]]
    encoding = signed.make_genesis(bytes.fromhex(x["base"]), x["name"], x["recipe"], maintainers)
    return {"encoding": encoding.hex(), "workspace": operations.workspace_id(encoding).hex()}


def read_signed_genesis(x: Json) -> Json:
    encoding = read_bytes(x["genesis"])
    found = signed.read_genesis(encoding)
    return {"workspace": operations.workspace_id(encoding).hex(), "maintainers": hexes(found["maintainers"])}


def sign(x: Json) -> Json:
    encoding = signed.sign(bytes.fromhex(x["seed"]), canonical.read_value(x["body"]))
    signed.read_operation(bytes.fromhex(x["workspace"]), encoding)
    return {"encoding": encoding.hex(), "id": operations.operation_id(encoding).hex()}


def read_signed(x: Json) -> Json:
    encoding = read_bytes(x["operation"])
    body = signed.read_operation(bytes.fromhex(x["workspace"]), encoding)
    later = body["version"] > 3 or body["kind"] not in {*signed.OPEN_KINDS, *signed.KINDS}
    return {"id": operations.operation_id(encoding).hex(), "later": later}


def read_signed_state(x: Json) -> operations.State:
    return signed.read_state(bytes.fromhex(x["genesis"]), [read_bytes(op) for op in x["operations"]])


def signed_state(x: Json) -> Json:
    found = read_signed_state(x)
    said = signed.witnesses(found).items()
    return {
        "admissible": hexes(signed.admissible(found)),
        "effective": hexes(signed.effective(found)),
        "visible": hexes(signed.visible(found)),
        "merge_id": signed.state_merge_id(found).hex(),
        "witnesses": {merge.hex(): {root.hex(): n for root, n in by_root.items()} for merge, by_root in said},
    }


def signed_retract(x: Json) -> Json:
    author, contribution = (bytes.fromhex(x[name]) for name in ("author", "contribution"))
    return {"operations": hexes(signed.retract(read_signed_state(x), author, contribution))}


def revoke(x: Json) -> Json:
    grants, kept = signed.revoke(read_signed_state(x), bytes.fromhex(x["key"]))
    return {"grants": hexes(grants), "kept": hexes(kept)}


def lock(x: Json) -> Json:
    return {"lock": locks.make_lock(x)}


def lock_text(x: Json) -> Json:
    """The whole file `merge.lock`."""
    return {"text": locks.text_of(locks.make_lock(x)) + "\n"}


def verify_lock(x: Json) -> Json:
    locks.check_lock(locks.read_lock(x["text"]) if "text" in x else x["lock"])
    return {}


def achieved_density(x: Json) -> Json:
    return {"text": locks.achieved_density(int(x["kept"]), int(x["elements"]))}


def answers(dialects: Mapping[str, Mapping[str, str | None]], x: Json) -> Json:
    """The results that are right in each dialect; those that have the same stand together."""
    question, groups = Question.read(x), []
    for name, options in dialects.items():
        one_of = results(options, question)
        alike = next((group for group in groups if group["one_of"] == one_of), None)
        if alike:
            alike["of"].append(name)
        else:
            groups.append({"of": [name], "one_of": one_of})
    return {"answers": groups}


def dialects(x: Json) -> Json:
    """A merge in several dialects [DI-1]."""
    return answers({name: DIALECTS[name] for name in x["dialects"]}, x)


def options(x: Json) -> Json:
    """A merge in the canonical dialect, but for some points, with each option of one point [DI-2 to DI-17]."""
    elsewhere = DIALECTS["canonical"] | x["elsewhere"]
    return answers({option: elsewhere | {x["point"]: option} for option in POINTS[x["point"]]}, x)


CHECKS: dict[str, Callable[[Json], Json]] = {
    "decimal": decimal,
    "density": density,
    "coefficient": coefficient,
    "encode": encode,
    "encode-long": encode_long,
    "decode": decode,
    "accept-encoding": accept_encoding,
    "id": identify,
    "tree-hash": tree_hash,
    "tensor-root": tensor_root,
    "model-root": model_root,
    "read-safetensors": read_safetensors,
    "write-safetensors": write_safetensors,
    "read-checkpoint": read_checkpoint,
    "shards": shards,
    "task-vector": task_vector,
    "stored-task-vector": stored_task_vector,
    "pattern": pattern,
    "trim": trimmed,
    "by-tensor": by_tensor,
    "random-words": random_words,
    "mask": mask,
    "function": function,
    "scalar": scalar,
    "square-root": square_root,
    "merge": merge,
    "certificate": certificate,
    "aggregate": aggregate,
    "combine": combine,
    "recipe": recipe,
    "recipe-map": recipe_map,
    "recipe-file": read_recipe_file,
    "merge-configuration": merge_configuration,
    "contribution": contribution,
    "formed-task-vector": formed,
    "manifest": manifest,
    "blob": blob,
    "genesis": genesis,
    "read-genesis": read_genesis,
    "operation": operation,
    "read-operation": read_operation,
    "state": state,
    "retract": retract,
    "join": join,
    "pack": pack,
    "read-pack": read_pack,
    "merge-packs": merge_packs,
    "pack-index": pack_index,
    "read-pack-index": read_pack_index,
    "blob-map": blob_map,
    "read-blob-map": read_blob_map,
    "key": key,
    "signature": signature,
    "signed-genesis": signed_genesis,
    "read-signed-genesis": read_signed_genesis,
    "sign": sign,
    "read-signed": read_signed,
    "signed-state": signed_state,
    "signed-retract": signed_retract,
    "revoke": revoke,
    "lock": lock,
    "lock-text": lock_text,
    "verify-lock": verify_lock,
    "achieved-density": achieved_density,
    "dialects": dialects,
    "options": options,
    **PEER_CHECKS,
}

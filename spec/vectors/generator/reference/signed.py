"""Signed workspaces: operations, who may write, and what that makes visible [SG]."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from generator.reference import ed25519
from generator.reference.canonical import decode, encode
from generator.reference.contributions import contribution_id, is_integer, is_root, merge_id
from generator.reference.operations import (
    BODY_KEYS,
    GENESIS_KEYS,
    State,
    ascending_ids,
    check_fields,
    is_control,
    is_name,
    operation_id,
    workspace_id,
)
from generator.reference.recipes import complete, is_full_recipe, recipe_id
from generator.reference.refused import Refused

PREFIX = b"mergealgebra/1/signature\0"
KINDS = {"grant": {"key", "name", "nonce"}, "revoke": {"grants"}, "keep": {"revoke", "operations"}}
OPEN_KINDS = {"add", "remove", "attest"}
Body = dict[str, Any]


def is_key(x: object) -> bool:
    return isinstance(x, bytes) and len(x) == 32 and ed25519.is_key(x)


def fingerprint(key: bytes) -> str:
    """SG-13."""
    wire = b"".join(len(part).to_bytes(4, "big") + part for part in (b"ssh-ed25519", key))
    return "SHA256:" + b64encode(sha256(wire).digest()).decode("ascii").rstrip("=")


def make_genesis(base: bytes, name: str, recipe: Mapping[str, str], maintainers: list[bytes]) -> bytes:
    """The encoding of a signed genesis, and the genesis is refused as a reader would [SG-3]."""
    genesis = {"base": base, "maintainers": maintainers, "name": name, "policy": "signed", "recipe": complete(recipe)}
    encoding = encode({**genesis, "spec": 1})
    read_genesis(encoding)
    return encoding


def read_genesis(encoding: bytes) -> Body:
    genesis = decode(encoding)
    if not isinstance(genesis, dict) or set(genesis) != GENESIS_KEYS | {"maintainers"}:
        raise Refused("GenesisError")
    keys = genesis["maintainers"]
    ok = (
        genesis["policy"] == "signed"
        and is_root(genesis["base"])
        and is_name(genesis["name"])
        and is_full_recipe(genesis["recipe"])
        and is_integer(genesis["spec"])
        and genesis["spec"] == 1
        and isinstance(keys, list)
        and 1 <= len(keys) <= 256
        and all(map(is_key, keys))
        and keys == sorted(set(keys))
    )
    if not ok:
        raise Refused("GenesisError")
    return dict(genesis)


def message(body: Body) -> bytes:
    return PREFIX + encode(body)


def sign(seed: bytes, body: Body) -> bytes:
    """The bytes of the operation with this body, signed [SG-2]."""
    return encode({"body": body, "signature": ed25519.sign(seed, message(body))})


def is_label(x: object, most: int) -> bool:
    return isinstance(x, str) and 1 <= len(x.encode("utf-8")) <= most and not any(map(is_control, x))


def check_kind(body: Body) -> None:
    """The kinds of this version [SG-5]."""
    kind, fields = body["kind"], body["fields"]
    if kind in OPEN_KINDS:
        check_fields(kind, fields)
        return
    if not isinstance(fields, dict) or (kind in KINDS and set(fields) != KINDS[kind]):
        raise Refused("OperationError")
    ok = is_label(kind, 64)
    if kind == "grant":
        nonce = fields["nonce"]
        ok = is_key(fields["key"]) and is_label(fields["name"], 256) and isinstance(nonce, bytes) and len(nonce) == 16
    elif kind == "revoke":
        ok = ascending_ids(fields["grants"])
    elif kind == "keep":
        ok = is_root(fields["revoke"]) and ascending_ids(fields["operations"])
    if not ok:
        raise Refused("OperationError")


def check_body(body: Any) -> None:
    """SG-4 and SG-6."""
    envelope = {"version", "workspace", "kind", "author"}
    if not isinstance(body, dict) or not envelope <= set(body) or not is_integer(body["version"]):
        raise Refused("OperationError")
    ok = is_root(body["workspace"]) and isinstance(body["kind"], str) and is_key(body["author"])
    ok = ok and ("grant" not in body or is_root(body["grant"])) and 3 <= body["version"] < 2**31
    if not ok:
        raise Refused("OperationError")
    if body["version"] > 3:
        ok = is_label(body["kind"], 64)
    else:
        allowed = BODY_KEYS | {"author", "grant", "time", "note", "name"}
        if not BODY_KEYS <= set(body) <= allowed:
            raise Refused("OperationError")
        check_kind(body)
        time, note = body.get("time", 0), body.get("note", "-")
        ok = is_integer(time) and 0 <= time < 2**53 and isinstance(note, str) and 1 <= len(note.encode("utf-8")) <= 4096
        ok = ok and is_label(body.get("name", "-"), 256)
    if not ok:
        raise Refused("OperationError")


def read_operation(workspace: bytes, encoding: bytes) -> Body:
    """The body of an operation that may enter the set of a signed workspace [SG-7]."""
    operation = decode(encoding)
    if not isinstance(operation, dict) or set(operation) != {"body", "signature"}:
        raise Refused("OperationError")
    body, signature = operation["body"], operation["signature"]
    check_body(body)
    if body["workspace"] != workspace:
        raise Refused("WrongWorkspace")
    if not isinstance(signature, bytes) or not ed25519.verify(body["author"], signature, message(body)):
        raise Refused("OperationError")
    return dict(body)


def read_state(genesis: bytes, encodings: Iterable[bytes]) -> State:
    read_genesis(genesis)
    workspace = workspace_id(genesis)
    return State(genesis, {operation_id(x): read_operation(workspace, x) for x in encodings})


def is_maintainer(state: State, key: bytes) -> bool:
    return key in decode(state.genesis)["maintainers"]


def of_maintainers(state: State, kind: str) -> dict[bytes, Body]:
    """The fields of what maintainers said, of one kind."""
    return {
        i: body["fields"]
        for i, body in state.operations.items()
        if body["version"] == 3 and body["kind"] == kind and is_maintainer(state, body["author"])
    }


def is_admissible(state: State, i: bytes) -> bool:
    """SG-8, word by word."""
    body = state.operations[i]
    if is_maintainer(state, body["author"]):
        return True
    grant = of_maintainers(state, "grant").get(body.get("grant", b""))
    if grant is None or grant["key"] != body["author"]:
        return False
    keeps = of_maintainers(state, "keep").values()
    revokes = [r for r, fields in of_maintainers(state, "revoke").items() if body["grant"] in fields["grants"]]
    return all(any(k["revoke"] == r and i in k["operations"] for k in keeps) for r in revokes)


def is_effective(state: State, i: bytes) -> bool:
    body = state.operations[i]
    if body["version"] > 3 or body["kind"] not in OPEN_KINDS | set(KINDS):
        return False
    if body["kind"] == "add" and body["fields"]["manifest"]["base"] != state.base:
        return False
    if body["kind"] in KINDS and not is_maintainer(state, body["author"]):
        return False
    return is_admissible(state, i)


def admissible(state: State) -> list[bytes]:
    return sorted(i for i in state.operations if is_admissible(state, i))


def effective(state: State) -> dict[bytes, Body]:
    return {i: state.operations[i] for i in sorted(state.operations) if is_effective(state, i)}


def takes_effect(state: State, author: bytes, add: Body) -> bool:
    """Whether a remove of an author takes effect on an add [SG-9]."""
    return author == add["author"] or is_maintainer(state, author)


def standing(state: State) -> dict[bytes, Body]:
    """The effective adds on which no effective remove takes effect."""
    counted = effective(state)
    removes = [body for body in counted.values() if body["kind"] == "remove"]
    return {
        i: body
        for i, body in counted.items()
        if body["kind"] == "add"
        and not any(i in r["fields"]["operations"] and takes_effect(state, r["author"], body) for r in removes)
    }


def visible(state: State) -> list[bytes]:
    return sorted({contribution_id(body["fields"]["manifest"]) for body in standing(state).values()})


def state_merge_id(state: State) -> bytes:
    return merge_id(state.base, recipe_id(decode(state.genesis)["recipe"]), visible(state))


def retract(state: State, author: bytes, contribution: bytes) -> list[bytes]:
    """What a retraction by somebody names [SG-9]."""
    adds = {i: x for i, x in standing(state).items() if contribution_id(x["fields"]["manifest"]) == contribution}
    named = sorted(i for i, body in adds.items() if takes_effect(state, author, body))
    if not named:
        raise Refused("NothingToRetract" if not adds else "NotAllowed")
    return named


def revoke(state: State, key: bytes) -> tuple[list[bytes], list[bytes]]:
    """The grants that a revocation of a key names, and the operations that its keeps name [SG-11]."""
    grants = sorted(i for i, fields in of_maintainers(state, "grant").items() if fields["key"] == key)
    if not grants or is_maintainer(state, key):
        raise Refused("NotAllowed")
    kept = {i for i, body in state.operations.items() if body["author"] == key}
    for r, fields in of_maintainers(state, "revoke").items():
        if set(fields["grants"]) & set(grants):
            kept |= {i for k in of_maintainers(state, "keep").values() if k["revoke"] == r for i in k["operations"]}
    return grants, sorted(kept)


def witnesses(state: State) -> dict[bytes, dict[bytes, int]]:
    """By merge id and model root, how many keys attest it, without those that attest two [SG-12]."""
    said: dict[bytes, dict[bytes, set[bytes]]] = {}
    for body in effective(state).values():
        if body["kind"] == "attest":
            by_key = said.setdefault(body["fields"]["merge_id"], {})
            by_key.setdefault(body["author"], set()).add(body["fields"]["model_root"])
    found: dict[bytes, dict[bytes, int]] = {}
    for merge, by_key in said.items():
        roots = [next(iter(roots)) for roots in by_key.values() if len(roots) == 1]
        found[merge] = {root: roots.count(root) for root in sorted(set(roots))}
    return dict(sorted(found.items()))

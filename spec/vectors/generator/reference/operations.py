"""Genesis, operations, and what a set of them makes visible [OS]."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from generator.reference.canonical import decode, encode
from generator.reference.contributions import (
    check_manifest,
    contribution_id,
    is_integer,
    is_root,
    merge_id,
)
from generator.reference.hashes import H
from generator.reference.recipes import complete, is_full_recipe, recipe_id
from generator.reference.refused import Refused

GENESIS_KEYS = {"base", "name", "policy", "recipe", "spec"}
BODY_KEYS = {"version", "workspace", "kind", "fields"}
OPTIONAL_KEYS = {"author", "time", "note", "name"}


def make_genesis(base: bytes, name: str, recipe: Mapping[str, str]) -> bytes:
    """The encoding of a genesis [OS-1]."""
    genesis = {"base": base, "name": name, "policy": "open", "recipe": complete(recipe), "spec": 1}
    encoding = encode(genesis)
    read_genesis(encoding)
    return encoding


def is_control(c: str) -> bool:
    """Unicode category Cc."""
    return c < " " or "\x7f" <= c <= "\x9f"


def is_name(x: object) -> bool:
    return isinstance(x, str) and len(x.encode("utf-8")) <= 256 and not any(map(is_control, x))


def read_genesis(encoding: bytes) -> dict[str, Any]:
    genesis = decode(encoding)
    ok = (
        isinstance(genesis, dict)
        and set(genesis) == GENESIS_KEYS
        and is_root(genesis["base"])
        and is_name(genesis["name"])
        and genesis["policy"] == "open"
        and is_full_recipe(genesis["recipe"])
        and is_integer(genesis["spec"])
        and genesis["spec"] == 1
    )
    if not ok:
        raise Refused("GenesisError")
    return dict(genesis)


def workspace_id(genesis: bytes) -> bytes:
    return H("genesis", genesis)


def operation_id(operation: bytes) -> bytes:
    return H("operation", operation)


def ascending_ids(x: object) -> bool:
    return isinstance(x, list) and len(x) > 0 and all(map(is_root, x)) and sorted(set(x)) == x


def check_fields(kind: Any, fields: Any) -> None:
    """Kinds and their fields [OS-4]."""
    keys = {"add": {"manifest", "nonce"}, "remove": {"operations"}, "attest": {"merge_id", "model_root"}}
    if not isinstance(kind, str) or kind not in keys:
        raise Refused("OperationError")
    if not isinstance(fields, dict) or set(fields) != keys[kind]:
        raise Refused("OperationError")
    if kind == "add":
        try:
            check_manifest(fields["manifest"])
        except Refused:
            raise Refused("OperationError") from None
        ok = isinstance(fields["nonce"], bytes) and len(fields["nonce"]) == 16
    elif kind == "remove":
        ok = ascending_ids(fields["operations"])
    else:
        ok = is_root(fields["merge_id"]) and is_root(fields["model_root"])
    if not ok:
        raise Refused("OperationError")


def check_body(body: Any) -> None:
    """OS-3."""
    if not isinstance(body, dict) or not BODY_KEYS <= set(body) <= BODY_KEYS | OPTIONAL_KEYS:
        raise Refused("OperationError")
    note, time, name = body.get("note", "-"), body.get("time", 0), body.get("name", "-")
    ok = (
        is_integer(body["version"])
        and body["version"] == (2 if "name" in body else 1)
        and is_root(body["workspace"])
        and is_integer(time)
        and 0 <= time < 2**53
        and isinstance(note, str)
        and 1 <= len(note.encode("utf-8")) <= 4096
        and is_name(name)
        and name != ""
    )
    if not ok:
        raise Refused("OperationError")
    check_fields(body["kind"], body["fields"])


def read_operation(workspace: bytes, encoding: bytes) -> dict[str, Any]:
    """The body of an operation that may enter the set of a workspace [OS-2 to OS-6]."""
    operation = decode(encoding)
    # An author would need a signature, and is refused; so nothing but {"body": ...} is left [OS-5].
    if not isinstance(operation, dict) or set(operation) != {"body"}:
        raise Refused("OperationError")
    body = operation["body"]
    check_body(body)
    if "author" in body:
        raise Refused("OperationError")
    if body["workspace"] != workspace:
        raise Refused("WrongWorkspace")
    return dict(body)


@dataclass(frozen=True)
class State:
    """A genesis and the operations of its set, bodies by id [OS-7]."""

    genesis: bytes
    operations: dict[bytes, dict[str, Any]]

    @property
    def base(self) -> bytes:
        return bytes(decode(self.genesis)["base"])


def read_state(genesis: bytes, encodings: Iterable[bytes]) -> State:
    read_genesis(genesis)
    workspace = workspace_id(genesis)
    return State(genesis, {operation_id(x): read_operation(workspace, x) for x in encodings})


def removed(state: State) -> set[bytes]:
    """The ids that removes name, whether or not the state holds them."""
    removes = [body["fields"] for body in state.operations.values() if body["kind"] == "remove"]
    return {target for fields in removes for target in fields["operations"]}


def effective_adds(state: State) -> dict[bytes, dict[str, Any]]:
    """The manifests of the effective adds, by operation id [OS-8]."""
    adds = {i: body["fields"]["manifest"] for i, body in state.operations.items() if body["kind"] == "add"}
    return {i: manifest for i, manifest in adds.items() if manifest["base"] == state.base}


def visible(state: State) -> dict[bytes, dict[str, Any]]:
    """The visible contributions, manifest by contribution id, ascending [OS-9]."""
    gone = removed(state)
    shown = {contribution_id(m): m for i, m in effective_adds(state).items() if i not in gone}
    return dict(sorted(shown.items()))


def retract(state: State, contribution: bytes) -> list[bytes]:
    """What `retract` names: every effective add of the contribution that no remove names yet, one at least [OS-10]."""
    gone = removed(state)
    adds = effective_adds(state).items()
    standing = sorted(i for i, m in adds if contribution_id(m) == contribution and i not in gone)
    if not standing:
        raise Refused("NothingToRetract")
    return standing


def contradictions(state: State) -> list[bytes]:
    """The merge ids that two attests give different model roots [OS-12]."""
    roots: dict[bytes, set[bytes]] = {}
    for body in state.operations.values():
        if body["kind"] == "attest":
            roots.setdefault(body["fields"]["merge_id"], set()).add(body["fields"]["model_root"])
    return sorted(merge for merge, found in roots.items() if len(found) > 1)


def shared_tensors(state: State) -> list[bytes]:
    """The tensors roots visible in two contributions [OS-13]."""
    roots = [manifest["tensors"] for manifest in visible(state).values()]
    return sorted({root for root in roots if roots.count(root) > 1})


def state_merge_id(state: State) -> bytes:
    """OS-11."""
    recipe = decode(state.genesis)["recipe"]
    return merge_id(state.base, recipe_id(recipe), list(visible(state)))

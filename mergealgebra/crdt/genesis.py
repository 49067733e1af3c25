"""What a workspace is: its base, recipe and name, which never change; and the id of a merge.

A genesis holds no nonce, time or path: equal arguments give one workspace on every machine [OS-1].
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from mergealgebra.crdt.fields import check_id, check_name, id_from_bytes, map_with_keys
from mergealgebra.encoding import decode, encode, hash_id
from mergealgebra.errors import WorkspaceError
from mergealgebra.text import shown

SPEC: Final = 1
#: Who may write: in an open workspace everyone who can reach it [OS-8].
POLICIES: Final = ("open",)

_KEYS: Final = frozenset({"base", "name", "policy", "recipe", "spec"})
_NAME_BYTES: Final = range(257)


@dataclass(frozen=True)
class Genesis:
    """The fixed part of a workspace [OS-1].

    base: root of the base model. name: at most 256 bytes, no control characters. recipe: the map of RC-4, kept
    read-only; here it is only strings, and lists of maps of them, recipe.py knows what they mean. policy: one of
    POLICIES.
    Raises WorkspaceError.

    >>> genesis = Genesis("ab" * 32, "team", {"method": "mean", "lambda": "1"})
    >>> genesis.workspace_id[:12], Genesis.decode(genesis.encode()) == genesis
    ('3f458ccd1462', True)
    """

    base: str
    name: str
    recipe: Mapping[str, Any] = field(hash=False)
    policy: str = "open"

    def __post_init__(self) -> None:
        check_id(self.base, "the genesis' base", WorkspaceError)
        check_name(self.name, _NAME_BYTES, "the workspace's name", WorkspaceError)
        if self.policy not in POLICIES:
            raise WorkspaceError(f"the genesis' policy is {shown(self.policy)}, not {' or '.join(POLICIES)}")
        object.__setattr__(self, "recipe", _read_only_strings(self.recipe))

    @cached_property
    def workspace_id(self) -> str:
        """The hash of the genesis [OS-1]."""
        return hash_id("genesis", self.encode())

    @cached_property
    def recipe_id(self) -> str:
        """The hash of the recipe's map [RC-5]."""
        return hash_id("recipe", encode(dict(self.recipe)))

    def encode(self) -> bytes:
        """The canonical bytes of the genesis [OS-1]."""
        return encode(
            {
                "base": bytes.fromhex(self.base),
                "name": self.name,
                "policy": self.policy,
                "recipe": dict(self.recipe),
                "spec": SPEC,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Genesis:
        """Decode a genesis from its canonical bytes [OS-1].

        Raises EncodingError for bytes that are not canonical, WorkspaceError for any other fault.
        """
        fields: dict[str, Any] = map_with_keys(decode(data), _KEYS, "the genesis", WorkspaceError)
        if type(fields["spec"]) is not int or fields["spec"] != SPEC:
            raise WorkspaceError(f"the genesis names spec {shown(fields['spec'])}, this version knows {SPEC}")
        return cls(
            base=id_from_bytes(fields["base"], "the genesis' base", WorkspaceError),
            name=fields["name"],
            recipe=fields["recipe"],
            policy=fields["policy"],
        )


def merge_id(base: str, recipe_id: str, contributions: Iterable[str]) -> str:
    """The id of what a base, a recipe and a set of contributions merge to [MG-10].

    Replicas compare it before they move a tensor. The ids may come in any order, each once.
    """
    merge = {
        "base": bytes.fromhex(base),
        "contributions": [bytes.fromhex(contribution) for contribution in sorted(contributions)],
        "recipe": bytes.fromhex(recipe_id),
        "spec": SPEC,
    }
    return hash_id("merge", encode(merge))


def _read_only_strings(recipe: object) -> Mapping[str, Any]:
    """A recipe's map: a string under every key, and under `settings` a list of maps of those, or of lists [ST-1]."""
    if not isinstance(recipe, Mapping):
        raise WorkspaceError(f"the genesis' recipe is {shown(recipe)}, not a map")
    found: dict[str, Any] = {}
    for key, value in recipe.items():
        if key == "settings" and isinstance(value, list | tuple):
            found[key] = [_entry(entry) for entry in value]
        elif isinstance(key, str) and isinstance(value, str):
            found[key] = value
        else:
            raise WorkspaceError(f"the recipe's entry {shown(key)}: {shown(value)} is not a string to a string")
    return MappingProxyType(found)


def _entry(entry: object) -> dict[str, str | list[str]]:
    """One of a recipe's settings, copied."""
    if not isinstance(entry, Mapping) or not all(
        isinstance(key, str) and all(isinstance(text, str) for text in (value if isinstance(value, list) else [value]))
        for key, value in entry.items()
    ):
        raise WorkspaceError(f"the recipe's settings have {shown(entry)}, not a map of strings and lists of strings")
    return {key: list(value) if isinstance(value, list) else value for key, value in entry.items()}

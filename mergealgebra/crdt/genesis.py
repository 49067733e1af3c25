"""What a workspace is: its base, recipe and name, which never change; and the id of a merge.

A genesis holds no nonce, time or path: equal arguments give one workspace on every machine [OS-1].
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from mergealgebra.crdt.fields import check_id, check_key, check_name, id_from_bytes, map_with_keys
from mergealgebra.encoding import decode, encode, hash_id
from mergealgebra.errors import EncodingError, WorkspaceError
from mergealgebra.text import shown

SPEC: Final = 1
#: Who may write: everyone who can reach it [OS-8], or whom its maintainers let [SG-8].
OPEN: Final = "open"
SIGNED: Final = "signed"
#: How many maintainers a signed workspace can have [SG-3].
MAINTAINERS: Final = range(1, 257)

_KEYS: Final = frozenset({"base", "name", "policy", "recipe", "spec"})
_NAME_BYTES: Final = range(257)


@dataclass(frozen=True)
class Genesis:
    """The fixed part of a workspace [OS-1, SG-3].

    base: root of the base model. name: at most 256 bytes, no control characters. recipe: the map of RC-4, kept
    read-only; here it is only strings, and lists of maps of them, recipe.py knows what they mean. maintainers: keys,
    in hexadecimal digits, ascending, each once; none in an open workspace.
    Raises WorkspaceError.

    >>> genesis = Genesis("ab" * 32, "team", {"method": "mean", "lambda": "1"})
    >>> genesis.workspace_id[:12], Genesis.decode(genesis.encode()) == genesis
    ('3f458ccd1462', True)
    """

    base: str
    name: str
    recipe: Mapping[str, Any] = field(hash=False)
    maintainers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_id(self.base, "the genesis' base", WorkspaceError)
        check_name(self.name, _NAME_BYTES, "the workspace's name", WorkspaceError)
        _check_maintainers(self.maintainers)
        object.__setattr__(self, "recipe", _read_only_strings(self.recipe))

    @property
    def is_signed(self) -> bool:
        """Whether maintainers say who may write [SG-8]."""
        return bool(self.maintainers)

    @property
    def policy(self) -> str:
        """OPEN or SIGNED."""
        return SIGNED if self.is_signed else OPEN

    @cached_property
    def workspace_id(self) -> str:
        """The hash of the genesis [OS-1]."""
        return hash_id("genesis", self.encode())

    @cached_property
    def recipe_id(self) -> str:
        """The hash of the recipe's map [RC-5]."""
        return hash_id("recipe", encode(dict(self.recipe)))

    def encode(self) -> bytes:
        """The canonical bytes of the genesis [OS-1, SG-3]."""
        fields: dict[str, object] = {
            "base": bytes.fromhex(self.base),
            "name": self.name,
            "policy": self.policy,
            "recipe": dict(self.recipe),
            "spec": SPEC,
        }
        if self.is_signed:
            fields["maintainers"] = [bytes.fromhex(key) for key in self.maintainers]
        return encode(fields)

    @classmethod
    def decode(cls, data: bytes) -> Genesis:
        """Decode a genesis from its canonical bytes [OS-1, SG-3].

        Raises EncodingError for bytes that are not canonical, WorkspaceError for any other fault.
        """
        optional = {"maintainers"}
        fields: dict[str, Any] = map_with_keys(decode(data), _KEYS, "the genesis", WorkspaceError, optional=optional)
        if type(fields["spec"]) is not int or fields["spec"] != SPEC:
            raise WorkspaceError(f"the genesis names spec {shown(fields['spec'])}, this version knows {SPEC}")
        return cls(
            base=id_from_bytes(fields["base"], "the genesis' base", WorkspaceError),
            name=fields["name"],
            recipe=fields["recipe"],
            maintainers=_maintainers(fields),
        )


def is_damaged(data: bytes) -> bool:
    """Whether bytes are no genesis, of this version nor, as they name its spec, of another."""
    try:
        found = decode(data)
        Genesis.decode(data)
    except EncodingError:
        return True
    except WorkspaceError:
        spec = found.get("spec") if isinstance(found, dict) else None
        return type(spec) is not int or spec == SPEC
    return False


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


def _check_maintainers(keys: tuple[str, ...]) -> None:
    """Refuse what are not keys, ascending, each once, and too many [SG-3]."""
    for key in keys:
        check_key(key, "a maintainer", WorkspaceError)
    if list(keys) != sorted(set(keys)):
        raise WorkspaceError("the genesis' maintainers are not in ascending order, each once")
    if keys and len(keys) not in MAINTAINERS:
        raise WorkspaceError(f"the genesis has {len(keys)} maintainers, not 1 to {MAINTAINERS.stop - 1}")


def _maintainers(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The maintainers that a genesis names, of the policy that it has; none in an open workspace."""
    if fields["policy"] not in (OPEN, SIGNED):
        raise WorkspaceError(f"the genesis' policy is {shown(fields['policy'])}, not {OPEN} or {SIGNED}")
    if (fields["policy"] == SIGNED) != ("maintainers" in fields):
        has = "has" if "maintainers" in fields else "lacks"
        raise WorkspaceError(f"the genesis {has} maintainers, and its policy is {fields['policy']}")
    keys = fields.get("maintainers", [])
    if not isinstance(keys, list) or ("maintainers" in fields and not keys):
        raise WorkspaceError(f"the genesis' maintainers are {shown(keys)}, not an array of keys")
    return tuple(id_from_bytes(key, "a maintainer", WorkspaceError) for key in keys)


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

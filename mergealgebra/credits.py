"""What people call the models that are merged, and who made them: for the model card, and for no id or root [LK-8]."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mergealgebra.crdt.operations import Add, Operation, Remove

#: A model's name on the Hugging Face hub: its owner, a slash, its own name.
_HUB_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


@dataclass(frozen=True)
class Credit:
    """What is known of a model; what is not known is empty. Its words are those of strangers.

    author: who contributed it. time: when, in seconds since 1970. remarks: what was left out of it, or taken for
    another. hub: what it is called on the Hugging Face hub. license: what its card says of it, by key. stacked: the
    models whose layers it has, where they are several.
    """

    title: str = ""
    author: str = ""
    time: int | None = None
    remarks: tuple[str, ...] = ()
    hub: str = ""
    license: tuple[tuple[str, str], ...] = ()
    stacked: tuple[Credit, ...] = ()

    @property
    def parents(self) -> tuple[Credit, ...]:
        """The models that it is made of: itself, where it is no stack."""
        return self.stacked or (self,)


UNKNOWN: Final = Credit()


def credits_of(
    operations: Iterable[Operation], maker: Callable[[Operation], str | None] = lambda operation: operation.name
) -> dict[str, Credit]:
    """What the adds of each contribution say of it, by its id: the same for all who hold these operations.

    maker: who made an operation.

    Of several adds the one counts that was not taken back, has a note, is the oldest, and has the least id.
    """
    operations = list(operations)
    taken_back = {name for item in operations if isinstance(item.payload, Remove) for name in item.payload.operations}

    def order(add: Operation) -> tuple[bool, bool, float, str]:
        return add.id in taken_back, not add.note, math.inf if add.time is None else add.time, add.id

    adds = {item: item.payload.manifest.id for item in operations if isinstance(item.payload, Add)}
    found: dict[str, Credit] = {}
    for add in sorted(adds, key=order):
        found.setdefault(adds[add], Credit(_first_line(add.note or ""), maker(add) or "", add.time))
    return found


def titles(paths: Sequence[Path]) -> list[str]:
    """What to call checkpoints by their paths: the last part, or as many as tell one from the others.

    >>> titles([Path("/models/math"), Path("/models/code")])
    ['math', 'code']
    >>> titles([Path("alice/checkpoint-9"), Path("bob/checkpoint-9"), Path("models--a--b/snapshots/0f3c")])
    ['alice/checkpoint-9', 'bob/checkpoint-9', 'a/b']
    """
    parts = [_telling_parts(path) for path in paths]
    return ["/".join(own[-_parts_needed(own, set(parts)) :]) for own in parts]


def hub_name(path: Path) -> str:
    """The name on the Hugging Face hub of a checkpoint in its cache; empty for any other.

    >>> hub_name(Path("/cache/models--meta-llama--Llama-3.2-1B/snapshots/4e20de"))
    'meta-llama/Llama-3.2-1B'
    """
    for folder, inside in zip(path.parts, path.parts[1:], strict=False):
        if folder.startswith("models--") and inside == "snapshots":
            name = folder.removeprefix("models--").replace("--", "/", 1)
            return name if is_hub_name(name) else ""
    return ""


def is_hub_name(text: str) -> bool:
    """Whether a text has the form of a name on the hub; a relative path of two parts may have it too."""
    return _HUB_NAME.fullmatch(text) is not None


def _telling_parts(path: Path) -> tuple[str, ...]:
    """The parts of a path that tell something: not the name that all models' files have."""
    if name := hub_name(path):
        return (name,)
    absolute = path.absolute()
    telling = absolute.parent if absolute.name == "model.safetensors" else absolute
    return tuple(part for part in telling.parts if part not in (telling.anchor, "..")) or (path.name,)


def _parts_needed(own: tuple[str, ...], all_: Iterable[tuple[str, ...]]) -> int:
    for count in range(1, len(own)):
        if not any(other != own and other[-count:] == own[-count:] for other in all_):
            return count
    return len(own)


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")

"""What stands beside a merged model and is not the base's: other files, and other values in its configuration [LK-10].

No root and no lock covers it, as none covers what is copied [LK-1]: the tensors alone are the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mergealgebra.credits import Credit
from mergealgebra.errors import CheckpointError, OutputError
from mergealgebra.model_folder.licenses import agreed
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.companions import MOST_BYTES, Companion, companions, is_companion, left_out, not_beside
from mergealgebra.text import listed, location, printable, shown

CONFIG: Final = "config.json"
#: What mergekit calls its configuration in the folder of a merged model.
MERGEKIT_CONFIG: Final = "mergekit_config.yml"
_MAX_CONFIG: Final = 16 << 20


@dataclass(frozen=True)
class Additions:
    """What to write beside the weights.

    config: values in the base's `config.json`; the key `text_config.vocab_size` is that of the inner object. files: by
    name, in place of the base's of that name. leave: names of the base's files that are not copied.
    """

    config: Mapping[str, object] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    leave: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name in self.files:
            if "/" in name or "\0" in name or not is_companion(name) or name == CONFIG:
                raise OutputError(f"{shown(name)} cannot be the name of a file beside a merged model; use another")
        if (total := sum(map(len, self.files.values()))) > MOST_BYTES:
            raise OutputError(f"{total:,} bytes are too many beside a merged model; {MOST_BYTES:,} is the limit")

    def __bool__(self) -> bool:
        return bool(self.config or self.files or self.leave)

    def __or__(self, other: Additions) -> Additions:
        """Both; where they differ, the other's."""
        return Additions(
            {**self.config, **other.config}, {**self.files, **other.files}, (self.leave - {*other.files}) | other.leave
        )


NOTHING: Final = Additions()


#: What configurations call dtypes, under these keys, in the configuration or in one inside it.
_DTYPES: Final = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16"}
_DTYPE_KEYS: Final = ("torch_dtype", "dtype")


def of_dtype(base: Checkpoint, out: str) -> Additions:
    """What a configuration says of a model of another dtype, wherever the base's says one [RC-15]."""
    if not out:
        return NOTHING
    config = next((copy for copy in companions(base) if copy.name == CONFIG), None)
    entries = {} if config is None else _entries(config)
    inner = [(f"{key}.", value) for key, value in entries.items() if isinstance(value, dict)]
    found = {
        f"{prefix}{key}": _DTYPES[out]
        for prefix, where in [("", entries), *inner]
        for key in _DTYPE_KEYS
        if isinstance(where.get(key), str)
    }
    return Additions(found)


@dataclass(frozen=True)
class Beside:
    """The files beside the tensors: those to copy, and those to write; a line for what cannot be."""

    copies: Sequence[Companion]
    files: Mapping[str, bytes]
    remarks: Sequence[str] = ()


def beside(base: Checkpoint, additions: Additions, parents: Sequence[Credit], *, single: bool) -> Beside:
    """What stands beside a model of this base. parents: what is known of the models. single: it is one file.

    Raises CheckpointError.
    """
    if single:
        return Beside([], {}, [*not_beside(base), *_not_written(base, additions)])
    copies, files, remarks = companions(base), dict(additions.files), left_out(base)
    remarks += agreed(base, parents).remarks
    if additions.config:
        config = next((copy for copy in copies if copy.name == CONFIG), None)
        if config is None:
            told = ", ".join(f"{key} is now {json.dumps(value)}" for key, value in sorted(additions.config.items()))
            remarks.append(f"the base has no config.json to say so in: {printable(told)}; load the model with that")
        else:
            files[CONFIG] = _changed(config, additions.config)
    left = files.keys() | additions.leave
    return Beside([copy for copy in copies if copy.name not in left], files, remarks)


def _not_written(base: Checkpoint, additions: Additions) -> list[str]:
    """What a merge to one file says of additions: one line, or none [LK-9].

    The base's configuration alone needs none: that it is not there is told of the base's files.
    """
    if not additions or (not additions.files and base.folder is not None and (base.folder / CONFIG).exists()):
        return []
    what = sorted({*additions.files, *([CONFIG] if additions.config else [])})
    return [f"not written, as one file holds the tensors alone: {listed(map(printable, what))}; name a folder for them"]


def _entries(config: Companion) -> dict[str, Any]:
    """A configuration. Raises CheckpointError."""
    with config.opened() as descriptor:
        data = b"".join(config.pieces(descriptor, _MAX_CONFIG))
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{location(config.path)} is not JSON that can be changed: {error}; repair it") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{location(config.path)} is not a JSON object; get it again")
    return found


def _changed(config: Companion, values: Mapping[str, object]) -> bytes:
    """A configuration with other values, in the order of its keys. Raises CheckpointError."""
    found = _entries(config)
    for key, value in values.items():
        *outer, last = key.split(".")
        inner: dict[str, Any] = found
        for step in outer:
            inner = inner.get(step)  # type: ignore[assignment]
            if not isinstance(inner, dict):
                raise CheckpointError(f"{location(config.path)} has no object {shown(step)}; get it again")
        inner[last] = value
    return (json.dumps(found, indent=2, ensure_ascii=False) + "\n").encode(errors="backslashreplace")

"""The card of a merged model: what was merged, how, and how to check it [LK-1]."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mergealgebra.algebra.decimals import from_hex
from mergealgebra.disk import read_file
from mergealgebra.lock import LOCK, Lock
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.strict_json import LaxReader
from mergealgebra.text import printable_lines

#: The longest that are known have some hundred thousand bytes, and nest ten deep.
_MAX_CONFIG_BYTES: Final = 16 << 20
_MAX_CONFIG_DEPTH: Final = 100


def model_card(lock: Lock, base: Checkpoint) -> bytes:
    """A short README.md: what was merged, how, and how to check it.

    The same for all who merged the same, but for one line: a base that is a folder of transformers' makes it say so.
    """
    recipe = ", ".join(f"{key} {value}" for key, value in lock.recipe.items() if key != "method")
    rows = "\n".join(
        f"| `{c.id[:16]}` | {c.form} | {from_hex(c.coefficient):.9g} | {c.elements:,} | {c.kept:,} |"
        for c in lock.contributions
    )
    library = "library_name: transformers\n" if base.folder and _is_transformers(base.folder) else ""
    card = f"""---
base_model_relation: merge
{library}tags:
- merge
- mergealgebra
---
# A merged model

Made with mergealgebra: method `{lock.recipe["method"]}` ({recipe}), {len(lock.contributions)} contributions,
achieved density {lock.achieved_density}. Whoever holds the same contributions gets the same bits.

| contribution | form | coefficient | elements | kept |
|---|---|---|---|---|
{rows}

- base: `{lock.base}`
- merge id: `{lock.merge_id}`
- model root: `{lock.model_root}`

`mergealgebra verify .` checks the tensors against `{LOCK}`.
"""
    return printable_lines(card).encode()


def _is_transformers(folder: Path) -> bool:
    """Whether the folder has a configuration with a key that all of transformers' have; the rest is stepped over."""
    try:
        reader = LaxReader(read_file(folder / "config.json", _MAX_CONFIG_BYTES), _MAX_CONFIG_DEPTH)
        found = False
        for key in reader.names():
            found |= key in ("model_type", "architectures")
            reader.skip()
        reader.finish()
    except (OSError, ValueError):
        return False
    return found

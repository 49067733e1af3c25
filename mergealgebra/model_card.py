"""The card of a merged model: what was merged, how, and how to check it [LK-1]."""

from __future__ import annotations

import json
from pathlib import Path

from mergealgebra.algebra.decimals import from_hex
from mergealgebra.lock import LOCK, Lock
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.text import printable_lines


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
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(config, dict) and ("model_type" in config or "architectures" in config)

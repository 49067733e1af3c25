"""What stands beside the tensors of a merged model: a model card, and the base's configuration and tokenizer [LK-1]."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from mergealgebra.algebra.decimals import from_hex
from mergealgebra.disk import read_file
from mergealgebra.lock import LOCK, Lock
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.strict_json import LaxReader

#: The files that describe a model and are no weights: configuration, tokenizer, templates, the model's own code.
_DESCRIPTIONS: Final = (
    *("config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "vocab.txt", "merges.txt", "*.model", "*.tiktoken", "chat_template.*", "*.jinja"),
    *("configuration_*.py", "modeling_*.py", "tokenization_*.py"),
)
#: The longest that are known have some hundred thousand bytes, and nest ten deep.
_MAX_CONFIG_BYTES: Final = 16 << 20
_MAX_CONFIG_DEPTH: Final = 100
#: In capitals, as most write them.
_LICENCES: Final = ("LICENSE*", "LICENCE*", "NOTICE*", "USE_POLICY*")


def companions(base: Checkpoint) -> list[Path]:
    """The base's files to copy: configuration, tokenizer, templates, code and licence; none for a single file."""
    if base.folder is None:
        return []
    return [path for path in sorted(base.folder.iterdir()) if path.is_file() and _is_companion(path)]


def _is_companion(path: Path) -> bool:
    described = any(fnmatchcase(path.name, pattern) for pattern in _DESCRIPTIONS)
    licensed = any(fnmatchcase(path.name.upper(), pattern) for pattern in _LICENCES)
    return (described or licensed) and not path.name.startswith(".")


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
    return f"""---
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
""".encode()


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

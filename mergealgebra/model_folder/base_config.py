"""What a base's folder tells a model card: whose format it is, what the base is called [LK-1, LK-8]."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mergealgebra.credits import is_hub_name
from mergealgebra.disk import read_file
from mergealgebra.tensors.strict_json import LaxReader

#: The longest that are known have some hundred thousand bytes, and nest ten deep.
_MAX_BYTES: Final = 16 << 20
_MAX_DEPTH: Final = 100
#: How a relative path of two parts begins or ends where it is not a model's name on the hub.
_LOCAL: Final = re.compile(
    r"(out|output|outputs|result|results|run|runs|ckpt|ckpts|checkpoint|checkpoints|model|models|data|tmp|work|home)/.*"
    r"|.*/(checkpoint-?\d*|final|best|latest|last)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class BaseConfig:
    """What is known of a base; what is not is empty.

    is_transformers: whether it is of the transformers library. hub_name: what it is called on the Hugging Face hub.
    """

    is_transformers: bool = False
    hub_name: str = ""


def base_config(folder: Path) -> BaseConfig:
    """What the configuration in a folder says; nothing where it cannot be read. All but three keys is stepped over."""
    found, name = False, ""
    try:
        reader = LaxReader(read_file(folder / "config.json", _MAX_BYTES), _MAX_DEPTH)
        for key in reader.names():
            found |= key in ("model_type", "architectures")
            if key == "_name_or_path" and reader.mark == b'"':
                name = reader.text()
            else:
                reader.skip()
        reader.finish()
    except (OSError, ValueError):
        return BaseConfig()
    return BaseConfig(found, name if is_hub_name(name) and not _LOCAL.fullmatch(name) else "")

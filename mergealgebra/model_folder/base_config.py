"""What a base's folder tells a model card: whose format it is, what the base is called, its license [LK-1, LK-8]."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
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


#: A README whose front matter is to be read may be so long.
_MAX_README_BYTES: Final = 1 << 20
#: A line that names a license, as one word; not what YAML reads as something other than text.
_LICENSE: Final = re.compile(
    r"""license:[ ]+(["']?)(?!(?:yes|no|on|off|true|false|null)\b)([A-Za-z][\w.+-]{0,63})\1[ ]*""",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True)
class BaseConfig:
    """What is known of a base; what is not is empty.

    is_transformers: whether it is of the transformers library. hub_name: what it is called on the Hugging Face hub.
    license: as the front matter of its README has it.
    """

    is_transformers: bool = False
    hub_name: str = ""
    license: str = ""


def base_config(folder: Path) -> BaseConfig:
    """What the files in a folder say; nothing where they cannot be read."""
    return replace(_configured(folder), license=_license(folder))


def _configured(folder: Path) -> BaseConfig:
    """What the configuration says. All but three keys is stepped over."""
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


def _license(folder: Path) -> str:
    """The license that the front matter of the README names, where it is one plain word."""
    try:
        lines = read_file(folder / "README.md", _MAX_README_BYTES).decode().splitlines()
    except (OSError, ValueError):
        return ""
    if not lines or lines[0].rstrip() != "---":
        return ""
    for line in lines[1:]:
        if line.rstrip() == "---":
            break
        if found := _LICENSE.fullmatch(line):
            return found[2]
    return ""

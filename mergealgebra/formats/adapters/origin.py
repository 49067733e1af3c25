"""The base that an adapter says it was trained on, compared by name with the one it is merged into [AD-12, AD-16]."""

from __future__ import annotations

import os
from pathlib import Path

from mergealgebra.credits import hub_name, is_hub_name
from mergealgebra.formats.adapters.peft_config import PeftConfig
from mergealgebra.model_folder.base_config import base_config
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.text import location, shown


def name_for_others(base: Checkpoint) -> str:
    """What an adapter is to say of its base: the name on the Hub where it is in that cache, which others have too."""
    return hub_name(base.path.absolute()) or str(base.path)


def doubt(config: PeftConfig, base: Path) -> str:
    """A line where an adapter names another base, by the last part of the name; empty where none or this one."""
    said = config.base_model_name_or_path
    if not said or os.path.realpath(said) == os.path.realpath(base):
        return ""
    own = {hub_name(base.absolute()), base_config(base).hub_name if base.is_dir() else ""} - {""}
    if is_hub_name(theirs := hub_name(Path(said)) or said) and theirs in own:
        return ""
    if _last(theirs) in {_last(name) for name in (*own, str(base), os.path.realpath(base))}:
        return ""
    here = next(iter(sorted(own)), "") or location(base)
    return (
        f"{location(config.path)} says that its base is {shown(theirs)}, and here it is {shown(here)}: if that is "
        "another model, name the base that it says"
    )


def _last(name: str) -> str:
    """The part of a name that tells something, in small letters."""
    path = Path(name)
    return (path.parent if path.name == "model.safetensors" else path).name.lower().removesuffix(".safetensors")

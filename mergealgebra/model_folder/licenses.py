"""The license of a merged model: the one that its parents' cards state, where all that state one agree [LK-8]."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mergealgebra.credits import Credit, titles
from mergealgebra.disk import read_file
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.text import listed, printable

#: A README whose front matter is to be read may be so long.
_MAX_README_BYTES: Final = 1 << 20
#: A line with one plain word, or an address; not what YAML reads as something other than text.
_LINE: Final = re.compile(
    r"""(license|license_name|license_link):[ ]+(["']?)(?!(?:yes|no|on|off|true|false|null)\b)"""
    r"""([A-Za-z][\w.+-]{0,63}|(?:https://)[\w./%+-]{1,255})\2[ ]*""",
    re.ASCII | re.IGNORECASE,
)
#: The license whose name stands beside it.
_OTHER: Final = "other"


@dataclass(frozen=True)
class Agreed:
    """What a card says of the license: the keys of its front matter; a line where the parents do not agree."""

    keys: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()


def license_of(folder: Path | None) -> tuple[tuple[str, str], ...]:
    """What the front matter of a folder's README says of the license, by key; nothing where it says nothing plain."""
    found = _stated(folder)
    if "license" not in found:
        return ()
    keys = ("license", "license_name", "license_link") if found["license"].lower() == _OTHER else ("license",)
    return tuple((key, found[key]) for key in keys if key in found)


def agreed(base: Checkpoint, credits_: Iterable[Credit]) -> Agreed:
    """The license on which the base and the models agree, of those that state one."""
    (title,) = titles([base.path])
    parents = [
        (title, license_of(base.folder)),
        *((one.title, one.license) for credit in credits_ for one in credit.parents),
    ]
    stated = list(dict.fromkeys((title, keys) for title, keys in parents if keys))
    if len({_meant(keys) for _, keys in stated}) > 1:
        told = listed(f"{printable(title)} has {_shown(keys)}" for title, keys in stated)
        return Agreed(
            remarks=(f"the licenses of the models differ, and the model card states none: {told}; see what they allow",)
        )
    return Agreed(stated[0][1] if stated else ())


def _meant(keys: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(value.lower() for key, value in keys if key != "license_link")


def _shown(keys: Sequence[tuple[str, str]]) -> str:
    return " ".join(value for key, value in keys if key != "license_link")


def _stated(folder: Path | None) -> dict[str, str]:
    """The lines of the front matter that are about a license."""
    if folder is None:
        return {}
    try:
        lines = read_file(folder / "README.md", _MAX_README_BYTES).decode().splitlines()
    except (OSError, ValueError):
        return {}
    if not lines or lines[0].rstrip() != "---":
        return {}
    found: dict[str, str] = {}
    for line in lines[1:]:
        if line.rstrip() == "---":
            break
        if match := _LINE.fullmatch(line):
            found.setdefault(match[1].lower(), match[3])
    return found

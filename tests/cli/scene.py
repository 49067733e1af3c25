"""A folder like that of a user who has been at it for a while; each test gets a copy.

base/                a model folder, F32             half/  the same in F16
ft0.safetensors ... ft2.safetensors                  fine-tunes of it
alice/               a workspace: ties, density 0.5; ft0 and ft1 are visible
shared/              the exchange folder that alice synced with
bob/                 a replica, cloned from there; ft2 is visible too, and not given to anyone yet
other/               a workspace of the same base, with another name and one contribution; its folder: others/
merged/              what alice resolved
guild/               a signed workspace, whose maintainer's key is maya; bob-key.pub has a grant, left-key.pub had one
merge.yaml           a one-shot merge of ft0 and ft1
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.commands import call
from tests.models import base, fine_tune, write_file, write_folder

MERGE = """\
method: ties
density: "0.5"
base: base
models:
  - {path: ft0.safetensors}
  - {path: ft1.safetensors, coefficient: "0.5"}
"""


def build(root: Path) -> Path:
    """Make the scene."""
    write_folder(root / "base", base())
    write_folder(root / "half", base("F16"))
    for number in range(3):
        write_file(root / f"ft{number}.safetensors", fine_tune(number))
    (root / "merge.yaml").write_text(MERGE)
    (root / "recipe.yaml").write_text('method: ties\ndensity: "0.5"\n')
    for line in (
        "-C alice init --base base --recipe recipe.yaml --name garden",
        "-C alice contribute ft0.safetensors",
        "-C alice contribute ft1.safetensors --coefficient 0.5",
        "-C alice sync shared --create",
        "clone --yes shared bob --base base",
        "-C bob contribute ft2.safetensors",
        "-C other init --base base --name orchard",
        "-C other contribute ft0.safetensors",
        "-C other sync others --create",
        "-C alice resolve merged",
        "keygen maya",
        "keygen ada",
        "keygen bob-key",
        "-C guild init --base base --maintainer maya.pub --key maya",
        "-C guild grant bob-key.pub --name Bob",
        "keygen left-key",
        "-C guild grant left-key.pub --name Left",
        "-C guild revoke left-key.pub",
    ):
        call(root, *line.split(), "--json").printed()
    return root


def move_in(root: Path) -> None:
    """After the scene was copied to a new place: tell its workspaces where their base is now."""
    for local in root.glob("*/local.json"):
        local.write_text(json.dumps({**json.loads(local.read_text()), "base": str(root / "base")}))


def blobs(root: Path, workspace: str) -> list[Path]:
    """The blobs in a workspace or exchange folder, by name."""
    return sorted((root / workspace / "blobs").iterdir())


def operations(root: Path, workspace: str) -> list[Path]:
    """The operations in a workspace or exchange folder, by name."""
    return sorted((root / workspace / "operations").iterdir())


def flip(path: Path, position: int, bit: int = 0) -> None:
    """Flip one bit of the byte at a position; a negative one counts from the end."""
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)


def truncate(path: Path, count: int = 1) -> None:
    """Cut bytes off the end of a file."""
    path.write_bytes(path.read_bytes()[:-count])

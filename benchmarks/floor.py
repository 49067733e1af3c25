"""The floor: what no merge can be faster than. Every fine-tune is read once, and the base is copied to the output.

One that hashes also takes the SHA-256 of all that it reads and writes, as a merge does whose result can be verified.
"""

from __future__ import annotations

import sys
from pathlib import Path

from measure import Command
from ours import Models
from settings import FSYNC, MODEL_FILE, NO_FSYNC, Settings

#: $1: base, $2: output, then the fine-tunes. `dd` reads and writes, where `cat` or `cp` could let the kernel copy.
_SCRIPT = 'base=$1; out=$2; shift 2; cat "$@" > /dev/null && dd if="$base" of="$out" bs=4M status=none'
#: The same with a digest of each input and of the output, in pieces as long as the leaves of a merge.
_HASHING = """
import hashlib, os, sys
base, out, *finetunes = sys.argv[1:]
piece = memoryview(bytearray(1 << 20))
with open(base, "rb", 0) as old, open(out, "wb", 0) as new:
    before, after = hashlib.sha256(), hashlib.sha256()
    while size := old.readinto(piece):
        before.update(piece[:size])
        after.update(piece[:size])
        new.write(piece[:size])
    os.fsync(new.fileno())
for path in finetunes:
    with open(path, "rb", 0) as file:
        digest = hashlib.sha256()
        while size := file.readinto(piece):
            digest.update(piece[:size])
"""


def hashing(made: Models, out: Path) -> list[str | Path]:
    """The command of the floor that hashes; `out` is a file."""
    files = [made.base / MODEL_FILE, out, *(finetune / MODEL_FILE for finetune in made.finetunes)]
    return [sys.executable, "-c", _HASHING, *files]


def floors(settings: Settings, made: Models) -> list[Command]:
    """The floor that ends when the output is on the disk, as our merge does, and the one that does not wait for it."""
    out = settings.out / f"floor-{made.parameters}"
    files = [made.base / MODEL_FILE, out, *(finetune / MODEL_FILE for finetune in made.finetunes)]
    scripts = {FSYNC: _SCRIPT + " conv=fsync", NO_FSYNC: _SCRIPT}
    return [
        Command(made.labels(name), ["sh", "-c", script, "floor", *files], settings.scale.runs, made.paths, (out,))
        for name, script in scripts.items()
    ]

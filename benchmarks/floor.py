"""The floor: what no merge can be faster than. Every fine-tune is read once, and the base is copied to the output."""

from __future__ import annotations

from measure import Command
from ours import Models
from settings import FSYNC, MODEL_FILE, NO_FSYNC, Settings

#: $1: base, $2: output, then the fine-tunes. `dd` reads and writes, where `cat` or `cp` could let the kernel copy.
_SCRIPT = 'base=$1; out=$2; shift 2; cat "$@" > /dev/null && dd if="$base" of="$out" bs=4M status=none'


def floors(settings: Settings, made: Models) -> list[Command]:
    """The floor that ends when the output is on the disk, as our merge does, and the one that does not wait for it."""
    out = settings.out / f"floor-{made.parameters}"
    files = [made.base / MODEL_FILE, out, *(finetune / MODEL_FILE for finetune in made.finetunes)]
    scripts = {FSYNC: _SCRIPT + " conv=fsync", NO_FSYNC: _SCRIPT}
    return [
        Command(made.labels(name), ["sh", "-c", script, "floor", *files], settings.scale.runs, made.paths, (out,))
        for name, script in scripts.items()
    ]

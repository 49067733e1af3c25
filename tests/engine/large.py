"""A sharded bf16 model too large to be held four times over, made block by block; and a merge that is measured."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mergealgebra.tensors.safetensors_file import Entry, canonical_header, index_bytes, shard_names

_SHARDS = 4
_ELEMENTS = 1 << 20


def write_models(folder: Path, fine_tunes: int, layers: int) -> int:
    """Write `base` and `ft0`, `ft1`, ... into a folder, each a folder of shards. Returns the bytes of one of them."""
    shapes = {"embed.weight": (16384, 2048), **{f"layers.{i:02}.weight": (4096, 2048) for i in range(layers)}}
    entries: list[Entry] = [(name, "BF16", shape, 2 * shape[0] * shape[1]) for name, shape in shapes.items()]
    for number in range(-1, fine_tunes):
        _write(folder / ("base" if number < 0 else f"ft{number}"), number, entries)
    return sum(nbytes for *_, nbytes in entries)


def _write(folder: Path, number: int, entries: list[Entry]) -> None:
    folder.mkdir(parents=True)
    cut = [entries[i * len(entries) // _SHARDS : (i + 1) * len(entries) // _SHARDS] for i in range(_SHARDS)]
    for name, shard in zip(shard_names(_SHARDS), cut, strict=True):
        with (folder / name).open("wb") as file:
            file.write(canonical_header(shard))
            for _, _, shape, _ in shard:
                for block in _blocks(number, shape[0] * shape[1]):
                    file.write(block.data)
    (folder / "model.safetensors.index.json").write_bytes(index_bytes(cut))


def _blocks(number: int, elements: int) -> Iterator[np.ndarray[Any, Any]]:
    """bf16 bits: the base's lie between 2^-10 and 2^-4, a fine-tune differs in the last two bits of each."""
    for at in range(0, elements, _ELEMENTS):
        bits = np.random.default_rng(at).integers(0, 1 << 16, _ELEMENTS, np.uint16)
        base = (bits & 0x807F) | ((((bits >> 7) & 0xFF) % 6 + 117) << 7)
        if number >= 0:
            base ^= np.random.default_rng(1000 * (number + 1) + at).integers(0, 4, _ELEMENTS, np.uint16)
        yield base


@dataclass(frozen=True)
class Measured:
    """What a merge printed; the most memory that its process ever had, in bytes; and what it had before it began."""

    printed: dict[str, Any]
    peak: int
    program: int

    @property
    def beyond(self) -> int:
        """The memory of the merge itself, beyond that of the program."""
        return self.peak - self.program


#: The program is all that is loaded, or compiled, once a merge of a few numbers has been through it.
_MEASURE = """
import re, sys
import numpy as np
import mergealgebra as ma
import mergealgebra.cli.merge, mergealgebra.recipe_file, mergealgebra.resolve
from mergealgebra.cli import main

def status(what):  # not ru_maxrss, which begins with that of the parent
    return int(re.search(what + r":\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024

few = {"w": np.ones(3, np.float32)}
ma.merge(few, [few], ma.Ties(density="0.5"), backend=sys.argv[sys.argv.index("--backend") + 1])
program = status("VmRSS")
try:
    main()
finally:
    print(status("VmHWM"), program, file=sys.stderr)
"""


def measured(*arguments: str | Path, backend: str = "auto") -> Measured:
    """Run `mergealgebra ARGUMENTS --json` in a process of its own."""
    command = [sys.executable, "-c", _MEASURE, *map(str, arguments), "--backend", backend, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    peak, program = map(int, done.stderr.split()[-2:])  # behind warnings
    return Measured(json.loads(done.stdout), peak, program)

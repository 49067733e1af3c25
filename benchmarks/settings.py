"""How large, how many, how often: the full run and a small one that only shows that everything works."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

#: What a measurement is told by, and one with all its runs and their medians.
Label: TypeAlias = str | int
Measurement: TypeAlias = dict[str, Any]
#: The one file of tensors in every model folder that is read or written here.
MODEL_FILE: Final = "model.safetensors"
SUFFIXES: Final = {"k": 10**3, "M": 10**6, "B": 10**9}
#: Labels by which the report finds a measurement.
IMPORTS: Final = "mergealgebra: only the imports of a merge"
TINY: Final = "mergealgebra: a tiny merge"
FIRST: Final = "mergealgebra: a tiny merge, kernels not compiled yet"
OURS: Final = "mergealgebra"
TWICE: Final = "mergealgebra, each twice"
FSYNC, NO_FSYNC = "floor", "floor without fsync"
AGAIN: Final = "resolve again"
KEPT, FULL_RESOLVE = "kept aggregate", "full resolve"


@dataclass(frozen=True)
class Scale:
    """The sizes of everything that is measured.

    runs, peer_runs: of our own commands and of the others, which take far longer. parameters, finetunes: of the
    comparison. counts: numbers of fine-tunes for the growth with n. sizes, size_finetunes: numbers of parameters for
    the growth with size. incremental_parameters, incremental_counts: for adding one contribution. operations: of the
    states that are joined. tiny: parameters of a model whose merge is start-up and nothing else.
    """

    runs: int
    peer_runs: int
    dtypes: tuple[str, ...]
    parameters: int
    finetunes: int
    counts: tuple[int, ...]
    sizes: tuple[int, ...]
    size_finetunes: int
    incremental_parameters: int
    incremental_counts: tuple[int, ...]
    operations: tuple[int, ...]
    tiny: int = 100_000
    density: str = "0.2"


FULL: Final = Scale(
    runs=5,
    peer_runs=3,
    dtypes=("fp32", "bf16"),
    parameters=60_000_000,
    finetunes=8,
    counts=(1, 2, 4, 8, 16, 32),
    sizes=(60_000_000, 250_000_000, 1_000_000_000),
    size_finetunes=4,
    incremental_parameters=16_000_000,
    incremental_counts=(2, 4, 8, 16, 32, 64),
    operations=(10, 100, 1_000, 10_000, 100_000),
)

QUICK: Final = Scale(
    runs=1,
    peer_runs=1,
    dtypes=("bf16",),
    parameters=250_000,
    finetunes=2,
    counts=(1, 2),
    sizes=(100_000, 250_000),
    size_finetunes=1,
    incremental_parameters=100_000,
    incremental_counts=(2,),
    operations=(10, 100),
)


@dataclass(frozen=True)
class Settings:
    """A scale, and where and with what it is measured.

    work: folder for models and outputs. peers: environment of mergekit and peft, or None to leave them out.
    """

    scale: Scale
    work: Path
    threads: int
    backend: str
    peers: Path | None

    @property
    def out(self) -> Path:
        """Folder for what the measured commands write; emptied after each part."""
        return self.work / "out"


def number_of(text: str) -> int:
    """A number of parameters as people write it: 60M, 1B, 250k."""
    return round(float(text[:-1]) * SUFFIXES[text[-1]]) if text[-1] in SUFFIXES else int(text)


class Skipped(Exception):
    """A part that cannot be measured here, and why."""

"""How a merge is computed, which never changes what it gives."""

from __future__ import annotations

from collections.abc import MutableMapping
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mergealgebra.model_folder.unfinished import Noted
from mergealgebra.progress import Progress, quiet

if TYPE_CHECKING:
    from mergealgebra.incremental.folder import Home


@dataclass(frozen=True)
class Execution:
    """How a merge is computed; never what it gives [MG-8]. Left out: all cores, a fitting block, 256 MiB, silence.

    memory: bytes beyond the imports; no limit for other dialects of TIES. answers: where what was found before is kept
    from merge to merge. executor: where work is done, any of `concurrent.futures`; threads if left out. aggregate: the
    home in which the sums of a state's contributions are, so that a change costs one pass over it and them [EX-4,
    EX-5]. noted: told where the model is written until it is whole [LK-7].
    """

    backend: str = "auto"
    threads: int | None = None
    block: int | None = None
    progress: Progress = quiet
    memory: int | None = None
    answers: MutableMapping[str, bytes] | None = None
    executor: Executor | None = None
    aggregate: Home | None = None
    noted: Noted = nullcontext

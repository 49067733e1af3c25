"""Whether a new contribution is nearly one that is visible already, and so would count twice [OS-15].

The same fine-tune in another dtype, with another coefficient, or as a stored difference has another id: only its values
show it. They are compared over a sample, so it costs little for each visible contribution.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from mergealgebra.contribution_blobs import open_contribution
from mergealgebra.engine.sources import Block, Contribution, Record
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.ids import short_ids
from mergealgebra.kernels.reference import Host
from mergealgebra.tensors.checkpoint import Checkpoint

if TYPE_CHECKING:
    from mergealgebra.crdt.manifest import Manifest
    from mergealgebra.store.objects import Store

#: Blocks of a sample, and elements in each: half a megabyte of each contribution.
BLOCKS: Final = 64
BLOCK: Final = 1 << 10
#: Two task vectors with such a cosine are nearly one.
NEAR: Final = 0.95

#: The fp64 elements of a task vector in each block of a sample; a block that it does not hold is left out.
Sampled = Mapping[Block, Host]


def likeness(made: Manifest, visible: Mapping[str, Manifest], store: Store, base_path: Path) -> list[str]:
    """A line if a contribution, whose blob is in the store, is nearly a visible one; it names the nearest [OS-15].

    Those whose tensors are not here, or cannot be read, are passed over. Raises as `Checkpoint.open` does of the base.
    """
    with Checkpoint.open(base_path) as base:
        mine = _sampled(made, store, base, None)
        cosines = {id_: _cosine(mine, made, other, store, base) for id_, other in visible.items() if id_ != made.id}
    near = {id_: cosine for id_, cosine in cosines.items() if cosine >= NEAR}
    if not near:
        return []
    nearest = max(near, key=lambda id_: near[id_])
    short, size = short_ids([*visible, made.id]), sum(array.size for array in mine.values())
    more = f" and {len(near) - 1} more" if len(near) > 1 else ""
    return [
        f"contribution {short[made.id]} is nearly {short[nearest]}{more}, visible already: the cosine of their "
        f"differences from the base is {near[nearest]:.4g}, over {size:,} of its {made.elements:,} elements; if "
        "they are one fine-tune, it counts twice: `retract` one of them"
    ]


def sample(records: Sequence[Record], names: Sequence[str]) -> list[Block]:
    """Which elements are compared: all of few; of many, blocks that are spread evenly over all tensors [OS-15]."""
    sizes = [record.size for record in records]
    total = sum(sizes)
    if total <= BLOCKS * BLOCK:
        return [Block(name, 0, size) for name, size in zip(names, sizes, strict=True) if size]
    ends = np.cumsum(sizes)
    blocks = []
    for start in (number * total // BLOCKS for number in range(BLOCKS)):
        at = int(np.searchsorted(ends, start, side="right"))
        first = start - (int(ends[at]) - sizes[at])
        blocks.append(Block(names[at], first, min(first + BLOCK, sizes[at])))
    return blocks


def _cosine(mine: Sampled, made: Manifest, other: Manifest, store: Store, base: Checkpoint) -> float:
    """The cosine of two task vectors over the sample of the first; 0 where it is not known."""
    if (other.tensors, other.form) == (made.tensors, made.form):
        return 1.0
    if not store.has_blob(other.tensors):
        return 0.0
    try:
        theirs = _sampled(other, store, base, mine)
    except (MergeAlgebraError, OSError):
        return 0.0  # `status` and `fsck` speak of what is damaged
    product = sum(float(mine[block] @ theirs[block]) for block in theirs)
    squares = [sum(float(array @ array) for array in side.values()) for side in (mine, theirs)]
    norm = math.sqrt(squares[0]) * math.sqrt(squares[1])
    return product / norm if 0 < norm < math.inf else 0.0


def _sampled(manifest: Manifest, store: Store, base: Checkpoint, blocks: Sampled | None) -> Sampled:
    """The sample of a contribution; of these blocks, or of its own."""
    blobs = {manifest.tensors: store.blob_path(manifest.tensors)}
    with ExitStack() as opened:
        one = open_contribution(manifest, blobs, base, opened).contribution
        records = one.source.records
        wanted = sample(list(records.values()), list(records)) if blocks is None else blocks
        return dict(_task_vector(one, base, (block for block in wanted if block.name in records)))


def _task_vector(one: Contribution, base: Checkpoint, blocks: Iterator[Block]) -> Iterator[tuple[Block, Host]]:
    """What a contribution moves in each block; where that is not finite it moves nothing [TV-3]."""
    for block in blocks:
        values = one.source.read(block.name, block.start, block.stop).astype(np.float64)
        with np.errstate(all="ignore"):
            if one.form_of(block.name) == "finetuned":
                values -= base.read(block.name, block.start, block.stop).astype(np.float64)
        yield block, np.where(np.isfinite(values), values, 0.0)

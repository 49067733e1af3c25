"""What a merge to disk gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mergealgebra.lock import Lock

if TYPE_CHECKING:
    from mergealgebra.incremental.outcome import Outcome


@dataclass(frozen=True, repr=False)
class MergeResult:
    """A merged model on disk. `lock` is the content of its merge.lock. aggregate: what became of it, if asked for.

    warnings: lines about what killed merges left in the folder that it is in [LK-7], what of the base is not in it, and
    other models that replicas of a workspace computed for the same merge [OS-12], and why its attest could not be
    written. models: how many were merged whole, the base among them; 0 where contributions were merged into the base.

    >>> result = alice.resolve("merged.safetensors", backend="numpy")  # the workspace of the example of `Workspace`
    >>> result.out.name, result.backend, result.kept_aggregate, result.merge_id == alice.merge_id
    ('merged.safetensors', 'numpy', False, True)
    """

    out: Path
    lock: Lock
    aggregate: Outcome | None = None
    warnings: Sequence[str] = ()
    models: int = 0

    def __repr__(self) -> str:
        made_of = len(self.lock.contributions)
        return f"MergeResult({str(self.out)!r}, contributions={made_of}, model_root={self.model_root[:12]}...)"

    @property
    def kept_aggregate(self) -> bool:
        """Whether an aggregate of what was merged is kept for the next merge."""
        return self.aggregate is not None and not self.aggregate.problem

    @property
    def merge_id(self) -> str:
        """What was merged [MG-10]."""
        return self.lock.merge_id

    @property
    def model_root(self) -> str:
        """What came out [EN-7]."""
        return self.lock.model_root

    @property
    def backend(self) -> str:
        """The backend that computed it."""
        return self.lock.backend

"""The contents of a workspace, for whoever looks at it: nothing here changes what is visible."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.history import by_time
from mergealgebra.methods.method import Method
from mergealgebra.progress import Progress, quiet
from mergealgebra.recipe import if_here
from mergealgebra.store import local
from mergealgebra.store.holdings import blobs_here, missing
from mergealgebra.store.incomplete import incomplete_lines
from mergealgebra.store.objects import Store

if TYPE_CHECKING:
    from mergealgebra.details import Details


@dataclass(frozen=True, repr=False)
class Contents:
    """What a workspace holds, and what is known of it here. The examples go on from that of `Workspace`."""

    path: Path
    store: Store

    def __repr__(self) -> str:
        genesis = self.store.genesis
        return f"{type(self).__name__}({str(self.path)!r}, name={genesis.name!r}, id={genesis.workspace_id[:12]}...)"

    @property
    def state(self) -> ORSet:
        """The operations here, read now. Raises OperationError, naming the file, when one is damaged [SY-3].

        >>> len(alice.state.operations)
        1
        """
        return self.store.state()

    @property
    def recipe(self) -> Method:
        """How this workspace merges when nothing else is said.

        >>> alice.recipe
        Mean()
        """
        return if_here(local.default_recipe(self.store))

    @property
    def merge_id(self) -> str:
        """What the visible contributions merge to by its own recipe; replicas compare it before they move a tensor.

        >>> alice.merge_id[:12]
        'df6f1dc002fa'
        """
        return self.state.merge_id

    def visible(self) -> dict[str, Manifest]:
        """The visible contributions by id, in canonical order [OS-9].

        >>> [(id_ == math, manifest.elements) for id_, manifest in alice.visible().items()]
        [(True, 4)]
        """
        return self.state.visible()

    def log(self) -> list[Operation]:
        """All operations by their time, an add before the remove of that second; those without a time last.

        >>> [(operation.kind, operation.note) for operation in alice.log()]
        [('add', 'three epochs')]
        """
        return list(by_time(self.state.operations))

    @property
    def as_name(self) -> str | None:
        """Under which name its owner contributes, retracts and attests; None if unset. Raises WorkspaceError.

        >>> alice.as_name is None
        True
        """
        return local.own_name(self.store)

    @property
    def base(self) -> Path:
        """Where the base is on this machine. Raises WorkspaceError when it is not there any more; see `set_base`.

        >>> alice.base.name
        'base.safetensors'
        """
        return local.base_path(self.store)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why contributions may be lacking here: a line for each peer with whom the last sync was incomplete [SY-4].

        >>> alice.doubts
        ()
        """
        return tuple(incomplete_lines(self.store))

    def missing(self, state: ORSet | None = None) -> list[str]:
        """The visible contributions whose tensors are not here, in canonical order [SY-5]. state: what is here.

        >>> alice.missing()
        []
        """
        return missing(self.store, state or self.state)

    def show(self, contribution: str, *, threads: int | None = None, progress: Progress | None = None) -> Details:
        """What is known of a contribution, visible or not: who, when, how large, what it changes, in which merges.

        contribution: the id or a unique prefix of it. Raises UnknownContribution.

        >>> alice.show(math[:12]).figures["changed"]  # a quarter of the elements
        '0.25'
        """
        from mergealgebra.details import details

        with local.advising_set_base(self.store):
            return details(contribution, self.store, lambda: self.base, threads, progress or quiet)

    def blobs(self, state: ORSet) -> dict[str, Path]:
        """Where the blobs of a state's visible contributions are, by tensors root; those not here are left out.

        >>> [blob.suffix for blob in alice.blobs(alice.state).values()]
        ['.safetensors']
        """
        return blobs_here(self.store, state.visible().values())

    def measure(self, *, threads: int | None = None, progress: Progress | None = None) -> tuple[str, ...]:
        """Measure what visible contributions change, where that is not known here yet [CT-11]; `show` does it for one.

        Returns a line for each that cannot be measured. Raises WorkspaceError when the base is not there.

        >>> alice.measure()
        ()
        """
        from mergealgebra.details import measure_visible

        return measure_visible(self.store, self.base, threads, progress or quiet)

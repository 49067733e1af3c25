"""What the simulation of folders plays in: a tiny base, fine-tunes of it, and what every set of them resolves to.

No two contributions are alike, and each differs from some other in one thing alone.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import mergealgebra as ma
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.orset import ORSet
from mergealgebra.execution import Execution
from mergealgebra.incremental.cost import why_not_kept
from mergealgebra.merge_result import MergeResult
from mergealgebra.methods.method import Method
from mergealgebra.resolve import resolve
from mergealgebra.wanted import Wanted
from tests.simulation.blob_files import Tensors, canonical_file
from tests.simulation.seams import taken_over


def _half(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}e", *numbers)


def _single(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


BASE: Tensors = {"a": ("F16", (2, 2), _half(1, -2, 0.5, 3)), "b": ("F32", (3,), _single(1, 2, -1))}
TUNED: Tensors = {"a": ("F16", (2, 2), _half(2, -2, 1.5, 1)), "b": ("F32", (3,), _single(1, 4, -3))}
CHANGED: Tensors = {**TUNED, "b": ("F32", (3,), _single(1, -4, -3))}
RETYPED: Tensors = {**TUNED, "a": ("BF16", (2, 2), TUNED["a"][2])}


@dataclass(frozen=True)
class Publication:
    """What somebody contributes, and the blob that this must give."""

    tensors: Tensors
    coefficient: str = "1"
    form: str = "finetuned"
    leave: tuple[str, ...] = ()

    @property
    def blob(self) -> bytes:
        return canonical_file({name: tensor for name, tensor in self.tensors.items() if name not in self.leave})


PUBLICATIONS = {
    f"c{number}": publication
    for number, publication in enumerate(
        [
            Publication(TUNED),
            Publication(CHANGED),
            Publication(RETYPED),
            Publication(TUNED, coefficient="0.5"),
            Publication(TUNED, form="task_vector"),
            Publication(TUNED, leave=("b",)),
        ]
    )
}


#: The recipes that histories draw, one or more of each class of methods. Those that take exactly one contribution, or
#: two, are not among them: a history has as many as its events make.
RECIPES: dict[str, Method] = {
    "ties": ma.Ties(density="0.5"),
    "settings": ma.Ties(density="0.5", settings=[{"tensors": "b", "density": "1", "lambda": "0.3"}]),
    "masks": ma.DareLinear(density="0.5", seed="7"),
    "greatest": ma.MagMax(),
    "models": ma.Linear(),
    "rounds": ma.ConsensusTa(),
    "selected": ma.Sce(select_topk="0.5"),
    "competition": ma.Pcb(ratio="0.5"),
    "angles": ma.ModelStock(),
}


@dataclass(frozen=True)
class Outcome:
    """What a set of contributions resolves to. files: name -> bytes, the backend left out of the lock."""

    merge_id: str
    model_root: str
    files: dict[str, bytes]


class Scenery:
    """The files of the scenery in a folder, and what the product makes of them when nothing goes wrong."""

    def __init__(self, folder: Path, recipe: Method) -> None:
        self.folder, self._recipe = folder, recipe
        folder.mkdir()
        self._outcomes: dict[frozenset[str], Outcome] = {}
        for name, tensors in {"base": BASE, **{name: one.tensors for name, one in PUBLICATIONS.items()}}.items():
            (folder / f"{name}.safetensors").write_bytes(canonical_file(tensors))

    def path(self, name: str) -> Path:
        """Where the checkpoint `base`, or that of a contribution, is."""
        return self.folder / f"{name}.safetensors"

    def contribute(self, workspace: ma.Workspace, name: str) -> Any:
        """Publish a contribution as its owner would."""
        one = PUBLICATIONS[name]
        return workspace.contribute(
            self.path(name), one.coefficient, form=one.form, leave=one.leave, force=True, threads=1
        )

    @cached_property
    def keeps(self) -> bool:
        """Whether a resolve can keep sums [EX-4]."""
        return not why_not_kept(self._recipe)

    @cached_property
    def genesis(self) -> Genesis:
        """What all replicas begin with."""
        return self._calm.store.genesis

    @cached_property
    def local(self) -> bytes:
        """The `local.json` of every replica."""
        return (self._calm.path / "local.json").read_bytes()

    @cached_property
    def manifests(self) -> dict[str, Manifest]:
        """The manifest of each contribution."""
        return {name: manifest for name, (manifest, _) in self._published.items()}

    @cached_property
    def names(self) -> dict[str, str]:
        """The simulator's name for each contribution id."""
        return {manifest.id: name for name, manifest in self.manifests.items()}

    @cached_property
    def blobs(self) -> dict[str, bytes]:
        """What stands under each tensors root, when it is right."""
        return {self.manifests[name].tensors: publication.blob for name, publication in PUBLICATIONS.items()}

    def outcome(self, visible: frozenset[str]) -> Outcome:
        """What these contributions resolve to: the functional core, with a state made for the purpose."""
        if visible not in self._outcomes:
            state = ORSet(self.genesis, frozenset(self._published[name][1] for name in visible))
            out = self.folder / "outcomes" / "-".join(sorted(visible))
            result = resolve(
                Wanted.visible(state), self.path("base"), self._calm.blobs(state), out, Execution("numpy", 1)
            )
            self._outcomes[visible] = outcome_of(result)
        return self._outcomes[visible]

    @cached_property
    def _calm(self) -> ma.Workspace:
        return ma.Workspace.init(self.folder / "calm", base=self.path("base"), recipe=self._recipe, name="simulation")

    @cached_property
    def _published(self) -> dict[str, Any]:
        """The manifest and the add of every contribution, made one after the other in one workspace."""
        made = {}
        with taken_over() as world:
            for world.fact in PUBLICATIONS:
                id_ = self.contribute(self._calm, world.fact)
                add = self._calm.store.read_operation(id_.operation)
                made[world.fact] = add.payload.manifest, add
        return made


def outcome_of(result: MergeResult) -> Outcome:
    """What a resolve has left, without what may differ: the backend [LK-3], and what adds say of models [LK-8]."""
    files = {path.name: path.read_bytes() for path in sorted(result.out.iterdir())}
    for name, may_differ in {"merge.lock": b'  "backend"', "README.md": b"| "}.items():
        files[name] = b"\n".join(line for line in files[name].splitlines() if not line.startswith(may_differ))
    return Outcome(result.merge_id, result.model_root, files)


def digest(data: bytes) -> str:
    """A short name for bytes, for messages."""
    return hashlib.sha256(data).hexdigest()[:8]

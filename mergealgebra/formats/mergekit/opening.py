"""The models of a mergekit file, opened: paths, addresses on the Hub, adapters, and earlier results [MK-10]."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from mergealgebra.errors import MergeAlgebraError
from mergealgebra.formats.hub import folder
from mergealgebra.formats.mergekit.document import Document, Reference
from mergealgebra.formats.models import adapter_doubts, open_model
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.forms import Held


class Opener:
    """Opens models once each. file: whose folder is looked in first. made: earlier results of the file, by name."""

    def __init__(self, file: Path, opened: ExitStack, made: Mapping[str, Path] | None = None) -> None:
        self._file, self._opened, self._made = file, opened, made or {}
        self._held: dict[Reference, Held] = {}

    def path(self, reference: Reference) -> Path:
        """Where a model is here; its adapter left aside."""
        return self._place(reference.path, reference.revision)

    def held(self, reference: Reference, base: Checkpoint | None = None) -> Held:
        """A model; with an adapter to the base, what that changes, to another the whole model.

        Raises as `open_model` does, naming the line.
        """
        if reference not in self._held:
            try:
                held = self._open(reference, base)
                self._opened.callback(held.close)
                self._held[reference] = held
            except MergeAlgebraError as error:
                raise type(error)(f"{reference.where}: {error}") from None
        return self._held[reference]

    def all_of(self, document: Document, *, whole: bool) -> dict[Reference, Held]:
        """All models of a merge, the base first. whole: whether an adapter shows its model with what it changes."""
        base = self.held(document.base) if document.base is not None and not whole else None
        known = base if isinstance(base, Checkpoint) else None
        return {reference: self.held(reference, known) for reference in document.references()}

    def _open(self, reference: Reference, base: Checkpoint | None) -> Held:
        path = self.path(reference)
        if not reference.lora:
            return open_model(path, base)
        return open_model(self._adapted(reference), base)

    def doubts(self, document: Document) -> list[str]:
        """A line for each adapter that says that it is of another model [AD-16]."""
        base = self.path(document.base) if document.base is not None else None
        found = []
        for reference in document.references():
            path = self._adapted(reference) if reference.lora else self.path(reference)
            if reference.lora or base is not None:
                found += [f"{reference.where}: {line}" for line in adapter_doubts(path, base or path)]
        return found

    def _adapted(self, reference: Reference) -> Path:
        lora, _, revision = reference.lora.partition("@")
        return Path(f"{self.path(reference)}+{self._place(lora, revision)}")

    def _place(self, text: str, revision: str) -> Path:
        """A path beside the file, else one from the working directory, else an address on the Hub."""
        if text in self._made:
            return self._made[text]
        written = Path(text).expanduser() if text.startswith("~") else Path(text)
        for place in (self._file.parent / written, written):
            if not revision and os.path.lexists(place):
                return place
        return folder(f"{text}@{revision}" if revision else text)

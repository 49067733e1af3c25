"""What a mergekit file says, before anything is made of it: models, slices, modules and settings [MK-2, MK-3]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mergealgebra.formats.mergekit.nodes import NOWHERE, Node, Where
from mergealgebra.formats.mergekit.values import Setting

Settings = Mapping[str, Setting]


@dataclass(frozen=True)
class Reference:
    """A model as a file names it: `path[@revision][+lora[@revision]]`. where: the first place that names it."""

    path: str
    revision: str = ""
    lora: str = ""
    where: Where = field(default=NOWHERE, compare=False)

    @property
    def text(self) -> str:
        """As one text."""
        return self.path + (f"@{self.revision}" if self.revision else "") + (f"+{self.lora}" if self.lora else "")


@dataclass(frozen=True)
class Source:
    """A model that is merged, or some layers of it: [start, stop). layers: None for all of them."""

    model: Reference
    settings: Settings
    where: Where
    layers: tuple[int, int] | None = None


@dataclass(frozen=True)
class Slice:
    """Layers of the result: those of its sources, merged."""

    sources: Sequence[Source]
    settings: Settings
    where: Where
    base: Reference | None = None


@dataclass(frozen=True)
class Module:
    """A part of the result with layers of its own. name: empty for a file without `modules`.

    whole: whether it was written with `models`, which are the sources of its one slice, with all their layers.
    """

    name: str
    slices: Sequence[Slice]
    settings: Settings
    where: Where
    whole: bool = False


@dataclass(frozen=True)
class Document:
    """A merge. Either `models` or `modules`, which hold all slices.

    dtype, out_dtype: empty where they are not written. tokens: what is asked of tokenizers, by key. remarks: a line for
    each key that nothing reads. source: the text of the file, for what is written beside the model.
    """

    where: Where
    method: str
    base: Reference | None
    models: Sequence[Source] = ()
    modules: Sequence[Module] = ()
    settings: Settings = field(default_factory=dict)
    name: str = ""
    dtype: str = ""
    out_dtype: str = ""
    dtype_where: Where = NOWHERE
    tokens: Mapping[str, Node] = field(default_factory=dict)
    remarks: Sequence[str] = ()

    @property
    def hint(self) -> str:
        """What a message adds about something that is missing: the keys that nothing reads may have been meant."""
        return "".join(f"; {remark}" for remark in self.remarks)

    def references(self) -> Iterator[Reference]:
        """All models, each as often as it is named."""
        if self.base is not None:
            yield self.base
        yield from (source.model for source in self.models)
        for module in self.modules:
            for slice_ in module.slices:
                if slice_.base is not None:
                    yield slice_.base
                yield from (source.model for source in slice_.sources)


#: What asks something of tokenizers.
TOKEN_KEYS: Final = ("tokenizer_source", "tokenizer", "chat_template")

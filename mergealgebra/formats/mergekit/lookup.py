"""Settings are looked up where mergekit looks: the source, the slice, the module, the top of the file [MK-4, MK-5]."""

from __future__ import annotations

from collections.abc import Iterator

from mergealgebra.formats.mergekit.document import Document, Reference, Settings
from mergealgebra.formats.mergekit.grammar import all_settings
from mergealgebra.formats.mergekit.layout import Target, where_of
from mergealgebra.formats.mergekit.methods import Kind, Parameter
from mergealgebra.formats.mergekit.values import Filtered, Setting, Value
from mergealgebra.text import did_you_mean, shown


class Lookup:
    """Finds what each tensor has, and remembers which settings and filters were of use."""

    def __init__(self, document: Document, kind: Kind) -> None:
        self._document, self._kind = document, kind
        self._matched: set[Filtered] = set()
        self._asked: set[int] = set()

    def of_model(self, key: str, target: Target, model: Reference) -> Value:
        """A setting of one model. A filter looks at the tensor's name in that model."""
        source, name = target.sources[model]
        return self._found(key, target, name, [source.settings, *self._around(target)], model)

    def shared(self, key: str, target: Target) -> Value:
        """A setting of all models together. A filter looks at the tensor's name in the result."""
        return self._found(key, target, target.name, self._around(target), None)

    def _around(self, target: Target) -> list[Settings]:
        inner = [target.slice.settings] if target.slice is not None else []
        middle = [target.module.settings] if target.module is not None else []
        return [*inner, *middle, self._document.settings]

    def _found(self, key: str, target: Target, name: str, places: list[Settings], model: Reference | None) -> Value:
        for settings in places:
            if (setting := settings.get(key)) is not None:
                self._asked.add(id(setting))
                if (value := setting.at(name, target.t, self._matched)) is not None:
                    return value
        default = self._kind.reads[key].default
        if default is None:
            whose = f" of {shown(model.text)}" if model is not None else ""
            where = where_of(target, self._document) if model is None else target.sources[model][0].where
            raise where.refuse(
                f"`{key}`{whose} is missing for tensor {shown(name)}; {self._document.method} needs it: write it under "
                f"`parameters`, or `- value: ...` as the last of its filters{self._document.hint}"
            )
        return Value(default)

    def remarks(self) -> Iterator[str]:
        """A line for each setting that nothing reads, and for each filter that matches nothing."""
        for key, setting, place in all_settings(self._document):
            if id(setting) not in self._asked:
                yield f"{setting.where}: nothing reads `{key}` here{self._why(key, place)}"
            else:
                yield from self._unmatched(key, setting)

    def _why(self, key: str, place: str) -> str:
        reads = self._kind.reads
        method = self._document.method
        if (parameter := reads.get(key)) is None:
            near = did_you_mean(key, reads) if reads else ""
            has = f"; {method} reads {', '.join(reads)}" if reads else f"; {method} has no settings"
            return near.rstrip(";") or has
        if place == "source" and parameter.scope == "shared":
            return f"; {method} has one for all models: write it under `parameters` of the slice, or of the file"
        if place == "source":
            return f"; the model is the base, of which {method} reads none"
        return "; settings nearer to the models say it of all tensors"

    def _unmatched(self, key: str, setting: Setting) -> Iterator[str]:
        for filtered in setting.filters:
            if filtered not in self._matched:
                yield (
                    f"{filtered.where}: the filter {shown(filtered.filter or '*')} of `{key}` matches no tensor, "
                    "or only those of earlier ones"
                )
            else:
                yield from self._unmatched(key, filtered.value)


def is_asked(parameter: Parameter, *, is_base: bool) -> bool:
    """Whether a model has a setting."""
    return parameter.scope == "input" or (parameter.scope == "non_base" and not is_base)

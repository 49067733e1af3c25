"""The grammar of mergekit's files: every key is read, refused, or named as one that nothing reads [MK-2, MK-3]."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from mergealgebra.errors import RecipeError
from mergealgebra.formats.mergekit.document import TOKEN_KEYS, Document, Module, Reference, Slice, Source
from mergealgebra.formats.mergekit.methods import KINDS
from mergealgebra.formats.mergekit.nodes import Node, Where, read_documents
from mergealgebra.formats.mergekit.values import Setting, read_setting
from mergealgebra.text import did_you_mean, listed, nearest, shown

_TOP: Final = (
    *("merge_method", "base_model", "models", "slices", "modules", "parameters", "name", "dtype", "out_dtype"),
    *TOKEN_KEYS,
)
_OF_MODELS: Final = ("model", "parameters")
_OF_SOURCES: Final = ("model", "layer_range", "parameters")
_OF_SLICES: Final = ("sources", "base_model", "residual_weight", "parameters")
_OF_MODULES: Final = ("models", "slices", "parameters")
#: Keys that tell mergekit's files from ours, wherever `method` is not written.
_MARKS: Final = frozenset(("merge_method", "slices", "modules", "base_model"))
#: What stands under `parameters`.
_SETTINGS: Final = frozenset(key for kind in KINDS.values() for key in kind.reads)
_WHOLE: Final = re.compile("[0-9]{1,6}", re.ASCII)


def is_mergekit(path: Path) -> bool:
    """Whether a file is one of mergekit's, by the keys at its top. Raises RecipeError for what is not YAML."""
    tops = [node.keys.keys() for node in read_documents(path) if node.keys is not None]
    return any("merge_method" in top or ("method" not in top and bool(_MARKS & top)) for top in tops)


def read_file(path: Path) -> list[Document]:
    """The merges of a file, in its order. Raises RecipeError, naming file and line."""
    nodes = read_documents(path)
    if not nodes:
        raise Where(path).refuse("it is empty; expected a merge, with `merge_method` and `models`")
    return [_Reader().document(node) for node in nodes]


class _Reader:
    """Reads one document, and collects what it has to say."""

    def __init__(self) -> None:
        self._remarks: list[str] = []

    def document(self, node: Node) -> Document:
        """A merge."""
        keys = node.mapping("the file", "merge_method: linear")
        self._unknown(node, _TOP, "at the top")
        if "merge_method" not in keys:
            raise _misspelt(node, "merge_method") or node.where.refuse(
                "`merge_method` is missing; write one, like `merge_method: linear`"
            )
        part = _one_of(("models", "slices", "modules"), node)
        return Document(
            where=node.where,
            method=keys["merge_method"].scalar("`merge_method`", "merge_method: linear"),
            base=read_reference(keys["base_model"]) if _is_given(keys, "base_model") else None,
            models=self._models(keys[part]) if part == "models" else (),
            modules=self._modules(keys[part], part) if part != "models" else (),
            settings=self._settings(node),
            name=_text(keys, "name"),
            dtype=_text(keys, "dtype"),
            out_dtype=_text(keys, "out_dtype"),
            dtype_where=node.key_places.get("out_dtype", node.key_places.get("dtype", node.where)),
            tokens={key: keys[key] for key in TOKEN_KEYS if _is_given(keys, key)},
            remarks=tuple(self._remarks),
        )

    def _models(self, node: Node) -> tuple[Source, ...]:
        found: list[Source] = []
        for item in node.list("`models`", "models: [{model: path/to/model}]"):
            keys = item.mapping("a model", "- model: path/to/model")
            self._unknown(item, _OF_MODELS, "beside `model`")
            _need(item, "model", "- model: path/to/model")
            source = Source(read_reference(keys["model"]), self._settings(item), item.where)
            _refuse_twice(source, found)
            found.append(source)
        return tuple(found)

    def _modules(self, node: Node, key: str) -> tuple[Module, ...]:
        if key == "slices":
            return (Module("", self._slices(node), {}, node.where),)
        found = []
        for name, item in node.mapping("`modules`", "modules: {default: {slices: [...]}}").items():
            found.append(self._module(name, item, node.key_places[name]))
        if not found:
            raise node.where.refuse("`modules` is empty; write `modules: {default: {slices: [...]}}`")
        return tuple(found)

    def _module(self, name: str, node: Node, where: Where) -> Module:
        keys = node.mapping(f"module {shown(name)}", "{slices: [...]}")
        self._unknown(node, _OF_MODULES, "in a module")
        part = _one_of(("models", "slices"), node, f"module {shown(name)}: ")
        if part == "models":
            slices: tuple[Slice, ...] = (Slice(self._models(keys[part]), {}, keys[part].where),)
        else:
            slices = self._slices(keys[part])
        return Module(name, slices, self._settings(node), where, part == "models")

    def _slices(self, node: Node) -> tuple[Slice, ...]:
        return tuple(map(self._slice, node.list("`slices`", "slices: [{sources: [...]}]")))

    def _slice(self, node: Node) -> Slice:
        keys = node.mapping("a slice", "- sources: [...]")
        self._unknown(node, _OF_SLICES, "in a slice")
        _need(node, "sources", "- sources: [{model: path/to/model, layer_range: [0, 8]}]")
        if _is_given(keys, "residual_weight"):
            raise node.key_places["residual_weight"].refuse(
                "`residual_weight` is not computed, here or by mergekit 0.1.5: leave it out"
            )
        base = read_reference(keys["base_model"]) if _is_given(keys, "base_model") else None
        found: list[Source] = []
        for item in keys["sources"].list("`sources`", "sources: [{model: path/to/model, layer_range: [0, 8]}]"):
            source = self._source(item)
            _refuse_twice(source, found)
            found.append(source)
        return Slice(tuple(found), self._settings(node), node.where, base)

    def _source(self, node: Node) -> Source:
        keys = node.mapping("a source", "- {model: path/to/model, layer_range: [0, 8]}")
        self._unknown(node, _OF_SOURCES, "in a source")
        _need(node, "model", "- {model: path/to/model, layer_range: [0, 8]}")
        _need(node, "layer_range", "layer_range: [0, 8]")
        layers = _layers(keys["layer_range"])
        return Source(read_reference(keys["model"]), self._settings(node), node.where, layers)

    def _settings(self, node: Node) -> dict[str, Setting]:
        keys = node.keys or {}
        if not _is_given(keys, "parameters"):
            return {}
        written = keys["parameters"].mapping("`parameters`", "parameters: {weight: 0.5}")
        return {key: read_setting(key, value) for key, value in written.items() if not value.is_null}

    def _unknown(self, node: Node, known: Collection[str], where: str) -> None:
        """Note the keys that nothing reads."""
        for key in node.keys or {}:
            if key not in known:
                near = did_you_mean(key, known) or f"; the keys there are {', '.join(known)}"
                near = "; write it under `parameters`" if key in _SETTINGS else near
                self._remarks.append(f"{node.key_places[key]}: nothing reads {shown(key)} {where}{near}")


def _text(keys: Mapping[str, Node], key: str) -> str:
    return keys[key].scalar(f"`{key}`", f"{key}: ...") if _is_given(keys, key) else ""


def _is_given(keys: Mapping[str, Node], key: str) -> bool:
    return key in keys and not keys[key].is_null


def _one_of(known: Sequence[str], node: Node, what: str = "") -> str:
    """The one of these keys that a mapping has. Raises RecipeError."""
    given = [key for key in known if _is_given(node.keys or {}, key)]
    if len(given) != 1:
        found = listed(f"`{key}`" for key in given) if given else "none of them"
        near = filter(None, (_misspelt(node, key) for key in known if not given))
        raise next(near, None) or node.where.refuse(
            f"{what}expected one of {listed(f'`{key}`' for key in known)}, and found {found}"
        )
    return given[0]


def _need(node: Node, key: str, example: str) -> None:
    if not _is_given(node.keys or {}, key):
        raise _misspelt(node, key) or node.where.refuse(f"`{key}` is missing; write `{example}`")


def _misspelt(node: Node, key: str) -> RecipeError | None:
    """The error that a key which is missing is written in another way; None where nothing looks like it."""
    for written, place in node.key_places.items():
        if written != key and nearest(written, (key,)):
            return place.refuse(f"{shown(written)} is not a key; did you mean `{key}`, which is missing?")
    return None


def read_reference(node: Node) -> Reference:
    """A model: a text, or a mapping with `model`, `lora` and `override_architecture`."""
    if node.keys is None:
        return _parsed(node.scalar("a model", "model: path/to/model"), node.where)
    for key in node.keys.keys() - {"model", "lora", "override_architecture"}:
        raise node.key_places[key].refuse(f"{shown(key)} in a model; its keys are `model` and `lora`")
    if _is_given(node.keys, "override_architecture"):
        raise node.key_places["override_architecture"].refuse(
            "`override_architecture` is not used: layers are told by the names of tensors; leave it out"
        )
    _need(node, "model", "{model: {path: path/to/model, revision: main}}")
    model = _pathed(node.keys["model"])
    lora = _pathed(node.keys["lora"]).text if _is_given(node.keys, "lora") else ""
    return Reference(model.path, model.revision, lora or model.lora, node.where)


def _pathed(node: Node) -> Reference:
    if node.keys is None:
        return _parsed(node.scalar("a model", "model: path/to/model"), node.where)
    _need(node, "path", "{path: path/to/model}")
    revision = node.keys["revision"].scalar("`revision`", "revision: main") if _is_given(node.keys, "revision") else ""
    return Reference(node.keys["path"].scalar("`path`", "path: path/to/model"), revision, "", node.where)


def _parsed(text: str, where: Where) -> Reference:
    model, _, lora = text.partition("+")
    if "+" in lora or not model or text.endswith("+"):
        raise where.refuse(
            f"{shown(text)} is not a model; expected path[@revision][+adapter], with one adapter at most"
        )
    path, _, revision = model.rpartition("@") if "@" in model else (model, "", "")
    return Reference(path, revision, lora, where)


def _layers(node: Node) -> tuple[int, int]:
    items = node.list("`layer_range`", "layer_range: [0, 8]")
    texts = [item.text or "" for item in items]
    if len(items) != 2 or not all(map(_WHOLE.fullmatch, texts)) or int(texts[0]) > int(texts[1]):
        raise node.where.refuse(
            f"`layer_range` is {shown(texts)}; expected the first layer and the one after the last, like [0, 8]"
        )
    return int(texts[0]), int(texts[1])


def _refuse_twice(source: Source, before: list[Source]) -> None:
    """Raise RecipeError for a model that stands in the same list already."""
    for earlier in before:
        if earlier.model == source.model:
            first, again = ({key: s.said for key, s in one.settings.items()} for one in (earlier, source))
            same = "the same" if first == again else "other"
            raise source.where.refuse(
                f"{shown(source.model.text)} stands on line {earlier.where.line} too, with {same} settings; a model "
                "counts once: remove one of them"
            )


def all_settings(document: Document) -> Iterator[tuple[str, Setting, str]]:
    """All settings of a merge, with where they stand: `top`, `module`, `slice` or `source`."""
    yield from ((key, setting, "top") for key, setting in document.settings.items())
    for source in document.models:
        yield from ((key, setting, "source") for key, setting in source.settings.items())
    for module in document.modules:
        yield from ((key, setting, "module") for key, setting in module.settings.items())
        for slice_ in module.slices:
            yield from ((key, setting, "slice") for key, setting in slice_.settings.items())
            for source in slice_.sources:
                yield from ((key, setting, "source") for key, setting in source.settings.items())

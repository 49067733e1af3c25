"""A mergekit file in our own form, `convert CONFIG [OUT]` [MK-13]."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from mergealgebra.formats.mergekit.grammar import read_file
from mergealgebra.formats.mergekit.merging import prepare, recipe_of
from mergealgebra.formats.mergekit.nodes import Where
from mergealgebra.formats.mergekit.opening import Opener
from mergealgebra.formats.mergekit.translation import Translated
from mergealgebra.text import printable

_INSTEAD = "merge it as it is, with `mergealgebra merge`"


def convert_file(config: Path, folder: Path) -> tuple[str, list[str]]:
    """The text of our own file, whose paths are relative to a folder, and lines about what nothing reads.

    Raises RecipeError for what our files cannot say, naming file and line, and what reading raises.
    """
    documents = read_file(config)
    if len(documents) > 1:
        raise Where(config).refuse(f"it has {len(documents)} merges, and a file of ours has one; {_INSTEAD}")
    (document,) = documents
    if document.tokens:
        raise document.where.refuse(f"what it asks of tokenizers is not converted; {_INSTEAD}")
    with ExitStack() as opened:
        opener = Opener(config, opened)
        step = prepare(document, opener, opened, None)
        translated = step.translated
        _refuse_views(translated)
        recipe = recipe_of(translated, step.base).to_map()
        models = [
            {"path": _relative(held.path, folder), "coefficient": part.coefficient, "settings": part.settings()}
            for part, held in zip(step.parts, step.held, strict=True)
        ]
        base = _relative(step.base.path, folder)
    models = [{key: value for key, value in model.items() if value not in ([], "1")} for model in models]
    entries: dict[str, Any] = {**recipe, "base": base, "models": models}
    return _dumped(entries), [*translated.remarks, *map(printable, translated.difference())]


def _refuse_views(translated: Translated) -> None:
    where = translated.document.where
    if not translated.layout.whole or translated.layout.layers:
        raise where.refuse(f"layers are stacked anew in it, which a file of ours cannot say; {_INSTEAD}")
    if translated.zeros:
        raise where.refuse(f"whole models are added up in it, which a file of ours cannot say; {_INSTEAD}")
    adapters = [part.model for part in translated.parts if part.model.lora]
    if adapters:
        raise adapters[0].where.refuse(f"an adapter beside a model is not converted; {_INSTEAD}")


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path.resolve(), folder.resolve())


def _dumped(entries: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(dict(entries), sort_keys=False, allow_unicode=True, width=100))

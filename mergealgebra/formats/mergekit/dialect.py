"""A mergekit file as a merge in mergekit's own dialect, `--as mergekit` [MK-12, NA-13]."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mergealgebra.dialects.mergekit import written_dtype
from mergealgebra.dialects.mergekit_strategies import MERGEKIT
from mergealgebra.dialects.strategy import FLAG, Word
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.formats.mergekit.ranges import say_by_layers
from mergealgebra.formats.mergekit.translation import Part, Translated
from mergealgebra.formats.mergekit.values import Value, in_binary64
from mergealgebra.methods.in_dialect import InDialect

DIALECT: Final = "mergekit-0.1.5"


@dataclass(frozen=True)
class Dialect:
    """The recipe of a merge in the dialect, from the ids of its contributions in the order of the file.

    top: settings of all. entries: of some tensors. own: of each contribution. masks: the file that has them.
    """

    method: str
    top: Mapping[str, str]
    entries: Sequence[Mapping[str, Any]]
    own: Sequence[Sequence[Mapping[str, Any]]]
    masks: Path | None

    def __call__(self, ids: Sequence[str]) -> InDialect:
        """The recipe. Raises RecipeError."""
        order = list(dict.fromkeys(ids))
        settings = [{"contribution": id_, **entry} for id_, own in zip(ids, self.own, strict=True) for entry in own]
        given: dict[str, Any] = {**self.top, "order": " ".join(order)}
        made = InDialect(self.method, DIALECT, **given, settings=[*settings, *self.entries])
        return made.with_masks(self.masks) if self.masks is not None else made

    @property
    def placeholder(self) -> InDialect:
        """The same before ids are known."""
        made = InDialect(self.method, DIALECT, **self.top)
        return made.with_masks(self.masks) if self.masks is not None else made


def in_dialect(translated: Translated, masks: Path | None, result: Callable[[str], Mapping[str, Any]]) -> Dialect:
    """The recipe of a translated file, as mergekit computes it. Raises RecipeError.

    result: the keys for a result of a dtype, by mergekit's name of it.
    """
    document, method = translated.document, translated.document.method
    strategy = MERGEKIT[method]
    top: dict[str, str] = {}
    entries: list[Mapping[str, Any]] = []
    for key, values in translated.shared.items():
        if key in strategy.settings:
            top[key], more = _said(key, values)
            entries += more
    own = []
    for part in contributions(translated):
        mine: list[Mapping[str, Any]] = []
        for key, values in part.values.items():
            name = "coefficient" if key == "weight" else key
            if strategy.coefficients if name == "coefficient" else name in strategy.settings:
                plain, more = _said(name, values)
                mine += [*more, {name: plain}]
        own.append(mine)
    if document.dtype not in ("", "auto"):
        top["dtype"] = document.dtype
        top |= result(document.out_dtype or written_dtype(method, document.dtype))
    elif document.out_dtype:
        top |= result(document.out_dtype)
    if translated.zeros and "on" in strategy.settings:
        top["on"] = "theta"
    try:
        made = Dialect(method, top, entries, own, masks)
        made.placeholder  # noqa: B018 - what does not go together is told before anything is hashed
    except MergeAlgebraError as error:
        raise type(error)(f"{document.where}: {error}") from None
    return made


def contributions(translated: Translated) -> Sequence[Part]:
    """What is contributed: SLERP goes from the base to one model, so the base is not a contribution."""
    return translated.parts[1:] if translated.document.method == "slerp" else translated.parts


def _said(key: str, values: Mapping[str, Value]) -> tuple[str, list[dict[str, Any]]]:
    """The setting of most tensors, and entries for the others."""
    setting = next((s.settings[key] for s in MERGEKIT.values() if key in s.settings), None)
    if isinstance(setting, Word) and setting.words == FLAG:
        return say_by_layers(key, values, lambda value: FLAG[0] if value.number else FLAG[1], lists=False)
    return say_by_layers(key, values, in_binary64, lists=setting is None or not setting.whole)

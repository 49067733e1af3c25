"""What is passed to `merge` beside the base: models with their coefficients, and what stands beside each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mergealgebra.addresses import PathLike
from mergealgebra.engine.checks import refuse_text
from mergealgebra.errors import AuxiliaryError, CoefficientError, NamesError, NothingVisible, RecipeError
from mergealgebra.tensors.form_names import FINETUNED, TASK_VECTOR
from mergealgebra.tensors.task_vector import Tensors
from mergealgebra.text import kind_of

#: What some methods need beside the models, by kind, a mapping for each model [CT-15].
Beside = Sequence[Mapping[str, Tensors]]

#: What a model has instead of the recipe's numbers: a mapping for all its tensors, or a list of entries [ST-9].
Numbers = Mapping[str, str | Sequence[str]]
Own = Sequence[Numbers | Sequence[Numbers]]


def pairs_of(models: Sequence[Any], coefficients: Sequence[str] | None) -> list[tuple[Any, str]]:
    """Each model with its coefficient. Raises NamesError, CoefficientError and NothingVisible."""
    if isinstance(models, (str, os.PathLike, Mapping)):
        raise NamesError(f"models is {kind_of(models)}, not a list; pass a list, such as [model]")
    found = []
    for i, model in enumerate(models):
        if isinstance(model, tuple) and (len(model) != 2 or coefficients is not None):
            wanted = "give coefficients= or pairs, not both" if len(model) == 2 else "pass (model, coefficient)"
            raise CoefficientError(f"model {i} is a tuple of {len(model)}: {wanted}")
        found.append(model if isinstance(model, tuple) else (model, "1"))
    if coefficients is not None:
        refuse_text(coefficients)
        if len(coefficients) != len(found):
            raise CoefficientError(f"{len(coefficients)} coefficients for {len(found)} models; give one for each")
        found = [(model, text) for (model, _), text in zip(found, coefficients, strict=True)]
    if not found:
        raise NothingVisible("there is nothing to merge; pass at least one task vector, or with out= one fine-tune")
    return found


def beside_each(auxiliary: Beside | None, models: int) -> Beside:
    """What stands beside each model. Raises AuxiliaryError unless there is a mapping for each."""
    if auxiliary is None:
        return [{}] * models
    if isinstance(auxiliary, (str, Mapping)) or not all(isinstance(kinds, Mapping) for kinds in auxiliary):
        raise AuxiliaryError(f"auxiliary is {kind_of(auxiliary)}; pass a list of mappings, such as [{{'fisher': F}}]")
    if len(auxiliary) != models:
        raise AuxiliaryError(
            f"{len(auxiliary)} entries of auxiliary for {models} models; give one for each, {{}} for none"
        )
    return auxiliary


def own_of_each(settings: Own | None, models: int) -> Sequence[Sequence[Numbers]]:
    """The entries of each model. Raises RecipeError unless there is a mapping or a list for each."""
    if settings is None:
        return [()] * models
    if isinstance(settings, (str, Mapping)) or not isinstance(settings, Sequence):
        raise RecipeError(f"settings is {kind_of(settings)}; pass a list, such as [{{'density': '0.5'}}, {{}}]")
    if len(settings) != models:
        raise RecipeError(f"{len(settings)} entries of settings for {models} models; give one for each, {{}} for none")
    return [([one] if one else []) if isinstance(one, Mapping) else one for one in settings]


def refuse_form(form: str | None, like: object, out: PathLike | None) -> None:
    """Raise NamesError for a form that mappings do not have, and for what says nothing about files."""
    if form not in (None, FINETUNED, TASK_VECTOR):
        raise NamesError(f"form is {form!r}; it is {FINETUNED!r} for state_dicts of models, or {TASK_VECTOR!r}")
    if out is not None and (like is not None or form == TASK_VECTOR):
        given = "like" if like is not None else "form"
        raise NamesError(
            f"{given}= is for arrays in memory, and out= merges files of fine-tunes; leave one of them out"
        )

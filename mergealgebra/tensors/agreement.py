"""What is merged of a model and its base, once buffers and tied tensors are seen to [CT-10, TV-11]."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from mergealgebra.tensors.buffers import buffer_remarks, unfit_buffers
from mergealgebra.tensors.models import Model
from mergealgebra.tensors.tied import Says, tying


@dataclass(frozen=True)
class Agreement:
    """What both sides agree on.

    names: those that are looked at. stands_for: each tensor that the model lacks though it has it under another name,
    with that name. remarks: a line for everything that was decided here.
    """

    names: frozenset[str]
    stands_for: Mapping[str, str]
    remarks: tuple[str, ...]


def agreement(form: str, model: Model, base: Model, choice: Container[str], says: Says) -> Agreement:
    """What to look at in a model and its base. form: of the model, as in CT-1. choice: the names that a user chose.

    says: whether the base's configuration ties head and embedding, by part. Raises NamesError as `tying` does.
    """
    buffers = unfit_buffers(form, model, base, choice)
    names = {name for name in (*model.records, *base.records) if name in choice}.difference(buffers)
    tied = tying(model, base, names, says)
    return Agreement(frozenset(names.difference(tied.left)), tied.stands_for, (*buffer_remarks(buffers), *tied.remarks))

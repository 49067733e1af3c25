"""What is merged of a model and its base, once buffers and tied tensors are seen to [CT-10, TV-11]."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mergealgebra.tensors.buffers import buffer_remarks, unfit_buffers
from mergealgebra.tensors.choice import Advice, leave_out
from mergealgebra.tensors.models import Model
from mergealgebra.tensors.tied import Says, tying

_NOTHING: Final[Says] = MappingProxyType({})


@dataclass(frozen=True)
class Agreement:
    """What both sides agree on.

    names: those that are looked at. stands_for: each tensor that the model lacks though it has it under another name,
    with that name. remarks: a line for everything that was decided here.
    """

    names: frozenset[str]
    stands_for: Mapping[str, str]
    remarks: tuple[str, ...]


def agreement(
    form: str,
    model: Model,
    base: Model,
    choice: Container[str],
    says: Says,
    own: Says = _NOTHING,
    advice: Advice = leave_out,
) -> Agreement:
    """What to look at in a model and its base. form: of the model, as in CT-1. choice: the names that a user chose.

    says, own: whether the configurations of the base and of the model tie head and embedding, by part. advice: how to
    leave tensors out. Raises NamesError as `tying` does.
    """
    buffers = unfit_buffers(form, model, base, choice)
    names = {name for name in (*model.records, *base.records) if name in choice}.difference(buffers)
    # A difference that lacks the head says nothing of it: only a whole model without one has its embedding for it.
    tied = tying(model, base, names, says, own if form == "finetuned" else _NOTHING, advice)
    return Agreement(frozenset(names.difference(tied.left)), tied.stands_for, (*buffer_remarks(buffers), *tied.remarks))

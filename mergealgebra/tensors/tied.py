"""Tied tensors: a head that is the embedding. Some programs save it once, some twice, some under the other's name.

A merge changes both or neither: a model in which they differ would load as another model than was merged [TV-11].
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

import numpy as np

from mergealgebra.errors import NamesError
from mergealgebra.tensors.choice import Advice
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.models import Model
from mergealgebra.tensors.parts import part_of
from mergealgebra.text import shown

#: How the names of heads and of embeddings end, in the libraries that tie them.
HEADS: Final = ("lm_head.weight", "embed_out.weight", "cls.predictions.decoder.weight")
EMBEDDINGS: Final = (
    "embed_tokens.weight",
    "wte.weight",
    "word_embeddings.weight",
    "embed_in.weight",
    "shared.weight",
    "tok_embeddings.weight",
)

_BLOCK: Final = 1 << 20

#: Whether the configuration of each part of a model ties head and embedding; None where it does not say.
Says = Mapping[str, bool | None]


@dataclass(frozen=True)
class Tying:
    """What the ties of a base ask of a model that is to be merged.

    stands_for: a tensor that the model lacks, and the one of the model that it is. left: tensors of the model that
    are another of its own, and that the base lacks. remarks: a line for each of these, and for what is odd.
    """

    stands_for: Mapping[str, str] = field(default_factory=dict)
    left: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def tying(model: Model, base: Model, choice: Container[str], says: Says, own: Says, advice: Advice) -> Tying:
    """How a model meets the ties of its base, each part by itself.

    says, own: whether the configurations of the base and of the model tie head and embedding, by part. advice: how to
    leave tensors out. Raises NamesError where they would drift apart though the base's configuration ties them.
    """
    parts: dict[str, list[str]] = {}
    for name in sorted(filter(is_vocabulary, {*model.records, *base.records}), key=str.encode):
        parts.setdefault(part_of(name, says), []).append(name)
    found = [_tying_of(names, model, base, choice, says.get(part), advice) for part, names in parts.items()]
    known = {name for tying in found for name in tying.stands_for}
    found += [_own_tie(names, model, base, choice, known) for part, names in parts.items() if own.get(part)]
    return Tying(
        {name: other for tying in found for name, other in tying.stands_for.items()},
        tuple(name for tying in found for name in tying.left),
        tuple(remark for tying in found for remark in tying.remarks),
    )


def _own_tie(names: list[str], model: Model, base: Model, choice: Container[str], known: Container[str]) -> Tying:
    """The head that the model lacks because its own configuration ties it, if it is not known from the base's ties."""
    lacks = (name for name in names if name in base.records and name not in model.records)
    heads = [name for name in lacks if ends(name, HEADS) and name in choice and name not in known]
    embeddings = [name for name in names if ends(name, EMBEDDINGS) and name in model.records]
    if len(heads) != 1 or len(embeddings) != 1:
        return Tying()
    (head,), (embedding,) = heads, embeddings
    return Tying(
        {head: embedding},
        remarks=(
            f"{shown(head)} is taken as the same as {shown(embedding)}: its own config.json ties both, and the base "
            "has two",
        ),
    )


def _tying_of(
    names: list[str], model: Model, base: Model, choice: Container[str], says: bool | None, advice: Advice
) -> Tying:
    """The same among these names, in name order, of one part."""
    ties = list(_ties(base, [name for name in names if name in base.records], says))
    stands_for: dict[str, str] = {}
    remarks: list[str] = []
    for name, other in (*ties, *((other, name) for name, other in ties)):
        if name not in model.records and name not in stands_for and other in model.records:
            if name in choice and other in choice:
                stands_for[name] = other
                remarks.append(f"{shown(name)} is taken as the same as {shown(other)}, to which the base's is tied")
            elif other in choice and says:
                raise _apart(name, other, "is left out", names, advice)
    for pair in ties:
        if all(name in model.records for name in pair) and (problem := _drift(model, pair, choice)):
            if says:
                raise _apart(*pair, problem, names, advice)
            remarks.append(
                f"{shown(pair[0])} {problem} and the base's equals its {shown(pair[1])}: the merged model has to be "
                'loaded with "tie_word_embeddings": false'
            )
    left = {name: other for name, other in _doubled(model, base, names) if name in choice}
    remarks += [f"left out, as the base has none and it equals {shown(o)}: {shown(n)}" for n, o in left.items()]
    return Tying(stands_for, tuple(left), tuple(remarks))


def is_vocabulary(name: str) -> bool:
    """Whether a tensor is a head or an embedding, by its name."""
    return ends(name, HEADS) or ends(name, EMBEDDINGS)


def untied_head(name: str, model: Model, base: Model) -> str:
    """What to add where a head of a model is not in the base; empty for other tensors."""
    both = [other for other in base.records if ends(other, EMBEDDINGS) and other in model.records]
    if not ends(name, HEADS) or not both:
        return ""
    return f", whose head may be {shown(both[0])}, and differs from that of its own model"


def ends(name: str, endings: tuple[str, ...]) -> bool:
    """Whether a name is one of these, or ends in one behind a point or a slash."""
    return any(name == end or name.endswith((f".{end}", f"/{end}")) for end in endings)


def _ties(base: Model, names: list[str], says: bool | None) -> Iterator[tuple[str, str]]:
    """The pairs of the base's tensors that are one, the head of a pair first."""
    if says is False:
        names = [name for name in names if not ends(name, HEADS)]
    for one, other in combinations(names, 2):
        if _equal(base, one, other):
            head_is_second = ends(other, HEADS) and not ends(one, HEADS)
            yield (other, one) if head_is_second else (one, other)


def _doubled(model: Model, base: Model, names: list[str]) -> Iterator[tuple[str, str]]:
    """The model's tensors that the base lacks, and the tensor in both that each equals."""
    both = [name for name in names if name in model.records and name in base.records]
    for name in names:
        if name not in base.records:
            other = next((other for other in both if _equal(model, name, other)), None)
            if other is not None:
                yield name, other


def _drift(model: Model, pair: tuple[str, str], choice: Container[str]) -> str:
    """How two tensors of a model that are one in the base would drift apart; empty if they do not."""
    head, other = pair
    chosen = [name in choice for name in pair]
    if not any(chosen):
        return ""
    if not all(chosen):
        return "is left out" if chosen[1] else f"is taken without {shown(other)}"
    return "" if _equal(model, head, other) else f"differs from its {shown(other)}"


def _apart(head: str, other: str, problem: str, names: list[str], advice: Advice) -> NamesError:
    todo = advice([head, other], [name for name in names if name not in (head, other)])
    return NamesError(
        f"tensor {shown(head)} {problem}, but the base's config.json ties both, and they would drift apart: take both, "
        f"or {todo}"
    )


def _equal(model: Model, one: str, other: str) -> bool:
    """Whether two tensors have one dtype, shape and bytes; those that differ mostly do in the first block."""
    ours, theirs = model.records[one], model.records[other]
    if (ours.dtype, tuple(ours.shape)) != (theirs.dtype, tuple(theirs.shape)):
        return False
    unit = f"u{DTYPES[ours.dtype].itemsize}"
    for start in range(0, ours.size, _BLOCK):
        stop = min(start + _BLOCK, ours.size)
        if not np.array_equal(model.read(one, start, stop).view(unit), model.read(other, start, stop).view(unit)):
            return False
    return True

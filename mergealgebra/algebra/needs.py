"""What a method needs beside base and task vectors: data, like the method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from mergealgebra.errors import MethodError
from mergealgebra.text import listed, shown

#: The kinds of auxiliary tensors that methods can read: those with a number for each element, read block by block.
BY_ELEMENT: Final = frozenset({"fisher"})


@dataclass(frozen=True)
class Needs:
    """What a method needs beside base and task vectors.

    auxiliary: kinds of auxiliary tensors that every contribution must have, of BY_ELEMENT. roots: the root of each
    contribution's tensors, from which masks are made. negative: whether coefficients may be negative [RC-6]. arity: how
    many contributions there must be; None for any. on: the task vectors, or the models themselves: of those tau_m is
    the merged model, and there is no lambda. copies: whether bits that all models have are copied [MG-14]. base:
    whether it looks at the base in `view.base`; so it has no aggregate. task: the id of a contribution that must be
    there once; empty where none is asked for [RC-13].
    """

    auxiliary: frozenset[str] = frozenset()
    roots: bool = False
    negative: bool = False
    arity: int | None = None
    on: Literal["tau", "theta"] = "tau"
    copies: bool = False
    task: str = ""
    base: bool = False

    def __post_init__(self) -> None:
        if unknown := self.auxiliary - BY_ELEMENT:
            raise MethodError(
                f"Needs: a method cannot read auxiliary tensors of the kind {shown(min(unknown))}; contributions bring "
                f"{listed(sorted(BY_ELEMENT))}, a number from 0 on for each parameter: write your numbers as that kind"
            )
        if self.on not in ("tau", "theta"):
            raise MethodError(f"Needs: on={self.on!r} is unknown; expected 'tau' or 'theta'")
        if self.copies and self.on != "theta":
            raise MethodError("Needs: copies=True copies bits of models; write on='theta' too, or leave it out")

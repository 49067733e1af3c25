"""A dialect as a round over whole tensors, which the engine runs like any other [RC-9, DI-1]."""

from __future__ import annotations

from functools import partial

from mergealgebra.algebra.method import WholeRound
from mergealgebra.dialects.memory import group_bytes
from mergealgebra.dialects.merge import merge_models
from mergealgebra.dialects.points import Dialect


def round_of(dialect: Dialect, density: str, lambda_: str) -> WholeRound:
    """The round that computes what the dialect is named after. density, lambda_: decimals."""
    return WholeRound(
        unit="tensor" if dialect["scope"] == "tensor" else "model",
        merge=partial(merge_models, dialect, density=density, lambda_=lambda_),
        nbytes=partial(group_bytes, dialect),
        name=f"dialect {dialect.name}",
    )

"""What a part adds of a tile before trim and coefficient: its task vector or its model, of which some is dropped."""

from __future__ import annotations

from mergealgebra.kernels.fused.drop import drop
from mergealgebra.kernels.fused.memory import ahead, compiled
from mergealgebra.kernels.fused.table import (
    ADDRESS,
    DTYPE,
    FINETUNED,
    KEY,
    NO_DROP,
    OTHER_KEY,
    POSITION,
    TAU,
)
from mergealgebra.kernels.fused.tau import find_tau
from mergealgebra.kernels.fused.theta import find_theta


@compiled
def find_vector(part, start, base, old, how, words, vector):
    """The vector of a tile. Returns the bits of the largest magnitude before anything is dropped.

    base, old: as `find_tau` takes them. how: what is merged, the bound and the density. words: as `drop` takes them.
    """
    on, bound, density = how
    code = part[DTYPE]
    held = (ahead(part[ADDRESS], code, start), code, part[FINETUNED])
    largest = find_tau(held, base, old, vector) if on == TAU else find_theta(held, base, old, vector)
    if bound != NO_DROP:
        drop(part[KEY], part[OTHER_KEY], part[POSITION] + start, bound, density, words, vector)
    return largest

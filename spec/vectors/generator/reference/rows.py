"""What looks at rows: breadcrumbs, which may, and DELLA, which does [BC-1 to BC-3, DE-2 to DE-4]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import floor

from generator.reference.masks import keeps, mask_key
from generator.reference.recipes import Recipe
from generator.reference.reduction import keep
from generator.reference.rounding import F32, F64, magnitude, rn, rounded, value
from generator.reference.tensors import Tensor, Tensors, tensor_of_bits


def rows_of(t: Tensor) -> Iterator[range]:
    """The positions of each row; a tensor without elements has none [BC-1]."""
    columns = t.shape[-1] if t.shape else 1
    for first in range(0, t.elements, columns or 1):
        yield range(first, first + columns)


# -- breadcrumbs ---------------------------------------------------------------------------------------------


def crumbs(taus: Tensors, recipes: Mapping[str, Recipe]) -> dict[str, Tensor]:
    """What breadcrumbs leave of a task vector."""
    result = {}
    for name, t in taus.items():
        recipe = recipes[name]
        bits, kept = t.bits(), list[int]()
        for group in rows_of(t) if recipe.scope == "row" else [range(t.elements)]:
            kept += crumbs_of([bits[i] for i in group], recipe)
        result[name] = tensor_of_bits("F32", t.shape, kept)
    return result


def crumbs_of(group: Sequence[int], recipe: Recipe) -> list[int]:
    """The same of the bits of one group: cut, then trim [BC-2, BC-3]."""
    if not group or recipe.gamma is None or recipe.density is None:
        return []
    magnitudes = [magnitude(F32, x) for x in group]
    u = sorted(magnitudes, reverse=True)[floor(recipe.gamma * len(group))]
    below = [0 if x > u else x for x in magnitudes]
    return [x if kept else 0 for x, kept in zip(group, keep(below, recipe.density, "keep_all"), strict=True)]


# -- DELLA ---------------------------------------------------------------------------------------------------


def probability(density: Fraction, epsilon: Fraction, r: int, n: int) -> Fraction:
    """p of the rank r among n, an fp64 number [DE-3]."""
    if n == 1:
        return r64(density)
    step = r64(r64(r64(2 * epsilon) * (r - 1)) / (n - 1))
    return min(r64(density + epsilon), r64(r64(density - epsilon) + step))


def r64(x: Fraction) -> Fraction:
    return value(F64, rn(F64, x))


def ranks(group: Sequence[int]) -> list[int]:
    """The rank of each element of a row, from 1 on [DE-2]."""
    ascending = sorted(range(len(group)), key=lambda i: (magnitude(F32, group[i]), i))
    return [ascending.index(i) + 1 for i in range(len(group))]


def dropped_by_rank(taus: Tensors, root: bytes, recipes: Mapping[str, Recipe]) -> dict[str, Tensor]:
    """What DELLA leaves of a task vector, perhaps not finite; root: of the tensors that are contributed [DE-4]."""
    result = {}
    for name, t in taus.items():
        recipe = recipes[name]
        if recipe.drop is None or recipe.epsilon is None:
            raise ValueError(f"{recipe.method} drops nothing by rank")
        key, bits, kept = mask_key(recipe.seed, root, name), t.bits(), list[int]()
        for row in rows_of(t):
            for i, r in zip(row, ranks([bits[i] for i in row]), strict=True):
                p = probability(recipe.drop, recipe.epsilon, r, len(row))
                kept.append(rounded(value(F32, bits[i]) / p, F64, F32) if keeps(key, i, p) else 0)
        result[name] = tensor_of_bits("F32", t.shape, kept)
    return result

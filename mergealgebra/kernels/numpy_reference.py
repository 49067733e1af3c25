"""The reference on NumPy, which also brings sums up to date that are stored from merge to merge [EX-4, EX-5]."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mergealgebra.algebra.arrays import refuse_flushed_subnormals
from mergealgebra.algebra.contract import finalized, lifted
from mergealgebra.algebra.exact import LIMITS, Indices, Sums, grid_exponents
from mergealgebra.algebra.method import Round, Terms
from mergealgebra.kernels.blocks import UNKNOWN, Part, Reduced, Reduction, StoredBits, StoredSums, Updated
from mergealgebra.kernels.reference import Host, Reference, summed
from mergealgebra.kernels.result import copied, merged_block
from mergealgebra.kernels.views import after, finite_terms, left, through, usable, view_of
from mergealgebra.tensors.block_vectors import own_bits


class NumPyReference(Reference):
    """The equations on NumPy, which bring the sums of an aggregate up to date too."""

    def update(
        self, base: Host, stored: StoredSums, retracted: Sequence[Part], added: Sequence[Part], reduction: Reduction
    ) -> Updated | None:
        """As `UpdatingKernel.update`."""
        parts, (round_,) = (*retracted, *added), reduction.rounds
        views = self._views(base, parts, reduction.needs.on)
        if views is None:
            return None
        reached = [after(view, round_.stages, part.found) for view, part in zip(views, parts, strict=True)]
        terms = [lifted(round_, one.view) for one in reached]
        if not all(map(finite_terms, terms)):
            return None
        for i, term in enumerate(terms):
            _change(stored, np.subtract if i < len(retracted) else np.add, term)
        failing = (stored.magnitudes >= LIMITS[stored.grids]).any(axis=0)
        if stored.models is not None:
            _change_models(stored.models, base, retracted, added)
            failing |= _unclear(stored.models, len(reduction.coefficients.held))
        missed = np.flatnonzero(failing)
        merged = self._merged(base, _finalized(round_, stored, missed, reduction), reduction)
        if merged is None:
            return None
        if stored.models is not None:
            merged = _copied(merged, stored.models, len(reduction.coefficients.held))
        merged[missed] = base[missed]
        counts = tuple(left(one.view, reduction.rounds) for one in reached)
        return Updated(merged, counts, tuple(one.witnesses for one in reached), missed)


@dataclass(frozen=True)
class Settled:
    """Some coordinates merged from all their parts. data: (n,) in the base's dtype. stored: their sums, which mean
    nothing where they have no certificate. uncertified: how many those are [EX-3]."""

    data: Host
    stored: StoredSums
    uncertified: int


def settle(base: Host, parts: Sequence[Part], reduction: Reduction) -> Settled | None:
    """Merge coordinates from all parts that there are, at least one. None when some number is not finite.

    They are whole units of the method.
    """
    (round_,) = reduction.rounds
    views = [view_of(part, part.values, base, reduction.needs.on) for part in parts]
    terms = [lifted(round_, through(view, round_.stages, part.found)) for view, part in zip(views, parts, strict=True)]
    if not all(map(finite_terms, terms)):
        return None
    sums = summed(terms, round_, reduction)
    merged = merged_block(base, finalized(round_, sums, reduction.coefficients), reduction)
    if merged is None:
        return None
    stored = _stored(sums)
    if reduction.needs.copies:
        merged = copied(merged, base, [(part.values, part.form) for part in parts])
        stored = replace(stored, models=_models(base, parts))
    return Settled(merged, stored, sums.uncertified.size)


def unheld(base: Host, retracted: Sequence[Part], reduction: Reduction) -> Reduced | None:
    """A block that nobody holds any more, so that it is the base's; what is taken out is counted all the same.

    None when some number is not finite.
    """
    (round_,) = reduction.rounds
    views = [view_of(part, part.values, base, reduction.needs.on) for part in retracted]
    if not all(map(usable, views)):
        return None
    reached = [after(view, round_.stages, part.found) for view, part in zip(views, retracted, strict=True)]
    counts = tuple(left(one.view, reduction.rounds) for one in reached)
    return Reduced(base, counts, tuple(one.witnesses for one in reached), 0)


def on_numpy() -> NumPyReference:
    """The equations on NumPy."""
    return NumPyReference(
        "numpy", lambda host: host, lambda array: array, lambda: refuse_flushed_subnormals(np), (on_numpy, ())
    )


# Sums that are stored


def _change(stored: StoredSums, join: np.ufunc, terms: Terms) -> None:
    """Add the terms of one contribution to stored sums, or subtract them."""
    for i, term in enumerate(terms.sums):
        wide = term.astype(np.float64)
        stored.sums[i] = join(stored.sums[i], wide)
        stored.magnitudes[i] = join(stored.magnitudes[i], abs(wide))
        np.minimum(stored.grids[i], grid_exponents(term), out=stored.grids[i])
    if stored.weights.size:
        votes = np.sign(terms.sums[0]).astype(np.float64) * terms.votes
        stored.signs[:] = join(stored.signs, votes)
        stored.weights[:] = join(stored.weights, abs(votes))


def _finalized(round_: Round, stored: StoredSums, missed: Indices, reduction: Reduction) -> Host:
    """What the round gives of stored sums, and 0 where they are missed: they may be anything there."""
    if not missed.size:
        return np.asarray(finalized(round_, _by_sign(stored), reduction.coefficients))
    there = np.delete(np.arange(stored.grids.shape[1]), missed)
    found = np.zeros(stored.grids.shape[1], np.float32)
    if there.size:
        found[there] = finalized(round_, _by_sign(stored.only(there)), reduction.coefficients)
    return found


def _change_models(models: StoredBits, base: Host, retracted: Sequence[Part], added: Sequence[Part]) -> None:
    """Take the bits of some models out, and put others in."""
    for part in retracted:
        own, known = _bits(models, base, part)
        models.others[...] -= known & (own != models.bits)
        models.known[...] -= known
    for part in added:
        own, known = _bits(models, base, part)
        np.copyto(models.bits, own, where=known & (models.known == 0))
        models.others[...] += known & (own != models.bits)
        models.known[...] += known


def _bits(models: StoredBits, base: Host, part: Part) -> tuple[Host, Host]:
    """A model's bits as unsigned numbers, and where they are known."""
    own, known = own_bits(part.values, base, part.form)
    return own.view(_unsigned(base)).astype(models.bits.dtype), known


def _unsigned(base: Host) -> str:
    return f"u{base.dtype.itemsize}"


def _unclear(models: StoredBits, count: int) -> Host:
    """Where all of so many models are known, and none has the bits that are kept: they may still be the same."""
    return np.asarray((models.known == count) & (models.others == count))


def _copied(merged: Host, models: StoredBits, count: int) -> Host:
    """The merged block with the bits of the models where so many have the same."""
    alike = (models.known == count) & (models.others == 0)
    return np.where(alike, models.bits.astype(_unsigned(merged)).view(merged.dtype), merged)


def _models(base: Host, parts: Sequence[Part]) -> StoredBits:
    """The bits of these models."""
    models = StoredBits(np.zeros(base.size, _unsigned(base)), *np.zeros((2, base.size), np.int16))
    _change_models(models, base, [], parts)
    return models


def _pairs(stored: StoredSums) -> Iterator[tuple[Host, Host]]:
    """S and A of each sum, and V and W where there are votes."""
    yield from zip(stored.sums, stored.magnitudes, strict=True)
    if stored.weights.size:
        yield stored.signs, stored.weights


def _by_sign(stored: StoredSums) -> Sums:
    """Stored sums as S+, S-, W+ and W-, exactly [EX-2]."""
    columns: list[Host] = []
    for total, magnitude in _pairs(stored):
        wide = magnitude.astype(np.float64)  # V and W may be int16, which need not hold twice a count
        columns += [(wide + total) * 0.5, (total - wide) * 0.5]
    return Sums(tuple(columns), tuple(stored.grids))


def _stored(sums: Sums) -> StoredSums:
    """The inverse, marked where there is no certificate."""
    pairs = [(sums.columns[i], sums.columns[i + 1]) for i in range(0, len(sums.columns), 2)]
    totals, magnitudes = [x + y for x, y in pairs], [x - y for x, y in pairs]
    q = len(sums.grids)
    votes, weights = (totals[q], magnitudes[q]) if sums.weighs else (np.empty(0), np.empty(0))
    stored = StoredSums(np.stack(totals[:q]), np.stack(magnitudes[:q]), votes, weights, np.stack(sums.grids))
    stored.put(sums.uncertified, UNKNOWN)
    return stored

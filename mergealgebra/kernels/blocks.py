"""What a kernel takes and gives: one block of a merge, the parts that contributions hold of it, and the result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Literal, Protocol, runtime_checkable

from mergealgebra.algebra.arrays import Array
from mergealgebra.algebra.exact import Coefficients, Indices
from mergealgebra.algebra.method import Round, Stage, Statistic, WholeRound
from mergealgebra.algebra.needs import Needs
from mergealgebra.errors import BackendError, MethodError, RecipeError
from mergealgebra.methods.method import Method
from mergealgebra.text import shown

#: What the proofs of a part's statistics count, in the order of the stages.
Witnesses = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Where:
    """Where the elements of a part lie: the tensor, its shape, the first of them in C order, and the whole's root.

    root: of the contribution's tensors; empty where the method needs no roots. id: the contribution's; empty where the
    method needs no task.
    """

    tensor: str = ""
    shape: tuple[int, ...] = ()
    start: int = 0
    root: str = ""
    id: str = ""


@dataclass(frozen=True)
class Way:
    """How a contribution goes into the sums: by the stages and lifts of these rounds."""

    rounds: tuple[Round, ...]

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of all rounds, in order."""
        return tuple(stage for round_ in self.rounds for stage in round_.stages)


@dataclass(frozen=True)
class Part:
    """What one contribution holds of a block, and what is known of it.

    values: (n,) in the storage dtype. form: `finetuned` or `task_vector` [CT-1]. coefficient: an fp32 number.
    found: for each stage of the round what its statistic found of this block; None for a stage without.
    auxiliary: (n,) by kind, in storage dtypes. at: ascending positions, when only those are of interest. weights: for
    each round the coefficient that it has there, None where that is its own; empty for a method without such rounds.
    way: where settings are for this contribution, how it goes into the sums [ST-8].
    """

    values: Array
    form: str
    coefficient: float
    found: tuple[Any, ...] = ()
    where: Where = Where()
    auxiliary: Mapping[str, Array] = field(default_factory=dict)
    at: Indices | None = None
    weights: tuple[float | None, ...] = ()
    way: Way | None = None

    def round_in(self, rounds: Sequence[Round], number: int) -> Round:
        """The round of a tensor by whose stages and lift this part goes."""
        return rounds[number] if self.way is None else self.way.rounds[number]

    def only(self, positions: Indices) -> Part:
        """The part at some ascending positions of the block."""
        auxiliary = {kind: array[positions] for kind, array in self.auxiliary.items()}
        at = positions if self.at is None else self.at[positions]
        return replace(self, values=self.values[positions], auxiliary=auxiliary, at=at)


@dataclass(frozen=True)
class Reduction:
    """How a merge reduces the blocks of a tensor: the same for all of them."""

    method: Method
    coefficients: Coefficients

    @cached_property
    def rounds(self) -> tuple[Round, ...]:
        """The rounds of the method, all of which are block by block."""
        return block_rounds(self.method)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of all rounds, in order."""
        return tuple(stage for round_ in self.rounds for stage in round_.stages)

    @cached_property
    def needs(self) -> Needs:
        """What the method needs."""
        return self.method.needs

    @cached_property
    def lambda32(self) -> float:
        """lambda as an fp32 number [MG-1]."""
        return self.method.lambda32


@dataclass(frozen=True)
class Watch:
    """What is looked for in a part: a statistic's look at what earlier stages of its round leave. on: as in `Needs`.

    round_: the number of the round.
    """

    statistic: Statistic
    look: Any
    stages: tuple[Stage, ...] = ()
    on: Literal["tau", "theta"] = "tau"
    round_: int = 0


@dataclass(frozen=True)
class Reduced:
    """A block of the merged model, and what was counted on the way.

    data: (n,) in the base's dtype. kept: for each part, how many of its elements the stages left. witnesses: for each
    part and each stage with a statistic, what the proof of that counts. uncertified: how many coordinates needed
    integers to sum them exactly [EX-3].
    """

    data: Array
    kept: tuple[int, ...]
    witnesses: tuple[Witnesses, ...]
    uncertified: int


class Kernel(Protocol):
    """Reduces blocks and looks for statistics, to the bits of the equations. Arrays are on the host, 1-D."""

    @property
    def name(self) -> str:
        """What the backend is called in a lock."""
        ...

    @property
    def block(self) -> int:
        """The most elements that a block should have, unless somebody says otherwise."""
        ...

    def computes(self, method: Method) -> bool:
        """Whether `reduce` has this method. Other methods are the reference's."""
        ...

    def check_worker(self) -> None:
        """Raise SubnormalsFlushed when the calling thread, or the device, reads or writes subnormals as zero [MG-9]."""
        ...

    def reduce(self, base: Any, parts: Sequence[Part], reduction: Reduction) -> Reduced | None:
        """The merged block. base: (n,) in its storage dtype. None when some number is not finite, to be named.

        Raises BackendError for a method that it does not compute.
        """
        ...

    def observe(self, base: Any, part: Part, watch: Watch, seen: Any, shared: Sequence[Any] = ()) -> Any | None:
        """What was seen of a statistic's group, this part of it included; `seen` may be changed and returned.

        base: (n,) in its storage dtype. shared: what `share` gave for the watch's round. None when some number is not
        finite, to be named.
        """
        ...

    def share(self, base: Any, parts: Sequence[Part], reduction: Reduction, rounds: int) -> Sequence[Any] | None:
        """What the first rounds give of a block, where the kernel computes. None when some number is not finite."""
        ...

    def dots(self, base: Any, parts: Sequence[Part], reduction: Reduction, round_: int, known: int = 0) -> Any | None:
        """The dot products of each pair of parts as the stages of a round leave them, by chunk [DT-2].

        base: (n,) whole chunks, but for the end of a tensor. known: so many of the first parts are left out with each
        other. Returns (pairs, chunks) fp64, NumPy: of the first part with itself, with the second, and so on; in a
        round of squares of each with itself, and none is known. None when some number is not finite, to be named.
        """
        ...


@dataclass(frozen=True)
class StoredBits:
    """The bits of the models in a block, as far as they tell whether all have the same [MG-14]; changed in place.

    bits: (n,) unsigned, those that some model had which was known when no other was. known: (n,) int16, how many models
    are known bit by bit. others: (n,) int16, how many of these have other bits.
    """

    bits: Array
    known: Array
    others: Array

    def only(self, at: Indices) -> StoredBits:
        """Those at some positions, copied."""
        return StoredBits(self.bits[at], self.known[at], self.others[at])

    def put(self, at: Any, other: StoredBits) -> None:
        """As `StoredSums.put`."""
        self.bits[at], self.known[at], self.others[at] = other.bits, other.known, other.others


@dataclass(frozen=True)
class StoredSums:
    """The sums of a block, as an aggregate keeps them from merge to merge; kernels change them in place.

    sums, magnitudes: (q, n) fp64, S = sum of the terms and A = sum of their magnitudes, for each of q sums; where A is
    infinite, nothing here means anything. signs, weights: V and W, likewise of the coefficients with the signs of the
    first terms: (n,) int16, fp64 where those are not all 1, and (0,) for a method without votes. grids: (q, n) uint8,
    the biased exponent of the least grid of any term that ever was among them, 255 where there was none [EX-2]. models:
    for a method that copies bits; what they are means something everywhere.
    """

    sums: Array
    magnitudes: Array
    signs: Array
    weights: Array
    grids: Array
    models: StoredBits | None = None

    def only(self, at: Indices) -> StoredSums:
        """Those at some positions, copied."""
        votes = (self.signs[at], self.weights[at]) if self.weights.size else (self.signs, self.weights)
        models = None if self.models is None else self.models.only(at)
        return StoredSums(self.sums[:, at], self.magnitudes[:, at], *votes, self.grids[:, at], models)

    def put(self, at: Any, other: StoredSums) -> None:
        """Set these at some positions. other: as many sums as positions, or the same for all."""
        self.sums[:, at], self.magnitudes[:, at], self.grids[:, at] = other.sums, other.magnitudes, other.grids
        if self.weights.size:
            self.signs[at], self.weights[at] = other.signs, other.weights
        if self.models is not None and other.models is not None:
            self.models.put(at, other.models)


#: The sums of a coordinate without certificate.
UNKNOWN: Final = StoredSums(0.0, math.inf, 0, 0, 255)


@dataclass(frozen=True)
class Updated:
    """A block of the merged model after an update of its sums, but for the positions in `missed`.

    data: (n,) in the base's dtype, at the missed positions the base's. kept, witnesses: as in `Reduced`, for each part,
    the retracted ones first. missed: the ascending positions whose sums have no certificate, and now mean nothing, or
    where the bits that are kept do not tell whether all models have the same.
    """

    data: Array
    kept: tuple[int, ...]
    witnesses: tuple[Witnesses, ...]
    missed: Indices


@runtime_checkable
class UpdatingKernel(Kernel, Protocol):
    """A kernel that can also bring the sums of an aggregate up to date."""

    def update(
        self, base: Any, stored: StoredSums, retracted: Sequence[Part], added: Sequence[Part], reduction: Reduction
    ) -> Updated | None:
        """Take parts out of the sums, put others in, and merge the block [EX-4, EX-5].

        base: (n,) in its storage dtype. reduction: that of all contributions that are in the sums afterwards; their
        coefficients are certified. None when some number is not finite; then the sums are spoilt.
        """
        ...


def block_rounds(method: Method) -> tuple[Round, ...]:
    """The rounds of a method that is computed block by block. Raises BackendError for one over whole tensors."""
    rounds = tuple(round_ for round_ in method.rounds if isinstance(round_, Round))
    if len(rounds) != len(method.rounds):
        raise BackendError(f"{method.name} is computed over whole tensors, which no kernel does")
    return rounds


def whole_round(recipe: Method) -> WholeRound | None:
    """The only round of a method over whole tensors; None for one that is computed block by block."""
    for round_ in recipe.rounds:
        if not isinstance(round_, Round | WholeRound):
            raise MethodError(f"{recipe.name}: {shown(round_)} is not a round; `rounds` returns (algebra.Round(...),)")
    found = [round_ for round_ in recipe.rounds if isinstance(round_, WholeRound)]
    if found and len(recipe.rounds) > 1:
        raise RecipeError(f"{recipe.name}: a round over whole tensors must be the only one")
    return found[0] if found else None

"""What a merge method is: data. A list of rounds, and what the method needs; engine and kernels know nothing else.

    for each round:   find the statistics   ->   stages   ->   lift into exact sums   ->   finalize

A round sees one contribution at a time, or whole tensors of all of them. The last round gives tau_m, the merged task
vector; an earlier one gives what later rounds may use. No array library is loaded for the description of a method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mergealgebra.errors import MethodError

if TYPE_CHECKING:
    from mergealgebra.algebra.arrays import Array
    from mergealgebra.algebra.exact import Coefficients, Indices, Sums


@dataclass(frozen=True)
class View:
    """What one contribution holds of a block of a tensor.

    tau: (n,) fp32, finite: the task vector, or the model itself for a method on theta; after a stage, what that left.
    coefficient: an fp32 number. tensor: its name. shape: of the whole tensor. start: the position of the block in it,
    in C order. at: the positions in the block, ascending, when only some of it is looked at. root: of the
    contribution's tensors, where the method needs roots. id: the contribution's, where the method needs a task.
    auxiliary: (n,) fp32 by kind. shared: what earlier rounds gave. found: what statistics of this round's stages
    found, in order. base: (n,) in its storage dtype, for a method that needs it.
    """

    tau: Array
    coefficient: float
    tensor: str = ""
    shape: tuple[int, ...] = ()
    start: int = 0
    at: Indices | None = None
    root: str = ""
    id: str = ""
    auxiliary: Mapping[str, Array] = field(default_factory=dict)
    shared: Sequence[Array] = ()
    found: tuple[Any, ...] = ()
    base: Array | None = None

    def with_tau(self, tau: Array) -> View:
        """The same with another vector, as after a stage."""
        return replace(self, tau=tau)


@dataclass(frozen=True)
class Terms:
    """What one contribution adds to the sums of a block.

    sums: (n,) fp32 each, in the order of the columns. votes: 0, 1 or the view's coefficient, added to W+ or W- with the
    sign of the first of them, where the round has votes. maxima: (n,) fp32 each, of which the greatest is taken.
    """

    sums: tuple[Array, ...]
    votes: float = 0.0
    maxima: tuple[Array, ...] = ()


@dataclass(frozen=True)
class Columns:
    """What a round sums: so many exact sums, each with a certificate of its own; sums of coefficients; maxima [EX-1].

    A sum can be taken back, a maximum cannot [EX-5].
    """

    sums: int = 1
    votes: bool = False
    maxima: int = 0

    def __post_init__(self) -> None:
        if self.sums + self.maxima < 1 or (self.votes and not self.sums):
            raise MethodError(f"{self!r} has nothing to sum; give it at least one sum, or without votes one maximum")


@dataclass(frozen=True)
class Group:
    """Tensors of one contribution, by its index in the order, that a statistic takes as one vector.

    names: in name order. size: how many elements they have together, at least 1.
    """

    index: int
    names: tuple[str, ...]
    size: int


class Statistic(Protocol):
    """What is found of a group by reading it: in one pass, or in several, each of which looks more closely.

    What was seen in parts of a group is combined in any order, so it must not depend on one. `proves` tells from the
    pass that merges whether an answer was the right one; so it may be cached from merge to merge. One that has no proof
    is found anew for every merge, and the engine sees to it that all passes read the same bytes.
    """

    @property
    def scope(self) -> Literal["model", "tensor"]:
        """Whether a group is the whole task vector, or one tensor of it."""
        ...

    @property
    def proved(self) -> bool:
        """Whether `proves` can tell a wrong answer."""
        ...

    @property
    def key(self) -> Sequence[str]:
        """What the answer depends on beside the contribution and earlier stages."""
        ...

    def first(self, group: Group, sample: Array | None) -> Any:
        """Where to look first. sample: (n,) fp32 of a large group's elements, taken evenly; None of a small one."""
        ...

    def reads(self, look: Any, tensor: str, start: int, stop: int) -> bool:
        """Whether a look is at these elements of a tensor."""
        ...

    def nothing(self, look: Any) -> Any:
        """What was seen before anything was read."""
        ...

    def observe(self, look: Any, view: View, seen: Any) -> Any:
        """What was seen, this block included; `seen` may be changed and returned."""
        ...

    def combine(self, look: Any, one: Any, other: Any) -> Any:
        """What was seen in two parts of a group together: commutative and associative."""
        ...

    def nbytes(self, look: Any) -> int:
        """The memory that what is seen takes, about."""
        ...

    def settle(self, look: Any, group: Group, seen: Any) -> tuple[bool, Any]:
        """(True, the answer), or (False, where to look next). Raises LookupError for what cannot have been seen."""
        ...

    def within(self, answer: Any, tensor: str, start: int, stop: int) -> Any:
        """What an answer says of these elements of a tensor, which is what the stage gets."""
        ...

    def witness(self, before: View, after: View, found: Any) -> tuple[int, ...]:
        """What the proof counts of a block, before and after the stage; counts are added up."""
        ...

    def proves(self, answer: Any, group: Group, witness: tuple[int, ...]) -> bool:
        """Whether the answer was the right one for what was merged."""
        ...

    def packed(self, answer: Any) -> Any:
        """The answer as canonical data, to be cached if it is proved, or kept beside sums; None if it cannot be."""
        ...

    def unpacked(self, data: Any) -> Any:
        """The inverse; None for what no answer is."""
        ...


class Stage(Protocol):
    """One step on the way from a task vector to what is summed: trim, drop, rescale."""

    @property
    def statistic(self) -> Any:
        """The `Statistic` that it must know first, of the vector as earlier stages leave it; None without."""
        ...

    @property
    def key(self) -> Sequence[str]:
        """What its result depends on beside the contribution: part of the keys of later statistics."""
        ...

    def __call__(self, view: View, found: Any) -> Array:
        """(n,) fp32, its zeros +0. found: what its statistic found of the block; None where it has none."""
        ...


#: What contributions are to each other: the dot products of their vectors, one tensor of each; n rows of n numbers.
Gram = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Look:
    """A stage that leaves the vector as it is: what its statistic found is in `view.found` from there on."""

    statistic: Statistic

    @property
    def key(self) -> Sequence[str]:
        """As `Stage.key`: nothing that comes later sees another vector by it."""
        return ()

    def __call__(self, view: View, found: Any) -> Array:
        """The vector itself."""
        return view.tau


@dataclass(frozen=True)
class Round:
    """One pass over all contributions, block by block.

    lift: a view after all stages to the terms that it adds. finalize: the sums and the coefficients of all
    contributions to (n,) fp32. stages: each round begins with the contribution itself, not with what stages of earlier
    rounds left. unit: what a block must be a whole number of. weigh: where contributions have other coefficients in
    this round than their own: from the dot products of what the stages leave of a tensor [DT-5], and the coefficients
    of those that hold it, to an fp32 number for each, with no order in it. squares: only products with itself; else 0.

    Equations use the array API, so that they run on NumPy and torch: `xp = algebra.array_namespace(x)`. They look at
    one element, or one unit, at a time, and at nothing but what they are given. Addition, subtraction, multiplication,
    division, comparison and `where` are the same everywhere; what a library calls `sum`, `mean`, `sqrt`, `exp`, `sort`
    or `topk` is not.
    """

    lift: Callable[[View], Terms]
    finalize: Callable[[Sums, Coefficients], Array]
    columns: Columns = Columns()
    stages: tuple[Stage, ...] = ()
    unit: Literal["element", "row", "tensor"] = "element"
    weigh: Callable[[Gram, Sequence[float]], Sequence[float]] | None = None
    squares: bool = False

    def __post_init__(self) -> None:
        if self.unit not in ("element", "row", "tensor"):
            raise MethodError(f"Round: unit={self.unit!r} is unknown; expected 'element', 'row' or 'tensor'")
        for stage in self.stages:
            if not (callable(stage) and hasattr(stage, "statistic") and hasattr(stage, "key")):
                raise MethodError(
                    f"Round: {stage!r} is not a stage: it needs `statistic` (None where it has none), `key` and "
                    "`__call__`, as algebra.Stage says"
                )


def leaves_out(round_: Round | WholeRound) -> bool:
    """Whether elements of a contribution may not count in a round: those that a stage or a dialect leaves out."""
    if isinstance(round_, WholeRound):
        return True
    return any(not isinstance(stage, Look) for stage in round_.stages)


@dataclass(frozen=True)
class WholeModel:
    """One of the models of a round over whole tensors.

    label: what messages call it. tensors: name -> array in its storage dtype and shape. coefficient: a decimal.
    form: `finetuned`, or `task_vector` if the tensors are differences. id: the contribution's, where it has one.
    """

    label: str
    tensors: Mapping[str, Any]
    coefficient: str = "1"
    form: str = "finetuned"
    id: str = ""


@dataclass(frozen=True)
class WholeRound:
    """A round that sees whole tensors of all contributions, in canonical order [TI-1]. It is the only one.

    unit: what is in memory together. merge: the base's tensors and the models to the merged tensors, and for each model
    how many elements were kept of each of its tensors. nbytes: the memory that elements of these sizes take at most:
    for the dtypes of the base's tensors, their elements, those of the inputs in bytes, and the number of models.
    name: what messages call it.
    """

    unit: Literal["tensor", "model"]
    merge: Callable[[Mapping[str, Any], Sequence[WholeModel]], tuple[dict[str, Any], list[dict[str, int]]]]
    nbytes: Callable[[Sequence[str], int, int, int], int]
    name: str

"""Which methods the fused kernels compute, by the equations of their only round; they compute no other.

A method from anywhere whose round is made of these very equations is computed too. All else is the reference's, or an
error where a kernel is asked for by name: code never falls through to another method's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Literal

from mergealgebra.algebra.method import Columns, Round, Stage
from mergealgebra.algebra.outliers import Ceilings, CutLargest
from mergealgebra.algebra.thresholds import Thresholds, Trim
from mergealgebra.algebra.trim import Window
from mergealgebra.errors import BackendError
from mergealgebra.kernels.blocks import Part, Watch, Witnesses
from mergealgebra.kernels.fused.table import LINEAR, MEAN, NO_CEILING, TASK_ARITHMETIC, TIES_MERGING
from mergealgebra.methods import linear, mean, task_arithmetic, ties
from mergealgebra.methods.dare import Drop
from mergealgebra.methods.method import Method
from mergealgebra.methods.settings import numbers_by_contribution

_Equations = tuple[Callable[..., Any], Callable[..., Any], Columns]

#: Codes of lift, finalizer and columns.
CODES: Final[Mapping[_Equations, int]] = MappingProxyType(
    {
        (ties.lift, ties.merge, Columns(votes=True)): TIES_MERGING,
        (mean.lift, mean.average, Columns()): MEAN,
        (mean.lift, task_arithmetic.total, Columns()): TASK_ARITHMETIC,
        (mean.lift, linear.average, Columns()): LINEAR,
    }
)


@dataclass(frozen=True)
class Fused:
    """A method as fused kernels know it.

    code: of its equations. on, copies: as in `Needs`. drop: its first stage, where elements are dropped at random.
    cuts: whether that is one that cuts the largest. weighed: whether coefficients follow from dot products; those stand
    in the parts.
    """

    code: int
    on: Literal["tau", "theta"] = "tau"
    copies: bool = False
    drop: Drop | None = None
    cuts: bool = False
    weighed: bool = False


def _every(_: Fused) -> bool:
    return True


def _without_extras(fused: Fused) -> bool:
    return fused == Fused(fused.code) and fused.code != LINEAR


#: What each fused kernel computes of all that are known here.
COMPUTED: Final[Mapping[str, Callable[[Fused], bool]]] = MappingProxyType({"numba": _every, "triton": _without_extras})


def is_fused(method: Method, kernel: str) -> bool:
    """Whether a fused kernel, by its name, computes a method."""
    fused = _fused(method)
    return fused is not None and COMPUTED[kernel](fused)


def fused_as(method: Method, kernel: str) -> Fused:
    """A method as a kernel knows it. kernel: its name. Raises BackendError for a method that it does not compute."""
    fused = _fused(method)
    if fused is None or not COMPUTED[kernel](fused):
        raise BackendError(f"backend {kernel!r} does not compute {method.name}; leave it out, and numpy computes it")
    return fused


@lru_cache(maxsize=1024)
def _fused(method: Method) -> Fused | None:
    needs, round_ = method.needs, method.rounds[0]
    if len(method.rounds) != 1 or needs.auxiliary or not isinstance(round_, Round):
        return None
    if round_.unit != "element" or not _known(round_.stages):
        return None
    if round_.columns.votes and (needs.negative or round_.weigh is not None):
        return None
    if drop_of(round_.stages) and numbers_by_contribution(method):  # one probability for a block is all that they know
        return None
    code = CODES.get((round_.lift, round_.finalize, round_.columns))
    if code is None:
        return None
    return Fused(code, needs.on, needs.copies, drop_of(round_.stages), cuts(round_.stages), round_.weigh is not None)


def _known(stages: Sequence[Stage]) -> bool:
    """Whether stages are a drop, a trim, or a drop before a trim, or else a cut before that."""
    return tuple(map(type, stages)) in ((), (Drop,), (Trim,), (Drop, Trim), (CutLargest, Trim))


def drop_of(stages: Sequence[Stage]) -> Drop | None:
    """The drop with which stages begin."""
    return stages[0] if stages and type(stages[0]) is Drop else None


def cuts(stages: Sequence[Stage]) -> bool:
    """Whether stages begin with one that cuts the largest."""
    return bool(stages) and type(stages[0]) is CutLargest


def counts_magnitudes(watch: Watch) -> bool:
    """Whether a statistic counts magnitudes of task vectors in a window, as fused kernels do."""
    return type(watch.statistic) in (Thresholds, Ceilings) and isinstance(watch.look, Window) and watch.on == "tau"


def ceiling_of(part: Part) -> int:
    """The largest magnitude that is not cut, as fp32 bits, of a part whose stages begin with a cut."""
    return int(part.found[0][0]) if part.found and part.found[0] is not None else NO_CEILING


def cut_of(part: Part) -> tuple[int, int]:
    """The threshold of a part, as fp32 bits, and before which position ties are kept.

    0 keeps zeros too; 1, where a trim has nothing to find or elements are only dropped, all but those.
    """
    if not part.found:
        return 0, len(part.values)
    found = part.found[-1]
    return (1, len(part.values)) if found is None else found


def witnesses(parts: Sequence[Part], kept: Sequence[int], above: Sequence[int]) -> tuple[Witnesses, ...]:
    """What trim's proof counts of each part; nothing where nothing is trimmed."""
    return tuple(((kept[i], above[i]),) if any(part.found) else () for i, part in enumerate(parts))

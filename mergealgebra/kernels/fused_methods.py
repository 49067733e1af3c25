"""Which methods the fused kernels compute, by the equations of their only round; they compute no other.

A method from anywhere whose round is made of these very equations is computed too. All else is the reference's, or an
error where a kernel is asked for by name: code never falls through to another method's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from mergealgebra.algebra.method import Columns, Round
from mergealgebra.algebra.thresholds import Thresholds, Trim
from mergealgebra.algebra.trim import Window
from mergealgebra.errors import BackendError
from mergealgebra.kernels.blocks import Part, Watch, Witnesses
from mergealgebra.kernels.fused.table import MEAN, TASK_ARITHMETIC, TIES_MERGING
from mergealgebra.methods import mean, task_arithmetic, ties
from mergealgebra.methods.method import Method

_Equations = tuple[Callable[..., Any], Callable[..., Any], Columns]

#: Codes of lift, finalizer and columns.
CODES: Final[Mapping[_Equations, int]] = MappingProxyType(
    {
        (ties.lift, ties.merge, Columns(votes=True)): TIES_MERGING,
        (mean.lift, mean.average, Columns()): MEAN,
        (mean.lift, task_arithmetic.total, Columns()): TASK_ARITHMETIC,
    }
)


def is_fused(method: Method) -> bool:
    """Whether fused kernels compute a method."""
    return _code(method) is not None


def code_of(method: Method, kernel: str) -> int:
    """The code of a method. kernel: the name of whoever asks. Raises BackendError for one that is not computed."""
    code = _code(method)
    if code is None:
        raise BackendError(f"backend {kernel!r} does not compute {method.name}; leave it out, and numpy computes it")
    return code


@lru_cache(maxsize=1024)
def _code(method: Method) -> int | None:
    rounds, needs = method.rounds, method.needs
    if len(rounds) != 1 or needs.on != "tau" or needs.auxiliary or (needs.negative and _votes(rounds[0])):
        return None
    (round_,) = rounds
    if not isinstance(round_, Round) or round_.weigh is not None or round_.unit != "element" or not _only_trims(round_):
        return None
    return CODES.get((round_.lift, round_.finalize, round_.columns))


def _votes(round_: object) -> bool:
    return isinstance(round_, Round) and round_.columns.votes


def _only_trims(round_: Round) -> bool:
    return len(round_.stages) <= 1 and all(type(stage) is Trim for stage in round_.stages)


def counts_magnitudes(watch: Watch) -> bool:
    """Whether a statistic counts magnitudes of task vectors as they are, in a window, as fused kernels do."""
    plain = type(watch.statistic) is Thresholds and isinstance(watch.look, Window)
    return plain and not watch.stages and watch.on == "tau"


def cut_of(part: Part) -> tuple[int, int]:
    """The threshold of a part, as fp32 bits, and before which position ties are kept.

    0 keeps zeros too; 1, where a trim has nothing to find, all but those.
    """
    if not part.found:
        return 0, len(part.values)
    (found,) = part.found
    return (1, len(part.values)) if found is None else found


def witnesses(parts: Sequence[Part], kept: Sequence[int], above: Sequence[int]) -> tuple[Witnesses, ...]:
    """What trim's proof counts of each part; nothing where nothing is trimmed."""
    return tuple(((kept[i], above[i]),) if any(part.found) else () for i, part in enumerate(parts))

"""What a merge in another dialect of TIES takes: what is trimmed together is in memory together [RC-9, MG-8]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mergealgebra.dialects.arithmetic import F64, STEPS, promoted
from mergealgebra.dialects.points import Dialect
from mergealgebra.engine.plan import Contribution, Source
from mergealgebra.errors import BackendError
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.text import by_caller

#: Numbers that are held at once of each element of a task vector, and of each element of the result. Measured, and
#: held to it by a test: `dialects/merge.py` is written to be read beside the dialects, and copies freely.
_HELD: Final = 6
_RESULT: Final = 5
#: Bytes of an element of the result where it is added once, or a threshold is a percentile.
_RESULT_BYTES: Final = 80
#: What is needed beside tensors.
_SPARE_BYTES: Final = 1 << 24
_MIB: Final = 1 << 20


def refuse_little_memory(
    base: Source, contributions: Sequence[Contribution], dialect: Dialect, memory: int | None
) -> None:
    """Raise BackendError, with what would do, when a merge takes more memory than it may; None is no limit."""
    needed = needed_bytes(base, contributions, dialect)
    if memory is None or needed <= memory:
        return
    what = "a tensor of all inputs" if dialect["scope"] == "tensor" else "all tensors of all inputs"
    least = f"{-(-needed // _MIB)}M"
    raise BackendError(
        f"memory: {memory:,} bytes are too few, dialect {dialect.name} has {what} in memory at once, about "
        f"{needed:,} bytes; give {by_caller(f'--memory {least}', f'memory={least!r}')} or more, or another dialect"
    )


def needed_bytes(base: Source, contributions: Sequence[Contribution], dialect: Dialect) -> int:
    """An upper bound of the bytes that are in use at once, known from headers alone."""
    names = sorted(set().union(*(contribution.names for contribution in contributions)))
    groups = [[name] for name in names] if dialect["scope"] == "tensor" else [names]
    return _SPARE_BYTES + max((_group_bytes(base, contributions, dialect, names) for names in groups), default=0)


def _group_bytes(base: Source, contributions: Sequence[Contribution], dialect: Dialect, names: Sequence[str]) -> int:
    size = sum(base.records[name].size for name in names)
    inputs = sum(
        _nbytes(contribution.source, name)
        for contribution in contributions
        for name in names
        if name in contribution.names
    )
    number = _widest(base, dialect, names)
    wide = dialect["lambda"] == "after_once" or dialect["kept"] == "percentile_nonzero"
    result = _RESULT_BYTES if wide else _RESULT * number
    copies = 2 * sum(_nbytes(base, name) for name in names)
    return inputs + copies + size * (_HELD * number * len(contributions) + result)


def _widest(base: Source, dialect: Dialect, names: Sequence[str]) -> int:
    """Bytes of the widest number in which a dialect computes; narrow ones are computed in fp32."""
    dtypes = [DTYPES[base.records[name].dtype].numpy for name in names]
    steps = STEPS.get(str(dialect["arithmetic"]), ("fp64",))
    return 8 if "fp64" in steps or (dtypes and promoted(dtypes) == F64) else 4


def _nbytes(source: Source, name: str) -> int:
    record = source.records[name]
    return record.size * DTYPES[record.dtype].itemsize

"""What a merge in another dialect of TIES takes: what is trimmed together is in memory together [RC-9, MG-8]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mergealgebra.dialects.arithmetic import F64, STEPS, promoted
from mergealgebra.dialects.points import Dialect
from mergealgebra.tensors.dtypes import DTYPES

#: Numbers that are held at once of each element of a task vector, and of each element of the result. Measured, and
#: held to it by a test: `dialects/merge.py` is written to be read beside the dialects, and copies freely.
_HELD: Final = 6
_RESULT: Final = 5
#: Bytes of an element of the result where it is added once, or a threshold is a percentile.
_RESULT_BYTES: Final = 80


def group_bytes(dialect: Dialect, dtypes: Sequence[str], elements: int, input_bytes: int, models: int) -> int:
    """An upper bound of the bytes that tensors which are trimmed together take at once.

    dtypes: of the base's tensors. elements: of all of them. input_bytes: of them twice, and of the models' tensors.
    """
    number = _widest(dialect, dtypes)
    wide = dialect["lambda"] == "after_once" or dialect["kept"] == "percentile_nonzero"
    result = _RESULT_BYTES if wide else _RESULT * number
    return input_bytes + elements * (_HELD * number * models + result)


def _widest(dialect: Dialect, dtypes: Sequence[str]) -> int:
    """Bytes of the widest number in which a dialect computes; narrow ones are computed in fp32."""
    numpy = [DTYPES[dtype].numpy for dtype in dtypes]
    steps = STEPS.get(str(dialect["arithmetic"]), ("fp64",))
    return 8 if "fp64" in steps or (numpy and promoted(numpy) == F64) else 4

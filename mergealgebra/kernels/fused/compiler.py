"""Compiling entries: `python -m mergealgebra.kernels.fused.compiler ENTRY...` prints each in hexadecimal digits.

A process of its own has the settings of Numba to itself, and returns the memory that it takes.
"""

from __future__ import annotations

import os
import sys

from numba import cfunc, types

from mergealgebra.kernels.fused import entries


def machine_code(name: str) -> bytes:
    """The symbol of an entry, a zero byte, and its object file."""
    made = cfunc(types.int64(types.uint64), nopython=True, error_model="numpy")(getattr(entries, name))
    return bytes(made.native_name.encode() + b"\0" + made._library._get_compiled_object())


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "w") as said:
        os.dup2(2, 1)  # what else is printed is not machine code
        for name in sys.argv[1:]:
            print(machine_code(name).hex(), file=said, flush=True)

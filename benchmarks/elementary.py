"""exp, log and tanh of arrays: how far off libraries' routines are, who lacks a certificate, and what it costs.

    python benchmarks/elementary.py [NUMBERS]

What the libraries call depends on the processor: NPY_DISABLE_CPU_FEATURES and ATEN_CPU_CAPABILITY take features away.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import torch

from mergealgebra.algebra import elementary, real_functions

RANDOM = np.random.default_rng(7)
INVERSES = {"exp": np.log, "log": np.exp, "tanh": np.arctanh}


def arguments(name: str, n: int) -> np.ndarray:
    """All of the range, around where the answer is 0 or 1, and answers halfway between two fp32 numbers."""
    small = RANDOM.normal(size=n) * 2.0 ** RANDOM.uniform(-40, 2, n)
    halfway = (RANDOM.integers(1 << 23, 1 << 24, n) * 2.0 + 1) * 2.0 ** RANDOM.integers(-34, -25, n)
    wide = {
        "exp": RANDOM.uniform(-104, 89, n),
        "log": np.concatenate([np.exp(RANDOM.uniform(-700, 700, n)), RANDOM.uniform(0, 1, n) * 2.0**-1022]),
        "tanh": np.concatenate(
            [RANDOM.uniform(-12, 12, n), RANDOM.normal(size=n) * 2.0 ** RANDOM.uniform(-140, -40, n)]
        ),
    }
    found = np.concatenate([wide[name], np.abs(1 + small) if name == "log" else small, INVERSES[name](halfway)])
    return found[found != (1 if name == "log" else 0)]


def worst(name: str, x: np.ndarray, y: np.ndarray) -> float:
    """The greatest relative error, in units of 2^-53."""
    function, most = getattr(real_functions, name), 0.0
    for argument, got in zip(x.tolist(), y.tolist(), strict=True):
        value, scale = function(Fraction(argument), 400)
        n, d = got.as_integer_ratio()
        most = max(most, abs((n << scale) - value * d) / abs(value * d) * 2.0**53)
    return most


def plain(name: str, n: int) -> np.ndarray:
    if name == "tanh":
        return RANDOM.uniform(-4, 4, n)
    return RANDOM.uniform(-20, 20, n) if name == "exp" else np.exp(RANDOM.uniform(-20, 20, n))


def uncertified(name: str, x: np.ndarray) -> int:
    y = getattr(np, name)(x)
    low, high = (y * factor for factor in (elementary.BELOW, elementary.ABOVE))
    return int(np.count_nonzero(low.astype(np.float32) != high.astype(np.float32)))


def nanoseconds(action: Callable[[np.ndarray], object], x: np.ndarray) -> float:
    """CPU time of one number: the least of nine runs over blocks of 2^16."""
    runs = []
    for _ in range(9):
        start = time.process_time()
        for block in np.split(x, range(1 << 16, x.size, 1 << 16)):
            action(block)
        runs.append(time.process_time() - start)
    return min(runs) / x.size * 1e9


def main(n: int) -> None:
    torch.set_num_threads(1)
    for name in INVERSES:
        x = plain(name, n)
        numpy, of_torch, ours = getattr(np, name), getattr(torch, name), getattr(elementary, name)
        asked = arguments(name, n // 50)
        print(f"{name}: greatest error in units of 2^-53 over {asked.size} numbers (16 are allowed):", end=" ")
        print(f"numpy {worst(name, asked, numpy(asked)):.2f},", end=" ")
        print(f"torch {worst(name, asked, of_torch(torch.from_numpy(asked)).numpy()):.2f},", end=" ")
        few = asked[:10_000]
        print(f"math {worst(name, few, np.array([getattr(math, name)(a) for a in few.tolist()])):.2f}")
        print(f"{name}: without certificate: {sum(uncertified(name, plain(name, n)) for _ in range(64))} of {64 * n}")
        print(
            f"{name}: nanoseconds a number: numpy {nanoseconds(numpy, x):.2f}, ours {nanoseconds(ours, x):.2f},",
            end=" ",
        )
        print(f"torch {nanoseconds(lambda a, f=of_torch: f(torch.from_numpy(a)), x):.2f},", end=" ")
        print(f"ours {nanoseconds(lambda a, f=ours: f(torch.from_numpy(a)), x):.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1 << 22)

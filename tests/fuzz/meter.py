"""What a call costs, counted and not timed: steps, and the most memory that was in use.

A step is a line of this package that ran, or a call of any function. When this package calls one that reads all of
what it is bound to, such as `list.count`, that is as many steps as there are items. What happens inside regular
expressions, the JSON scanner and msgpack is not counted; `seconds` sees it.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import mergealgebra

_READS_ALL = frozenset(
    (
        *("copy", "count", "decode", "encode", "find", "hex", "index", "insert", "isprintable", "join"),
        *("lower", "remove", "replace", "reverse", "rfind", "sort", "split", "splitlines", "strip", "tobytes"),
        *("translate", "union", "upper"),
    )
)
#: Where steps are counted line by line: the package, and what stands in for parts of it here.
_OWN = (str(Path(mergealgebra.__file__).parent), str(Path(__file__).parent))
_SIZED = (str, bytes, bytearray, list, tuple, dict, set, frozenset)

Call = Callable[[], object]


@dataclass
class Steps:
    """How many steps there were: of this package, and of everything."""

    own: int = 0
    total: int = 0


class _Counter:
    """Counts while it is the tracer and the profiler of this thread."""

    def __init__(self) -> None:
        self.steps = Steps()

    def trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        """Of frames that are not this package's, no lines are wanted."""
        if not is_own(frame.f_code.co_filename):
            return None
        if event == "line":
            self._count(1, own=True)
        return self.trace

    def profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            self._count(1, own=False)
        elif event == "c_call":
            own, bound = is_own(frame.f_code.co_filename), getattr(argument, "__self__", None)
            reads_all = own and argument.__name__ in _READS_ALL and isinstance(bound, _SIZED)
            self._count(1 + (len(bound) if reads_all else 0), own=own)

    def _count(self, steps: int, *, own: bool) -> None:
        self.steps.own += steps * own
        self.steps.total += steps


@cache
def is_own(filename: str) -> bool:
    """Whether a file is counted line by line."""
    return filename.startswith(_OWN)


def steps(call: Call) -> Steps:
    """How many steps a call takes."""
    counter, trace, profile = _Counter(), sys.gettrace(), sys.getprofile()
    sys.settrace(counter.trace)
    sys.setprofile(counter.profile)
    try:
        call()
    finally:
        sys.settrace(trace)
        sys.setprofile(profile)
    return counter.steps


def peak(call: Call, times: int = 2) -> int:
    """The most bytes that a call has in use, beyond what was in use before: the least of a few calls.

    Tables of the interpreter's own, which grow now and then, are not the call's.
    """
    running = tracemalloc.is_tracing()
    if not running:
        tracemalloc.start()
    try:
        return min(_peak(call) for _ in range(times))
    finally:
        if not running:
            tracemalloc.stop()


def _peak(call: Call) -> int:
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    call()
    return tracemalloc.get_traced_memory()[1] - before


def seconds(call: Call, times: int = 3) -> float:
    """Processor time of this thread, the least of a few calls."""
    return min(_seconds(call) for _ in range(times))


def _seconds(call: Call) -> float:
    begun = time.thread_time()
    call()
    return time.thread_time() - begun

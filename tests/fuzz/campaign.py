"""What CI does with a target, without atheris: the corpus again, mutations of it, and hostile inputs that grow.

Each part raises what it found, with the input to keep as a case of the corpus.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from random import Random

from tests.fuzz import meter
from tests.fuzz.seeds import CORPUS
from tests.fuzz.target import Target, attempt, judge, mutated

#: Twice the input is at most twice the steps, and a little: numbers grow by a digit. So is what never counts.
_LINEAR = 1.15
_FEW = 200


class Found(AssertionError):
    """An input that a decoder does not treat as it must."""

    def __init__(self, data: bytes, why: str) -> None:
        shown = data.hex() if len(data) <= 2000 else f"{data[:1000].hex()}... of {len(data)} bytes"
        super().__init__(f"{why}\ninput, in hexadecimal: {shown}")


def corpus(name: str) -> dict[str, bytes]:
    """The inputs that are kept for a target, by the names of their files."""
    return {path.name: path.read_bytes() for path in sorted((CORPUS / name).iterdir())}


def replay(target: Target, inputs: dict[str, bytes], folder: Path) -> int:
    """Judge each input, and what it makes the decoder allocate; returns how many are accepted."""
    accepted = 0
    for name, data in inputs.items():
        accepted += _judged(target, data, folder, name)
        _check_memory(target, data, folder, name)
    return accepted


def mutate(target: Target, inputs: dict[str, bytes], folder: Path, count: int, seed: int) -> int:
    """Judge so many mutations of the inputs, and of mutations that are accepted; returns how many are accepted."""
    random, pool, accepted = Random(seed), list(inputs.values()), 0
    for _ in range(count):
        data = mutated(target, random, random.choice(pool))
        if _judged(target, data, folder, "mutated"):
            accepted += 1
            pool.append(data)
    return accepted


def grow(target: Target, folder: Path) -> None:
    """Each family of hostile inputs costs at most linear time, and memory within the cap."""
    for name, family in target.families.items():
        inputs = [family(target.hostile << doubling) for doubling in range(3)]
        _judged(target, inputs[-1], folder, name)
        counts = [meter.steps(lambda data=data: attempt(target, data, folder)) for data in inputs]
        for i, (fewer, more) in enumerate(itertools.pairwise(counts)):
            times = max(1, len(inputs[i + 1]) / len(inputs[i])) * _LINEAR
            if more.own > fewer.own * times + _FEW or more.total > fewer.total * times + _FEW:
                raise Found(inputs[i + 1], f"{name}: {fewer} for {len(inputs[i])} bytes, {more} for this")
        _check_memory(target, inputs[-1], folder, name)


def slow(target: Target, folder: Path, times: int = 8) -> None:
    """So many times the input is at most four times so many times the processor time, where nothing counts steps.

    Quadratic time would be twice that. Other processes disturb the clock: only what is slow thrice is slow.
    """
    for name, family in target.families.items():
        small, large = family(4 * target.hostile), family(4 * times * target.hostile)
        if all(_seconds(target, folder, large) > 4 * times * _seconds(target, folder, small) for _ in range(3)):
            raise Found(large, f"{name}: the time grows faster than the input")


def _seconds(target: Target, folder: Path, data: bytes) -> float:
    return max(1e-4, meter.seconds(lambda: attempt(target, data, folder)))


def _judged(target: Target, data: bytes, folder: Path, name: str) -> bool:
    try:
        return judge(target, data, folder)
    except Exception as error:
        raise Found(data, f"{name}: {type(error).__name__}: {error}") from error


def _check_memory(target: Target, data: bytes, folder: Path, name: str) -> None:
    cap = target.memory.cap(data)
    peak = meter.peak(lambda: attempt(target, data, folder), times=1)
    if peak > cap and (peak := meter.peak(lambda: attempt(target, data, folder))) > cap:
        raise Found(data, f"{name}: {peak} bytes of memory for {len(data)} bytes of input, at most {cap} are allowed")

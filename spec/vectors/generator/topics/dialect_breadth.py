"""Random questions with the results of every settled dialect: all dtypes, several tensors, one to four models.

No more than four models, since that many torch adds in the order of the list.
"""

from __future__ import annotations

from math import prod
from typing import Any

from generator.prng import Random
from generator.topics.dialect_questions import Asked, dialects, question
from generator.topics.merges import narrow, number
from generator.writing import spec

Json = Any
SHAPES: tuple[dict[str, list[int]], ...] = ({"w": [4]}, {"a": [3], "b": [2, 2]}, {"a": [2], "b": [], "c": [0]})
SIZES = {"F32": 4, "BF16": 2, "F16": 2, "F64": 8}
DENSITIES = ("0.5", "0.9", "0.2", "0.35", "0.75", "1")
COEFFICIENTS = ("1", "0.5", "0.3", "2", "1.7")
LAMBDAS = ("0.3", "1.7", "0.5")
INTEGERS = (0, 0x3F800000, 0x40000000, 0xBF800000, 0xC0000000)  # 0, 1, 2, -1, -2 in fp32
MOST_CHOICES = 6


def element(random: Random, dtype: str, integers: bool) -> int:
    """The bits of a small integer, which ties and cancels, or of a number of six exponents, which rounds."""
    bits = narrow(random.choose(INTEGERS) if integers else number(random, 6), dtype)
    return bits | random.bits(29) if dtype == "F64" and bits and not integers else bits


def tensors(random: Random, dtype: str, shapes: dict[str, list[int]], integers: bool) -> Json:
    return {
        name: spec(dtype, shape, b"".join(
            element(random, dtype, integers).to_bytes(SIZES[dtype], "little") for _ in range(prod(shape))))
        for name, shape in shapes.items()
    }  # fmt: skip


def asked(random: Random, i: int) -> Asked:
    """Every third question has coefficients, and every third a lambda, which some dialects refuse."""
    dtype, shapes, integers = random.choose([*SIZES]), random.choose(SHAPES), random.below(3) == 0
    models = [tensors(random, dtype, shapes, integers) for _ in range(random.between(1, 4))]
    parameters = question(
        tensors(random, dtype, shapes, integers),
        models,
        random.choose(DENSITIES),
        random.choose(LAMBDAS) if i % 3 == 2 else "1",
        [random.choose(COEFFICIENTS) for _ in models] if i % 3 == 1 else (),
    )
    kind = "small integers" if integers else "numbers of six exponents"
    return dialects(f"random-{i}", "DI-1", f"random: {kind}, {dtype}", parameters)


def breadth(seed: int, count: int) -> list[Asked]:
    """Questions of which no dialect has many results."""
    random, found = Random(seed), []
    while len(found) < count:
        case = asked(random, len(found))
        if max(len(answer["one_of"]) for answer in case.result()["expected"]["answers"]) <= MOST_CHOICES:
            found.append(case)
    return found


CASES = breadth(20261122, 48)

"""What a file says of each tensor, said again in entries of a recipe."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from mergealgebra.formats.mergekit.entries import say, say_each
from mergealgebra.formats.mergekit.values import Value
from mergealgebra.methods.mean import Mean
from mergealgebra.methods.numbers import by_tensor
from mergealgebra.tensors.choice import Choice
from tests.formats.mergekit.tiny import by_layer, tensors

NAMES = list(tensors("mixtral", by_layer, layers=6))


@pytest.mark.clause("MK-5")
@pytest.mark.parametrize("begin", [0, 2])
@pytest.mark.parametrize("seed", range(20))
def test_entries_give_each_tensor_its_number(seed, begin):
    """Of a model that has three of six layers, or all: a gradient runs over those of the base."""
    draw = random.Random(seed)
    names = [name for name in NAMES if not begin or begin <= by_layer(name) < 5 or (seed % 2 and by_layer(name) < 0)]
    words = draw.sample(["self_attn", "experts", "experts.1", "layers.3", "weight", "norm"], 3)
    numbers = {w: [Fraction(draw.randint(0, 8), 4) for _ in range(draw.choice([1, 2, 3]))] for w in words}
    values = {}
    for name in names:
        points = next((numbers[word] for word in words if word in name), [Fraction(1)])
        t = Fraction(max(int(by_layer(name)) - begin, 0), 2 if begin else 5)
        x = t * (len(points) - 1)
        low, high = int(x), min(int(x) + 1, len(points) - 1)
        number = points[low] + (x - low) * (points[high] - points[low])
        values[name] = Value(number, tuple(points) if len(points) > 1 else (), t=t)
    said = say(values, NAMES)
    entries = [{"tensors": p, "lambda": n if isinstance(n, str) else list(n)} for p, n in said.entries]
    found = by_tensor(Mean(lambda_=said.plain, settings=entries), NAMES)
    wrong = {n for n in names if abs(Fraction(found[n].method.lambda_text) - values[n].number) > Fraction(1, 10**59)}
    assert not wrong
    plain, others = say_each({name: str(value.number) for name, value in values.items()})
    each = {n: next((text for p, text in others if n in Choice((p,))), plain) for n in names}
    assert each == {name: str(value.number) for name, value in values.items()}

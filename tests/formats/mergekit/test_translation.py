"""What a file says of each tensor, said again in entries of a recipe."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

import pytest

from mergealgebra.dialects.mergekit_strategies import MERGEKIT
from mergealgebra.dialects.strategy_settings import Settings, read_entries
from mergealgebra.encoding import encode
from mergealgebra.formats.mergekit.dialect import in_dialect as in_dialect_of
from mergealgebra.formats.mergekit.entries import say
from mergealgebra.formats.mergekit.grammar import read_file
from mergealgebra.formats.mergekit.layers import part_of_stack
from mergealgebra.formats.mergekit.nodes import NOWHERE
from mergealgebra.formats.mergekit.ranges import say_by_layers
from mergealgebra.formats.mergekit.translation import translate
from mergealgebra.formats.mergekit.values import Plain, Value, in_binary64
from mergealgebra.methods.mean import Mean
from mergealgebra.methods.numbers import by_tensor
from mergealgebra.methods.settings import MOST_BYTES
from tests.formats.mergekit.tiny import by_layer, tensors

NAMES = list(tensors("mixtral", by_layer, layers=6))
#: Tensors of a layer of a Llama.
LLAMA = [f"self_attn.{k}_proj" for k in "qkvo"] + ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "input_layernorm"]
TOP = {key: setting.default for key, setting in MERGEKIT["ties"].settings.items()}


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
    wrong = {n for n in names if abs(Fraction(found[n].method.lambda_text) - values[n].number) > Fraction(1, 10**20)}
    assert not wrong


@pytest.mark.clause("MK-12", "NA-13")
@pytest.mark.parametrize("seed", range(20))
def test_entries_of_the_dialect_give_each_tensor_its_number(seed):
    draw = random.Random(seed)
    words = draw.sample(["self_attn", "experts", "experts.1", "layers.3", "weight", "norm"], 3)
    settings = {w: [Fraction(draw.randint(0, 8), 8) for _ in range(draw.choice([1, 2, 3, 6]))] for w in words}
    slices = draw.choice([(0, 6), (0, 2, 6), (0, 1, 3, 6)])
    values = {}
    for name in NAMES:
        points = next((settings[word] for word in words if word in name), [Fraction(1)])
        layer = max(int(by_layer(name)), 0)
        first, stop = next(pair for pair in pairwise(slices) if layer < pair[1])
        t = part_of_stack(layer - first, stop - first) if by_layer(name) >= 0 else Fraction(0)
        values[name] = Plain(NOWHERE, tuple(points), len(points) > 1).at(t)
    plain, entries = say_by_layers("density", values, in_binary64, lists=True)
    strategy = MERGEKIT["ties"]
    settings = Settings(strategy.settings, {**TOP, "density": plain}, read_entries(entries, "ties", strategy))
    found = {name: settings.of_model(name, "", "1")["density"] for name in NAMES}
    assert found == {name: float(in_binary64(value)) for name, value in values.items()}


@pytest.mark.clause("MK-5", "MK-12")
@pytest.mark.parametrize("in_dialect", [False, True])
def test_settings_of_80_layers_and_8_models_fit_with_room(in_dialect, tmp_path):
    layers = [f"model.layers.{i}.{kind}.weight" for i in range(80) for kind in LLAMA]
    weight = "[{filter: mlp, value: [0.%d, 0.8, 0.3, 1]}, {filter: self_attn, value: [0.5, 0.%d]}, {value: [0, 0.35]}]"
    models = [f"{{model: m{i}, parameters: {{density: [0.{i}, 1], weight: {weight % (i, i)}}}}}" for i in range(1, 9)]
    file = tmp_path / "m.yml"
    file.write_text(f"merge_method: ties\nbase_model: base\nmodels: [{', '.join(models)}]\n")
    (document,) = read_file(file)
    names = {reference: [*layers, "lm_head.weight"] for reference in document.references()}
    translated = translate(document, names, in_dialect=in_dialect)
    if in_dialect:
        entries = [entry for own in in_dialect_of(translated, None, lambda _: {}).own for entry in own]
    else:
        entries = [entry for part in translated.parts for entry in part.settings()]
    assert len(encode([{"contribution": "0" * 64, **entry} for entry in entries])) < MOST_BYTES / 8

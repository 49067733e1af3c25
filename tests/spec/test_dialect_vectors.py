"""The vectors of dialects: this implementation gives them, the lint finds faults, the README's lines run."""

from __future__ import annotations

import copy
import json
import math
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from mergealgebra.dialects.merge import merge_in_dialect
from mergealgebra.dialects.points import DIALECTS, POINTS, Dialect
from mergealgebra.errors import MergeAlgebraError
from tests.spec.vectors import FOLDER, Json, array, arrays, tagged

DOCUMENT = json.loads((FOLDER / "dialects.json").read_text("utf-8"))
CASES: Mapping[str, Json] = {case["id"]: case for case in DOCUMENT["cases"]}


def named(case: Json, name: str) -> Dialect:
    """The dialect that a case asks for by its name, or by the option that it takes at the case's point."""
    point = case["input"].get("point")
    if point is None:
        return DIALECTS[name]
    options = {**DIALECTS["canonical"].options, **case["input"]["elsewhere"], point: name}
    return replace(DIALECTS["canonical"], options=MappingProxyType(options))


def answers(check: str) -> list[object]:
    """One parameter for each name that a case has answers for, but for `paper`, which nobody computes."""
    return [
        pytest.param(case, name, answer["one_of"], id=f"{id_}-{name}", marks=pytest.mark.clause(*case["clauses"]))
        for id_, case in CASES.items()
        if case["check"] == check
        for answer in case["expected"]["answers"]
        for name in answer["of"]
        if name != "paper"
    ]


def result(dialect: Dialect, asked: Json) -> Json:
    """A result as the vectors have it; what refuses it is not told."""
    try:
        merged = merge_in_dialect(
            dialect,
            arrays(asked["base"]),
            [arrays(model) for model in asked["models"]],
            density=asked["density"],
            lambda_=asked["lambda"],
            coefficients=asked["coefficients"],
        )
    except MergeAlgebraError:
        return "refused"
    return tagged(merged)


def is_one_of(found: Json, results: list[Json]) -> bool:
    return any(found == ("refused" if "refused" in one else one["tensors"]) for one in results)


@pytest.mark.parametrize(("case", "name", "one_of"), answers("options"))
def test_option(case, name, one_of):
    assert is_one_of(result(named(case, name), case["input"]), one_of)


@pytest.mark.parametrize(("case", "name", "one_of"), answers("dialects"))
def test_dialect(case, name, one_of):
    assert is_one_of(result(named(case, name), case["input"]), one_of)


@pytest.mark.clause("DI-1")
def test_the_file_has_the_points_and_the_dialects_of_the_package():
    assert DOCUMENT["points"] == {point: list(options) for point, options in POINTS.items()}
    assert DOCUMENT["dialects"] == {name: dict(dialect.options) for name, dialect in DIALECTS.items()}


@pytest.mark.clause("DI-1")
def test_the_results_of_paper_hold_those_of_every_dialect_that_it_may_be():
    """What the authors and MergeLM do is open in the paper."""
    asked = [case for case in CASES.values() if "paper" in case["input"].get("dialects", ())]
    assert asked
    for case in asked:
        of = {name: answer["one_of"] for answer in case["expected"]["answers"] for name in answer["of"]}
        for name in ("authors", "mergelm"):
            assert all(one in of["paper"] for one in of[name]), case["id"]


@pytest.mark.clause("DI-18")
def test_both_ends_of_a_tie_are_among_the_choices():
    (boundary,) = (case for case in CASES.values() if case["id"] == "dialect-boundary")
    of = {name: answer["one_of"] for answer in boundary["expected"]["answers"] for name in answer["of"]}
    assert of["any"] == of["lowest_index"] + of["highest_index"]


def test_every_dtype_and_up_to_four_models_are_asked_at_random():
    asked = [case["input"] for id_, case in CASES.items() if id_.startswith("dialect-random-")]
    assert {t["dtype"] for x in asked for t in x["base"].values()} == {"F64", "F32", "BF16", "F16"}
    assert {len(x["models"]) for x in asked} == {1, 2, 3, 4}
    assert {len(x["base"]) for x in asked} == {1, 2, 3}


@pytest.mark.parametrize("id_", CASES)
def test_no_tensor_holds_nan_or_a_negative_zero(id_):
    """Their bits are not part of the answers, so they must not be able to show."""
    case = CASES[id_]
    tensors = [*case["input"]["models"], case["input"]["base"]]
    tensors += [one["tensors"] for a in case["expected"]["answers"] for one in a["one_of"] if "tensors" in one]
    for tensor in (t for of in tensors for t in of.values()):
        numbers = array(tensor).reshape(-1).tolist()
        assert not [x for x in numbers if math.isnan(x) or (x == 0 and math.copysign(1, x) < 0)]


# The lint


@pytest.fixture(scope="module")
def problems():
    """The lint of the generator, in a Python that has nothing else."""

    def run(document: Json) -> list[str]:
        code = (
            f"import json, sys; sys.path.insert(0, {str(FOLDER)!r}); from generator.lint import problems;"
            "print(json.dumps(problems({'dialects': json.load(sys.stdin)})))"
        )
        command = [sys.executable, "-S", "-E", "-c", code]
        done = subprocess.run(command, input=json.dumps(document), capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    return run


def cases_but(document: Json, *ids: str) -> None:
    document["cases"] = [case for case in document["cases"] if case["id"] not in ids]


def case_of(document: Json, id_: str) -> Json:
    return next(case for case in document["cases"] if case["id"] == id_)


#: What is done to the file, and what the lint says of it.
PLANTED = {
    "an id that stands twice": (
        lambda d: d["cases"].append(d["cases"][0]),
        "dialect-density-decimal: this id stands twice",
    ),
    "a clause that is not there": (
        lambda d: case_of(d, "dialect-scope")["clauses"].append("DI-" + "99"),
        "dialect-scope: there is no clause DI-" + "99",
    ),
    "a refusal by a clause that is not there": (
        lambda d: case_of(d, "dialect-kept-all-of-one")["expected"]["answers"][1]["one_of"].append(
            {"refused": "DI-" + "99"}
        ),
        "dialect-kept-all-of-one: there is no clause DI-" + "99",
    ),
    "an option uncovered": (
        lambda d: cases_but(d, "dialect-scope"),
        "point scope: options model and tensor: no case separates them",
    ),
    "a pair of dialects uncovered": (
        lambda d: cases_but(d, "dialect-coefficients-2-and-1"),
        "dialects canonical and paper: no case separates them",
    ),
    "a declaration left out": (
        lambda d: d["inseparable"].pop(),
        "dialects mergelm and paper: no case separates them",
    ),
    "a declaration that a case denies": (
        lambda d: d["inseparable"].append({"point": "key", "names": ["fp32", "working"], "why": "?"}),
        "point key: options fp32 and working: declared inseparable, and separated by a case",
    ),
    "a declaration of nothing": (
        lambda d: d["inseparable"].append({"point": "key", "names": ["fp32", "fp16"], "why": "?"}),
        "point key: options fp16 and fp32: there are no such two",
    ),
    "an answer missing": (
        lambda d: case_of(d, "dialect-scope")["expected"]["answers"].pop(),
        "dialect-scope: asked of ['model', 'tensor'], answered for ['model']",
    ),
    "an option that the specification lacks": (
        lambda d: d["points"]["scope"].append("block"),
        "dialects.json: its points or dialects are not those of spec/dialects.md",
    ),
    "another version": (lambda d: d.update(format=2), ".format: const 1"),
    "an unknown key": (lambda d: d["cases"][0].update(note=""), ".cases[0]: unknown key note"),
    "an unknown flag": (lambda d: d["cases"][0]["flags"].append("odd"), ".cases[0].flags[1]: enum"),
    "a number that is no text": (
        lambda d: d["cases"][0]["input"].update(density=0.5),
        ".cases[0].input.density: type string",
    ),
}


@pytest.mark.clause("DI-1")
def test_the_lint_finds_nothing(problems):
    assert problems(DOCUMENT) == []


@pytest.mark.parametrize("planted", PLANTED)
def test_the_lint_finds_what_is_planted(planted, problems):
    plant, said = PLANTED[planted]
    document = copy.deepcopy(DOCUMENT)
    plant(document)
    assert any(line.startswith(said) for line in problems(document)), problems(document)


@pytest.mark.clause("DI-1")
def test_what_is_told_apart_is_so_without_the_random_questions(problems):
    document = copy.deepcopy(DOCUMENT)
    cases_but(document, *(id_ for id_ in CASES if "random" in id_))
    assert problems(document) == []


# The README

#: Implementations that the lines of the README ask: one that refuses everything, and this one.
REFUSING = "def merge(*asked):\n    return None\n"
OURS = """
import numpy as np
from mergealgebra.dialects.points import DIALECTS
from mergealgebra.dialects.merge import merge_in_dialect
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.tensors.dtypes import DTYPES, name_of

def arrays(tensors):
    return {name: np.array(xs, DTYPES[dtype].numpy).reshape(shape) for name, (dtype, shape, xs) in tensors.items()}

def merge(base, models, density, lambda_, coefficients):
    parameters = {"density": density, "lambda_": lambda_, "coefficients": coefficients}
    try:
        merged = merge_in_dialect(DIALECTS["authors"], arrays(base), [*map(arrays, models)], **parameters)
    except MergeAlgebraError:
        return None
    return {name: (name_of(x), list(x.shape), x.reshape(-1).tolist()) for name, x in merged.items()}
"""


def said_by_the_readme(mine: str, folder: Path) -> str:
    """What the lines of the README print of an implementation, asked as the authors' code."""
    (script,) = re.findall(r"```python\n(.*?)```", (FOLDER / "README.md").read_text("utf-8"), re.DOTALL)
    assert len([line for line in script.splitlines() if line]) <= 20
    (folder / "try.py").write_text(script)
    (folder / "mine.py").write_text(mine)
    command = [sys.executable, str(folder / "try.py"), "authors"]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=FOLDER).stdout


@pytest.mark.clause("DI-1")
def test_the_lines_of_the_readme_tell_right_from_wrong(tmp_path):
    one_ofs = [
        answer["one_of"]
        for case in CASES.values()
        for answer in case["expected"]["answers"]
        if "authors" in answer["of"]
    ]
    refusals = sum("refused" in one for one_of in one_ofs for one in one_of)
    assert said_by_the_readme(OURS, tmp_path) == f"authors: {len(one_ofs)} of {len(one_ofs)}; wrong:\n"
    said = said_by_the_readme(REFUSING, tmp_path)
    assert said.startswith(f"authors: {refusals} of {len(one_ofs)}; wrong: ")
    assert len(said.split()) == 5 + len(one_ofs) - refusals

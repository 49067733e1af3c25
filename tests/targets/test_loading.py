"""Targets by the text that names them, and what runs in the interpreter that they name."""

from __future__ import annotations

import os
import sys

import ml_dtypes
import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.dialects.merge import merge_in_dialect
from mergealgebra.dialects.points import DIALECTS
from mergealgebra.errors import TargetError
from mergealgebra.targets.adapters import mergealgebra as adapter
from mergealgebra.targets.loading import CHECKOUTS, PACKAGES, Here, open_target
from mergealgebra.targets.questions import Failed, Hello, Question, Refused, introduction
from tests.targets.conversations import ask

#: How long an answer may take on a busy machine; nothing here takes it.
SECONDS = 120

BASE = {"w": np.zeros(5, np.float32)}
MODELS = tuple({"w": np.float32(tau)} for tau in ([1, -2, 2, 1, 3], [-2, 0, 1, 0, -1], [-1, 1, -2, 0, -1]))

#: A module of merge functions, of which most are not quite.
FUNCTIONS = """
import os, sys
import numpy as np
__version__ = "1.2"

def first(base, models, density, lambda_, coefficients):
    print("merging", density, lambda_, coefficients)
    return models[0]

def halves(base, models, **_):
    return {name: array.astype(np.float16) for name, array in models[0].items()}

def told(base, models, **parameters):
    raise ValueError(repr(sorted(parameters.items())))

def threads(base, models, **_):
    raise ValueError(os.environ["OMP_NUM_THREADS"] + " " + os.environ["PYTHONPATH"])

def writing(base, models, **_):
    models[1]["w"] += 1
    base["more"] = base["w"]
    return models[0]

def emptying(base, models, **_):
    first, second = models[0], models.pop()
    second["w"] += 1
    return first

def turning(base, models, **_):
    models.reverse()
    return base

def none(base, models, **_):
    pass

def lists(base, models, **_):
    return {name: array.tolist() for name, array in base.items()}

def big_endian(base, models, **_):
    return {name: array.astype(">f4") for name, array in models[0].items()}

def integers(base, models, **_):
    return {name: array.astype(int) for name, array in base.items()}

def leaving(base, models, **_):
    sys.exit("leaving")

class Merger:
    @staticmethod
    def merge(base, models, **_):
        return base

number = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module `merging`, found from the current folder."""
    (tmp_path / "merging.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)


def answer(target, base=BASE, models=MODELS, **parameters):
    (_, found), *_ = ask(target, [Question("a", base, models, **parameters)], SECONDS)
    return found


BAD_TARGETS = {
    "unknown": ("mergekitt", "is not a target; expected one of mergekit, peft"),
    "empty": ("", "is not a target"),
    "an open quote": ("node 'x", "is not a command: No closing quotation"),
    "no such program": ("./nowhere/at/all", "is not a program that can be run"),
    "an unknown dialect": ("mergealgebra:mergekit", "'mergekit' is not a dialect; expected one of canonical, paper"),
    "a file and a function": ("mine.py:merge", "did you mean mine:merge?"),
    "a path and a function": ("./mine:merge", "did you mean mine:merge?"),
    "a repository": ("authors", "is not a package: give the path of a checkout"),
}


@pytest.mark.parametrize("case", BAD_TARGETS)
def test_a_text_that_names_no_target_is_refused(case):
    text, message = BAD_TARGETS[case]
    with pytest.raises(TargetError, match=message):
        open_target(text)


def test_a_checkout_of_what_has_none_is_refused(tmp_path):
    with pytest.raises(TargetError, match="'peft' takes no checkout: authors and mergelm do"):
        open_target("peft", checkout=tmp_path)


def test_an_interpreter_that_is_not_there_is_refused():
    with pytest.raises(TargetError, match="--python: '/nowhere/python' is not a program"):
        open_target("peft", python="/nowhere/python")


@pytest.mark.parametrize("name", CHECKOUTS)
def test_a_folder_that_is_no_checkout_is_refused(name, tmp_path):
    with pytest.raises(TargetError, match=f"is not a checkout of {name}: it has no file"):
        open_target(name, checkout=tmp_path)


def test_an_interpreter_without_our_options_is_started_as_any_and_finds_nothing_here(tmp_path, monkeypatch):
    """Pythons below 3.11 have no -P."""
    old = tmp_path / "python"
    old.write_text(f'#!/bin/sh\ncase "$1" in -*) exit 2;; esac\nexec {sys.executable} "$@"\n')
    old.chmod(0o755)
    for name in ("json", "numpy", "dataclasses"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('from the current folder')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([".", "", str(tmp_path)]))
    assert introduction(open_target("mergealgebra", python=str(old)), SECONDS) == Hello("mergealgebra", ma.__version__)


@pytest.mark.parametrize("name", [*PACKAGES, "no_such_module:merge"])
def test_a_package_that_is_not_installed_is_absent(name, tmp_path):
    """The interpreter is ours without its packages; the adapters, which have their names, do not pass for them."""
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -E -S "$@"\n')
    bare.chmod(0o755)
    found = answer(open_target(name, python=str(bare)))
    assert isinstance(found, Failed)
    assert found.kind == "absent"
    module = name.partition(":")[0].replace("-", "_")
    assert f"No module named '{module}'" in found.message


def test_an_adapter_does_not_see_our_python_path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/ours")
    assert "PYTHONPATH" not in open_target("peft").env
    assert "PYTHONPATH" not in open_target("crdt-merge", python=sys.executable).env
    assert open_target("merging:first").env["PYTHONPATH"] == "/ours"
    assert open_target("mergealgebra").env["PYTHONPATH"].endswith(os.pathsep + "/ours")


def test_only_what_is_served_here_is_watched():
    assert [open_target(text).watched for text in ("peft", "mergealgebra", "merging:first")] == [True] * 3
    assert not open_target(f"{sys.executable} -V").watched
    assert Here("here", dict).watched


def test_ours_is_what_merge_gives():
    parameters = {"density": "0.4", "lambda_": "0.3", "coefficients": ("1", "2", "0.5")}
    found = answer(open_target("mergealgebra"), **parameters)
    task_vectors = [ma.TaskVector.between(BASE, model) for model in MODELS]
    recipe = ma.Ties(density="0.4", lambda_="0.3")
    expected = ma.merge(BASE, task_vectors, recipe, ["1", "2", "0.5"])
    assert found.tensors["w"].tobytes() == expected["w"].tobytes()
    assert introduction(open_target("mergealgebra"), SECONDS) == Hello("mergealgebra", ma.__version__)


def test_ours_takes_every_dtype_and_models_that_lack_tensors():
    dtypes = {"F64": np.float64, "F32": np.float32, "BF16": ml_dtypes.bfloat16, "F16": np.float16}
    base = {name: np.ones((2, 1, 2), dtype) for name, dtype in dtypes.items()} | {"empty": np.zeros((0, 3), np.float32)}
    model = {name: array * array.dtype.type(3) for name, array in base.items() if name != "F16"}
    found = answer(open_target("mergealgebra"), base, (model,))
    assert {name: array.dtype.name for name, array in found.tensors.items()} == {
        name: array.dtype.name for name, array in base.items()
    }
    assert {name: float(array.sum()) for name, array in found.tensors.items()} == {
        "F64": 12, "F32": 12, "BF16": 12, "F16": 4, "empty": 0,
    }  # fmt: skip


def _factors(a, b):
    """A model that is a LoRA adapter of the tensor layer.weight."""
    return {"layer.lora_A.weight": np.float32(a), "layer.lora_B.weight": np.float32(b)}


def test_ours_multiplies_adapters_out():
    base = {"layer.weight": np.ones((2, 3), np.float32), "v": np.ones(1, np.float32)}
    models = (_factors([[1, 0, 2]], [[-2], [1]]), _factors([[-1, 0, -2]], [[2], [-1]]) | {"v": np.float32([3])})
    merged = answer(open_target("mergealgebra"), base, models).tensors
    assert merged["layer.weight"].tolist() == [[-1, 1, -3], [2, 1, 3]]  # both products are [[-2, 0, -4], [1, 0, 2]]
    assert merged["v"].tolist() == [3]
    whole = {"v.lora_A.weight": np.float32([1])}  # of the base, so no factor
    assert answer(open_target("mergealgebra"), whole, (whole,)).tensors["v.lora_A.weight"].tolist() == [1]
    many = {f"{i}.lora_{factor}.weight": np.ones((1, 1), np.float32) for i in range(20) for factor in "AB"}
    assert list(adapter.task_vector({}, many)) == sorted(f"{i}.weight" for i in range(20))
    one_factor = ({"layer.lora_A.weight": np.float32([[1, 0, 2]])},)
    assert isinstance(answer(open_target("mergealgebra"), base, one_factor), Refused)


@pytest.mark.clause("DI-1", "DI-12")
def test_a_dialect_is_as_it_is_stated():
    found = answer(open_target("mergealgebra:peft-0.21"), density="0.4")
    expected = merge_in_dialect(DIALECTS["peft-0.21"], BASE, MODELS, density="0.4")
    assert found.tensors["w"].tobytes() == expected["w"].tobytes()
    assert isinstance(answer(open_target("mergealgebra:peft-0.21"), lambda_="2"), Refused)


def test_a_dialect_in_this_process_answers_as_in_its_own():
    def merge(base, models, **parameters):
        return merge_in_dialect(DIALECTS["authors"], base, models, **parameters)

    here, there = Here("authors", merge), open_target("mergealgebra:authors")
    assert answer(here, density="40").tensors["w"].tobytes() == answer(there, density="40").tensors["w"].tobytes()
    refusals = [answer(target, coefficients=("2", "1", "1")) for target in (here, there)]
    assert refusals[1].message.endswith(refusals[0].message)


def test_a_target_is_started_with_more_variables(module, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/ours")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with_one = open_target("merging:threads").with_env({"OMP_NUM_THREADS": "1"})
    assert answer(with_one) == Refused("ValueError: 1 /ours")
    assert answer(open_target("merging:threads")) == Refused("ValueError: 2 /ours")
    apart = open_target("peft").with_env({"OMP_NUM_THREADS": "1"}).env
    assert (apart["OMP_NUM_THREADS"], "PYTHONPATH" in apart) == ("1", False)
    here = Here("here", dict)
    assert here.with_env({"OMP_NUM_THREADS": "1"}) is here


def test_a_function_is_called_with_arrays_and_decimals(module):
    parameters = {"density": "0.4", "lambda_": "0.30", "coefficients": ("1", "2", "0.5")}
    found = answer(open_target("merging:first"), **parameters)
    assert found.tensors["w"].tobytes() == MODELS[0]["w"].tobytes()
    told = answer(open_target("merging:told"), **parameters)
    assert told == Refused("ValueError: [('coefficients', ['1', '2', '0.5']), ('density', '0.4'), ('lambda_', '0.30')]")


def test_a_function_may_be_of_a_class_and_answer_in_its_own_dtype(module):
    assert answer(open_target("merging:Merger.merge")).tensors["w"].tobytes() == BASE["w"].tobytes()
    assert answer(open_target("merging:halves")).tensors["w"].dtype == np.float16
    assert answer(open_target("merging:big_endian")).tensors["w"].tolist() == [1, -2, 2, 1, 3]


def test_a_function_is_named_with_the_version_of_its_module(module):
    assert introduction(open_target("merging:first"), SECONDS) == Hello("merging:first", "1.2")


def test_what_a_function_writes_into_its_arguments_is_told(module):
    assert answer(open_target("merging:first")).changed == ()
    assert answer(open_target("merging:writing")).changed == ("base", "models[1]")
    assert answer(open_target("merging:emptying")).changed == ("models[2]", "models")
    assert answer(open_target("merging:turning")).changed == ("models",)


BAD_FUNCTIONS = {
    "none": ("malformed", "tensors is 'None', expected an object"),
    "lists": ("malformed", "tensor 'w' is '[0.0, 0.0, 0.0, 0.0, 0.0]'"),
    "integers": ("malformed", "dtype 'int64' is not one of"),
    "leaving": ("crashed", "its last words: 'leaving'"),
    "number": ("absent", "merging.number is not a function; merging has first, halves, "),
    "nothing": ("absent", "merging has no 'nothing'; it has "),
}


@pytest.mark.parametrize("name", BAD_FUNCTIONS)
def test_a_function_that_is_none_is_a_result(name, module):
    found = answer(open_target(f"merging:{name}"))
    kind, message = BAD_FUNCTIONS[name]
    assert message in found.message
    assert getattr(found, "kind", "refused") == kind


#: A checkout whose file cannot be imported, with the authors' names and functions of our own.
AUTHORS = """
import not_installed_anywhere
from not_installed_anywhere import *

def state_dict_to_vector(state_dict, remove_keys=[]):
    return torch.cat([state_dict[key].reshape(-1) for key in sorted(state_dict)])

def vector_to_state_dict(vector, state_dict, remove_keys=[]):
    return OrderedDict((key, vector[: array.numel()].reshape(array.shape).mT) for key, array in state_dict.items())

def check_parameterNamesMatch(checkpoints):
    if len({tuple(sorted(checkpoint)) for checkpoint in checkpoints}) > 1:
        raise ValueError("names")

def topk_values_mask(M, K=0.7, return_mask=False): pass
def resolve_zero_signs(sign_to_mult, method="majority"): pass
def resolve_sign(Tensor, resolve_method): pass
def disjoint_merge(Tensor, merge_func, sign_to_mult): pass

def merge_methods(reset_type, flat_task_checks, reset_thresh=None, resolve_method=None, merge_func=""):
    logger.info("merging")
    assert (reset_type, reset_thresh, resolve_method, merge_func) == ("topk", 40.0, "mass", "dis-mean")
    return flat_task_checks.sum(dim=0)
"""


def test_a_checkout_is_used_without_what_it_imports(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "src" / "utils").mkdir(parents=True)
    (tmp_path / CHECKOUTS["authors"]).write_text(AUTHORS)
    talk = open_target("authors", checkout=os.path.relpath(tmp_path)).begin(SECONDS)
    try:  # one conversation, as each imports torch
        assert talk.hello().version.startswith("src/utils/merge_utils.py with SHA-256 ")
        tau = {"m": np.float32([[1, 2], [3, 4]]), "none": np.zeros((0, 0), np.float32)}
        base = {name: np.zeros_like(array) for name, array in tau.items()}
        merged = talk.answer(Question("a", base, (tau, tau), "40", "0.5"))
        assert merged.tensors["m"].tolist() == [[1, 3], [2, 4]]  # transposed by them, so not in C order
        assert talk.answer(Question("b", BASE, ({"v": BASE["w"]},))) == Refused("ValueError: names")
        coefficients = Question("c", BASE, MODELS, "40", coefficients=("1", "1", "2"))
        assert talk.answer(coefficients) == Refused("ValueError: the authors' code has no coefficients")
    finally:
        talk.close()

"""Of several errors one is named, and it is the same one however the merge is computed [MG-6]."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.contribution import make_manifest
from mergealgebra.errors import NonFinite, Overflow
from mergealgebra.execution import Execution
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.engine.scenes import WAYS
from tests.models import write_file

LARGEST = float(np.finfo(np.float32).max)
NAN, INF = float("nan"), float("inf")
SIZE = 20


@dataclass(frozen=True)
class Case:
    """Two tensors `a` and `b` of zeros in the base, (2, 10) and (20,); what stands elsewhere, by tensor and position.

    fine_tunes: what differs from 1 in the first and from 2 in the second. named: what the message must name.
    """

    fine_tunes: tuple[dict[tuple[str, int], float], ...]
    named: str
    error: type[NonFinite] = NonFinite
    base: dict[tuple[str, int], float] = field(default_factory=dict)
    recipe: ma.Ties | ma.Mean | ma.TaskArithmetic = field(default_factory=ma.Mean)
    coefficients: tuple[str, ...] = ("1", "1")
    dtype: type = np.float32


TAU = "the difference is not a finite fp32 number"
V = "coefficient times task vector is beyond"
TAU_M = "the merged task vector is beyond"
RESULT = "the result is beyond"
ARITHMETIC = ma.TaskArithmetic()

CASES = {
    "the earlier tensor": Case(({("b", 0): NAN, ("a", 19): NAN}, {}), rf"ft0.*tensor 'a' at index \[1, 9\].*{TAU}"),
    "the earlier element": Case(({("b", 7): NAN, ("b", 6): INF}, {}), r"ft0.*tensor 'b' at index \[6\]"),
    "the second contribution's, earlier": Case(
        ({("a", 9): NAN}, {("a", 3): NAN}), r"ft1.*tensor 'a' at index \[0, 3\]"
    ),
    "the second contribution's, in an earlier tensor": Case(
        ({("b", 0): NAN}, {("a", 12): NAN}), r"ft1.*tensor 'a' at index \[1, 2\]"
    ),
    "both at one element: the first contribution's": Case(
        ({("b", 3): NAN}, {("b", 3): NAN}), r"ft[01].*tensor 'b' at index \[3\]"
    ),
    "an infinity on one side": Case(
        ({("b", 3): 1.0}, {("b", 3): INF}), r"tensor 'b' at index \[3\] is 1.0, the base's inf", base={("b", 3): INF}
    ),
    "opposite infinities": Case(
        ({("b", 2): -INF}, {("b", 2): INF}),
        r"ft0.*tensor 'b' at index \[2\] is -inf, the base's inf",
        base={("b", 2): INF},
    ),
    "a difference beyond fp32": Case(
        ({("a", 5): LARGEST}, {("a", 5): -LARGEST}),
        r"ft0.*tensor 'a' at index \[0, 5\] is 3.4.*the base's -3.4",
        base={("a", 5): -LARGEST},
    ),
    "v": Case(({}, {("a", 4): 1e38}), rf"ft1.*tensor 'a' at index \[0, 4\]: {V}", Overflow, coefficients=("1", "10")),
    "v, the earlier": Case(
        ({("b", 4): 1e38}, {("b", 3): 1e38}), rf"ft1.*'b' at index \[3\]: {V}", Overflow, coefficients=("10", "10")
    ),
    "v before a NaN: the NaN": Case(
        ({("a", 0): 1e38}, {("b", 19): NAN}), r"ft1.*tensor 'b' at index \[19\]", coefficients=("10", "1")
    ),
    "v in one, NaN in the same: the NaN": Case(
        ({("a", 0): 1e38, ("a", 1): NAN}, {}), r"ft0.*tensor 'a' at index \[0, 1\]", coefficients=("10", "1")
    ),
    "a result before a NaN: the NaN": Case(
        ({("a", 0): 65504}, {("b", 1): NAN}),
        r"ft1.*tensor 'b' at index \[1\]",
        recipe=ma.Mean(lambda_="4"),
        dtype=np.float16,
    ),
    "a merged task vector before a NaN: the NaN": Case(
        ({("a", 0): 3e38}, {("a", 0): 3e38, ("b", 0): NAN}), r"ft1.*tensor 'b' at index \[0\]", recipe=ARITHMETIC
    ),
    "a merged task vector": Case(
        ({("a", 7): 3e38}, {("a", 7): 3e38}), rf"tensor 'a' at index \[0, 7\]: {TAU_M}", Overflow, recipe=ARITHMETIC
    ),
    "a result": Case(
        ({("b", 8): 60000}, {("b", 8): 60000}),
        rf"tensor 'b' at index \[8\]: {RESULT}",
        Overflow,
        recipe=ma.Mean(lambda_="2"),
        dtype=np.float16,
    ),
    "a result before v": Case(
        ({}, {("a", 2): 100, ("a", 3): 60000}),
        rf"tensor 'a' at index \[0, 2\]: {RESULT}",
        Overflow,
        recipe=ma.TaskArithmetic(lambda_=f"0.{'0' * 30}1"),
        coefficients=("1", f"1{'0' * 34}"),
        dtype=np.float16,
    ),
    "v before a result": Case(
        ({}, {("a", 3): 100, ("a", 2): 60000}),
        rf"ft1.*tensor 'a' at index \[0, 2\]: {V}",
        Overflow,
        recipe=ma.TaskArithmetic(lambda_=f"0.{'0' * 30}1"),
        coefficients=("1", f"1{'0' * 34}"),
        dtype=np.float16,
    ),
    "v and a merged task vector at one element: v": Case(
        ({("b", 5): 3e38}, {("b", 5): 3e38}),
        rf"ft1.*tensor 'b' at index \[5\]: {V}",
        Overflow,
        recipe=ARITHMETIC,
        coefficients=("1", "10"),
    ),
    "a merged task vector and a result, the earlier": Case(
        ({("b", 5): 3e38, ("a", 6): 1e38}, {("b", 5): 3e38, ("a", 6): 1e38}),
        rf"tensor 'a' at index \[0, 6\]: {RESULT}",
        Overflow,
        recipe=ma.TaskArithmetic(lambda_="4"),
    ),
    "what trim drops is no error in v": Case(
        ({("a", 1): 3e38, ("a", 0): 2e38}, {}),
        rf"tensor 'a' at index \[0, 1\]: {V}",
        Overflow,
        recipe=ma.Ties(density="0.01"),
        coefficients=("2", "1"),
    ),
    "what trim drops is an error in tau": Case(
        ({("a", 1): 3e38, ("b", 0): NAN}, {}), r"ft0.*tensor 'b' at index \[0\]", recipe=ma.Ties(density="0.01")
    ),
    "each tensor trimmed by itself": Case(
        ({("b", 0): NAN}, {("a", 19): NAN}),
        r"ft1.*tensor 'a' at index \[1, 9\]",
        recipe=ma.Ties(density="0.5", scope="tensor"),
    ),
}


def write(root, case):
    """The checkpoints of a case; returns the path of the base and the models."""
    shapes = {"a": (2, 10), "b": (SIZE,)}

    def tensors(fill, changes):
        made = {name: np.full(shape, fill, case.dtype) for name, shape in shapes.items()}
        for (name, position), value in changes.items():
            made[name].reshape(-1)[position] = value
        return made

    models = [
        Model(write_file(root / f"ft{i}.safetensors", tensors(i + 1, changes)), coefficient)
        for i, (changes, coefficient) in enumerate(zip(case.fine_tunes, case.coefficients, strict=True))
    ]
    return write_file(root / "base.safetensors", tensors(0, case.base)), models


def refusal(case: Case, base, models, out, execution: Execution) -> NonFinite:
    with pytest.raises(NonFinite) as raised:
        merge_checkpoints(base, models, case.recipe, out, execution)
    assert not out.exists()
    return raised.value


@pytest.mark.clause("MG-6", "TV-4", "TI-6", "TA-2", "MG-5", "MG-8")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_same_coordinate_is_named_in_every_way(tmp_path, case):
    """Every block size, number of threads, backend, and order of the configuration: one message."""
    base, models = write(tmp_path, case)
    messages = set()
    for execution, order in [*((way, models) for way in WAYS.values()), (WAYS["blocks of seven"], models[::-1])]:
        error = refusal(case, base, order, tmp_path / "out", execution)
        assert type(error) is case.error, execution
        messages.add(str(error))
    (message,) = messages
    assert re.search(case.named, message), message
    assert "\n" not in message


def id_of(path, base):
    """The id of a fine-tune as a contribution; its NaN are part of it."""
    with Checkpoint.open(path) as checkpoint, Checkpoint.open(base) as original:
        return make_manifest("finetuned", original.root(), checkpoint, checkpoint.roots(), 1.0).id


@pytest.mark.clause("MG-6", "TI-1")
def test_of_two_contributions_at_one_element_the_first_by_id_is_named(tmp_path):
    """The order of the configuration does not count, and neither do the names of the files."""
    case = CASES["both at one element: the first contribution's"]
    labels = set()
    for number in range(6):  # other tensors have other ids, so that either comes first now and then
        changed = replace(case, fine_tunes=(case.fine_tunes[0] | {("a", 0): number + 0.5}, case.fine_tunes[1]))
        base, models = write(tmp_path / str(number), changed)
        ids = {id_of(model.path, base): model.path.name for model in models}
        first = ids[min(ids)]
        message = str(refusal(changed, base, models, tmp_path / "out", WAYS["one thread"]))
        assert first in message
        labels.add(first)
    assert labels == {"ft0.safetensors", "ft1.safetensors"}

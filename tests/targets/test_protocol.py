"""The lines of the protocol: what is written, and that any line at all is an answer, a failure or out of step."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.targets import protocol
from mergealgebra.targets.protocol import OutOfStep, greeting, is_chatter, read_answer, read_greeting, request
from mergealgebra.targets.questions import KINDS, Failed, Hello, Merged, Question, Refused

BASE = {"w": np.float32([[1, -2]]), "é\n": np.array(-0.0)}
QUESTION = Question("q", BASE, (BASE, BASE), "0.2", "-1.5", ("1", "2"))
TENSORS = {
    "w": {"dtype": "F32", "shape": [1, 2], "hex": "0000803f000000c0"},
    "é\n": {"dtype": "F64", "shape": [], "hex": "0000000000000080"},
}

#: Arrays, and the tensors that they are written as.
ARRAYS = {
    "fp64": (np.float64([1]), {"dtype": "F64", "shape": [1], "hex": "000000000000f03f"}),
    "fp32": (np.float32([1]), {"dtype": "F32", "shape": [1], "hex": "0000803f"}),
    "bf16": (np.ones(1, ml_dtypes.bfloat16), {"dtype": "BF16", "shape": [1], "hex": "803f"}),
    "fp16": (np.float16([1]), {"dtype": "F16", "shape": [1], "hex": "003c"}),
    "big-endian": (np.array([1], ">f4"), {"dtype": "F32", "shape": [1], "hex": "0000803f"}),
    "transposed": (np.float16([[1, 0], [2, 0]]).T, {"dtype": "F16", "shape": [2, 2], "hex": "003c004000000000"}),
    "zero dimensions": (np.float16(1).reshape(()), {"dtype": "F16", "shape": [], "hex": "003c"}),
    "no elements": (np.zeros((2, 0, 3), np.float32), {"dtype": "F32", "shape": [2, 0, 3], "hex": ""}),
    "NaN": (np.uint32([0xFFC00001]).view(np.float32), {"dtype": "F32", "shape": [1], "hex": "0100c0ff"}),
}


def line(value: object) -> bytes:
    return json.dumps(value).encode()


def test_a_request_is_one_line_that_says_all():
    written = request(QUESTION)
    assert written.count(b"\n") == 1
    assert json.loads(written) == {
        "id": "q",
        "base": TENSORS,
        "models": [TENSORS, TENSORS],
        "density": "0.2",
        "lambda": "-1.5",
        "coefficients": ["1", "2"],
    }


def test_coefficients_that_are_not_given_are_all_one():
    assert Question("q", BASE, [BASE, BASE]).coefficients == ("1", "1")


@pytest.mark.parametrize("case", ARRAYS)
def test_a_tensor_comes_back_with_the_bits_that_it_had(case):
    array, written = ARRAYS[case]
    question = Question("q", {"w": array}, ())
    assert json.loads(request(question))["base"] == {"w": written}
    answer = read_answer(line({"id": "q", "tensors": {"w": written}}), question)
    assert isinstance(answer, Merged)
    assert answer.tensors["w"].shape == array.shape
    assert answer.tensors["w"].tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()


def test_a_target_introduces_itself():
    assert json.loads(greeting()) == {"hello": {"protocol": 1}}
    assert read_greeting(b'{"hello": {"name": "n", "version": "1", "since": 2023}}') == Hello("n", "1")


BAD_GREETINGS = {
    "no object": b'{"hello": "n"}',
    "no name": b'{"hello": {"version": "1"}}',
    "version is a number": b'{"hello": {"name": "n", "version": 1}}',
    "an answer": b'{"id": "q", "tensors": {}}',
}


@pytest.mark.parametrize("case", BAD_GREETINGS)
def test_what_is_no_greeting_is_refused(case):
    with pytest.raises(OutOfStep, match="hello"):
        read_greeting(BAD_GREETINGS[case])


def test_an_answer_tells_what_the_call_changed():
    answer = read_answer(line({"id": "q", "tensors": TENSORS, "changed": ["base"]}), QUESTION)
    assert answer.changed == ("base",)
    for changed in ("base", ["base\x1b"], ["models[9]"], [["base"]], ["base"] * 100):
        assert read_answer(line({"id": "q", "tensors": TENSORS, "changed": changed}), QUESTION).kind == "malformed"


class Compared(str):
    """A name that counts how often it is compared with another."""

    times = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return str.__eq__(self, other)


def test_a_name_that_stands_twice_is_found_in_one_pass():
    pairs = [(Compared(i), i) for i in (*range(1000), 999)]
    with pytest.raises(ValueError, match=r"^'999' stands twice$"):
        protocol._once(pairs)
    assert Compared.times < 2000


def test_a_line_for_which_there_is_no_memory_is_out_of_step(monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(protocol.json, "loads", full)
    with pytest.raises(OutOfStep, match=r"is too large to be read$"):
        read_answer(b'{"id": "q"}', QUESTION)


#: Pieces from which lines are made that nearly are answers.
VALUES = st.recursive(
    st.sampled_from(["q", "F32", "0000803f000000c0", "", -1, 0, 1, 2, 0.5, True, None, [1, 2], []]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "tensors", "error", "changed", "w", "é\n", "dtype", "shape", "hex"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@st.composite
def spoilt_answers(draw: st.DrawFn) -> bytes:
    """A good answer in which one thing is replaced, and perhaps some bytes."""
    answer = json.loads(line({"id": "q", "tensors": TENSORS}))
    path = draw(st.sampled_from([["id"], ["tensors"], ["tensors", "w"], *(["tensors", "w", k] for k in TENSORS["w"])]))
    place = answer
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = draw(VALUES)
    written = bytearray(line(answer))
    for position, byte in draw(st.lists(st.tuples(st.integers(0, len(written) - 1), st.integers(0, 255)), max_size=2)):
        written[position] = byte
    return bytes(written)


@given(st.binary(max_size=60) | VALUES.map(line) | spoilt_answers())
def test_any_line_is_an_answer_a_failure_or_out_of_step(written):
    is_chatter(written)
    try:
        answer = read_answer(written, QUESTION)
    except OutOfStep as error:
        assert "\n" not in str(error)
        return
    if isinstance(answer, Merged):
        assert {name: array.shape for name, array in answer.tensors.items()} == {"w": (1, 2), "é\n": ()}
    else:
        assert isinstance(answer, Refused) or (answer.kind in KINDS and "\n" not in answer.message)
    assert isinstance(answer, Merged | Refused | Failed)


def test_the_protocol_of_the_documentation_is_the_one_that_is_printed():
    """What a wheel has is the source; the page for people holds the same words."""
    words = protocol.text().partition("\n\n")[2]
    assert words.startswith("The program is started once.")
    assert words in (Path(__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")

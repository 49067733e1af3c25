"""The oracle as a program: what is no request is answered with an error, and it goes on."""

from __future__ import annotations

import json

import pytest

from tests.oracle.program import Json, Oracle

ONE = {"w": {"dtype": "F32", "hex": "0000803f"}}
VECTOR = {"form": "task_vector", "coefficient": "3f800000", "tensors": ONE}
TIES = {"method": "ties", "lambda": "3f800000", "density": "0.5", "scope": "model", "boundary": "keep_all"}
MERGE = {"check": "merge", "recipe": TIES, "base": ONE, "contributions": [VECTOR]}

ID = "0" * 64
ADD = {"id": ID, "signed": [], "under": [], "action": ["add", ID, ID]}
POLICY = {"check": "policy", "base": ID, "maintainers": [], "operations": [ADD], "peer": []}


def with_operation(**changes: Json) -> Json:
    return {**POLICY, "operations": [{**ADD, **changes}]}


def with_recipe(**changes: Json) -> Json:
    return {**MERGE, "recipe": {**TIES, **changes}}


def with_contribution(**changes: Json) -> Json:
    return {**MERGE, "contributions": [{**VECTOR, **changes}]}


def with_base(**tensor: Json) -> Json:
    return {**MERGE, "base": {"w": {**ONE["w"], **tensor}}}


#: Requests with one thing wrong.
BAD_REQUESTS = {
    "an array": [],
    "no check": {},
    "an unknown check": {**MERGE, "check": "trim"},
    "an unknown key": {**MERGE, "more": "1"},
    "a missing key": {"check": "merge", "recipe": TIES, "base": ONE},
    "contributions that are no array": {**MERGE, "contributions": {}},
    "an unknown method": with_recipe(method="swirl"),
    "a density for the mean": with_recipe(method="mean"),
    "a lambda for linear": with_recipe(method="linear"),
    "a density of zero": with_recipe(density="0"),
    "a density above one": with_recipe(density="1.01"),
    "a negative density": with_recipe(density="-0.5"),
    "a density with an exponent": with_recipe(density="1e-1"),
    "a density without digits": with_recipe(density="."),
    "a lambda that is no number": with_recipe(**{"lambda": "7fc00000"}),
    "a lambda of seven digits": with_recipe(**{"lambda": "3f80000"}),
    "an unknown scope": with_recipe(scope="layer"),
    "an unknown boundary": with_recipe(boundary="random"),
    "an unknown form": with_contribution(form="delta"),
    "a coefficient as a decimal": with_contribution(coefficient="1.0"),
    "a signed coefficient": with_contribution(coefficient="-0000001"),
    "a tensor that the base lacks": with_contribution(tensors={"x": ONE["w"]}),
    "a tensor of another size": with_contribution(tensors={"w": {"dtype": "F32", "hex": "0000803f0000803f"}}),
    "an unknown dtype": with_base(dtype="I32"),
    "half a byte": with_base(hex="0000803"),
    "half an element": with_base(hex="0000"),
    "upper-case digits": with_base(hex="0000803F"),
    "digits that are none": with_base(hex="0000803g"),
    "a short id": with_operation(id="00"),
    "an upper-case id": with_operation(id="A" * 64),
    "an author without a signature": with_operation(signed=[ID]),
    "a signature that is neither": with_operation(signed=[ID, "maybe"]),
    "two grants": with_operation(under=[ID, ID]),
    "an unknown action": with_operation(action=["swirl"]),
    "an action without its part": with_operation(action=["add", ID]),
    "a remove of no array": with_operation(action=["remove", ID]),
    "maintainers that are no array": {**POLICY, "maintainers": {}},
}

#: Lines that are no JSON of ours.
BAD_LINES = {
    "nothing": b"",
    "spaces": b"  ",
    "a number": b"1",
    "null": b"null",
    "a text without end": b'{"check',
    "an object without end": b'{"check":"merge"',
    "a comma too many": b'{"check":"merge",}',
    "something behind": b"{} {}",
    "a key that stands twice": b'{"check":"merge","check":"merge"}',
    "an unknown escape": rb'{"\x": ""}',
    "a lone surrogate": rb'{"\ud800": ""}',
    "an escape without end": rb'{"\u12',
    "a control character": b'{"\x01": ""}',
    "nested too deep": b"[" * 100_000,
    "bytes": bytes(range(11, 256)),
}


@pytest.mark.parametrize("request_", BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_bad_requests_are_answered_with_an_error(oracle: Oracle, request_):
    assert list(oracle.ask(request_)) == ["error"]
    assert oracle.ask(MERGE) == {"tensors": {"w": {"dtype": "F32", "hex": "00000040"}}, "kept": [1]}
    assert oracle.ask(POLICY) == {
        "admissible": [ID],
        "effective": [ID],
        "visible": [ID],
        "carried": [ID],
        "witnesses": [],
    }


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
def test_bad_lines_are_answered_with_an_error(oracle: Oracle, line):
    assert list(oracle.answer(line)) == ["error"]
    assert "tensors" in oracle.ask(MERGE)


def test_every_prefix_of_a_request_is_answered(oracle: Oracle):
    whole = json.dumps(MERGE).encode()
    assert all(list(oracle.answer(whole[:end])) == ["error"] for end in range(len(whole)))


@pytest.mark.clause("TI-1", "MG-6")
def test_names_are_ordered_by_their_bytes(oracle: Oracle):
    """As UTF-16 units they would stand the other way round. Of two errors, that of the first is named."""
    names = ["\uff5e", "\U0001f600"]
    for order in (names, names[::-1]):
        tensors = {name: {"dtype": "F32", "hex": "0000c07f"} for name in order}
        base = dict.fromkeys(reversed(order), ONE["w"])
        contribution = {**VECTOR, "tensors": tensors}
        refused = oracle.ask({**MERGE, "base": base, "contributions": [contribution]})["refused"]
        assert (refused["what"], refused["tensor"], refused["element"]) == ("tau", "\uff5e", 0)

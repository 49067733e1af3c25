"""The protocol of conformance targets: one line of JSON each way, UTF-8, on standard input and output.

    to the target     {"hello": {"protocol": 1}}
    from the target   {"hello": {"name": "...", "version": "..."}}   or   {"hello": {"error": "why it cannot be asked"}}

and then, until its input ends, for each

    to the target     {"id": "...", "base": TENSORS, "models": [TENSORS, ...],
                       "density": "0.2", "lambda": "1", "coefficients": ["1", ...]}
    from the target   {"id": "...", "tensors": TENSORS}   or   {"id": "...", "error": "why it does not merge this"}

TENSORS is {NAME: {"dtype": "F32", "shape": [2, 3], "hex": "..."}, ...}, as in spec/vectors: the dtype is F64, F32, BF16
or F16, the bytes are little-endian, in C order. Models are fine-tuned, not differences; one may lack tensors, or have
LoRA factors NAME.lora_A.weight ([r, in]) and NAME.lora_B.weight ([out, r]) for a NAME.weight ([out, in]) of the base.
An answer has the base's names and shapes; its dtypes are the target's choice. Standard error is free for messages.

What is read here is strict: anything else is a `Failed` that says what is wrong, once.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np

from mergealgebra.errors import MergeAlgebraError
from mergealgebra.targets.questions import Answer, Failed, Hello, Merged, Question, Refused, Tensors
from mergealgebra.tensors.dtypes import DTYPES, name_of
from mergealgebra.text import printable, shortened, shown

VERSION: Final = 1

#: The dtypes that a tensor of a question or an answer may have.
FLOATS: Final = {name: dtype for name, dtype in DTYPES.items() if dtype.is_float}

#: Characters of why a target cannot be asked.
LONGEST_REASON: Final = 600

_HEX: Final = re.compile(r"[0-9a-fA-F]*", re.ASCII)


class OutOfStep(MergeAlgebraError):
    """A line is not about what the target was asked last. kind: what that makes of the target, one of `KINDS`."""

    kind = "malformed"


class Absent(OutOfStep):
    """The target says that what it stands for is not there."""

    kind = "absent"


class _Wrong(MergeAlgebraError):
    """An answer is to this question, and not as it has to be."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def text() -> str:
    """The protocol in words, for people who write a target."""
    return Path(__file__).with_suffix(".md").read_text(encoding="utf-8")


def greeting() -> bytes:
    """The first line to a target."""
    return _line({"hello": {"protocol": VERSION}})


def request(question: Question) -> bytes:
    """The line that asks a question."""
    return _line(
        {
            "id": question.id,
            "base": _written(question.base),
            "models": [_written(model) for model in question.models],
            "density": question.density,
            "lambda": question.lambda_,
            "coefficients": list(question.coefficients),
        }
    )


def is_chatter(line: bytes) -> bool:
    """Whether a line does not even begin as an answer does."""
    return not line.lstrip().startswith(b"{")


def read_greeting(line: bytes) -> Hello:
    """Who the target says that it is. Raises OutOfStep, Absent among it."""
    hello = _object(line).get("hello")
    if isinstance(hello, dict) and isinstance(hello.get("error"), str):
        raise Absent(shortened(printable(" ".join(hello["error"].split())), LONGEST_REASON))
    if not isinstance(hello, dict):
        raise OutOfStep(f'its first line is {_cut(line)}, expected {{"hello": {{"name": ..., "version": ...}}}}')
    for key in ("name", "version"):
        if not isinstance(hello.get(key), str):
            raise OutOfStep(f"the {key} in its hello is {shown(hello.get(key))}, expected text")
    return Hello(hello["name"], hello["version"])


def read_answer(line: bytes, question: Question) -> Answer:
    """The answer in a line. Raises OutOfStep where the line is not about this question."""
    answer = _object(line)
    if "id" not in answer:
        raise OutOfStep(f"its answer {_cut(line)} has no id")
    if answer["id"] != question.id:
        raise OutOfStep(f"it answers {shown(answer['id'])}, and was asked {shown(question.id)}")
    try:
        return _read(answer, question)
    except _Wrong as wrong:
        return Failed(wrong.kind, str(wrong))


def _read(answer: dict[str, Any], question: Question) -> Answer:
    keys = answer.keys() - {"id", "changed"}
    if keys == {"error"}:
        if not isinstance(answer["error"], str):
            raise _malformed(f"error is {shown(answer['error'])}, expected text")
        return Refused(" ".join(answer["error"].split()))
    if keys != {"tensors"}:
        raise _malformed(f"it has {_names(answer)}, expected id and either tensors or error")
    return Merged(_tensors(answer["tensors"], question.base), _changed(answer.get("changed", []), question))


def _tensors(found: object, base: Tensors) -> Tensors:
    if not isinstance(found, dict):
        raise _malformed(f"tensors is {shown(found)}, expected an object, in Python a dict, of arrays by name")
    if lacking := sorted(base.keys() - found.keys()):
        raise _Wrong("wrong_names", f"its answer lacks tensor {shown(lacking[0])}; it has {_names(found)}")
    if unknown := sorted(found.keys() - base.keys()):
        raise _Wrong("wrong_names", f"its answer has tensor {shown(unknown[0])}, which the base does not have")
    return {name: _tensor(f"tensor {shown(name)}", found[name], array.shape) for name, array in base.items()}


def _tensor(where: str, found: object, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    if not isinstance(found, dict) or found.keys() != {"dtype", "shape", "hex"}:
        raise _malformed(f"{where} is {shown(found)}, expected an object of dtype, shape and hex")
    dtype = FLOATS.get(found["dtype"]) if isinstance(found["dtype"], str) else None
    if dtype is None:
        raise _malformed(f"{where}: dtype {shown(found['dtype'])} is not one of {', '.join(FLOATS)}")
    if not _is_shape(found["shape"]):
        raise _malformed(f"{where}: shape {shown(found['shape'])} is not a list of sizes")
    if tuple(found["shape"]) != shape:
        raise _Wrong("wrong_shapes", f"{where} has shape {shown(found['shape'])}, expected {list(shape)}")
    text = found["hex"]
    if not isinstance(text, str) or not _HEX.fullmatch(text):
        raise _malformed(f"{where}: hex is {shown(text)}, expected hexadecimal digits")
    digits = 2 * dtype.itemsize * math.prod(shape)
    if len(text) != digits:
        raise _malformed(f"{where}: hex has {len(text)} digits, expected {digits} for {dtype.name} {list(shape)}")
    return np.frombuffer(bytes.fromhex(text), dtype.numpy).reshape(shape)


def _is_shape(found: object) -> bool:
    return isinstance(found, list) and all(type(size) is int and size >= 0 for size in found)


def _changed(found: object, question: Question) -> tuple[str, ...]:
    arguments = ["base", *(f"models[{i}]" for i in range(len(question.models))), "models"]
    if not isinstance(found, list) or len(found) > len(arguments) or not all(one in arguments for one in found):
        raise _malformed(f"changed is {shown(found)}, expected a list of the arguments that the call changed")
    return tuple(found)


def _object(line: bytes) -> dict[str, Any]:
    """The JSON object in a line; as in RFC 8259, names once, no NaN. Raises OutOfStep."""
    try:
        found = json.loads(line.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise OutOfStep(f"{_cut(line)} is not JSON: {error}") from error
    except MemoryError as error:
        raise OutOfStep(f"{_cut(line)} is too large to be read") from error
    if not isinstance(found, dict):
        raise OutOfStep(f"{_cut(line)} is not a JSON object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{shown(name)} stands twice")
        found[name] = value
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _malformed(message: str) -> _Wrong:
    return _Wrong("malformed", message)


def _written(tensors: Tensors) -> dict[str, dict[str, Any]]:
    return {name: _tensor_of(array) for name, array in tensors.items()}


def _tensor_of(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    dtype = FLOATS[name_of(array)]
    data = np.ascontiguousarray(array.astype(dtype.numpy, copy=False)).tobytes()
    return {"dtype": dtype.name, "shape": list(array.shape), "hex": data.hex()}


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _cut(line: bytes) -> str:
    return shown(line.decode(errors="replace").strip())


def _names(found: dict[str, Any]) -> str:
    return ", ".join(shown(name) for name in list(found)[:8]) or "nothing"

"""Reading the conformance vectors: cases, tagged values, tensors and errors as spec/vectors/README.md has them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mergealgebra import errors
from mergealgebra.tensors.dtypes import DTYPES, name_of

FOLDER = Path(__file__).parent.parent.parent / "spec" / "vectors"
Json = Any

#: The names of broken rules in the vectors, where they are not the names of our errors.
RULES: Mapping[str, tuple[type[errors.MergeAlgebraError], ...]] = {
    "AuxiliaryError": (
        errors.AuxiliaryError,
        errors.RecipeError,
        errors.NamesError,
        errors.ShapeError,
        errors.DtypeError,
    ),
    "AggregateError": (errors.AggregateError, errors.ShapeError),
    "BlobError": (errors.BlobDamaged,),
    "CheckpointError": (errors.CheckpointError, errors.DuplicateName),
    "ContributionError": (errors.OperationError, errors.CoefficientError, errors.NamesError),
    "DuplicateContribution": (errors.RecipeError, errors.AggregateError),
    "HeaderError": (errors.HeaderError, errors.DtypeError, errors.ShapeError, errors.LayoutError),
    "LayoutError": (errors.LayoutError, errors.ShapeError),
    "GenesisError": (errors.WorkspaceError, errors.RecipeError, errors.DecimalError),
    "NothingToRetract": (errors.UnknownContribution,),
    "OperationError": (errors.OperationError, errors.CoefficientError),
}


@dataclass(frozen=True)
class Vector:
    """One case: what to check, with what, and what must come out."""

    id: str
    check: str
    clauses: tuple[str, ...]
    input: Json
    expected: Json
    error: Json


def vectors() -> Iterator[Vector]:
    """Every case of every file but that of dialects, whose answers `test_dialect_vectors.py` reads."""
    for path in sorted(FOLDER.glob("*.json")):
        if path.stem == "dialects":
            continue
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
            known = case["id"], case["check"], tuple(case["clauses"]), case["input"]
            yield Vector(*known, case.get("expected"), case.get("error"))


def array(tensor: Json) -> np.ndarray:
    """A tensor of a case as a NumPy array."""
    flat = np.frombuffer(bytes.fromhex(tensor["hex"]), DTYPES[tensor["dtype"]].numpy)
    return flat.reshape(tensor["shape"]).copy()


def arrays(tensors: Json) -> dict[str, np.ndarray]:
    """A set of tensors."""
    return {name: array(tensor) for name, tensor in tensors.items()}


def tagged(tensors: Mapping[str, Any]) -> Json:
    """Arrays as the cases write them."""
    return {
        name: {"dtype": name_of(x), "shape": list(x.shape), "hex": np.ascontiguousarray(x).tobytes().hex()}
        for name, x in tensors.items()
    }


def value(tag: Json) -> object:  # noqa: PLR0911 - one return a kind
    """A canonical value from its tagged form."""
    if tag is None or isinstance(tag, bool):
        return tag
    ((kind, content),) = tag.items()
    if kind == "int":
        return int(content)
    if kind == "str":
        return content["repeat"] * content["times"] if isinstance(content, dict) else content
    if kind == "bin":
        return data(content)
    if isinstance(content, dict):
        return [value(content["repeat"])] * content["times"]
    if kind == "array":
        return [value(item) for item in content]
    return {key: value(item) for key, item in content}


def data(content: Json) -> bytes:
    """Bytes: hexadecimal, a repeated pattern, a pattern with a counter behind it, or a list of these."""
    if isinstance(content, list):
        return b"".join(map(data, content))
    if isinstance(content, dict) and "counted" in content:
        pattern = bytes.fromhex(content["counted"])
        return b"".join(pattern + i.to_bytes(4, "big") for i in range(content["times"]))
    if isinstance(content, dict):
        pattern = bytes.fromhex(content["repeat"])
        return (pattern * (content["bytes"] // max(1, len(pattern)) + 1))[: content["bytes"]]
    return bytes.fromhex(content)


def is_the_error(error: errors.MergeAlgebraError, expected: Json, labels: list[str]) -> bool:
    """Whether an error is the one expected: its rule, and the contribution, tensor and index in its message."""
    rule, message = expected["rule"], str(error)
    classes = RULES.get(rule) or (getattr(errors, rule),)
    said = [f"tensor {expected['tensor']!r}"] if "tensor" in expected else []
    said += [f"at index {expected['index']}"] if "index" in expected else []
    said += [labels[expected["contribution"]]] if "contribution" in expected and labels else []
    return isinstance(error, classes) and all(part in message for part in said) and "\n" not in message

"""MergeLM's `MergingMethod.ties_merging`, from a checkout of yule-BUAA/MergeLM.

`model_merging_methods/merging_methods.py` imports transformers by way of its neighbours, which the merge does not need:
that method, the class `TaskVector` and `get_param_names_to_merge` are compiled, unchanged, out of their files.

Added around the call: a model is an object whose `named_parameters` are the tensors; the mask rate is 1 - density, as
its users would write it. There are no coefficients.
"""

from __future__ import annotations

import ast
import collections
import copy
import hashlib
import re
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

ARRAYS = "torch"
NEEDED = {
    "utils/utils.py": "get_param_names_to_merge",
    "model_merging_methods/task_vector.py": "TaskVector",
    "model_merging_methods/merging_methods.py": "ties_merging",
}
theirs: dict[str, Any] = {}


def begin(checkout: str) -> None:
    import torch

    theirs.update(torch=torch, nn=torch.nn, re=re, copy=copy, OrderedDict=collections.OrderedDict)
    digest = hashlib.sha256()
    for file, name in NEEDED.items():
        source = Path(checkout, file).read_text()
        digest.update(source.encode())
        needed: Any = next(node for node in ast.walk(ast.parse(source)) if getattr(node, "name", None) == name)
        exec(compile(ast.Module([needed], type_ignores=[]), file, "exec"), theirs)
    theirs["version"] = f"its three files with SHA-256 {digest.hexdigest()[:12]}"


def version() -> str:
    return str(theirs["version"])


class Model:
    """What the merge uses of a torch module."""

    def __init__(self, tensors: dict[str, Any]) -> None:
        self._tensors = tensors

    def named_parameters(self) -> Iterable[tuple[str, Any]]:
        return self._tensors.items()


def merge(base: Any, models: Any, density: str, lambda_: str, coefficients: list[str]) -> dict[str, Any]:
    if any(Decimal(text) != 1 for text in coefficients):
        raise ValueError("MergeLM's TIES has no coefficients")
    method, of_models = theirs["ties_merging"], [Model(model) for model in models]
    return dict(method(None, Model(base), of_models, [], float(1 - Decimal(density)), float(lambda_)))

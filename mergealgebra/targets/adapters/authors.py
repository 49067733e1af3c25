"""The authors' code, from a checkout of prateeky2806/ties-merging.

`src/utils/merge_utils.py` imports matplotlib, transformers and much of its repository, none of which the merge needs:
the functions that it does need are compiled, unchanged, out of that file.

Added around the calls: what `load_vit` and `ties_merging.py` do between them (one vector a model, differences,
`merge_methods` with "topk", "mass" and "dis-mean", base + lambda * merged, tensors again). The density is its K, above
1 in percent. The script rounds lambda to one digit; this does not. There are no coefficients.
"""

from __future__ import annotations

import ast
import collections
import copy
import hashlib
import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

ARRAYS = "torch"
FILE = "src/utils/merge_utils.py"
FUNCTIONS = (
    "state_dict_to_vector",
    "vector_to_state_dict",
    "check_parameterNamesMatch",
    "topk_values_mask",
    "resolve_zero_signs",
    "resolve_sign",
    "disjoint_merge",
    "merge_methods",
)
theirs: dict[str, Any] = {}


def begin(checkout: str) -> None:
    import torch

    source = Path(checkout, FILE).read_text()
    defined = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    needed = ast.Module([defined[name] for name in FUNCTIONS], type_ignores=[])
    theirs.update(torch=torch, copy=copy, OrderedDict=collections.OrderedDict, logger=logging.getLogger("theirs"))
    exec(compile(needed, FILE, "exec"), theirs)
    theirs["version"] = f"{FILE} with SHA-256 {hashlib.sha256(source.encode()).hexdigest()[:12]}"


def version() -> str:
    return str(theirs["version"])


def merge(base: Any, models: Any, density: str, lambda_: str, coefficients: list[str]) -> dict[str, Any]:
    import torch

    if any(Decimal(text) != 1 for text in coefficients):
        raise ValueError("the authors' code has no coefficients")
    theirs["check_parameterNamesMatch"]([*models, base])
    flat_base = theirs["state_dict_to_vector"](base)
    task_vectors = torch.vstack([theirs["state_dict_to_vector"](model) for model in models]) - flat_base
    merged = theirs["merge_methods"]("topk", task_vectors, float(density), resolve_method="mass", merge_func="dis-mean")
    return dict(theirs["vector_to_state_dict"](flat_base + float(lambda_) * merged, base))

"""What mergekit answers to small questions about each method, in its own environment: what tests ask again without it.

    .venvs/mergekit-0.1.5/bin/python spec/conformance/mergekit_files/record.py OUT.json

It imports nothing of this package. An answer is the bits of an array as hexadecimal digits, with its dtype.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mergekit import merge_methods
from mergekit.merge_methods import generalized_task_arithmetic as added

SHAPE = (3, 9)
#: Of what sums are asked for: rows that fill no lane, some, blocks, and blocks of blocks.
ROWS = [(9, 3), (20, 7), (5, 333), (3, 4096), (1, 20000), (8, 48)]
NEAR = {"float32": 0.2, "bfloat16": 0.5, "float16": 0.3}
WEIGHTS = [0.3, 0.7, 0.45]


def questions() -> Iterator[dict[str, Any]]:
    """Methods with the number of models that are not the base, settings for all, and settings for each model."""
    scaled = {"lambda": 0.7, "normalize": False, "rescale": False}
    yield _asked("linear", 3, {"normalize": True}, based=False)
    yield _asked("linear", 3, {"normalize": False}, based=False)
    yield _asked("task_arithmetic", 3, scaled)
    yield _asked("task_arithmetic", 3, scaled | {"normalize": True})
    for method in ("ties", "breadcrumbs", "breadcrumbs_ties", "dare_ties", "dare_linear", "della", "della_linear"):
        own: dict[str, Any] = {"density": [0.5, 0.6, 0.3]}
        own |= {"gamma": [0.05, 0.1, 0.2]} if "breadcrumbs" in method else {}
        own |= {"epsilon": [0.1, 0.2, 0.15]} if "della" in method else {}
        yield _asked(method, 3, scaled, own)
        yield _asked(method, 3, scaled | {"normalize": True, "rescale": True}, own)
    yield _asked("slerp", 1, {"t": 0.3}, weighted=False)
    for based in (True, False):
        for flatten, rows in ((True, False), (False, False), (False, True)):
            yield _asked("nuslerp", 2, {"nuslerp_flatten": flatten, "nuslerp_row_wise": rows}, based=based)
        yield _asked("multislerp", 3, {"normalize_weights": based, "eps": 1e-8}, based=based)
    yield _asked("karcher", 3, {"max_iter": 10, "tol": 1e-5}, based=False, weighted=False)
    for rows in (True, False):
        yield _asked("model_stock", 3, {"filter_wise": rows}, weighted=False)
    yield _asked("nearswap", 1, {"t": 0.002}, weighted=False)
    yield _asked("arcee_fusion", 1, {}, weighted=False)
    yield _asked("passthrough", 1, {}, {"scale": [0.7]}, based=False, weighted=False)
    yield _asked("ram", 3, {"epsilon": 0.004}, weighted=False)
    yield _asked("ramplus_tl", 3, {"epsilon": 0.004, "r": 0.1, "alpha": 0.2}, weighted=False)
    yield _asked("sce", 3, {"select_topk": 1.0}, weighted=False)


def _asked(
    method: str,
    count: int,
    shared: dict[str, Any],
    own: dict[str, Any] | None = None,
    *,
    based: bool = True,
    weighted: bool = True,
) -> dict[str, Any]:
    weights = {"weight": WEIGHTS[:count]} if weighted else {}
    return {"method": method, "count": count, "shared": shared, "own": weights | (own or {}), "based": based}


def answered(question: dict[str, Any], dtype: str, seed: int) -> dict[str, Any]:
    """The question with its inputs, masks and answer."""
    masks: list[Any] = []
    draw, thin = torch.bernoulli, added.sparsify

    def drawn(*arguments: Any) -> Any:
        masks[-1] = draw(*arguments)
        return masks[-1]

    def thinned(*arguments: Any, **named: Any) -> Any:
        masks.append(None)
        return thin(*arguments, **named)

    rng, kind = np.random.default_rng(seed), getattr(torch, dtype)
    noise = torch.from_numpy(rng.standard_normal((question["count"] + 1, *SHAPE)).astype(np.float32)) * 0.05
    base, *models = (noise[0].to(kind), *((noise[0] + NEAR[dtype] * one).to(kind) for one in noise[1:]))
    ids = list(range(question["count"] + 1))[0 if question["based"] else 1 :]
    parameters = question["shared"] | {k: dict(enumerate(values, 1)) for k, values in question["own"].items()}
    torch.bernoulli, added.sparsify = drawn, thinned
    try:
        answer = merge_methods.merge_tensors(
            [base, *models] if question["based"] else models,
            question["method"],
            parameters=parameters,
            ids=ids,
            base_index=0 if question["based"] else None,
        )
    finally:
        torch.bernoulli, added.sparsify = draw, thin
    given: dict[str, Any] = {"dtype": dtype, "inputs": [bits(one) for one in (base, *models)]}
    given["masks"] = [None if mask is None else bits(mask.to(torch.uint8)) for mask in masks]
    return question | given | {"answer": bits(answer), "answer_dtype": str(answer.dtype).removeprefix("torch.")}


def added_up(shape: tuple[int, int], dtype: str) -> dict[str, Any]:
    """The sums and the lengths of the rows of what NumPy draws from the seed 0."""
    rows = torch.from_numpy(np.random.default_rng(0).standard_normal(shape).astype(dtype))
    sums, norms = rows.sum(-1), torch.linalg.vector_norm(rows, dim=-1)
    return {"method": "sums", "shape": shape, "dtype": dtype, "answer": bits(sums), "norms": bits(norms)}


def bits(tensor: Any) -> str:
    return str(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes().hex())


def main(out: str) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    cases = [
        answered(question, dtype, number + 300)
        for number, question in enumerate(questions())
        for dtype in ("float32", "bfloat16", "float16")
    ]
    cases += [added_up(shape, dtype) for shape in ROWS for dtype in ("float32", "float64")]
    text = ",\n".join(json.dumps(case) for case in cases)
    Path(out).write_text(f"[\n{text}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

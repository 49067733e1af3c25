"""mergekit's method `ties`, by the interface for tensors in memory that the installed version has.

Added around the call: the coefficients are its `weight`s, one a model; lambda is its `lambda`, and one `density` holds
for all. All else is left at its defaults. Up to 0.1.4 there is no call for tensors in memory, so the task of the method
is made for each tensor, as `mergekit-yaml` makes it, and executed on the models in their own dtypes.
"""

from __future__ import annotations

import importlib.metadata
from typing import Any

ARRAYS = "torch"


def begin() -> None:
    import mergekit.merge_methods  # noqa: F401


def version() -> str:
    return importlib.metadata.version("mergekit")


def merge(base: Any, models: Any, density: str, lambda_: str, coefficients: list[str]) -> dict[str, Any]:
    from mergekit import merge_methods

    by_version = by_state_dicts if hasattr(merge_methods, "merge_state_dicts") else by_tasks
    return by_version(base, models, float(density), float(lambda_), [float(text) for text in coefficients])


def by_method(base: Any, task_vectors: list[Any], method: str = "ties", **parameters: Any) -> dict[str, Any]:
    """The merge by any method of mergekit from 0.1.5 on; all weights are 1 where it has any.

    Its models are base + each task vector, rounded to the base's dtype; the base is one where the method requires it.
    """
    from mergekit import merge_methods

    models = [{name: (base[name] + vector[name]).to(base[name].dtype) for name in base} for vector in task_vectors]
    spec = merge_methods.get(method).spec
    if any(parameter.name == "weight" for parameter in spec.parameters):
        parameters = {"weight": 1.0, **parameters}
    if spec.contract.base == "required":
        return dict(merge_methods.merge_state_dicts([base, *models], method, parameters=parameters, base=0))
    return dict(merge_methods.merge_state_dicts(models, method, parameters=parameters, base=None))


def by_state_dicts(base: Any, models: Any, density: float, lambda_: float, weights: list[float]) -> dict[str, Any]:
    """From 0.1.5 on."""
    from mergekit.merge_methods import merge_state_dicts

    parameters = {"weight": dict(enumerate(weights, 1)), "density": density, "lambda": lambda_}
    return dict(merge_state_dicts([base, *models], "ties", parameters=parameters, base=0))


def by_tasks(base: Any, models: Any, density: float, lambda_: float, weights: list[float]) -> dict[str, Any]:
    """Up to 0.1.4."""
    from mergekit.merge_methods.registry import REGISTERED_MERGE_METHODS

    method = REGISTERED_MERGE_METHODS["ties"]
    shared = {parameter.name: parameter.default_value for parameter in method.parameters()} | {"lambda": lambda_}
    each = [{"weight": weight, "density": density} for weight in weights]
    return {name: by_task(method, name, [model[name] for model in [base, *models]], shared, each) for name in base}


def by_task(method: Any, name: str, tensors: list[Any], shared: dict[str, Any], each: list[dict[str, Any]]) -> Any:
    from mergekit.architecture import WeightInfo
    from mergekit.common import ImmutableMap, ModelReference
    from mergekit.merge_methods.base import TensorDictWrapper

    references = [ModelReference.parse(f"model{i}") for i in range(len(tensors))]
    of_models = {ref: ImmutableMap(own) for ref, own in zip(references[1:], each, strict=True)}
    task = method.make_task(
        output_weight=WeightInfo(name=name),
        tensors=TensorDictWrapper(tensors=ImmutableMap({})),
        base_model=references[0],
        parameters=ImmutableMap(shared),
        tensor_parameters=ImmutableMap(of_models),
    )
    return task.execute(tensors=dict(zip(references, tensors, strict=True)))

"""Merges for the laws: strategies over bases, task vectors, coefficients and recipes, and the bits of a result."""

from __future__ import annotations

from dataclasses import dataclass, replace

import ml_dtypes
import numpy as np
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.algebra import decimals
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.engine.memory import as_contribution, root_of
from mergealgebra.methods.method import Method, field_of
from mergealgebra.tensors.form_names import TASK_VECTOR
from tests.algebra.numbers import finite_fp32

DTYPES = {"F32": np.float32, "F64": np.float64, "F16": np.float16, "BF16": ml_dtypes.bfloat16}
Model = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """Everything that a merge depends on, and nothing else [MG-8]."""

    base: Model
    task_vectors: list[Model]
    coefficients: list[str]
    recipe: Method

    def merged(self, order: list[int] | None = None, **how: object) -> ma.Merged:
        """The merged model, the contributions in a given order."""
        order = list(range(len(self.task_vectors))) if order is None else order
        vectors = [self.task_vectors[i] for i in order]
        return ma.merge(self.base, vectors, self.recipe, [self.coefficients[i] for i in order], **how)


def bits(model: Model) -> dict[str, bytes]:
    """What equality means here."""
    return {name: np.asarray(array).tobytes() for name, array in model.items()}


def every_recipe() -> st.SearchStrategy[Method]:
    """Recipes of every method of any number of contributions that needs no auxiliary tensors, every option."""
    without_parts = [st.builds(method, lambda_=st.sampled_from(["1", "-2"])) for method in (ma.Emr, ma.MagMax)]
    some = {"tensors": "[ab]*", "density": "0.2"}, {"tensors": "c", "lambda": "0.3", "coefficient": "0"}
    settled = st.builds(ma.Ties, density=st.sampled_from(["1", "0.5"]), settings=st.sampled_from([some[:1], some]))
    return st.one_of(recipes(), *without_parts, st.just(ma.Linear()), settled, in_rounds(), of_angles())


#: Stands for the id of some contribution of a case.
SOMEBODY = "5" * 64


def in_rounds() -> st.SearchStrategy[Method]:
    """Recipes of methods in several rounds, every option."""
    factors, lambdas = st.sampled_from(["0", "0.1", "0.4", "3"]), st.sampled_from(["1", "-2"])
    tasks = st.just(SOMEBODY)
    return st.one_of(
        st.builds(ma.Sce, select_topk=st.sampled_from(["1", "0.5", "0.29", "0.001"]), lambda_=lambdas),
        st.builds(ma.Pcb, ratio=st.sampled_from(["0.1", "0.5", "1"]), lambda_=lambdas),
        st.builds(ma.RamPlusTl, r=factors, alpha=factors, lambda_=lambdas),
        st.builds(ma.ConsensusTa, tall_lambda=factors, threshold=st.sampled_from(["1", "2", "3"]), lambda_=lambdas),
        st.builds(ma.TallMask, tall_lambda=factors, task=tasks, lambda_=lambdas),
        st.builds(ma.Emr, task=tasks, lambda_=lambdas),
    )


def ids_of(base: Model, task_vectors: list[Model], coefficients: list[str]) -> list[str]:
    """The ids that task vectors have in a workspace of this base [RC-13]."""
    root = root_of(as_contribution("the base", base, "1"))
    entries = zip(task_vectors, coefficients, strict=True)
    held = [as_contribution("a task vector", vector, coefficient) for vector, coefficient in entries]
    return [
        Manifest(
            root, decimals.to_hex(one.coefficient), sum(map(np.size, vector.values())), TASK_VECTOR, root_of(one)
        ).id
        for one, vector in zip(held, task_vectors, strict=True)
    ]


def for_somebody(recipe: Method, case: Case, place: int) -> Method:
    """The recipe for the task of one of the contributions; of two that are the same, for none."""
    if getattr(recipe, "task", "") != SOMEBODY:
        return recipe
    ids = ids_of(case.base, case.task_vectors, case.coefficients)
    chosen = ids[place % len(ids)]
    keys = {field_of(key): text for key, text in recipe.to_map().items() if key != "method"}
    return type(recipe)(**keys | {"task": chosen if ids.count(chosen) == 1 else ""})


def of_angles() -> st.SearchStrategy[Method]:
    """Recipes of methods whose coefficients follow from dot products."""
    on_tau = [st.builds(method, lambda_=st.sampled_from(["1", "-2"])) for method in (ma.MultiSlerp, ma.ModelStock)]
    karcher = st.builds(ma.Karcher, max_iter=st.sampled_from(["10", "2"]), tol=st.sampled_from(["0.00001", "0"]))
    return st.one_of(st.just(ma.Slerp()), st.builds(ma.NuSlerp), *on_tau, karcher)


def recipes() -> st.SearchStrategy[Method]:
    """The same of those whose sums can be taken apart again."""
    lambdas = st.sampled_from(["1", "0.3", "-2", "0", "0.000001"])
    densities = st.sampled_from(["1", "0.2", "0.5", "0.29", "0.001"])
    scopes, boundaries = st.sampled_from(["model", "tensor"]), st.sampled_from(["keep_all", "lowest_index"])
    ties = st.builds(ma.Ties, density=densities, lambda_=lambdas, scope=scopes, boundary=boundaries)
    drop = {
        "density": st.sampled_from(["1", "0.5", "0.29"]),
        "seed": st.sampled_from(["0", "1", "18446744073709551615"]),
    }
    dare_ties = st.builds(
        ma.DareTies,
        **drop,
        trim_density=densities,
        lambda_=lambdas,
        scope=scopes,
        boundary=boundaries,
    )
    together = st.sampled_from([("0.9", "0.01"), ("0.5", "0.3"), ("0.34", "0.34"), ("0.2", "0.5"), ("1", "0")])
    crumbs = st.builds(
        lambda method, both, **keys: method(density=both[0], gamma=both[1], **keys),
        st.sampled_from([ma.Breadcrumbs, ma.BreadcrumbsTies]),
        together,
        lambda_=lambdas,
        scope=st.sampled_from(["tensor", "row"]),
    )
    della = st.builds(
        lambda method, **keys: method(epsilon="0.25", **keys),
        st.sampled_from([ma.Della, ma.DellaLinear]),
        density=st.sampled_from(["0.5", "0.75", "0.3"]),
        seed=drop["seed"],
        lambda_=lambdas,
    )
    linear = [st.builds(method, lambda_=lambdas) for method in (ma.Mean, ma.TaskArithmetic, ma.NegMerge, ma.Ram)]
    dare_linear = st.builds(ma.DareLinear, **drop, lambda_=lambdas)
    return st.one_of(ties, ties, *linear, dare_linear, dare_ties, crumbs, della)


def values(size: int) -> st.SearchStrategy[np.ndarray]:
    """Elements with ties, cancellation, zeros of both signs and all magnitudes that fp16 and fp32 share."""
    small = finite_fp32().map(lambda x: float(np.float32(np.sign(x) * min(abs(x), 2.0**12))))
    few = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 2.0**12, -(2.0**12), 2.0**-140])
    return st.lists(st.one_of(few, small), min_size=size, max_size=size).map(lambda x: np.array(x, np.float32))


@st.composite
def cases(draw: st.DrawFn, recipe: st.SearchStrategy[Method] | None = None) -> Case:
    """Merges of one to six partial task vectors over three tensors, in every dtype.

    Coefficients of vectors that are nearly opposite may be large: they get no base in F16, which could not hold it.
    """
    chosen = draw(recipe if recipe is not None else recipes())
    weighs = chosen.rounds[-1].weigh is not None
    shapes = {"a": (5,), "b.weight": (2, 3), "c": ()}
    names = sorted(shapes)
    dtypes = {name: DTYPES[draw(st.sampled_from(sorted({*DTYPES} - ({"F16"} if weighs else set()))))] for name in names}

    def tensor(name: str, dtype: type) -> np.ndarray:
        size = int(np.prod(shapes[name]))
        return draw(values(size)).astype(dtype).reshape(shapes[name])

    base = {name: tensor(name, dtypes[name]) for name in names}
    vectors = []
    for _ in range(chosen.needs.arity or draw(st.integers(1, 6))):
        held = draw(st.lists(st.sampled_from(names), unique=True, min_size=1))
        vectors.append({name: tensor(name, DTYPES[draw(st.sampled_from(sorted(DTYPES)))]) for name in held})
    coefficient = st.sampled_from(["1", "1", "0.5", "0.1", "3", "0.0001"])
    case = Case(base, vectors, [draw(coefficient) for _ in vectors], chosen)
    return replace(case, recipe=for_somebody(chosen, case, draw(st.integers(0, 5))))

"""Merges for the oracle and the backends alike: a case is asked of one, computed by the other, and compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from mergealgebra.algebra import decimals
from mergealgebra.engine.faults import Faulty, diagnose
from mergealgebra.engine.memory import as_contribution
from mergealgebra.engine.merged_spans import MergedSpan, Totals
from mergealgebra.engine.plan import Plan, make_plan
from mergealgebra.engine.run import run
from mergealgebra.engine.sources import Contribution
from mergealgebra.errors import CoefficientError, MergeAlgebraError, NonFinite, NothingVisible, Overflow
from mergealgebra.kernels.blocks import Kernel
from mergealgebra.methods.method import Method
from mergealgebra.progress import quiet
from mergealgebra.tensors.block_vectors import index_in
from mergealgebra.tensors.dtypes import DTYPES, name_of
from tests.oracle.program import Json, Oracle

Model = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Entry:
    """A contribution: its form, its coefficient as an fp32 number, its tensors."""

    form: str
    coefficient: float
    tensors: Model

    def request(self) -> Json:
        return {"form": self.form, "coefficient": decimals.to_hex(self.coefficient), "tensors": written(self.tensors)}

    def contribution(self, label: str) -> Contribution:
        held = as_contribution(label, self.tensors, "1")
        return replace(held, form=self.form, coefficient=self.coefficient)


@dataclass(frozen=True)
class Case:
    """Everything that a merge depends on."""

    base: Model
    entries: tuple[Entry, ...]
    recipe: Method

    def request(self) -> Json:
        contributions = [entry.request() for entry in self.entries]
        recipe = written_recipe(self.recipe)
        return {"check": "merge", "recipe": recipe, "base": written(self.base), "contributions": contributions}

    def computed(self, kernel: Kernel, block: int | None = None) -> Json:
        """What a backend makes of it, as the oracle would answer. Raises MergeAlgebraError."""
        base = as_contribution("the base", self.base, "1").source
        contributions = [entry.contribution(label(i)) for i, entry in enumerate(self.entries)]
        plan = make_plan(base, contributions, self.recipe, kernel, threads=1, block=block)
        totals = Totals()
        parts: dict[str, list[np.ndarray]] = {name: [array.reshape(-1)[:0]] for name, array in self.base.items()}
        for piece in _pieces(plan, totals):
            parts[piece.span.name].append(piece.data)
        tensors = written({name: np.concatenate(pieces) for name, pieces in parts.items()})
        return {"tensors": tensors, "kept": [totals.kept_by(place) for place in range(len(contributions))]}


def _pieces(plan: Plan, totals: Totals) -> Iterator[MergedSpan]:
    try:
        yield from run(plan, totals)
    except Faulty as fault:
        raise diagnose(plan, fault, range(len(plan.contributions)), quiet) from None


def check_agrees(oracle: Oracle, case: Case, kernel: Kernel, block: int | None = None) -> Json:
    """A backend gives the oracle's bits, or its error: class, contribution, tensor, index. Returns the answer."""
    expected = oracle.ask(case.request())
    try:
        found = case.computed(kernel, block)
    except MergeAlgebraError as error:
        check_is_the_refusal(error, expected.get("refused"), case)
    else:
        assert found == expected
    return expected


#: What a message says of the number that is not finite.
_SAID = {
    "tau": "",
    "v": "coefficient times task vector is beyond",
    "tau_m": "the merged task vector is beyond",
    "result": "the result is beyond",
}
_RULES = {"CoefficientError": CoefficientError, "NothingVisible": NothingVisible}


def check_is_the_refusal(error: MergeAlgebraError, refused: Json, case: Case) -> None:
    """An error says what the oracle says [MG-6]."""
    assert refused, f"only the backend refuses: {error!r}"
    if refused["rule"] == "NonFinite":
        base, added = case.base, case.recipe.needs.on == "tau"
        value = base[refused["tensor"]].flat[refused["element"]]
        broken = added and refused["what"] == "result" and not np.isfinite(value)  # then the base itself is named
        assert type(error) is (NonFinite if refused["what"] == "tau" or broken else Overflow), error
        index = index_in(base[refused["tensor"]].shape, refused["element"])
        assert f"tensor {refused['tensor']!r} at index {index}" in str(error)
        assert ("repair the base" if broken else _SAID[refused["what"]]) in str(error)
        assert "contribution" not in refused or str(error).startswith(f"{label(refused['contribution'])}:")
    else:
        assert type(error) is _RULES[refused["rule"]], error


def written_recipe(recipe: Method) -> Json:
    """A recipe as the oracle writes it: lambda, where there is one, as the bits of its fp32 number."""
    keys = recipe.to_map()
    return {**keys, "lambda": decimals.to_hex(recipe.lambda32)} if "lambda" in keys else keys


def label(index: int) -> str:
    """How messages call a contribution."""
    return f"contribution {index}"


def written(tensors: Model) -> Json:
    """Tensors as the oracle writes them: dtype and little-endian bytes in C order; it knows no shapes."""
    return {
        name: {
            "dtype": name_of(array),
            "hex": np.ascontiguousarray(array, DTYPES[name_of(array)].numpy).tobytes().hex(),
        }
        for name, array in tensors.items()
    }

"""The search: directed cases first, then random ones; Hypothesis makes what was found as small as it can.

This file needs Hypothesis, so nothing imports it before a search begins.
"""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

import numpy as np
from hypothesis import Phase, find, settings
from hypothesis.errors import Flaky, NoSuchExample, Unsatisfiable
from hypothesis.strategies import SearchStrategy

from mergealgebra.laws import equations, strategies
from mergealgebra.laws.arrangements import Arguments, systematic
from mergealgebra.laws.calls import arity_of
from mergealgebra.laws.cases import DIRECTED, Case
from mergealgebra.laws.counterexample import program
from mergealgebra.laws.equations import Sides
from mergealgebra.laws.relations import equal, same_bits
from mergealgebra.laws.sides import rounded_apart, told
from mergealgebra.laws.table import LAWS, Law
from mergealgebra.laws.verdict import Outcome, Verdict
from mergealgebra.targets.errors import raised
from mergealgebra.targets.merge_functions import Target

#: How many arguments of each directed case are tried, where a law leaves something to choose.
TURNS: Final = 8
#: How often a question is asked again, to see whether the answer is the same.
AGAIN: Final = 3
#: How many parts of a directed case are looked at to find a smaller one.
PARTS: Final = 400

Condition = Callable[[Arguments], bool]


@dataclass(frozen=True)
class _Found:
    """Arguments that were searched for, and the case that gave them."""

    arguments: Arguments
    case: str


class Search:
    """The search for counterexamples to one law, which counts what it tries and what is raised."""

    def __init__(self, target: Target, name: str, seed: int) -> None:
        self._target, self._name, self._law, self._seed = target, name, LAWS[name], seed
        self._arity = arity_of(target.merge)
        self._tries = 0
        self._raised = 0
        self._stopped = False

    def verdict(self, tries: int) -> Verdict:
        """What the search comes to, with so many random cases. A breach counts for more than what is raised."""
        if reason := self._law.applies(self._target.merge):
            return Verdict(self._name, "does not apply", reason=reason)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if found := self._first(self._breaks, tries):
                return self._not_deterministic(found.arguments) or self._broken(found, tries)
            if self._raised and (found := self._first(self._raises, tries)):
                return self._failed(found.arguments)
        return Verdict(self._name, "holds", self._tries)

    def _not_deterministic(self, arguments: Arguments) -> Verdict | None:
        """That the sides differ each time that they are computed, if it is so. Purity is the law that says it."""
        if self._law.equation is equations.purity:
            return None
        same = equal if self._law.relation is equal else same_bits
        first = self._sides(arguments)
        for _ in range(AGAIN):
            for one, other in zip(first, self._sides(arguments), strict=True):
                if not same(one, other):
                    both = told(one, other, ("the first answer is", "the next"))
                    return Verdict(self._name, "not deterministic", self._tries, f"asked again with one input, {both}")
        return None

    def _broken(self, found: _Found, tries: int) -> Verdict:
        """Broken, unless in every case it is by rounding alone."""
        if self._breaks_badly(found.arguments):
            return self._breach("broken", found)
        worse = self._first(self._breaks_badly, tries)
        return self._breach("broken", worse) if worse else self._breach("holds but for rounding", found)

    def _breach(self, outcome: Outcome, found: _Found) -> Verdict:
        left, right = self._sides(found.arguments)
        return self._shown(outcome, f"{told(left, right, self._law.sides)} (found by {found.case})", found.arguments)

    def _first(self, condition: Condition, tries: int) -> _Found | None:
        """The first arguments that meet a condition, of the directed cases and then of random ones, made small."""
        law = self._law
        for title, directed in DIRECTED.items():
            case = directed.of(self._arity)
            if case is None or not case.within(law.span):
                continue
            whole = next(filter(condition, _chosen(law, case)), None)
            if whole is not None:
                parts = strategies.arguments(law.arrangement, strategies.parts(case), self._arity)
                return _Found(_found(parts, condition, PARTS, self._seed) or whole, f"the built-in case {title!r}")
        random = strategies.arguments(law.arrangement, strategies.cases(law.span), self._arity)
        arguments = _found(random, condition, tries, self._seed)
        return None if arguments is None else _Found(arguments, "a random case")

    def _breaks(self, arguments: Arguments) -> bool:
        """Whether the two sides are there and differ. Counted until that happens."""
        try:
            broken = not self._agrees(arguments)
        except (Exception, SystemExit):
            if not self._stopped:
                self._raised += 1
            return False
        if not self._stopped:
            self._tries += 1
        if broken:
            self._stopped = True
        return broken

    def _raises(self, arguments: Arguments) -> bool:
        return self._raised_by(arguments) is not None

    def _breaks_badly(self, arguments: Arguments) -> bool:
        """Whether the two sides are there and differ by more than rounding."""
        try:
            sides = self._sides(arguments)
            return not (self._law.relation(*sides) or rounded_apart(*sides, self._law.relation))
        except (Exception, SystemExit):
            return False

    def _agrees(self, arguments: Arguments) -> bool:
        return self._law.relation(*self._sides(arguments))

    def _sides(self, arguments: Arguments) -> Sides:
        return self._law.equation(self._law.called(self._target.merge), **copy.deepcopy(arguments))

    def _raised_by(self, arguments: Arguments) -> BaseException | None:
        try:
            self._agrees(arguments)
        except (Exception, SystemExit) as error:
            return error
        return None

    def _failed(self, arguments: Arguments) -> Verdict:
        error = self._raised_by(arguments)
        others = f"; the law held in the other {self._tries}" if self._tries else ""
        cause = f"{raised(error)}{_hint(error)}" if error else "nothing when asked again"
        reason = f"{cause} (in {self._raised} of {self._raised + self._tries} tries{others})"
        return self._shown("error", reason, arguments, cause)

    def _shown(self, outcome: Outcome, reason: str, arguments: Arguments, cause: str = "") -> Verdict:
        code = program(self._target, self._name, self._law, arguments)
        return Verdict(self._name, outcome, self._tries, reason, code, cause)


def _hint(error: BaseException) -> str:
    """What to do about an error of torch that is given NumPy arrays."""
    if isinstance(error, (TypeError, AttributeError)) and "torch" in sys.modules and "ndarray" in raised(error):
        return "; it is given NumPy arrays, of which torch.from_numpy makes tensors"
    return ""


def _chosen(law: Law, case: Case) -> list[Arguments]:
    return list(systematic(law.arrangement, case, TURNS))


def _found(strategy: SearchStrategy[Arguments], condition: Condition, tries: int, seed: int) -> Arguments | None:
    """The smallest arguments of a strategy that meet a condition, as far as Hypothesis finds any."""
    last: Arguments | None = None

    def meets(arguments: Arguments) -> bool:
        nonlocal last
        is_met = condition(arguments)
        if is_met:
            last = arguments
        return is_met

    how = settings(
        max_examples=tries, database=None, deadline=None, derandomize=False, phases=[Phase.generate, Phase.shrink]
    )
    try:
        return find(strategy, meets, settings=how, random=Random(seed))
    except (NoSuchExample, Unsatisfiable):
        return None
    except Flaky:  # a function that answers otherwise each time; what it once broke it on is all there is
        return last

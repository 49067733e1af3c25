"""`check`: a merge function in, a verdict for each law out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any, Final

from mergealgebra.errors import NotInstalled, UnknownLaw
from mergealgebra.laws.table import LAWS
from mergealgebra.laws.verdict import Verdict
from mergealgebra.targets.merge_functions import Target, function

#: How many random cases each law is tried on, beside the directed ones.
TRIES: Final = 100


def check(
    merge: Callable[..., Any] | Target, laws: Iterable[str] | None = None, tries: int = TRIES, seed: int = 0
) -> list[Verdict]:
    """Search for counterexamples to laws, to all of `LAWS` if None. The same arguments give the same verdicts.

    merge: a merge function as `Target` describes it, or a target. tries: random cases for each law, after the directed
    ones. Whatever the function raises is a verdict. Raises UnknownLaw, and NotInstalled without Hypothesis.

    >>> import mergealgebra as ma
    >>> def mean(base, task_vectors):
    ...     return {name: base[name] + sum(v[name] for v in task_vectors) / len(task_vectors) for name in base}
    >>> for verdict in ma.laws.check(mean, ["sign_symmetry", "identity_of_zero"], tries=20):
    ...     print(verdict.law, verdict.outcome)
    sign_symmetry holds
    identity_of_zero broken
    """
    names = names_of(laws)
    require_hypothesis()
    from mergealgebra.laws.search import Search

    found = merge if isinstance(merge, Target) else function(merge)
    return [Search(found, name, seed).verdict(tries) for name in names]


def names_of(laws: Iterable[str] | None) -> list[str]:
    """The names of laws in the order given, of all if None. Raises UnknownLaw."""
    names = list(LAWS) if laws is None else list(laws)
    for name in names:
        if name not in LAWS:
            raise UnknownLaw(f"{name!r} is not a law; the laws are {', '.join(LAWS)}")
    return names


def require_hypothesis() -> None:
    """Raise NotInstalled unless Hypothesis can be imported."""
    if find_spec("hypothesis") is None:
        raise NotInstalled("hypothesis is not installed, and laws searches with it; pip install hypothesis")

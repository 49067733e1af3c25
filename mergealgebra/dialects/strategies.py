"""Methods of other tools, as recipes have them: what settings each takes, and what it computes, in words [NA-3].

No array library is loaded for these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mergealgebra.dialects.mergekit_strategies import MERGEKIT
from mergealgebra.dialects.strategy import Setting, Strategy

_SEED: Final = Setting("42", high="9007199254740992", whole=True)
_DROP_RATE: Final = Setting("0.9", high="0.999")

_CRDT_MERGE: Final[Mapping[str, Strategy]] = {
    "ada_merging": Strategy(
        "The models are averaged, with weights that begin at their entropies and move toward those near the mean.",
        coefficients=False,
    ),
    "adarank": Strategy(
        "Of each model's changes to a matrix the singular values beyond 90% of their squares are cut; it is averaged."
    ),
    "dam": Strategy(
        "The models are averaged, with weights that move from equal ones toward those near the mean.",
        coefficients=False,
    ),
    "dare": Strategy(
        "Of each model's changes a random share is dropped and the rest made larger; these are averaged.",
        {"drop_rate": _DROP_RATE, "seed": _SEED},
    ),
    "dare_ties": Strategy(
        "A random share of each model's changes is dropped, the rest made larger and merged by TIES, by counted votes.",
        {"drop_rate": _DROP_RATE, "density": Setting("0.2", low="0.001"), "seed": _SEED},
    ),
    "della": Strategy(
        "Of each model's changes the smaller are dropped more often; the rest are made larger and averaged.",
        {"drop_rate": _DROP_RATE, "epsilon": Setting("0.1"), "seed": _SEED},
    ),
    "emr": Strategy(
        "The largest changes of each model are averaged, and made larger for the parameters that none of them changes.",
        {"elect_ratio": Setting("0.3", low="0.001")},
    ),
    "evolutionary_merge": Strategy(
        "The models are averaged with the weights, of a thousand tried, that give the smallest variance.",
        {"seed": _SEED},
        coefficients=False,
    ),
    "fisher_merge": Strategy(
        "The models are averaged, each parameter of each weighted by its square.", coefficients=False
    ),
    "genetic_merge": Strategy(
        "The models are averaged with the weights, of a thousand bred, that give the smallest variance.",
        {"seed": _SEED},
        coefficients=False,
    ),
    "led_merge": Strategy("For each parameter the value that lies nearest to the mean is taken.", coefficients=False),
    "linear": Strategy(
        "The models are taken in at `t` one after the other, so that the last counts most.",
        {"t": Setting("0.5")},
        coefficients=False,
    ),
    "model_breadcrumbs": Strategy("The largest changes of each model are averaged.", {"sparsity": Setting("0.9")}),
    "regression_mean": Strategy(
        "The models are averaged, each parameter of each weighted by its square and a constant.",
        {"regularization": Setting("0.01", high="1000")},
        coefficients=False,
    ),
    "safe_merge": Strategy(
        "The models are averaged, and where they differ most the base stays.",
        {"safety_threshold": Setting("0.1")},
    ),
    "slerp": Strategy(
        "The models are taken in at `t` one after the other, along the arc between them, so that the last counts most.",
        {"t": Setting("0.5")},
        coefficients=False,
    ),
    "split_unlearn_merge": Strategy(
        "The models' changes are averaged, without those of the parameters that change least.",
        {"target_fraction": Setting("0.1")},
    ),
    "star": Strategy(
        "Of each model's changes to a matrix the smaller singular values are cut, the rest made larger.",
        {"rank_fraction": Setting("0.5", low="0.001")},
    ),
    "weight_scope_alignment": Strategy(
        "The models are brought to mean 0 and deviation 1, averaged, and brought to their own mean and deviation again."
    ),
}

#: By the name of the dialect, then of the method.
STRATEGIES: Final[Mapping[str, Mapping[str, Strategy]]] = MappingProxyType(
    {"crdt-merge-0.11": MappingProxyType(_CRDT_MERGE), "mergekit-0.1.5": MappingProxyType(MERGEKIT)}
)

"""The methods of mergekit 0.1.5, as recipes have them: their settings there, and what they compute, in words [NA-13].

No array library is loaded for this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from mergealgebra.dialects.strategy import FLAG, Ids, Setting, Strategy, Word

#: What any number may be.
_LARGE: Final = "1000000"


def _any(default: str, *, by: str = "tensor") -> Setting:
    return Setting(default, low=f"-{_LARGE}", high=_LARGE, by=by)


def _positive(default: str) -> Setting:
    return Setting(default, high=_LARGE, by="tensor")


def _flag(default: str, *, optional: bool = False) -> Word:
    return Word(default, by="tensor", optional=optional, words=FLAG)


_DTYPES: Final = ("", "bfloat16", "float16", "float32", "float64")
#: What all methods have: in which order the file names the models, and in what they are computed.
_COMMON: Final[Mapping[str, Setting]] = {"order": Ids(), "dtype": Word("", optional=True, words=_DTYPES)}
_MASKS: Final[Mapping[str, Setting]] = {"masks": Ids(several=False)}
_DENSITY: Final[Mapping[str, Setting]] = {"density": Setting("1", by="contribution")}
_GAMMA: Final[Mapping[str, Setting]] = {"gamma": Setting("0.01", by="contribution")}
_EPSILON: Final[Mapping[str, Setting]] = {"epsilon": Setting("0.15", by="contribution")}
_ON: Final[Mapping[str, Setting]] = {"on": Word("tau", optional=True, words=("tau", "theta"))}


def _added(words: str, own: Mapping[str, Setting], *, normalize: str = "false", rescale: str = "false") -> Strategy:
    """A method that adds weighted task vectors. own: its settings by contribution. The rest: defaults of mergekit."""
    flags = {"normalize": _flag(normalize, optional=True), "rescale": _flag(rescale, optional=True)}
    return Strategy(words, {**own, "lambda": _any("1"), **flags, **_COMMON}, negative=True)


def _with(words: str, settings: Mapping[str, Setting], *, coefficients: bool = False) -> Strategy:
    return Strategy(words, {**settings, **_COMMON}, coefficients=coefficients, negative=coefficients)


def _written(strategy: Strategy, key: str) -> Strategy:
    """The same with a key that always stands in the map: so that it is another recipe than one without the key."""
    return replace(strategy, settings={**strategy.settings, key: replace(strategy.settings[key], optional=False)})


_AGREEING: Final = "those in the direction with the larger sum are"

MERGEKIT: Final[Mapping[str, Strategy]] = {
    "arcee_fusion": _with("The model's values are taken where its changes matter most, by size and by divergence.", {}),
    "breadcrumbs": _added(
        "Of each tensor of each model the largest changes and the smallest are cut; the rest are added.",
        {**_DENSITY, **_GAMMA},
    ),
    "breadcrumbs_ties": _added(
        "Of each tensor of each model the largest changes and the smallest are cut; of the rest those in the direction "
        "with the larger sum are added, not averaged.",
        {**_DENSITY, **_GAMMA},
    ),
    "dare_linear": _added(
        "A random share of each model's changes is kept, by masks that mergekit drew, and made larger; they are added.",
        {**_DENSITY, **_MASKS},
        rescale="true",
    ),
    "dare_ties": _added(
        f"A random share of each model's changes is kept, by masks that mergekit drew, and made larger; {_AGREEING} "
        "added.",
        {**_DENSITY, **_MASKS},
        rescale="true",
    ),
    "della": _added(
        "Of each model's changes the larger are kept more often, by masks that mergekit drew, and made larger; "
        f"{_AGREEING} averaged.",
        {**_DENSITY, **_EPSILON, **_MASKS},
        normalize="true",
        rescale="true",
    ),
    "della_linear": _added(
        "Of each model's changes the larger are kept more often, by masks that mergekit drew, and made larger; they "
        "are added.",
        {**_DENSITY, **_EPSILON, **_MASKS},
        rescale="true",
    ),
    "karcher": _with(
        "The models' directions are averaged on the sphere, and their lengths.",
        {
            "max_iter": Setting("10", low="0", high="1000", whole=True, by="tensor"),
            "tol": Setting("0.00001", by="tensor"),
        },
    ),
    "linear": _with("The models are averaged by their weights.", {"normalize": _flag("true")}, coefficients=True),
    "model_stock": _with(
        "The mean of the models is drawn to the base, the more the less their changes point the same way.",
        {"filter_wise": _flag("false")},
    ),
    "multislerp": _with(
        "The models, or their changes, are averaged on the sphere by their weights.",
        {"normalize_weights": _flag("true"), "eps": Setting("0.00000001", by="tensor"), **_ON},
        coefficients=True,
    ),
    "nearswap": _with(
        "The model's values count the more the nearer they are to the base's.", {"t": _positive("0.0001")}
    ),
    "nuslerp": _with(
        "The two models, or their changes, are joined on the arc between them.",
        {"nuslerp_flatten": _flag("true"), "nuslerp_row_wise": _flag("false"), **_ON},
        coefficients=True,
    ),
    "passthrough": _with("One model, each of its numbers times `scale`.", {"scale": _any("1", by="contribution")}),
    "ram": _with(
        "Changes that one model alone makes are added, those of several averaged.", {"epsilon": _positive("0.00001")}
    ),
    "ramplus_tl": _with(
        "Changes of several models are averaged; those that one model alone makes are added, and made larger by how "
        "many it shares.",
        {"epsilon": _positive("0.00001"), "r": _any("0.1"), "alpha": _positive("0.2")},
    ),
    "sce": _with(
        "Parameters on which the models differ most are chosen, the direction with the smaller sum is erased, and the "
        "changes are averaged by the mean square of each model's, alike where those are tiny.",
        {"select_topk": Setting("1", by="tensor")},
    ),
    "slerp": _with("The two models are joined at `t` of the arc between them.", {"t": _any("0.5")}),
    "task_arithmetic": _added("The models' changes are added by their weights.", {}),
    "ties": _written(
        _added(
            f"Of each tensor of each model only the largest changes are kept; {_AGREEING} averaged.",
            _DENSITY,
            normalize="true",
        ),
        "normalize",
    ),
}

"""mergekit's methods: what each reads, and which method here merges for it [MK-7, NA-1]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Final, Literal

from mergealgebra.dialects.mergekit_strategies import MERGEKIT

#: Who a setting is for: every model, every model but the base, or all together.
Scope = Literal["input", "non_base", "shared"]


@dataclass(frozen=True)
class Parameter:
    """A setting that a method reads. default: what mergekit takes where it is not written; None if it must be."""

    scope: Scope
    default: Fraction | None = None


@dataclass(frozen=True)
class Kind:
    """A method of mergekit's.

    ours: which method here it is. keys: of ours, by setting. fixed: other keys of ours. base: whether mergekit needs
    one. models: how many there are beside the base, if that is fixed. whole: whether models are merged, the base among
    them, and not what they change. only: settings that can have one value here, with it. note: where ours differs.
    """

    ours: str
    reads: Mapping[str, Parameter] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    base: Literal["needed", "possible"] = "needed"
    models: int | None = None
    whole: bool = False
    only: Mapping[str, bool] = field(default_factory=dict)
    note: str = ""


def as_mergekit(method: str) -> str:
    """The options by which mergekit's own numbers come out, for messages. Masks that it drew must be given [NA-15]."""
    if "masks" in MERGEKIT[method].settings:
        return "`--as mergekit --masks FILE`, with the masks that mergekit drew, captured while it ran"
    return "`--as mergekit`"


def _shared(default: str | None) -> Parameter:
    return Parameter("shared", None if default is None else Fraction(default))


def _own(default: str | None, scope: Scope = "non_base") -> Parameter:
    return Parameter(scope, None if default is None else Fraction(default))


_MASKS: Final = "masks are ours, from `seed` 0, not those of torch's generator"
_SUMS: Final = "ours divides by the weights of the models that agree, mergekit adds"


def _task(
    ours: str, *more: tuple[str, str], normalize: str = "0", rescale: str = "0", note: str = "", **fixed: str
) -> Kind:
    """One of the methods that add up what models change."""
    own = {"weight": _own(None), "density": _own("1")} | {key: _own(default) for key, default in more}
    reads = own | {
        "int8_mask": _shared("0"),
        "normalize": _shared(normalize),
        "rescale": _shared(rescale),
        "lambda": _shared("1"),
    }
    keys = {"weight": "coefficient", "lambda": "lambda"} | {key: key for key, _ in more}
    if ours != "task_arithmetic":
        keys["density"] = "density"
    ties = ours in ("ties", "dare_ties", "breadcrumbs_ties", "della")
    only = {"normalize": ties, "rescale": rescale == "1"} if ours != "task_arithmetic" else {}
    return Kind(ours, reads, keys, fixed, only=only, note=note)


#: By mergekit's names.
KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "linear": Kind(
            "linear",
            {"weight": _own(None, "input"), "normalize": _shared("1")},
            {"weight": "coefficient"},
            base="possible",
            whole=True,
        ),
        "slerp": Kind("slerp", {"t": _shared(None)}, models=1, whole=True),
        "nuslerp": Kind(
            "nuslerp",
            {"weight": _own(None), "nuslerp_row_wise": _shared("0"), "nuslerp_flatten": _shared("1")},
            {"weight": "coefficient"},
            base="possible",
            models=2,
            only={"nuslerp_flatten": True, "nuslerp_row_wise": False},
        ),
        "multislerp": Kind(
            "multislerp",
            {"weight": _own(None), "normalize_weights": _shared("1"), "eps": _shared("0.00000001")},
            {"weight": "coefficient"},
            base="possible",
            only={"normalize_weights": True},
        ),
        "karcher": Kind(
            "karcher",
            {"max_iter": _shared("10"), "tol": _shared("0.00001")},
            {"max_iter": "max_iter", "tol": "tol"},
            base="possible",
            whole=True,
        ),
        "task_arithmetic": _task("task_arithmetic"),
        "ties": _task(
            "ties",
            normalize="1",
            scope="tensor",
            note="of equal magnitudes at a threshold ours keeps all, mergekit some",
        ),
        "dare_ties": _task("dare_ties", rescale="1", note=f"{_MASKS}; {_SUMS}"),
        "dare_linear": _task("dare_linear", rescale="1", note=_MASKS),
        "breadcrumbs": _task("breadcrumbs", ("gamma", "0.01"), note="equal magnitudes at a threshold are all kept"),
        "breadcrumbs_ties": _task("breadcrumbs_ties", ("gamma", "0.01"), note=_SUMS),
        "della": _task("della", ("epsilon", "0.15"), normalize="1", rescale="1", note=_MASKS),
        "della_linear": _task("della_linear", ("epsilon", "0.15"), rescale="1", note=_MASKS),
        "sce": Kind(
            "sce",
            {"int8_mask": _shared("0"), "select_topk": _shared("1")},
            {"select_topk": "select_topk"},
            note="models weigh by how much they change a tensor even where that is very little; mergekit then averages",
        ),
        "ram": Kind("ram", {"epsilon": _shared("0.00001")}),
        "ramplus_tl": Kind(
            "ramplus_tl",
            {"r": _shared("0.1"), "alpha": _shared("0.2"), "epsilon": _shared("0.00001")},
            {"r": "r", "alpha": "alpha"},
        ),
        "model_stock": Kind("model_stock", {"filter_wise": _shared("0")}, only={"filter_wise": False}),
        "nearswap": Kind("nearswap", {"t": _shared(None)}, {"t": "t"}, models=1),
        "arcee_fusion": Kind(
            "arcee_fusion",
            models=1,
            note="of tensors above 1,000,000 elements mergekit looks at a sample, ours at all elements",
        ),
        "passthrough": Kind(
            "passthrough", {"scale": _own("1", "input")}, {"scale": "scale"}, base="possible", models=1, whole=True
        ),
    }
)

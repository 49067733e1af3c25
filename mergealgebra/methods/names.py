"""What other tools call methods, and what each name is here: the same, a dialect, or neither, with the reason [NA-1].

No name of another tool is a second name of ours: a recipe has one name for each method, so that equal recipes have
equal ids. Whoever writes another tool's name, or a dialect that is not computed, gets the answer of this table as one
line [NA-2].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from mergealgebra.errors import RecipeError
from mergealgebra.methods.registry import find_method
from mergealgebra.text import did_you_mean, listed, shown


@dataclass(frozen=True)
class Same:
    """It computes what a method of ours does, but for rounding, which a dialect may have too.

    keys: of the recipe, beside `method`. where: where this holds, if not everywhere.
    """

    method: str
    keys: Mapping[str, str] = field(default_factory=dict)
    where: str = ""


@dataclass(frozen=True)
class Refused:
    """It cannot be computed here. reason: why, as a sentence goes on. use: what to do instead."""

    reason: str
    use: str


@dataclass(frozen=True)
class Differs:
    """It computes something else, which the dialect named after the tool computes here.

    near: our method for what its name promises; empty where there is none. absent: else why not, and what to use.
    """

    near: str = ""
    absent: Refused | None = None


Answer = Same | Differs | Refused


@dataclass(frozen=True)
class Tool:
    """A tool with all its names. title: what messages call it."""

    title: str
    names: Mapping[str, Answer]


_DATA: Final = Refused(
    "learns from data, and what merges here reads weights alone", "use `linear` with coefficients that you have tried"
)
_SEARCH: Final = Refused("makes many merges and keeps the best", "use `linear` with coefficients that you have tried")
_SPECTRA: Final = Refused(
    "takes whole matrices apart, which no method of this version does", "use `ties`, `sce` or `della`"
)
_REGMEAN: Final = Refused(
    "needs Gram matrices of the layers' inputs, which no method of this version reads", "use `fisher`, or `mean`"
)

#: Published methods that are neither here nor in these tools, or there under another name.
_PUBLISHED: Final[Mapping[str, Refused]] = MappingProxyType(
    {
        "adamerging": _DATA,
        "iso_c": _SPECTRA,
        "iso_cts": _SPECTRA,
        "knots": _SPECTRA,
        "lines": Refused("is lambda by layer", "write `lambda` as a list under `settings`, for any method"),
        "regmean": _REGMEAN,
        "tsv": _SPECTRA,
        "tsv_m": _SPECTRA,
        "wudi": _SPECTRA,
    }
)

_CRDT_MERGE: Final[Mapping[str, Answer]] = {
    "ada_merging": Differs(absent=_DATA),
    "adarank": Differs(absent=_SPECTRA),
    "dam": Differs(absent=_DATA),
    "dare": Differs("dare_linear"),
    "dare_ties": Differs("dare_ties"),
    "della": Differs("della"),
    "dual_projection": Same("linear"),
    "emr": Differs("emr"),
    "evolutionary_merge": Differs(absent=_SEARCH),
    "fisher_merge": Differs("fisher"),
    "genetic_merge": Differs(absent=_SEARCH),
    "led_merge": Differs(absent=_DATA),
    "linear": Differs("linear"),
    "model_breadcrumbs": Differs("breadcrumbs"),
    "negative_merge": Same("mean", {"lambda": "-1"}),
    "regression_mean": Differs(absent=_REGMEAN),
    "representation_surgery": Same("linear", where="where all coefficients are equal"),
    "safe_merge": Differs(absent=_DATA),
    "slerp": Differs("slerp"),
    "split_unlearn_merge": Differs("negmerge"),
    "star": Differs(absent=_SPECTRA),
    "svd_knot_tying": Refused(
        "its result depends on the signs of singular vectors, which its LAPACK happens to choose",
        "use `ties`, or what `svd_knot_tying` is of vectors, the mean: `mean`",
    ),
    "task_arithmetic": Same("task_arithmetic", where="where all coefficients are 1"),
    "ties": Differs("ties"),
    "weight_average": Same("linear"),
    "weight_scope_alignment": Differs(absent=_DATA),
}


_MERGEKIT: Final[Mapping[str, Answer]] = {
    "arcee_fusion": Same("arcee_fusion", where="up to 1,000,000 elements a tensor, of more mergekit looks at a sample"),
    "breadcrumbs": Same("breadcrumbs"),
    "breadcrumbs_ties": Differs("breadcrumbs_ties"),
    "dare_linear": Differs("dare_linear"),
    "dare_ties": Differs("dare_ties"),
    "della": Differs("della"),
    "della_linear": Differs("della_linear"),
    "karcher": Same("karcher"),
    "linear": Same("linear"),
    "model_stock": Same("model_stock"),
    "multislerp": Same("multislerp"),
    "nearswap": Same("nearswap"),
    "nuslerp": Same("nuslerp"),
    "passthrough": Same("passthrough"),
    "ram": Same("ram"),
    "ramplus_tl": Same("ramplus_tl"),
    "sce": Differs("sce"),
    "slerp": Same("slerp"),
    "task_arithmetic": Same("task_arithmetic"),
    "ties": Differs("ties"),
}

#: The tools by the names of their dialects.
TOOLS: Final[Mapping[str, Tool]] = MappingProxyType(
    {
        "crdt-merge-0.11": Tool("crdt-merge 0.11.0", MappingProxyType(_CRDT_MERGE)),
        "mergekit-0.1.5": Tool("mergekit 0.1.5", MappingProxyType(_MERGEKIT)),
    }
)


def answer(name: str) -> str:
    """What a name that is not a method here is, and what to write; empty for a name of no tool that is known.

    >>> answer("negative_merge")
    "is crdt-merge 0.11.0's name of `mean` with lambda -1: write `method: mean`, `lambda: '-1'`"
    >>> answer("lines")
    'is published, and not a method here, as it is lambda by layer; write `lambda` as a list under `settings`, for any \
method'
    """
    published = _PUBLISHED.get(name)
    if published:
        return f"is published, and not a method here, as it {published.reason}; {published.use}"
    return "; it ".join(_answers(name))


def _answers(name: str) -> Iterator[str]:
    for dialect, tool in TOOLS.items():
        match tool.names.get(name):
            case None:
                pass
            case Same() as same:
                yield _same(tool, same)
            case Differs() as differs:
                yield (
                    f"is a method of {tool.title}: for what it computes there, write `dialect: {dialect}` beside it"
                    f"{_what_it_promises(differs)}"
                )
            case Refused() as refused:
                yield f"is a method of {tool.title}, and {refused.reason}; {_use(refused)}"


def _what_it_promises(differs: Differs) -> str:
    if differs.absent:
        return f"; what its name promises is not here, as it {differs.absent.reason}: {differs.absent.use}"
    return f"; `method: {differs.near}` is what its name promises" if _here(differs.near) else ""


def _same(tool: Tool, same: Same) -> str:
    if not _here(same.method):
        return f"is a method of {tool.title} that this version does not have yet; choose another"
    keys = "".join(f", `{key}: '{text}'`" for key, text in same.keys.items())
    settings = "".join(f" with {key} {text}" for key, text in same.keys.items())
    where = f", {same.where}" if same.where else ""
    return f"is {tool.title}'s name of `{same.method}`{settings}{where}: write `method: {same.method}`{keys}"


def _use(refused: Refused) -> str:
    return refused.use


def _here(method: str) -> bool:
    return bool(method) and find_method(method) is not None


def refusal(name: str, dialect: str) -> RecipeError:
    """Why a method is not computed in a dialect, and what to write instead, for one that is not [NA-2].

    >>> str(refusal("weight_average", "crdt-merge-0.11"))
    'weight_average: dialect: crdt-merge 0.11.0 computes what `linear` does here; leave `dialect` out, and write \
`method: linear`'
    """
    tool = TOOLS.get(dialect)
    if tool is None:
        known = f"{did_you_mean(dialect, TOOLS) or ';'} for other methods than ties it is one of {listed(TOOLS)}"
        return RecipeError(f"{shown(name)}: dialect: {shown(dialect)} is unknown{known}")
    found = tool.names.get(name)
    if found is None:
        near = did_you_mean(name, tool.names) or f"; it has {', '.join(tool.names)}"
        return RecipeError(f"method: {tool.title} has no {shown(name)}{near}")
    return RecipeError(f"{name}: dialect: {_instead(name, tool, found)}")


def _instead(name: str, tool: Tool, found: Answer) -> str:
    match found:
        case Same() if not _here(found.method):
            return f"{tool.title}'s {name} is not computed by this version yet; choose another method"
        case Same():
            write = "" if found.method == name else f", and write `method: {found.method}`"
            keys = "".join(f", `{key}: '{text}'`" for key, text in found.keys.items())
            where = f" {found.where}" if found.where else ""
            return f"{tool.title} computes what `{found.method}` does here{where}; leave `dialect` out{write}{keys}"
        case Refused():
            return f"{tool.title}'s {name} is refused, as {found.reason}; {found.use}"
        case Differs():
            return f"{tool.title}'s {name} is not computed by this version yet; choose another method"

"""A file of mergekit read just far enough to merge what these files say, by the equations of the dialect.

What users give their files to is `mergealgebra merge`; this is beside it, so that the equations are compared alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from models import CONFIGS, LAYERS, TUNED
from safetensors.numpy import load_file

from mergealgebra.algebra.method import WholeModel
from mergealgebra.dialects.mergekit import written_dtype
from mergealgebra.dialects.mergekit_numbers import DTYPES, Numbers
from mergealgebra.dialects.strategies import STRATEGIES
from mergealgebra.methods.in_dialect import InDialect

DIALECT = "mergekit-0.1.5"
Array = np.ndarray[Any, Any]
LAYER = re.compile(r"(.*?\.)(\d+)(\..*)")
#: Their base, if the file has one, is one of the models.
BASELESS = ("linear", "karcher", "passthrough", "slerp")


@dataclass
class Tensor:
    """One tensor of the output. sources: by model, the tensor that goes into it. settings: by model, None for all."""

    name: str
    base: str | None
    sources: dict[str, str] = field(default_factory=dict)
    settings: dict[str | None, dict[str, Any]] = field(default_factory=dict)


def read(path: Path) -> dict[str, Any]:
    """The file, with `slices` whatever it had."""
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    module: dict[str, Any] = next(iter(config.get("modules", {"": {}}).values()))
    base, models = config.get("base_model"), config.get("models") or module.get("models")
    slices = config.get("slices") or module.get("slices")
    if models:
        named = [model["model"] for model in models]
        added = [{"model": base}] if base and base not in named else []
        slices = [{"sources": [model | {"layer_range": [0, LAYERS]} for model in (*models, *added)]}]
    return config | {"slices": slices, "module": module}


def tensors(config: Mapping[str, Any], names: Sequence[str]) -> Iterator[Tensor]:
    """What is merged to what. names: of the tensors of one model."""
    first = 0
    for part in config["slices"]:
        (begin, end), *_ = (source["layer_range"] for source in part["sources"])
        for i in range(end - begin):
            t = i / (end - begin - 1) if end - begin > 1 else 1.0
            for name in names:
                found = LAYER.fullmatch(name)
                if found and int(found[2]) == 0:
                    yield _tensor(config, part, t, f"{found[1]}{first + i}{found[3]}", found, i)
        first += end - begin
    for name in names:
        if not LAYER.fullmatch(name):
            yield _tensor(config, config["slices"][-1 if _is_last(name) else 0], 0.0, name, None, 0)


def _is_last(name: str) -> bool:
    return name.startswith(("lm_head", "model.norm", "transformer.ln_f", "cls.", "bert.pooler"))


def _tensor(
    config: Mapping[str, Any], part: Mapping[str, Any], t: float, name: str, layer: re.Match[str] | None, i: int
) -> Tensor:
    made = Tensor(name, part.get("base_model") or config.get("base_model"))
    outer = [part.get("parameters"), config["module"].get("parameters"), config.get("parameters")]
    for source in part["sources"]:
        begin = source["layer_range"][0]
        of = f"{layer[1]}{begin + i}{layer[3]}" if layer else name
        made.sources[source["model"]] = of
        made.settings[source["model"]] = _settings([source.get("parameters"), *outer], of, t)
    made.settings[None] = _settings(outer, name, t)
    return made


def _settings(scopes: Sequence[Mapping[str, Any] | None], name: str, t: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for scope in scopes:
        for key, value in (scope or {}).items():
            number = _value(value, name, t)
            if number is not None:
                found.setdefault(key, number)
    return found


def _value(value: Any, name: str, t: float) -> Any:
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        chosen = (one["value"] for one in value if one.get("filter", "*") == "*" or one["filter"] in name)
        return _value(next(chosen, None), name, t)
    if isinstance(value, list):
        place = t * (len(value) - 1)
        i = int(place)
        j, share = min(len(value) - 1, i + 1), place - i
        return (1 - share) * value[i] + share * value[j]
    return value


# Merging


@dataclass
class Merged:
    """The output, and where elements tie with a threshold, so that either tool may take them or not."""

    tensors: dict[str, Array]
    tied: dict[str, Array]


def merge(path: Path, models: Path, masks: Path, wanted: Collection[str]) -> Merged:
    """What our equations make of a file. models: the folder that its paths are relative to.

    wanted: of the output, what is merged: mergekit leaves out what its list of a family's tensors lacks.
    """
    config = read(path)
    method, dtype = config["merge_method"], config["dtype"]
    family = next(name for name in CONFIGS if f"{name}/" in path.read_text(encoding="utf-8"))
    held = {name: load_file(models / family / name / "model.safetensors") for name in ("base", *TUNED)}
    stored = {f"{family}/{name}": arrays for name, arrays in held.items()}
    found = Merged({}, {})
    out = config.get("out_dtype") or written_dtype(method, dtype)
    groups: dict[tuple[Any, ...], list[Tensor]] = {}
    for tensor in tensors(config, list(held["base"])):
        if tensor.name in wanted:
            groups.setdefault((tensor.base, tuple(tensor.sources)), []).append(tensor)
    for (base, names), group in groups.items():
        order = _order(method, base, names)
        recipe = _recipe(method, dtype, base, order, group, masks)
        whole = [
            WholeModel(name, {t.name: stored[name][t.sources[name]] for t in group}, id=_id(i))
            for i, name in enumerate(order)
        ]
        reference = base if base in names else names[0]
        start = {t.name: stored[reference][t.sources[reference]] for t in group}
        for name, array in recipe.rounds[0].merge(start, whole)[0].items():
            found.tensors[name] = Numbers(DTYPES[out]).cast(array)
            found.tied[name] = _tied(recipe, name, start[name], [model.tensors[name] for model in whole], whole)
    return found


def _order(method: str, base: str | None, names: Sequence[str]) -> list[str]:
    if method == "slerp":
        return [str(base), *(name for name in names if name != base)]
    return [name for name in names if name != base or method in BASELESS]


def _id(number: int) -> str:
    return f"{number:064x}"


def _recipe(
    method: str, dtype: str, base: str | None, order: Sequence[str], group: Sequence[Tensor], masks: Path
) -> InDialect:
    strategy = STRATEGIES[DIALECT][method]
    settings = []
    for tensor in group:
        shared = {k: _text(v) for k, v in tensor.settings[None].items() if k in strategy.settings}
        by_one = {k for k, setting in strategy.settings.items() if setting.by == "contribution"}
        of_all = {k: text for k, text in shared.items() if k not in by_one}
        if of_all:
            settings.append({"tensors": tensor.name, **of_all})
        for i, name in enumerate(order):
            own = {k: _text(v) for k, v in tensor.settings[name].items() if k in by_one}
            if strategy.coefficients and "weight" in tensor.settings[name]:
                own["coefficient"] = _text(tensor.settings[name]["weight"])
            if own:
                settings.append({"tensors": tensor.name, "contribution": _id(i), **own})
    on = {"on": "theta"} if "on" in strategy.settings and base is None else {}
    recipe = InDialect(
        method, DIALECT, dtype=dtype, order=" ".join(map(_id, range(len(order)))), settings=settings, **on
    )
    return recipe.with_masks(masks) if masks.exists() else recipe


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else np.format_float_positional(value, trim="-")


def _tied(recipe: InDialect, name: str, base: Array, models: Sequence[Array], whole: Sequence[WholeModel]) -> Array:
    """Where a change, a variance or an importance is that of a threshold, or as near to it as sums are to sums."""
    merge: Any = recipe.rounds[0].merge
    group = merge._group(name, base, models, whole, range(len(whole)))
    tied = np.zeros(base.shape, bool)
    match recipe.name:
        case "ties" | "breadcrumbs" | "breadcrumbs_ties":
            for i, tau in enumerate(group.taus):
                tied |= _at_the_edges(recipe.name, np.abs(tau.astype(np.float64)), group.own[i])
        case "sce" if group.shared["select_topk"] < 1:
            rows = np.stack(group.taus).astype(np.float64)
            variance = group.numbers.cast(rows.var(axis=0)).astype(np.float64)
            k = int(np.float32(np.count_nonzero(variance)) * np.float32(group.shared["select_topk"]))
            tied |= np.isclose(variance, np.sort(variance.reshape(-1))[-max(k, 1)], rtol=2.0**-18, atol=0)
        case "arcee_fusion":
            from mergealgebra.dialects.mergekit_pairs import importance, threshold

            edge = float(threshold(group))
            tied |= np.abs(importance(group).astype(np.float64) - edge) <= 2.0**-6 * edge
        case _:
            pass
    return tied


def _at_the_edges(method: str, magnitudes: Array, own: Mapping[str, Any]) -> Array:
    """Magnitudes equal to the last that is kept, or the first that is not, at either end."""
    density, d = own["density"], magnitudes.size
    ordered = np.sort(magnitudes.reshape(-1))
    if density >= 1 or density <= 0:
        return np.zeros(magnitudes.shape, bool)
    if method == "ties":
        begin, end = d - max(1, int(density * d)), d
    else:
        wanted = int(density * d)
        begin = max(0, d - wanted - int(own["gamma"] * d))
        end = begin + wanted
    edges = [(ordered[p - 1], ordered[p]) for p in (begin, end) if 0 < p < d]
    values = [low for low, high in edges if low == high]
    return np.isin(magnitudes, values)

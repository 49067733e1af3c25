"""What mergekit's files say, and what to write instead: all of it at once, as to drop a key would drop what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from mergealgebra.errors import RecipeError
from mergealgebra.methods.names import answer
from mergealgebra.methods.registry import find_method
from mergealgebra.text import shown

_DTYPE: Final = "leave it out, the result has the base's dtypes"

_KEYS: Final = MappingProxyType(
    {
        "merge_method": "write `method`",
        "base_model": "write `base`",
        "slices": "name whole models under `models`",
        "parameters": "write the `density` and `lambda` in it at the top of the file",
        "dtype": _DTYPE,
        "tokenizer": "write `tokenizer_source`, the `source` in it",
        "chat_template": "leave it out, the result has the base's",
        "int8_mask": "leave it out, it saves memory there and changes nothing",
    }
)
_KEYS_OF_A_MODEL: Final = MappingProxyType(
    {
        "model": "write `path`",
        "parameters": "write the `weight` in it as `coefficient`, and the `density` beside that",
        "weight": "write `coefficient`",
    }
)


def refuse_mergekit(entries: Mapping[str, Any], where: str) -> None:
    """Raise RecipeError for what mergekit writes otherwise, naming every key. where: the file."""
    found = [*_of_the_file(entries), *_of_models(entries)]
    if found:
        them = "it" if len(found) == 1 else "all of them"
        raise RecipeError(f"{where} has keys of mergekit's files, not of these; change {them}: {'; '.join(found)}")


def _of_the_file(entries: Mapping[str, Any]) -> Iterator[str]:
    method = entries.get("merge_method", entries.get("method"))
    for key, advice in _KEYS.items():
        if key in entries:
            here = _method_here(method) if key == "merge_method" else ""
            yield f"{shown(key)}: {advice}{f', and {shown(method)} {here}' if here else ''}"
    inside = _mapping(entries.get("parameters"))
    if "int8_mask" in inside:
        yield f"'int8_mask': {_KEYS['int8_mask']}"
    for keys in (entries, inside):
        if "normalize" in keys:
            yield f"'normalize': {_normalize(method, keys['normalize'])}"


def _method_here(method: object) -> str:
    """What mergekit's name of a method is here; empty for what has the same name, or is none [NA-2]."""
    return answer(method) if isinstance(method, str) and find_method(method) is None else ""


def _normalize(method: object, value: object) -> str:
    """What `normalize` means here: whether a sum is divided by the weights is fixed by the method."""
    divides = method not in ("task_arithmetic", "dare_linear", "breadcrumbs", "della_linear")
    here = "ties, dare_ties and mean always divide" if divides else f"{method} never divides"
    differs = (str(value).lower() == "false") == divides
    return f"leave it out: here {here} by the weights{', so the model is another' if differs else ''}"


def _of_models(entries: Mapping[str, Any]) -> Iterator[str]:
    listed = entries.get("models")
    models = {i: _mapping(model) for i, model in enumerate(listed)} if isinstance(listed, list) else {}
    for key, advice in _KEYS_OF_A_MODEL.items():
        having = [i for i, model in models.items() if key in model]
        if having:
            more = f" and {len(having) - 1} more" if len(having) > 1 else ""
            yield f"models[{having[0]}]{more}: {shown(key)}: {advice}"
    base = entries.get("base_model", entries.get("base"))
    for i, model in models.items():
        if base is not None and model.get("model") == base:
            yield f"models[{i}] is the base itself, which changes nothing: take it out"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}

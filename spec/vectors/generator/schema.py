"""As much of JSON Schema (2020-12) as `schema/` uses; a keyword that is not known here is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Json = Any

TYPES: Mapping[str, Callable[[Json], bool]] = {
    "object": lambda x: isinstance(x, dict),
    "array": lambda x: isinstance(x, list),
    "string": lambda x: isinstance(x, str),
    "integer": lambda x: isinstance(x, int) and not isinstance(x, bool),
    "null": lambda x: x is None,
}
#: keyword -> whether the value is as its argument says; of other kinds of values a keyword says nothing.
SIMPLE: Mapping[str, Callable[[Json, Json], bool]] = {
    "const": lambda x, const: bool(x == const),
    "enum": lambda x, values: x in values,
    "type": lambda x, types: any(TYPES[t](x) for t in ([types] if isinstance(types, str) else types)),
    "pattern": lambda x, pattern: not isinstance(x, str) or bool(re.search(pattern, x)),
    "minimum": lambda x, least: not isinstance(x, int) or x >= least,
    "minLength": lambda x, n: not isinstance(x, str) or len(x) >= n,
    "minItems": lambda x, n: not isinstance(x, list) or len(x) >= n,
    "minProperties": lambda x, n: not isinstance(x, dict) or len(x) >= n,
    "maxProperties": lambda x, n: not isinstance(x, dict) or len(x) <= n,
    "required": lambda x, keys: not isinstance(x, dict) or set(keys) <= x.keys(),
}
NOTES = {"$schema", "title", "$defs"}


def violations(value: Json, schema: Json, root: Json, at: str = "") -> Iterator[str]:
    """Where a value is not what a schema says; root: the schema that its references are of."""
    for keyword, argument in schema.items():
        if keyword in SIMPLE:
            if not SIMPLE[keyword](value, argument):
                yield f"{at or 'the file'}: {keyword} {argument}"
        elif keyword == "$ref":
            yield from violations(value, root["$defs"][argument.removeprefix("#/$defs/")], root, at)
        elif keyword == "items":
            for i, item in enumerate(value if isinstance(value, list) else []):
                yield from violations(item, argument, root, f"{at}[{i}]")
        elif keyword == "properties":
            for key in argument.keys() & (value.keys() if isinstance(value, dict) else set()):
                yield from violations(value[key], argument[key], root, f"{at}.{key}")
        elif keyword == "additionalProperties":
            yield from strangers(value, schema, root, at)
        elif keyword not in NOTES:
            raise ValueError(f"the schema uses {keyword}, which this check does not know")


def strangers(value: Json, schema: Json, root: Json, at: str) -> Iterator[str]:
    """Keys that `properties` does not name."""
    rest = schema["additionalProperties"]
    for key in value.keys() - schema.get("properties", {}).keys() if isinstance(value, dict) else ():
        if rest is False:
            yield f"{at or 'the file'}: unknown key {key}"
        else:
            yield from violations(value[key], rest, root, f"{at}.{key}")

"""Counterexamples as Python programs: what was found, with all it needs to run by itself."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from mergealgebra.laws.arrangements import Arguments
from mergealgebra.laws.calls import as_given, by_parts, on_copies
from mergealgebra.laws.table import Law, to_parts
from mergealgebra.targets.merge_functions import Target

#: The functions that a way of calling the merge function consists of.
_CALLS: Final[Mapping[Callable[..., Any], tuple[Callable[..., Any], ...]]] = {
    on_copies: (as_given, on_copies),
    as_given: (as_given,),
    by_parts: (),
}

_FUTURE = "from __future__ import annotations\n"


def program(target: Target, name: str, law: Law, arguments: Arguments) -> str:
    """A program that computes both sides of a law for these arguments, prints them and asserts that they agree."""
    call = "".join(f"    {key}={_literal(value, 4)},\n" for key, value in arguments.items())
    imports = ["import ml_dtypes", "import numpy as np"] if "ml_dtypes." in call else ["import numpy as np"]
    functions: list[Callable[..., Any]] = [law.relation, law.equation, *_CALLS[law.called]]
    merge = "merge" if law.called is by_parts else f"{law.called.__name__}(merge)"
    return "\n".join(
        [
            *textwrap.wrap(f"{name}: {law.sentence}", 118, initial_indent="# ", subsequent_indent="# "),
            f"{_FUTURE}\n" + "\n".join(imports),
            f"{_code(target, law)}\n\n",
            "\n\n".join(inspect.getsource(function) for function in functions),
            f"\nleft, right = {law.equation.__name__}(\n    {merge},\n{call})",
            f'print(left)\nprint(right)\nassert {law.relation.__name__}(left, right), "{name} is broken"\n',
        ]
    )


def _code(target: Target, law: Law) -> str:
    """What binds `merge`, with its parts where the law asks for them."""
    parts = f"\n{target.parts}" if law.applies is to_parts else ""
    return (target.code.replace(_FUTURE, "") + parts).strip()


def _literal(value: Any, indent: int) -> str:
    """A value as Python code."""
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{name}": {_array(array)}' for name, array in value.items()) + "}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        lines = "".join(f"{' ' * (indent + 4)}{_literal(model, indent)},\n" for model in value)
        return f"[\n{lines}{' ' * indent}]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _array(array: np.ndarray[Any, Any]) -> str:
    module = "np" if array.dtype.type.__module__ == "numpy" else "ml_dtypes"
    dtype = f"{module}.{array.dtype.name}"
    if array.size == 0:
        return f"np.zeros({array.shape}, {dtype})"
    return f"np.array({array.astype(np.float64).tolist()}, {dtype})"

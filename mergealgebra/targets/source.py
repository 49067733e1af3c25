"""The Python code that binds `merge` to a function of a user, or to any method of mergekit or peft.

A merge function is made by running its code, so what a counterexample prints is what was checked.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final

from mergealgebra.errors import NotInstalled, TargetError
from mergealgebra.targets.adapters import torch_arrays
from mergealgebra.targets.errors import raised
from mergealgebra.targets.functions import SETTINGS, Call

#: Packages whose methods are merge functions, with what pip installs.
PEERS: Final[Mapping[str, str]] = MappingProxyType({"mergekit": "mergekit==0.1.5", "peft": "peft==0.21.2"})

_PEER_IMPORTS: Final = """\
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
"""

#: Calls a function that has to be given settings as laws call one.
_SET: Final = """\

def merge(base, task_vectors, called=merge):
    return called(base, task_vectorsSETTINGS)
"""

#: Gives a function fine-tuned models, whose dtypes are the base's, and has the task vectors tell if it changes them.
_MODELED: Final = """\

def as_models(base, task_vectors):
    moved = [{name: base[name] + vector[name] for name in base} for vector in task_vectors]
    return [{name: np.asarray(array, base[name].dtype) for name, array in model.items()} for model in moved]


def merge(base, task_vectors, called=merge):
    models, before = as_models(base, task_vectors), as_models(base, task_vectors)
    merged = called(base, list(models)SETTINGS)
    for vector, model, then in zip(task_vectors, models, before):
        vector.update({name: model[name] for name in then if (model[name] != then[name]).any()})
    return merged
"""

#: Where such a function has parts, they are those of what calls it.
SAME_PARTS: Final = """\

for part in ("lift", "combine", "finalize"):
    if hasattr(merge.__defaults__[0], part):
        setattr(merge, part, getattr(merge.__defaults__[0], part))
"""

#: What a setting is that has no default, and is not given as an option.
_PLAIN: Final = {"density": '"1"', "lambda_": '"1"', "coefficients": '["1"] * len(task_vectors)'}


def peer_code(name: str, options: Mapping[str, str]) -> str:
    """Code for a package of `PEERS`, options read as Python. Raises NotInstalled and TargetError."""
    if find_spec(name) is None:
        raise NotInstalled(f"{name} is not installed; pip install torch==2.13.0 {PEERS[name]}")
    try:
        import_module(name)
    except Exception as error:
        raise TargetError(f"{name} cannot be asked: importing {name} raised {raised(error)}") from error
    adapter = import_module(f"mergealgebra.targets.adapters.{name}")
    functions = (adapter.by_method, torch_arrays.as_torch, torch_arrays.as_numpy, torch_arrays.on_arrays)
    sources = "\n\n".join(inspect.getsource(function) for function in functions)
    return with_options(
        f"{_PEER_IMPORTS}\n\n{sources}\n\nmerge = on_arrays(by_method)\n",
        {key: literal(text) for key, text in options.items()},
    )


def function_code(name: str, options: Mapping[str, str]) -> str:
    """Code that imports MODULE:FUNCTION. Raises TargetError.

    Its settings are text, as conformance gives them too; all other options are read as Python.
    """
    named = {"lambda_" if key == "lambda" else key: text for key, text in options.items()}
    if "coefficients" in named:
        raise TargetError(f"{name}: coefficients is one a model, and laws merge any number of models; leave it out")
    module, wanted = name.split(":")
    first, *parts = wanted.split(".")
    attribute = f"\nmerge = merge.{'.'.join(parts)}\n" if parts else ""
    return with_options(
        f"from {module} import {first} as merge\n{attribute}",
        {key: text if key in SETTINGS else literal(text) for key, text in named.items()},
    )


def with_options(code: str, options: Mapping[str, object]) -> str:
    """The code, with a last part that gives `merge` some keyword arguments."""
    if not options:
        return code
    written = ", ".join(f"{key}={value!r}" for key, value in options.items())
    return f"{code}\n\nfrom functools import partial\n\nmerge = partial(merge, {written})\n"


def call_code(call: Call) -> str:
    """Code that binds `merge` anew, called as laws call one. It needs `np`, which every counterexample imports."""
    settings = "".join(f", {name}={_PLAIN[name]}" for name in call.needs)
    return _MODELED.replace("SETTINGS", settings) if call.models else _SET.replace("SETTINGS", settings)


def literal(text: str) -> object:
    """The Python literal that a text is, or else the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text

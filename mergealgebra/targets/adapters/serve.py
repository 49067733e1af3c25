"""Serves a merge function: speaks the protocol of `targets/protocol.py` in the interpreter that runs this file.

    python serve.py adapter NAME [ARGUMENT]           an adapter of this folder
    python serve.py function MODULE:FUNCTION FOLDER   any Python function, found in FOLDER too

A function is called as `targets/functions.py` says, with the settings that it has; an adapter as merge(base, models,
density="0.2", lambda_="1", coefficients=["1", ...]). What it raises is told as an error; what it prints goes to
standard error; what it writes into its arguments is told too. This file imports the standard library, then NumPy or
torch.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

#: The dtypes of the protocol with the names that NumPy and torch give them.
DTYPES = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16"}
NAMES = {name: dtype for dtype, name in DTYPES.items()}


@dataclass
class Served:
    """A merge function, and who it says that it is. arrays: "numpy" or "torch", what it takes.

    settings: which of the three it takes. models: whether it is given fine-tuned models, or else task vectors.
    """

    name: str
    version: str
    arrays: str
    merge: Callable[..., Any]
    settings: Any = field(default=("density", "lambda_", "coefficients"))
    models: bool = True


class NoFunction(Exception):
    """A text names no merge function; the message says why."""


def main(kind: str, name: str, *arguments: str) -> None:
    """Serve until the input ends."""
    folder = Path(__file__).resolve().parent
    if sys.path and Path(sys.path[0]).resolve() == folder:  # or `import peft` would find the adapter of that name
        del sys.path[0]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lines = (json.loads(line) for line in sys.stdin.buffer)
    next(lines)
    try:
        served = adapter(folder, name, *arguments) if kind == "adapter" else function(name, *arguments)
    except NoFunction as error:
        write(answers, {"hello": {"error": str(error)}})
        return
    except Exception as error:
        write(answers, {"hello": {"error": f"{type(error).__name__}: {error}"}})
        return
    write(answers, {"hello": {"name": served.name, "version": served.version}})
    for question in lines:
        write(answers, {"id": question["id"], **answer(served, question)})


def adapter(folder: Path, name: str, *arguments: str) -> Served:
    """An adapter by its name. arguments: for its `begin`."""
    file = folder / f"{name.replace('-', '_')}.py"
    module = loaded(f"adapter_of_{file.stem}", file)
    module.begin(*arguments)
    return Served(name, module.version(), module.ARRAYS, module.merge)


def loaded(name: str, file: Path) -> Any:
    """A module by its path, whatever it is called elsewhere."""
    spec: Any = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def function(text: str, folder: str) -> Served:
    """MODULE:FUNCTION, found as `import` finds it, and last of all in a folder: there it hides no other module."""
    sys.path.append(folder)
    functions = loaded("functions_of_targets", Path(__file__).resolve().parents[1] / "functions.py")
    try:
        functions.refuse_hidden(text, folder)
        found = functions.find(text, raised)
        call = functions.call_of(found)
    except functions.NotAMergeFunction as error:
        raise NoFunction(str(error)) from error
    version = str(getattr(sys.modules[text.partition(":")[0]], "__version__", "unknown"))
    return Served(text, version, "numpy", found, call.settings, call.models)


def raised(error: BaseException) -> str:
    """An error's class, and its message in quotes."""
    return f"{type(error).__name__}: {str(error)!r}"


def answer(served: Served, question: dict[str, Any]) -> dict[str, Any]:
    """The tensors, and which arguments the call changed; or why there are no tensors."""
    array = {"numpy": as_numpy, "torch": as_torch}[served.arrays]
    asked = [question["base"], *question["models"]]
    settings = dict(question, lambda_=question["lambda"])
    asked_of = {"density": [settings["density"]], "lambda_": [settings["lambda_"]]}
    asked_of["coefficients"] = settings["coefficients"]
    for name, texts in asked_of.items():
        if name not in served.settings and any(float(text) != 1 for text in texts):
            return {"error": f"it has no parameter {name}, so it is asked with 1 alone"}
    try:
        given = [{name: array(tensor) for name, tensor in tensors.items()} for tensors in asked]
        if not served.models:
            given = [given[0], *(task_vector(given[0], model) for model in given[1:])]
            asked = [*map(written, given)]
        base, *models = given
        merged = served.merge(base, models, **{name: settings[name] for name in served.settings})
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    changed = written_into(asked, given) + (["models"] if [*map(id, models)] != [*map(id, given[1:])] else [])
    return {"tensors": written(merged), **({"changed": changed} if changed else {})}


def task_vector(base: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    """Fine-tuned minus base, rounded to fp32; of a model with low-rank factors there is none."""
    import numpy

    if unknown := sorted(model.keys() - base.keys()):
        raise ValueError(f"a task vector has no tensor {unknown[0]}: the base has none")
    found = {}
    with numpy.errstate(all="ignore"):
        for name, array in model.items():
            before, after = (numpy.asarray(x, numpy.float64) for x in (base[name], array))
            found[name] = numpy.where(after == before, 0, after - before).astype(numpy.float32)
    return found


def written_into(asked: list[Any], given: list[Any]) -> list[str]:
    """Which of the base and the models, as they were asked, are no longer what was given."""
    names = ["base", *(f"models[{i}]" for i in range(len(given) - 1))]
    return [name for name, then, now in zip(names, asked, given, strict=True) if written(now) != then]


def as_numpy(tensor: dict[str, Any]) -> Any:
    """A NumPy array that may be written to; bfloat16 is ml_dtypes'."""
    import numpy

    if tensor["dtype"] == "BF16":
        import ml_dtypes  # noqa: F401  it gives NumPy the name
    dtype = numpy.dtype(DTYPES[tensor["dtype"]])
    return numpy.frombuffer(bytearray.fromhex(tensor["hex"]), dtype).reshape(tensor["shape"])


def as_torch(tensor: dict[str, Any]) -> Any:
    """A torch tensor on the CPU."""
    import torch

    dtype, data = getattr(torch, DTYPES[tensor["dtype"]]), bytearray.fromhex(tensor["hex"])
    flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
    return flat.reshape(tensor["shape"])


def written(tensors: Any) -> Any:
    """Tensors for JSON; what is no mapping of arrays is shown instead, and the reader says what is wrong with it."""
    if not hasattr(tensors, "items"):
        return repr(tensors)[:200]
    return {str(name): written_array(array) for name, array in tensors.items()}


def written_array(array: Any) -> Any:
    """An array of NumPy or torch for JSON."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(array, torch.Tensor):
        name, shape = str(array.dtype).removeprefix("torch."), list(array.shape)
        data = array.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    elif hasattr(array, "dtype") and hasattr(array, "tobytes"):
        little = array.byteswap() if array.dtype.byteorder == ">" else array
        name, shape, data = array.dtype.name, list(array.shape), little.tobytes()
    else:
        return repr(array)[:200]
    return {"dtype": NAMES.get(name, name), "shape": shape, "hex": data.hex()}


def write(answers: TextIO, line: dict[str, Any]) -> None:
    """Send a line."""
    answers.write(json.dumps(line) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

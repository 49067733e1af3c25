"""Whom to ask: known packages, checkouts, Python functions and programs, by the text that a user writes."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mergealgebra.children import process
from mergealgebra.children.environment import for_strangers
from mergealgebra.dialects.points import DIALECTS
from mergealgebra.errors import MergeAlgebraError, TargetError
from mergealgebra.targets.functions import PATTERN
from mergealgebra.targets.programs import Program
from mergealgebra.targets.questions import Answer, Hello, Merged, Question, Refused

#: Packages with an adapter, as they are installed.
PACKAGES: Final = ("mergekit", "peft", "crdt-merge", "sd-mecha", "fusion-bench")

#: Repositories with an adapter, and a file that a checkout has.
CHECKOUTS: Final[Mapping[str, str]] = {
    "authors": "src/utils/merge_utils.py",
    "mergelm": "model_merging_methods/merging_methods.py",
}

#: This package: its reducer, or a dialect as it is stated.
OURS: Final = "mergealgebra"

#: How long an adapter may take to say hello: most import torch, some much more.
START_SECONDS: Final = 300

_SERVE: Final = Path(__file__).parent / "adapters" / "serve.py"


def open_target(text: str, *, python: str | None = None, checkout: str | os.PathLike[str] | None = None) -> Program:
    """The target that a text names. It is not started, so what it is made of may still be missing.

    text: one of `PACKAGES`; one of `CHECKOUTS`, with the path of a checkout; mergealgebra or mergealgebra:DIALECT;
    module:function, found in the current folder too; or a program and its arguments, which speaks the protocol.
    python: the interpreter that has the package or the module; ours if None. Raises TargetError.

    >>> open_target("peft", python="python3").name
    'peft'
    """
    if checkout is not None and text not in CHECKOUTS:
        raise TargetError(f"{text!r} takes no checkout: {' and '.join(CHECKOUTS)} do")
    if text in PACKAGES:
        return _served(text, ["adapter", text], python, _apart())
    if text in CHECKOUTS:
        return _served(text, ["adapter", text, _checkout(text, checkout)], python, _apart())
    if text == OURS or text.startswith(f"{OURS}:"):
        return _served(text, ["adapter", OURS, *_dialect(text)], python, _with_ours())
    if PATTERN.fullmatch(text) and not text.partition(":")[0].endswith(".py"):
        return _served(text, ["function", text, str(Path.cwd())], python, for_strangers())
    return _program(text)


def _served(name: str, arguments: list[str], python: str | None, env: Mapping[str, str]) -> Program:
    # Pythons below 3.11 have no -P: without it, a file's own folder is on the path, and `serve.py` leaves it.
    run = process.python() if python is None else (_executable(python, "--python"),)
    return Program(name, (*run, str(_SERVE), *arguments), env, START_SECONDS, watched=True, apart=True)


def _apart() -> dict[str, str]:
    """An environment in which Python finds what its own interpreter has, and nothing of ours."""
    return {name: value for name, value in for_strangers().items() if name not in {"PYTHONPATH", "PYTHONHOME"}}


def _with_ours() -> dict[str, str]:
    """An environment in which Python finds this package."""
    paths = [str(Path(__file__).parents[2]), for_strangers().get("PYTHONPATH", "")]
    return {**for_strangers(), "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _checkout(name: str, checkout: str | os.PathLike[str] | None) -> str:
    if checkout is None:
        raise TargetError(f"{name} is not a package: give the path of a checkout, as --checkout")
    path = Path(checkout).absolute()
    if not (path / CHECKOUTS[name]).is_file():
        raise TargetError(f"{path} is not a checkout of {name}: it has no file {CHECKOUTS[name]}")
    return str(path)


def _dialect(text: str) -> list[str]:
    if text == OURS:
        return []
    name = text.partition(":")[2]
    if name not in DIALECTS:
        raise TargetError(f"{text!r}: {name!r} is not a dialect; expected one of {', '.join(DIALECTS)}")
    return [name]


def _program(text: str) -> Program:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise TargetError(f"{text!r} is not a command: {error}") from error
    if not words or (len(words) == 1 and os.sep not in words[0] and ".py:" not in words[0]):
        known = ", ".join([*PACKAGES, *CHECKOUTS, OURS])
        raise TargetError(f"{text!r} is not a target; expected one of {known}, module:function, or ./program ARGUMENTS")
    return Program(text, (_executable(words[0], text), *words[1:]))


def _executable(word: str, what: str) -> str:
    found = shutil.which(word)
    if found is None:
        raise TargetError(f"{what}: {word!r} is not a program that can be run{_instead(word)}")
    return str(Path(found).absolute())


def _instead(word: str) -> str:
    """What was meant, perhaps: a Python file that is not executable, or a function."""
    path, _, name = word.partition(":")
    if name and (path.endswith(".py") or path.startswith("./")):
        return f"; did you mean {path.removeprefix('./').removesuffix('.py').replace('/', '.')}:{name}?"
    return f'; write "python {word}"' if word.endswith(".py") and Path(word).is_file() else ""


@dataclass(frozen=True)
class Here:
    """A target in this process: a function that never crashes or hangs, such as a dialect in a test.

    merge: called as merge(base, models, density=..., lambda_=..., coefficients=...); a MergeAlgebraError is a refusal,
    any other error ours.
    """

    name: str
    merge: Callable[..., Mapping[str, Any]]
    version: str = "unknown"
    watched: bool = True
    runs_here: bool = True

    def begin(self, seconds: float) -> Here:
        return self

    def with_env(self, variables: Mapping[str, str]) -> Here:
        return self  # it runs in this process, whose environment stays

    def hello(self) -> Hello:
        return Hello(self.name, self.version)

    def answer(self, question: Question) -> Answer:
        parameters = {"density": question.density, "lambda_": question.lambda_, "coefficients": question.coefficients}
        try:
            return Merged(self.merge(question.base, list(question.models), **parameters))
        except MergeAlgebraError as error:
            return Refused(str(error))

    def close(self) -> None:
        """Nothing is open."""

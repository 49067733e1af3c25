"""What a target is asked, and everything that can come back: an answer, a refusal, or a failure to give either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

Tensors = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, eq=False)
class Question:
    """One merge to be done: fine-tuned models into their base.

    id: what tells the questions of one run apart. base, models: name -> NumPy array of dtype float64, float32, float16
    or ml_dtypes' bfloat16. density, lambda_, coefficients: decimals as text, one coefficient a model; none given are
    all "1".
    """

    id: str
    base: Tensors
    models: tuple[Tensors, ...]
    density: str = "1"
    lambda_: str = "1"
    coefficients: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", tuple(self.models))
        object.__setattr__(self, "coefficients", tuple(self.coefficients) or ("1",) * len(self.models))


@dataclass(frozen=True, eq=False)
class Merged:
    """The merged model: the base's names and shapes, the target's dtypes, values as they are, NaN included.

    changed: which of its arguments ("base", "models[0]", the list "models") a Python function was seen to change.
    """

    tensors: Tensors
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """The target said that it does not merge this, and why: an answer like any other."""

    message: str


#: What a target can do instead of answering.
KINDS: Final[Mapping[str, str]] = {
    "absent": "it said that there is nothing to ask",
    "crashed": "it could not be started, ended, or closed its output",
    "hung": "it was still silent when the time was over",
    "chattered": "it wrote lines that are no answers",
    "flooded": "it wrote more than any answer is long",
    "malformed": "its answer is not what the protocol says, or answers another question",
    "wrong_names": "its answer does not have the base's names",
    "wrong_shapes": "its answer does not have the base's shapes",
}


@dataclass(frozen=True)
class Failed:
    """What the target did instead of answering. kind: one of `KINDS`; message: one line."""

    kind: str
    message: str


Answer = Merged | Refused | Failed


@dataclass(frozen=True)
class Hello:
    """Who a target says that it is."""

    name: str
    version: str


class Conversation(Protocol):
    """A target at work: whatever it does comes back as an answer."""

    def hello(self) -> Hello | Failed: ...

    def answer(self, question: Question) -> Answer: ...

    def close(self) -> None: ...


class Target(Protocol):
    """What can be asked."""

    @property
    def name(self) -> str: ...

    @property
    def watched(self) -> bool:
        """Whether a call that writes into its arguments would be seen to."""
        ...

    @property
    def runs_here(self) -> bool:
        """Whether it runs in this process, whose environment cannot be changed for it."""
        ...

    def begin(self, seconds: float) -> Conversation:
        """A new conversation. seconds: how long one answer may take."""
        ...

    def with_env(self, variables: Mapping[str, str]) -> Target:
        """The same target, started with these environment variables besides its own, such as OMP_NUM_THREADS."""
        ...


def introduction(target: Target, seconds: float) -> Hello | Failed:
    """Who the target says that it is."""
    conversation = target.begin(seconds)
    try:
        return conversation.hello()
    finally:
        conversation.close()

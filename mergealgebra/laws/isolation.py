"""`check` in a process of its own: whatever a merge function does there, we get a verdict, in some time and memory.

What it does to its own process it may do to the verdict on it: a function that wants to be told to keep a law is.

    python -m mergealgebra.laws.isolation FOLDER

reads a line of JSON that names the target, then the names of laws, a line each; it answers each line with one. A
module:function is found in FOLDER too, the user's current one.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final, TextIO

import numpy as np

from mergealgebra.children.environment import for_strangers
from mergealgebra.children.process import python, with_our_path
from mergealgebra.errors import MergeAlgebraError, TargetError
from mergealgebra.laws.checker import check
from mergealgebra.laws.verdict import Verdict
from mergealgebra.targets.line_process import LineProcess, NoLine
from mergealgebra.targets.merge_functions import refuse_hidden_function, target
from mergealgebra.text import printable

#: How long one law may take, if nobody says how long.
SECONDS: Final = 120
#: After how many laws that took longer the others are not asked.
PATIENCE: Final = 2

#: The longest line that the target writes and that is shown as one, and how much is shown of what it writes.
_LINE_BYTES: Final = 1 << 12
_MESSAGE_BYTES: Final = 1 << 16
#: More bytes than any answer has.
_ANSWER_BYTES: Final = 1 << 24

_ODD_LINE: Final = "it wrote where its process writes verdicts, and no verdict"


@dataclass(frozen=True)
class Question:
    """What is asked: the target's name and options, and how to search."""

    name: str
    options: Mapping[str, str]
    tries: int
    seed: int


def check_apart(question: Question, laws: Sequence[str], seconds: float = SECONDS) -> Iterator[Verdict]:
    """The verdicts on the laws, in order: "error" where the process gave none. Raises TargetError if it has no target.

    seconds: how long loading the target, and each law, may take. After `PATIENCE` laws that took longer, the others are
    not asked: a function that hangs is stopped in the end.
    """
    child: _Child | None = None
    slow = 0
    try:
        for law in laws:
            if slow == PATIENCE:
                yield Verdict(law, "error", reason=f"it was not asked, after {PATIENCE} laws that took too long")
                continue
            child = child or _Child(question, seconds)
            try:
                verdict = child.ask(law)
            except _NoVerdict as error:
                child.kill()
                child = None
                slow += error.is_slow
                verdict = Verdict(law, "error", reason=str(error), cause=str(error))
            yield verdict
    finally:
        if child is not None:
            child.close()


class _NoVerdict(Exception):
    """What the process did instead of giving a verdict. is_slow: whether it took too long."""

    def __init__(self, message: str, is_slow: bool = False) -> None:
        super().__init__(message)
        self.is_slow = is_slow


class _Child:
    """A process that has loaded the target."""

    def __init__(self, question: Question, seconds: float) -> None:
        """Start it and load the target. Raises TargetError."""
        self._seconds, self._messages = seconds, _Messages()
        command = python("-m", "mergealgebra.laws.isolation", str(Path.cwd()))
        env = with_our_path(for_strangers())
        try:
            self._process = LineProcess(command, env, apart=True, heard=self._messages.hear)
        except NoLine as error:
            raise TargetError(f"{question.name}: {error}") from error
        try:
            self._load(question)
        except BaseException:  # an interrupt too: what was started does not outlive it
            self.kill()
            raise

    def _load(self, question: Question) -> None:
        try:
            loaded = self._exchange(json.dumps({**question.__dict__, "options": dict(question.options)}))
        except _NoVerdict as error:
            raise TargetError(f"{question.name} cannot be loaded: {error}") from error
        match loaded:
            case {"refused": str(refusal)}:
                raise TargetError(refusal)
            case {"loaded": True}:
                return
            case _:
                raise TargetError(f"{question.name} cannot be loaded: {_ODD_LINE}")

    def ask(self, law: str) -> Verdict:
        """The verdict on a law. Raises _NoVerdict."""
        found = self._exchange(law)
        try:
            return Verdict.of(found, law)
        except ValueError as error:
            raise _NoVerdict(_ODD_LINE) from error

    def close(self) -> None:
        """Let it end."""
        self._process.close()
        self._messages.end()

    def kill(self) -> None:
        """End it, now."""
        self._process.kill()
        self._messages.end()

    def _exchange(self, line: str) -> object:
        """Send a line and wait for one, which is read as JSON. Raises _NoVerdict."""
        self._process.send(line.encode() + b"\n", _ANSWER_BYTES)
        try:
            found: object = json.loads(self._process.line(monotonic() + self._seconds))
        except NoLine as error:
            if error.kind != "hung":
                raise _NoVerdict(str(error)) from error
            message = f"it took more than {self._seconds:g} seconds; give it more with --seconds"
            raise _NoVerdict(message, is_slow=True) from error
        except (ValueError, RecursionError, MemoryError) as error:
            raise _NoVerdict(_ODD_LINE) from error
        return found


class _Messages:
    """What the target writes on its standard error, shown line by line, in a form that a terminal does not act on.

    Each line is marked as the target's, so that none looks like a verdict of ours.
    """

    def __init__(self) -> None:
        self._left = _MESSAGE_BYTES
        self._begun = b""

    def hear(self, piece: bytes) -> None:
        *lines, self._begun = (self._begun + piece).split(b"\n")
        for line in lines:
            self._show(line)
        while len(self._begun) > _LINE_BYTES:
            self._show(self._begun[:_LINE_BYTES])
            self._begun = self._begun[_LINE_BYTES:]

    def end(self) -> None:
        """Show a last line that has no end."""
        if self._begun:
            self._show(self._begun)
        self._begun = b""

    def _show(self, line: bytes) -> None:
        if self._left < 0:
            return
        self._left -= len(line) + 1
        _tell(line.decode(errors="replace") if self._left >= 0 else "... (more than that is not shown)")


def _tell(line: str) -> None:
    with suppress(OSError):  # nobody reads ours
        os.write(2, f"target: {printable(line)}\n".encode(errors="replace"))


def serve(questions: TextIO, answers: TextIO, folder: str) -> None:
    """Answer the questions of `check_apart`."""
    asked = Question(**json.loads(next(questions)))
    try:
        if ":" in asked.name:
            sys.path.append(folder)  # last, so that what is in it hides no other module
            refuse_hidden_function(asked.name, folder)
        loaded = target(asked.name, **asked.options)
    except MergeAlgebraError as error:
        print(json.dumps({"refused": str(error)}), file=answers, flush=True)
        return
    print(json.dumps({"loaded": True}), file=answers, flush=True)
    for line in questions:
        _seed(asked.seed)
        (verdict,) = check(loaded, [line.strip()], asked.tries, asked.seed)
        print(json.dumps(verdict.to_map()), file=answers, flush=True)


def _seed(seed: int) -> None:
    """Seed what a merge function may draw random numbers from, so that its table is the same each time."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever asks tells of an interrupt
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        with os.fdopen(0, encoding="utf-8") as questions:
            serve(questions, answers, sys.argv[1])

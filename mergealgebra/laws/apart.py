"""`check` in a process of its own: a merge function that ends its process, or writes to standard output, does no harm.

    python -m mergealgebra.laws.apart FOLDER

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
from threading import Thread
from typing import Any, Final, TextIO

import numpy as np

from mergealgebra.children.environment import for_strangers
from mergealgebra.children.process import ChildFailed, Stranger, python, signal_name, with_our_path
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.laws.checking import check
from mergealgebra.laws.errors import TargetError
from mergealgebra.laws.targets import target
from mergealgebra.laws.verdict import Verdict
from mergealgebra.text import printable

#: The longest line that the target writes and that is shown as one.
_LINE_BYTES: Final = 1 << 16


@dataclass(frozen=True)
class Question:
    """What is asked: the target's name and options, and how to search."""

    name: str
    options: Mapping[str, str]
    tries: int
    seed: int


def check_apart(question: Question, laws: Sequence[str]) -> Iterator[Verdict]:
    """The verdicts on the laws, in order: "error" where the process ended. Raises TargetError if there is no target."""
    left = list(laws)
    while left:
        with _Child(question) as child:
            while left and (found := child.ask(left[0])):
                yield found
                left.pop(0)
            if left:
                yield Verdict(left.pop(0), "error", reason=f"it ended its process, with {child.ending()}")


class _Child:
    """A process that has loaded the target."""

    def __init__(self, question: Question) -> None:
        command = python("-m", "mergealgebra.laws.apart", str(Path.cwd()))
        try:
            self._process = Stranger(command, with_our_path(for_strangers()), apart=True)
        except ChildFailed as error:
            raise TargetError(f"{question.name}: {error}") from error
        self._questions, answers, messages = self._process.pipes
        self._answers = os.fdopen(answers.fileno(), "rb", closefd=False)  # with a buffer
        self._shown = Thread(target=_show, args=(os.dup(messages.fileno()),), daemon=True)
        self._shown.start()
        try:
            loaded = self._exchange(json.dumps({**question.__dict__, "options": dict(question.options)}))
            if loaded is None:
                raise TargetError(f"{question.name}: loading it ended its process, with {self.ending()}")
            if "refused" in loaded:
                raise TargetError(loaded["refused"])
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        self._process.end()
        self._shown.join()

    def ask(self, law: str) -> Verdict | None:
        """The verdict on a law, None when the process has ended."""
        found = self._exchange(law)
        return None if found is None else Verdict(**found)

    def ending(self) -> str:
        """How the process ended."""
        code = self._process.status() or 0
        return f"signal {signal_name(-code)}" if code < 0 else f"exit status {code}"

    def _exchange(self, line: str) -> dict[str, Any] | None:
        try:
            self._questions.write(line.encode() + b"\n")
        except BrokenPipeError:
            return None
        answer = self._answers.readline()
        return json.loads(answer) if answer.endswith(b"\n") else None


def _show(descriptor: int) -> None:
    """Show what the target writes on its standard error, line by line, in a form that a terminal does not act on."""
    with os.fdopen(descriptor, "rb") as messages:
        while line := messages.readline(_LINE_BYTES):
            with suppress(OSError):  # nobody reads ours
                os.write(2, printable(line.decode(errors="replace").rstrip("\n")).encode(errors="replace") + b"\n")


def serve(questions: TextIO, answers: TextIO, folder: str) -> None:
    """Answer the questions of `check_apart`."""
    asked = Question(**json.loads(next(questions)))
    try:
        if ":" in asked.name:
            sys.path.append(folder)  # last, so that what is in it hides no other module
        loaded = target(asked.name, **asked.options)
    except MergeAlgebraError as error:
        print(json.dumps({"refused": str(error)}), file=answers, flush=True)
        return
    print("{}", file=answers, flush=True)
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
        serve(sys.stdin, answers, sys.argv[1])

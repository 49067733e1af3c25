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
import select
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any, Final, TextIO

import numpy as np

from mergealgebra.children.environment import for_strangers
from mergealgebra.children.process import ChildFailed, Stranger, python, signal_name, with_our_path
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.laws.checker import check
from mergealgebra.laws.verdict import Verdict
from mergealgebra.targets.errors import TargetError
from mergealgebra.targets.merge_functions import target
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
_PIECE_BYTES: Final = 1 << 16
_SECONDS_TO_END: Final = 2.0


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
    left, slow = list(laws), 0
    while left and slow < PATIENCE:
        with _Child(question, seconds) as child:
            while left and not child.is_lost:
                yield child.ask(left.pop(0))
            slow += child.is_slow
    for law in left:
        yield Verdict(law, "error", reason=f"it was not asked, after {PATIENCE} laws that took too long")


class _NoAnswer(Exception):
    """What the process did instead of answering, as "it" goes on."""


class _TooSlow(_NoAnswer):
    """It took too long."""


class _Child:
    """A process that has loaded the target."""

    def __init__(self, question: Question, seconds: float) -> None:
        self.is_lost = self.is_slow = False
        self._seconds, self._unread = seconds, b""
        command = python("-m", "mergealgebra.laws.isolation", str(Path.cwd()))
        try:
            self._process = Stranger(command, with_our_path(for_strangers()), apart=True)
        except ChildFailed as error:
            raise TargetError(f"{question.name}: {error}") from error
        self._questions, self._answers, messages = self._process.pipes
        self._shown = Thread(target=_show, args=(os.dup(messages.fileno()),), daemon=True)
        self._shown.start()
        try:
            self._load(question)
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

    def _load(self, question: Question) -> None:
        try:
            loaded = self._exchange(json.dumps({**question.__dict__, "options": dict(question.options)}))
        except _NoAnswer as done:
            raise TargetError(f"{question.name}: loading it {done}") from done
        if loaded != {}:
            raise TargetError(
                str(loaded.get("refused")) if isinstance(loaded, dict) else f"{question.name}: {loaded!r}"
            )

    def ask(self, law: str) -> Verdict:
        """The verdict on a law; if there is none, and the process is lost, what it did."""
        try:
            return Verdict.of(self._exchange(law), law)
        except _NoAnswer as done:
            reason, self.is_slow = f"it {done}", isinstance(done, _TooSlow)
        except ValueError:
            reason = "it wrote where its process writes verdicts, and no verdict"
        self.is_lost = True
        return Verdict(law, "error", reason=reason, cause=reason)

    def _exchange(self, line: str) -> Any:
        """Send a line and wait for one, which is read as JSON. Raises _NoAnswer and ValueError."""
        with suppress(BrokenPipeError):  # how it ended is told by its output
            self._questions.write(line.encode() + b"\n")
        try:
            return json.loads(self._line())
        except (RecursionError, MemoryError) as error:
            raise ValueError("nested too deep, or too large") from error

    def _line(self) -> bytes:
        deadline, poll = monotonic() + self._seconds, select.poll()
        poll.register(self._answers, select.POLLIN)
        pieces = [self._unread]
        while b"\n" not in pieces[-1]:
            if not poll.poll(max(0.0, deadline - monotonic()) * 1000):
                raise _TooSlow(f"took more than {self._seconds:g} seconds; give it more with --seconds")
            pieces.append(os.read(self._answers.fileno(), _PIECE_BYTES))
            if not pieces[-1]:
                raise _NoAnswer(self._ending())
            if len(pieces) * _PIECE_BYTES > _ANSWER_BYTES and sum(map(len, pieces)) > _ANSWER_BYTES:
                raise _NoAnswer(f"wrote more than {_ANSWER_BYTES:,} bytes where its process writes verdicts")
        line, _, self._unread = b"".join(pieces).partition(b"\n")
        return line

    def _ending(self) -> str:
        """How the process ended."""
        code = self._process.status(_SECONDS_TO_END)
        if code is None:
            return "closed the output of its process"
        return f"ended its process, with {f'signal {signal_name(-code)}' if code < 0 else f'exit status {code}'}"


def _show(descriptor: int) -> None:
    """Show what the target writes on its standard error, line by line, in a form that a terminal does not act on.

    Each line is marked as its, so that none looks like a verdict of ours.
    """
    shown = 0
    with os.fdopen(descriptor, "rb") as messages:
        while line := messages.readline(_LINE_BYTES):
            shown += len(line)
            if shown <= _MESSAGE_BYTES:
                _tell(line.decode(errors="replace").rstrip("\n"))
            elif shown - len(line) <= _MESSAGE_BYTES:
                _tell("... (more than that is not shown)")


def _tell(line: str) -> None:
    with suppress(OSError):  # nobody reads ours
        os.write(2, f"target: {printable(line)}\n".encode(errors="replace"))


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
        with os.fdopen(0, encoding="utf-8") as questions:
            serve(questions, answers, sys.argv[1])

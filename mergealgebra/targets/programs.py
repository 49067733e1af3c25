"""Targets that are programs: started, asked, and started again after what no answer ends.

Whatever a program does becomes an answer, a refusal or a `Failed`; nothing that it does becomes an error of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Final

from mergealgebra.children.environment import for_strangers
from mergealgebra.targets import protocol
from mergealgebra.targets.line_process import LineProcess, NoLine
from mergealgebra.targets.questions import Answer, Failed, Hello, Question
from mergealgebra.text import shown

#: What a program may write in return for a line besides tensors: names, spaces, messages, chatter.
SPARE_BYTES: Final = 2**20

#: What it may write for an element of a tensor: twice the digits of the widest dtype.
ELEMENT_BYTES: Final = 32

#: How often in a row a program may fail to say hello before it is given up.
STARTS: Final = 2


@dataclass(frozen=True)
class Program:
    """A target that is a program speaking the protocol.

    command: the program and its arguments. env: its environment, `for_strangers` if left out. start_seconds: how long
    its hello may take, as what it imports may be large. watched: whether it tells which of its arguments a call
    changed. apart: whether it runs in an empty folder of its own; a command that a user types does not, as its
    arguments are relative to his folder, and what it runs there is what he says.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=for_strangers, repr=False)
    start_seconds: float = 60
    watched: bool = False
    apart: bool = False

    @property
    def runs_here(self) -> bool:
        """It has a process of its own."""
        return False

    def begin(self, seconds: float) -> Talk:
        """A conversation with it. seconds: how long one answer may take."""
        return Talk(self, seconds)

    def with_env(self, variables: Mapping[str, str]) -> Program:
        """The same program, started with these environment variables besides its own."""
        return replace(self, env={**self.env, **variables})


class Talk:
    """A conversation with a program, which runs from the first question on."""

    def __init__(self, program: Program, seconds: float) -> None:
        self._program = program
        self._seconds = seconds
        self._process: LineProcess | None = None
        self._hello: Hello | None = None
        self._chatter: bytes | None = None
        self._failed_starts: list[Failed] = []

    def hello(self) -> Hello | Failed:
        """Who the program says that it is."""
        started = self._started()
        return started if isinstance(started, Failed) else self._hello or Failed("crashed", "it said no hello")

    def answer(self, question: Question) -> Answer:
        """What the program makes of a question. Unless it answers this question, the next one finds it started anew."""
        started = self._started()
        answer = started if isinstance(started, Failed) else self._asked(started, question)
        chatter, self._chatter = self._chatter, None
        if chatter is None or (isinstance(answer, Failed) and answer.kind != "hung"):
            return answer
        silence = f"; {answer.message}" if isinstance(answer, Failed) else ""
        return Failed("chattered", f"it wrote {shown(chatter.decode(errors='replace').strip())} as a line{silence}")

    def close(self) -> None:
        """Let the program end, by force if it has to be."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _started(self) -> LineProcess | Failed:
        """The running program, past its hello."""
        if self._process is not None:
            return self._process
        if len(self._failed_starts) == STARTS:
            last = self._failed_starts[-1]
            return Failed(last.kind, f"{last.message} (and was not started again after {STARTS} such starts)")
        started = self._start()
        self._failed_starts = [*self._failed_starts, started] if isinstance(started, Failed) else []
        return started

    def _start(self) -> LineProcess | Failed:
        try:
            self._process = LineProcess(self._program.command, self._program.env, apart=self._program.apart)
            self._process.send(protocol.greeting(), SPARE_BYTES)
            self._hello = protocol.read_greeting(self._line(self._process, self._program.start_seconds))
            return self._process
        except (NoLine, protocol.OutOfStep) as reason:
            return self._stopped(reason)

    def _asked(self, process: LineProcess, question: Question) -> Answer:
        try:
            process.send(protocol.request(question), _longest(question))
            return protocol.read_answer(self._line(process, self._seconds), question)
        except (NoLine, protocol.OutOfStep) as reason:
            return self._stopped(reason)

    def _line(self, process: LineProcess, seconds: float) -> bytes:
        """The next line that may be an answer; the first of those before it is remembered. Raises NoLine."""
        deadline = monotonic() + seconds
        try:
            while protocol.is_chatter(line := process.line(deadline)):
                self._chatter = self._chatter or line or b"an empty line"
        except BaseException:  # an interrupt too: what was started does not outlive it
            self._kill()
            raise
        return line

    def _stopped(self, reason: NoLine | protocol.OutOfStep) -> Failed:
        self._kill()
        return Failed(reason.kind, str(reason))

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()


def _longest(question: Question) -> int:
    """How many bytes an answer may have, whatever its dtypes."""
    return SPARE_BYTES + ELEMENT_BYTES * sum(array.size for array in question.base.values())

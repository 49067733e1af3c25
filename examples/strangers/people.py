"""A person with a machine: a shell in a folder of their own, and a server that they can start and stop."""

from __future__ import annotations

import shlex
import signal
import subprocess
from pathlib import Path

from forks import Forks
from shell import Shell

import mergealgebra as ma


class Person(Shell):
    """Types commands in their own folder, and serves their workspace to the others from it."""

    def __init__(self, name: str, folder: Path, forks: Forks | None = None) -> None:
        super().__init__(folder, f"{name}$")
        self._forks = forks
        self.name, self.address = name, ""
        self._server: subprocess.Popen[str] | None = None

    def serve(self, workspace: str = "work") -> None:
        """Start a server, a process of its own, on a port that is free, and show what it says."""
        command = f"mergealgebra serve {workspace} --port 0"
        self._show_command(f"{command} &")
        self._server = subprocess.Popen(
            shlex.split(command),
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        line = first_line(self._server)
        self._show_output(line)
        if " at http" not in line:
            self.fail("the server did not start; what it said stands above")
        self.address = line.split(" at ")[1].split(",")[0]

    def _start(self, command: str) -> subprocess.CompletedProcess[str]:
        """A command of mergealgebra is forked from a process that has imported it, which is quicker."""
        words = shlex.split(command)
        if self._forks is None or words[0] != "mergealgebra":
            return super()._start(command)
        return self._forks.run(words, self.folder)

    def go_offline(self) -> None:
        """Stop the server, as Ctrl-C does, or a lid that is closed."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            try:
                self._server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
            self._server = None

    def workspace(self) -> ma.Workspace:
        """What this person has, to look at."""
        return ma.Workspace.open(self.folder / "work")

    def root_of(self, model: str) -> str:
        """Check a model against what this person has themselves, and return its root."""
        return self.ask(f"mergealgebra verify {model} --against work", "model_root")


def first_line(process: subprocess.Popen[str]) -> str:
    """The first line that a process says."""
    return process.stdout.readline().strip() if process.stdout else ""

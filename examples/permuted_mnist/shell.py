"""A shell that shows its commands: each is printed as a user would type it, then run for real."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console, RenderableType
from rich.padding import Padding


class Shell:
    """Commands in one folder, and a plain voice between them. A broken promise ends the program with 1."""

    def __init__(self, folder: Path, prompt: str = "$") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._prompt = folder.resolve(), prompt
        self._console = Console(highlight=False, soft_wrap=True)
        scripts = str(Path(sys.executable).parent)  # the commands of this Python, activated or not
        self._environment = {**os.environ, "PATH": scripts + os.pathsep + os.environ.get("PATH", "")}

    def run(self, command: str) -> None:
        """Show a command and what it prints."""
        self._show_command(command)
        self._show_output(self._finish(command).strip())

    def run_and_warn(self, command: str) -> None:
        """Show a command, what it prints, and its warnings."""
        self._show_command(command)
        done = self._checked(command)
        self._show_output("\n".join([done.stdout.strip(), done.stderr.strip()]))

    def do(self, command: str) -> None:
        """Show a command, and not what it prints."""
        self._show_command(command)
        self._finish(command)

    def ask(self, command: str, field: str) -> str:
        """Show a command, and behind it one field of its report; it runs with --json for that."""
        self._show_command(command, end="")
        answer = str(self.report(command)[field])
        self._console.print(f"  # {field.replace('_', ' ')} {short(answer)}", style="dim")
        return answer

    def report(self, command: str) -> dict[str, Any]:
        """What a command says under --json; nothing is printed."""
        report: dict[str, Any] = json.loads(self._finish(f"{command} --json"))
        return report

    def refused(self, command: str) -> None:
        """Show a command that has to fail with exit code 1, and the beginning of its error."""
        self._show_command(command)
        done = self._start(command)
        error = (done.stdout + done.stderr).strip()
        self._show_output(error if len(error) <= _LINE else f"{error[: _LINE - 3]}...")
        if done.returncode != 1:
            self.fail(f"exit code {done.returncode} where 1 was expected: {command}")

    def check(self, holds: bool, promise: str) -> None:
        """Say that a promise was kept; end the program if it was not."""
        if not holds:
            self.fail(f"not so: {promise}")
        self._console.print(f"  [green]checked[/]  {promise}")

    def fail(self, message: str) -> NoReturn:
        """Say what went wrong and end the program with exit code 1."""
        self._console.print(f"  [bold red]FAILED[/]  {message}")
        raise SystemExit(1)

    def title(self, text: str) -> None:
        self._console.print(f"\n[bold]{text}[/]")

    def say(self, text: str) -> None:
        for line in text.splitlines():
            self._console.print(f"  {line}", markup=False)

    def code(self, line: str) -> None:
        self._console.print(f"  >>> {line}", style="cyan", markup=False)

    def show(self, table: RenderableType) -> None:
        self._console.print(Padding(table, (0, 0, 0, 2), expand=False), soft_wrap=False)

    def _show_command(self, command: str, end: str = "\n") -> None:
        self._console.print(f"  {self._prompt} {command}", style="cyan", markup=False, end=end)

    def _show_output(self, text: str) -> None:
        for line in text.splitlines():
            self._console.print(f"    {line}", style="dim", markup=False)

    def _finish(self, command: str) -> str:
        return self._checked(command).stdout

    def _checked(self, command: str) -> subprocess.CompletedProcess[str]:
        done = self._start(command)
        if done.returncode != 0:
            self._show_output("\n" + done.stderr.strip())
            self.fail(f"exit code {done.returncode}: {command}")
        return done

    def _start(self, command: str) -> subprocess.CompletedProcess[str]:
        words = shlex.split(command)
        try:
            return subprocess.run(
                words,
                cwd=self.folder,
                env=self._environment,
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            self.fail(f"no command {words[0]} here; install the package first (see README)")


def short(id_: str) -> str:
    """An id as people say it; two that begin alike are equal for the eye only."""
    return id_[:8]


#: So much of an error is shown.
_LINE = 150

"""A page of documentation as its reader follows it, from top to bottom, in an empty folder.

    ```console    commands behind `$ `, each with what it prints; where nothing stands below it, that is not looked at
    ```python     an example with `>>>`, or a file
    ```yaml       a file
    ```sh         commands for the reader's own machine: installing, other computers; not run here

A file's first line is a comment with its name, `# recipe.yaml`. What is printed may be shortened by `...`.
"""

from __future__ import annotations

import contextlib
import doctest
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.cli.commands import call, console_script

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w.-]+\.\w+)\n")
_ERROR = re.compile("^mergealgebra: ", re.MULTILINE)
#: A verb that needs no shell.
_PLAIN = re.compile(r"mergealgebra [^|&;<>$*`\\]+$")
_LOOSELY = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """One fenced block. line: where it begins on its page, from 1."""

    language: str
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """The name of the file that this is, if it is one."""
        named = _FILE.match(self.text)
        return named[1] if named else None

    @property
    def is_example(self) -> bool:
        """Whether this is Python as somebody types it, with what comes back."""
        return self.language == "python" and self.text.startswith(">>> ")

    def commands(self) -> Iterator[tuple[str, str]]:
        """Each command with what it is said to print."""
        for entry in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, said = re.fullmatch(r"((?:[^\n]*\\\n)*[^\n]*\n)(.*)", entry, re.DOTALL).groups()
            yield command.rstrip("\n"), said


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text("utf-8")
    return [Block(found[1], found[2], text[: found.start()].count("\n") + 1) for found in _FENCE.finditer(text)]


@dataclass
class Reader:
    """Somebody who follows a page. folder: an empty one, to work in. names: what the examples have defined so far."""

    page: Path
    folder: Path
    tools: Path
    names: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _write_tool(self.tools / "python", [sys.executable])
        _write_tool(self.tools / "mergealgebra", console_script(self.tools / "script.py"))

    def follow(self, block: Block) -> None:
        """Do what a block shows, and see that what it says comes back."""
        if block.language == "console":
            for command, said in block.commands():
                self._type(command, said, block.line)
        elif block.is_example:
            self._try(block)
        elif block.file:
            (self.folder / block.file).write_text(block.text, "utf-8")

    def _type(self, command: str, said: str, line: int) -> None:
        code, printed = self._run_here(command) if _PLAIN.match(command) else self._run_in_a_shell(command)
        where = f"{self.page.name}, block at line {line}: $ {command}\n{printed}"
        assert code == (1 if _ERROR.search(said) else 0), where
        assert not said or doctest.OutputChecker().check_output(said, printed, _LOOSELY), f"{where}not\n{said}"

    def _run_here(self, command: str) -> tuple[int, str]:
        """The exit status and the output of a verb, in this process, where it starts ten times as quickly."""
        _, *words = shlex.split(command, comments=True)
        done = call(self.folder, *words)
        return done.code, done.stdout + done.stderr

    def _run_in_a_shell(self, command: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", command],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stdout

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.tools), os.environ["PATH"]])
        return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "RCLONE_CONFIG": str(self.tools / "rclone.conf")}

    def _try(self, block: Block) -> None:
        example = doctest.DocTestParser().get_doctest(
            block.text, self.names, self.page.name, str(self.page), block.line
        )
        said: list[str] = []
        with contextlib.chdir(self.folder):
            failed = doctest.DocTestRunner(optionflags=_LOOSELY).run(example, out=said.append, clear_globs=False).failed
        self.names |= example.globs
        assert not failed, "".join(said)


def _write_tool(path: Path, command: list[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec {" ".join(command)} "$@"\n')
    path.chmod(0o755)

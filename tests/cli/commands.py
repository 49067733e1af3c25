"""The command line as a user meets it: in a process of its own, or here, where it is a hundred times as quick."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tomllib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from mergealgebra.cli import main


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it said. as_json: whether it was asked for JSON."""

    code: int
    stdout: str
    stderr: str
    as_json: bool = False

    def printed(self) -> dict[str, Any]:
        """The one JSON object on the one line of standard output, of a command that went well [CL-2]."""
        assert (self.code, self.stderr) == (0, "")
        assert self.stdout.endswith("\n")
        (line,) = self.stdout.splitlines()
        found = json.loads(line)
        assert isinstance(found, dict)
        return found

    def lines(self) -> list[str]:
        """The lines on standard output, of a command that went well."""
        assert (self.code, self.stderr) == (0, "")
        return self.stdout.splitlines()

    def complaint(self) -> str:
        """What the one line on standard error says, of a command that failed as it should [CL-1, CL-2]."""
        assert self.code == 1, self
        assert self.stderr.endswith("\n")
        (line,) = self.stderr.splitlines()
        assert line.startswith("mergealgebra: ")
        message = line.removeprefix("mergealgebra: ")
        assert self.stdout == (json.dumps({"error": message}) + "\n" if self.as_json else "")
        return message


def shell(folder: Path, *args: str | Path) -> Outcome:
    """Run `mergealgebra ARGS` in a folder, in a process of its own."""
    command = [sys.executable, "-m", "mergealgebra", *map(str, args)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    return Outcome(done.returncode, done.stdout, done.stderr, "--json" in args)


def console_script(path: Path, first: str = "") -> list[str]:
    """The command that runs `mergealgebra` as an installation makes it, written to a path. first: its first line."""
    root = Path(__file__).parents[2]
    module, name = tomllib.loads((root / "pyproject.toml").read_text())["project"]["scripts"]["mergealgebra"].split(":")
    path.write_text(
        f"import sys\n{first}\nsys.path.insert(0, {str(root)!r})\n"
        f"from {module} import {name}\nif __name__ == '__main__':\n    sys.exit({name}())\n"
    )
    return [sys.executable, str(path)]


def without_python_path(**more: str) -> dict[str, str]:
    """This environment without PYTHONPATH, and with more variables."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | more


def call(folder: Path, *args: str | Path) -> Outcome:
    """Run `mergealgebra ARGS` in a folder, in this process. A Python warning is written to standard error."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", ["mergealgebra", *map(str, args)]),
        warnings.catch_warnings(record=True) as warned,
    ):
        try:
            main()
        except SystemExit as done:
            code = done.code
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]
    said = texts[1] + "".join(f"{warning.message}\n" for warning in warned)
    return Outcome(code, texts[0], said, "--json" in args)


def tree(folder: Path) -> dict[str, bytes | str]:
    """Everything under a folder: the bytes of files, where links point, and "folder"."""
    return {str(path.relative_to(folder)): _content(path) for path in sorted(folder.rglob("*"))}


def _content(path: Path) -> bytes | str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    if not path.is_file():
        return "folder" if path.is_dir() else "a pipe or a device"
    return path.read_bytes()

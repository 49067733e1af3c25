"""Commands of `mergealgebra`, each in a process of its own, forked from one that has imported the package.

Python takes a third of a second to import what a command needs, and the story has 40 commands. Nothing else is shared:
each command gets its own memory, folder and streams, as if it were typed.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import NoReturn

#: Whether this system can.
CAN_FORK = hasattr(os, "fork")
#: What most commands import.
_IMPORTED = (
    "mergealgebra.cli",
    "mergealgebra.workspace",
    "mergealgebra.creation",
    "mergealgebra.kernels.machine_code",
    "mergealgebra.recipe_file",
    "mergealgebra.publication",
    "mergealgebra.resolution",
    "mergealgebra.verification",
    "llvmlite.binding",
    "mergealgebra.sync.replica",
    "mergealgebra.sync.http_peer",
)


class Forks:
    """The process from which commands are forked; it ends with `close`."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
        """Run a command in a folder to its end."""
        with tempfile.TemporaryDirectory() as streams:
            out, err = Path(streams, "out"), Path(streams, "err")
            task = {"words": words, "folder": str(folder), "streams": [os.devnull, str(out), str(err)]}
            if self._process.stdin is None or self._process.stdout is None:
                raise ValueError("the process has no streams")
            print(json.dumps(task), file=self._process.stdin, flush=True)
            code = int(self._process.stdout.readline())
            return subprocess.CompletedProcess(words, code, out.read_text("utf-8"), err.read_text("utf-8"))

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()


def main() -> None:
    """Fork a child for each line of standard input, and say with which code it ended."""
    for name in _IMPORTED:
        import_module(name)
    gc.freeze()  # or a collection in a child would copy every page
    for line in iter(sys.stdin.readline, ""):
        child = os.fork()
        if child == 0:
            become(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def become(words: list[str], folder: str, streams: list[str]) -> NoReturn:
    """Be the command."""
    from mergealgebra.__main__ import main as run

    os.chdir(folder)
    for number, path in enumerate(streams):
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = words
    run()
    sys.exit()


if __name__ == "__main__":
    main()

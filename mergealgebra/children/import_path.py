"""Where modules are imported from: never from the current folder, which may be a stranger's.

The command line calls this before anything else is imported, so it imports only what Python itself has loaded.
"""

import os
import site
import sys

#: The folder that holds this package: a checkout, or where packages are installed.
OURS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def leave_current_folder() -> None:
    """Import nothing from the current folder from now on, nor from what PYTHONPATH names relative to it."""
    sys.path[:] = import_path()


def import_path() -> "list[str]":
    """The entries of `sys.path` that are not the current folder's; that of this package is always one."""
    left_out = _of_current_folder() - _installed()
    found = [entry for entry in sys.path if os.path.isabs(entry) and os.path.realpath(entry) not in left_out]
    return found if OURS in map(os.path.realpath, found) else [*found, OURS]


def without_current_folder(variable: str) -> str:
    """The value of PYTHONPATH for a child process: the folders in it that do not depend on where it was set."""
    left_out = _of_current_folder() - {OURS}
    entries = filter(os.path.isabs, variable.split(os.pathsep))
    return os.pathsep.join(entry for entry in entries if os.path.realpath(entry) not in left_out)


def _of_current_folder() -> "set[str]":
    """The current folder, and what PYTHONPATH names relative to it: Python has made those entries absolute."""
    entries = ["", *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    try:
        return {os.path.realpath(entry) for entry in entries if not os.path.isabs(entry)}
    except FileNotFoundError:  # the current folder is gone, and what was in it
        return set()


def _installed() -> "set[str]":
    """Where Python and its packages are, which may be the current folder."""
    standard = os.path.dirname(os.__file__)
    folders = [OURS, standard, os.path.join(standard, "lib-dynload"), *site.getsitepackages()]
    return {os.path.realpath(folder) for folder in folders}

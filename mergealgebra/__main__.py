"""`mergealgebra`, and `python -P -m mergealgebra`: the command line from its first moment on [CL-1, CL-3].

Without -P, `python -m` puts the current folder first on the path, and imports this package from there if the folder has
one: in a folder that somebody else has filled, type `mergealgebra`. What Python itself imports before this, from a
PYTHONPATH that names the current folder, is beyond us, and so is an interrupt before it.
"""

import sys

#: How many objects are made before cycles are looked for among them. By Python's 700 it is often, while modules load.
_MADE = 20_000


def main() -> None:
    """Run the command line and exit, as `cli.main` says; nothing is imported from the current folder."""
    _end_silently()
    _hold_streams()
    from mergealgebra.children.import_path import leave_current_folder

    leave_current_folder()
    from mergealgebra.interrupts import Interrupted, interrupted, message

    try:
        _run()
    except (Exception, Interrupted):
        if not interrupted():
            raise
        sys.stderr.write(f"mergealgebra: {message()}\n")
        sys.exit(1)


def _run() -> None:
    import gc

    from mergealgebra.interrupts import leave_interrupts, raise_interrupts

    gc.set_threshold(_MADE)
    try:
        raise_interrupts()
        from mergealgebra.cli import main as run

        run()
    finally:
        gc.freeze()  # else Python looks through all that there is before it ends
        leave_interrupts()


def _hold_streams() -> None:
    """Let standard streams that are closed be nobody's file: no file that is opened later takes their place.

    What is written to standard output then fails, as it reaches nobody.
    """
    import os

    for number, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # the least number that is free
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _end_silently() -> None:
    """Let Ctrl-C end the process as it ends others, until it is told in one line: it may be lost in imports.

    `signal` takes a while to be imported, the part of it that is written in C does not.
    """
    import _signal as early

    if early.getsignal(early.SIGINT) is early.default_int_handler:
        early.signal(early.SIGINT, early.SIG_DFL)


if __name__ == "__main__":
    main()

"""`mergealgebra`, and `python -P -m mergealgebra`: the command line from its first moment on [CL-1, CL-3].

Without -P, `python -m` puts the current folder first on the path, and imports this package from there if the folder has
one: in a folder that somebody else has filled, type `mergealgebra`. What Python itself imports before this, from a
PYTHONPATH that names the current folder, is beyond us, and so is an interrupt before it.
"""

import sys


def main() -> None:
    """Run the command line and exit, as `cli.main` says; nothing is imported from the current folder."""
    try:
        from mergealgebra.children.import_path import leave_current_folder

        leave_current_folder()
        from mergealgebra.interrupts import raise_interrupts

        raise_interrupts()
        from mergealgebra.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("mergealgebra: interrupted; nothing was left half-written\n")
        sys.exit(1)


if __name__ == "__main__":
    main()

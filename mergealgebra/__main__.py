"""`python -m mergealgebra`: the command line."""

from mergealgebra.cli import main

if __name__ == "__main__":
    main()

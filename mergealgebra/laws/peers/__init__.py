"""Merge functions of other projects, each in a file that stands alone: a counterexample prints it."""

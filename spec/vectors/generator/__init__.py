"""A second implementation of the specification, in the standard library alone, and the cases that it answers."""

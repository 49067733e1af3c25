"""Merge methods: one file for each, the equations of a paper on one screen. And what to write another one with."""

from mergealgebra.methods.key_checks import (
    Check,
    check_density,
    check_lambda,
    check_seed,
    check_share,
    check_text,
    one_of,
)
from mergealgebra.methods.method import Method, key

__all__ = [
    "Check",
    "Method",
    "check_density",
    "check_lambda",
    "check_seed",
    "check_share",
    "check_text",
    "key",
    "one_of",
]

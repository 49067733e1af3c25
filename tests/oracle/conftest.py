"""The oracle, if it is built; where MERGEALGEBRA_ORACLE=required, as in CI, it has to be."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from mergealgebra.kernels.blocks import Kernel
from tests.oracle.kernels import BACKENDS, interpreting, kernel_named
from tests.oracle.program import BUILD, PROGRAM, Oracle


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    if not PROGRAM.exists():
        missing = f"the oracle is not built; {BUILD} builds it"
        pytest.fail(missing) if os.environ.get("MERGEALGEBRA_ORACLE") == "required" else pytest.skip(missing)
    with Oracle() as program:
        yield program


@pytest.fixture(scope="session", params=BACKENDS)
def kernel(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    """Every backend in turn."""
    with interpreting():
        yield kernel_named(request.param)

"""Models by what people name: a file, a folder, an adapter, `MODEL+ADAPTER`, or an address on the Hub [AD-1]."""

from __future__ import annotations

from mergealgebra.addresses import PathLike, parts_of_address
from mergealgebra.errors import CheckpointError
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.files import as_path
from mergealgebra.tensors.forms import Held
from mergealgebra.text import location


def open_model(address: PathLike, base: Checkpoint | None = None) -> Held:
    """What is at an address: a model, or the difference that an adapter makes to the base, as factors [AD-1].

    base: the model that an adapter is applied to; None where there is none. Raises CheckpointError where there is no
    model, where an adapter has no base, and as `Checkpoint.open` and Formed do.
    """
    model, adapter = parts_of_address(as_path(address))
    if adapter is None:
        return open_base(model)
    raise CheckpointError(f"{location(as_path(address))}: an adapter beside a model is not taken yet")


def open_base(address: PathLike) -> Checkpoint:
    """The whole model at an address. Raises CheckpointError where there is none, and as `Checkpoint.open` does."""
    return Checkpoint.open(address)

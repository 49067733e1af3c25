"""Planted faults: what an implementation might get wrong, each a small patch of the real code.

The simulation is trusted as far as it catches these; `test_faults` asks that it catches every one.
"""

from tests.simulation.faults import blobs, ids, objects, packs, policy, states, syncing, writing
from tests.simulation.faults.fault import FAULTS, Fault

__all__ = ["FAULTS", "Fault", "blobs", "ids", "objects", "packs", "policy", "states", "syncing", "writing"]

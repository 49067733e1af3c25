"""What was measured of contributions, saved so that `status` can show it without reading a tensor [CT-11, SY-9].

It is in the cache, where others may be able to write, so each entry is sealed with the workspace's private key. An
entry without our seal counts as missing.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from mergealgebra.encoding import decode, encode
from mergealgebra.engine.plausibility import doubt
from mergealgebra.errors import OutputError
from mergealgebra.incremental.seals import HEADER_BYTES, Seal
from mergealgebra.store.atomic import write_atomically
from mergealgebra.store.cache import FIGURES
from mergealgebra.store.entries import Entry
from mergealgebra.store.private import known_key, private_key

#: Figures by name, as `Measure.to_map` gives them: `difference` and `changed`.
Figures = Mapping[str, str]

#: An entry is shorter.
MOST_BYTES: Final = 1 << 10


def save_figures(store: Path, contribution: str, figures: Figures) -> None:
    """Save what was measured of a contribution, if it can be written."""
    with suppress(OSError, OutputError):
        body = encode({"contribution": contribution, "figures": dict(figures)})
        seal = Seal(private_key(store)).of_figures(body)
        write_atomically(Entry(store, FIGURES, contribution), seal + body)


def saved_figures(store: Path, contributions: Iterable[str]) -> dict[str, Figures]:
    """What was measured here of these contributions, by id; those of which nothing is known are left out."""
    key = known_key(store)
    if key is None:
        return {}
    found = {id_: _read(Seal(key), Entry(store, FIGURES, id_)) for id_ in contributions}
    return {id_: figures for id_, figures in found.items() if figures is not None}


def differences(figures: Mapping[str, Figures]) -> dict[str, float]:
    """The differences from the base, in norms of the base, by contribution; those without one are left out."""
    return {id_: float(of["difference"]) for id_, of in figures.items() if of["difference"] != "-"}


def doubts(figures: Mapping[str, Figures]) -> dict[str, str]:
    """What is said of contributions that look like those to another base, by id, beside the others [CT-11]."""
    known = differences(figures)
    said = {id_: doubt(own, (known[other] for other in known if other != id_)) for id_, own in known.items()}
    return {id_: line for id_, line in said.items() if line}


def _read(seal: Seal, entry: Entry) -> Figures | None:
    """What an entry says, if this workspace wrote it of this contribution."""
    try:
        data = entry.read(MOST_BYTES)
    except OSError:
        return None
    body = data[HEADER_BYTES:]
    if not hmac.compare_digest(seal.of_figures(body), data[:HEADER_BYTES]):
        return None
    found = decode(body)  # sealed, so it is what we encoded
    return dict(found["figures"]) if found["contribution"] == entry.name else None

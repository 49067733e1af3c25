"""What was measured of contributions, saved so that `status` can show it without reading a tensor [CT-11, SY-9].

It is in the cache, where others may be able to write: an entry without our seal counts as missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from mergealgebra.encoding import decode, encode
from mergealgebra.engine.plausibility import doubt
from mergealgebra.store.cache import FIGURES
from mergealgebra.store.sealed import SealedCache

#: Figures by name, as `Measure.to_map` gives them: `difference` and `changed`.
Figures = Mapping[str, str]


def save_figures(store: Path, contribution: str, figures: Figures) -> None:
    """Save what was measured of a contribution, if it can be written."""
    SealedCache(store, FIGURES)[contribution] = encode(dict(figures))


def saved_figures(store: Path, contributions: Iterable[str]) -> dict[str, Figures]:
    """What was measured here of these contributions, by id; those of which nothing is known are left out."""
    cache = SealedCache(store, FIGURES)
    return {id_: decode(data) for id_ in contributions if (data := cache.get(id_)) is not None}


def differences(figures: Mapping[str, Figures]) -> dict[str, float]:
    """The differences from the base, in norms of the base, by contribution; those without one are left out."""
    return {id_: float(of["difference"]) for id_, of in figures.items() if of["difference"] != "-"}


def doubts(figures: Mapping[str, Figures]) -> dict[str, str]:
    """What is said of contributions that look like those to another base, by id, beside the others [CT-11]."""
    known = differences(figures)
    said = {id_: doubt(own, (known[other] for other in known if other != id_)) for id_, own in known.items()}
    return {id_: line for id_, line in said.items() if line}

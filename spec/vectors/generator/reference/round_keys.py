"""The keys of methods in several rounds [SC-1, RA-3, CO-1, RC-13]."""

from __future__ import annotations

import re
from collections.abc import Mapping

from generator.reference.decimals import canonical, density, fp32
from generator.reference.refused import Refused

DEFAULTS = {"select_topk": "1", "r": "0.1", "alpha": "0.2", "tall_lambda": "0.4", "threshold": "2", "task": ""}
KEYS = {
    "sce": ("select_topk", "lambda"),
    "ramplus_tl": ("r", "alpha", "lambda"),
    "consensus_ta": ("tall_lambda", "threshold", "lambda"),
    "tall_mask": ("tall_lambda", "task", "lambda"),
}
FACTORS = ("r", "alpha", "tall_lambda")
COUNT = re.compile("[1-9][0-9]{0,8}")
ID = re.compile("([0-9a-f]{64})?")


def checked(full: Mapping[str, str]) -> dict[str, str]:
    """These keys, in canonical form."""
    found = {key: full[key] for key in DEFAULTS if key in full}
    for key, form in (("threshold", COUNT), ("task", ID)):
        if key in found and not form.fullmatch(found[key]):
            raise Refused("RecipeError")
    if "select_topk" in found:
        density(found["select_topk"])
    for key in FACTORS:
        if key in found:
            fp32(found[key])
    found |= {key: canonical(found[key]) for key in ("select_topk", *FACTORS) if key in found}
    if any(found.get(key, "").startswith("-") for key in FACTORS):
        raise Refused("DecimalError")
    return found

"""spec/laws.md says of every method which laws it keeps, and a smaller search contradicts it nowhere."""

from __future__ import annotations

import re

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.errors import Overflow
from mergealgebra.laws.arrangements import systematic
from mergealgebra.laws.calls import arity_of
from mergealgebra.laws.cases import DIRECTED
from mergealgebra.laws.search import TURNS
from spec import laws as page

TEXT = page.PAGE.read_text()
TABLE = page.outcomes(TEXT)
#: How many of the built-in cases are asked of each law that holds; each method is asked others.
CASES = 3


def kept(target, law, title, most=1):
    """Whether a law holds in a built-in case, chosen in so many ways; None where there is nothing to ask."""
    case = DIRECTED[title].of(arity_of(target.merge))
    if case is None or not case.within(law.span):
        return None
    with np.errstate(all="ignore"):
        try:
            asked = systematic(law.arrangement, case, most)
            return all(law.relation(*law.equation(law.called(target.merge), **arguments)) for arguments in asked)
        except Overflow:
            return None


def cases_of(name, number):
    """Some of the built-in cases, others for each method and law."""
    titles = [*DIRECTED]
    first = CASES * (page.SUBJECTS.index(name) + number)
    return [titles[(first + step) % len(titles)] for step in range(CASES)]


def test_the_page_has_every_method_and_is_as_it_is_written_now():
    assert tuple(TABLE) == page.SUBJECTS, "run `python spec/laws.py METHOD` for the methods that it lacks"
    assert page.written(page.read(TEXT)) == TEXT, "run `make laws-table`"


@pytest.mark.clause("MG-8", "EX-4", "MG-7")
@pytest.mark.parametrize("name", page.SUBJECTS)
def test_every_method_keeps_what_all_must_keep(name):
    for law in page.MUST:
        assert re.fullmatch(r"\d+(, or refused)?|-", TABLE[name][law]), law


@pytest.mark.parametrize("name", page.SUBJECTS)
def test_a_smaller_search_agrees_with_the_page(name):
    shown = dict(
        re.findall(r"^- `(\w+)`: .*\(found by the built-in case '(.*)'\)$", page.read(TEXT)[name].section, re.M)
    )
    for number, (law_name, cell) in enumerate(TABLE[name].items()):
        law, target = ma.laws.LAWS[law_name], page.target_of(name, law_name)
        assert (cell == "-") == bool(law.applies(target.merge)), law_name
        assert law_name not in shown or cell in ("no", "nearly"), law_name
        if law_name in shown:
            assert kept(target, law, shown[law_name], TURNS) is False, f"{law_name} holds in {shown[law_name]}"
        elif cell[0].isdigit():
            broken = [title for title in cases_of(name, number) if kept(target, law, title) is False]
            assert not broken, f"{law_name} is broken in {broken}"

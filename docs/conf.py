"""How Sphinx builds the site, `make docs`: every Markdown file of the repository is a page, where it lies."""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from mergealgebra import TaskVector, __version__, errors
from mergealgebra.methods.method import Method

_ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(_ROOT / "docs"))

project = "mergealgebra"
release = __version__
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "spec/**",
    "proofs/**",
    "tests/**",
    "examples/**",
    "benchmarks/**",
    "mutants/**",
    "mergealgebra/**",
    "*.md",
]
exclude_patterns = ["**/.*"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "command_line"]
myst_heading_anchors = 3
myst_enable_extensions = ["attrs_inline"]
default_role = "code"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = "mergealgebra"
html_copy_source = False
html_show_copyright = False

#: The errors, which are links in the reference wherever a docstring names them.
_ERRORS = {name for name, found in vars(errors).items() if isinstance(found, type) and issubclass(found, Exception)}
#: Where a clause is written, of which a docstring names the id; the beginning of its line.
_CLAUSE = re.compile(r"^- \*\*([A-Z]{2}-\d+)\*\*", re.MULTILINE)
_PAGES = {id_: page.stem for page in (_ROOT / "spec").glob("*.md") for id_ in _CLAUSE.findall(page.read_text("utf-8"))}


def setup(app: Sphinx) -> None:
    """Read pages and docstrings as they are written for those who read them without a site."""
    app.connect("source-read", _without_links_in_headings)
    app.connect("source-read", _with_anchors_at_clauses)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-process-docstring", _as_restructured_text)


def _without_links_in_headings(app: Sphinx, page: str, source: list[str]) -> None:
    """A link to a file in a heading stops Sphinx 9.0, which looks for an anchor in it."""
    source[0] = re.sub(r"^(#+) \[(.+?)\]\(.+?\)$", r"\1 \2", source[0], flags=re.MULTILINE)


def _with_anchors_at_clauses(app: Sphinx, page: str, source: list[str]) -> None:
    if page.startswith("spec/"):
        source[0] = _CLAUSE.sub(r"- [**\1**]{#\1}", source[0])


def _signature(app: Sphinx, what: str, name: str, found: object, *_: Any) -> tuple[str, str] | None:
    """Recipes are made of their fields; most other classes are made by functions, not by whoever reads this."""
    if not isinstance(found, type) or issubclass(found, (TaskVector, dict)):
        return None
    if not issubclass(found, Method):
        return "", ""
    return "(*, " + ", ".join(f"{field.name}={field.default!r}" for field in fields(found)) + ")", ""


def _as_restructured_text(app: Sphinx, what: str, name: str, found: object, options: Any, lines: list[str]) -> None:
    """A docstring is text with `code` in it, examples, and indented programs; more than that it never means."""
    written: list[str] = []
    example = False
    for line in lines:
        indented = line.startswith("    ")
        if indented and not written[-1].strip() and not _in_program(written):
            written += ["::", ""]
        example = line.strip() != "" and (example or line.startswith(">>>"))  # up to the next empty line
        written.append(line if indented or example else _inline(line))
    lines[:] = written


def _in_program(written: list[str]) -> bool:
    """Whether the last line that is not empty is indented too, so that a program goes on."""
    return next((line.startswith("    ") for line in reversed(written) if line.strip()), False)


def _inline(line: str) -> str:
    parts = re.split(r"`([^`]*)`", line)
    texts = [
        re.sub(r"\b[A-Z]{2}-\d+\b|\b[A-Z]\w+\b", _linked, re.sub(r"([*_|\\])", r"\\\1", text)) for text in parts[::2]
    ]
    codes = [f"``{code}``" for code in parts[1::2]]
    return "".join(text + code for text, code in zip(texts, [*codes, ""], strict=True))


def _linked(word: re.Match[str]) -> str:
    name = word[0]
    if name in _PAGES:
        return f"`{name} <../../spec/{_PAGES[name]}.html#{name.lower()}>`__"
    return f":class:`~mergealgebra.errors.{name}`" if name in _ERRORS else name

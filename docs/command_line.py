"""A Sphinx directive, `{command-line}`: what every verb prints when it is asked for help."""

from __future__ import annotations

from typing import cast

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mergealgebra.cli import VERBS, group


class CommandLine(SphinxDirective):
    """A section for each verb, in the order of a workspace's life."""

    def run(self) -> list[nodes.Node]:
        sections = "\n\n".join(_section(verb) for verb in VERBS)
        return self.parse_text_to_nodes(sections, allow_section_headings=True)


def _section(verb: str) -> str:
    above = click.Context(group, info_name="mergealgebra")
    command = cast(click.Command, group.get_command(above, verb))
    with click.Context(command, parent=above, info_name=verb, terminal_width=88) as context:
        return f"## {verb}\n\n```text\n{command.get_help(context)}\n```"


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the directive known."""
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True}

"""The command line: `mergealgebra [-C WORKSPACE] VERB` [CL-1 to CL-5].

A verb's file is imported when the verb is called, and what it needs when it runs, so `--help` is quick.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from importlib import import_module
from typing import Any, Final, NoReturn

import click

from mergealgebra.cli.options import PATH_TEXT
from mergealgebra.cli.report import report_error, say, wrong_usage
from mergealgebra.errors import MergeAlgebraError, MergeAlgebraWarning
from mergealgebra.interrupts import Interrupted, interrupted, message
from mergealgebra.text import at_command_line, one_line

#: Every verb, in the order of a workspace's life, with its line in `--help`. Its file has its name, with _ for -.
VERBS: Final = {
    "merge": "Merge the models named in a YAML file, once.",
    "convert": "Write a mergekit file in our own form.",
    "init": "Make a workspace for improving a base model together.",
    "clone": "Make a new replica of a peer's workspace.",
    "contribute": "Publish a fine-tuned checkpoint, or a task vector.",
    "retract": "Take a contribution back.",
    "log": "List what was done, by whom and when.",
    "status": "Show what is visible, and whether all of it is here.",
    "show": "Show what is known of one contribution.",
    "sync": "Exchange contributions with workspaces, folders, addresses.",
    "serve": "Serve a workspace or a shared folder to others.",
    "fsck": "Check every file of a workspace or share; mend it.",
    "keygen": "Make a key, for a workspace that is signed.",
    "set-key": "Say where your private key is.",
    "grant": "Let somebody contribute, as a maintainer.",
    "revoke": "Let somebody contribute no more, as a maintainer.",
    "keep": "Let late work of a revoked key count, as a maintainer.",
    "members": "List who may contribute to a signed workspace.",
    "set-base": "Say where the base is on this machine now.",
    "set-name": "Say under which name you contribute.",
    "resolve": "Merge all visible contributions into a model.",
    "extract": "Write what a model changes as a LoRA adapter.",
    "verify": "Check a merged model against its lock, or compute it again.",
    "gc": "List what killed commands left, and remove it.",
    "warmup": "Compile the kernels for this machine, once.",
    "laws": "Search for counterexamples to laws of a merge function.",
    "conformance": "Find out what an implementation of TIES computes.",
}


#: The errors that end a command with one line [CL-1].
_TOLD: Final = (MergeAlgebraError, OSError, MemoryError, Interrupted, KeyboardInterrupt, click.Abort)


class _Verbs(click.Group):
    """The verbs, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"mergealgebra.cli.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except MergeAlgebraError as error:  # of what stands before the verb
            report_error(_message(error))
            raise

    def invoke(self, ctx: click.Context) -> object:
        try:
            with at_command_line():
                return super().invoke(ctx)
        except KeyboardInterrupt:  # here, because click would print an empty line
            error: BaseException = MergeAlgebraError(message())
        except _TOLD as raised:
            error = raised
        report_error(_message(error))
        raise error from None


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-C",
    "workspace",
    type=PATH_TEXT,
    metavar="WORKSPACE",
    default=".",
    help="The workspace's folder; here if left out.",
)
@click.version_option(package_name="mergealgebra", message="%(prog)s %(version)s")
@click.pass_context
def group(ctx: click.Context, workspace: str) -> None:
    """Improve one model together, without a server in the middle: whoever holds the same contributions gets
    the same bits."""
    ctx.obj = workspace


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 1 an error told in one line, 2 wrong usage [CL-1]."""
    warnings.simplefilter("ignore", MergeAlgebraWarning)  # the verbs print those of what they get back
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # not every path is text
    try:
        group.main(prog_name="mergealgebra", standalone_mode=False)
    except click.ClickException as error:
        wrong_usage(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stderr.close()
        sys.exit(1)
    except _TOLD as error:
        _fail(_message(error))
    sys.exit(0)


def _fail(text: str) -> NoReturn:
    say(f"mergealgebra: {text}", err=True)
    _drop_output()
    sys.exit(1)


def _drop_output() -> None:
    """What could not be written is not tried again when Python ends, which would say so in its own words."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _message(error: BaseException) -> str:
    """What is told of an error, on one line."""
    if interrupted():  # whatever else became of it
        return message()
    match error:
        case MergeAlgebraError():
            return one_line(str(error))
        case OSError():
            return one_line(f"{error.filename or 'a file'}: {error.strerror or error}")
        case MemoryError():
            return "out of memory; use fewer --threads or a smaller --block"
    return message()

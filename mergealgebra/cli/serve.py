"""`mergealgebra serve FOLDER [--port N] [--host H] [--open-writes | --read-only] [--members-only] | --stdio`"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from mergealgebra.cli.options import PATH
from mergealgebra.cli.report import say

#: Options that say how a server is reached.
_OF_NETWORK: Final = ("port", "host", "certificate", "key")


@click.command()
@click.argument("folder", type=PATH)
@click.option("--port", type=click.IntRange(0, 65535), default=8790, show_default=True, help="0 takes a free one.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to serve at; by default only this machine reaches it, 0.0.0.0 is every network.",
)
@click.option("--open-writes", is_flag=True, help="Take contributions from everybody who reaches it.")
@click.option("--read-only", is_flag=True, help="Take nothing, not even from members of a signed workspace.")
@click.option("--members-only", is_flag=True, help="Let only members of a signed workspace read.")
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="HOST[:PORT]",
    help="What this server is called in the address that members use, if that is another; may be given several times.",
)
@click.option("--certificate", type=PATH, help="A PEM file with a certificate, for https.")
@click.option("--key", type=PATH, help="The PEM file with its private key.")
@click.option("--stdio", is_flag=True, help="Serve over the standard streams: what ssh://HOST/PATH starts.")
def command(
    folder: Path,
    port: int,
    host: str,
    open_writes: bool,
    read_only: bool,
    members_only: bool,
    names: tuple[str, ...],
    certificate: Path | None,
    key: Path | None,
    stdio: bool,
) -> None:
    """Serve a workspace or shared folder to others, who `sync` with its address.

    Members of a signed workspace may write: their requests are signed. An open workspace is for reading only, unless
    --open-writes. Over --stdio whoever logs in may write, if the folder lets them.
    """
    from mergealgebra.store.objects import Store
    from mergealgebra.sync.serving import serve_http, serve_stdio
    from mergealgebra.sync.terms import Terms

    if (certificate is None) != (key is None):
        raise click.UsageError("--certificate and --key belong together")
    if open_writes and read_only:
        raise click.UsageError("--open-writes and --read-only contradict each other")
    if open_writes and members_only:
        raise click.UsageError(
            "--open-writes takes from everybody what --members-only shows to members: leave one of them out"
        )
    if stdio and (members_only or open_writes or names):
        raise click.UsageError("over --stdio whoever can start it may read and write: give it --read-only, or nothing")
    context = click.get_current_context()
    of_network = [name for name in _OF_NETWORK if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if stdio and of_network:
        raise click.UsageError(f"--stdio serves at no address: leave --{of_network[0]} or --stdio out")
    if stdio:
        serve_stdio(folder, writes=not read_only)
        return
    store = Store.open(folder)
    terms = Terms.of(
        signed=store.genesis.is_signed, open_writes=open_writes, read_only=read_only, members_only=members_only
    )

    def ready(address: str) -> None:
        counts = "; only what members signed counts" if open_writes and store.genesis.is_signed else ""
        say(f"serving workspace {store.genesis.workspace_id} at {address}, {terms.in_words}{counts}; Ctrl-C ends it")

    serve_http(store, host, port, terms=terms, names=names, certificate=certificate, key=key, ready=ready)

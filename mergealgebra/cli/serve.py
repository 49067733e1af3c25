"""`mergealgebra serve FOLDER [--port N] [--host H] [--open-writes] [--certificate C --key K] | --stdio`"""

from __future__ import annotations

from pathlib import Path

import click

from mergealgebra.cli.options import PATH
from mergealgebra.cli.report import say


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
@click.option("--certificate", type=PATH, help="A PEM file with a certificate, for https.")
@click.option("--key", type=PATH, help="The PEM file with its private key.")
@click.option("--stdio", is_flag=True, help="Serve over the standard streams: what ssh://HOST/PATH starts.")
def command(
    folder: Path, port: int, host: str, open_writes: bool, certificate: Path | None, key: Path | None, stdio: bool
) -> None:
    """Serve a workspace or shared folder to others, who `sync` with its address.

    It is for reading only, unless --open-writes. Over --stdio whoever logs in may write, if the folder lets them.
    """
    from mergealgebra.store.objects import Store
    from mergealgebra.sync.serving import serve_http, serve_stdio

    if (certificate is None) != (key is None):
        raise click.UsageError("--certificate and --key belong together")
    store = Store.open(folder)
    if stdio:
        serve_stdio(store, writes=True)
        return
    how = "everybody may write" if open_writes else "for reading only"

    def ready(address: str) -> None:
        say(f"serving workspace {store.genesis.workspace_id} at {address}, {how}; Ctrl-C ends it")

    serve_http(store, host, port, writes=open_writes, certificate=certificate, key=key, ready=ready)

"""`mergealgebra [-C WORKSPACE] set-key FILE`"""

from __future__ import annotations

from pathlib import Path

import click

from mergealgebra.cli.keys import passphrase_option, private_key
from mergealgebra.cli.options import PATH, json_option
from mergealgebra.cli.report import report, tell


@click.command("set-key")
@click.argument("file", type=PATH, required=False)
@click.option("--none", "keyless", is_flag=True, help="Forget where the key is.")
@passphrase_option
@json_option
@click.pass_obj
def command(workspace: str, file: Path | None, keyless: bool, passphrase_fd: int | None, as_json: bool) -> None:
    """Say that your private key is FILE: with it you sign what you contribute, take back and merge from now on.

    The file stays where it is; only its path is written down, where no sync takes it.
    """
    from mergealgebra.signatures import fingerprint
    from mergealgebra.store.local import write_key
    from mergealgebra.workspace import Workspace

    if (file is None) != keyless:
        raise click.UsageError("give the FILE of a private key, or --none to forget it")
    opened = Workspace.open(workspace)
    key = None if file is None else private_key(file, passphrase_fd)
    write_key(opened.store, file)
    shown = None if key is None else fingerprint(key.key)
    if as_json:
        report({"key": shown, "path": str(opened.store.path)})
    else:
        tell({"your key": shown or "none", "workspace": str(opened.store.path)})

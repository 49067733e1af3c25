"""Which requests a server of a workspace takes: whose signature it needs, and which one it does [PR-21].

Nothing is kept between two requests: who is a member is read from the store each time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final, Self

from mergealgebra.crdt.authority import Grant
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import NotMember, SignatureRefused
from mergealgebra.signatures import fingerprint
from mergealgebra.sync import calls
from mergealgebra.sync.challenges import Asked, Challenger, SignedHeader
from mergealgebra.sync.http_paths import PREFIX
from mergealgebra.sync.server_names import names_of
from mergealgebra.sync.terms import Terms, Who
from mergealgebra.text import shown

_NAMED: Final = 3


def is_reading(method: str, path: str) -> bool:
    """Whether a request changes nothing; what is not known to is taken for writing.

    >>> is_reading("POST", "/mergealgebra/1/operations"), is_reading("POST", "/mergealgebra/1/put")
    (True, False)
    """
    return method in ("GET", "HEAD") or (method == "POST" and path.removeprefix(f"{PREFIX}/") in calls.READING)


@dataclass(frozen=True)
class Admittance:
    """The rules of one server.

    names: HOST:PORT of the server, as clients address it; without any, those of where a connection arrives. look: what
    the store holds now.
    """

    genesis: Genesis
    look: Callable[[], ORSet]
    terms: Terms = field(default_factory=Terms)
    names: Collection[str] = ()
    challenger: Challenger | None = None

    @classmethod
    def of(cls, genesis: Genesis, look: Callable[[], ORSet], terms: Terms, names: Collection[str] = ()) -> Self:
        """The rules of a server that starts now; in an open workspace nobody can sign."""
        challenger = Challenger.new(bytes.fromhex(genesis.workspace_id)) if genesis.is_signed else None
        return cls(genesis, look, terms, names, challenger)

    def needs_signature(self, method: str, path: str) -> bool:
        """Whether only members may ask that. Where nobody may write, the service says so itself."""
        return (self.terms.reading if is_reading(method, path) else self.terms.writing) is Who.MEMBERS

    def begin(self, header: str | None, arrived: tuple[str, int] | None) -> SignedHeader:
        """What a request says of itself, checked as far as it can be without its body.

        arrived: address and port at which the connection came. Raises SignatureRefused and NotMember.
        """
        if self.challenger is None:
            raise SignatureRefused("this workspace is open, nobody can sign for it")
        if header is None:
            raise SignatureRefused("that needs the signature of a member of this workspace")
        signed = SignedHeader.read(header)
        known = self.names or names_of(arrived)
        if signed.server not in known:
            raise SignatureRefused(
                f"the request is addressed to {shown(signed.server)}, and this server is called "
                f"{' or '.join(sorted(known)[:_NAMED])}: whoever serves says `serve --name {signed.server}`"
            )
        self.challenger.check(signed.challenge)
        self._check_member(signed.key.hex())
        return signed

    def finish(self, signed: SignedHeader, method: str, path: str, body: bytes) -> None:
        """Raise SignatureRefused unless the signature is one of this request.

        body: empty where the path names what is brought.
        """
        workspace = bytes.fromhex(self.genesis.workspace_id)
        signed.check(Asked(workspace, signed.server, method, path, body))

    def _check_member(self, key: str) -> None:
        """Raise NotMember unless what a key writes now is admissible; grants and revokes count at once."""
        authority = self.look().authority
        if not authority.may_write(key):
            had = "was revoked" if key in authority.grants.values() else f"has no {Grant.kind} here"
            raise NotMember(f"{fingerprint(key)} {had}")

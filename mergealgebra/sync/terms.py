"""Who may read and who may write what is served [PR-21, PR-22]."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Self

from mergealgebra.errors import NotAllowed


class Who(Enum):
    """To whom a server answers: the words stand before `may`."""

    EVERYBODY = "everybody"
    MEMBERS = "members"
    NOBODY = "nobody"


@dataclass(frozen=True)
class Terms:
    """Who may read, and who may write."""

    reading: Who = Who.EVERYBODY
    writing: Who = Who.NOBODY

    @classmethod
    def of(cls, *, signed: bool, open_writes: bool, read_only: bool, members_only: bool) -> Self:
        """The terms on which a workspace is served: members of a signed one may write, unless it is said otherwise.

        Raises NotAllowed for members of an open workspace, which has none.
        """
        if members_only and not signed:
            raise NotAllowed("this workspace is open and has no members: everybody who reaches the server can read it")
        writing = Who.MEMBERS if signed else Who.NOBODY
        if read_only:
            writing = Who.NOBODY
        elif open_writes:
            writing = Who.EVERYBODY
        return cls(Who.MEMBERS if members_only else Who.EVERYBODY, writing)

    @property
    def takes(self) -> bool:
        """Whether anybody may write."""
        return self.writing is not Who.NOBODY

    @property
    def in_words(self) -> str:
        """The terms as people read them.

        >>> Terms().in_words, Terms(writing=Who.MEMBERS).in_words
        ('everybody may read, for reading only', 'everybody may read and members write')
        """
        if not self.takes:
            return f"{self.reading.value} may read, for reading only"
        if self.reading is self.writing:
            return f"{self.reading.value} may read and write"
        return f"{self.reading.value} may read and {self.writing.value} write"

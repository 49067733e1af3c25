"""The verdict on a target: it is asked the probes, then what its answers leave to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from mergealgebra.conformance.inference.options import infer
from mergealgebra.conformance.judgement.findings import findings
from mergealgebra.conformance.judgement.properties import properties
from mergealgebra.conformance.judgement.standings import standings
from mergealgebra.conformance.judgement.summary import faults, summarised
from mergealgebra.conformance.probes.catalogue import LEAST, PROBES
from mergealgebra.conformance.probes.interview import Interview
from mergealgebra.conformance.verdict import Finding, Verdict
from mergealgebra.errors import TargetError
from mergealgebra.progress import Progress, quiet
from mergealgebra.targets.questions import Answer, Failed, Hello, Target
from mergealgebra.text import shown

#: How many elements the models have on which threads are tried.
ELEMENTS: Final = 2**20


@np.errstate(all="ignore")  # a target may answer NaN of any bits
def judge(
    target: Target, *, seconds: float = 60, breadth: int = 40, elements: int = ELEMENTS, progress: Progress = quiet
) -> Verdict:
    """All that is found out about a target; whatever it does is a result, but for one that is not there: TargetError.

    seconds: how long one answer may take. breadth: how many random questions are asked for each dialect that agrees on
    all others. elements: of the models on which threads are tried.
    """
    with Interview(target, seconds, progress) as interview:
        answers = _probed(interview)
        inferred = infer(answers)
        found = findings(inferred, answers)
        stands = standings(interview, inferred, answers, breadth)
        kept = properties(interview, inferred, elements)
    verdict = replace(_begun(interview, found), standings=stands, properties=kept, faults=faults(found, kept))
    return summarised(verdict, interview)


@np.errstate(all="ignore")
def discover(target: Target, *, seconds: float = 60, progress: Progress = quiet) -> Verdict:
    """The options that a target takes, by its answers alone: a verdict of findings and failures. Raises as `judge`."""
    with Interview(target, seconds, progress) as interview:
        answers = _probed(interview)
    return summarised(_begun(interview, findings(infer(answers), answers)), interview)


def _probed(interview: Interview) -> Mapping[str, Answer]:
    """The answers to the probes. Raises TargetError."""
    if isinstance(interview.hello, Failed) and interview.hello.kind == "absent":
        said = interview.hello.message if interview.target.watched else shown(interview.hello.message)
        raise TargetError(f"{interview.target.name} cannot be asked: {said}")
    return interview.ask("probes", [probe.question for probe in (*PROBES, *LEAST)])


def _begun(interview: Interview, found: tuple[Finding, ...]) -> Verdict:
    version = interview.hello.version if isinstance(interview.hello, Hello) else "unknown"
    return Verdict(interview.target.name, version, found, failures=tuple(interview.failures))

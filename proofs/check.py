"""What the compiler does not say: on what each claim rests, and that nothing is left unproved.

    python3 -m proofs.check sources        no Admitted, no axiom of one's own, no check switched off
    python3 -m proofs.check assumptions    no claim rests on more than assumptions.txt says (`Print Assumptions`)
    python3 -m proofs.check write          assumptions.txt in step with the claims

The proofs must have been compiled. The standard library alone, and Coq for the last two.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from proofs.statements import ClaimError, claims

PROOFS = Path(__file__).resolve().parent

#: The axioms of Coq's real numbers; there is no other.
STANDARD = frozenset(
    {
        "Classical_Prop.classic",
        "ClassicalDedekindReals.sig_forall_dec",
        "ClassicalDedekindReals.sig_not_dec",
        "FunctionalExtensionality.functional_extensionality_dep",
    }
)
NOTHING = "closed under the global context"

_FORBIDDEN = re.compile(
    r"\b(Admitted|admit|give_up|Axioms?|Conjectures?|Parameters?|Declare\s+Module|Admit\s+Obligations|bypass_check"
    r"|Unset\s+(?:Guard|Positivity|Universe)\s+Checking|type_in_type|Primitive)\b"
)
_ASSUMED = re.compile(r"\s*(?:#\[[^\]]*\]\s*)?(?:(?:Local|Global|Polymorphic)\s+)?(Variables?|Hypothes[ie]s|Context)\b")
_OPENED = re.compile(r"\s*(?:Section|Module(?:\s+Type)?)\s+(?:Import\s+|Export\s+)?(\w+)(?![^.]*:=)")
_CLOSED = re.compile(r"\s*End\s+\w+")
_SENTENCE_END = re.compile(r"\.(?=\s|\Z)")


def faults(path: Path) -> Iterator[str]:
    """What a source says that leaves something unproved, a line each."""
    text = bare(path.read_text(encoding="utf-8"))
    where = f"{path.parent.name}/{path.name}"
    for found in _FORBIDDEN.finditer(text):
        yield f"{where}:{_line(text, found.start())}: {' '.join(found[1].split())}"
    for start, word in _assumed_outside_sections(text):
        yield f"{where}:{_line(text, start)}: {word} outside a section"


def bare(text: str) -> str:
    """The source without comments and strings; what is left keeps its line."""
    kept, depth, quoted = [], 0, False
    for piece in re.split(r'(\(\*|\*\)|")', text):
        if piece == '"':
            quoted = not quoted
        elif quoted:
            kept.append("\n" * piece.count("\n"))
        elif piece == "(*":
            depth += 1
        elif piece == "*)" and depth:
            depth -= 1
        else:
            kept.append("\n" * piece.count("\n") if depth else piece)
    return "".join(kept)


def _assumed_outside_sections(text: str) -> Iterator[tuple[int, str]]:
    """Where a variable stands that no section closes: an axiom by another name."""
    depth, start = 0, 0
    for end in _SENTENCE_END.finditer(text):
        sentence = text[start : end.start()]
        if _OPENED.match(sentence):
            depth += 1
        elif _CLOSED.match(sentence):
            depth -= 1
        elif depth == 0 and (assumed := _ASSUMED.match(sentence)):
            yield start + assumed.start(1), assumed[1]
        start = end.end()


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def assumptions(groups: Mapping[str, Sequence[str]], proofs: Path = PROOFS) -> dict[str, list[str]]:
    """The axioms on which some claim of each group rests, as Coq prints them. Raises CalledProcessError when Coq fails.

    To ask of many claims at once costs hardly more than to ask of one: what is below the real numbers is walked once.
    """
    files = dict.fromkeys(name.split(".")[0] for names in groups.values() for name in names)
    questions = [f"From MergeAlgebra.Claims Require {file}." for file in files]
    for number, (label, names) in enumerate(groups.items()):
        together = " ".join(f"let _ := @MergeAlgebra.Claims.{name} in" for name in names)
        questions.append(f"Definition group_{number} := {together} I.")
        questions.append(f'Goal True. idtac "GROUP {label}". Abort. Print Assumptions group_{number}.')
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "questions.v")
        script.write_text("\n".join(questions) + "\n", encoding="utf-8")
        flags = (proofs / "_CoqProject").read_text().split()
        command = ["coqc", *flags, "-o", str(script.with_suffix(".vo")), str(script)]
        answer = subprocess.run(command, cwd=proofs, check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(_answers(answer))


def _answers(printed: str) -> Iterator[tuple[str, list[str]]]:
    """One answer for each group: what starts a line is a name, what is indented belongs to its type."""
    for answer in printed.split("GROUP ")[1:]:
        label, *lines = answer.splitlines()
        if lines[0] == "Closed under the global context":
            yield label, []
        else:
            yield label, sorted({line.split()[0] for line in lines[1:] if line[:1].strip()})


def listed(proofs: Path = PROOFS) -> dict[str, list[str]]:
    """What assumptions.txt says of each claim."""
    path = proofs / "assumptions.txt"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = (line.partition(": ") for line in text.splitlines())
    return {name: [] if axioms == NOTHING else axioms.split(", ") for name, _, axioms in lines}


def written(found: Mapping[str, Sequence[str]]) -> str:
    """The text of assumptions.txt."""
    return "".join(f"{name}: {', '.join(axioms) or NOTHING}\n" for name, axioms in found.items())


def check_sources(proofs: Path = PROOFS) -> list[str]:
    """What the sources leave unproved."""
    return [fault for path in sorted(proofs.glob("*/*.v")) for fault in faults(path)]


def check_list(names: Sequence[str], said: Mapping[str, Sequence[str]]) -> list[str]:
    """Claims that the list lacks or should not have, and axioms that no claim may rest on."""
    return [
        *(f"assumptions.txt lacks {name}" for name in names if name not in said),
        *(f"assumptions.txt lists {name}, which is no claim" for name in said if name not in names),
        *(f"{name} rests on {axiom}" for name, axioms in said.items() for axiom in axioms if axiom not in STANDARD),
    ]


def more_than_said(said: Mapping[str, Sequence[str]], proofs: Path = PROOFS) -> dict[str, list[str]]:
    """The claims that rest on more than is said of them, with all that they rest on.

    Those of which the same is said are asked together; only where one of them rests on more is each one asked.
    """
    groups: dict[str, list[str]] = {}
    for name, axioms in said.items():
        groups.setdefault(", ".join(axioms), []).append(name)
    found = assumptions(groups, proofs)
    suspects = [name for label, names in groups.items() if set(found[label]) - set(label.split(", ")) for name in names]
    asked = assumptions({name: [name] for name in suspects}, proofs)
    return {name: axioms for name, axioms in asked.items() if set(axioms) - set(said[name])}


def check_assumptions(said: Mapping[str, Sequence[str]], proofs: Path = PROOFS) -> list[str]:
    """The claims that rest on more than is said of them, a line each."""
    return [
        f"{name} rests on {', '.join(axioms)}; assumptions.txt says {', '.join(said[name]) or NOTHING}"
        for name, axioms in more_than_said(said, proofs).items()
    ]


def compare(proofs: Path = PROOFS) -> list[str]:
    """What is wrong with assumptions.txt; prints it when nothing is."""
    said = listed(proofs)
    problems = check_list([claim.name for claim in claims(proofs)], said) or check_assumptions(said, proofs)
    if not problems:
        print(written(said), end="")
    return problems


def write(proofs: Path = PROOFS) -> list[str]:
    """Bring assumptions.txt in step: asks of what it lacks, and of what rests on more than it says.

    A claim that speaks of real numbers takes some seconds. Without the file, every claim is asked by itself.
    """
    names = [claim.name for claim in claims(proofs)]
    kept = {name: axioms for name, axioms in listed(proofs).items() if name in names}
    asked = assumptions({name: [name] for name in names if name not in kept}, proofs)
    found = kept | asked | more_than_said(kept, proofs)
    text = written({name: found[name] for name in names})
    (proofs / "assumptions.txt").write_text(text, encoding="utf-8")
    return check_list(names, found)


VERBS = {"sources": check_sources, "assumptions": compare, "write": write}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("verb", choices=VERBS)
    verb = parser.parse_args().verb
    try:
        problems = VERBS[verb]()
    except (ClaimError, subprocess.CalledProcessError) as error:
        problems = [str(error)]
    print("\n".join(problems) or f"proofs: {verb}: nothing is wrong", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

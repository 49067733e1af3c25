"""Whatever a stranger wrote: a terminal, a page or a build server acts on none of it, and no verdict can be forged."""

from __future__ import annotations

import ast
import io
import json
import sys
import xml.etree.ElementTree as ET
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

import mergealgebra
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report_tables
from mergealgebra.conformance.reports.tables import Table
from tests.cli.commands import call
from tests.cli.strangers import FIELDS, FORGED, HOSTILE

#: Some of everything, short enough to be quoted whole.
MIXED = f"\x1b[2K\r\x07\x9b1G\x85\u2028\u202e\u2066\u200f[red]\n{FORGED}"


def harmless(text):
    """Whether a text is lines of printable characters, none of which says that all is well."""
    lines = text.split("\n")
    return all(line.isprintable() for line in lines) and not any(line.lstrip().startswith("ok") for line in lines)


@pytest.mark.clause("CL-1", "CL-5")
@pytest.mark.parametrize(
    ("field", "text"),
    [pytest.param(field, HOSTILE[text], id=f"{name}-{text}") for name, field in FIELDS.items() for text in field.texts],
)
def test_no_field_reaches_the_terminal(field, text, scene):
    try:
        command = field.arrange(scene, text)
    except OSError as error:
        pytest.skip(f"this file system has no such names: {error}")
    done = call(scene, *command)
    assert done.code == field.code, done
    assert FORGED in done.stdout + done.stderr
    assert harmless(done.stdout)
    assert harmless(done.stderr)
    assert done.code != 1 or done.complaint()


#: Commands that print the text in JSON, and where it stands there.
IN_JSON = {
    "dtype in a lock": lambda found: found["problem"],
    "name of a workspace": lambda found: found["name"],
    "note of an operation": lambda found: "".join(entry.get("note", "") for entry in found["operations"]),
}


@pytest.mark.clause("CL-2", "CL-5")
@pytest.mark.parametrize(("name", "value"), IN_JSON.items(), ids=IN_JSON)
def test_json_is_ascii_whatever_it_holds(name, value, scene):
    done = call(scene, *FIELDS[name].arrange(scene, HOSTILE["overrides"]), "--json")
    assert done.stdout.rstrip("\n").isprintable()
    assert done.stdout.isascii()
    assert FORGED in value(json.loads(done.stdout))


# What runs


#: A target that does one thing with the text in the file beside it.
TARGET = """\
import json, sys
text = open("text", encoding="utf-8", newline="").read()

def say(line):
    print(json.dumps(line), flush=True)

input()
if sys.argv[1] == "hello":
    sys.exit(say({"hello": {"error": text}}))
if sys.argv[1] == "last words":
    sys.stderr.reconfigure(encoding="utf-8")
    sys.exit(text)
say({"hello": {"name": text, "version": text if sys.argv[1] == "version" else "1"}})
sys.stdout.reconfigure(encoding="utf-8")
for line in sys.stdin:
    id_ = json.loads(line)["id"]
    if sys.argv[1] == "chatter":
        print(text.replace("\\n", " "), flush=True)
    say({"id": id_} | {
        "tensor": {"tensors": {text: 1}},
        "key": {text: 1},
        "id": {"id": text},
    }.get(sys.argv[1], {"error": text}))
"""

#: What it does with the text. None of this gets a verdict, but what it said is told; in reports too, but for the first.
BEHAVIOURS = ("hello", "last words", "version", "refusal", "chatter", "tensor", "key", "id")


@pytest.mark.clause("CL-5")
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_no_target_reaches_the_terminal_or_a_report(behaviour, tmp_path):
    (tmp_path / "target.py").write_text(TARGET)
    (tmp_path / "text").write_text(MIXED, encoding="utf-8", newline="")
    reports = ["--junit", "junit.xml", "--html", "page.html"]
    done = call(tmp_path, "conformance", f"{sys.executable} target.py '{behaviour}'", "--discover", *reports)
    assert done.code == 1, done
    assert FORGED in done.stdout + done.stderr
    assert harmless(done.stdout)
    assert harmless(done.stderr)
    written = {path.name: path.read_text("utf-8") for path in tmp_path.glob("*.*ml")}
    assert written.keys() == (set() if behaviour == "hello" else {"junit.xml", "page.html"})
    assert all(map(harmless, written.values()))
    assert behaviour == "hello" or len(ET.fromstring(written["junit.xml"]))


#: A merge function that raises, and a module that does.
MODULES = {
    "mine": "class Odd(Exception): pass\nOdd.__name__ = 'Odd\\u202e\\x1b'\n\n\n"
    f"def merge(base, task_vectors, with_): raise Odd({MIXED!r})\n",
    "broken": f"raise ValueError({MIXED!r})\n",
}


@pytest.fixture
def modules(tmp_path):
    for name, code in MODULES.items():
        (tmp_path / f"{name}.py").write_text(code)
    return tmp_path


@pytest.mark.clause("CL-5")
def test_what_a_merge_function_raises_is_quoted_and_its_program_runs(modules, monkeypatch):
    done = call(modules, "laws", "mine:merge", "-o", f"with_={MIXED}", "--law", "bounds", "--tries", "1")
    assert done.code == 0, done
    assert harmless(done.stdout)
    line, _, program = done.stdout.partition("\n\n")
    assert line.startswith(rf"bounds                  error: Odd\u202e\x1b: {MIXED!r} (in ")
    monkeypatch.syspath_prepend(modules)
    with pytest.raises(Exception) as raised:
        exec(compile(program, "counterexample", "exec"), {})
    assert str(raised.value) == MIXED


@pytest.mark.clause("CL-1", "CL-5")
def test_what_a_module_raises_is_quoted(modules):
    complaint = call(modules, "laws", "broken:merge").complaint()
    assert complaint.isprintable()
    assert complaint == f"broken:merge cannot be asked: importing broken raised ValueError: {MIXED!r}"


# The one way out


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.clause("CL-5")
def test_tables_on_a_terminal_are_plain():
    with redirect_stdout(_Terminal()) as terminal:
        report_tables([Table(MIXED, (MIXED,), ((MIXED,),))])
    assert harmless(terminal.getvalue())
    assert terminal.getvalue().count("[red]") == 3


@pytest.mark.clause("CL-5")
def test_the_steps_of_a_progress_bar_are_plain():
    with redirect_stderr(_Terminal()) as terminal, progress_bar() as show:
        show(MIXED, 1, 2)
    assert r"\x1b[2K\r\x07\x9b1G\x85\u2028\u202e\u2066\u200f[red]\nok True" in terminal.getvalue()


#: Names of calls that print, whatever they are called on.
PRINTING = {"echo", "echo_via_pager", "secho", "print", "print_exc", "print_exception", "show", "warn_explicit"}
#: Where such calls may stand: each passes its text through `printable`.
PLACES = {
    "cli/report.py": {"click.echo", "console.print"},
    "cli/show.py": {"Workspace.open(workspace).show"},  # which is asked, and prints nothing
    "__main__.py": {"sys.stderr.write"},  # our own line on an interrupt, before anything else is imported
}


def _printing(path):
    """The calls in a module that print; not `print` to a file, as is said to another process."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    named = {ast.unparse(c.func) for c in calls if not any(keyword.arg == "file" for keyword in c.keywords)}
    return {
        name for name in named if name.split(".")[-1] in PRINTING or name.startswith(("sys.stdout.w", "sys.stderr.w"))
    }


@pytest.mark.clause("CL-5")
def test_text_leaves_the_program_in_one_place():
    """All else calls `say`."""
    package = Path(mergealgebra.__file__).parent
    found = {path.relative_to(package).as_posix(): _printing(path) for path in package.rglob("*.py")}
    assert {path: calls for path, calls in found.items() if calls} == PLACES

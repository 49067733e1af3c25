"""The supervisor of strangers' programs: all that one starts ends with it, and it ends as the program did."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest

from mergealgebra.children import process
from mergealgebra.children.environment import for_strangers
from mergealgebra.children.process import Stranger

SUPERVISOR = Path(process.__file__).with_name("supervisor.py")
SECONDS = 60


def _works(how):
    """Whether a mechanism is to be had here."""
    script = f"""
import sys
sys.path[0] = {str(SUPERVISOR.parent)!r}
import supervisor
sys.exit(0 if supervisor.MECHANISMS[{how!r}]().begin() else 1)
"""
    return subprocess.run([sys.executable, "-I", "-c", script], check=False).returncode == 0


@pytest.fixture(autouse=True)
def _not_in_the_background():
    """What a shell starts in the background ignores Ctrl-C, and so does all that this starts in turn."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(params=["namespace", "adoption"])
def how(request, monkeypatch):
    """A mechanism, used alone."""
    if not _works(request.param):
        pytest.skip(f"no {request.param} is to be had here: not Linux, or this user may not")
    monkeypatch.setattr(process, "MECHANISMS", (request.param,))
    return request.param


@pytest.fixture
def pipe(tmp_path):
    """A named pipe that tells whether anybody has it open for writing."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, descriptor
    os.close(descriptor)


def _started(*arguments, **options):
    return Stranger((sys.executable, *arguments), for_strangers(), apart=True, **options)


#: Starts a process that leaves its parents, its group and its session, ignores every signal that it may, and forks.
_SURVIVOR = """
import os, signal, sys, time
def apart():
    if os.fork():
        os._exit(0)
ready, told = os.pipe()
if not os.fork():
    apart(); os.setsid(); apart(); os.setsid()
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    for standard in (0, 1, 2):
        os.close(standard)
    held = os.open(sys.argv[1], os.O_WRONLY)
    os.fork()
    os.write(told, b"x")
    time.sleep(600)
os.read(ready, 1)
print("started", flush=True)
"""


def _all_gone(descriptor):
    """Whether nobody has the pipe open for writing any more, or very soon."""
    poll = select.poll()
    poll.register(descriptor)
    return any(event & select.POLLHUP for _, event in poll.poll(5000))


def _held(descriptor):
    poll = select.poll()
    poll.register(descriptor)
    return not poll.poll(0)


#: How a program goes on that has started a survivor.
ENDINGS = {"it ends": "", "it hangs": "time.sleep(600)", "it crashes": "os.kill(os.getpid(), 11)"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_a_program_started_is_gone_when_it_has_ended(how, ending, pipe):
    path, descriptor = pipe
    program = _started("-c", _SURVIVOR + ENDINGS[ending], str(path))
    assert program.pipes[1].readline() == b"started\n"
    if ENDINGS[ending].startswith("time"):
        assert _held(descriptor)
    else:
        assert program.status(SECONDS) is not None
        assert not _held(descriptor)  # already now
    program.end()
    assert _all_gone(descriptor)


#: Starts a program that hangs and has a survivor; prints the number of its supervisor.
_ASKER = """
import sys, time
from mergealgebra.children import process
from mergealgebra.children.environment import for_strangers
how, survivor, path = sys.argv[1:]
process.MECHANISMS = (how,)
program = process.Stranger((sys.executable, "-c", survivor, path), for_strangers(), apart=True)
assert program.pipes[1].readline() == b"started\\n"
print(program._process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def asker(how, pipe):
    """A process that has asked for a program, which hangs and holds the pipes that it can; the supervisor's number."""
    code = f"{_WATCHERS}held()\n{_SURVIVOR}time.sleep(600)"
    command = [sys.executable, "-c", _ASKER, how, code, str(pipe[0])]
    asker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    yield asker, int(asker.stdout.readline())
    asker.kill()
    asker.communicate()


def test_it_is_gone_when_who_started_it_was_killed(asker, pipe):
    assert _held(pipe[1])
    asker[0].kill()
    assert _all_gone(pipe[1])


@pytest.mark.parametrize("how", ["namespace"], indirect=True)  # orphans that nobody adopts any more stay
def test_it_is_gone_when_its_supervisor_was_killed(asker, pipe):
    os.kill(asker[1], signal.SIGKILL)
    assert _all_gone(pipe[1])


def test_a_program_cannot_outrun_its_end(how, pipe):
    """Processes that fork again and again, each leaving at once, while all of them are being ended."""
    path, descriptor = pipe
    code = """
import os, sys, time
held = os.open(sys.argv[1], os.O_WRONLY)
for _ in range(4):
    if not os.fork():
        while True:
            if os.fork(): os._exit(0)
            os.setsid()
            time.sleep(0.0005)
print("started", flush=True)
"""
    program = _started("-c", code, str(path))
    assert program.pipes[1].readline() == b"started\n"
    program.end()
    assert _all_gone(descriptor)


#: What a program may do to those who watch it: its keeper and its supervisor, where it can see them.
_WATCHERS = """
import os, signal
def parent(pid):
    try:
        return int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
    except OSError:
        return 0
keeper = os.getppid()
watchers = [keeper, *filter(None, [parent(keeper)])]
def pipes():
    for pid in watchers:
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for name in names:
            try:
                yield os.open(f"/proc/{pid}/fd/{name}", os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                pass
def stopped():
    for pid in watchers:
        os.kill(pid, signal.SIGSTOP)
def held():
    for pipe in pipes():
        os.set_inheritable(pipe, True)
def told():
    for pipe in pipes():
        os.write(pipe, b"-1 " * 100)
"""


@pytest.mark.parametrize("attack", ["stopped", "held", "told"])
def test_a_program_that_attacks_its_watchers_gains_nothing(how, attack, pipe):
    """It stops them, holds their pipes open, or tells them what they never would. Its end takes no time either."""
    path, descriptor = pipe
    program = _started("-c", f"{_SURVIVOR}{_WATCHERS}{attack}()\nprint('done', flush=True)\ntime.sleep(600)", str(path))
    assert program.pipes[1].readline() == b"started\n"
    if attack != "told":  # which ends it
        program.pipes[1].readline()
    began = monotonic()
    program.end()
    assert monotonic() - began < 5
    assert _all_gone(descriptor)


#: What a program does -> its status as `subprocess` tells it.
STATUSES = {
    "import sys; sys.exit(0)": 0,
    "import os; os._exit(255)": 255,
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": -signal.SIGKILL,
    "import os, signal; os.kill(os.getpid(), signal.SIGTERM)": -signal.SIGTERM,
    "import os, signal; os.killpg(0, signal.SIGINT)": -signal.SIGINT,
    "import os; os.abort()": -signal.SIGABRT,
    "import os; os.kill(os.getpid(), 40)": -40,
}


@pytest.mark.parametrize("code", STATUSES)
def test_it_ends_as_the_program_did(how, code):
    program = _started("-c", code)
    assert program.status(SECONDS) == STATUSES[code]
    program.end()


def test_a_program_is_a_process_like_another(how):
    """It leads a session, blocks no signals, is not process 1, has no pipes of ours, and is in /proc by its number."""
    code = """
import os, signal
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(os.getpid() > 1, os.getsid(0) == os.getpgid(0) == os.getpid(), os.readlink("/proc/self") == str(os.getpid()))
print(signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set(), sorted(map(int, os.listdir("/proc/self/fd")))[:4])
"""
    program = _started("-c", code)
    assert program.pipes[1].readall() == b"True True True\nTrue [0, 1, 2, 3]\n"
    assert program.status(SECONDS) == 0
    program.end()


def test_what_is_not_there_is_told(how):
    program = Stranger(("/nowhere/at/all",), for_strangers(), apart=True)
    assert program.pipes[2].readall() == b"/nowhere/at/all cannot be started: No such file or directory\n"
    assert program.status(SECONDS) == 127
    program.end()


def test_a_namespace_is_used_where_there_is_one():
    if not _works("namespace"):
        pytest.skip("no namespace is to be had here: not Linux, or this user may not")
    program = _started("-c", "import os; print(os.getppid())")
    assert program.pipes[1].readall() == b"1\n"
    program.end()


def test_its_folder_is_empty_and_goes_with_it():
    program = _started("-c", "import os; print(os.getcwd(), os.listdir()); open('left', 'w').close()")
    folder, names = program.pipes[1].readall().decode().split()
    assert names == "[]"
    program.end()
    assert not Path(folder).exists()
    assert Path.cwd() != Path(folder)


def test_it_sees_of_the_environment_what_it_needs(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", ".", "lib", str(Path.cwd().parent), "/ours"]))
    program = _started("-c", "import json, os; print(json.dumps(dict(os.environ)))")
    seen = eval(program.pipes[1].readall())
    program.end()
    assert "hush" not in seen.values()
    assert seen["OMP_NUM_THREADS"] == "3"
    assert seen["PATH"] == os.environ["PATH"]
    assert seen["PYTHONPATH"] == os.pathsep.join([str(Path.cwd().parent), "/ours"])

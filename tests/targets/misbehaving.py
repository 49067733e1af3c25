"""A target that answers every question with its base, except what it does to the question "bad", by its argument.

It runs by its path, in a process of its own, on the standard library alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time


def send(line: object) -> None:
    text(json.dumps(line) + "\n")


def text(written: str) -> None:
    sys.stdout.write(written)
    sys.stdout.flush()


def answer(question: dict, **changes: object) -> dict:
    return {"id": question["id"], "tensors": question["base"], **changes}


def tensor(question: dict, **changes: object) -> dict:
    """The answer, its tensor "w" changed."""
    return answer(question, tensors={**question["base"], "w": {**question["base"]["w"], **changes}})


def forever(write: object) -> None:
    while True:
        write()


def explain_late(question: dict) -> None:
    os.close(1)
    time.sleep(0.3)
    sys.stderr.write("out of memory\n")
    sys.stderr.flush()
    os._exit(3)


def explain_at_length(question: dict) -> None:
    """More than a pipe holds."""
    os.close(1)
    sys.stderr.write("warning\n" * 50_000 + "out of memory\n")
    sys.stderr.flush()
    os._exit(3)


def end_as_node_does(question: dict) -> None:
    sys.stderr.write("Error: Cannot find module 'ties.mjs'\n    at Module._load (loader:1)\n\nNode.js v20\n")
    sys.stderr.flush()
    os._exit(1)


def leave_a_child(question: dict) -> None:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    os._exit(7)


BAD = {
    "names an error before its version": end_as_node_does,
    "wrong id": lambda q: send(answer(q, id="another")),
    "id that is a number": lambda q: send(answer(q, id=1)),
    "no id": lambda q: send({"tensors": q["base"]}),
    "id twice": lambda q: text('{"id": "bad", "id": "bad", "error": "no"}\n'),
    "wrong shape": lambda q: send(tensor(q, shape=[3, 2])),
    "shape of a float": lambda q: send(tensor(q, shape=[2.0, 3.0])),
    "shape below zero": lambda q: send(tensor(q, shape=[-2, -3])),
    "shape of a bool": lambda q: send(tensor(q, shape=[True, 6])),
    "names missing": lambda q: send(answer(q, tensors={})),
    "names too many": lambda q: send(answer(q, tensors={**q["base"], "v": q["base"]["w"]})),
    "wrong dtype name": lambda q: send(tensor(q, dtype="float32")),
    "dtype of integers": lambda q: send(tensor(q, dtype="I32")),
    "dtype that is a list": lambda q: send(tensor(q, dtype=["F32"])),
    "bad hex": lambda q: send(tensor(q, hex="0g" * 24)),
    "hex with spaces": lambda q: send(tensor(q, hex="00 " * 16)),
    "hex too short": lambda q: send(tensor(q, hex="00" * 23)),
    "no hex": lambda q: send(answer(q, tensors={"w": {"dtype": "F32", "shape": [2, 3]}})),
    "tensor that is a list": lambda q: send(answer(q, tensors={"w": [1, 2]})),
    "tensors that are null": lambda q: send(answer(q, tensors=None)),
    "neither tensors nor error": lambda q: send({"id": q["id"]}),
    "tensors and error": lambda q: send(answer(q, error="no")),
    "error that is no text": lambda q: send({"id": q["id"], "error": 3}),
    "NaN as a number": lambda q: text('{"id": "bad", "tensors": NaN}\n'),
    "half of JSON": lambda q: text('{"id": "bad", "tensors"\n'),
    "JSON nested deep": lambda q: text('{"id":' * 100_000 + "\n"),
    "a number of many digits": lambda q: text('{"id": ' + "1" * 100_000 + "}\n"),
    "not UTF-8": lambda q: (sys.stdout.buffer.write(b'{"id": "\xff"}\n'), sys.stdout.flush()),
    "not JSON": lambda q: text("done!\n"),
    "chatter before the answer": lambda q: (text("Merging 3 tensors ...\n"), send(answer(q))),
    "two lines before the answer": lambda q: (text("Merging ...\nDone.\n"), send(answer(q))),
    "a line now and then": lambda q: forever(lambda: (text("Merging ...\n"), time.sleep(0.3))),
    "an empty line before the answer": lambda q: (text("\n"), send(answer(q))),
    "chatter and silence": lambda q: (text("Merging ...\n"), time.sleep(600)),
    "endless lines": lambda q: forever(lambda: text("Merging ...\n" * 1000)),
    "endless line": lambda q: forever(lambda: text("." * 10_000)),
    "endless answer": lambda q: (text('{"id": "bad", "tensors": {"'), forever(lambda: text("w" * 10_000))),
    "huge line": lambda q: text("{" + " " * 3_000_000 + "}\n"),
    "endless messages": lambda q: forever(lambda: sys.stderr.write("warning\n" * 1000)),
    "hangs": lambda q: time.sleep(600),
    "answers late": lambda q: (time.sleep(4), send(answer(q))),
    "exits": lambda q: sys.exit(3),
    "exits in the middle": lambda q: (text('{"id": "bad", "tens'), os._exit(0)),
    "raises": lambda q: q["nothing"],
    "killed": lambda q: os.kill(os.getpid(), 9),
    "killed by a signal without a name": lambda q: os.kill(os.getpid(), 40),
    "closes its output": lambda q: (os.close(1), time.sleep(600)),
    "explains after its output": explain_late,
    "explains at length after its output": explain_at_length,
    "leaves a child with its output": leave_a_child,
    "answers twice": lambda q: (send(answer(q)), send(answer(q))),
}


def main(behaviour: str) -> None:
    questions = (json.loads(line) for line in sys.stdin)
    next(questions)
    send({"hello": {"name": "misbehaving", "version": "1"}})
    for question in questions:
        if question["id"] == "bad":
            BAD[behaviour](question)
        else:
            send(answer(question))


if __name__ == "__main__":
    main(sys.argv[1])

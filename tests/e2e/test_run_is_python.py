"""`asynctop run` is `python`: what a program writes, how it ends and what it finds around it are the same."""

# ruff: noqa: E501  (the tables of programs, a line each where that is enough)

from __future__ import annotations

import re
import signal
import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from .processes import PYTHON, RUN, Lab, Process, eventually


@dataclass(frozen=True)
class End:
    """Everything of a program that somebody can see from outside."""

    status: int
    stdout: str
    stderr: str


DIFFERS = {
    r"0x[0-9a-f]{8,}|(?<=started )\d+": "ADDRESS",
    # Two runs of the same program differ in this, and so do two ways to call a function at the top.
    r"(?<=repeated )\d+(?= more times)": "MANY",
    # What runs a callback, and a turn of the loop, has no frame in the C core, and its own in the Python core.
    r'  File ".*(asyncio/(base_)?events|asynctop/core/python/\w+)\.py", line \d+, in _run\w*\n    .*\n(    [ ~^]+\n)?': "",
}
"""What may be different."""


def end(process: Process) -> End:
    """How it ends, but for what may be different."""
    status, out, err = process.status(), process.stdout.all(), process.stderr.all()
    for pattern, same in DIFFERS.items():
        out, err = re.sub(pattern, same, out), re.sub(pattern, same, err)
    return End(status, out, err)


def both(lab: Lab, *words: str | Path, stdin: bytes = b"", abrupt: bool = False) -> End:
    """Run it with `python` and with `asynctop run`. The one end of both; nothing is left unless it was `abrupt`."""
    silent = {"PYTHONFAULTHANDLER": ""}  # an abort would tell of the threads, and ours are among them
    plain = end(lab.start(*PYTHON, *words, stdin=stdin, env=silent))
    watched = lab.start(*RUN, *words, stdin=stdin, env=silent)
    assert end(watched) == plain
    assert watched.family() == []
    assert abrupt or not lab.socket(watched).exists()
    return plain


SAYS = """
import sys
print(sys.argv, __name__, __file__, __package__, __cached__, type(__loader__).__name__)
print(__spec__ and (__spec__.name, __spec__.origin, __spec__.parent), sys.path[0], sys.flags.safe_path)
print(sorted(name for name in vars() if name != "__annotations__"), __builtins__, __doc__)
print(sys.modules["__main__"].__dict__ is globals(), "asynctop_console" in sys.modules)
"""

PROGRAMS = {
    "names": SAYS,
    "ends": "print('done')",
    "exit 0": "import sys; sys.exit(0)",
    "exit 3": "import sys; sys.exit(3)",
    "exit with a text": "import sys; sys.exit('no more')",
    "exit with an object": "raise SystemExit([1, 2])",
    "exit by class": "raise SystemExit",
    "exit of a loop": "import asyncio, sys\nasync def main(): sys.exit(4)\nasyncio.run(main())",
    "exit in a flush": "import sys; sys.stdout.write('no newline'); sys.exit()",
    "exception": "def f():\n    1 / 0\nf()",
    "exception at the top": "raise ValueError('no')",
    "exception in a loop": "import asyncio\nasync def main():\n    raise KeyError('k')\nasyncio.run(main())",
    "exception with a cause": "try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('v') from e",
    "exception with a context": "try:\n    {}['k']\nexcept KeyError:\n    raise ValueError('v')",
    "exception with a note": "e = ValueError('v')\ne.add_note('note')\nraise e",
    "exception group": "raise ExceptionGroup('g', [ValueError('v'), KeyError('k')])",
    "exception group of a loop": """
import asyncio
async def child(): raise ValueError('v')
async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(child())
asyncio.run(main())
""",
    "exception of its own class": "class Mine(Exception): pass\nraise Mine('m')",
    "exception that cannot be shown": "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
    "exception raised again": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    again = e\nraise again",
    "base exception": "raise BaseException('base')",
    "generator exit": "raise GeneratorExit",
    "syntax error of an import": "import broken",
    "syntax error of its own": "compile('1 +', 'a formula', 'eval')",
    "recursion": "def f(n):\n    f(n + 1)\nf(0)",
    "keyboard interrupt": "raise KeyboardInterrupt",
    "keyboard interrupt in a loop": "import asyncio\nasync def main():\n    raise KeyboardInterrupt\nasyncio.run(main())",
    "excepthook": "import sys\nsys.excepthook = lambda *seen: print('hook', seen[0].__name__, seen[1], seen[2].tb_lineno)\n1 / 0",
    "excepthook called by the program": "import sys\ntry: 1 / 0\nexcept Exception: sys.excepthook(*sys.exc_info())",
    "excepthook that fails": "import sys\ndef hook(*seen): raise RuntimeError('hook')\nsys.excepthook = hook\n1 / 0",
    "excepthook as found": "import sys; print(sys.excepthook is sys.__excepthook__)",
    "last exception": """
import atexit, sys, traceback
def last():
    print(sys.last_type, sys.last_value, [frame.name for frame in traceback.extract_tb(sys.last_traceback)])
    print([frame.name for frame in traceback.extract_tb(sys.last_value.__traceback__)])
atexit.register(last)
raise ValueError('v')
""",
    "atexit": "import atexit\nfor n in range(3): atexit.register(print, n)\nprint('end')",
    "atexit after an exception": "import atexit\natexit.register(print, 'bye')\n1 / 0",
    "atexit that fails": "import atexit\natexit.register(lambda: 1 / 0)",
    "atexit that runs a loop": "import asyncio, atexit\natexit.register(lambda: asyncio.run(asyncio.sleep(0, print('loop'))))",
    "thread that outlives the script": """
import threading
go = threading.Event()
def work():
    go.wait(); print('thread')
threading.Thread(target=work).start()
print('main'); go.set()
""",
    "exception in a thread": """
import threading
def work(): raise ValueError('v')
thread = threading.Thread(target=work, name='worker'); thread.start(); thread.join()
""",
    "threads": "import threading; print(threading.current_thread(), threading.main_thread().name)",
    "names of threads": "import threading; print(threading.Thread().name)",
    "names of tasks": "import asyncio\nasync def main(): print(asyncio.current_task().get_name())\nasyncio.run(main())",
    "os._exit": "import os\nprint('gone', flush=True); os._exit(5)",
    "abort": "import os; os.abort()",
    "stdin": "import sys; print(input(), repr(sys.stdin.read()))",
    "pickle": """
import pickle
class Mine:
    def __init__(self): self.n = 7
print(pickle.loads(pickle.dumps(Mine())).n, Mine.__module__, Mine)
""",
    "spawn": """
import multiprocessing
def square(n): return n * n, __name__
if __name__ == '__main__':
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        print(pool.map(square, [3]))
""",
    "fork": """
import asyncio, os
async def main(): print('child', flush=True)
if os.fork() == 0:
    asyncio.run(main())
else:
    print(os.waitstatus_to_exitcode(os.wait()[1]))
""",
    "fork from a loop": """
import asyncio, os, sys
async def main():
    if os.fork() == 0:
        os._exit(6)
    return os.waitstatus_to_exitcode(os.wait()[1])
print(asyncio.run(main()))
""",
    "subprocess": "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'print(1)'], capture_output=True))",
    "warnings": "import warnings\nprint(warnings.filters)\nwarnings.warn('careful')\nwarnings.warn('old', DeprecationWarning)",
    "unclosed": "open(__file__)",
    "coroutine never awaited": "async def f(): pass\nf()",
    "task exception never retrieved": """
import asyncio, gc
async def child(): raise ValueError('v')
async def main():
    task = asyncio.create_task(child(), name='child')
    await asyncio.sleep(0); await asyncio.sleep(0)
    del task; gc.collect()
asyncio.run(main())
""",
    "callback that fails": """
import asyncio
def callback(): raise ValueError('v')
async def main():
    asyncio.get_running_loop().call_soon(callback)
    await asyncio.sleep(0.01)
asyncio.run(main())
""",
    "logging": "import logging\nlogging.warning('w')",
    "inspect": "import inspect\ndef f(): pass\nprint(inspect.getsource(f), inspect.getmodule(f))",
    "locals at the top": "x = 1\nprint(locals() is globals(), eval('x'), sys if 'sys' in vars() else None)",
    "imports beside it": "import beside; print(beside.__name__, beside.__file__)",
    "annotations": "x: int = 1\nprint(__annotations__)",
    "future of ours": "def f(x: Undefined): pass",
    "encoding": "# coding: latin-1\nprint(ascii('\\xe4'))",
    "signals": "import signal; print(signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))",
    "recursion limit": "import sys; print(sys.getrecursionlimit(), sys.gettrace(), sys.getprofile(), sys.getswitchinterval())",
    "garbage collector": "import gc; print(gc.get_threshold(), gc.isenabled(), gc.get_debug())",
    "broken pipe": "import os\nos.close(1)\nprint('lost', flush=True)",
}


def written(lab: Lab, name: str) -> Path:
    """The program, with what it may import beside it."""
    lab.program("def broken(:\n", "broken.py")
    lab.program("", "beside.py")
    return lab.program(PROGRAMS[name])


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_script_is_the_same(lab: Lab, name: str) -> None:
    # Nobody can tidy up where a program ends without a word to the interpreter.
    both(lab, written(lab, name), stdin=b"one\ntwo\n", abrupt=name in ("os._exit", "abort"))


@pytest.mark.parametrize("path", ["program.py", "./program.py", "sub/../program.py"])
def test_a_script_by_a_relative_path_is_the_same(lab: Lab, path: str) -> None:
    (lab.work / "sub").mkdir()
    lab.program(SAYS + "\n1 / 0")
    both(lab, path, "-x", "--flag=1", "run", "-m", "", "--help")


def test_a_script_behind_a_link_is_the_same(lab: Lab) -> None:
    lab.program("", "sub/beside.py")
    (lab.work / "link.py").symlink_to(lab.program(SAYS + "\nimport beside", "sub/program.py"))
    assert both(lab, "link.py").status == 0


@pytest.mark.parametrize("words", [["package"], ["package.part", "a", "-m"], ["module"], ["module", "-h"]])
def test_a_module_is_the_same(lab: Lab, words: list[str]) -> None:
    lab.program("", "package/__init__.py")
    lab.program(SAYS + "from . import part", "package/__main__.py")
    lab.program(SAYS + "if __name__ == '__main__': 1 / 0", "package/part.py")
    lab.program(SAYS + "def f(): raise ValueError\nf()", "module.py")
    both(lab, "-m", *words)


@pytest.mark.parametrize("name", ["folder", "folder/", "archive.zip", "archive"])
def test_a_folder_and_a_zip_file_are_the_same(lab: Lab, name: str) -> None:
    sources = {"__main__.py": SAYS + "import beside\nbeside.fail()", "beside.py": "def fail():\n    1 / 0"}
    archive = lab.work / name
    for file, source in sources.items():
        lab.program(source, f"folder/{file}")
        if not name.startswith("folder"):
            with zipfile.ZipFile(archive, "a") as opened:
                opened.writestr(file, source)
    assert "ZeroDivisionError" in both(lab, name, "word").stderr


WAITS = {
    "asyncio": "import asyncio\nasync def main():\n    print('ready', flush=True)\n    await asyncio.sleep(60)\nasyncio.run(main())",
    "sleep": "import time\nprint('ready', flush=True)\ntime.sleep(60)",
    "atexit": "import atexit, time\natexit.register(print, 'bye')\nprint('ready', flush=True)\ntime.sleep(60)",
    "handler": """
import asyncio, signal, sys
async def main():
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, sys.exit, 7)
    print('ready', flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
""",
}


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
@pytest.mark.parametrize("name", WAITS)
def test_a_signal_ends_it_in_the_same_way(lab: Lab, name: str, number: signal.Signals) -> None:
    ends = []
    for runner in (PYTHON, RUN):
        process = lab.start(*runner, lab.program(WAITS[name]))
        process.stdout.line("^ready")
        eventually(partial(getattr, process, "asleep"), "a program that waits")
        process.signal(number)
        ends.append(end(process))
    plain, watched = ends
    assert watched == plain
    if name != "handler":
        assert plain.status == -number


def test_with_development_mode_nothing_is_added(lab: Lab) -> None:
    script = lab.program(PROGRAMS["fork"] + "\nasyncio.run(main())\n1 / 0")
    plain = end(lab.start(*PYTHON, "-X", "dev", script))
    watched = end(lab.start(PYTHON[0], "-X", "dev", *RUN[1:], script))
    assert watched == plain
    assert re.search("ZeroDivisionError", plain.stderr)


def test_a_program_that_ends_leaves_nothing(lab: Lab) -> None:
    source = "import asyncio\nasync def main():\n    print('ready', flush=True)\n    await asyncio.to_thread(input)\nasyncio.run(main())"
    process = lab.run(lab.program(source))
    process.say(b"end\n")
    assert end(process) == End(0, "ready\n", "")
    lab.leaves_nothing(process)

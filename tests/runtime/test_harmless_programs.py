"""What a whole program prints and how it ends is as without us: forks, signals, exits, tracebacks.

Each program runs twice, plain and with `asynctop.install()` before its first line, and must come to the same.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from textwrap import dedent

import pytest

import asynctop
import asynctop_protocol

INSTALL = "import asynctop; assert asynctop.install()"
SEARCHED = [str(Path(str(module.__file__)).parent.parent) for module in (asynctop, asynctop_protocol)]

PROGRAMS = {
    "keyboard interrupt": """
        import asyncio, os, signal
        async def main():
            try:
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.sleep(60)
            finally:
                print("cleaned up")
        asyncio.run(main())
        """,
    "keyboard interrupt in a callback": """
        import asyncio
        def leave():
            raise KeyboardInterrupt("callback")
        async def main():
            asyncio.get_running_loop().call_soon(leave)
            await asyncio.sleep(60)
        asyncio.run(main())
        """,
    "exit from a poll": """
        import asyncio, sys
        async def main():
            await asyncio.sleep(0)
            sys.exit(7)
        asyncio.run(main())
        """,
    "exit from a timer": """
        import asyncio, sys
        async def main():
            asyncio.get_running_loop().call_later(0.01, sys.exit, "a message")
            await asyncio.sleep(60)
        asyncio.run(main())
        """,
    "exit with a task pending": """
        import asyncio
        loop = asyncio.new_event_loop()
        async def waits():
            await loop.create_future()
        task = loop.create_task(waits(), name="pending")
        loop.call_soon(loop.stop)
        loop.run_forever()
        """,
    "an exception in the main task": """
        import asyncio
        async def inner():
            raise ValueError("inner")
        async def main():
            async with asyncio.TaskGroup() as group:
                group.create_task(inner())
        asyncio.run(main())
        """,
    "an exception in a callback": """
        import asyncio
        def fails():
            1 / 0
        async def main():
            asyncio.get_running_loop().call_soon(fails)
            asyncio.get_running_loop().call_later(0, fails)
            await asyncio.sleep(0.01)
        asyncio.run(main())
        """,
    "a task whose exception nobody fetched": """
        import asyncio
        async def fails():
            raise ValueError("never fetched")
        async def main():
            asyncio.get_running_loop().create_task(fails(), name="fails")
            await asyncio.sleep(0.01)
        asyncio.run(main())
        """,
    "fork, and loops on both sides": """
        import asyncio, os
        async def main(who):
            await asyncio.gather(*(asyncio.sleep(0) for _ in range(5)))
            print(who, flush=True)
        asyncio.run(main("before"))
        child = os.fork()
        if child == 0:
            asyncio.run(main("child"))
            os._exit(3)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        asyncio.run(main("parent"))
        """,
    "fork in a running loop": """
        import asyncio, os
        async def other():
            for _ in range(3):
                await asyncio.sleep(0)
            return "other"
        async def main():
            task = asyncio.create_task(other())
            await asyncio.sleep(0)
            child = os.fork()
            result = await task
            if child == 0:
                print("child", result, flush=True)
                os._exit(4)
            print("parent", result, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        asyncio.run(main())
        """,
    "fork from a thread": """
        import asyncio, os, threading
        def forks():
            child = os.fork()
            if child == 0:
                asyncio.run(asyncio.sleep(0))
                os._exit(len(threading.enumerate()))
            print(os.waitpid(child, 0)[1] != 0)
        async def main():
            await asyncio.to_thread(forks)
        asyncio.run(main())
        """,
    "fork and exec": """
        import asyncio, os, subprocess, sys
        async def main():
            done = subprocess.run([sys.executable, "-c", "print('run')"], capture_output=True, text=True)
            print(done)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", "import sys; print(sys.stdin.read()[::-1])",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )
            print(await process.communicate(b"asyncio"), process.returncode)
            child = os.posix_spawn(sys.executable, [sys.executable, "-c", "raise SystemExit(5)"], os.environ)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        asyncio.run(main())
        """,
    "exec": """
        import asyncio, os, sys
        async def main():
            print("before", flush=True)
            program = "import os; print(sorted(os.listdir('/proc/self/fd')))"
            os.execv(sys.executable, [sys.executable, "-c", program])
        asyncio.run(main())
        """,
    "process pools": """
        import asyncio, multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        async def main():
            with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
                loop = asyncio.get_running_loop()
                print(await asyncio.gather(*(loop.run_in_executor(pool, pow, n, 2) for n in range(4))))
        asyncio.run(main())
        """,
    "debug mode": """
        import asyncio
        async def forgotten(): ...
        async def main():
            forgotten()
            asyncio.get_running_loop().call_soon(print, "callback")
            asyncio.get_running_loop().call_soon(int, "not a number")
            await asyncio.sleep(0.01)
        asyncio.run(main(), debug=True)
        """,
    "the warnings of a default filter as errors": """
        import asyncio, os, warnings
        warnings.simplefilter("error")
        async def main():
            await asyncio.sleep(0)
        asyncio.run(main())
        child = os.fork()
        if child == 0:
            os._exit(0)
        print(os.waitpid(child, 0)[1])
        """,
    "warnings as errors, and hooks of others at a fork": """
        import os, warnings
        warnings.simplefilter("error")
        def hook():
            print(sum(n * n for n in range(1000)))
        os.register_at_fork(after_in_parent=hook)
        for _ in range(3):
            child = os.fork()
            if child == 0:
                os._exit(0)
            print(os.waitpid(child, 0)[1])
        """,
}


def end(first_line: str, program: str, core: str) -> tuple[int, str, str]:
    """Exit status, output and errors of a program."""
    with tempfile.TemporaryDirectory(prefix="at-") as directory:
        done = subprocess.run(
            [sys.executable, "-c", f"{first_line}\n{dedent(program)}"],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(SEARCHED),
                "ASYNCTOP_CORE": core,
                "ASYNCTOP_DIR": directory,  # a program that ends in a hurry leaves its socket
            },
            capture_output=True,
            text=True,
            timeout=50,
        )
    return done.returncode, done.stdout, steady(done.stderr)


def steady(errors: str) -> str:
    """Without what differs from run to run, and without the frames that run a callback: asyncio's `_run_once`
    and `Handle._run` or, in the stacks of debug mode, the Python core's."""
    runner = (
        r'  File "[^"]*(?:asyncio/(?:base_)?events|asynctop/core/python/\w+)\.py", line \d+, in'
        r" _run(?:_once|_callback)?\n"
    )
    errors = re.sub(runner + r"(?:    .*\n)+", "", errors)
    # A callback written in C has no other frame, and what has no frame has no heading.
    errors = re.sub(r"Traceback \(most recent call last\):\n(?! )", "", errors)
    return re.sub(r"0x[0-9a-f]+|pid=\d+|\(pid=\d+\)|took \d+\.\d+|when=\d+\.\d+", "...", errors)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_ends_as_without_us(core_name: str, name: str) -> None:
    plain = end("pass", PROGRAMS[name], core_name)
    assert end(INSTALL, PROGRAMS[name], core_name) == plain
    assert plain[0] or plain[1] or plain[2], "a program that says nothing shows nothing"

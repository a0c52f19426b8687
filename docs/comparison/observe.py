"""Runs a program under a tool and prints, as JSON, what the tool said of it: observe.py TOOL PROGRAM SCRATCH.

Needs nothing but the standard library and the tool, which belong to the interpreter that runs this. `SCRATCH`
is an empty directory. Printed is a list of objects with `who` said it and the `text`, in order; paths of the
machine are left out of it.
"""

from __future__ import annotations

import html
import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

OBSERVED_S = 2.5
_READY_S = 120.0
_END_S = 5.0
_DUMPS = 5
_TRACED = 12
"""Tasks whose stacks are asked for where that takes a question each: of each coroutine function one."""
_HERE = Path(__file__).parent
_BIN = Path(sys.executable).parent

Word = dict[str, str]


class Target:
    """A program that runs under a tool, and is ready."""

    def __init__(self, tool: str, program: str, scratch: Path) -> None:
        self._tool = tool
        self.scratch = scratch
        self.said = scratch / "said"
        self.port = ""
        self._sockets = TemporaryDirectory(prefix="asynctop-")  # a socket's path must be short
        self.env = os.environ | {
            "ASYNCTOP_CONFIG": os.devnull,
            "ASYNCTOP_DIR": self._sockets.name,
            "COMPARISON_SAID": str(self.said.absolute()),
            "PYTHONUNBUFFERED": "1",
        }
        command = [sys.executable, str(_HERE / "inside.py"), tool, program]
        if tool == "asynctop":
            command = [sys.executable, "-m", "asynctop", "run", program]
        elif tool == "asyncviz":
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.port = str(free.getsockname()[1])
            command = [str(_BIN / "asyncviz"), "run", "--browser", "never", "--port", self.port]
            command += ["--startup-timeout", f"{_READY_S}", program]
        elif tool == "debug":
            command = [sys.executable, "-X", "dev", str(_HERE / "inside.py"), "plain", program]
            self.env |= {"PYTHONASYNCIODEBUG": "1"}
        elif tool in ("pyspy", "pstree", "profiling", "sgrud"):
            command = [sys.executable, program]
        self._output = (scratch / "output").open("w+")
        self._process = subprocess.Popen(
            command, env=self.env, stdout=self._output, stderr=subprocess.STDOUT, start_new_session=True
        )
        self.pid = str(self._process.pid)

    @property
    def output(self) -> str:
        """What it has printed."""
        return (self.scratch / "output").read_text(errors="replace")

    def ready(self) -> None:
        """Wait until the program says so, or ends, or has been given up."""
        deadline = time.monotonic() + _READY_S
        while not re.search("^ready", self.output, re.MULTILINE) and self._process.poll() is None:
            if time.monotonic() > deadline:
                return
            time.sleep(0.02)

    def end(self) -> None:
        """As with Ctrl-C, if that is when the tool speaks; then by force."""
        if self._tool in ("plain", "debug"):
            self._process.send_signal(signal.SIGINT)
            self.ended(_END_S)
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._output.close()
        self._sockets.cleanup()

    def ended(self, within_s: float) -> None:
        """Wait until it has ended, or for so long."""
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            pass

    def words(self) -> list[Word]:
        """What has been written down in it."""
        return [json.loads(line) for line in self.said.read_text().splitlines()] if self.said.exists() else []

    def ask(self, *command: str) -> str:
        """What a command prints."""
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    def get(self, path: str, data: bytes | None = None) -> str:
        """What it serves, by the port that it has written down."""
        port = self.port or next(word["text"] for word in self.words() if word["who"] == "port")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data, timeout=20) as response:
            text: str = response.read().decode()
            return text


def wait(target: Target) -> Iterator[str]:
    """The tool speaks for itself."""
    target.ended(OBSERVED_S)
    yield from ()


def wait_for_the_end(target: Target) -> Iterator[str]:
    """The tool speaks when the program has been ended, which it does itself."""
    target.ended(OBSERVED_S + _END_S)
    yield from ()


def asynctop(target: Target) -> Iterator[str]:
    """The warnings of a snapshot."""
    said = target.ask(
        sys.executable, "-m", "asynctop", "snapshot", target.pid, "--for", f"{OBSERVED_S}", "--json"
    )
    for finding in json.loads(said)["lints"]:
        yield f"{finding['severity']}: {finding['lint']}: {finding['message']}"


def aiodebug(target: Target) -> Iterator[str]:
    """Stacks that it has left in files."""
    target.ended(OBSERVED_S)
    for path in sorted((target.scratch / "hangs").glob("*.txt")):
        yield path.read_text()


def aiomonitor(target: Target) -> Iterator[str]:
    """Its lists of tasks, and the stacks of one of each coroutine function, from its web interface."""
    target.ended(OBSERVED_S / 2)
    found = []
    for which, trace in (("live", "running"), ("terminated", "terminated")):
        tasks: list[dict[str, Any]] = json.loads(target.get(f"/api/{which}-tasks", b""))["tasks"]
        found.append(f"{which} tasks: {len(tasks)}")
        found += ["  ".join(str(value) for value in task.values()) for task in tasks[:_TRACED]]
        traced: set[str] = set()
        for task in tasks:
            if task["coro"] in traced or len(traced) == _TRACED:
                continue
            try:
                page = target.get(f"/trace-{trace}?task_id={task['task_id']}")
            except urllib.error.HTTPError:
                continue  # it has ended meanwhile
            parts = re.findall(r"<(?:h2|pre) class=\"font-mono.*?>(.*?)</", page, re.DOTALL)
            found += [task["coro"], *map(html.unescape, parts)]
            traced.add(task["coro"])
    yield "\n".join(found)


def asyncviz(target: Target) -> Iterator[str]:
    """The warnings on its dashboard."""
    target.ended(OBSERVED_S)
    said = json.loads(target.get("/api/runtime/warnings"))
    for warning in said["active"] + said["resolved"]:
        yield f"{warning['severity']}: {warning['message']} {json.dumps(warning['metadata'])}"


def loopsentry(target: Target) -> Iterator[str]:
    """The events in its log."""
    target.ended(OBSERVED_S)
    for path in (target.scratch / "sentry").glob("*/*.jsonl"):
        for line in path.read_text().splitlines():
            event = json.loads(line)
            event.pop("sys", None)  # the machine's load
            stack = event.pop("stack", [])
            if event["type"] != "block_resolved":
                yield f"{json.dumps(event)}\n{''.join(stack)}"


def pyspy(target: Target) -> Iterator[str]:
    """Some dumps."""
    for _ in range(_DUMPS):
        yield target.ask(str(_BIN / "py-spy"), "dump", "--pid", target.pid)
        time.sleep(OBSERVED_S / _DUMPS)


def pstree(target: Target) -> Iterator[str]:
    """Some trees."""
    for _ in range(_DUMPS):
        yield target.ask(sys.executable, "-m", "asyncio", "pstree", target.pid)
        time.sleep(OBSERVED_S / _DUMPS)


def profiling(target: Target) -> Iterator[str]:
    """Of all tasks, then of all threads."""
    for options in (("--async-aware", "--async-mode", "all"), ("--mode", "wall", "--all-threads")):
        yield target.ask(
            *(sys.executable, "-m", "profiling.sampling", "attach", "--no-summary", "--limit", "40"),
            *("--duration", "1", *options, target.pid),
        )


def sgrud(target: Target) -> Iterator[str]:
    """Some dumps, with the lines in the tasks' stacks."""
    for _ in range(_DUMPS):
        said = target.ask(str(_BIN / "sgrud"), "dump", target.pid, "--json", "--no-gc")
        try:
            snapshot = json.loads(said)
        except ValueError:
            yield said
        else:
            yield "\n".join(
                f"{kind} {each.get('name')}: "
                + " <- ".join(
                    f"{frame['funcname']} {frame['filename']}:{frame['lineno']}" for frame in each["frames"]
                )
                for kind, many in (("thread", snapshot["threads"]), ("task", snapshot["tasks"] or []))
                for each in many
            )
        time.sleep(OBSERVED_S / _DUMPS)


ASK: dict[str, Callable[[Target], Iterator[str]]] = {
    "aiodebug": aiodebug,
    "aiomonitor": aiomonitor,
    "asynctop": asynctop,
    "asyncviz": asyncviz,
    "loopsentry": loopsentry,
    "profiling": profiling,
    "pstree": pstree,
    "pyleak": wait_for_the_end,
    "pyspy": pyspy,
    "sgrud": sgrud,
}


def observe(tool: str, program: str, scratch: Path) -> list[Word]:
    """All that the tool said."""
    target = Target(tool, program, scratch)
    try:
        target.ready()
        words = [{"who": tool, "text": text} for text in ASK.get(tool, wait)(target)]
    finally:
        target.end()
    # What asynctop and the like have to say comes from them, and not from the program.
    return [word for word in target.words() if word["who"] != "port"] + words


def main(tool: str, program: str, scratch: str) -> None:
    """Print it."""
    words = observe(tool, program, Path(scratch))
    directory = re.compile(rf"(\./)?{re.escape(str(Path(program).parent))}/")
    print(
        json.dumps(
            [{"who": word["who"], "text": directory.sub("", _scrubbed(word["text"]))} for word in words]
        )
    )


def _scrubbed(text: str) -> str:
    """Without where things are on this machine."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for path, name in (
        (sysconfig.get_path("purelib"), "site-packages"),
        (sysconfig.get_path("stdlib"), version),
        (sys.base_prefix, "prefix"),
        (str(Path.cwd()), "."),
    ):
        text = text.replace(path, name)
    return re.sub(r"(?<![\w.\-:/])(/[\w.+\-]+)+/(?=[\w.+\-]+)", "", text)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The ways in which a program is run: plain, with ours, with what people would use instead; and how runs are
paired.

What others there are is installed, as pinned in `others.txt`, each into a virtual environment of its own
under `build/others`, which is kept for the next time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from measuring import HERE, INTERVAL_NS, ROOT, Cell, Failed, Program, Spread, Table, reader

_PINS = dict(line.split("==") for line in (HERE / "others.txt").read_text().split())
_VENVS = ROOT / "build" / "others"
_SAME = ("uvloop", "aiohttp")
"""What a tool's environment has in the version of the plain program's."""


@dataclass(frozen=True, eq=False, slots=True)
class Way:
    """A way to run a program."""

    name: str
    setup: str = "-"
    """A function of `tools.py`, called in the program."""
    core: str = ""
    """For ours: which recorder core."""
    console: bool = False
    """With a console connected, which ours has."""
    requires: str = ""
    """What to install, a name in `others.txt`."""
    command: str = "{python}"
    """How to start it: `{python}` is the interpreter, `{bin}` is where its scripts are, and `{scratch}` is a
    directory that is removed afterwards."""
    env: dict[str, str] = field(default_factory=dict)
    share: float = 1.0
    """Slow ones do less of a workload, and are measured against a plain program that does less too."""

    @property
    def title(self) -> str:
        """With its version, where it has one."""
        return f"{self.name} ({_PINS[self.requires]})" if self.requires else self.name


PLAIN = Way("plain")
C_CORE, C_CONSOLE, PYTHON_CORE, PYTHON_CONSOLE = OURS = tuple(
    Way(f"{title} core{', console' * console}", "asynctop", core, console)
    for title, core in (("C", "c"), ("Python", "python"))
    for console in (False, True)
)
OTHERS = (
    Way("asyncio debug mode", env={"PYTHONASYNCIODEBUG": "1"}, share=0.1),
    Way("aiocop", "aiocop", requires="aiocop"),
    Way("aiomonitor, hooked", "aiomonitor", requires="aiomonitor", share=0.1),
    Way("asyncviz", "asyncviz", requires="asyncviz", share=0.1),
    Way("blockbuster", "blockbuster", requires="blockbuster"),
    Way("logfire, slow callbacks", "logfire", requires="logfire"),
    Way("loopsentry", "loopsentry", requires="loopsentry"),
    Way(
        "py-spy record",
        requires="py-spy",
        command="{bin}/py-spy record --format raw --output /dev/null -- {python}",
    ),
    Way(
        "viztracer --log_async",
        requires="viztracer",
        command="{python} -m viztracer --log_async --quiet --output_file {scratch}/trace.json --",
        share=0.1,
    ),
    Way("yappi", "yappi", requires="yappi", share=0.1),
)


@contextmanager
def running(
    way: Way,
    python: str,
    loop: str,
    script: str,
    *arguments: str,
    env: dict[str, str],
    interval_ns: int = INTERVAL_NS,
) -> Iterator[Program]:
    """A program that is ready; its console, if it is to have one, reads. `Failed` where it cannot be."""
    at = _with(way.requires, python) if way.requires else python
    command = way.command.format(python=at, bin=Path(at).parent, scratch=env["ASYNCTOP_DIR"]).split()
    core = {"ASYNCTOP_CORE": way.core} if way.core else {}
    with Program(command, script, *arguments, loop, way.setup, env=env | core | way.env) as program:
        program.hear()
        with reader(program, env, interval_ns) if way.console else nullcontext():
            yield program


@dataclass(slots=True)
class Runs:
    """What all runs of one program found, in figures by name, or why a way could not run it."""

    figures: dict[Way, list[dict[str, float]]]
    failed: dict[Way, str]

    def of(self, way: Way, figure: str, table: Table) -> Cell:
        """The spread of what was found."""
        if way in self.failed:
            return table.note(self.failed[way])
        return Spread.of([found[figure] for found in self.figures[way]])

    def ratio(self, way: Way, figure: str, table: Table) -> Cell:
        """Against the plain program's, round by round."""
        return self._against(way, figure, table, lambda one, plain: one / plain)

    def difference(self, way: Way, figure: str, table: Table) -> Cell:
        """To the plain program's, round by round."""
        return self._against(way, figure, table, lambda one, plain: one - plain)

    def _against(
        self, way: Way, figure: str, table: Table, compared: Callable[[float, float], float]
    ) -> Cell:
        if way in self.failed:
            return table.note(self.failed[way])
        pairs = zip(self.figures[way], self.figures[PLAIN], strict=True)
        return Spread.of([compared(one[figure], plain[figure]) for one, plain in pairs])


def alternate(ways: Sequence[Way], rounds: int, run: Callable[[Way], dict[str, float]]) -> Runs:
    """Run each way once a round, forwards and backwards in turn. One that fails is left out from then on;
    with the plain program they all fail, for there is nothing to compare them with."""
    runs = Runs({way: [] for way in ways}, {})
    for number in range(rounds):
        for way in ways if number % 2 == 0 else reversed(ways):
            if way in runs.failed:
                continue
            try:
                runs.figures[way].append(run(way))
            except Failed as failed:
                runs.failed |= dict.fromkeys(ways if way is PLAIN else [way], failed.reason)
    return runs


def _with(name: str, python: str) -> str:
    """The interpreter of an environment where that is installed."""
    found = _installed(name, python)
    if isinstance(found, Failed):
        raise found
    return found


@cache
def _installed(name: str, python: str) -> str | Failed:
    wanted = [f"{name}=={_PINS[name]}", *_same(python)]
    at = _VENVS / "-".join([version(python), *wanted])
    own = at / "bin" / "python"
    done = at / "installed"
    if not done.exists():
        print(f"installing {' '.join(wanted)} for Python {version(python)}", file=sys.stderr)
        for command in (
            [python, "-m", "venv", "--clear", str(at)],
            [str(own), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted],
        ):
            ended = subprocess.run(command, capture_output=True, text=True)
            if ended.returncode:
                return Failed(f"cannot be installed: {ended.stderr.strip().rpartition('ERROR: ')[2]}")
        done.touch()
    return str(own)


@cache
def _same(python: str) -> list[str]:
    code = f"""
import importlib.metadata as metadata
for name in {_SAME}:
    try:
        print(f"{{name}}=={{metadata.version(name)}}")
    except metadata.PackageNotFoundError:
        pass
"""
    return subprocess.check_output([python, "-c", code], text=True, env=_clean()).split()


@cache
def version(python: str) -> str:
    """Of an interpreter, as in "3.13.0"."""
    code = "import platform; print(platform.python_version())"
    return subprocess.check_output([python, "-c", code], text=True, env=_clean()).strip()


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

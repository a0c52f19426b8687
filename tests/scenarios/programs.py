"""The scenarios: real programs, each `sick/NAME.py` with its healthy twin `healthy/NAME.py`.

What is true of the sick one stands in itself: its docstring ends in a line `subject: TYPE NAME`, and perhaps
`also: LINT, ...` for what is true of it besides; the line of code that is to be named ends in the comment
`# here`. `finds: LINT` is for a scenario called otherwise than its lint, `loops: LOOP, ...` for one that is
not for all loops; a scenario whose `sick` file is missing must stay silent.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ..e2e.processes import ASYNCTOP, RUN, Json, Lab, snapshot_of

HERE = Path(__file__).parent

OBSERVED_S = 2.5
"""For how long a program is observed."""
AT_A_TIME = 4
"""Programs that run side by side. Those that burn their processor must not starve the others."""

CORES = tuple(os.environ.get("ASYNCTOP_TEST_CORES", "c python").split())
LOOPS = ("asyncio", "uvloop")
NAMES = sorted({path.stem for path in HERE.glob("*/*.py")})
SICK = [name for name in NAMES if (HERE / "sick" / f"{name}.py").exists()]


_SAID = re.compile(r'\s*\n((subject|also|finds|loops): .*\n)+"""')


def program(health: str, name: str) -> str:
    """A program without what it says of itself to the tests. This is what is run, and what the documentation
    shows: a finding's line is right in both."""
    return _SAID.sub('"""', (HERE / health / f"{name}.py").read_text("utf-8"), count=1)


class Case(NamedTuple):
    """One program under one core and one loop."""

    health: str
    name: str
    core: str
    loop: str


class Truth(NamedTuple):
    """What a sick program says of itself."""

    lint: str
    subject_type: str
    subject_name: str
    also: frozenset[str]
    place: str | None
    """"file.py:12\""""
    loops: tuple[str, ...]
    """Those that it runs on."""


def truth(name: str) -> Truth:
    source = (HERE / "sick" / f"{name}.py").read_text("utf-8")
    subject = re.search(r"^subject: (\w+) (.+)$", source, re.MULTILINE)
    assert subject, f"{name}: no line like 'subject: task NAME'"
    also = re.search(r"^also: (.+)$", source, re.MULTILINE)
    finds = re.search(r"^finds: (.+)$", source, re.MULTILINE)
    loops = re.search(r"^loops: (.+)$", source, re.MULTILINE)
    here = [
        number for number, line in enumerate(program("sick", name).splitlines(), 1) if line.endswith("# here")
    ]
    assert len(here) <= 1, f"{name}: more than one line is marked"
    return Truth(
        finds[1] if finds else name,
        subject[1],
        subject[2],
        frozenset(also[1].split(", ") if also else ()),
        f"{name}.py:{here[0]}" if here else None,
        tuple(loops[1].split(", ")) if loops else LOOPS,
    )


def cases(health: str, names: list[str]) -> list[Case]:
    return [
        Case(health, name, core, loop)
        for name in names
        for core in CORES
        for loop in (truth(name).loops if name in SICK else LOOPS)
    ]


def observe(case: Case) -> Json:
    """What `asynctop snapshot --json` says of it."""
    with TemporaryDirectory(prefix="asynctop-") as directory:
        work = Path(directory, "work")
        work.mkdir()
        lab = Lab(Path(directory, "sockets"), work)
        try:
            # Elsewhere, so that it is somebody's program and not one of a package's tests.
            path = lab.program(program(case.health, case.name), f"{case.name}.py")
            on = () if case.loop == "asyncio" else (HERE / "on_uvloop.py",)
            target = lab.start(*RUN, *on, path, env={"ASYNCTOP_CORE": case.core})
            target.stdout.line("^ready")
            return snapshot_of(
                lab.start(*ASYNCTOP, "snapshot", str(target.pid), "--for", f"{OBSERVED_S}", "--json")
            )
        finally:
            lab.close()

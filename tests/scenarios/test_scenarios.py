"""Every classic sickness of an async program, and its healthy twin: real programs, judged by what
`asynctop snapshot --json` says of them.

A scenario is a pair of files of the same name: `sick/NAME.py` must be found, `healthy/NAME.py` must raise no
warning. What is true of the sick one stands in itself: its docstring has a line `subject: TYPE NAME`, and
perhaps `also: LINT, ...` for what is true of it besides; the line of code that is to be named ends in the
comment `# here`. `finds: LINT` is for a scenario called otherwise than its lint; a scenario whose `sick` file
is missing must stay silent.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from ..e2e.processes import ASYNCTOP, RUN, Json, Lab, snapshot_of

pytestmark = pytest.mark.timeout(900)  # a test waits for all the programs before its own

HERE = Path(__file__).parent
OBSERVED_S = 2.5
"""For how long a program is observed."""
AT_A_TIME = 6
"""Programs that run side by side. Those that burn their processor must not starve the others."""

CORES = tuple(os.environ.get("ASYNCTOP_TEST_CORES", "c python").split())
LOOPS = ("asyncio", "uvloop")
NAMES = sorted({path.stem for path in HERE.glob("*/*.py")})
SICK = [name for name in NAMES if (HERE / "sick" / f"{name}.py").exists()]


class Case(NamedTuple):
    """One program under one core and one loop."""

    health: str
    name: str
    core: str
    loop: str

    @property
    def path(self) -> Path:
        return HERE / self.health / f"{self.name}.py"


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
    here = [number for number, line in enumerate(source.splitlines(), 1) if line.endswith("# here")]
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
    with TemporaryDirectory(prefix="asynctop-") as directory:
        work = Path(directory, "work")
        work.mkdir()
        lab = Lab(Path(directory, "sockets"), work)
        try:
            # Copied, so that it is somebody's program and not one of a package's tests.
            program = shutil.copy(case.path, work)
            argv = [*RUN, program] if case.loop == "asyncio" else [*RUN, HERE / "on_uvloop.py", program]
            target = lab.start(*argv, env={"ASYNCTOP_CORE": case.core})
            target.stdout.line("^ready")
            return snapshot_of(
                lab.start(*ASYNCTOP, "snapshot", str(target.pid), "--for", f"{OBSERVED_S}", "--json")
            )
        finally:
            lab.close()


@pytest.fixture(scope="module")
def snapshots(request: pytest.FixtureRequest) -> Iterator[dict[Case, Future[Json]]]:
    """All that are to be judged, some at a time: a test waits for its own."""
    wanted = [
        item.callspec.params["case"]
        for item in request.session.items
        if hasattr(item, "callspec") and isinstance(item.callspec.params.get("case"), Case)
    ]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        running = {case: pool.submit(observe, case) for case in wanted}
        yield running
        for future in running.values():
            future.cancel()


def described(case: Case) -> str:
    return f"{case.name}-{case.core}-{case.loop}"


@pytest.mark.parametrize("case", cases("sick", SICK), ids=described)
def test_a_sick_program_is_diagnosed(case: Case, snapshots: dict[Case, Future[Json]]) -> None:
    lints = snapshots[case].result()["lints"]
    true = truth(case.name)
    findings = [finding for finding in lints if finding["lint"] == true.lint]
    subjects = {(finding["subject"]["type"], finding["subject"]["name"]) for finding in findings}
    assert (true.subject_type, true.subject_name) in subjects, lints
    mine = [
        finding
        for finding in findings
        if (finding["subject"]["type"], finding["subject"]["name"]) == (true.subject_type, true.subject_name)
    ]
    if true.place:
        assert any(re.search(rf"(^|\W){re.escape(true.place)}\b", finding["message"]) for finding in mine), (
            lints
        )
        assert any(
            finding["place"]
            and f"{Path(finding['place']['file']).name}:{finding['place']['line']}" == true.place
            for finding in mine
        ), lints
    assert {finding["lint"] for finding in lints} <= {true.lint} | true.also, lints


@pytest.mark.parametrize("case", cases("healthy", NAMES), ids=described)
def test_a_healthy_program_raises_no_warning(case: Case, snapshots: dict[Case, Future[Json]]) -> None:
    snapshot = snapshots[case].result()
    assert snapshot["lints"] == []
    assert snapshot["faults"] == []
    assert snapshot["target"]["core"] == case.core


def test_every_sick_program_has_a_healthy_twin() -> None:
    assert {path.stem for path in (HERE / "healthy").glob("*.py")} == set(NAMES)

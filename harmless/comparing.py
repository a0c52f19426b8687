"""Running a suite's modules plain and instrumented, and comparing what becomes of each test.

A test whose outcomes differ is run again, with its whole module, several times each way and with nothing
beside it. It counts as a difference where asynctop makes it end as it never does without. What only the first
round saw is shown as unsteady, with its counts.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from watching import Watching

CHILD = Path(__file__).with_name("one_module.py")
WAYS = ("plain", "instrumented")
RERUNS = 4
MODULE_SECONDS = 900
"""No module takes a tenth of it."""


class Outcome(NamedTuple):
    """What became of a test, and a traceback or a reason."""

    what: str
    why: str


@dataclass
class Round:
    """One module, run once."""

    outcomes: dict[str, Outcome]
    problem: str
    """What was wrong with the run as a whole, or with asynctop in it; empty where nothing was."""
    polls: int
    """Seen by the console that was connected meanwhile."""
    seconds: float


@dataclass(frozen=True)
class Suite:
    """What to run, and how."""

    name: str
    python: Path
    """The interpreter, one with msgpack and asynctop on its path."""
    modules: Sequence[str]
    allowed: Mapping[str, str] = field(default_factory=dict)
    """Ids of tests that may differ, as shell patterns, and the reason."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What is added to the environment."""
    runner: str = "unittest"
    """Or "pytest"."""


def arguments(about: str | None) -> argparse.ArgumentParser:
    """The options that every script here has."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--core", choices=("c", "python"), default=os.environ.get("ASYNCTOP_CORE", ""), help="recorder core"
    )
    parser.add_argument("--debug", action="store_true", help="with asyncio's debug mode on, both ways")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="only these, such as test_tasks")
    return parser


def compare(suite: Suite, core: str, *, debug: bool) -> int:
    """Run `suite` both ways and print a table. Returns 1 where asynctop made a difference, else 0."""
    began = time.monotonic()
    environment = {**os.environ, "ASYNCTOP_CORE": core, **suite.environment}
    if debug:
        environment["PYTHONASYNCIODEBUG"] = "1"

    def run(job: tuple[str, str]) -> Round:
        done = run_module(suite, *job, environment)
        passed = sum(outcome.what == "passed" for outcome in done.outcomes.values())
        words = f"{passed} of {len(done.outcomes)} tests passed in {done.seconds:.0f} s {done.problem[:80]}"
        print(f"{' '.join(job)}: {words}", file=sys.stderr, flush=True)
        return done

    with ThreadPoolExecutor(2) as pool:
        jobs = [(module, way) for module in suite.modules for way in WAYS]
        rounds = dict(zip(jobs, pool.map(run, jobs), strict=True))
    print(f"{suite.name}, core {core or 'as built'}{', debug mode' if debug else ''}")
    print(f"{'module':<40} {'tests':>6} {'passed':>7} {'differ':>7} {'polls':>7} {'plain':>8} {'with':>8}")
    worst = False
    tests = 0
    for module in suite.modules:
        plain, ours = (rounds[module, way] for way in WAYS)
        problems = [f"{way}: {rounds[module, way].problem}" for way in WAYS if rounds[module, way].problem]
        suspects = [] if problems else different(plain, ours)
        again = {way: [run((module, way)) for _ in range(RERUNS if suspects else 0)] for way in WAYS}
        lines, differ = judged(suite, suspects, [plain, *again["plain"]], [ours, *again["instrumented"]])
        passed = sum(outcome.what == "passed" for outcome in plain.outcomes.values())
        print(
            f"{module:<40} {len(plain.outcomes):>6} {passed:>7} {differ:>7} {ours.polls:>7}"
            f" {plain.seconds:>6.1f} s {ours.seconds:>6.1f} s"
        )
        for line in [*problems, *lines]:
            print(f"    {line}")
        worst |= bool(problems or differ)
        tests += len(plain.outcomes)
    verdict = "asynctop made a difference" if worst else "exactly the same tests pass"
    print(f"{tests} tests, {time.monotonic() - began:.0f} s: {verdict}", flush=True)
    return int(worst)


def different(plain: Round, ours: Round) -> list[str]:
    """Ids of the tests that did not end the same."""
    ids = dict.fromkeys([*plain.outcomes, *ours.outcomes])
    return [each for each in ids if what(plain, each) != what(ours, each)]


def what(run: Round, test: str) -> str:
    """What became of a test."""
    return run.outcomes[test].what if test in run.outcomes else "not run"


def judged(suite: Suite, suspects: list[str], plain: list[Round], ours: list[Round]) -> tuple[list[str], int]:
    """Lines on the tests that did not end the same at first, and how many of them are differences."""
    lines, differences = [], 0
    for test in suspects:
        counts = [Counter(what(each, test) for each in rounds) for rounds in (plain, ours)]
        seen = "; ".join(
            f"{way} {', '.join(f'{outcome} {n}x' for outcome, n in count.items())}"
            for way, count in zip(WAYS, counts, strict=True)
        )
        reasons = [reason for pattern, reason in suite.allowed.items() if fnmatchcase(test, pattern)]
        if reasons:
            lines.append(f"allowed: {test}: {reasons[0]}")
        elif all(what(each, test) in counts[0] for each in ours[1:]):
            lines.append(f"unsteady: {test}: {seen}")
        else:
            differences += 1
            lines.append(f"DIFFERENT: {test}: {seen}")
            bad = [
                each.outcomes[test].why
                for each in ours
                if what(each, test) not in counts[0]
                if test in each.outcomes
            ]
            lines += [f"    {line}" for line in bad[0].splitlines()] if bad else []
    return lines, differences


def run_module(suite: Suite, module: str, way: str, environment: Mapping[str, str]) -> Round:
    """Run one module in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="harmless-") as name:
        scratch = Path(name)
        cwd, sockets, results, log = (scratch / each for each in ("cwd", "s", "results", "log"))
        cwd.mkdir()
        sockets.mkdir(mode=0o700)
        began = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [suite.python, "-X", "faulthandler", CHILD, suite.runner, module, results, way],
                cwd=cwd,
                env={**environment, "ASYNCTOP_DIR": str(sockets)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        watching = Watching(process, sockets) if way == "instrumented" else None
        try:
            process.wait(MODULE_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # it says where it hangs
        finally:
            status = process.wait()
        if watching is not None:
            watching.join()
        seconds = time.monotonic() - began
        outcomes, problem = read(results)
        if problem is None:
            tail = log.read_text("utf-8", "replace").splitlines()[-30:]
            problem = "\n        ".join([f"it did not come to its end, exit status {status}", *tail])
        return Round(outcomes, problem, watching.polls if watching else 0, seconds)


def read(results: Path) -> tuple[dict[str, Outcome], str | None]:
    """The outcomes in the file that a child wrote; its last word, None where it did not come to its end."""
    outcomes, problem = {}, None
    for line in results.read_text("utf-8").splitlines() if results.exists() else ():
        test, outcome, why = json.loads(line)
        if test:
            outcomes[test] = Outcome(outcome, why)
        else:
            problem = why
    return outcomes, problem

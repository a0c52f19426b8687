"""What being watched costs a program: its time against the plain program's.

    python benchmarks/overhead.py [--python PATH]... [--loop asyncio|uvloop]... [--workload NAME]...

Each round runs every workload plain, with asynctop installed, and with a console connected, each in a fresh
interpreter, in turns; every other round goes backwards. The figures are ratios of two runs of one
round.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from measuring import Program, Spread, Table, arguments, environment, main, reader
from workloads import WORKLOADS

WAYS = ("plain", "installed", "console")
TARGETS = {"sleep0": 1.40, "pingpong": 1.40, "spawn": 2.00}
"""For stock asyncio, with and without a console."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = arguments(__doc__, rounds=7)
    found.add_argument("--python", action="append", metavar="PATH", help="an interpreter (this one)")
    found.add_argument(
        "--loop", action="append", choices=("asyncio", "uvloop"), help="an event loop (asyncio)"
    )
    found.add_argument("--workload", action="append", choices=tuple(WORKLOADS), help="a workload (all)")
    found.add_argument("--share", type=float, default=1.0, help="how much of each workload (%(default)s)")
    return found


def measure(options: argparse.Namespace) -> list[Table]:
    """One row for each interpreter, loop and workload."""
    table = Table("Overhead: time against the plain program's, median (and quartiles) of ratios")
    with environment() as env:
        for python in options.python or [sys.executable]:
            for loop in options.loop or ["asyncio"]:
                for workload in options.workload or WORKLOADS:
                    runs = _runs(python, workload, loop, options.share, options.rounds, env)
                    table.rows.append(
                        {
                            "loop": f"{loop}, Python {_version(python)}",
                            "workload": workload,
                            "plain, s": Spread.of(runs["plain"]).median,
                            **{way: _ratio(runs[way], runs["plain"]) for way in WAYS[1:]},
                            "target": f"<= {TARGETS[workload]:.2f}"
                            if loop == "asyncio" and workload in TARGETS
                            else "",
                        }
                    )
    return [table]


def _runs(
    python: str, workload: str, loop: str, share: float, rounds: int, env: dict[str, str]
) -> dict[str, list[float]]:
    """Seconds, by way, one of each for every round."""
    runs: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(rounds):
        for way in WAYS if number % 2 == 0 else reversed(WAYS):
            runs[way].append(_seconds(python, workload, loop, share, way, env))
    return runs


def _seconds(python: str, workload: str, loop: str, share: float, way: str, env: dict[str, str]) -> float:
    install = "-" if way == "plain" else "install"
    with Program(python, "workloads.py", workload, str(share), loop, install, env=env) as program:
        program.hear()
        if way == "console":
            with reader(program, env):
                program.go_on()
                return float(program.hear())
        program.go_on()
        return float(program.hear())


def _ratio(watched: list[float], plain: list[float]) -> Spread:
    return Spread.of([one / other for one, other in zip(watched, plain, strict=True)])


def _version(python: str) -> str:
    code = "import platform; print(platform.python_version())"
    return subprocess.check_output([python, "-c", code], text=True).strip()


if __name__ == "__main__":
    main(parser(), measure)

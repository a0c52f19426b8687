"""What a console is told while C code holds the GIL: for about five seconds, of a regular expression.

    python benchmarks/stuck.py [--python PATH] [--loop asyncio|uvloop]

Of the time in which the program was stuck: ticks a second that came in, the longest time without one, and how
many of them said that the poll runs, with what the last of them said of its elapsed time. Then what the
stall is called in the end.
"""

from __future__ import annotations

import argparse
import sys
from itertools import pairwise
from pathlib import Path
from time import sleep
from typing import Any

from measuring import HERE, Cell, Failed, Table, arguments, environment, main, reader
from ways import C_CORE, PYTHON_CORE, Way, running, version

TICKS_TARGET = 4
_AFTERWARDS_S = 2
"""In which the stall's end is told."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = arguments(__doc__, rounds=1)
    found.add_argument("--python", default=sys.executable, metavar="PATH", help="an interpreter (this one)")
    found.add_argument("--loop", default="asyncio", choices=("asyncio", "uvloop"), help="an event loop")
    return found


def measure(options: argparse.Namespace) -> list[Table]:
    """A row for each core and round."""
    table = Table(f"Stuck on {options.loop}, Python {version(options.python)}: while C code holds the GIL")
    with environment() as env:
        for way in (C_CORE, PYTHON_CORE):
            for _ in range(options.rounds):
                try:
                    table.rows.append({"way": way.name, **_told(way, options, env)})
                except Failed as failed:
                    table.rows.append({"way": way.name, "stuck, s": table.note(failed.reason)})
                    break
    return [table]


def _told(way: Way, options: argparse.Namespace, env: dict[str, str]) -> dict[str, Cell]:
    with running(way, options.python, options.loop, "stuck_program.py", env=env) as program:
        with reader(program, env) as console:
            program.go_on()
            really = program.hear()
            sleep(_AFTERWARDS_S)
            console.go_on()
            return _compared(really, console.hear())


def _compared(really: dict[str, int], told: dict[str, Any]) -> dict[str, Cell]:
    began, ended = really["began"], really["ended"]
    ticks = [tick for tick in told["ticks"] if began < tick[1] < ended]
    # From the last one before to the first one after: whole intervals, so that four a second are four.
    arrivals = [
        max(arrived for _, arrived, _, _ in told["ticks"] if arrived <= began),
        *(arrived for _, arrived, _, _ in ticks),
        min(arrived for _, arrived, _, _ in told["ticks"] if arrived >= ended),
    ]
    shown = [(at - since) / 1e9 for at, _, name, since in ticks if name == "stuck"]
    stalls = [stall for stall in told["stalls"].values() if stall["name"] == "stuck"]
    cells: dict[str, Cell] = {
        "stuck, s": (ended - began) / 1e9,
        "ticks a second": (len(arrivals) - 1) * 1e9 / (arrivals[-1] - arrivals[0]),
        "target": f">= {TICKS_TARGET}",
        "longest silence, s": max(b - a for a, b in pairwise(arrivals)) / 1e9,
        "ticks that show the poll": f"{len(shown)} of {len(ticks)}",
        "elapsed shown, s": shown[-1] if shown else "",
    }
    for stall in stalls:
        lines = [line for _, file, line in stall["stack"] if Path(file).parent == HERE]
        cells |= {
            "stall, s": stall["duration_ns"] / 1e9,
            "cause": stall["cause"],
            "line": "right" if lines[-1:] == [really["line"]] else f"{lines[-1:]}, not {really['line']}",
        }
    return cells


if __name__ == "__main__":
    main(parser(), measure)

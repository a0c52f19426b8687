"""A web server under load: its requests per second and their latency against the plain server's.

    python benchmarks/web.py [--others] [--python PATH]... [--loop asyncio|uvloop]... [--seconds N]

aiohttp answers "hello" to wrk, which keeps sixteen connections busy. Rounds and ratios are those of
`overhead.py`. Needs wrk, which is in Debian, and a core for it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys

from measuring import Failed, Table, arguments, environment, main
from overhead import C_TARGETS, with_programs
from ways import C_CONSOLE, OTHERS, OURS, PLAIN, Way, alternate, running, version

RATE_TARGET, P99_TARGET = 0.98, 1.02
_WARM_UP_S = 1
_CONNECTIONS = 16
_UNIT_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = with_programs(arguments(__doc__, rounds=7))
    found.add_argument("--seconds", type=int, default=5, help="how long each is under load (%(default)s)")
    return found


def measure(options: argparse.Namespace) -> list[Table]:
    """For each interpreter and loop, a row for each way."""
    ways = [PLAIN, *OURS, *(OTHERS if options.others else ())]
    tables = []
    with environment() as env:
        for python in options.python or [sys.executable]:
            for loop in options.loop or C_TARGETS:
                tables.append(_of_loop(ways, options, python, loop, env))
    return tables


def _of_loop(
    ways: list[Way], options: argparse.Namespace, python: str, loop: str, env: dict[str, str]
) -> Table:
    def load(way: Way) -> dict[str, float]:
        with running(way, python, loop, "web_program.py", env=env) as program:
            program.go_on()
            url = program.hear()
            wrk(url, _WARM_UP_S)
            return wrk(url, options.seconds)

    runs = alternate(ways, options.rounds, load)
    table = Table(
        f"aiohttp under wrk on {loop}, Python {version(python)}: the plain server's, and ratios to it"
    )
    table.rows.append(
        {
            "way": "plain",
            "requests/s": runs.of(PLAIN, "rate", table),
            "target": "",
            "p99 latency, ms": runs.of(PLAIN, "p99", table),
        }
    )
    for way in ways[1:]:
        held = way is C_CONSOLE
        table.rows.append(
            {
                "way": way.title,
                "requests/s": runs.ratio(way, "rate", table),
                "target": f">= {RATE_TARGET:.2f}" if held else "",
                "p99 latency, ms": runs.ratio(way, "p99", table),
                "p99's target": f"<= {P99_TARGET:.2f}" if held else "",
            }
        )
    return table


def wrk(url: str, seconds: int) -> dict[str, float]:
    """Requests per second, and milliseconds within which 99 of 100 were answered. `Failed` where some were
    not."""
    command = ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "--latency", url]
    if shutil.which("wrk") is None:
        raise Failed("wrk is missing: apt-get install wrk")
    said = subprocess.check_output(command, text=True)
    wrong = re.search(r"^\s*((Non-2xx|Socket errors).*)$", said, re.MULTILINE)
    rate = re.search(r"^Requests/sec:\s+([\d.]+)$", said, re.MULTILINE)
    p99 = re.search(r"^\s+99%\s+([\d.]+)(\w+)$", said, re.MULTILINE)
    if wrong or rate is None or p99 is None or not float(rate[1]):
        raise Failed(wrong[1] if wrong else "no request was answered")
    return {"rate": float(rate[1]), "p99": float(p99[1]) * _UNIT_MS[p99[2]]}


if __name__ == "__main__":
    main(parser(), measure)

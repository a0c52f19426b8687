"""Every benchmark. `make bench` runs them briefly; for figures to keep:

    python benchmarks --write --others [--rounds N] [--python PATH]... [--loop asyncio|uvloop]...

`--write` puts the tables into RESULTS.md, and the first interpreter's overhead beside others into the
project's README. See README.md for what they mean.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from types import ModuleType

import burst
import console
import delay
import display
import install
import memory
import overhead
import recording
import stuck
import web
from measuring import HERE, Table, arguments, show

_HEAD = f"""# Results

Measured by the scripts of this folder, on {os.cpu_count()} shared cores. What each figure means is in
[README.md](README.md). Where no core is named it is the one that a program gets: C where it was built.
"""


def _measure(options: argparse.Namespace) -> Iterator[Table]:
    def rounds(at_least: int = 1) -> str:
        return f"--rounds={max(options.rounds, at_least)}"

    def shared(whole: float) -> str:
        return str(max(1, int(whole * options.share)))

    loops = [f"--loop={loop}" for loop in options.loop]
    pythons = [f"--python={python}" for python in options.python]
    first = pythons[:1]
    others = ["--others"] if options.others else []

    yield from _tables(install, rounds(15))
    yield from _tables(console, rounds(9))
    yield from _tables(display, rounds(5), f"--seconds={shared(20)}")
    yield from _tables(recording, f"--gigabytes={options.share}", f"--seconds={shared(20)}")
    yield from _tables(burst, rounds())
    yield from _tables(stuck, *first)
    yield from _tables(delay, rounds(), *first, f"--seconds={shared(20)}")
    yield from _tables(memory, "--rounds=1", *first, f"--tasks={shared(1e6)}", f"--through={shared(10e6)}")
    yield from _tables(web, rounds(), *pythons, *loops, *others, f"--seconds={shared(5)}")
    yield from _tables(overhead, rounds(), *pythons, *loops, *others, f"--share={options.share}")


def _tables(benchmark: ModuleType, *words: str) -> list[Table]:
    found: list[Table] = benchmark.measure(benchmark.parser().parse_args(words))
    return found


def _into_readme(table: Table) -> None:
    readme = HERE.parent / "README.md"
    before, begin, rest = readme.read_text().partition("<!-- overhead -->\n")
    _, end, after = rest.partition("<!-- end of overhead -->")
    _title, *lines = table.lines()
    shown = ["", f"{table.title}:", *lines]
    readme.write_text("".join([before, begin, *(line + "\n" for line in shown), end, after]))


def main() -> None:
    """The command line."""
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--write", action="store_true", help="put tables into RESULTS.md and README.md")
    parser.add_argument("--others", action="store_true", help="see overhead.py")
    parser.add_argument("--python", action="append", default=[], help="see overhead.py")
    parser.add_argument("--loop", action="append", default=[], help="see overhead.py")
    parser.add_argument("--share", type=float, default=1.0, help="how much of everything (%(default)s)")
    options = parser.parse_args()
    tables = list(_measure(options))
    if options.write:
        lines = [_HEAD, *(line for table in tables for line in table.lines())]
        (HERE / "RESULTS.md").write_text("\n".join(lines))
        _into_readme(next(table for table in tables if table.medians))
    show(tables, options.json)


if __name__ == "__main__":
    main()

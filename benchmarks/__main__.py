"""Every benchmark, briefly: `make bench`, or

    python benchmarks [--json] [--write] [--rounds N] [--python PATH]... [--loop asyncio|uvloop]...

`--write` also puts the tables into RESULTS.md, and the one of the overhead into the project's README.
See README.md for what they mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import burst
import console
import install
import overhead
from measuring import HERE, Table, arguments, show

_HEAD = f"""# Results

Measured by `python benchmarks --write`, on {os.cpu_count()} shared cores, with the pure-Python core.
What each figure means is in [README.md](README.md).
"""


def _measure(rounds: int, chosen: list[str]) -> Iterator[Table]:
    few = ["--rounds", str(rounds)]
    yield from install.measure(install.parser().parse_args(["--rounds", str(max(rounds, 15))]))
    yield from console.measure(console.parser().parse_args(["--rounds", str(max(rounds, 9))]))
    yield from burst.measure(burst.parser().parse_args(few))
    yield from overhead.measure(overhead.parser().parse_args([*few, *chosen]))


def _into_readme(table: Table) -> None:
    readme = HERE.parent / "README.md"
    before, begin, rest = readme.read_text().partition("<!-- overhead -->\n")
    _, end, after = rest.partition("<!-- end of overhead -->")
    _title, _blank, *lines = table.lines()
    readme.write_text("".join([before, begin, "\n", *(line + "\n" for line in lines), end, after]))


def main() -> None:
    """The command line."""
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/RESULTS.md too")
    parser.add_argument("--python", action="append", default=[], help="see overhead.py")
    parser.add_argument("--loop", action="append", default=[], help="see overhead.py")
    options = parser.parse_args()
    chosen = [f"--python={python}" for python in options.python] + [f"--loop={loop}" for loop in options.loop]
    tables = list(_measure(options.rounds, chosen))
    if options.write:
        lines = [_HEAD, *(line for table in tables for line in table.lines())]
        (HERE / "RESULTS.md").write_text("\n".join(lines))
        _into_readme(tables[-1])
    show(tables, options.json)


if __name__ == "__main__":
    main()

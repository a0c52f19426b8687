"""Make the comparison with other tools: run each scenario under each of them, judge it, write the pages.

    python -m docs.comparison [--python PYTHON] [--python315 COMMAND] [--again NAME ...] [--pages]

Run it at the top of the checkout. The tools are installed, as pinned in others.txt, and asynctop with them,
into a virtual environment under build/comparison; remove that to have today's asynctop installed anew. What
has been said is kept in results.json, and what is there is not run again, unless it is of the scenarios or
tools named after `--again`, or could not be. `--pages` runs nothing.

`COMMAND` runs a Python 3.15 that has sgrud and aiohttp, at the top of this checkout and in this machine's
process namespace: `python3.15`, or like `chroot TREE sh -c 'cd /checkout && exec python3.15 "$@"' -`.
Without it, what needs 3.15 stays as it was. All of them need the right to trace other processes.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from tests.scenarios.programs import SICK, program, truth

from .judging import Cell, judged
from .pages import write
from .results import Results
from .tools import HERE, PINS, TOOLS, Tool

ROOT = HERE.parent.parent
BUILD = ROOT / "build/comparison"
AT_A_TIME = 6
_MUTES = ("logging.disable()", 'warnings.simplefilter("ignore")')
"""With these some programs silence Python, as happens in production: here they are left out."""


def install(python: str) -> str:
    """The interpreter of an environment with asynctop and the tools, made unless it is there."""
    own = BUILD / "venv/bin/python"
    wanted = [f"{tool.package}=={PINS[tool.package]}" for tool in TOOLS if tool.package and not tool.newest]
    done = BUILD / "venv/installed"
    if not done.exists() or done.read_text() != " ".join(wanted):
        pip = (own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        subprocess.run([python, "-m", "venv", "--clear", str(BUILD / "venv")], check=True)
        subprocess.run([*pip, f"{ROOT}[console,demos]", *wanted], check=True)
        done.write_text(" ".join(wanted))
    return str(own)


def source(health: str, name: str) -> Path:
    """Where a scenario's program stands, relative to the checkout. Nothing in it is silenced."""
    text = program(health, name)
    for mute in _MUTES:
        text = text.replace(f"    {mute}", "    pass")
    path = BUILD / "programs" / health / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text("utf-8") != text:  # others may be reading it
        path.write_text(text, "utf-8")
    return path.relative_to(ROOT)


def run(tool: Tool, command: Sequence[str], health: str, name: str) -> Cell:
    """One program under one tool."""
    place = truth(name).place if health == "sick" else f"{name}.py:0"
    assert place, f"{name}: no line is marked"
    observe = str((HERE / "observe.py").relative_to(ROOT))
    with TemporaryDirectory(dir=BUILD) as scratch:
        arguments = (observe, tool.key, str(source(health, name)), str(Path(scratch).relative_to(ROOT)))
        done = subprocess.run(
            [*command, *arguments],
            cwd=ROOT,
            env={key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
            capture_output=True,
            text=True,
        )
    if done.returncode:
        print(f"{name} under {tool.name}: {done.stderr}", file=sys.stderr)
        return Cell("failed", quote=(done.stderr.strip().splitlines() or [""])[-1])
    return judged(tool.own(json.loads(done.stdout)), place, tool.complains)


def main() -> None:
    """Run what is to be run, and write the pages."""
    parser = argparse.ArgumentParser(prog="python -m docs.comparison")
    parser.add_argument(
        "--python", default=sys.executable, help="3.12 or 3.13: what all tools but 3.15's can"
    )
    parser.add_argument("--python315", type=shlex.split, help="a command that runs Python 3.15")
    parser.add_argument("--again", nargs="*", default=[], help="scenarios and tools")
    parser.add_argument(
        "--pages", action="store_true", help="only write the pages, from what was said before"
    )
    options = parser.parse_args()
    results = Results.read()
    if not options.pages:
        BUILD.mkdir(parents=True, exist_ok=True)
        commands = {False: [install(options.python)], True: options.python315}
        results.versions |= {
            str(newest): subprocess.check_output(
                [*command, "-c", "import platform; print(platform.python_version())"], text=True
            ).strip()
            for newest, command in commands.items()
            if command
        }
        saving = Lock()

        def fill(cell: tuple[str, str, Tool]) -> None:
            health, name, tool = cell
            found = run(tool, commands[tool.newest], health, name)
            with saving:
                results.put(health, name, tool.key, found)
                results.write()

        for health in ("sick", "healthy"):
            cells = [
                (health, name, tool)
                for name in SICK
                for tool in TOOLS
                if (health == "sick" or results.complained(name, tool.key)) and commands[tool.newest]
                if not results.has(health, name, tool.key) or {name, tool.key} & set(options.again)
            ]
            with ThreadPoolExecutor(AT_A_TIME) as pool:
                list(pool.map(fill, cells))
    write(results)


if __name__ == "__main__":
    main()

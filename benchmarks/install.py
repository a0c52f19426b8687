"""What `import asynctop; asynctop.install()` adds to a running program: milliseconds, and modules.

    python benchmarks/install.py

In a running loop of a fresh interpreter that has imported asyncio, as every program with a loop has. The
last column is the whole program's time against the same program without those two lines, its end included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from time import perf_counter
from typing import Any

from measuring import Spread, Table, arguments, environment, main

TARGET_MS = 60
_OURS = {"asynctop", "asynctop_protocol"}

_PLAIN = "import asyncio, json\nasync def main(): print(json.dumps({}))\nasyncio.run(main())"
_INSTALLED = """
import asyncio, json, sys
from time import perf_counter

async def main():
    before = set(sys.modules)
    began = perf_counter()
    import asynctop
    imported = perf_counter()
    asynctop.install()
    ended = perf_counter()
    added = sorted(set(sys.modules) - before)
    print(json.dumps({"import": imported - began, "install": ended - imported, "modules": added}))

asyncio.run(main())
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    return arguments(__doc__, rounds=15)


def measure(options: argparse.Namespace) -> list[Table]:
    """Times and modules."""
    told = []
    added_ms = []
    with environment() as env:
        for number in range(options.rounds + 1):
            plain_s, _ = _run(_PLAIN, env)
            installed_s, found = _run(_INSTALLED, env)
            if number:  # the first round fills the caches
                told.append(found)
                added_ms.append((installed_s - plain_s) * 1000)
    times = Table("Install: what two lines add to a running program, median (and quartiles)")
    times.rows.append(
        {
            "import, ms": Spread.of([found["import"] * 1000 for found in told]),
            "install, ms": Spread.of([found["install"] * 1000 for found in told]),
            "both, ms": Spread.of([(found["import"] + found["install"]) * 1000 for found in told]),
            "target, ms": f"<= {TARGET_MS}",
            "whole program, ms": Spread.of(added_ms),
        }
    )
    modules = Table("Install: modules imported")
    for whose, names in _sorted(told[0]["modules"]).items():
        modules.rows.append(
            {"whose": whose, "modules": len(names), "packages": ", ".join(_packages(names)) or "none"}
        )
    return [times, modules]


def _run(code: str, env: dict[str, str]) -> tuple[float, dict[str, Any]]:
    began = perf_counter()
    said = subprocess.check_output([sys.executable, "-c", code], env=env)
    return perf_counter() - began, json.loads(said)


def _sorted(modules: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {
        "asynctop's own": [],
        "msgpack's": [],
        "the standard library's": [],
        "others": [],
    }
    for module in modules:
        package = module.partition(".")[0]
        if package in _OURS:
            found["asynctop's own"].append(module)
        elif package == "msgpack" or "cython" in package:  # what its C extension brings along
            found["msgpack's"].append(module)
        elif package in sys.stdlib_module_names:
            found["the standard library's"].append(module)
        else:
            found["others"].append(module)
    return found


def _packages(modules: list[str]) -> list[str]:
    return sorted({module.partition(".")[0] for module in modules})


if __name__ == "__main__":
    main(parser(), measure)

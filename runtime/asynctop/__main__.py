"""The command `asynctop`, and `python -m asynctop`.

`run` is the runtime's own and needs nothing but msgpack; every other command is the console's, which may not
be installed here.
"""

from __future__ import annotations

import importlib
import sys

from asynctop.run import main as run

CONSOLE = "asynctop_console"
"""The one door from here to the console. It is opened by name, so that the runtime depends on nothing behind
it."""


def main() -> int:
    """Returns the exit status."""
    words = sys.argv[1:]
    if words[:1] == ["run"]:
        return run(words[1:])
    try:
        cli = importlib.import_module(f"{CONSOLE}.cli")
    except ModuleNotFoundError as error:
        print(
            f"asynctop: expected the console to be installed, found no {error.name}: "
            "pip install 'asynctop[console]'",
            file=sys.stderr,
        )
        return 2
    status: int = cli.main(words)
    return status


if __name__ == "__main__":
    sys.exit(main())

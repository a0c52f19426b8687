"""aiohttp's own tests, from its source distribution, with asynctop and without.

    python harmless/aiohttp_suite.py [--core c|python] [--debug] [MODULE ...]

A client and a server, most of them on asyncio's loop and some on uvloop's, with warnings as errors. As in
`cpython.py`, each test must come to the same end both ways; exit status 1 where one does not. What aiohttp
itself runs only when asked to (autobahn's containers, its developers' own) is left out here too.
"""

from __future__ import annotations

import sys

from comparing import arguments
from sdist import Sdist

AIOHTTP = Sdist(
    "aiohttp",
    "3.14.5",
    parts=("tests", "requirements", "pytest.ini"),
    requirements=("--requirement=requirements/test.txt",),
    runner="pytest",
)
ALLOWED: dict[str, str] = {}


def main() -> int:
    """Run what the command line asks for."""
    return AIOHTTP.compare(arguments(__doc__), allowed=ALLOWED)


if __name__ == "__main__":
    sys.exit(main())

"""uvloop's own tests, from its source distribution, with asynctop and without.

    python harmless/uvloop_suite.py [--core c|python] [--debug] [MODULE ...]

They test asyncio's loop beside uvloop's. As in `cpython.py`, each test must come to the same end both ways;
exit status 1 where one does not.
"""

from __future__ import annotations

import sys

from comparing import arguments
from sdist import Sdist

UVLOOP = Sdist("uvloop", "0.23.0", parts=("tests",), requirements=("uvloop[test]",))
SOURCES = ("test_sourcecode",)
"""They lint uvloop's sources and run none of them."""

ALLOWED: dict[str, str] = {}


def main() -> int:
    """Run what the command line asks for."""
    return UVLOOP.compare(arguments(__doc__), left_out=SOURCES, allowed=ALLOWED)


if __name__ == "__main__":
    sys.exit(main())

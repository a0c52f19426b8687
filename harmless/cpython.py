"""CPython's own tests of asyncio, from this interpreter's standard library, with asynctop and without.

    python harmless/cpython.py [--core c|python] [--fast] [--debug] [MODULE ...]

Each module of `test.test_asyncio` runs in two processes of its own: a plain one, and one in which
`asynctop.install()` was called before anything else and to which a console is connected. Each test must come
to the same end in both. Exit status 1 where one does not.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from comparing import Suite, arguments, compare

PACKAGE = "test.test_asyncio"

FAST = (
    "test_base_events",
    "test_context",
    "test_eager_task_factory",
    "test_events",
    "test_futures",
    "test_futures2",
    "test_locks",
    "test_queues",
    "test_runners",
    "test_selector_events",
    "test_taskgroups",
    "test_tasks",
    "test_timeouts",
    "test_unix_events",
)
"""Loops, handles, tasks and what is made of them."""

ALLOWED: dict[str, str] = {}


def main() -> int:
    """Run what the command line asks for."""
    parser = arguments(__doc__)
    parser.add_argument("--fast", action="store_true", help="loops, handles and tasks only")
    options = parser.parse_args()
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        parser.error(
            f"expected the tests of the standard library, found no {PACKAGE}: some distributions keep them in"
            " a package of their own (libpython3-testsuite on Debian): install it"
        )
    there = sorted(path.stem for path in Path(spec.submodule_search_locations[0]).glob("test_*.py"))
    wanted = options.modules or ([name for name in there if name in FAST] if options.fast else there)
    if unknown := set(wanted) - set(there):
        parser.error(f"expected modules of {PACKAGE}, found {', '.join(sorted(unknown))}")
    suite = Suite(
        f"CPython {sys.version.partition(' ')[0]}, {PACKAGE}",
        Path(sys.executable),
        [f"{PACKAGE}.{name}" for name in wanted],
        ALLOWED,
    )
    return compare(suite, options.core, debug=options.debug)


if __name__ == "__main__":
    sys.exit(main())

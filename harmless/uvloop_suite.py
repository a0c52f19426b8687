"""uvloop's own tests, from its source distribution, with asynctop and without.

    python harmless/uvloop_suite.py [--core c|python] [--debug] [MODULE ...]

They test asyncio's loop beside uvloop's. As in `cpython.py`, each test must come to the same end both ways;
exit status 1 where one does not. uvloop, the requirements of its tests and asynctop as it is here are
installed in a virtual environment under build/, for this interpreter's version.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

from comparing import Suite, arguments, compare

UVLOOP = "0.23.0"
ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("test_sourcecode",)
"""They lint uvloop's sources and run none of them."""

ALLOWED: dict[str, str] = {}


def prepared() -> Path:
    """The folder with the environment `venv` and the package `tests`, made where it is not there yet."""
    folder = ROOT / "build" / "harmless" / "uvloop-{}-{}.{}".format(UVLOOP, *sys.version_info)
    complete = folder / "complete"
    if not complete.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder / "venv"], check=True)
        pip(folder, "install", f"uvloop[test]=={UVLOOP}", "msgpack", "--only-binary=uvloop")
        pip(folder, "download", f"uvloop=={UVLOOP}", "--no-deps", "--no-binary=uvloop", "--dest", str(folder))
        (archive,) = folder.glob("uvloop-*.tar.gz")
        with tarfile.open(archive) as contents:
            inside = f"{archive.name.removesuffix('.tar.gz')}/"
            for member in contents.getmembers():
                if member.name.startswith(f"{inside}tests/"):
                    member.name = member.name.removeprefix(inside)
                    contents.extract(member, folder, filter="data")
        complete.touch()
    pip(folder, "install", str(ROOT), "--no-deps", "--force-reinstall")
    return folder


def pip(folder: Path, *words: str) -> None:
    """Run the environment's pip."""
    python = folder / "venv" / "bin" / "python"
    options = ("--quiet", "--disable-pip-version-check")
    subprocess.run([python, "-m", "pip", *words, *options], check=True)


def main() -> int:
    """Run what the command line asks for."""
    parser = arguments(__doc__)
    options = parser.parse_args()
    folder = prepared()
    there = sorted({path.stem for path in (folder / "tests").glob("test_*.py")} - set(SOURCES))
    if unknown := set(options.modules) - set(there):
        parser.error(f"expected test modules of uvloop, found {', '.join(sorted(unknown))}")
    suite = Suite(
        f"uvloop {UVLOOP} on CPython {sys.version.partition(' ')[0]}",
        folder / "venv" / "bin" / "python",
        [f"tests.{name}" for name in options.modules or there],
        ALLOWED,
        {"PYTHONPATH": str(folder)},
    )
    return compare(suite, options.core, debug=options.debug)


if __name__ == "__main__":
    sys.exit(main())

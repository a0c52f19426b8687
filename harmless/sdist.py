"""A project's own tests, from its source distribution, in a virtual environment of their own.

Both are kept under build/, for this interpreter's version.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from comparing import Suite, compare

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Sdist:
    """What to install, and what of it to run."""

    project: str
    version: str
    parts: Sequence[str]
    """What is needed of the archive: files and folders at its top, with the tests in `tests`."""
    requirements: Sequence[str]
    """What else the tests need, as words for pip, with paths as in the archive."""
    runner: str = "unittest"

    def compare(
        self, parser: argparse.ArgumentParser, allowed: Mapping[str, str], left_out: Sequence[str] = ()
    ) -> int:
        """Run what the command line asks for. Returns the exit status."""
        options = parser.parse_args()
        folder = self._prepared()
        there = sorted({path.stem for path in (folder / "tests").glob("test_*.py")} - set(left_out))
        if unknown := set(options.modules) - set(there):
            parser.error(f"expected test modules of {self.project}, found {', '.join(sorted(unknown))}")
        suite = Suite(
            f"{self.project} {self.version} on CPython {sys.version.partition(' ')[0]}",
            _python(folder),
            [f"tests.{name}" for name in options.modules or there],
            allowed,
            {"PYTHONPATH": str(folder)},
            self.runner,
        )
        return compare(suite, options.core, debug=options.debug)

    def _prepared(self) -> Path:
        """The folder with the environment `venv` and the tests, made where it is not there yet."""
        name, pinned = f"{self.project}-{self.version}", f"{self.project}=={self.version}"
        folder = ROOT / "build" / "harmless" / "{}-{}.{}".format(name, *sys.version_info)
        complete = folder / "complete"
        if not complete.exists():
            folder.mkdir(parents=True, exist_ok=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder / "venv"], check=True)
            _pip(folder, "download", pinned, "--no-deps", f"--no-binary={self.project}")
            with tarfile.open(folder / f"{name}.tar.gz") as contents:
                for member in contents.getmembers():
                    member.name = member.name.removeprefix(f"{name}/")
                    if member.name.partition("/")[0] in self.parts:
                        contents.extract(member, folder, filter="data")
            words = (pinned, "msgpack", *self.requirements, f"--only-binary={self.project}")
            _pip(folder, "install", *words)
            complete.touch()
        _pip(folder, "install", str(ROOT), "--no-deps", "--force-reinstall")
        return folder


def _python(folder: Path) -> Path:
    return folder / "venv" / "bin" / "python"


def _pip(folder: Path, *words: str) -> None:
    """Run the environment's pip."""
    options = ("--quiet", "--disable-pip-version-check")
    subprocess.run([_python(folder), "-m", "pip", *words, *options], cwd=folder, check=True)

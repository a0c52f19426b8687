"""The runtime's tests with the C core under AddressSanitizer and UndefinedBehaviorSanitizer.

    python harmless/sanitize.py [PYTEST-OPTION...]

The extension is built with gcc into a temporary copy of the runtime; the one in the tree stays as it is. The
exit status is pytest's; a test that makes the core touch freed memory ends the run with a report.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]


def build(runtime: Path) -> None:
    """Build the extension in a copy of the runtime."""
    native = runtime / "asynctop" / "core" / "native"
    for stale in native.glob("*.so"):
        stale.unlink()
    target = native / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = f"-I{sysconfig.get_paths()['include']}"
    sources = sorted(map(str, native.glob("*.c")))
    subprocess.run(["gcc", *FLAGS, *SANITIZERS, include, *sources, "-o", str(target)], check=True)


def environment(runtime: Path) -> dict[str, str]:
    """What a Python needs that is not itself built with the sanitizers."""
    libraries = [_library(name) for name in ("libasan.so", "libubsan.so")]
    packages = [runtime, *(ROOT / name for name in ("protocol", "console", "demos"))]
    return os.environ | {
        "ASYNCTOP_TEST_CORES": "c",
        "LD_PRELOAD": " ".join(libraries),
        "PYTHONMALLOC": "malloc",  # else the sanitizer takes an arena for one block
        "PYTHONPATH": os.pathsep.join(map(str, packages)),
        "ASAN_OPTIONS": "detect_leaks=0",  # CPython itself does not free everything; see test_leaks.py
    }


def _library(name: str) -> str:
    found = subprocess.run(["gcc", f"-print-file-name={name}"], check=True, capture_output=True, text=True)
    return found.stdout.strip()


def main() -> int:
    """Build, and test. Returns the exit status."""
    if shutil.which("gcc") is None:
        print("sanitize: gcc is missing, and its sanitizers are needed: install it", file=sys.stderr)
        return 2
    # Ended by `kill` as by Ctrl-C: with the tests, and the temporary copy.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="asynctop-sanitize-") as scratch:
        runtime = Path(scratch) / "runtime"
        shutil.copytree(ROOT / "runtime", runtime)
        build(runtime)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/runtime",
            *sys.argv[1:],
        ]
        return subprocess.run(command, cwd=ROOT, env=environment(runtime), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

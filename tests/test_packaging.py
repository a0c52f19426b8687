"""The build: wheels with and without a C compiler, and what is in them."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.source_tree

ROOT = Path(__file__).parent.parent
NATIVE = "asynctop/core/native"


def build(target: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Build an archive of the source tree into `folder`, as build tools do."""
    inherited = {name: value for name, value in os.environ.items() if name != "ASYNCTOP_BUILD_C"}
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    return subprocess.run(command, cwd=ROOT, env=inherited | environment, capture_output=True, text=True)


def lines(done: subprocess.CompletedProcess[str], word: str) -> list[str]:
    return [line for line in (done.stdout + done.stderr).splitlines() if word in line]


def test_the_wheel_says_what_is_in_it(tmp_path: Path) -> None:
    done = build("wheel", tmp_path)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.iterdir()
    pure = wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    extension = f"{NATIVE}/_native{sysconfig.get_config_var('EXT_SUFFIX')}"
    assert [name for name in names if name.endswith(".so")] == ([] if pure else [extension])
    assert bool(lines(done, "slower Python core")) is pure
    assert [name for name in names if name.endswith((".c", ".h"))] == []
    assert {f"{NATIVE}/__init__.py", f"{NATIVE}/_native.pyi", "asynctop/py.typed"} <= set(names)


def test_without_a_compiler_the_wheel_is_for_every_python_and_says_why(tmp_path: Path) -> None:
    done = build("wheel", tmp_path, CC="false")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.iterdir()
    assert wheel.name.endswith("-py3-none-any.whl")
    (line,) = lines(done, "slower Python core")
    assert "false" in line
    assert "C compiler" in line


def test_a_c_core_that_is_required_and_cannot_be_built_is_an_error(tmp_path: Path) -> None:
    done = build("wheel", tmp_path, CC="false", ASYNCTOP_BUILD_C="required")
    assert done.returncode != 0
    assert list(tmp_path.iterdir()) == []
    (line,) = lines(done, "required")
    assert "the C core cannot be built" in line


def test_a_wish_that_nobody_knows_is_an_error(tmp_path: Path) -> None:
    done = build("wheel", tmp_path, ASYNCTOP_BUILD_C="yes")
    assert done.returncode != 0
    assert lines(done, 'ASYNCTOP_BUILD_C is "yes"')


def test_the_source_distribution_can_build_the_extension(tmp_path: Path) -> None:
    done = build("sdist", tmp_path, CC="false")
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    folder = ROOT / "runtime" / NATIVE
    sources = {path.relative_to(ROOT).as_posix() for path in folder.iterdir() if path.suffix in {".c", ".h"}}
    assert sources
    assert sources | {"hatch_build.py", "pyproject.toml", "Makefile"} <= names
    assert [name for name in names if name.endswith(".so")] == []

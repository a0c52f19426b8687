"""Builds the C core, `asynctop.core.native._native`: into the wheel, or editable, into the tree.

Where that fails, the wheel has the Python core alone, and fits every Python. The environment variable
ASYNCTOP_BUILD_C=required makes it an error.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

MODULE = "asynctop.core.native._native"
FOLDER = Path("runtime/asynctop/core/native")
FLAGS = ["-std=c11", "-O2", "-fvisibility=hidden", "-pthread", "-Wall", "-Wextra"]
VARIABLE = "ASYNCTOP_BUILD_C"


class NotBuiltError(Exception):
    """There will be no C core; the text says why."""


class CustomBuildHook(BuildHookInterface[Any]):
    """What hatchling calls before it makes an archive, and after."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the extension and have it included. Exits with one line where it is required and fails."""
        if self.target_name != "wheel":
            return
        wanted = os.environ.get(VARIABLE, "")
        if wanted not in ("", "required"):
            self.app.abort(f'{VARIABLE} is "{wanted}": expected "required", or nothing')
        # Lives as long as the hook: the archive is made after this method.
        self._scratch = tempfile.TemporaryDirectory()
        with contextlib.chdir(self.root):
            if version == "editable":
                # A stale one must not outlive a failed build, nor one that a program runs be written over.
                installed = FOLDER / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"
                installed.unlink(missing_ok=True)
            try:
                built = _build(Path(self._scratch.name))
            except NotBuiltError as error:
                if wanted:
                    self.app.abort(f'{VARIABLE} is "required", but the C core cannot be built: {error}')
                self.app.display_warning(f"asynctop will use its slower Python core: {error}")
                return
            if version == "editable":
                shutil.copy(built, installed)
                return
        build_data["force_include"][str(built)] = f"asynctop/core/native/{built.name}"
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


def _build(scratch: Path) -> Path:
    """The extension, built in `scratch`. Raises NotBuiltError."""
    if sys.implementation.name != "cpython":
        raise NotBuiltError(f"it is for CPython, and this is {sys.implementation.name}")
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise NotBuiltError("it relies on the GIL, and this is a free-threaded Python")
    extension = Extension(
        MODULE,
        sorted(str(path) for path in FOLDER.glob("*.c")),
        extra_compile_args=FLAGS,
        extra_link_args=["-pthread"],
    )
    command = build_ext(Distribution({"ext_modules": [extension]}))
    command.build_lib = str(scratch)
    command.build_temp = str(scratch / "objects")
    try:
        command.ensure_finalized()
        command.run()
    except (BaseError, CCompilerError, OSError) as error:
        raise NotBuiltError(f"{_reason(error)} (are a C compiler and Python's headers installed?)") from error
    return Path(command.get_outputs()[0])


def _reason(error: BaseException) -> str:
    """In one line, without the compiler's thirty arguments. Its own words are on standard error already."""
    while error.__context__ is not None:
        error = error.__context__
    if isinstance(error, subprocess.CalledProcessError):
        return f"{error.cmd[0]} ended with status {error.returncode}"
    return " ".join(str(error).split())

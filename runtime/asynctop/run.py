"""`asynctop run`: run a program instrumented, and be `python` to it in every other respect.

The program gets its own `__main__`, `sys.argv` and `sys.path[0]`; its exit status, signals and tracebacks
are those of plain `python`, with none of our frames. What cannot be run at all (no such file, no such
module, a syntax error) is one line and status 2.
"""

from __future__ import annotations

import argparse
import builtins
import importlib.machinery
import io
import logging
import os
import runpy
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType, TracebackType
from typing import Any

import asynctop

HELP = """\
Run a program with its event loops instrumented, otherwise as `python` runs it.
Then open the console beside it: `asynctop`, in another terminal.
"""


class CannotRunError(Exception):
    """There is nothing that can be run; the text is one line for a person."""


def main(argv: Sequence[str]) -> int:
    """`asynctop run ARGV`. Returns the exit status where the program ends by itself, else raises what it
    raises."""
    options = _parser().parse_args(argv)
    words = [*([options.program] if options.program is not None else []), *options.arguments]
    if options.module is None and not words:
        return _refuse("expected a program to run: asynctop run app.py, or asynctop run -m module")
    try:
        if options.module is not None:
            code, module = _module(options.module, words)
        else:
            code, module = _script(words)
    except CannotRunError as error:
        return _refuse(str(error))
    if (reason := _instrument(options.stall_threshold / 1000)) is not None:
        return _refuse(reason)
    sys.modules["__main__"] = module
    _execute(code, module)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="asynctop run",
        description=HELP,
        usage="asynctop run [--stall-threshold MS] (PROGRAM | -m MODULE) [ARGUMENT ...]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--stall-threshold",
        metavar="MS",
        type=_milliseconds,
        default=asynctop.DEFAULT_STALL_THRESHOLD * 1000,
        help="milliseconds from which a single poll counts as a stall (default: %(default)g)",
    )
    parser.add_argument("-m", dest="module", metavar="MODULE", help="run a module, as `python -m` does")
    parser.add_argument(
        "program", nargs="?", metavar="PROGRAM", help="a file, or a directory or zip file with a __main__.py"
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENT", help="for the program")
    return parser


def _milliseconds(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 3_600_000:
        raise argparse.ArgumentTypeError(f"expected milliseconds between 1 and 3600000, found {text}")
    return value


def _refuse(reason: str) -> int:
    print(f"asynctop: {reason}", file=sys.stderr)
    return 2


def _instrument(stall_threshold: float) -> str | None:
    """Install; the reason where that did not work."""
    reasons = io.StringIO()
    logger = logging.getLogger("asynctop")
    handler = logging.StreamHandler(reasons)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        return None if asynctop.install(stall_threshold=stall_threshold) else reasons.getvalue().strip()
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


def _script(words: list[str]) -> tuple[CodeType, ModuleType]:
    """The code and the fresh `__main__` of a script, or of a directory or zip file that holds a
    `__main__.py`."""
    path = words[0]
    sys.argv = words
    if os.path.isdir(path) or path.endswith((".zip", ".pyz")):
        _first_on_path(path)
        return _main_of(path)
    try:
        with io.open_code(os.path.abspath(path)) as file:
            source = file.read()
    except OSError as error:
        raise CannotRunError(
            f"expected a program to run, found no readable file {path!r}: {error.strerror}"
        ) from None
    _first_on_path(os.path.dirname(os.path.realpath(path)))
    code = _compiled(source, path)
    loader = importlib.machinery.SourceFileLoader("__main__", path)
    return code, _fresh_main(
        __file__=path, __cached__=None, __loader__=loader, __package__=None, __spec__=None
    )


def _main_of(path: str) -> tuple[CodeType, ModuleType]:
    try:
        _, spec, code = runpy._get_main_module_details(CannotRunError)  # type: ignore[attr-defined]
    except CannotRunError:
        raise CannotRunError(f"expected a __main__.py in {path!r}, found none") from None
    return code, _main_from(spec)


def _module(name: str, words: list[str]) -> tuple[CodeType, ModuleType]:
    """The code and the fresh `__main__` of a module run by name."""
    _first_on_path(os.getcwd())
    sys.argv = ["-m", *words]
    try:
        _, spec, code = runpy._get_module_details(name, CannotRunError)  # type: ignore[attr-defined]
    except (CannotRunError, ImportError) as error:
        raise CannotRunError(f"expected a module to run, found none: {error}") from None
    except SyntaxError as error:
        raise CannotRunError(_syntax_error(error)) from None
    sys.argv[0] = spec.origin
    return code, _main_from(spec)


def _main_from(spec: importlib.machinery.ModuleSpec) -> ModuleType:
    return _fresh_main(
        __file__=spec.origin,
        __cached__=spec.cached,
        __loader__=spec.loader,
        __package__=spec.parent,
        __spec__=spec,
    )


def _compiled(source: bytes, path: str) -> CodeType:
    try:
        return compile(source, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise CannotRunError(_syntax_error(error)) from None
    except ValueError as error:  # null bytes
        raise CannotRunError(f"expected Python source in {path!r}, found something else: {error}") from None


def _syntax_error(error: SyntaxError) -> str:
    what = f"{type(error).__name__}: {error.msg}"
    return f"{error.filename}, line {error.lineno}: {what}; mend it, then run it again"


def _first_on_path(directory: str) -> None:
    """What `python` puts first on `sys.path` for this kind of program, in the place of what it put there for
    us."""
    if not sys.flags.safe_path:
        sys.path[0] = directory


def _fresh_main(**names: Any) -> ModuleType:
    module = ModuleType("__main__")
    vars(module).update(names, __builtins__=builtins)
    return module


def _execute(code: CodeType, module: ModuleType) -> None:
    try:
        exec(code, vars(module))
    except SystemExit:
        raise
    except BaseException as error:
        _hide_our_frames(error)
        raise


def _hide_our_frames(error: BaseException) -> None:
    """Let the interpreter report `error` itself, with all that goes with it, but with the program's part of
    the traceback."""
    theirs = error.__traceback__.tb_next if error.__traceback__ is not None else None
    hook = sys.excepthook

    def excepthook(kind: type[BaseException], value: BaseException, traceback: TracebackType | None) -> None:
        sys.excepthook = hook
        if value is error:
            traceback = theirs
            value = value.with_traceback(theirs)
        hook(kind, value, traceback)

    sys.excepthook = excepthook

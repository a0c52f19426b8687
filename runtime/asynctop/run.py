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
import math
import os
import pkgutil
import runpy
import sys
from collections.abc import Callable, Sequence
from functools import partial
from traceback import walk_tb
from types import CodeType, ModuleType, TracebackType
from typing import Any, NoReturn

import asynctop

HELP = """\
Run a program with its event loops instrumented, otherwise as `python` runs it.
Then open the console beside it: `asynctop`, in another terminal.
"""


CONSOLE_S = 30.0
"""How long a program waits for a console that was to watch it from the beginning."""


class CannotRunError(Exception):
    """There is nothing that can be run; the text is one line for a person."""


def main(argv: Sequence[str]) -> int:
    """`asynctop run ARGV`. Returns the exit status where the program ends by itself, else raises what it
    raises."""
    try:
        options = _parser().parse_args(argv)
        words: list[str] = options.module or options.program[options.program[:1] == ["--"] :]
        if not words:
            raise CannotRunError("expected a program to run: asynctop run app.py, or asynctop run -m module")
        run = _module(words[0], words[1:]) if options.module else _program(words)
        instrument(
            stall_threshold=options.stall_threshold / 1000,
            flight_recorder=options.flight_recorder,
            flight_limit=options.flight_limit / 1000,
        )
        if options.wait and not asynctop.await_console(CONSOLE_S):
            raise CannotRunError(
                f"expected a console within {CONSOLE_S:g} s, found none: start one meanwhile"
            )
        return _execute(run)
    except CannotRunError as error:
        print(f"asynctop: {error}", file=sys.stderr)
        return 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CannotRunError(f"{message} (`{self.prog} --help` says more)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="asynctop run",
        description=HELP,
        usage="asynctop run [OPTION ...] (PROGRAM | -m MODULE) [ARGUMENT ...]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--stall-threshold",
        metavar="MS",
        type=_milliseconds,
        default=asynctop.DEFAULT_STALL_THRESHOLD * 1000,
        help="milliseconds from which a single poll counts as a stall (default: %(default)g)",
    )
    parser.add_argument(
        "--flight-recorder",
        metavar="DIR",
        help="write the last polls of all tasks into a file there when a stall has lasted too long",
    )
    parser.add_argument(
        "--flight-limit",
        metavar="MS",
        type=_milliseconds,
        default=asynctop.DEFAULT_FLIGHT_LIMIT * 1000,
        help="how long that is, in milliseconds (default: %(default)g)",
    )
    parser.add_argument(
        "--wait",
        action="store_true",
        help="begin when a console watches, and end when it has seen everything",
    )
    # Both take everything that follows: options too are the program's.
    parser.add_argument(
        "-m",
        dest="module",
        nargs=argparse.REMAINDER,
        metavar="MODULE [ARGUMENT]",
        help="run a module, as `python -m` does",
    )
    parser.add_argument(
        "program",
        nargs=argparse.REMAINDER,
        metavar="PROGRAM [ARGUMENT]",
        help="a file, or a directory or zip file with a __main__.py",
    )
    return parser


def _milliseconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 1 <= value <= 3_600_000:
        raise argparse.ArgumentTypeError(f"expected milliseconds between 1 and 3600000, found {text!r}")
    return value


def instrument(**options: Any) -> None:
    """Call `install(**options)`. Raises CannotRunError where that does not work, with the reason."""
    reasons = io.StringIO()
    logger = logging.getLogger("asynctop")
    handler = logging.StreamHandler(reasons)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        if not asynctop.install(**options):
            raise CannotRunError(reasons.getvalue().strip())
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


def _program(words: list[str]) -> Callable[[], None]:
    """What runs a script, or a directory or zip file that holds a `__main__.py`."""
    sys.argv = words
    path = _absolute(words[0])
    if pkgutil.get_importer(path) is not None:
        _first_on_path(path)
        sys.modules["__main__"] = _fresh_main()
        return partial(runpy._run_module_as_main, "__main__", alter_argv=False)  # type: ignore[attr-defined]
    try:
        with io.open_code(path) as file:
            source = file.read()
    except OSError as error:
        found = f"found no readable file {words[0]!r}: {error.strerror}"
        raise CannotRunError(f"expected a program to run, {found}{_advice(words[0])}") from None
    code = _compiled(source, path)
    _first_on_path(os.path.dirname(os.path.realpath(path)))
    module = _fresh_main(__file__=path, __loader__=importlib.machinery.SourceFileLoader("__main__", path))
    sys.modules["__main__"] = module
    return partial(exec, code, vars(module))


def _advice(word: str) -> str:
    """What to give instead of a shell's command."""
    import shutil  # which loads much, and a program that runs is to have none of it

    command = shutil.which(word)
    if command is None:
        return ""
    if os.path.basename(word).startswith("python"):
        return f"; leave {word!r} out, a program runs with the Python that asynctop is installed for"
    return f"; a command is given by its module, as in -m {word}, or by its path: {command}"


def _module(name: str, words: list[str]) -> Callable[[], None]:
    """What runs a module by its name."""
    _first_on_path(os.getcwd())
    sys.argv = ["-m", *words]
    sys.modules["__main__"] = _fresh_main()
    return partial(runpy._run_module_as_main, name)  # type: ignore[attr-defined]


def _absolute(path: str) -> str:
    """As `python` makes it of the path of a script: not normalised, for links' sake."""
    return path if os.path.isabs(path) else os.path.join(os.getcwd(), path)


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
    vars(module).update({"__builtins__": builtins, "__cached__": None, **names})
    return module


def _execute(run: Callable[[], None]) -> int:
    """Run the program. Returns its exit status where it ends, or fails, by itself.

    SystemExit goes on to the interpreter, and so does KeyboardInterrupt, for which it ends itself by SIGINT.
    Raises CannotRunError where `runpy` has found nothing to run.
    """
    try:
        run()
        return 0
    except SystemExit as error:
        if isinstance(error.__context__, runpy._Error):  # type: ignore[attr-defined]
            raise CannotRunError(f"expected a module to run: {error.__context__}") from None
        raise
    except BaseException as error:
        if isinstance(error, SyntaxError) and not _began(error.__traceback__):
            raise CannotRunError(_syntax_error(error)) from None
        failure = error
    # No longer inside `except`: to the hook, and to what it raises, this exception is nobody's context.
    _report(failure, failure.__traceback__ and failure.__traceback__.tb_next)
    if type(failure) is KeyboardInterrupt:
        sys.excepthook = _say_nothing
        raise failure
    return 1


def _began(traceback: TracebackType | None) -> bool:
    """Whether code of the program has run: `runpy` was not still looking for it."""
    codes = [frame.f_code for frame, _ in walk_tb(traceback)]
    searched = runpy._run_module_as_main.__code__ in codes[1:2]  # type: ignore[attr-defined]
    return not searched or runpy._run_code.__code__ in codes  # type: ignore[attr-defined]


def _report(error: BaseException, traceback: TracebackType | None) -> None:
    """Do what the interpreter does with an exception that nobody caught, but show this traceback of it."""
    sys.last_type, sys.last_value, sys.last_traceback = (
        type(error),
        error.with_traceback(traceback),
        traceback,
    )
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    try:
        sys.excepthook(type(error), error, traceback)
    except SystemExit:
        raise
    except BaseException as failure:
        failed = failure
    else:
        return
    print("Error in sys.excepthook:", file=sys.stderr)
    theirs = failed.__traceback__ and failed.__traceback__.tb_next
    sys.__excepthook__(type(failed), failed.with_traceback(theirs), theirs)
    print("\nOriginal exception was:", file=sys.stderr)
    sys.__excepthook__(type(error), error, traceback)


def _say_nothing(*_: object) -> None:
    """An excepthook for what has been reported."""

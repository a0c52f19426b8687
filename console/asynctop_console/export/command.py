"""`asynctop export`: a recording, or a running program that is recorded for it, in another tool's form."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from asynctop_console.usage import UsageError, new_file, seconds

if TYPE_CHECKING:
    from asynctop_console.lints import Rule
    from asynctop_console.source.recording import Recording
    from asynctop_console.source.target import Target

_FORMS = ("perfetto", "speedscope", "csv", "json", "html")


def add_to(commands: argparse._SubParsersAction[Any]) -> None:
    """Let the command line know the command."""
    parser = commands.add_parser("export", help="turn a recording into what other tools read, or a report")
    parser.add_argument("target", metavar="TARGET", nargs="?", help="a recording, a pid, or a socket's path")
    parser.add_argument("--as", dest="form", required=True, choices=_FORMS, help="what to turn it into")
    parser.add_argument("-o", dest="file", metavar="FILE", help="a new file (standard output)")
    parser.add_argument("--table", metavar="NAME", help="which table is to be the csv (tasks)")
    parser.add_argument(
        "--for", dest="seconds", metavar="SECONDS", type=seconds, help="how long to record a program (1)"
    )


def run(
    arguments: argparse.Namespace, rules: tuple[Rule, ...], target_of: Callable[[str | None], Target]
) -> int:
    """Returns the exit status. TargetError where the target is not what it should be."""
    write = _writer(arguments.form, arguments.table, rules)
    traced = arguments.form == "perfetto"
    with _recording(arguments.target, arguments.seconds, target_of, traced=traced) as recording:
        if arguments.file is None:
            note = write(recording, sys.stdout)
        else:
            note = _to_file(Path(arguments.file), recording, write)
    if note:
        print(f"asynctop: {note}", file=sys.stderr)
    return 0


def _writer(form: str, table: str | None, rules: tuple[Rule, ...]) -> Callable[[Recording, TextIO], str]:
    """What writes a recording in a form, and returns what one should know about that, "" for nothing."""
    if table is not None and form != "csv":
        raise UsageError("--table is for --as csv")
    match form:
        case "perfetto":
            from asynctop_console.export import perfetto

            return perfetto.export
        case "speedscope":
            from asynctop_console.export import speedscope

            return speedscope.export
        case "csv":
            from asynctop_console.export import tables

            if table is not None and table not in tables.COLUMNS:
                raise UsageError(f"there is no table {table!r}, expected one of: {', '.join(tables.COLUMNS)}")
            return partial(tables.export_csv, rules=rules, table=table or "tasks")
        case "json":
            from asynctop_console.export import tables

            return partial(tables.export_json, rules=rules)
        case _:
            from asynctop_console.export import html

            return partial(html.export, rules=rules)


def _recording(
    text: str | None, length_s: float | None, target_of: Callable[[str | None], Target], *, traced: bool
) -> AbstractContextManager[Recording]:
    """What is to be exported."""
    from asynctop_console.source.recording import Recording, is_recording

    if text is None or not is_recording(text):
        return _recorded(target_of(text), 1.0 if length_s is None else length_s, traced=traced)
    if length_s is not None:
        raise UsageError("--for is for a running program: a recording is exported from end to end")
    return nullcontext(Recording(Path(text)))


@contextmanager
def _recorded(target: Target, length_s: float, *, traced: bool) -> Iterator[Recording]:
    """A recording of a running program, as long as somebody needs it."""
    from asynctop_console.record import record
    from asynctop_console.source.recording import Recording, Writer

    with tempfile.TemporaryDirectory(prefix="asynctop-") as folder:
        path = Path(folder, "recording")
        with path.open("xb") as file:
            asyncio.run(record(target, Writer(file), length_s, lambda progress: None, trace=traced))
        yield Recording(path)


def _to_file(path: Path, recording: Recording, write: Callable[[Recording, TextIO], str]) -> str:
    with new_file(path), path.open("x", encoding="utf-8", newline="") as out:
        try:
            return write(recording, out)
        except BaseException:
            path.unlink()  # half a file is of no use to anybody
            raise

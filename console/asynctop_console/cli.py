"""The command line.

Only what a command needs is imported when it runs: `asynctop ls` in a script should not wait for Textual.
All bad input ends as one line on standard error and exit status 2.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import gc
import json
import os
import signal
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from asynctop_console.clean import clean
from asynctop_console.clean import program as command
from asynctop_console.export import command as export
from asynctop_console.metrics import command as metrics
from asynctop_console.source.discover import Program, Successor, programs
from asynctop_console.source.link import greet
from asynctop_console.source.live import SocketSource, Source
from asynctop_console.source.target import INSTRUMENT, Target, TargetError, resolve
from asynctop_console.usage import UsageError, duration, new_file
from asynctop_console.usage import seconds as _seconds
from asynctop_protocol.messages import VERSION

if TYPE_CHECKING:
    from asynctop_console.lints import Rule
    from asynctop_console.model import Model
    from asynctop_console.settings import Settings

_BAD_INPUT = 2
_INTERRUPTED = 130
"""What a shell reports for a command ended by Ctrl-C: 128 and the number of SIGINT."""

_OPTIONAL = {
    **dict.fromkeys(("backports", "numpy", "rich", "shtab", "textual"), "console"),
    "opentelemetry": "otel",
    "prometheus_client": "prometheus",
}
"""Which extra installs what we import."""

SHELLS = ("bash", "zsh", "fish")
"""Those that `asynctop completion` knows."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (`{self.prog} --help` says more)")


def main(argv: list[str]) -> int:
    """Run the command in `argv`, which is without the program's name. Returns the exit status."""
    try:
        arguments = _parser().parse_args(argv)
        status = _run(arguments)
        if sys.stdout is not None:
            # Here and not at exit, where nobody could say in one line what went wrong.
            sys.stdout.flush()
        return status
    except (TargetError, UsageError) as error:
        return _complain(str(error))
    except ModuleNotFoundError as error:
        extra = _OPTIONAL.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        return _complain(f"{error.name} is missing: install it with `pip install 'asynctop[{extra}]'`")
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        _write_no_more()
        return 1  # the reader has seen enough
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _write_no_more()
        return _complain(f"cannot write to standard output: {error.strerror}")
    except SystemExit as exit_:  # --help and --version
        return exit_.code if isinstance(exit_.code, int) else 0


def _write_no_more() -> None:
    """Python would complain once more when it flushes standard output at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(text: str) -> int:
    print(f"asynctop: {text}", file=sys.stderr)
    return _BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="asynctop",
        description="top for async Python: every task of a running program, and the line that blocks its "
        "event loop. Without a command: open the console on the one program that is running.",
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    run = commands.add_parser(
        "run", help="run a program instrumented: asynctop run app.py, asynctop run -m module"
    )
    run.add_argument("arguments", nargs=argparse.REMAINDER)
    connect = commands.add_parser("connect", help="open the console on a running program")
    connect.add_argument("target", metavar="TARGET", help="a pid, the path of a socket, or a recording")
    checking = commands.add_parser(
        "check",
        usage="asynctop check [--max-poll TIME] [--fail-on LINT,...] [--for SECONDS] -- "
        "(PROGRAM | -m MODULE) [ARGUMENT ...]",
        help="run a program, and fail if anything is wrong in it: asynctop check -- app.py",
    )
    checking.add_argument(
        "--max-poll",
        metavar="TIME",
        type=duration,
        default=0.05,
        help="longest good poll, as 50ms or 0.1s (50ms)",
    )
    checking.add_argument(
        "--fail-on", metavar="LINT,...", type=lambda text: text.split(","), help="lints that count (all)"
    )
    checking.add_argument(
        "--for", dest="seconds", metavar="SECONDS", type=_seconds, help="end it after so long, by SIGTERM"
    )
    checking.add_argument(
        "-m", dest="module", nargs=argparse.REMAINDER, metavar="MODULE", help="run a module"
    )
    checking.add_argument("program", nargs=argparse.REMAINDER, metavar="PROGRAM", help="and its arguments")
    listing = commands.add_parser("ls", help="list the instrumented programs on this machine")
    listing.add_argument("--json", action="store_true", help="as JSON")
    snap = commands.add_parser("snapshot", help="observe a program for a while, then print what was seen")
    snap.add_argument("target", metavar="TARGET", nargs="?", help="a pid, or the path of a socket")
    snap.add_argument(
        "--for", dest="seconds", metavar="SECONDS", type=_seconds, default=1.0, help="how long (1)"
    )
    snap.add_argument("--json", action="store_true", help="everything, as JSON; without it a short report")
    recording = commands.add_parser("record", help="write what a program does into a file, to be replayed")
    recording.add_argument("target", metavar="TARGET", nargs="?", help="a pid, or the path of a socket")
    recording.add_argument("-o", dest="file", metavar="FILE", required=True, help="a new file")
    recording.add_argument(
        "--for", dest="seconds", metavar="SECONDS", type=_seconds, help="how long (until Ctrl-C)"
    )
    recording.add_argument("--trace", action="store_true", help="with every poll and wake of every task")
    replay = commands.add_parser("replay", help="open the console on a recording")
    replay.add_argument("file", metavar="FILE")
    replay.add_argument("--json", action="store_true", help="print the snapshot of a moment instead")
    replay.add_argument(
        "--at", metavar="SECONDS", type=_seconds, help="that moment, from the beginning (the end)"
    )
    export.add_to(commands)
    metrics.add_to(commands)
    demo = commands.add_parser("demo", help="run a program worth looking at, with the console beside it")
    demo.add_argument("name", metavar="NAME", nargs="?", default="slow-poll", help="which one (slow-poll)")
    demo.add_argument("--list", action="store_true", help="what there is")
    lints = commands.add_parser("lints", help="what is looked for, and how that is set")
    lints.add_argument("name", metavar="NAME", nargs="?", help="one of them, with what to do")
    lints.add_argument("--json", action="store_true", help="as JSON")
    complete = commands.add_parser("completion", help="print a script by which a shell completes these words")
    complete.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))
    return parser


def _version() -> str:
    protocol = f"protocol {VERSION[0]}.{VERSION[1]}"
    try:
        return f"asynctop {version('asynctop')} ({protocol})"
    except PackageNotFoundError:
        return f"asynctop, not installed ({protocol})"


def _run(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "run":
            raise UsageError("`run` belongs to the runtime: start it as `python -m asynctop run app.py`")
        case "check":
            words = ["-m", *arguments.module] if arguments.module else arguments.program
            return _check(words, arguments.max_poll, arguments.fail_on, arguments.seconds)
        case "ls":
            return _list(as_json=arguments.json)
        case "snapshot":
            return _snapshot(arguments.target, arguments.seconds, as_json=arguments.json)
        case "demo":
            return _demo(arguments.name, listing=arguments.list)
        case "lints":
            return _lints(arguments.name, as_json=arguments.json)
        case "completion":
            from asynctop_console.completion import completion

            print(completion(_parser(), arguments.shell))
            return 0
        case "record":
            return _record(arguments.target, Path(arguments.file), arguments.seconds, arguments.trace)
        case "replay":
            return _replay(arguments.file, as_json=arguments.json, seconds=arguments.at)
        case "export":
            return export.run(arguments, _rules(), _target)
        case "metrics":
            return metrics.run(arguments, _rules(), _target)
        case "connect" if _is_recording(arguments.target):
            return _replay(arguments.target)
        case "connect":
            settings = _settings()
            target = resolve(arguments.target, os.environ, os.getuid())
            # Asked before the screen opens: what is wrong with it can be said in one line.
            hello = asyncio.run(greet(target))
            return open_console(target, settings, Successor(hello, os.environ, os.getuid()))
        case _:
            settings = _settings()
            program = _only_one(wait=_on_terminal())
            if program is None:
                return open_console(None, settings, Successor(None, os.environ, os.getuid()))
            return open_console(program.target, settings, Successor(program.hello, os.environ, os.getuid()))


def _rules() -> tuple[Rule, ...]:
    """The lints as the user has set them."""
    return _settings().rules


def _settings() -> Settings:
    """What the user has set."""
    from asynctop_console.settings import SettingsError, read_settings

    try:
        return read_settings(os.environ)
    except SettingsError as error:
        raise UsageError(str(error)) from None


def _check(words: list[str], max_poll_s: float, fail_on: list[str] | None, seconds: float | None) -> int:
    rules = _rules()
    for name in fail_on or ():
        _expect_lint(name, rules)
    words = words[1:] if words[:1] == ["--"] else words
    if not words:
        raise UsageError(
            "expected a program to check: asynctop check -- app.py, or asynctop check -- -m module"
        )
    from asynctop_console.check import check, report, status

    outcome = asyncio.run(check(words, max_poll_s, seconds, rules))
    if isinstance(outcome, int):
        return outcome
    print(report(outcome, fail_on), file=sys.stderr)
    return status(outcome, fail_on)


def _expect_lint(name: str, rules: tuple[Rule, ...]) -> None:
    names = [rule.lint.name for rule in rules]
    if name not in names:
        raise UsageError(f"there is no lint {name!r}, expected one of: {', '.join(names)}")


def _list(*, as_json: bool) -> int:
    found = asyncio.run(programs(os.environ, os.getuid()))
    if as_json:
        print(json.dumps([_described(program) for program in found], indent=2))
    elif found:
        print(_table(found))
    else:
        print(f"No instrumented program is running. To see one here, {INSTRUMENT}.")
    return 0


def _described(program: Program) -> dict[str, object]:
    hello = program.hello
    return {
        "pid": program.target.pid,
        "state": program.state,
        "socket": program.target.path,
        "argv": hello.argv if hello else [],
        "python": hello.python if hello else None,
        "runtime": hello.runtime if hello else None,
        "problem": program.problem or None,
    }


def _table(found: list[Program]) -> str:
    lines = [f"{'PID':>7}  {'STATE':<8} {'PYTHON':<10} {'RUNTIME':<8} COMMAND"]
    for program in found:
        hello = program.hello
        python, runtime = (hello.python, hello.runtime) if hello else ("", "")
        says = command(hello.argv) if hello else program.problem
        lines.append(
            f"{program.target.pid:>7}  {program.state:<8} {python:<10} {runtime:<8} {clean(says, 120)}"
        )
    return "\n".join(lines)


def _snapshot(text: str | None, seconds: float, *, as_json: bool) -> int:
    from asynctop_console.lints import check_all, lasting
    from asynctop_console.observe import observe
    from asynctop_console.report import report
    from asynctop_console.snapshot import snapshot

    rules = lasting(_rules())
    target = _target(text)

    def looked(model: Model) -> None:
        check_all(model, rules)

    model = asyncio.run(observe(SocketSource(target), seconds, looked=looked))
    print(json.dumps(snapshot(model, rules)) if as_json else report(model, rules))
    return 0


def _target(text: str | None) -> Target:
    """The one that is named, or the only one there is."""
    program = _only_one() if text is None else None
    return program.target if program else resolve(text or "", os.environ, os.getuid())


def _is_recording(text: str) -> bool:
    from asynctop_console.source.recording import is_recording

    return is_recording(text)


def _record(text: str | None, path: Path, seconds: float | None, trace: bool) -> int:
    target = _target(text)
    from asynctop_console.record import Progress, record
    from asynctop_console.source.recording import Writer

    def tell(progress: Progress, end: str = "") -> None:
        if end or sys.stderr.isatty():
            said = f"{progress.seconds:,.0f} s, {progress.written / 1e6:,.1f} MB"
            said += f", {progress.polls:,} polls" if trace else ""
            said += f" ({progress.lost:,} more dropped)" if progress.lost else ""
            print(f"\r{said} {end or 'recorded, Ctrl-C to stop'} ", end="\n" if end else "", file=sys.stderr)

    with new_file(path), path.open("xb") as file:
        writer = Writer(file)
        try:
            progress, why = asyncio.run(record(target, writer, seconds, tell, trace=trace))
        finally:
            if not writer.written:
                path.unlink()
    tell(progress, f"in {path}: {why}")
    return 0


def _replay(text: str, *, as_json: bool = False, seconds: float | None = None) -> int:
    from asynctop_console.source.recording import Recording
    from asynctop_console.source.replay import ReplaySource

    settings = _settings()
    recording = Recording(Path(text))
    if as_json:
        from asynctop_console.observe import replayed
        from asynctop_console.snapshot import snapshot

        at_ns = recording.until_ns if seconds is None else recording.from_ns + int(seconds * 1e9)
        print(json.dumps(snapshot(replayed(recording, at_ns), settings.rules)))
        return 0
    if seconds is not None:
        raise UsageError("--at is for --json: in the console, ] and [ wind a recording")
    return _show(ReplaySource(recording), text, settings)


def _lints(name: str | None, *, as_json: bool) -> int:
    rules = _rules()
    from asynctop_console.catalogue import catalogue, described, page

    if name is not None:
        _expect_lint(name, rules)
    chosen = [rule for rule in rules if name in (None, rule.lint.name)]
    if as_json:
        print(json.dumps([described(rule) for rule in chosen], indent=2))
    else:
        print(page(chosen[0]) if name else catalogue(chosen))
    return 0


def _demo(name: str, *, listing: bool) -> int:
    from asynctop_console.demo import playing
    from asynctop_demos import DEMOS

    if listing:
        width = max(map(len, DEMOS))
        for demo in DEMOS.values():
            print(f"{demo.name:<{width}}  {demo.summary}")
        return 0
    if name not in DEMOS:
        raise UsageError(f"there is no demo {name!r}, expected one of: {', '.join(DEMOS)}")
    settings = _settings()
    _need_terminal()
    with playing(DEMOS[name]) as target:
        return open_console(target, settings)


def _only_one(*, wait: bool = False) -> Program | None:
    """The one program that runs; with `wait`, None where there is none yet."""
    found = asyncio.run(programs(os.environ, os.getuid()))
    running = [program for program in found if program.state == "running"]
    if len(running) == 1:
        return running[0]
    if found:
        print(_table(found))
        raise UsageError("name the program: `asynctop connect PID`, `asynctop snapshot PID`")
    if wait:
        return None
    raise TargetError(f"no instrumented program is running: {INSTRUMENT}")


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _need_terminal() -> None:
    if not _on_terminal():
        raise UsageError("the console needs a terminal: use `asynctop snapshot` where there is none")


def open_console(target: Target | None, settings: Settings, successor: Successor | None = None) -> int:
    """Show the screens until the user has seen enough; without a target, of the first that `successor` finds.

    Returns the exit status.
    """
    return _show(SocketSource(target) if target else None, str(target or ""), settings, successor)


def _show(source: Source | None, target: str, settings: Settings, successor: Successor | None = None) -> int:
    _need_terminal()
    from asynctop_console.memory import Memory, memory_path
    from asynctop_console.views.app import ConsoleApp
    from asynctop_console.views.glyphs import only_ascii
    from asynctop_console.views.keymap import Keymap

    # Textual draws on standard error.
    plain = only_ascii(os.environ, sys.__stderr__.encoding if sys.__stderr__ else None)
    app = ConsoleApp(
        source,
        successor,
        target,
        rules=settings.rules,
        keymap=Keymap(settings.keys, arrows=not plain),
        memory=Memory(memory_path(os.environ)),
        ascii_only=plain,
    )
    # What is imported stays, and little of the rest is garbage: looking through all of it holds up keys.
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], 100)

    async def run() -> None:
        # By itself it would end us with the terminal as it is.
        status = 128 + signal.SIGTERM
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, app.exit, None, status)
        await app.run_async()

    asyncio.run(run())
    return app.return_code or 0

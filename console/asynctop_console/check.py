"""`asynctop check`: run a program, watch it from its beginning to its end, and say what is wrong in it.

The program is a child with our own standard streams. It begins when we watch, and at its end waits until we
have seen everything (`asynctop run --wait`), so that one that ends within milliseconds is seen as well. The
lints are asked once a second, and at the end: what was wrong for a while counts, or in the end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
import time
from asyncio.subprocess import Process
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from asynctop_console.lints import Finding, Rule, Severity, check_all
from asynctop_console.lints.claims import claimed
from asynctop_console.lints.numbering import Numbering
from asynctop_console.model import Frame, Model, duration
from asynctop_console.model.stalls import parts_of
from asynctop_console.observe import Looks, fold
from asynctop_console.source.link import Link
from asynctop_console.source.target import DeadSocketError, TargetError, resolve
from asynctop_protocol.messages import Subscribe, Tick

_INTERVAL_NS = 100_000_000
_LOOK_AGAIN_S = 0.02
_CHECK_S = 1.0
_LASTING_S = 8.0
"""How long something must be wrong that is right again in the end: longer than the few seconds that a lint
looks back, for programs that begin are restless."""
_ASK_S = 2.0
"""Between two questions for all await chains, at least."""
_ANSWER_S = 2.0
"""How long to wait for the chains at the end: a loop that is blocked has no answer."""
_FAREWELL_S = 10.0
"""How long a program may take to end after SIGTERM."""


_UNSEEN_S = 10.0
"""What an interpreter may take to end, on a busy machine."""
_MOST_FOUND = 50
"""Findings that are printed."""
_MOST_FRAMES = 12
"""Of a stack, the innermost ones."""


class Found(NamedTuple):
    """A finding, and where its stall was."""

    finding: Finding
    stack: list[Frame]
    """Outermost first; empty where it is about no stall."""
    callee: str
    since: float
    """When it was found first, on our clock."""


class Outcome(NamedTuple):
    """How it went."""

    status: int
    """The program's exit status, or the negative number of the signal that ended it."""
    stopped: bool
    """Whether it was we who ended it."""
    seconds: float
    """For how long it was watched, on its own clock."""
    unseen_s: float
    """For how long it went on afterwards."""
    found: list[Found]
    """The most severe first."""
    faults: list[str]


def report(outcome: Outcome, counts: Collection[str] | None) -> str:
    """The findings, each with its stack; then a line that says how it went. `counts` are the lints that do,
    None for all."""
    found = outcome.found
    others = [each for each in found if not _counts(each, counts)]
    sections = [_section(each, counts) for each in found[:_MOST_FOUND]]
    if len(found) > _MOST_FOUND:
        sections.append(f"and {len(found) - _MOST_FOUND:,} more")
    notes = [f"fault: {fault}" for fault in outcome.faults]
    if outcome.unseen_s > _UNSEEN_S and not outcome.stopped:
        notes.append(
            f"the program went on for {duration(int(outcome.unseen_s * 1e9))} unseen: "
            "has it called asynctop.uninstall(), or put another program in its place?"
        )
    if (failure := _failure(outcome)) is not None:
        notes.append(f"the program itself failed: {failure}")
    ignored = f", {len(others):,} of them not in --fail-on" if others else ""
    many = f"{len(found):,} {'thing is' if len(found) == 1 else 'things are'} wrong{ignored}"
    notes.append(f"checked for {duration(int(outcome.seconds * 1e9))}: {many if found else 'nothing found'}")
    return "\n".join([*sections, *(f"asynctop: {note}" for note in notes)])


def status(outcome: Outcome, counts: Collection[str] | None) -> int:
    """The exit status: the program's own where that has failed, else 1 where something that counts was
    found."""
    if _failure(outcome) is not None:
        return outcome.status if outcome.status > 0 else 128 - outcome.status
    return int(any(_counts(found, counts) for found in outcome.found))


def _failure(outcome: Outcome) -> str | None:
    """How the program failed, in a few words."""
    number = -outcome.status if outcome.status < 0 else outcome.status - 128
    if outcome.status == 0 or (outcome.stopped and number in (signal.SIGTERM, signal.SIGKILL)):
        return None
    if outcome.status > 0:
        return f"status {outcome.status}"
    return f"ended by {signal.Signals(number).name}"


def _counts(found: Found, counts: Collection[str] | None) -> bool:
    return found.finding.severity != Severity.INFO if counts is None else found.finding.lint in counts


def _section(found: Found, counts: Collection[str] | None) -> str:
    finding = found.finding
    head = f"{finding.severity}: {finding.lint}" + ("" if _counts(found, counts) else " (not in --fail-on)")
    message = textwrap.wrap(finding.message, 106, break_long_words=False, break_on_hyphens=False)
    stack = [f"at {file}:{line} in {function}" for function, file, line in found.stack[-_MOST_FRAMES:]]
    called = [f"in {found.callee}()"] if found.callee else []
    return "\n".join(
        [head, *(f"  {line}" for line in message), *(f"    {line}" for line in (*stack, *called)), ""]
    )


async def check(
    words: Sequence[str], max_poll_s: float, seconds: float | None, rules: Sequence[Rule]
) -> Outcome | int:
    """Run the program that `words` name as for `asynctop run`, until it ends, or for so many seconds.

    Where it cannot be run, the exit status of the child, which has said why.
    """
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "asynctop", "run", f"--stall-threshold={max_poll_s * 1000:g}", "--wait"),
        *(words if words[:1] == ["-m"] else ["--", *words]),
    )
    run = _Run(child, tuple(rules))
    try:
        with _signals(run):
            return await run.outcome(seconds)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


class _Run:
    """A program under observation."""

    def __init__(self, child: Process, rules: tuple[Rule, ...]) -> None:
        self._child = child
        self._rules = rules
        self._model = Model()
        self._numbering = Numbering()
        self._latest: dict[int, Found] = {}
        """What is wrong at the moment."""
        self._found: dict[int, Found] = {}
        """What counts of it, and what did before."""
        self._looks: Looks | None = None
        self._last_look = False
        self._answered = asyncio.Event()
        self._stop = asyncio.Event()
        self._stopped = False

    def stop(self) -> None:
        """Have the program ended."""
        self._stop.set()

    def interrupt(self) -> None:
        """Pass Ctrl-C on to the program, unless the terminal has done that."""
        if not _in_foreground():
            self._child.send_signal(signal.SIGINT)

    async def outcome(self, seconds: float | None) -> Outcome | int:
        """Watch until the program has ended."""
        link = await self._connected()
        if link is None:
            return await self._child.wait()
        ender = asyncio.create_task(self._end(seconds))
        try:
            try:
                await self._watch(link)
            except TargetError:
                if link.hello is not None:
                    raise
                # It has ended before it could say anything.
            link.close()  # the program waits for that
            unseen_from = time.monotonic()
            status = await self._child.wait()
        finally:
            ender.cancel()
            link.close()
        self._check(final=True)
        model, order = self._model, list(Severity)
        return Outcome(
            status,
            self._stopped,
            max(model.now_ns - model.observed_from_ns, 0) / 1e9,
            time.monotonic() - unseen_from,
            sorted(self._found.values(), key=lambda found: order.index(found.finding.severity)),
            list(model.faults),
        )

    async def _connected(self) -> Link | None:
        """A connection, once the program listens. None where it has ended before, or has been ended."""
        while self._child.returncode is None:
            with suppress(DeadSocketError):
                try:
                    target = resolve(str(self._child.pid), os.environ, os.getuid())
                except TargetError:
                    pass  # not yet
                else:
                    return await Link.open(target)
            if self._stop.is_set():
                self._child.terminate()
            await asyncio.sleep(_LOOK_AGAIN_S)
        return None

    async def _watch(self, link: Link) -> None:
        """Fold what the program tells, until it tells no more."""
        link.send(Subscribe(_INTERVAL_NS))
        looks = self._looks = Looks(link.send)
        ask_at = check_at = 0.0
        while messages := await link.receive():
            for message in messages:
                fold(link.target, self._model, message)
                answered = looks.answered(self._model)
                if not isinstance(message, Tick):
                    continue
                now = time.monotonic()
                if answered and self._last_look:
                    self._answered.set()
                elif answered and looks.due():
                    everything = now >= ask_at
                    looks.ask(cancelled=not everything)
                    ask_at = now + _ASK_S if everything else ask_at
                if now >= check_at:
                    self._check()
                    check_at = time.monotonic() + _CHECK_S
            await asyncio.sleep(0)  # a flood never makes `receive` wait

    def _check(self, *, final: bool = False) -> None:
        """Ask the lints. What has counted before stays, unless it is said anew."""
        model, now = self._model, time.monotonic()
        latest = {}
        for number, finding in self._numbering.numbered(check_all(model, self._rules)).items():
            since = self._latest[number].since if number in self._latest else now
            latest[number] = found = Found(finding, *_stall_of(model, finding), since)
            if final or now - since >= _LASTING_S:
                self._found[number] = found
        self._latest = latest

    async def _end(self, seconds: float | None) -> None:
        """End the program when its time is over, or somebody asks for that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        if self._looks is not None and not self._stop.is_set():
            self._last_look = True
            self._looks.ask(cancelled=False)
            with suppress(TimeoutError):
                async with asyncio.timeout(_ANSWER_S):
                    await self._answered.wait()
            self._check(final=True)
        self._stopped = True
        with suppress(ProcessLookupError):
            self._child.terminate()
            await asyncio.sleep(_FAREWELL_S)
            self._child.kill()


def _stall_of(model: Model, finding: Finding) -> tuple[list[Frame], str]:
    """The stack of the longest stall that a finding is about, and the C function called there."""
    place = finding.place
    parts = [
        (stall.duration_ns, part)
        for stall in claimed(model, finding.lint)
        for part in parts_of(stall)
        if place and place[1:] in [frame[1:] for frame in part.rest]
    ]
    _, part = max(parts, key=lambda pair: pair[0], default=(0, None))
    return (part.rest, part.callee) if part is not None else ([], "")


def _in_foreground() -> bool:
    """Whether a terminal sends its signals to us, and to the program as well."""
    try:
        with open("/dev/tty", "rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


@contextmanager
def _signals(run: _Run) -> Iterator[None]:
    """It is the program that they are meant for: we end when it has."""
    loop = asyncio.get_running_loop()
    handlers = {signal.SIGINT: run.interrupt, signal.SIGTERM: run.stop, signal.SIGHUP: run.stop}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)

"""Watching a program, or a recording of one, without a screen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing

from asynctop_console.model import Model
from asynctop_console.source.live import SocketSource
from asynctop_console.source.recording import Recording
from asynctop_console.source.replay import batches
from asynctop_console.source.target import SilentError, TargetError
from asynctop_protocol import ProtocolError
from asynctop_protocol.messages import History, Inspect, Message, Subscribe, Tick

_INTERVAL_NS = 100_000_000
_GRACE_S = 10.0
"""For the first batch, which may hold a million tasks, and for reading all await chains."""
_PATIENCE_NS = 500_000_000
"""How long to wait for await chains while a loop is blocked: it is the loop that reads them."""
_LOOK_S = 0.2
"""Time between looks at the cancelled tasks: how a cancellation goes is seen only while it lasts."""
_WHOLE_NS = 500_000_000
"""Time between looks at all tasks: some things are seen only while they last."""
_CROWD = 2_000
"""Tasks of which only one look is taken, in the end."""
_LOOK_SHARE = 0.05
"""Time that looking may take of all: in a large crowd one looks less often."""


async def observe(
    source: SocketSource,
    seconds: float,
    grace_s: float = _GRACE_S,
    looked: Callable[[Model], object] = lambda model: None,
) -> Model:
    """The model after `seconds` of the target's clock, with the await chain of each live task.

    Unless there is a crowd, all chains are read now and then before that, and `looked` is called.

    Where the program ends before, or its chains don't come in time, it is what was seen until then.
    TargetError where nothing was.
    """
    model = Model()
    try:
        async with asyncio.timeout(seconds + grace_s):
            await _watch(source, model, int(seconds * 1e9), looked)
    except TimeoutError:
        pass
    if not model.answered:
        model.picture()
    if not model.ticks:
        raise SilentError(f"{source.target} has sent nothing to show: is it stopped, or has it just ended?")
    return model


def replayed(recording: Recording, at_ns: int) -> Model:
    """The model as it was at a moment of a recording; at its first, where that is earlier.

    TargetError where the recording is damaged."""
    model = Model()
    for batch in batches(recording, at_ns, _no_polls):
        if model.ticks and isinstance(batch[-1], Tick) and batch[-1].at_ns > at_ns:
            break
        _fold_batch(recording, model, batch)
    return model


def moments(recording: Recording) -> Iterator[Model]:
    """The model as it was after each batch of a recording, the same object all along.

    TargetError where the recording is damaged, or holds not even one."""
    model = Model()
    for batch in batches(recording, recording.from_ns, _no_polls):
        _fold_batch(recording, model, batch)
        yield model
    if not model.ticks:
        raise nothing_in(recording)


def _no_polls() -> bool:
    """Nobody looks at single polls."""
    return False


def _fold_batch(recording: Recording, model: Model, batch: list[Message]) -> None:
    for message in batch:
        if not isinstance(message, History):
            fold(recording.path, model, message)


def nothing_in(recording: Recording) -> TargetError:
    """What is wrong with a recording that holds not even one batch."""
    return TargetError(
        f"{recording.path} holds nothing yet: its recording was cut off before its first batch"
    )


def fold(said_by: object, model: Model, message: Message) -> None:
    """Let the model take in a message. TargetError where it is beyond what the console takes."""
    try:
        model.fold(message)
    except ProtocolError as error:
        raise TargetError(f"cannot understand {said_by}: {error}") from None


async def _watch(
    source: SocketSource, model: Model, length_ns: int, looked: Callable[[Model], object]
) -> None:
    source.send(Subscribe(min(_INTERVAL_NS, max(length_ns // 4, 1))))
    looks = Looks(source.send)
    asked_ns = whole_ns = 0
    async with aclosing(source.messages()) as messages:
        async for message in messages:
            fold(source.target, model, message)
            answered = looks.answered(model)
            # Only between two batches is the model all of one time.
            if not isinstance(message, Tick):
                continue
            if asked_ns:
                if answered:
                    return
                blocked = any(stall.ongoing for stall in model.stalls)
                if blocked and model.now_ns - asked_ns >= _PATIENCE_NS:
                    return
            elif model.now_ns - model.observed_from_ns >= length_ns:
                looks.ask(cancelled=False)
                asked_ns = model.now_ns
            elif answered and looks.due():
                if looks.whole:
                    looked(model)
                whole = model.now_ns - whole_ns >= _WHOLE_NS and model.tasks.rows <= _CROWD
                looks.ask(cancelled=not whole, stranded=False)
                whole_ns = model.now_ns if whole else whole_ns


class Looks:
    """What is asked of the program meanwhile: now and then its cancelled tasks, or all of them."""

    def __init__(self, send: Callable[[Inspect], None]) -> None:
        self._send = send
        self._request = 0
        self._pending = False
        self._asked_at = self._due_at = 0.0
        self.whole = False
        """Whether all tasks were asked about the last time."""

    def ask(self, *, cancelled: bool, stranded: bool = True) -> None:
        """In place of what was asked before. Of all tasks, also who of them waits in vain, if `stranded`."""
        self._request += 1
        self._pending = True
        self.whole = not cancelled
        self._asked_at = time.monotonic()
        self._send(Inspect(self._request, [], stranded=stranded and not cancelled, cancelled=cancelled))

    def answered(self, model: Model) -> bool:
        """Whether all that was asked has been answered."""
        if self._pending and model.answered >= self._request:
            self._pending = False
            now = time.monotonic()
            self._due_at = now + max(_LOOK_S, (now - self._asked_at) / _LOOK_SHARE)
        return not self._pending

    def due(self) -> bool:
        """Whether it is time to ask again."""
        return time.monotonic() >= self._due_at

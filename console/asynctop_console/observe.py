"""Watching a program for a while without a screen."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from asynctop_console.model import Model
from asynctop_console.source.live import SocketSource
from asynctop_console.source.target import SilentError, TargetError
from asynctop_protocol import ProtocolError
from asynctop_protocol.messages import Inspect, Message, Subscribe, Tick

_INTERVAL_NS = 100_000_000
_GRACE_S = 10.0
"""For the first batch, which may hold a million tasks, and for reading all await chains."""
_PATIENCE_NS = 500_000_000
"""How long to wait for await chains while a loop is blocked: it is the loop that reads them."""
_REQUEST = 1


async def observe(source: SocketSource, seconds: float, grace_s: float = _GRACE_S) -> Model:
    """The model after `seconds` of the target's clock, with the await chain of each live task.

    Where the program ends before, or its chains don't come in time, it is what was seen until then.
    TargetError where nothing was.
    """
    model = Model()
    try:
        async with asyncio.timeout(seconds + grace_s):
            await _watch(source, model, int(seconds * 1e9))
    except TimeoutError:
        pass
    if not model.answered:
        model.picture()
    if not model.ticks:
        raise SilentError(f"{source.target} has sent nothing to show: is it stopped, or has it just ended?")
    return model


async def _watch(source: SocketSource, model: Model, length_ns: int) -> None:
    source.send(Subscribe(min(_INTERVAL_NS, max(length_ns // 4, 1))))
    asked_ns = 0
    async with aclosing(source.messages()) as messages:
        async for message in messages:
            _fold(source, model, message)
            if not isinstance(message, Tick):
                continue
            # Only between two batches is the model all of one time.
            if model.answered >= _REQUEST:
                return
            if asked_ns:
                blocked = any(stall.ongoing for stall in model.stalls)
                if blocked and model.now_ns - asked_ns >= _PATIENCE_NS:
                    return
            elif model.now_ns - model.observed_from_ns >= length_ns:
                source.send(Inspect(_REQUEST, [], stranded=True))
                asked_ns = model.now_ns


def _fold(source: SocketSource, model: Model, message: Message) -> None:
    try:
        model.fold(message)
    except ProtocolError as error:
        raise TargetError(f"cannot understand {source.target}: {error}") from None

"""`asynctop metrics`: a running program's figures, for Prometheus to fetch, or sent by OTLP."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from asynctop_console.usage import UsageError

if TYPE_CHECKING:
    from asynctop_console.lints import Rule
    from asynctop_console.metrics.collecting import Collected
    from asynctop_console.source.target import Target

_Way: TypeAlias = "Callable[[Collected], AbstractContextManager[str]]"
"""What hands the figures on as long as its context lasts; it says where, in a few words."""

_LOOPBACK = "127.0.0.1"
_MOST_KINDS = 20


def add_to(commands: argparse._SubParsersAction[Any]) -> None:
    """Let the command line know the command."""
    parser = commands.add_parser("metrics", help="tell Prometheus or OpenTelemetry how a program is doing")
    parser.add_argument("target", metavar="TARGET", nargs="?", help="a pid, or the path of a socket")
    parser.add_argument(
        "--prometheus", metavar="[HOST:]PORT", type=_address, help=f"answer its scrapes there ({_LOOPBACK})"
    )
    parser.add_argument(
        "--otlp",
        metavar="ENDPOINT",
        nargs="?",
        const="",
        help="send by OTLP/HTTP to this URL (that of the environment, or http://localhost:4318)",
    )
    parser.add_argument(
        "--kinds",
        metavar="NUMBER",
        type=_count,
        default=_MOST_KINDS,
        help=f"tell of so many kinds, the busiest ones ({_MOST_KINDS})",
    )


def run(
    arguments: argparse.Namespace, rules: tuple[Rule, ...], target_of: Callable[[str | None], Target]
) -> int:
    """Go on until the program ends. Returns the exit status."""
    if arguments.prometheus is None and arguments.otlp is None:
        raise UsageError("expected where to: --prometheus [HOST:]PORT, --otlp [ENDPOINT], or both")
    # What is missing for that is told before anything is done.
    ways = _ways(arguments.prometheus, arguments.otlp)
    from asynctop_console.metrics.collecting import Collected
    from asynctop_console.source.live import SocketSource

    source = SocketSource(target_of(arguments.target))
    asyncio.run(_serve(Collected(source, rules, arguments.kinds), ways))
    return 0


def _ways(address: tuple[str, int] | None, endpoint: str | None) -> list[_Way]:
    ways: list[_Way] = []
    if address is not None:
        from asynctop_console.metrics.prometheus import served

        ways.append(partial(served, host=address[0], port=address[1]))
    if endpoint is not None:
        from asynctop_console.metrics.otlp import checked, sent

        ways.append(partial(sent, endpoint=checked(endpoint)))
    return ways


async def _serve(collected: Collected, ways: list[_Way]) -> None:
    """Until the program ends, or SIGTERM, by which whoever runs us as a service ends us."""
    ours = asyncio.current_task()
    assert ours is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ours.cancel)
    why = "stopped"
    with ExitStack() as stack, suppress(asyncio.CancelledError):
        async with aclosing(collected.updates()) as updates:
            async for _ in updates:
                # With the first figures, they are handed on.
                while ways:
                    where = stack.enter_context(ways.pop(0)(collected))
                    _say(f"metrics of {collected.source.target} {where}")
        why = collected.source.state.text
    _say(why)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port, or HOST:PORT, not {text!r}")
    return host.removeprefix("[").removesuffix("]") or _LOOPBACK, int(port)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > 1000:
        raise argparse.ArgumentTypeError(f"expected a number, 0 to 1000, not {text!r}")
    return int(text)


def _say(text: str) -> None:
    print(f"asynctop: {text}", file=sys.stderr, flush=True)

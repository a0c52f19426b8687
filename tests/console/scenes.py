"""Every screen of the console and every state it can be in, each reached as a user reaches it: by keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from textual.widgets import Input

from asynctop_console.source.live import Phase, SourceState
from asynctop_protocol.messages import Chains, Inspect, Message, Tick, Watch

from . import shop
from .program import MS, SECOND
from .screens import Frozen, Screen, console, settled

SIZES = ((80, 24), (100, 30), (160, 48))


class Answering(Frozen):
    """A source that also answers what it is asked, as the shop does."""

    def send(self, message: Message) -> None:
        super().send(message)
        if isinstance(message, Inspect):
            chains = [] if message.cancelled else shop.chains()
            self.queue.put_nowait(Chains(message.request, chains, done=True))
        elif isinstance(message, Watch):
            for task in message.tasks:
                for told in shop.polls_of(task):
                    self.queue.put_nowait(told)


def calm() -> Frozen:
    return Answering(*shop.shop())


def blocked() -> Frozen:
    return Answering(*shop.shop(), *shop.blocking(), Tick(shop.NOW + MS))


def recording() -> Frozen:
    return Answering(*shop.shop(), state=SourceState(Phase.REPLAYING, "▶ 0:35 / 1:30 ×2"))


def empty() -> Frozen:
    return Answering(shop.greeting(), Tick(shop.NOW))


def unreachable() -> Frozen:
    return Frozen(state=SourceState(Phase.CONNECTING, "pid 48213 is not instrumented, or has just begun"))


def other_protocol() -> Frozen:
    versions = "it speaks protocol 9.0, this console 1.0"
    return Frozen(fails=f"cannot understand pid 48213: {versions}: install the same asynctop")


async def nothing_more(screen: Screen) -> None:
    """What the keys have led to is all."""


async def steady(screen: Screen) -> None:
    """A cursor that does not blink."""
    screen.app.screen.query_one(Input).cursor_blink = False
    await settled(screen.pilot)


async def held(screen: Screen) -> None:
    await screen.say(Tick(shop.NOW + SECOND), Tick(shop.NOW + 2 * SECOND))


async def lost(screen: Screen) -> None:
    screen.source.state = SourceState(Phase.WAITING, "connection lost", 2, retry_at=0)
    await screen.say()


async def exited(screen: Screen) -> None:
    screen.source.end()
    await screen.say()


async def dropped(screen: Screen) -> None:
    await screen.say(Tick(shop.NOW + MS, {"wakes": 1_284, "history": 12}))


async def faulty(screen: Screen) -> None:
    await screen.say(Tick(shop.NOW + MS, {}, ["call_soon: TypeError in our hook"]))


async def silent(screen: Screen) -> None:
    await screen.say(after_ns=12 * SECOND)


@dataclass(frozen=True, slots=True)
class Scene:
    """A source, keys separated by blanks, and what happens then."""

    keys: str = ""
    source: Callable[[], Frozen] = calm
    then: Callable[[Screen], Awaitable[None]] = nothing_more


SCENES: dict[str, Scene] = {
    "tasks": Scene("j j"),
    "tasks-blocked": Scene(source=blocked),
    "tasks-tree": Scene("T m j m"),
    "tasks-recent": Scene("r d"),
    "kinds": Scene("2"),
    "stalls": Scene("3 j"),
    "stalls-blocked": Scene("3", blocked),
    "await-tree": Scene("4"),
    "await-tree-unfolded": Scene("4 asterisk G"),
    "resources": Scene("5"),
    "warnings": Scene("6"),
    "loops": Scene("7"),
    "loops-blocked": Scene("7", blocked),
    "task": Scene("enter"),
    "task-polls": Scene("enter left left left"),
    "task-waiting": Scene("slash 7 7 enter enter"),
    "task-blocked": Scene("enter", blocked),
    "kind": Scene("2 j enter"),
    "kind-moment": Scene("2 j enter left H minus"),
    "loop": Scene("7 enter"),
    "stall": Scene("3 enter"),
    "stall-in-places": Scene("3 j enter"),
    "warning": Scene("6 enter"),
    "incidents": Scene("6 I"),
    "resource": Scene("5 enter"),
    "help": Scene("question_mark"),
    "help-end": Scene("question_mark G"),
    "sort-picker": Scene("s"),
    "column-picker": Scene("c"),
    "filter": Scene("slash m a i l", then=steady),
    "filter-wrong": Scene("slash b u s y greater_than_sign x", then=steady),
    "filter-matches-none": Scene("d slash n o b o d y enter"),
    "connecting": Scene(source=unreachable),
    "no-tasks": Scene(source=empty),
    "no-stalls": Scene("3", empty),
    "no-tree": Scene("4", empty),
    "no-resources": Scene("5", empty),
    "no-warnings": Scene("6", empty),
    "no-loops": Scene("7", empty),
    "paused": Scene("space", then=held),
    "reconnecting": Scene(then=lost),
    "exited": Scene(then=exited),
    "other-protocol": Scene(source=other_protocol),
    "dropped": Scene(then=dropped),
    "faulty": Scene(then=faulty),
    "silent": Scene(then=silent),
    "replay": Scene("j", recording),
}


@asynccontextmanager
async def staged(scene: Scene, size: tuple[int, int] = SIZES[0]) -> AsyncIterator[Screen]:
    """The console in this scene."""
    async with console(size=size, source=scene.source(), target="pid 48213") as screen:
        # The lints have looked at the first moment, and what was asked takes a tick to be taken in.
        tick = [Tick(screen.app.model.now_ns)] if screen.app.model.ticks else []
        await screen.say(*tick, after_ns=SECOND)
        await screen.press(*scene.keys.split())
        await scene.then(screen)
        yield screen


async def resized(screen: Screen, size: tuple[int, int]) -> None:
    """The same on a terminal so large."""
    await screen.pilot.resize_terminal(*size)
    while screen.app.screen._compositor.size != size:  # on a busy machine it comes later
        await settled(screen.pilot)
    screen.app.paint()
    await settled(screen.pilot)

"""When the program is asked what its tasks wait for."""

from __future__ import annotations

import asyncio

from asynctop_console.source.live import Phase, SourceState
from asynctop_protocol.messages import Chains, Inspect, Tick

from .program import SECOND, hello, named, polled, spawned
from .screens import NOW, Frozen, Screen, console, three


def questions(screen: Screen, *, glances: bool = False) -> list[Inspect]:
    """What was asked: about who waits for what, or how cancellations go."""
    sent = [message for message in screen.source.sent if isinstance(message, Inspect)]
    return [message for message in sent if message.cancelled is glances]


def asked(screen: Screen) -> list[list[int]]:
    return [list(message.tasks) for message in questions(screen)]


async def answered(screen: Screen, after_ns: int = 0) -> None:
    """The answer to the last question comes, and so much later the screen is painted."""
    last = questions(screen)[-1]
    await screen.say(Chains(last.request, [], done=True))
    await screen.say(after_ns=after_ns)


def many() -> Frozen:
    ids = range(1, 2_002)
    return Frozen(
        *three()[:3], spawned(ids), named(ids, [f"t{n}" for n in ids]), polled(ids, busy=ids), Tick(NOW)
    )


def test_few_tasks_are_read_whatever_is_shown() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            assert asked(screen) == [[]]
            await screen.say(after_ns=3 * SECOND)
            assert asked(screen) == [[]], "one question at a time"
            await answered(screen, after_ns=2 * SECOND)
            assert asked(screen) == [[]], "the program rests for as long as the answer took"
            await screen.say(after_ns=SECOND)
            assert asked(screen) == [[], []]
            await answered(screen, after_ns=SECOND)
            await screen.press("4", "1", "enter")
            assert asked(screen) == [[], []], "every two seconds, on every screen"
            await screen.say(after_ns=SECOND)
            assert asked(screen) == [[], [], []]

    asyncio.run(run())


def test_many_tasks_are_read_while_a_screen_shows_what_comes_of_it() -> None:
    async def run() -> None:
        async with console(source=many()) as screen:
            await screen.say(after_ns=9 * SECOND)
            assert asked(screen) == []
            for key in ("4", "5", "6"):
                await screen.press("1")
                await screen.say(after_ns=5 * SECOND)
                before = len(asked(screen))
                await screen.press(key)
                assert asked(screen)[before:] == [[]], key
                await answered(screen, after_ns=4 * SECOND)
                assert len(asked(screen)) == before + 1
                await screen.say(after_ns=SECOND)
                assert asked(screen)[before + 1 :] == [[]]
                await answered(screen)
            await screen.press("1")
            count = len(asked(screen))
            await screen.say(after_ns=60 * SECOND)
            assert len(asked(screen)) == count

    asyncio.run(run())


def test_of_many_tasks_the_one_on_the_screen_is_read_every_second_and_at_once() -> None:
    async def run() -> None:
        async with console(source=many()) as screen:
            await screen.press("4", "1", "enter")
            assert asked(screen) == [[], [2001]]
            await answered(screen, after_ns=SECOND // 2)
            assert len(asked(screen)) == 2
            await screen.say(after_ns=SECOND // 2)
            assert asked(screen) == [[], [2001], [2001]]

    asyncio.run(run())


def test_nobody_asks_while_the_screen_is_held_or_the_program_gone() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await answered(screen)
            await screen.press("space")
            await screen.say(after_ns=9 * SECOND)
            assert asked(screen) == [[]]
            await screen.press("space")
            screen.source.state = SourceState(Phase.WAITING)
            await screen.say(after_ns=9 * SECOND)
            assert len(asked(screen)) <= 2
            count = len(asked(screen))
            await screen.say(after_ns=9 * SECOND)
            assert len(asked(screen)) == count

    asyncio.run(run())


def test_what_another_connection_was_asked_is_asked_again() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.say(*three(greeting=hello()))
            await screen.say()
            assert asked(screen) == [[], []]

    asyncio.run(run())


def test_a_question_nobody_answers_is_put_again() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.say(Chains(1, [], done=False), after_ns=4 * SECOND)
            await screen.say(Chains(1, [], done=False), after_ns=4 * SECOND)
            assert asked(screen) == [[]]
            await screen.say(after_ns=5 * SECOND)
            assert asked(screen) == [[], []]

    asyncio.run(run())


def test_between_other_questions_it_asks_how_cancellations_go() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.say(after_ns=SECOND)
            assert questions(screen, glances=True) == [], "one question at a time"
            await answered(screen, after_ns=SECOND // 2)
            (glance,) = questions(screen, glances=True)
            assert (glance.request < 0, list(glance.tasks)) == (True, [])
            await screen.say(after_ns=SECOND // 4)
            assert len(questions(screen, glances=True)) == 1, "it is not answered yet"
            await screen.say(Chains(glance.request, [], done=True))
            await screen.say(after_ns=SECOND // 2)
            assert len(questions(screen, glances=True)) == 1, "the program rests"
            await answered(screen)
            await screen.say(after_ns=8 * SECOND)
            await answered(screen, after_ns=SECOND // 2)
            assert len(questions(screen, glances=True)) == 2

    asyncio.run(run())


def test_of_many_tasks_it_does_not_ask_how_cancellations_go() -> None:
    async def run() -> None:
        async with console(source=many()) as screen:
            await screen.say(after_ns=9 * SECOND)
            assert questions(screen, glances=True) == []

    asyncio.run(run())

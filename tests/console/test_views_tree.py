"""The await tree: its shape, its rings, its size, and what its keys do."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asynctop_console.model import Model
from asynctop_console.source.live import Phase
from asynctop_console.views import forest as forests
from asynctop_console.views.forest import Forest, Numbering, Unfolded
from asynctop_protocol.messages import Chain, Chains, Message, State, Tick

from .program import SECOND, chain, gather, hello, kinds, lock, named, polled, spawned, texts
from .screens import NOW, Screen, console, three

DEADLOCK = Chains(
    1,
    [
        chain(1, gather(2), awaits=[2, 3]),
        chain(2, lock(80), holds=[70], line=44),
        chain(3, lock(70), holds=[80], line=44),
    ],
    done=True,
)
STUCK = [polled([1, 2, 3], since=[NOW - 9 * SECOND, NOW - 4 * SECOND, NOW - 2 * SECOND])]


def program(count: int, chains: list[Chain], since: int | list[int] = 1) -> Model:
    model = Model()
    ids = range(1, count + 1)
    parts = (hello(), texts(), kinds(), spawned(ids), named(ids, [f"t{id}" for id in ids]))
    for message in (*parts, polled(ids, since=since), Chains(1, chains, done=True), Tick(NOW)):
        model.fold(message)
    return model


def drawn(forest: Forest) -> list[str]:
    """A row each: a dot for a level, the task or `r` and the resource, and `!` where it is shown again."""
    return [
        "." * int(forest.depth[at])
        + (f"r{forest.resources[at]}" if at in forest.resources else str(int(forest.task[at])))
        + ("!" if at in forest.again else "")
        for at in range(len(forest.task))
    ]


def tree(model: Model, everything: bool | None = None, **but: bool) -> list[str]:
    unfolded = Unfolded(everything, {int(task[1:]): open for task, open in but.items()})
    return drawn(Forest(model, unfolded, Numbering()))


def test_who_awaits_whom() -> None:
    model = program(5, [chain(1, gather(2), awaits=[3, 2]), chain(3, awaits=[4]), chain(5)])
    assert tree(model) == ["1", ".2", ".3", "..4", "5"]
    assert tree(model, t3=False) == ["1", ".2", ".3", "5"]
    assert tree(model, False) == ["1", "5"]
    assert tree(model, False, t3=True, t1=True) == ["1", ".2", ".3", "..4", "5"]


def test_siblings_stand_by_how_long_they_wait() -> None:
    model = program(4, [chain(1, awaits=[2, 3, 4])], since=[50, 40, 10, 20])
    assert tree(model) == ["1", ".3", ".4", ".2"]
    model.fold(polled([3], state=State.POLLING, since=5))
    assert tree(model) == ["1", ".4", ".2", ".3"]


def test_resources_stand_between_a_task_and_the_holder() -> None:
    model = program(3, [chain(1, lock(70)), chain(2, holds=[70]), chain(3, lock(90))])
    assert tree(model) == ["1", "2", "3"]
    assert tree(model, True) == ["1", ".r70", "..2", "2", "3", ".r90"]


def test_a_ring_is_unfolded_once_and_marked() -> None:
    model = program(3, DEADLOCK.chains)
    ring = [".2", "..r80", "...3", "....r70", ".....2!", ".3", "..r70", "...2", "....r80", ".....3!"]
    assert tree(model) == ["1", *ring]


@pytest.mark.parametrize(
    ("awaits", "expected"),
    [
        ({1: [1]}, ["1", ".1!"]),
        ({1: [2], 2: [1]}, ["1", ".2", "..1!"]),
        ({2: [3], 3: [2], 1: []}, ["1", "2", ".3", "..2!"]),
        ({1: [2, 2]}, ["1", ".2"]),
        ({1: [99]}, ["1", ".99"]),
    ],
)
def test_every_task_is_somewhere(awaits: dict[int, list[int]], expected: list[str]) -> None:
    model = program(max(awaits), [chain(task, awaits=others) for task, others in awaits.items()])
    if awaits == {1: [2, 2]} or 99 in awaits[1]:
        model = program(2 if 2 in awaits[1] else 1, [chain(1, awaits=awaits[1])])
    assert tree(model) == expected


@given(st.dictionaries(st.integers(1, 9), st.lists(st.integers(1, 9), max_size=3), max_size=9))
def test_whatever_awaits_whatever_every_task_has_a_row_below_one_that_awaits_it(
    awaits: dict[int, list[int]],
) -> None:
    model = program(9, [chain(task, awaits=awaits.get(task, ())) for task in range(1, 10)])
    forest = Forest(model, Unfolded(everything=True), Numbering())
    task, parent = forest.task.tolist(), forest.parent.tolist()
    assert set(task) == set(range(1, 10))
    assert len(set(forest.ids.tolist())) == len(task)
    for at, above in enumerate(parent):
        if above >= 0:
            assert task[at] in awaits[task[above]]
            assert forest.depth[at] == forest.depth[above] + 1
            assert task[above] in forest.unfolded


def test_a_row_keeps_its_id_from_tree_to_tree() -> None:
    numbering = Numbering()
    model = program(5, [chain(1, awaits=[2, 3]), chain(4, awaits=[5])])
    one = Forest(model, Unfolded(), numbering)
    model.fold(polled([4], since=0))
    other = Forest(model, Unfolded(but={1: False}), numbering)
    again = Forest(model, Unfolded(), numbering)
    assert drawn(one)[0] == "1"
    assert drawn(other) == ["4", ".5", "1"]

    def id_of(forest: Forest, task: int) -> int:
        return int(forest.ids[list(forest.task[forest.position]).index(task)])

    assert id_of(one, 5) == id_of(other, 5) == id_of(again, 5)
    assert set(one.ids.tolist()) == set(again.ids.tolist())


def test_a_chain_may_be_deeper_than_the_interpreter_goes() -> None:
    deep = 3_000
    model = program(deep, [chain(task, awaits=[task + 1]) for task in range(1, deep)])
    forest = Forest(model, Unfolded(everything=True), Numbering())
    assert forest.depth.tolist() == list(range(deep))


def test_tasks_that_all_await_the_same_ones_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forests, "_MOST_ROWS", 500)
    layers = []
    for layer in range(10):
        below = range(10 * layer + 11, 10 * layer + 21)
        layers += [chain(10 * layer + each, awaits=below) for each in range(1, 11)]
    forest = Forest(program(110, layers), Unfolded(), Numbering())
    assert 500 <= len(forest.task) < 600


def test_of_ten_thousand_tasks_only_those_on_the_screen_are_looked_at() -> None:
    async def run() -> None:
        ids = range(1, 10_001)
        parts: list[Message] = [hello(), texts(), kinds(), spawned(ids), named(ids, [f"t{id}" for id in ids])]
        pairs = [chain(task, awaits=[task + 5_000]) for task in range(1, 5_001)]
        answer = Chains(1, [*pairs, *(chain(task) for task in range(5_001, 10_001))], done=True)
        async with console(*parts, polled(ids, since=ids), answer, Tick(NOW)) as screen:
            await screen.press("4")
            assert len(screen.table.order) == 5_000, "many are folded up at first"
            assert [row.split()[2] for row in screen.rows[:3]] == ["t1", "t2", "t3"]
            await screen.press("j", "plus")
            assert len(screen.table.order) == 5_001
            assert [row.split()[1:3] for row in screen.rows[1:3]] == [["-", "t2"], ["└", "t5002"]]
            with patch.object(screen.listing.rows, "look", wraps=screen.listing.rows.look) as looks:
                await screen.press("G")
            assert {len(look.args[1]) for look in looks.call_args_list} == {screen.table.page}
            assert "t5000" in screen.rows[-1]

    asyncio.run(run())


async def sick(screen: Screen, *more: Message) -> None:
    await screen.press("4")
    await screen.say(*STUCK, DEADLOCK, *more, Tick(NOW))


def test_before_the_first_answer_it_says_that_it_asks() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await screen.press("4")
            assert "Asking the program what its tasks wait for." in "\n".join(screen.rows)
            await screen.press("enter", "plus", "minus", "asterisk", "n", "y", "G")
            await screen.say(DEADLOCK, Tick(NOW))
            assert "main" in screen.rows[0]

    asyncio.run(run())


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (160, 48)])
def test_a_row_says_who_waits_how_long_for_what_and_where(size: tuple[int, int]) -> None:
    async def run() -> None:
        async with console(*three(), size=size) as screen:
            await sick(screen)
            main, fetch, held, worker, _, again, *_ = screen.rows
            assert main.split()[:4] == ["·", "-", "main", *(["idle"] if size[0] == 160 else ["9.00s"])]
            assert "gather() of 2" in main
            assert main.endswith("app/web.py:41")
            assert fetch.startswith("· ├ - fetch")
            assert "4.00s" in fetch
            assert "asyncio.Lock" in fetch
            assert "locked=1 waiters=1" in held
            assert worker.startswith("· │   └ - worker")
            assert again.startswith("· │       └ ↺ fetch")
            assert "a ring: it is above" in again
            assert ("resource" in held) == ("handler" in main) == (size[0] == 160)
            footer = screen.line("footer")
            assert " + more " in footer
            assert "6warn" in footer.replace(" ", "")

    asyncio.run(run())


def test_keys_fold_and_unfold_and_enter_opens() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await sick(screen)
            assert len(screen.rows) == 11
            await screen.press("j", "minus")
            assert [row.split()[2:4] for row in screen.rows[:3]] == [
                ["main", "9.00s"],
                ["+", "fetch"],
                ["-", "worker"],
            ]
            await screen.press("minus")
            assert screen.app.screen.name_of(screen.app.frame(), screen.table.cursor) == "main"  # type: ignore[attr-defined]
            await screen.press("right", "plus", "right")
            assert "- fetch" in screen.rows[1]
            await screen.press("enter")
            assert screen.page.startswith(" asyncio.Lock  lock")
            await screen.press("escape", "j", "enter")
            assert screen.page.startswith(" worker  task 3")
            await screen.press("escape", "asterisk")
            assert len(screen.rows) == 11
            await screen.press("asterisk")
            assert len(screen.rows) == 1

    asyncio.run(run())


def test_the_filter_leaves_the_way_to_what_it_finds() -> None:
    async def run() -> None:
        idle = [chain(1, gather(2), awaits=[2, 3]), chain(2, awaits=[]), chain(3, lock(5), line=77)]
        async with console(*three(), Chains(1, idle, done=True), Tick(NOW)) as screen:
            await screen.press("4", *"/worker", "enter")
            assert [row.split()[1:3] for row in screen.rows] == [["-", "main"], ["└", "+"]]
            for text in ("on:lock", "at:77", "name:work"):
                screen.listing.set_filter(text)
                assert len(screen.rows) == 2, text
            screen.listing.set_filter("nobody")
            assert "No match" in screen.rows[0]

    asyncio.run(run())


def test_a_task_that_has_gone_on_since_is_shown_faint_and_one_that_is_gone_does_no_harm() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await sick(screen)
            moved = polled([2], since=NOW + SECOND)
            await screen.say(moved, Tick(NOW + SECOND))
            listing = screen.listing
            frame = screen.app.frame()
            records = listing.rows.look(frame, np.arange(len(listing.rows.ids(frame))))
            uncertain = {record.name for record in records if not record.certain}  # type: ignore[attr-defined]
            assert uncertain == {"fetch"}
            await screen.say(polled([2, 3], state=State.DONE), Tick(NOW + 2 * SECOND), after_ns=3 * SECOND)
            assert "✓ ├ - fetch" in "\n".join(screen.rows)

    asyncio.run(run())


def test_all_stays_browsable_when_the_program_has_ended() -> None:
    async def run() -> None:
        async with console(*three()) as screen:
            await sick(screen)
            screen.source.end(Phase.EXITED)
            await screen.say(after_ns=60 * SECOND)
            assert len(screen.rows) == 11
            await screen.press("j", "minus", "enter")
            assert screen.page.startswith(" fetch  task 2")

    asyncio.run(run())

"""The list of tasks as a tree: each below the one that spawned it."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asynctop_console.views import family as family_module
from asynctop_console.views.family import Family, Folded
from asynctop_protocol.messages import Message, Tick

from .program import MS, SECOND, ended, named, polled, spawned
from .screens import NOW, Screen, console, three


@st.composite
def families(draw: st.DrawFn) -> tuple[list[int], list[int], list[int], set[int]]:
    """Ids, their parents (some unknown, some younger than their children), keys, and some of the ids."""
    ids = sorted(draw(st.sets(st.integers(1, 60), max_size=25)))
    parents = [draw(st.integers(0, 60)) for _ in ids]
    keys = [draw(st.integers(-3, 3)) for _ in ids]
    return ids, parents, keys, draw(st.sets(st.sampled_from(ids))) if ids else set()


def mask(ids: list[int], chosen: set[int]) -> family_module.Mask:
    return np.array([id in chosen for id in ids], np.bool_)


@given(families())
def test_a_family_is_laid_out_as_one_would_by_hand(
    drawn: tuple[list[int], list[int], list[int], set[int]],
) -> None:
    ids, parents, keys, chosen = drawn
    family = Family(np.array(ids, np.int64), np.array(parents, np.int64))
    parent = {id: of if of in ids and of < id else 0 for id, of in zip(ids, parents, strict=True)}
    key = dict(zip(ids, keys, strict=True))

    def laid(of: int) -> list[int]:
        children = sorted((id for id in ids if parent[id] == of), key=lambda id: (key[id], id))
        return [row for child in children for row in (child, *laid(child))]

    def ancestors(id: int) -> set[int]:
        return {parent[id], *ancestors(parent[id])} if parent[id] else set()

    places = family.order(np.array(keys, np.int64))
    assert [id for _, id in sorted(zip(places.tolist(), ids, strict=True))] == laid(0)
    assert sorted(places.tolist()) == list(range(len(ids)))
    assert family.depth.tolist() == [len(ancestors(id)) for id in ids]
    assert family.children.tolist() == [sum(of == id for of in parent.values()) for id in ids]
    above = chosen.union(*(ancestors(id) for id in chosen))
    assert family.above(mask(ids, chosen)).tolist() == mask(ids, above).tolist()
    below = {id for id in ids if ancestors(id) & chosen}
    assert family.below(mask(ids, chosen)).tolist() == mask(ids, below).tolist()


def test_what_is_too_deep_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family_module, "_DEEPEST", 3)
    family = Family(np.arange(1, 7), np.arange(0, 6))
    assert family.depth.tolist() == [0, 1, 2, 0, 0, 0]
    assert family.order(np.zeros(6, np.int64)).tolist() == [0, 1, 2, 3, 4, 5]
    assert family.children.tolist() == [1, 1, 0, 0, 0, 0]


def test_what_is_folded() -> None:
    folded, ids = Folded(), np.array([1, 2, 3])
    folded.fold(2, True)
    assert folded.of(ids).tolist() == [False, True, False]
    folded.turn()
    folded.fold(3, False)
    folded.fold(3, False)
    assert folded.of(ids).tolist() == [True, True, False]
    assert [folded.has(id) for id in (1, 2, 3)] == [True, True, False]
    folded.turn()
    assert not folded.of(ids).any()


def spawners() -> list[Message]:
    """1 main spawned 2 fetch and 3 worker, and 2 spawned 4 part and 5 rest, the busiest."""
    return [
        *three()[:-1],
        spawned([4, 5], parent=[2, 2], created=SECOND),
        named([4, 5], ["part", "rest"]),
        polled([4, 5], polls=1, busy=[MS, 200 * MS]),
        Tick(NOW),
    ]


def names(screen: Screen) -> list[str]:
    """The names with what leads to them."""
    return [row[9:20].rstrip() for row in screen.rows]


def test_t_lays_tasks_out_below_those_that_spawned_them() -> None:
    async def run() -> None:
        async with console(*spawners()) as screen:
            assert screen.ids == [5, 1, 2, 3, 4]
            await screen.press("T")
            assert "tree" in screen.line("status")
            assert screen.ids == [1, 2, 5, 4, 3]
            assert names(screen) == ["- main", "  - fetch", "      rest", "      part", "    worker"]
            await screen.press("A")
            assert screen.ids == [1, 2, 4, 5, 3], "siblings go by the column"
            await screen.press("T")
            assert screen.ids == [1, 4, 5, 2, 3]

    asyncio.run(run())


def test_branches_fold_and_filters_leave_what_stands_above() -> None:
    async def run() -> None:
        async with console(*spawners()) as screen:
            await screen.press("T", "j", "minus")
            assert names(screen) == ["- main", "  + fetch", "    worker"]
            assert screen.table.cursor == 2
            await screen.press("minus")
            assert screen.table.cursor == 1, "to the one above"
            await screen.press("j", "plus")
            assert screen.ids == [1, 2, 5, 4, 3]
            await screen.press("asterisk")
            assert names(screen) == ["+ main"]
            await screen.press("asterisk", "slash", *"part", "enter")
            assert screen.ids == [1, 2, 4]
            await screen.press("escape")
            await screen.say(ended([2], at=NOW), Tick(NOW), after_ns=5 * SECOND)
            await screen.press("d")
            assert screen.ids == [1, 2, 5, 4, 3], "what has ended stays where it has children"

    asyncio.run(run())


def test_new_tasks_come_below_their_parents_and_no_tree_says_so() -> None:
    async def run() -> None:
        async with console(*spawners()) as screen:
            await screen.press("minus")
            assert [each.message for each in screen.app._notifications] == ["T makes it a tree"]
            await screen.press("T")
            await screen.say(spawned([6], parent=[4]), Tick(NOW + SECOND), after_ns=SECOND)
            assert screen.ids == [1, 2, 5, 4, 6, 3]

    asyncio.run(run())

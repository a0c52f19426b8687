"""Where a task was spawned: the user's own line, whatever stands between it and the loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from recorded import Recorded

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def here() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


async def child(name: str = "") -> None:
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    task.set_name(name)


def test_the_line_that_spawns(run: Run, recorded: Recorded) -> None:
    lines: dict[str, int] = {}

    async def main() -> None:
        loop = asyncio.get_running_loop()
        lines["create_task"] = here() + 1
        await asyncio.create_task(child("create_task"))
        lines["loop"] = here() + 1
        await loop.create_task(child("loop"))
        lines["ensure_future"] = here() + 1
        await asyncio.ensure_future(child("ensure_future"))
        lines["gather"] = here() + 1
        await asyncio.gather(child("gather"))
        async with asyncio.TaskGroup() as group:
            lines["group"] = here() + 1
            group.create_task(child("group"))

    run(main())
    recorded.update()
    assert {name: recorded.site(name) for name in lines} == {
        name: (__file__, line) for name, line in lines.items()
    }


def test_two_lines_are_two_kinds_and_depths_do_not_stick(run: Run, recorded: Recorded) -> None:
    lines: dict[str, int] = {}

    def deep(levels: int, name: str) -> asyncio.Task[None]:
        if levels:
            return deep(levels - 1, name)
        lines["deep"] = here() + 1
        return asyncio.create_task(child(name))

    async def main() -> None:
        await deep(30, "deep")
        lines["shallow"] = here() + 1
        await asyncio.get_running_loop().create_task(child("shallow"))
        async with asyncio.TaskGroup() as group:
            lines["group"] = here() + 1
            group.create_task(child("group"))

    run(main())
    recorded.update()
    assert {name: recorded.site(name)[1] for name in lines} == lines
    assert len({recorded.task(name).kind for name in lines}) == 3


def test_from_a_callback(run: Run, recorded: Recorded) -> None:
    def spawn(made: asyncio.Future[asyncio.Task[None]]) -> None:
        made.set_result(asyncio.get_running_loop().create_task(child("from callback")))

    async def main() -> None:
        made: asyncio.Future[asyncio.Task[None]] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(spawn, made)
        await (await made)

    run(main())
    recorded.update()
    assert recorded.site("from callback") == (__file__, spawn.__code__.co_firstlineno + 1)
    assert recorded.task("from callback").parent == 0


def test_a_librarys_spawn_is_told_by_the_users_line(
    run: Run, recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "site-packages" / "spawning_library.py"
    library.parent.mkdir()
    library.write_text(
        "import asyncio\n"
        "def spawn(coroutine):\n    return asyncio.create_task(coroutine)\n"
        "async def own(coroutine):\n    await spawn(coroutine)\n"
    )
    monkeypatch.syspath_prepend(str(library.parent))
    monkeypatch.delitem(sys.modules, "spawning_library", raising=False)
    import spawning_library  # type: ignore[import-not-found]

    lines: dict[str, int] = {}

    async def main() -> None:
        lines["user"] = here() + 1
        await spawning_library.spawn(child("user"))

    run(main())
    run(spawning_library.own(child("library")))
    recorded.update()
    assert recorded.site("user") == (__file__, lines["user"])
    assert recorded.site("library")[0] == str(library)

"""What a frame is calling in C, as seen from within a function that the C code calls in turn."""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
import re
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from asynctop.attributes import static
from asynctop.callees import callee
from conftest import LOOPS

seen: list[str] = []

WORD = re.compile("word")


def look(*_: Any) -> int:
    """Look at the frame that has called into C."""
    seen.append(callee(sys._getframe(1)))
    return 0


class Store:
    __slots__ = ("__weakref__", "asked", "numbers")

    shared: ClassVar = [2, 1]

    def __init__(self) -> None:
        self.numbers = self.shared
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return self.numbers

    @property
    def mine(self) -> Any:
        self.asked.append("mine")
        return self.numbers


class Proxy:
    """What says that it is something else."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        store.asked.append("__class__")
        return list

    def __call__(self) -> None:
        seen.append(callee(sys._getframe(1)))


class Sorter(list[int]):
    """A subclass is known by the type that does the work."""


store = Store()
stores: dict[str, Any] = {"a": [store], "b": Sorter([2, 1])}
proxy = Proxy()
by_partial = functools.partial(min, [1, 2], key=look)


def global_name() -> None:
    min([1, 2], key=look)


def module_attribute() -> None:
    functools.reduce(look, [1, 2])


def slot() -> None:
    store.numbers.sort(key=look)


def class_attribute() -> None:
    Store.shared.sort(key=look, reverse=bool(seen and store))


def item() -> None:
    stores["a"][0].numbers.sort(key=look)


def subclass() -> None:
    stores["b"].sort(key=look)


def local_name() -> None:
    numbers, key = store.numbers, look
    numbers.sort(key=key)


def cell() -> None:
    numbers = store.numbers

    def inner() -> None:
        numbers.sort(key=look)

    inner()


def unpacked() -> None:
    options = {"key": look}
    min(*([1, 2],), **options)


def within_arguments() -> None:
    str(max([1, 2], key=look if store else None))


def result_of_a_call() -> None:
    memoryview(b"ab").tolist().sort(key=look)


def told_its_class() -> None:
    with contextlib.suppress(TypeError):  # `look` gives no text
        WORD.sub(look, "word")  # type: ignore[arg-type]


def partial() -> None:
    by_partial()


def in_a_handler() -> None:
    try:
        raise KeyError
    except KeyError:
        store.numbers.sort(key=look)


def in_a_comprehension() -> None:
    [min(pair, key=look) for pair in ((1, 2),)]


def iterating() -> None:
    calls = map(look, (1,))
    for _ in calls:
        pass


def behind_a_property() -> None:
    store.mine.sort(key=look)


def behind_getattr() -> None:
    store.whatever.sort(key=look)


def behind_a_proxy() -> None:
    proxy()


def of_python() -> None:
    look()


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (global_name, "min"),
        (module_attribute, "functools.reduce"),
        (slot, "list.sort"),
        (class_attribute, "list.sort"),
        (item, "list.sort"),
        (subclass, "list.sort"),
        (local_name, "list.sort"),
        (cell, "list.sort"),
        (unpacked, "min"),
        (within_arguments, "max"),
        (result_of_a_call, "memoryview().tolist().sort"),
        (told_its_class, "re.Pattern.sub"),
        (partial, "min"),
        (in_a_handler, "list.sort"),
        (in_a_comprehension, "min"),
        (iterating, "map.__next__"),
        (behind_a_property, ""),
        (behind_getattr, ""),
        (behind_a_proxy, ""),
        (of_python, ""),
    ],
)
def test_a_call_is_known_by_where_the_program_keeps_it(call: Callable[[], None], name: str) -> None:
    seen.clear()
    call()
    assert set(seen) == {name}


def test_nothing_of_the_programs_is_run() -> None:
    store.asked.clear()
    behind_a_property()
    behind_getattr()
    behind_a_proxy()
    assert store.asked == ["mine", "whatever"]


class Plain:
    def __init__(self) -> None:
        self.numbers = [2, 1]


plain = Plain()


def attribute() -> None:
    plain.numbers.sort(key=look)


def test_an_object_gets_no_dictionary_by_being_asked() -> None:
    seen.clear()
    attribute()

    assert seen == ["list.sort"] * 2
    assert dict not in map(type, gc.get_referents(plain))


@pytest.mark.parametrize("kind", LOOPS)
def test_nor_does_a_loop(kind: str) -> None:
    loop = LOOPS[kind]()
    before = [each for each in gc.get_referents(loop) if type(each) is dict]
    found = static(loop, "create_task")
    after = [each for each in gc.get_referents(loop) if type(each) is dict]
    loop.close()

    assert found is inspect.getattr_static(loop, "create_task")
    assert list(map(id, after)) == list(map(id, before))


def let_go() -> bool:
    large = Store()
    gone = weakref.ref(large)
    numbers = [2, 1]
    numbers.sort(key=look)
    del large
    return gone() is None


def test_what_a_frame_lets_go_of_is_not_kept() -> None:
    assert let_go()
    assert seen[-1] == "list.sort"


def test_a_frames_own_view_of_its_variables_stays_as_it_is() -> None:
    numbers = [2, 1]
    variables = locals()
    variables["numbers"] = "mine"
    numbers.sort(key=look)
    assert variables["numbers"] == "mine"


def test_a_lock_that_is_entered() -> None:
    lock = threading.Lock()

    def enter() -> None:
        with lock:
            pass

    with lock:
        thread = threading.Thread(target=enter)
        thread.start()
        assert thread.ident is not None
        while callee(sys._current_frames()[thread.ident]) != "_thread.lock.__enter__":
            pass
    thread.join()


def test_a_very_long_function_is_left_alone() -> None:
    long = "def long():\n" + "    x = 1\n" * 20_000 + "    min([1, 2], key=look)\n"
    names: dict[str, Any] = {"look": look}
    exec(long, names)
    names["long"]()
    assert seen[-1] == ""

"""Order, columns, cells and the filter's language, without a screen."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rich.cells import cell_len

from asynctop_console.model import Model
from asynctop_console.model.haystack import Haystack
from asynctop_console.views.cells import count, fit
from asynctop_console.views.columns import layout
from asynctop_console.views.filter import FilterError, language, parse
from asynctop_console.views.frame import Frame, Link, Phase
from asynctop_console.views.order import Order, ordering
from asynctop_console.views.tasklist import columns, fields
from asynctop_console.views.tasks import STATES, TaskRows
from asynctop_console.views.theme import PALETTES
from asynctop_protocol.messages import WakerSource

from .program import MS, ended, named, polled, spawned
from .screens import three

FIELDS = fields(TaskRows())
KEYS = st.lists(st.integers(-5, 5), max_size=60)


@given(KEYS, st.integers(0, 70), st.integers(0, 70), st.booleans())
def test_a_window_is_a_slice_of_the_whole_order(
    keys: list[int], start: int, length: int, descending: bool
) -> None:
    ids = np.arange(len(keys)) * 3 + 1
    order = Order(ids, ordering(np.array(keys, np.int64), descending))
    sign = -1 if descending else 1
    expected = [int(ids[i]) for i in sorted(range(len(keys)), key=lambda i: (sign * keys[i], i))]
    assert order.window(start, start + length).tolist() == expected[start : start + length]
    assert [order.position(id) for id in expected] == list(range(len(expected)))
    assert order.position(2) is None


@given(KEYS, st.lists(st.integers(0, 60), max_size=9))
def test_windows_are_the_same_wherever_one_comes_from(keys: list[int], starts: list[int]) -> None:
    order = Order(np.arange(len(keys)), np.array(keys, np.int64), margin=3)
    expected = sorted(range(len(keys)), key=lambda i: (keys[i], i))
    for start in starts:
        assert order.window(start, start + 5).tolist() == expected[start : start + 5]
    assert order.first == (expected[0] if expected else None)


@given(KEYS, st.sets(st.integers(0, 60)), st.integers(0, 60))
def test_the_neighbour_is_the_next_wanted_one_and_goes_round(
    keys: list[int], chosen: set[int], here: int
) -> None:
    ids = np.arange(len(keys))
    order = Order(ids, np.array(keys, np.int64))
    line = order.window(0, len(keys)).tolist()
    wanted = [id for id in line if id in chosen]
    for step in (1, -1):
        found = order.neighbour(here, np.array(sorted(chosen), np.int64), step)
        if not wanted:
            assert found is None
            continue
        turned = line if step > 0 else line[::-1]
        at = turned.index(here) + 1 if here in turned else 0
        assert found == next(id for id in turned[at:] + turned if id in chosen)


def test_lower_bands_stand_first_whatever_their_keys() -> None:
    keys = ordering(np.array([9, 2**62, 1]), True, np.array([0, 1, -1], np.int8))
    assert Order(np.array([1, 2, 3]), keys).window(0, 3).tolist() == [3, 1, 2]


PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=80)


@given(
    PRINTABLE,
    st.integers(0, 30),
    st.sampled_from(["left", "right"]),
    st.sampled_from(["left", "right"]),
)
def test_a_cell_is_exactly_as_wide_as_asked_for(text: str, width: int, align: str, cut: str) -> None:
    assert cell_len(fit(text, width, align, cut)) == width


def test_cells_are_cut_where_they_say_least() -> None:
    assert fit("/srv/app/web.py:12", 10, cut="left") == "…web.py:12"
    assert fit("読み取り", 5) == "読み…"
    assert fit("読み取り", 6, cut="left") == "… 取り"
    assert [count(n) for n in (7, 99_999, 123_456, 56_700_000, 3 * 10**9)] == [
        "7",
        "99999",
        "123k",
        "56.7M",
        "3.0G",
    ]


@pytest.mark.parametrize("width", range(79, 200, 7))
def test_columns_fill_the_screen_and_never_more(width: int) -> None:
    found = layout(columns(TaskRows()), width)
    widths = [cells for _, cells in found]
    assert sum(widths) + len(widths) - 1 <= width
    assert all(cells >= column.width for column, cells in found)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("busy>", "busy> what? As in busy>10ms"),
        ("busy>10", "10 what? As in busy>10ms"),
        ("busy>x", '"x" is no time; as in busy>10ms'),
        ("polls>1q", '"1q" is no number; as in polls>100'),
        ("busy", 'as in busy>10ms, or "busy" for the word'),
        ("color:red", 'no field "color"'),
        ("state:asleep", 'no state "asleep"; there are idle scheduled'),
        ("name>3", "name has no order: name:word"),
        ("state>idle", "state has no order: state:idle"),
        ("parent>7", "parent has no order: parent:T7 or parent:word"),
        ("parent", 'as in parent:T7 or parent:word, or "parent" for the word'),
        ("lint:yes", "lint stands alone"),
        ("!", "! inverts what follows it"),
    ],
)
def test_the_filter_says_what_it_expected(text: str, error: str) -> None:
    with pytest.raises(FilterError) as raised:
        parse(text, FIELDS)
    assert error in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", [1, 2, 3]),
        ("FETCH", [2]),
        ("!fetch", [1, 3]),
        ("handler", [1, 2, 3]),
        ("web.py", []),
        ("main.py", [1, 2, 3]),
        ("name:main", [1]),
        ("busy>10ms", [1, 2]),
        ("busy<=3ms", [3]),
        ("polls>100", [2]),
        ("polls>=0.07k polls<1k !name:fetch", [3]),
        ("state:idle", [1, 2, 3]),
        ("!state:i", []),
        ("lint", []),
        ("!lint", [1, 2, 3]),
        ('"fetch', [2]),
        ('name:"a b"', []),
        ("id=3", [3]),
        ("parent:T1", [2, 3]),
        ("parent:1", [2, 3]),
        ("!parent:main", [1]),
        ("parent:T2", []),
        ("parent:T", []),
        ("kind:K1", [1, 2, 3]),
        ("kind:k1", [1, 2, 3]),
        ("kind:K2", []),
        ("!kind:K2", [1, 2, 3]),
        ("kind:1", []),
        ("kind:hand", [1, 2, 3]),
        ("loop:1", [1, 2, 3]),
        ("loop:mainthread", [1, 2, 3]),
        ("loop:uvloop", []),
        ("waker:T3", [2]),
        ("waker:work", [2]),
        ("waker:timer", [1]),
        ("waker:on_timer", [1]),
        ("waker:io", []),
        ("!waker:task", [1, 3]),
    ],
)
def test_the_filter_finds(text: str, ids: list[int]) -> None:
    model = Model()
    woken = polled(
        [1, 2],
        polls=[5, 300],
        busy=[90 * MS, 20 * MS],
        waker_source=[WakerSource.TIMER, WakerSource.TASK],
        waker_task=[0, 3],
        waker_name=[5, 0],
    )
    for message in (*three(), woken):
        model.fold(message)
    frame = Frame(model, Link(Phase.LIVE, "a program"), model.now_ns, [])
    mask = parse(text, FIELDS).mask(frame)
    found = model.tasks.id if mask is None else model.tasks.id[mask]
    assert found.tolist() == ids


@given(st.text(max_size=40))
def test_no_text_breaks_the_filter(text: str) -> None:
    with contextlib.suppress(FilterError):
        assert parse(text, FIELDS).text == text


@given(st.lists(PRINTABLE, max_size=9), st.text(max_size=3))
def test_a_haystack_finds_what_python_finds(texts: list[str], word: str) -> None:
    found = Haystack(texts).holding(word)
    # Letter by letter: where a capital sigma stands in a word decides what its small letter is.
    assume("Σ" not in "".join(texts) + word)
    assert found.tolist() == [word.lower() in text.lower() for text in texts]


@given(st.lists(st.text("aAbéÉ日", max_size=20) | st.sampled_from(["a" * 16, "A" * 17]), max_size=20))
def test_a_haystack_ranks_texts_as_python_sorts_them(texts: list[str]) -> None:
    lowered = [text.lower() for text in texts]
    in_order = sorted(lowered)
    assert Haystack(texts).ranks().tolist() == [in_order.index(text) for text in lowered]


def test_names_are_found_by_what_they_are_by_now() -> None:
    model = Model()
    for message in three():
        model.fold(message)

    def found() -> list[int]:
        frame = Frame(model, Link(Phase.LIVE, "a program"), model.now_ns, [])
        ids: list[int] = model.tasks.id[parse("name:fetch", FIELDS).mask(frame)].tolist()
        return ids

    assert found() == [2]
    model.fold(spawned([4]))
    model.fold(named([3, 4], ["prefetch", "fetch"]))
    assert found() == [2, 3, 4]
    model.fold(ended([2, 3, 4]))
    model.tasks.evict(0)
    assert found() == []


def test_the_help_says_how_to_filter_and_each_example_is_understood() -> None:
    lines = language(FIELDS)
    for example, _ in lines:
        parse(example, FIELDS)
    said = " ".join(part for line in lines for part in line)
    assert [name for name in FIELDS if name not in said] == []


def test_every_theme_has_every_role_and_every_ground() -> None:
    first, *others = PALETTES.values()
    for palette in others:
        assert palette.roles.keys() == first.roles.keys()
        assert palette.grounds.keys() == first.grounds.keys()
    for glyph, role in STATES.values():
        assert cell_len(glyph) == 1
        assert role in first.roles


def _contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    def luminance(rgb: tuple[int, ...]) -> float:
        parts = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["asynctop-dark", "asynctop-light"])
def test_texts_can_be_read(theme: str) -> None:
    """WCAG 2: 4.5 for text, 3 for what is meant to step back."""
    palette = PALETTES[theme]
    for ground in palette.grounds:
        for role in palette.roles:
            style = palette[role, ground]
            if role.startswith("bar") or style.color is None or style.bgcolor is None:
                continue
            fore, back = style.color.get_truecolor(), style.bgcolor.get_truecolor()
            least = 3.0 if role == "faint" else 4.5
            assert _contrast(tuple(fore), tuple(back)) >= least, (role, ground)

"""What is put into words: foreign texts, places, durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asynctop_console.clean import LENGTH, clean, clean_path, program
from asynctop_console.model import duration, short, users_frame


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("fetch-1", "fetch-1"),
        ("größe 日本 👍", "größe 日本 👍"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b31m", r"\x9b31m"),
        ("a\nb\r\tc", "a↵b↵ c"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("\udcff", r"\udcff"),
        ("a\xa0b", "a b"),
        ("\x00", r"\x00"),
    ],
)
def test_a_foreign_text_becomes_visible(foreign: str, shown: str) -> None:
    assert clean(foreign) == shown


@given(st.text(st.characters(exclude_categories=()), max_size=LENGTH * 2))
def test_a_clean_text_is_printable_short_and_stays_as_it_is(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.isprintable()
    assert len(cleaned) <= LENGTH
    assert clean(cleaned) == cleaned
    cleaned.encode()


def test_long_texts_lose_their_end_and_paths_their_beginning() -> None:
    assert clean("abcdef", 4) == "abc…"
    assert clean_path("/srv/app/web.py", 8) == "…/web.py"
    assert clean_path("/a\n", 8) == "/a↵"


@pytest.mark.parametrize(
    ("ns", "shown"),
    [
        (-5, "0ns"),
        (0, "0ns"),
        (840, "840ns"),
        (999, "999ns"),
        (1_000, "1.00µs"),
        (12_345, "12.3µs"),
        (999_499, "999µs"),
        (999_500, "1.00ms"),
        (4_560_000, "4.56ms"),
        (9_996_000, "10.0ms"),
        (1_230_000_000, "1.23s"),
        (59_940_000_000, "59.9s"),
        (59_960_000_000, "1m00s"),
        (123_000_000_000, "2m03s"),
        (3_599_900_000_000, "59m59s"),
        (3_840_000_000_000, "1h04m"),
        (3 * 86_400_000_000_000 + 7 * 3_600_000_000_000, "3d07h"),
    ],
)
def test_durations(ns: int, shown: str) -> None:
    assert duration(ns) == shown


@given(st.integers(0, 2**63))
def test_a_duration_takes_at_most_seven_columns(ns: int) -> None:
    assert len(duration(ns)) <= 7


def test_the_users_frame_is_the_innermost_of_their_own() -> None:
    stack = [
        ("<module>", "/srv/app/main.py", 3),
        ("_run", "/usr/lib/python3.13/asyncio/events.py", 80),
        ("handler", "/srv/app/web.py", 40),
        ("get", "/srv/venv/lib/python3.13/site-packages/requests/api.py", 73),
        ("_bootstrap", "<frozen importlib._bootstrap>", 1),
    ]
    assert users_frame(stack) == ("handler", "/srv/app/web.py", 40)
    assert users_frame(stack[3:]) == stack[4]
    assert users_frame([]) is None


@pytest.mark.parametrize(
    "file",
    [
        "/usr/lib/python3.11/json/decoder.py",
        "/opt/python3.13t/lib/python3.13t/threading.py",
        "/usr/lib/python3/dist-packages/yaml/loader.py",
        r"C:\Python313\Lib\asyncio\base_events.py",
        r"C:\app\venv\Lib\site-packages\requests\api.py",
        "/usr/lib/python311.zip/json/decoder.py",
        "<string>",
    ],
)
def test_libraries_are_not_the_users_own(file: str) -> None:
    mine = ("main", "/home/me/lib/app.py", 1)
    assert users_frame([mine, ("f", file, 2)]) == mine


def test_a_place_is_short_and_cut_on_the_left() -> None:
    assert short("/srv/app/web.py", 12) == "app/web.py:12"
    assert short("web.py", 12) == "web.py:12"
    assert short(r"C:\srv\app\web.py", 12) == "app/web.py:12"
    assert short("/srv/application/webserver.py", 12, width=10) == "…ver.py:12"
    assert short("", 12) == ""


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (
            ["/usr/bin/python3.13", "-m", "asynctop", "run", "/srv/shop/app.py", "--port", "80"],
            "shop/app.py --port 80",
        ),
        (["/srv/bin/python", "/srv/bin/asynctop", "run", "app.py"], "app.py"),
        (
            ["python", "asynctop", "run", "--wait", "--flight-limit", "9", "--", "-m", "app", "--x"],
            "-m app --x",
        ),
        (["asynctop", "run", "--flight-recorder=/tmp", "app.py"], "app.py"),
        (["python", "-m", "uvicorn", "shop:app"], "-m uvicorn shop:app"),
        (["/opt/service"], "opt/service"),
        (["python"], "python"),
        ([], ""),
    ],
)
def test_a_program_is_told_by_what_it_runs(argv: list[str], shown: str) -> None:
    assert program(argv) == shown

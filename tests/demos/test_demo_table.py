"""The table of demos: names, summaries and needs, read from the files without running them."""

import subprocess
import sys

import pytest

from asynctop_demos import DEMOS, Demo


@pytest.mark.parametrize("demo", DEMOS.values(), ids=DEMOS)
def test_a_demo_says_in_one_line_what_to_find(demo: Demo) -> None:
    assert DEMOS[demo.name] is demo
    assert demo.path.name == demo.name.replace("-", "_") + ".py"
    assert 40 < len(demo.summary) < 100
    assert demo.summary.endswith(".")


def test_only_the_web_demo_needs_more_than_the_standard_library() -> None:
    needs = {demo.name: demo.needs for demo in DEMOS.values() if demo.needs}
    assert needs == {"web": ("aiohttp", "fastapi", "uvicorn", "uvloop")}


@pytest.mark.parametrize("demo", DEMOS.values(), ids=DEMOS)
def test_a_demo_does_not_know_asynctop(demo: Demo) -> None:
    assert "asynctop" not in demo.path.read_text(encoding="utf-8")


def test_the_table_runs_no_demo_and_loads_no_event_loop() -> None:
    code = "import sys, asynctop_demos; print(*{'asyncio', 'aiohttp', 'uvicorn'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

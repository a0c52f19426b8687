"""The pytest plugin: test runs in processes of their own."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator

import pytest

pytest_plugins = ("pytester",)

Run = Callable[..., "pytest.RunResult"]

HEAD = """\
import asyncio, sys, time
import pytest

async def poller():
    await asyncio.sleep(3600)

def load():
    time.sleep(0.3)
"""

PLUGINS = ("pytest_asyncio.plugin", "anyio.pytest_plugin", "xdist.plugin", "asynctop_pytest.plugin")

SETTINGS = """
[pytest]
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
"""

ANYIO_BACKEND = """
@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"
"""

WAYS = {
    "asyncio.run": """
def test():
    async def main():
{body}
    asyncio.run(main())
""",
    "pytest-asyncio": """
@pytest.mark.asyncio
async def test():
{body}
""",
    "anyio": f"""{ANYIO_BACKEND}
@pytest.mark.anyio
async def test():
{{body}}
""",
}


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run a test file with pytest."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", ",".join(PLUGINS))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    for name in ("CI", "BUILD_NUMBER"):  # where they are set, the short summary has every report once more
        monkeypatch.delenv(name, raising=False)

    def run_file(source: str, *options: str, settings: str = "") -> pytest.RunResult:
        pytester.makeini(SETTINGS + settings)
        pytester.makepyfile(test_it=HEAD + source)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *options)

    with tempfile.TemporaryDirectory(prefix="asynctop-") as directory:
        monkeypatch.setenv("ASYNCTOP_DIR", directory)
        yield run_file


def outcomes(result: pytest.RunResult) -> dict[str, int]:
    return result.parseoutcomes()


def written(way: str, *lines: str) -> str:
    """A test that does this."""
    indent = 8 if way == "asyncio.run" else 4
    return WAYS[way].format(body="\n".join(" " * indent + line for line in lines))


def line_of(source: str, text: str) -> int:
    """The number of the line that has this text."""
    (number,) = [number for number, line in enumerate((HEAD + source).split("\n"), 1) if text in line]
    return number


@pytest.mark.parametrize("way", WAYS)
def test_a_test_that_blocks(run: Run, way: str) -> None:
    result = run(written(way, "load()", "await asyncio.sleep(0)"), "--asynctop")
    assert outcomes(result) == {"failed": 1}
    line = line_of("", "time.sleep")
    result.stdout.re_match_lines(
        [
            rf"test_it\.py:{line}: load\(\) blocked the event loop in time\.sleep\(\) for \d+ ms, 50 ms are",
            r'  File ".*test_it\.py", line \d+, in .*(test|main)',
            rf'  File ".*test_it\.py", line {line}, in load',
            r"    time\.sleep\(0\.3\)",
            rf"FAILED test_it\.py::test.* - Failed: test_it\.py:{line}: load\(\)",
        ]
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_test_that_leaves_a_task_behind(run: Run, way: str) -> None:
    spawn = 'task = asyncio.create_task(poller(), name="mine")'
    source = written(way, spawn, "await asyncio.sleep(0)")
    result = run(source, "--asynctop")
    assert outcomes(result) == {"failed": 1}
    line = line_of(source, spawn)
    result.stdout.fnmatch_lines([f"test_it.py:{line}: task mine of poller(), spawned here, was left behind"])


def test_a_name_of_somebody_else_s_does_not_reach_the_terminal_raw(run: Run) -> None:
    spawn = r'task = asyncio.create_task(poller(), name="\x1b]0;x\x07\u202e\ud800" + 300 * "y")'
    result = run(written("asyncio.run", spawn, "await asyncio.sleep(0)"), "--asynctop")
    named = [line for line in result.stdout.lines if "was left behind" in line]
    assert named
    for line in named:
        assert line.isprintable()
        assert r"task \x1b]0;x\x07\u202e\ud800yyy" in line
        assert len(line) < 400


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "lines",
    [
        ("await asyncio.to_thread(load)",),
        ("task = asyncio.create_task(poller())", "await asyncio.sleep(0)", "task.cancel()"),
        ("async with asyncio.TaskGroup() as group:", "    group.create_task(asyncio.sleep(0.01))"),
    ],
    ids=["in a thread", "cancelled", "in a group"],
)
def test_a_test_that_does_neither(run: Run, way: str, lines: tuple[str, ...]) -> None:
    assert outcomes(run(written(way, *lines), "--asynctop")) == {"passed": 1}


CLIENT = """
import pytest_asyncio

class Client:
    async def connect(self):
        self.task = asyncio.create_task(poller(), name="reader")
        await asyncio.sleep(0)
"""


def test_a_fixture_may_end_what_the_test_has_begun(run: Run) -> None:
    source = f"""{CLIENT}
@pytest_asyncio.fixture
async def client():
    client = Client()
    yield client
    client.task.cancel()

@pytest.mark.asyncio
async def test(client):
    await client.connect()
"""
    assert outcomes(run(source, "--asynctop")) == {"passed": 1}


def test_a_fixture_that_does_not(run: Run) -> None:
    source = f"""{CLIENT}
@pytest_asyncio.fixture
async def client():
    yield Client()

@pytest.mark.asyncio
async def test(client):
    await client.connect()
"""
    result = run(source, "--asynctop")
    assert outcomes(result) == {"passed": 1, "errors": 1}
    result.stdout.fnmatch_lines(["*ERROR at teardown of test*", "*task reader of poller(), spawned here*"])


def test_a_fixture_that_blocks(run: Run) -> None:
    source = """
import pytest_asyncio

@pytest_asyncio.fixture
async def slow():
    load()

@pytest.mark.asyncio
async def test(slow):
    pass
"""
    result = run(source, "--asynctop")
    assert outcomes(result) == {"errors": 1}
    result.stdout.fnmatch_lines(["*ERROR at setup of test*", "*load() blocked the event loop*"])


WIDE = {
    "pytest-asyncio": """
import pytest_asyncio
pytestmark = pytest.mark.asyncio(loop_scope="module")

@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server():
    task = asyncio.create_task(poller())
    yield task
    task.cancel()
""",
    "anyio": f"""{ANYIO_BACKEND}
pytestmark = pytest.mark.anyio

@pytest.fixture(scope="module")
async def server():
    task = asyncio.create_task(poller())
    yield task
    task.cancel()
""",
}


@pytest.mark.parametrize("way", WIDE)
def test_tasks_of_a_wider_fixture_are_not_the_test_s(run: Run, way: str) -> None:
    source = f"""{WIDE[way]}
kept = []

async def test_one(server):
    await asyncio.sleep(0)

async def test_two(server):
    task = asyncio.create_task(poller(), name="two's")
    await asyncio.sleep(0)

async def test_three(server):
    asyncio.get_running_loop().call_soon(lambda: kept.append(asyncio.create_task(poller())))
    await asyncio.sleep(0.01)
"""
    result = run(source, "--asynctop")
    assert outcomes(result) == {"passed": 2, "failed": 1}
    result.stdout.fnmatch_lines(["*task two's of poller(), spawned here, was left behind"])


def test_it_costs_nothing_where_it_is_off(run: Run) -> None:
    source = """
def test():
    load()
    ours = {name for name in sys.modules if name.startswith("asynctop")}
    assert ours == {"asynctop_pytest", "asynctop_pytest.plugin"}
"""
    assert outcomes(run(source)) == {"passed": 1}


def test_the_marker_is_for_one_test(run: Run) -> None:
    source = """
from asyncio import events
stock = events.Handle

def run():
    async def main():
        assert (events.Handle is stock) == expected
        asyncio.get_running_loop().task = asyncio.create_task(poller())
        await asyncio.sleep(0)
        load()
    asyncio.run(main())

def test_before():
    global expected
    expected = True
    run()

@pytest.mark.asynctop
def test_both():
    global expected
    expected = False
    run()

@pytest.mark.asynctop(max_poll=20, leaks=False)
def test_neither():
    run()

@pytest.mark.asynctop(max_poll=None)
def test_leaks():
    run()

@pytest.mark.asynctop(leaks=False)
def test_blocks():
    run()

def test_after():
    global expected
    expected = True
    run()
"""
    result = run(source)
    assert outcomes(result) == {"passed": 3, "failed": 3}
    assert result.stdout.str().count("blocked the event loop") == 2
    assert result.stdout.str().count("was left behind") == 2


@pytest.mark.parametrize("settings", ["asynctop = true", "asynctop = true\nasynctop_max_poll = 20"])
def test_the_settings(run: Run, settings: str) -> None:
    result = run(written("asyncio.run", "load()"), settings=settings)
    assert outcomes(result) == ({"passed": 1} if "max_poll" in settings else {"failed": 1})


@pytest.mark.parametrize(
    ("marker", "settings", "says"),
    [
        ("max_poll='50ms'", "", "expected @pytest.mark.asynctop(max_poll=SECONDS"),
        ("max_poll=0", "", "expected @pytest.mark.asynctop(max_poll=SECONDS"),
        ("0.05", "", "expected @pytest.mark.asynctop(max_poll=SECONDS"),
        ("leak=False", "", "expected @pytest.mark.asynctop(max_poll=SECONDS"),
        ("leaks=1", "", "expected @pytest.mark.asynctop(max_poll=SECONDS"),
        ("", "asynctop_max_poll = 50ms", "asynctop_max_poll: expected seconds, 0.001 to 3600, found '50ms'"),
        ("", "asynctop_max_poll = nan", "asynctop_max_poll: expected seconds, 0.001 to 3600, found 'nan'"),
    ],
)
def test_bad_input(run: Run, marker: str, settings: str, says: str) -> None:
    result = run(f"@pytest.mark.asynctop({marker})\ndef test(): pass", settings=settings)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{says.replace('[', '[[]')}*"])


def test_the_fixture_tells_and_does_not_judge(run: Run) -> None:
    source = """
@pytest.mark.asyncio
async def test(asynctop):
    task = asyncio.create_task(poller(), name="mine")
    await asyncio.sleep(0)
    assert asynctop.stalls == []
    load()
    await asyncio.sleep(0)
    (stall,) = asynctop.stalls
    assert (stall.cause, stall.function, stall.callee) == ("blocking", "load", "time.sleep")
    assert stall.seconds > 0.29
    (left,) = asynctop.tasks
    assert (left.name, left.kind, left.file) == ("mine", "poller", __file__)

def test_another(asynctop):
    assert (asynctop.stalls, asynctop.tasks) == ([], [])
"""
    assert outcomes(run(source)) == {"passed": 2}


def test_side_by_side(run: Run) -> None:
    source = written("asyncio.run", "load()").replace("test()", "test(number)")
    result = run("@pytest.mark.parametrize('number', range(4))" + source, "--asynctop", "-n", "2")
    assert outcomes(result) == {"failed": 4}
    assert result.stdout.str().count("FAILED test_it.py::test[") == 4


def test_a_test_that_fails_anyway(run: Run) -> None:
    lines = (
        "task = asyncio.create_task(poller())",
        "await asyncio.sleep(0)",
        "load()",
        "assert task is None",
    )
    result = run(written("pytest-asyncio", *lines), "--asynctop")
    assert outcomes(result) == {"failed": 1}
    result.stdout.fnmatch_lines(
        [
            "E  *assert *",
            "*Captured asynctop call*",
            "*load() blocked the event loop*",
            "*task * of poller(), spawned here, was left behind",
        ]
    )


def test_a_test_case_of_unittest(run: Run) -> None:
    source = """
import unittest

class Tests(unittest.IsolatedAsyncioTestCase):
    async def test_blocks(self):
        load()

    async def test_leaves(self):
        self.task = asyncio.create_task(poller())
        await asyncio.sleep(0)

    async def test_does_neither(self):
        self.task = asyncio.create_task(poller())
        self.addCleanup(self.task.cancel)
        await asyncio.sleep(0)
"""
    result = run(source, "--asynctop")
    assert outcomes(result) == {"failed": 2, "passed": 1}


def test_tests_of_asynctop_s_own_users(run: Run) -> None:
    source = """
import asynctop as ours

async def main():
    load()

def test_installs():
    assert ours.install()
    asyncio.run(main())

def test_uninstalls():
    asyncio.run(main())
    ours.uninstall()

def test_again():
    asyncio.run(main())
"""
    assert outcomes(run(source, "--asynctop")) == {"failed": 2, "passed": 1}


def test_where_it_cannot_be_installed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCTOP_CORE", "nonsense")
    result = run("def test(): pass", "--asynctop")
    assert outcomes(result) == {"errors": 1}
    result.stdout.fnmatch_lines(["asynctop cannot watch this test: *ASYNCTOP_CORE*nonsense*"])


def test_a_test_may_fork(run: Run) -> None:
    source = """
import os
import asynctop as ours

@pytest.mark.asynctop(max_poll=20)
def test():
    async def main():
        child = os.fork()
        if not child:
            ours.uninstall()  # its own socket
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    asyncio.run(main())

def test_that_it_goes_on():
    async def main():
        load()
    asyncio.run(main())
"""
    assert outcomes(run(source, "--asynctop", "-W", "error")) == {"passed": 1, "failed": 1}


def test_pytest_run_by_asynctop(pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose modules are imported before it, from a distribution in which it finds a plugin."""
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.delenv("PYTEST_PLUGINS")
    pytester.makeini(SETTINGS)
    pytester.makepyfile("def test(): pass")
    strictly = ("-m", "pytest", "-W", "error", "-p", "no:cacheprovider")
    result = pytester.run(sys.executable, "-m", "asynctop", "run", *strictly)
    assert (result.ret, outcomes(result)) == (0, {"passed": 1})

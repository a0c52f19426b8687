"""The tools: what they are, how they were used, and which of a program's words are theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PINS = dict(line.split("==") for line in (HERE / "others.txt").read_text("utf-8").split())


@dataclass(frozen=True)
class Tool:
    """One column of the table."""

    key: str
    """What observe.py calls it."""
    name: str
    used: str
    """How, in a sentence."""
    package: str = ""
    """In others.txt."""
    complains: bool = True
    """It says that something is wrong. Others show what there is, and leave it to the reader to see."""
    speaks: tuple[str, ...] = ()
    """Who of the program's loggers and the like is this tool; the tool itself always is."""
    mark: str = ""
    """What its words contain, where they come as somebody else's."""
    newest: bool = False
    """It needs CPython 3.15."""

    @property
    def title(self) -> str:
        """With its version, where it has one of its own."""
        return f"{self.name} {PINS[self.package]}" if self.package else self.name

    def own(self, words: list[Mapping[str, str]]) -> list[str]:
        """What it said, of all that was said in the program."""
        return [
            word["text"]
            for word in words
            if (self.mark in word["text"] if self.mark else word["who"] in (self.key, *self.speaks))
        ]


_PYTHON = ("asyncio", "py.warnings", "exception")

TOOLS = (
    Tool("asynctop", "asynctop", "`asynctop run`, then the warnings of `asynctop snapshot --for 2.5`"),
    Tool(
        "plain",
        "Python alone",
        "what asyncio logs, warnings and tracebacks, also those when the program is ended with Ctrl-C",
        speaks=_PYTHON,
    ),
    Tool(
        "debug",
        "asyncio debug mode",
        "`PYTHONASYNCIODEBUG=1 python -X dev`, with `slow_callback_duration` of 50 ms; what it says is read "
        "as above",
        speaks=_PYTHON,
    ),
    Tool(
        "aiocop",
        "aiocop",
        "all parts of its quick start, trace depth 20, threshold 50 ms, and its manual's callback, which "
        "also prints its samples of the stack",
        "aiocop",
    ),
    Tool(
        "blockbuster",
        "blockbuster",
        "`BlockBuster().activate()`; it raises",
        "blockbuster",
        mark="BlockingError",
    ),
    Tool(
        "pyleak",
        "pyleak",
        "`no_task_leaks` with creation tracking and `no_event_loop_blocking` (50 ms) around `main()`, as in "
        "a test; `main()` is cancelled after 3 s",
        "pyleak",
    ),
    Tool(
        "loopsentry",
        "loopsentry",
        "`LoopSentry(threshold=0.05, detect_async_bottlenecks=True, async_threshold=1)`; the events in its "
        "log",
        "loopsentry",
    ),
    Tool(
        "aiodebug",
        "aiodebug",
        "`log_slow_callbacks` and `hang_inspection`, both at 50 ms",
        "aiodebug",
        speaks=("aiodebug.log_slow_callbacks",),
    ),
    Tool(
        "logfire",
        "logfire",
        "`log_slow_async_callbacks(0.05)`, with its console",
        "logfire",
        speaks=("console",),
    ),
    Tool(
        "asyncviz",
        "asyncviz",
        "`asyncviz run`; the warnings on its dashboard, with its own thresholds",
        "asyncviz",
    ),
    Tool(
        "aiomonitor",
        "aiomonitor",
        "with its hooked task factory; what `ps` lists, running and ended, and `where` for one task of each "
        "coroutine function, from its web interface",
        "aiomonitor",
        complains=False,
    ),
    Tool("pyspy", "py-spy dump", "five times, half a second apart", "py-spy", complains=False),
    Tool(
        "pstree", "asyncio pstree", "`python -m asyncio pstree PID`, five times", complains=False, newest=True
    ),
    Tool(
        "profiling",
        "profiling.sampling",
        "`attach --async-aware --async-mode all`, then `attach --mode wall --all-threads`, 1 s each; the 40 "
        "lines with the most samples of each",
        complains=False,
        newest=True,
    ),
    Tool(
        "sgrud",
        "sgrud",
        "`sgrud dump PID --json`, five times, which has the lines of tasks' stacks that its text leaves out",
        "sgrud",
        complains=False,
        newest=True,
    ),
)
"""In the order of the table's columns."""

"""Dependencies point one way: runtime -> protocol <- console. Read from the imports, wherever they are."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.source_tree

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "asynctop": ROOT / "runtime/asynctop",
    "asynctop_protocol": ROOT / "protocol/asynctop_protocol",
    "asynctop_pytest": ROOT / "runtime/asynctop_pytest",
    "asynctop_console": ROOT / "console/asynctop_console",
    "asynctop_demos": ROOT / "demos/asynctop_demos",
}
IO_MODULES = {"socket", "time", "threading", "_thread", "asyncio", "selectors", "select", "ssl", "subprocess"}
PUBLIC = {"asynctop", "asynctop.install", "asynctop.uninstall"}


def imports(source: str) -> Iterator[tuple[str, bool]]:
    """Every absolute import's dotted name, and whether importing the file itself runs it."""
    tree = ast.parse(source)
    lazy = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) not in lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((f"{node.module}.{alias.name}", id(node) not in lazy) for alias in node.names)


def problem(package: str, name: str, at_import: bool) -> str | None:
    """What is wrong with this import in this package; None where nothing is."""
    top = name.partition(".")[0]
    standard = top in sys.stdlib_module_names
    if top == package:
        return None
    if package == "asynctop_protocol":
        allowed = top == "msgpack" or (standard and top not in IO_MODULES)
        return None if allowed else f"the protocol imports {name}: only msgpack and modules without I/O"
    if package == "asynctop":
        hooked = top in {"uvloop", "trio"} and not at_import
        allowed = standard or hooked or top in {"msgpack", "asynctop_protocol"}
        return (
            None
            if allowed
            else f"the runtime imports {name}: only the standard library, msgpack, the protocol"
        )
    if package == "asynctop_pytest":
        allowed = standard or top in {"pytest", "asynctop", "asynctop_protocol"}
        return None if allowed else f"the pytest plugin imports {name}: only pytest and the runtime"
    if package == "asynctop_console" and top == "asynctop":
        return f"the console imports {name}: it knows the runtime only through the protocol"
    if package == "asynctop_demos" and top == "asynctop" and name not in PUBLIC:
        return f"a demo imports {name}: demos use what asynctop exports, nothing inside it"
    return None


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_one_way(package: str) -> None:
    problems = [
        f"{path.relative_to(ROOT)}: {found}"
        for path in sorted(PACKAGES[package].rglob("*.py"))
        for name, at_import in imports(path.read_text("utf-8"))
        if (found := problem(package, name, at_import))
    ]
    assert problems == []


@pytest.mark.parametrize("package", PACKAGES)
def test_package_is_there(package: str) -> None:
    assert (PACKAGES[package] / "py.typed").exists()


@pytest.mark.parametrize(
    ("package", "source", "allowed"),
    [
        ("asynctop_protocol", "import msgpack, struct", True),
        ("asynctop_protocol", "def f():\n    import time", False),
        ("asynctop_protocol", "import asynctop", False),
        ("asynctop", "from asynctop_protocol import Hello", True),
        ("asynctop", "def f():\n    import uvloop", True),
        ("asynctop", "import uvloop", False),
        ("asynctop", "def f():\n    import textual", False),
        ("asynctop", "from asynctop_console import app", False),
        ("asynctop", "def f():\n    import pytest", False),
        ("asynctop", "from asynctop_pytest import plugin", False),
        ("asynctop_pytest", "import pytest, asynctop.insider, asynctop_protocol", True),
        ("asynctop_pytest", "def f():\n    import asynctop_console", False),
        ("asynctop_console", "import textual, asynctop_protocol", True),
        ("asynctop_console", "if True:\n    from asynctop.publisher import x", False),
        ("asynctop_demos", "import asynctop", True),
        ("asynctop_demos", "from asynctop import install", True),
        ("asynctop_demos", "from asynctop.recorder import Recorder", False),
        ("asynctop_demos", "import asynctop.recorder", False),
    ],
)
def test_the_rule_itself(package: str, source: str, allowed: bool) -> None:
    found = [problem(package, name, at_import) for name, at_import in imports(source)]
    assert (not any(found)) is allowed

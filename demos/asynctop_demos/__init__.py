"""Programs worth looking at with asynctop: healthy ones, sick ones, real servers.

Each module here is a program of its own, for `python -m` or `asynctop run`: none knows of asynctop, none is
imported by this package, and the first line of its docstring says what there is to find. `DEMOS` is read from
the files.
"""

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DEMOS", "Demo"]


@dataclass(frozen=True)
class Demo:
    """One demo: a program to run, and what to look for in it."""

    name: str
    """What the user types: the file's name with dashes (`slow-poll`)."""
    path: Path
    """The program's file."""
    summary: str
    """One line, under 100 characters: what a viewer should find."""
    needs: tuple[str, ...]
    """Top-level modules outside the standard library that must be importable, sorted."""


def _read(path: Path) -> Demo:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    needs = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    return Demo(path.stem.replace("_", "-"), path, summary, tuple(sorted(needs)))


DEMOS: dict[str, Demo] = {
    demo.name: demo for demo in map(_read, sorted(Path(__file__).parent.glob("[!_]*.py")))
}
"""Every demo by its name, in alphabetical order."""

"""What was said, as it is kept in results.json: from it the pages are made, without running anything."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from .judging import Cell
from .tools import HERE

_KEPT = HERE / "results.json"


@dataclass
class Results:
    """A cell for each program, sick and healthy, and each tool that it ran under."""

    versions: dict[str, str] = field(default_factory=dict)
    """Of Python: what most tools ran on, and what those ran on that need the newest."""
    cells: dict[str, dict[str, dict[str, Cell]]] = field(default_factory=dict)
    """By "sick" or "healthy", scenario and tool. Healthy, where the tool complained of the sick one."""

    @classmethod
    def read(cls) -> Results:
        """What is kept, if anything is."""
        if not _KEPT.exists():
            return cls()
        kept = json.loads(_KEPT.read_text("utf-8"))
        return cls(
            kept["versions"],
            {
                health: {
                    name: {tool: Cell(**cell) for tool, cell in tools.items()}
                    for name, tools in names.items()
                }
                for health, names in kept["cells"].items()
            },
        )

    def of(self, health: str, name: str, tool: str) -> Cell:
        """What is kept of one. KeyError if it was not run."""
        return self.cells[health][name][tool]

    def has(self, health: str, name: str, tool: str) -> bool:
        """Whether this was run, and could be."""
        cell = self.cells.get(health, {}).get(name, {}).get(tool)
        return cell is not None and cell.verdict != "failed"

    def complained(self, name: str, tool: str) -> bool:
        """Whether it complained of a sick program, so that what it says of the healthy twin matters."""
        return self.of("sick", name, tool).verdict in ("line", "symptom")

    def put(self, health: str, name: str, tool: str, cell: Cell) -> None:
        """Note a cell, in place of what was there."""
        self.cells.setdefault(health, {}).setdefault(name, {})[tool] = cell

    def write(self) -> None:
        """Keep it."""
        _KEPT.write_text(
            json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8"
        )

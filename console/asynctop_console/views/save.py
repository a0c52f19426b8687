"""Saving what the console knows."""

from __future__ import annotations

import json
import time
from pathlib import Path

from asynctop_console.lints import Rule
from asynctop_console.model import Model
from asynctop_console.snapshot import snapshot


def save(model: Model, rules: tuple[Rule, ...], folder: Path) -> Path:
    """Write the snapshot into a new file in this folder, and return which. OSError where that cannot be."""
    pid = model.hello.pid if model.hello else 0
    path = folder / f"asynctop-{pid}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    text = json.dumps(snapshot(model, rules))
    with path.open("x") as file:
        file.write(f"{text}\n")
    return path

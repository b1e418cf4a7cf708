"""`make bench`: runs the families, prints a table, writes build/bench/latest.json.

A family is a module here with `async def run(scale: int) -> list[Row]`.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import pkgutil
import platform
import sys
import time
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

import tests.bench
from tests.bench import Row

OUT = Path(__file__).resolve().parents[2] / "build" / "bench" / "latest.json"


def families() -> list[str]:
    """The names of the modules that measure."""
    found = [module.name for module in pkgutil.iter_modules(tests.bench.__path__)]
    return sorted(name for name in found if not name.startswith("_"))


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--name", action="append", choices=families(), help="one family")
    parser.add_argument("--scale", default="1", help="such as 1,4,16: prints the cost curve")
    return parser.parse_args()


def table(rows: list[Row]) -> Table:
    """The rows for people."""
    shown = Table("figure", "scale", "value", "unit", "target", "met", "rival", "ratio", "note")
    for row in rows:
        met = {True: "yes", False: "[red]no[/]", None: ""}[row.met]
        sign = "≥" if row.at_least else "≤"
        shown.add_row(
            row.name,
            f"{row.scale}×",
            f"{row.value:,.4g}" if row.value < 1000 else f"{row.value:,.0f}",
            row.unit,
            f"{sign} {row.target:,.4g}" if row.target is not None else "",
            met,
            f"{row.rival} {row.rival_value:,.4g}" if row.rival_value else row.rival,
            f"{row.ratio:.2f}" if row.ratio is not None else "",
            row.note,
        )
    return shown


def main() -> int:
    asked = arguments()
    scales = [int(part) for part in asked.scale.split(",")]
    documents, rows = [], []
    for name in asked.name or families():
        family = importlib.import_module(f"tests.bench.{name}")
        for scale in scales:
            load, began = os.getloadavg()[0], time.monotonic()
            print(f"bench: {name} at {scale}× (load {load:.2f})", file=sys.stderr, flush=True)
            measured = asyncio.run(family.run(scale))
            took = time.monotonic() - began
            rows += measured
            documents += [{**row.document(), "load": load, "took": took} for row in measured]
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": sys.version}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_bytes(orjson.dumps({"machine": machine, "rows": documents}, option=2))
    # Where it is no terminal that says how wide it is, no figure is broken over lines.
    Console(width=None if sys.stdout.isatty() else 200).print(table(rows))
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

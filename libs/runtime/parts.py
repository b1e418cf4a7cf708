"""What a process depends on or runs, and whether it works."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(slots=True)
class Part:
    """One of them. Not `frozen`: it says how things stand now."""

    name: str
    ok: bool = False
    detail: str = "starting"

    def up(self, detail: str = "") -> None:
        """It works."""
        self.ok, self.detail = True, detail

    def down(self, detail: str) -> None:
        """It does not, and why."""
        self.ok, self.detail = False, detail


class Parts:
    """All of them, and the ones that must have come up once before work is taken.

    Readiness is about this process: a database that goes away later does not take it back.
    """

    def __init__(self) -> None:
        self._parts: dict[str, Part] = {}
        self._awaited: set[str] = set()
        self.ready = asyncio.Event()

    def add(self, name: str) -> Part:
        """A new part. Raises ValueError where the name is taken."""
        if name in self._parts:
            raise ValueError(f"there are two parts named {name}")
        part = self._parts[name] = Part(name)
        return part

    def wait_for(self, name: str) -> None:
        """Has readiness wait until `arrived(name)`."""
        self._awaited.add(name)
        self.ready.clear()

    def arrived(self, name: str) -> None:
        """One thing less to wait for."""
        self._awaited.discard(name)
        self.settle()

    def settle(self) -> None:
        """Ready now, unless something is still awaited."""
        if not self._awaited:
            self.ready.set()

    def missing(self) -> list[str]:
        """What readiness waits for."""
        return sorted(self._awaited)

    def all(self) -> list[Part]:
        """In order of appearance."""
        return list(self._parts.values())

"""What children log: repeated where a person should know, and kept from growing without end."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import orjson

LOG_LIMIT = 20 * 1024 * 1024
_WARNING = 13  # SeverityNumber of WARN (OpenTelemetry log data model)
# Of a flood, the person at the terminal gets this many lines a look; the file has them all.
_AT_ONCE = 10
_LONGEST_READ = 4 * 1024 * 1024


class Echo:
    """Repeats a child's warnings and errors, a short line each."""

    def __init__(
        self, name: str, log: Path, tell: Callable[[str], None], *, limit: int = LOG_LIMIT
    ) -> None:
        self._name = name
        self._log = log
        self._tell = tell
        self._limit = limit
        self._at = log.stat().st_size if log.exists() else 0

    def look(self) -> None:
        """Repeats what was written since the last look, and sets a long log aside."""
        try:
            lines = self._read()
            if self._at > self._limit:
                self._rotate()
        except OSError:
            return  # not there yet; or the disk has a fault, of which others say more
        told = [line for line in map(readable, lines) if line]
        for line in told[:_AT_ONCE]:
            self._tell(f"{self._name}: {line}")
        if len(told) > _AT_ONCE:
            self._tell(f"{self._name}: and {len(told) - _AT_ONCE} lines more, in {self._log}")

    def _read(self) -> list[bytes]:
        size = self._log.stat().st_size
        if size < self._at:  # somebody emptied it
            self._at = 0
        if size - self._at > _LONGEST_READ:
            self._at = size - _LONGEST_READ
        if size == self._at:
            return []
        with self._log.open("rb") as file:
            file.seek(self._at)
            data = file.read(size - self._at)
        whole = data.rfind(b"\n") + 1
        self._at += whole
        return data[:whole].splitlines()

    def _rotate(self) -> None:
        """Copies the log aside and empties it.

        The child holds it open for appending, so it cannot be moved. A line written between copy
        and emptying is lost; that is milliseconds in twenty megabytes.
        """
        shutil.copyfile(self._log, self._log.with_suffix(".1.jsonl"))
        with self._log.open("r+b") as file:
            file.truncate(0)
        self._at = 0


def readable(line: bytes) -> str:
    """A log line for people, where it is a warning or worse; empty where it is not."""
    try:
        entry = orjson.loads(line)
        if entry["SeverityNumber"] < _WARNING:
            return ""
        attributes = entry.get("Attributes") or {}
        error = attributes.get("error") or attributes.get("exception.message") or ""
        return f"{entry['SeverityText']} {entry['Body']}" + (f" ({error})" if error else "")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        # Of a traceback, the last line says what was wrong.
        text = line.decode(errors="replace").rstrip()
        return "" if text.startswith((" ", "Traceback")) else text

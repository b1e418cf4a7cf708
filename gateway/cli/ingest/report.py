"""What became of the files: for people and for machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.exits import Exit
from gateway.cli.ingest.files import FileKind, SourceFile
from libs.errors import AppError

if TYPE_CHECKING:
    from rich.text import Text

    from pq.market.v1 import imports_pb2 as pb

SHOWN_FAULTS = 5
_MODES = {1: "live", 2: "backfill", 3: "correction"}


@dataclass(slots=True)
class Tally:
    """All files so far. `seconds` is how long the sending took."""

    files: int = 0
    duplicates: int = 0
    rows: int = 0
    accepted: int = 0
    rejected: int = 0
    changes: int = 0
    seconds: float = 0.0
    refused: list[Path] = field(default_factory=list)
    not_sent: int = 0

    def add(self, answer: pb.Import) -> None:
        """Counts a file that was taken; one taken before adds nothing but itself."""
        self.files += 1
        if answer.duplicate:
            self.duplicates += 1
            return
        self.rows += answer.row_count
        self.accepted += answer.accepted_count
        self.rejected += answer.rejected_count
        self.changes += answer.change_count

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds if self.seconds > 0 else 0.0

    def exit(self, *, strict: bool) -> Exit:
        """How the command ends. A refused file counts always, rows set aside with `strict`."""
        return Exit.REJECTED if self.refused or (strict and self.rejected) else Exit.OK

    def document(self) -> dict[str, Any]:
        """The last line of --json."""
        return {
            "summary": {
                "files": self.files,
                "duplicates": self.duplicates,
                "refused": len(self.refused),
                "not_sent": self.not_sent,
                "rows": self.rows,
                "accepted": self.accepted,
                "rejected": self.rejected,
                "changes": self.changes,
                "seconds": round(self.seconds, 3),
                "rows_per_second": round(self.rate),
            }
        }

    def text(self) -> str:
        """The last line for a person."""
        told = f"{_count(self.files, 'file')}, {_count(self.accepted, 'row')} accepted"
        told += f", {self.rejected:,} set aside, {_count(self.changes, 'price change')}"
        if self.duplicates:
            told += f", {self.duplicates:,} taken in before"
        if self.refused:
            told += f", {len(self.refused):,} refused"
        if self.not_sent:
            told += f", {self.not_sent:,} not sent"
        return f"{told} — {self.seconds:.1f} s, {self.rate:,.0f} rows/s"


def taken_document(file: SourceFile, answer: pb.Import, seconds: float) -> dict[str, Any]:
    """A file that was taken, as a line of --json."""
    document: dict[str, Any] = {
        "file": str(file.path),
        "kind": file.kind.value,
        "import": answer.name,
        "source": answer.source,
        "sha256": answer.sha256,
        "rows": answer.row_count,
        "accepted": answer.accepted_count,
        "rejected": answer.rejected_count,
        "duplicate": answer.duplicate,
        "seconds": round(seconds, 3),
        "faults": [
            {"line": f.line, "field": f.field, "reason": f.reason, "description": f.description}
            for f in answer.faults
        ],
    }
    if file.kind is FileKind.PRICES:
        document |= {
            "day": answer.day,
            "mode": _MODES.get(answer.mode, ""),
            "snapshot": answer.snapshot,
            "changes": answer.change_count,
        }
    return document


def refused_document(file: SourceFile, error: AppError) -> dict[str, Any]:
    """A file that was refused, as a line of --json."""
    violations = [
        {"field": v.field, "reason": v.reason, "description": v.description}
        for v in error.violations
    ]
    return {
        "file": str(file.path),
        "kind": file.kind.value,
        "error": {"reason": error.reason, "message": error.message, "violations": violations},
    }


def taken_text(file: SourceFile, answer: pb.Import) -> Text:
    """A file that was taken, for a person: a line, and one for each of its first faults."""
    from rich.text import Text

    text = Text.assemble(("✓ ", "green"), (file.path.name, "bold"), "  ")
    if file.kind is FileKind.PRICES:
        text.append(_standing(answer) + "  ")
    text.append(f"{answer.accepted_count:,} accepted")
    if answer.rejected_count:
        text.append(f", {answer.rejected_count:,} set aside", "yellow")
    if file.kind is FileKind.PRICES:
        text.append(f", {_count(answer.change_count, 'change')}")
    if answer.duplicate:
        text.append("  (taken in before: nothing changed)", "dim")
        return text
    for fault in answer.faults[:SHOWN_FAULTS]:
        place = f"line {fault.line}" + (f", {fault.field}" if fault.field else "")
        text.append(f"\n    {place}: {fault.description} ({fault.reason})", "yellow")
    more = answer.rejected_count - min(len(answer.faults), SHOWN_FAULTS)
    if more > 0:
        text.append(f"\n    and {more:,} more; --json prints the first 100", "dim")
    return text


def refused_text(file: SourceFile, error: AppError) -> Text:
    """A file that was refused, for a person."""
    from rich.text import Text

    text = Text.assemble(("✗ ", "bold red"), (file.path.name, "bold"), "  refused: ")
    return text.append(f"{error.message} ({error.reason})")


def _standing(answer: pb.Import) -> str:
    mode = _MODES.get(answer.mode, "")
    version = answer.snapshot.rpartition("-")[2] if answer.snapshot else "nothing differed"
    return f"{answer.day} {version}" + (f" {mode}" if mode and mode != "live" else "")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")

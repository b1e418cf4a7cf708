"""The hops of the demonstration, and the record of how far it came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

ACCEPTED, FIRED, SENT, RECEIVED = (
    "price accepted",
    "alert fired",
    "webhook sent",
    "webhook received",
)
ORDER = (ACCEPTED, FIRED, SENT, RECEIVED)
# Which service to look at when a hop does not come.
LOOK_AT = {
    ACCEPTED: "market takes the file: `pq doctor` says whether it is up",
    FIRED: "alerts evaluates what market's relay puts into the event log: `pq doctor` shows the"
    " outbox of market and the lag of alerts",
    SENT: "delivery sends what alerts' relay puts into the event log: `pq doctor` shows the outbox"
    " of alerts and the lag of delivery",
    RECEIVED: "delivery must reach this machine's loopback: a receiver's firewall, or delivery on"
    " another machine",
}


@dataclass(frozen=True, slots=True)
class Hop:
    """Something that happened. `after` is in seconds since the file began to leave."""

    name: str
    after: float
    what: str
    resource: str = ""


@dataclass(slots=True)
class Journey:
    """How far the price came. `began` is when the file began to leave, by the wall clock."""

    began: datetime
    prepared: dict[str, str] = field(default_factory=dict)
    hops: list[Hop] = field(default_factory=list)
    total: float | None = None

    def add(self, name: str, when: datetime, what: str, resource: str = "") -> None:
        """A hop that happened at `when`."""
        self.hops.append(Hop(name, (when - self.began).total_seconds(), what, resource))

    def missing(self) -> list[str]:
        """The hops that did not come, in order."""
        seen = {hop.name for hop in self.hops}
        return [name for name in ORDER if name not in seen]

    def ordered(self) -> Iterator[tuple[Hop, float]]:
        """Each hop with the seconds since the one before."""
        before = 0.0
        for hop in sorted(self.hops, key=lambda hop: ORDER.index(hop.name)):
            yield hop, hop.after - before
            before = hop.after

    def document(self, *, verified: bool) -> dict[str, Any]:
        """All of it for --json."""
        return {
            "ok": not self.missing(),
            "verified": verified,
            "total_seconds": None if self.total is None else round(self.total, 4),
            "prepared": self.prepared,
            "hops": [
                {
                    "hop": hop.name,
                    "after_seconds": round(hop.after, 4),
                    "what": hop.what,
                    "resource": hop.resource,
                }
                for hop, _ in self.ordered()
            ],
            "missing": self.missing(),
        }

    def table(self) -> Table:
        """All of it for a person."""
        from rich.table import Table

        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column("HOP")
        table.add_column("AFTER", justify="right")
        table.add_column("STEP", justify="right", style="dim")
        table.add_column("WHAT", overflow="fold")
        for hop, step in self.ordered():
            table.add_row(
                f"[green]✓[/] {hop.name}",
                f"{hop.after * 1e3:,.0f} ms",
                f"+{step * 1e3:,.0f}",
                hop.what,
            )
        for name in self.missing():
            table.add_row(f"[red]✗[/] {name}", "—", "", "[red]did not come[/]")
        return table

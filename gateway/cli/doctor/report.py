"""The doctor's findings for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway.cli.doctor.findings import Check, ConsumerLag, Findings, ServiceFindings
from gateway.cli.exits import Exit

if TYPE_CHECKING:
    from rich.text import Text

_VERDICTS = {
    Exit.OK: ("all is well", "bold green"),
    Exit.DEGRADED: ("not all is well", "bold yellow"),
    Exit.UNREACHABLE: ("nothing answers", "bold red"),
}
_WIDTH = 12


def render(findings: Findings) -> Text:
    """What is up, line by line; then what is not, why, and what to do."""
    from rich.text import Text

    text = Text()
    text.append(f"home {findings.home}\n", "dim")
    _line(text, "REST", [findings.gateway], findings.gateway.detail)
    for part in findings.parts:
        _line(text, part.name, [part], part.detail)
    for service in findings.services:
        _line(text, service.service, service.checks, ", ".join(_remarks(service)))
        for lag in service.consumers:
            text.append(f"{'':{_WIDTH + 2}}{_lag(lag)}\n", "yellow" if lag.halts else "dim")
    faults = findings.faults()
    for name, check in faults:
        about = name if name in (check.name, "REST") else f"{name}, {check.name}"
        text.append(f"\n✗ {about}: ", "bold red").append(check.detail or "it does not work")
        text.append(f"\n    {check.hint}" if check.hint else "", "dim")
    verdict, style = _VERDICTS[findings.verdict()]
    text.append("\n\n" if faults else "\n").append(verdict, style)
    return text


def _line(text: Text, name: str, checks: list[Check] | tuple[Check, ...], detail: str) -> None:
    bad = [check.name if check.reached else "no answer" for check in checks if not check.ok]
    mark, style = ("●", "green") if not bad else ("✗", "red")
    text.append(f"{mark} ", style).append(f"{name:<{_WIDTH}}", "bold")
    shown = detail if not bad else f"not well: {', '.join(bad)}"
    text.append(shown + "\n")


def _remarks(service: ServiceFindings) -> Iterator[str]:
    if service.uptime_seconds is None:
        yield "serving; no more is known without a token"
        return
    yield f"up for {_span(service.uptime_seconds)}"
    if service.outbox_waiting is not None:
        waits = f"{service.outbox_waiting:,} in the outbox" if service.outbox_waiting else ""
        yield waits or "outbox empty"
    if service.dead_letters is not None:
        yield (
            f"{service.dead_letters:,} dead letters" if service.dead_letters else "no dead letters"
        )


def _lag(lag: ConsumerLag) -> str:
    told = f"{lag.consumer} ← {lag.topic}: "
    told += f"at most {lag.lag:,} behind" if lag.lag else "up to date"
    halted = f", {len(lag.halts)} halted" if lag.halts else ""
    return f"{told} ({lag.partitions} partitions{halted})"


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"

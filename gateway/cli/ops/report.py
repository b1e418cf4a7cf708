"""Partitions and dead letters as they are shown: JSON as the contract names it, or a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gateway.cli.ops.services import Letter
from pq.ops.v1 import ops_pb2 as pb

if TYPE_CHECKING:
    from rich.table import Table


def partition(service: str, found: pb.PartitionStatus) -> dict[str, Any]:
    """A consumer's standing as a document."""
    return {"service": service, **_document(found)}


def letter(one: Letter) -> dict[str, Any]:
    """A dead letter as a document."""
    return {"service": one.service, **_document(one.letter)}


def partitions(rows: Sequence[tuple[str, pb.PartitionStatus]]) -> Table | str:
    """All of them, those that stand still in red."""
    if not rows:
        return "no consumers"
    table = _table("CONSUMER", "TOPIC", "PARTITION", "AT", "END", "BEHIND", "HALTED")
    for _, found in rows:
        numbers = (found.partition, found.position, found.end, found.lag)
        shown = (str(number) for number in numbers)
        style = "red" if found.halt else ""
        table.add_row(found.consumer, found.topic, *shown, found.halt, style=style)
    return table


def letters(found: Sequence[Letter]) -> Table | str:
    """All of them, those that were handled dim."""
    if not found:
        return "no dead letters"
    table = _table("ID", "SINCE", "CONSUMER", "EVENT", "AT", "ERROR")
    for one in found:
        dead = one.letter
        done = dead.HasField("redrive_time")
        table.add_row(
            dead.id,
            dead.create_time.ToJsonString(),
            dead.consumer,
            f"{dead.event_type} {dead.event_id}",
            f"{dead.topic}/{dead.partition} at {dead.offset}",
            f"handled {dead.redrive_time.ToJsonString()}" if done else dead.error,
            style="dim" if done else "",
        )
    return table


def _document(message: Any) -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(message, always_print_fields_with_no_presence=True)


def _table(*headings: str) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading in ("ID", "PARTITION"))
    return table

"""`pq ops lag`, `letters`, `redrive`, `resume`."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.cli.exits import CliError, Exit
from gateway.cli.ops import report
from gateway.cli.ops.services import Letter, Service, ask, failed, services
from gateway.cli.output import Output
from gateway.cli.product import Product
from libs.errors import AppError, Kind
from pq.ops.v1 import ops_pb2 as pb


async def lag(output: Output, product: Product, names: Sequence[str]) -> Exit:
    """How far each consumer is in each partition; DEGRADED where one stands still."""
    async with services(product, names) as asked:
        answers, code = await ask(output, asked, Service.status)
    rows = [(s.name, found) for s, status in answers for found in status.partitions]
    output.document({"partitions": [report.partition(name, found) for name, found in rows]})
    output.say(report.partitions(rows))
    return Exit.DEGRADED if any(found.halt for _, found in rows) else code


async def letters(
    output: Output, product: Product, names: Sequence[str], consumer: str, *, everything: bool
) -> Exit:
    """The dead letters that wait, or `everything` there was."""
    async with services(product, names) as asked:
        answers, code = await ask(output, asked, Service.letters)
    found = [
        one
        for _, several in answers
        for one in several
        if _wanted(one, consumer, everything=everything)
    ]
    output.document({"deadLetters": [report.letter(one) for one in found]})
    output.say(report.letters(found))
    return code


async def redrive(output: Output, product: Product, ids: Sequence[str], consumer: str) -> Exit:
    """Has these letters handled once more, or all that wait at `consumer`.

    Goes on after one that cannot be; ends with REJECTED then.
    """
    async with services(product, ()) as asked:
        if consumer:
            answers, code = await ask(output, asked, Service.letters)
            if code is not Exit.OK:
                raise CliError(Exit.UNREACHABLE, "unreachable", "not all services answer")
            letters = [one for _, several in answers for one in several]
            found = [one for one in letters if _wanted(one, consumer, everything=False)]
            where = {service.name: service for service in asked}
            work = [([where[one.service]], one.letter.id) for one in found]
        else:
            work = [(asked, id) for id in ids]
        refused = [await _redrive(output, several, id) for several, id in work]
    if not work:
        output.note("none waits")
    return Exit.REJECTED if any(refused) else Exit.OK


async def resume(
    output: Output, product: Product, consumer: str, topic: str, partition: int | None
) -> Exit:
    """Lets the partitions go on in which `consumer` has halted: all, or those named."""
    async with services(product, ()) as asked:
        answers, code = await ask(output, asked, Service.status)
        halted = [
            (service, found)
            for service, status in answers
            for found in status.partitions
            if found.halt and _meant(found, consumer, topic, partition)
        ]
        if not halted:
            raise CliError(
                Exit.REJECTED if code is Exit.OK else code,
                "not_halted",
                f"{consumer} has not halted there",
                "`pq ops lag` shows who stands where",
            )
        for service, found in halted:
            try:
                await service.resume(found)
            except AppError as error:
                raise failed(service, error) from None
            output.line({"resumed": report.partition(service.name, found)})
            output.say(f"{found.consumer} goes on in {found.topic}/{found.partition}")
    return code


async def _redrive(output: Output, asked: Sequence[Service], id: str) -> bool:
    """Whether it was refused. Whose letter it is, only they know: each is asked in turn."""
    for service in asked:
        try:
            done = await service.redrive(id)
        except AppError as error:
            if error.kind is Kind.NOT_FOUND and service is not asked[-1]:
                continue
            told = failed(service, error)
            if told.exit is not Exit.REJECTED:
                raise told from None
            output.line({"refused": {"id": id, "reason": told.reason, "message": told.message}})
            output.say(f"✗ {id}: {told.message}")
            return True
        output.line({"handled": report.letter(done)})
        output.say(f"● {id}: handled by {done.letter.consumer}")
        return False
    return False


def _wanted(one: Letter, consumer: str, *, everything: bool) -> bool:
    waits = not one.letter.HasField("redrive_time")
    return (everything or waits) and consumer in ("", one.letter.consumer)


def _meant(found: pb.PartitionStatus, consumer: str, topic: str, partition: int | None) -> bool:
    return (
        found.consumer == consumer
        and topic in ("", found.topic)
        and partition in (None, found.partition)
    )

"""Prints how a receiver did."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.cli.exits import CliError, Exit
from gateway.cli.output import Output
from gateway.cli.webhooks.check.cases import CASES, Case, Sender
from gateway.cli.webhooks.check.play import Result, play
from gateway.cli.webhooks.verify import Verifier


async def check(
    output: Output,
    *,
    url: str,
    secret: str,
    event_type: str,
    only: Sequence[str] = (),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    random: Callable[[int], bytes] = os.urandom,
) -> Exit:
    """Plays the cases and says what is wrong. DEGRADED where something is. Raises CliError."""
    _check_secret(secret)
    cases = _chosen(only)
    sender = Sender(secret, event_type, now(), random)
    results = []
    width = max(len(case.name) for case in cases)
    async for result in play(url, sender, cases):
        results.append(result)
        _say(output, result, width)
    wrong = sum(not result.passed for result in results)
    output.document({"url": url, "wrong": wrong, "cases": [document(r) for r in results]})
    told = f"{len(results) - wrong} of {len(results)} cases right"
    output.say(f"\n{told}" + ("" if wrong else ": this receiver does what it should"))
    if any(result.case.name == "duplicate_id" for result in results):
        output.note("whether it acted once on the duplicate_id cannot be seen from here")
    return Exit.DEGRADED if wrong else Exit.OK


def document(result: Result) -> dict[str, Any]:
    """A case as --json tells it."""
    found: dict[str, Any] = {
        "case": result.case.name,
        "passed": result.passed,
        "expected": str(result.case.expected),
        "answered": [answer.status or answer.fault for answer in result.answers],
        "seconds": round(result.slowest, 3),
        "remarks": result.remarks,
    }
    if not result.passed:
        found |= {"wrong": result.case.wrong, "advice": result.case.advice}
    return found


def _check_secret(secret: str) -> None:
    try:
        Verifier([secret])
    except ValueError as error:
        raise CliError(Exit.USAGE, "bad_secret", str(error)) from None


def _chosen(only: Sequence[str]) -> list[Case]:
    known = {case.name: case for case in CASES}
    for name in only:
        if name not in known:
            told = f"no case is called {name!r}; there are {', '.join(known)}"
            raise CliError(Exit.USAGE, "unknown_case", told)
    return [case for case in CASES if not only or case.name in only]


def _say(output: Output, result: Result, width: int) -> None:
    from rich.text import Text

    verdict = ("right", "green") if result.passed else ("WRONG", "bold red")
    answered = ", ".join(dict.fromkeys(str(answer) for answer in result.answers))
    line = Text.assemble(f"{result.case.name:{width}}  ", verdict, f"  answered {answered}")
    if not result.passed:
        line.append(f", expected {result.case.expected}")
        line.append(f"\n    {result.case.wrong}\n    {result.case.advice}")
    for remark in result.remarks:
        line.append(f"\n    {remark}")
    output.say(line)

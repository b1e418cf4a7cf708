"""Plays the cases, one request at a time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import RequestError, RequestTimeoutError

from gateway.cli.exits import CliError, Exit
from gateway.cli.webhooks.check.cases import Case, Expected, Post, Sender

# Seconds. pq waits for 15; who answers after this will be late on a bad day.
PATIENCE = 15.0
SLOW = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request came to: a status, or in words why there is none; `seconds` it took."""

    status: int | None
    fault: str
    seconds: float

    def __str__(self) -> str:
        return self.fault if self.status is None else str(self.status)

    def suits(self, expected: Expected) -> bool:
        """Whether a right receiver answers so."""
        return self.status is not None and f"{self.status // 100}xx" == expected


@dataclass(frozen=True, slots=True)
class Result:
    """How a case went."""

    case: Case
    answers: tuple[Answer, ...]

    @property
    def passed(self) -> bool:
        """Whether each answer is that of a right receiver."""
        return all(answer.suits(self.case.expected) for answer in self.answers)

    @property
    def slowest(self) -> float:
        """Seconds of the slowest answer."""
        return max(answer.seconds for answer in self.answers)

    @property
    def remarks(self) -> list[str]:
        """What is unusual about the answers, whatever they should have been."""
        statuses = {answer.status for answer in self.answers}
        found = []
        if any(status is not None and 300 <= status < 400 for status in statuses):
            found.append("it redirects; pq follows no redirect: give the URL it leads to")
        if 410 in statuses:
            found.append("it answered 410, which disables an endpoint")
        if self.slowest > SLOW:
            found.append(f"it took {self.slowest:.1f} s: answer first, and do the work afterwards")
        return found


async def play(url: str, sender: Sender, cases: Sequence[Case]) -> AsyncIterator[Result]:
    """Plays the cases in turn. Raises CliError where nobody listens."""
    builder = ClientBuilder().follow_redirects(enable=False).no_proxy().http1_only()
    async with builder.timeout(timedelta(seconds=PATIENCE)).build() as client:
        for case in cases:
            answers = [await _send(client, url, post) for post in case.make(sender)]
            yield Result(case, tuple(answers))


async def _send(client: Client, url: str, post: Post) -> Answer:
    begun = time.monotonic()
    try:
        request = client.post(url).headers(post.headers).body_bytes(post.body)
        status, fault = (await request.build().send()).status, ""
    except RequestTimeoutError:
        status, fault = None, f"no answer in {PATIENCE:g} s"
    except RequestError as error:
        if (why := _unreachable(error)) is not None:
            told = f"nobody answers at {url}: {why}"
            raise CliError(Exit.UNREACHABLE, "receiver_unreachable", told) from error
        status, fault = None, "disconnected"
    return Answer(status, fault, time.monotonic() - begun)


def _unreachable(error: RequestError) -> str | None:
    """Why no connection was had; None where there was one. The exception's type does not say it,
    its second cause does: "client error (Connect)"."""
    causes = [cause["message"] for cause in (error.details["causes"] or [])]
    return causes[-1] if any("(connect)" in cause.lower() for cause in causes) else None

"""A domain's report: its checks run, what they lack is read, and they run again until all is known.

All that the checks want is asked at once, and they run again with each answer, so a report takes
as many round trips as its longest chain (an SPF include within an include) and not as many as it
has questions; a server that is silent holds up what depends on it and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from services.delivery.dns.policies import PolicyReader
from services.delivery.dns.reader import DnsReader
from services.delivery.dns.suffixes import Suffixes
from services.delivery.domain.authentication.facts import Answer, Facts, Kind, Question
from services.delivery.domain.authentication.report import Report, assess
from services.delivery.domain.authentication.subject import Subject

log = logging.getLogger(__name__)

# A report is an answer to somebody who waits; the gateway gives a call ten seconds.
DEADLINE = 8.0
# Who publishes more than this wants us to ask and not to know.
MAX_QUESTIONS = 300
_AT_ONCE = 16


class Survey:
    """Makes reports. `deadline` is in seconds, over all of one report."""

    def __init__(
        self,
        dns: DnsReader,
        policies: PolicyReader,
        suffixes: Suffixes,
        deadline: float = DEADLINE,
    ) -> None:
        self._dns = dns
        self._policies = policies
        self._suffixes = suffixes
        self._deadline = deadline

    async def report(self, subject: Subject) -> Report:
        """What could be found out in time; the rest is unknown."""
        organization = await self._suffixes.organization()
        facts = Facts()
        try:
            async with asyncio.timeout(self._deadline):
                await self._complete(facts, lambda: assess(subject, facts, organization))
        except TimeoutError:
            log.warning("a domain was not read in time", extra={"domain": subject.domain})
        return assess(subject, facts, organization)

    async def _complete(self, facts: Facts, look: Callable[[], object]) -> None:
        """Reads what is wanted until `look` wants nothing more."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def read(question: Question) -> None:
            async with slots:
                facts.learn(question, await self._read(question))

        tasks: dict[Question, asyncio.Task[None]] = {}
        try:
            while True:
                look()
                for question in facts.wanted:
                    if question not in tasks and len(tasks) < MAX_QUESTIONS:
                        tasks[question] = asyncio.create_task(read(question))
                under_way = [task for task in tasks.values() if not task.done()]
                if not under_way:
                    break
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.gather(*tasks.values())  # a fault of ours is raised, not swallowed
        finally:
            for task in tasks.values():
                task.cancel()

    async def _read(self, question: Question) -> Answer:
        if question.kind is Kind.POLICY:
            return await self._policies.read(question.name)
        return await self._dns.read(question)

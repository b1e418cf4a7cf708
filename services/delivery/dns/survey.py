"""A domain's report: its checks run, what they lack is read, and they run again until all is known.

Each round asks all that the checks want at once, so a report takes as many round trips as its
longest chain (an SPF include within an include) and not as many as it has questions.
"""

from __future__ import annotations

import asyncio
import logging

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
        report = assess(subject, facts, organization)
        try:
            async with asyncio.timeout(self._deadline):
                while facts.wanted and facts.asked < MAX_QUESTIONS:
                    await self._read_wanted(facts)
                    report = assess(subject, facts, organization)
        except TimeoutError:
            log.warning("a domain was not read in time", extra={"domain": subject.domain})
            report = assess(subject, facts, organization)
        return report

    async def _read_wanted(self, facts: Facts) -> None:
        """Asks what is wanted; each answer is kept as soon as it is there."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def learn(question: Question) -> None:
            async with slots:
                facts.learn(question, await self._read(question))

        left = MAX_QUESTIONS - facts.asked
        async with asyncio.TaskGroup() as group:
            for question in list(facts.wanted)[:left]:
                group.create_task(learn(question))

    async def _read(self, question: Question) -> Answer:
        if question.kind is Kind.POLICY:
            return await self._policies.read(question.name)
        return await self._dns.read(question)

"""Each row of the table, read from a real DNS server."""

from __future__ import annotations

import pytest

from libs.clock import SystemClock
from services.delivery.channels.clients import Clients
from services.delivery.channels.resolver import Resolver
from services.delivery.dns.policies import PolicyReader
from services.delivery.dns.reader import DnsReader
from services.delivery.dns.suffixes import Suffixes
from services.delivery.dns.survey import Survey
from services.delivery.domain.addresses import AddressPolicy
from services.delivery.domain.authentication.subject import check_subject
from services.delivery.domain.authentication.verdict import Verdict
from services.delivery.domain.urls import UrlPolicy
from tests.integration.delivery.domain_table import GOOD, ROWS
from tests.integration.delivery.nameserver import RUBBISH, SILENT, NameServer

SUFFIXES = Suffixes()


def survey_with(server: NameServer) -> Survey:
    resolver = Resolver(AddressPolicy(), SystemClock(), lambda _host, _port: [])
    policies = PolicyReader(UrlPolicy(), resolver, Clients())
    mute = {SILENT, RUBBISH} & {deed for deed in server.zone.values() if isinstance(deed, str)}
    dns = DnsReader([server.address], question_seconds=1.0 if mute else 5.0, try_seconds=0.5)
    return Survey(dns, policies, SUFFIXES)


def test_the_table_is_long_and_each_row_has_a_name_of_its_own():
    assert len(ROWS) >= 40
    assert len({row.id for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
async def test_a_domain_is_judged(row):
    async with NameServer(row.whole_zone()) as server:
        report = await survey_with(server).report(check_subject(row.whole_subject()))
    found: dict[str, list[str]] = {}
    for finding in report.findings:
        found.setdefault(finding.check.name, []).append(finding.code)
        assert finding.text.endswith((".", ".)")), finding
        assert (finding.code == "dns_unavailable") <= (finding.verdict is Verdict.UNKNOWN)
    assert {check: codes[0] for check, codes in found.items()} == {**GOOD, **row.expect}

"""Sending domains as they are shown."""

from __future__ import annotations

from libs.api.wire import stamp
from pq.delivery.v1 import domains_pb2 as pb
from services.delivery.domain.authentication.preflight import Ruling
from services.delivery.domain.authentication.stored import SendingDomain
from services.delivery.domain.authentication.wanted import WantedRecord
from services.delivery.handlers.domain_events import check_pb


def domain_pb(domain: SendingDomain) -> pb.Domain:
    """A domain with what its last check found."""
    subject = domain.subject
    shown = pb.Domain(
        name=domain.name,
        domain_name=subject.domain,
        envelope_domain=subject.envelope,
        spf_senders=subject.senders,
        dkim_keys=[
            pb.DkimKey(selector=key.selector, domain_name=key.domain, public_key=key.public_key)
            for key in subject.keys
        ],
        report_address=subject.reports,
        check_time=stamp(domain.check_time),
        drift_time=stamp(domain.drift_time),
        next_check_time=stamp(domain.next_check_time),
        create_time=stamp(domain.create_time),
        update_time=stamp(domain.update_time),
        etag=domain.etag,
    )
    report = domain.report
    if report is not None:
        shown.verdict = pb.DomainVerdict.ValueType(report.verdict)
        shown.checks.extend(map(check_pb, report.findings))
        shown.records.extend(map(_record_pb, report.records))
        shown.preflight.extend(map(_ruling_pb, report.rulings))
    return shown


def _record_pb(record: WantedRecord) -> pb.DnsRecord:
    return pb.DnsRecord(
        check=pb.DomainCheckType.ValueType(record.check),
        type="TXT",
        name=record.name,
        value=record.value,
        zone_line=record.zone_line,
        present=record.present,
        held=record.held,
    )


def _ruling_pb(ruling: Ruling) -> pb.PreflightRule:
    return pb.PreflightRule(
        provider=ruling.source.provider,
        rule=ruling.rule,
        requirement=ruling.requirement,
        verdict=pb.DomainVerdict.ValueType(ruling.verdict),
        text=ruling.text,
        source=ruling.source.title,
        source_uri=ruling.source.uri,
    )

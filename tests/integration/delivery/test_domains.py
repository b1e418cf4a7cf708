"""DomainService over gRPC, its database, a real DNS server and a real HTTPS server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf.field_mask_pb2 import FieldMask
from prometheus_client import REGISTRY

from libs.api.paging import PageTokens
from libs.auth import Role
from libs.config import ConfigError
from libs.errors import AppError, Kind
from libs.testing.clock import FakeClock
from libs.testing.rpc import account as as_account
from libs.testing.rpc import operator, serving
from pq.delivery.v1 import domains_pb2 as pb
from pq.delivery.v1 import domains_pb2_grpc as grpc_pb
from pq.delivery.v1.domains_events_pb2 import DomainDrifted
from services.delivery.channels.clients import Clients
from services.delivery.channels.resolver import Resolver
from services.delivery.dns.configured import own_keys
from services.delivery.dns.policies import PolicyReader
from services.delivery.dns.reader import DnsReader
from services.delivery.dns.suffixes import Suffixes
from services.delivery.dns.survey import Survey
from services.delivery.domain.authentication.facts import Kind as Asked
from services.delivery.domain.authentication.facts import Question, Status
from services.delivery.domain.authentication.subject import Subject, check_subject
from services.delivery.handlers.domains import Domains
from services.delivery.servicer.domains import DomainServicer
from services.delivery.store import domains as store
from tests.integration.delivery import domain_table as table
from tests.integration.delivery import nameserver as ns
from tests.integration.delivery import receiver as behave
from tests.integration.delivery.nameserver import NameServer
from tests.integration.delivery.receiver import Receiver
from tests.integration.delivery.test_outbound import certificate
from tests.integration.delivery.world import POLICY

NAME = f"domains/{table.D}"
INTERVAL = timedelta(hours=1)
SUFFIXES = Suffixes()


def reader(server: NameServer) -> DnsReader:
    return DnsReader([server.address])


def survey(world, server: NameServer, **more) -> Survey:
    policies = PolicyReader(POLICY, world.resolver, Clients(), lambda name: f"https://{name}:1/")
    return Survey(reader(server), policies, SUFFIXES, **more)


@pytest.fixture
async def dns():
    async with NameServer(table.Row("good").whole_zone()) as server:
        yield server


@pytest.fixture
async def service(world, dns, clock: FakeClock):
    domains = Domains(world.db, survey(world, dns), clock, INTERVAL)
    servicer = DomainServicer(world.db, domains, PageTokens(bytes(32), clock), clock)
    pair = (grpc_pb.add_DomainServiceServicer_to_server, servicer)
    async with serving(pair) as server:
        yield SimpleNamespace(
            domains=domains,
            clock=clock,
            stub=grpc_pb.DomainServiceStub(server.channel(operator(Role.OPERATOR))),
            viewer=grpc_pb.DomainServiceStub(server.channel(operator(Role.VIEWER))),
            person=grpc_pb.DomainServiceStub(server.channel(as_account(world.ids.uuid()))),
        )


def asked(**changes) -> pb.Domain:
    good = table.good_subject()
    fields = {
        "domain_name": good.domain,
        "spf_senders": good.senders,
        "dkim_keys": [pb.DkimKey(selector="pq1", public_key=good.keys[0].public_key)],
        "report_address": good.reports,
    }
    return pb.Domain(**{**fields, **changes})


def create(request_id: str = "", **changes) -> pb.CreateDomainRequest:
    return pb.CreateDomainRequest(domain=asked(**changes), request_id=request_id)


async def refused(call) -> AppError:
    with pytest.raises(AppError) as caught:
        await call
    return caught.value


def codes(domain: pb.Domain) -> dict[str, str]:
    name = pb.DomainCheckType.Name
    return {name(c.check).removeprefix("DOMAIN_CHECK_TYPE_"): c.code for c in domain.checks}


async def drifts(world) -> list[DomainDrifted]:
    rows = await world.db.fetch("select payload from event_outbox order by id")
    return [DomainDrifted.FromString(row["payload"]) for row in rows]


async def test_a_domain_is_checked_when_it_is_added(service):
    made = await service.stub.CreateDomain(create())
    assert made.name == NAME
    assert codes(made) == table.GOOD
    assert made.verdict == pb.DOMAIN_VERDICT_PASS
    assert all(record.present for record in made.records)
    assert [(r.type, r.name) for r in made.records] == [
        ("TXT", table.D),
        ("TXT", table.KEY),
        ("TXT", f"_dmarc.{table.D}"),
    ]
    assert {rule.provider for rule in made.preflight} == {"gmail", "yahoo", "microsoft"}
    assert all(rule.source and rule.source_uri.startswith("https://") for rule in made.preflight)
    assert pb.DOMAIN_VERDICT_FAIL not in {rule.verdict for rule in made.preflight}
    assert await service.viewer.GetDomain(pb.GetDomainRequest(name=NAME)) == made
    listed = await service.viewer.ListDomains(pb.ListDomainsRequest())
    assert list(listed.domains) == [made]


async def test_a_domain_that_holds_nothing_is_told_what_to_paste(service, dns):
    dns.zone.clear()
    made = await service.stub.CreateDomain(create())
    assert made.verdict == pb.DOMAIN_VERDICT_FAIL
    assert [record.present for record in made.records] == [False] * 3
    for record in made.records:
        dns.zone[f"{record.name} TXT"] = table.txt(record.value)
    for name, held in table.good_zone().items():
        dns.zone.setdefault(name, held)
    check = pb.CheckDomainRequest(name=NAME, request_id="r")
    mended = await service.stub.CheckDomain(check)
    assert all(record.present for record in mended.records)
    assert await service.stub.CheckDomain(check) == mended
    assert codes(mended) == {**table.GOOD, "DMARC": "dmarc_policy_none"}


async def test_drift_is_found_told_once_and_shown(service, world, dns):
    await service.stub.CreateDomain(create())
    dns.zone[f"{table.KEY} TXT"] = table.txt("v=DKIM1; p=")
    service.clock.advance(INTERVAL.total_seconds() + 1)
    assert await service.domains.recheck() == 1
    assert await service.domains.recheck() == 0
    await service.domains.measure()
    shown = await service.stub.GetDomain(pb.GetDomainRequest(name=NAME))
    assert (codes(shown)["DKIM"], shown.verdict) == ("dkim_revoked", pb.DOMAIN_VERDICT_FAIL)
    assert shown.drift_time == shown.check_time
    [event] = await drifts(world)
    [change] = event.changes
    assert (event.domain, event.verdict) == (NAME, pb.DOMAIN_VERDICT_FAIL)
    assert (change.before.code, change.after.code) == ("dkim_ok", "dkim_revoked")
    assert change.after.subject == table.KEY
    again = await service.stub.CheckDomain(pb.CheckDomainRequest(name=NAME))
    assert again.drift_time == shown.drift_time
    assert len(await drifts(world)) == 1


async def test_dns_being_away_is_no_drift_and_what_changed_meanwhile_is(service, world, dns):
    await service.stub.CreateDomain(create())
    dns.zone[table.KEY] = ns.SERVFAIL
    away = await service.stub.CheckDomain(pb.CheckDomainRequest(name=NAME))
    assert (codes(away)["DKIM"], away.verdict) == ("dns_unavailable", pb.DOMAIN_VERDICT_UNKNOWN)
    assert not await drifts(world)
    del dns.zone[table.KEY], dns.zone[f"{table.KEY} TXT"]
    await service.stub.CheckDomain(pb.CheckDomainRequest(name=NAME))
    [event] = await drifts(world)
    assert [c.before.code for c in event.changes] == ["dkim_ok"]
    assert [c.after.code for c in event.changes] == ["dkim_missing"]


async def test_what_we_change_ourselves_is_no_drift(service, world):
    await service.stub.CreateDomain(create())
    more = ["include:spf.relay.test", "ip4:203.0.113.9"]
    request = pb.UpdateDomainRequest(
        domain=pb.Domain(name=NAME, spf_senders=more),
        update_mask=FieldMask(paths=["spf_senders"]),
    )
    changed = await service.stub.UpdateDomain(request)
    assert codes(changed)["SPF"] == "spf_sender_missing"
    assert changed.dkim_keys  # not in the mask
    assert not await drifts(world)
    request.domain.etag = '"1"'
    assert (await refused(service.stub.UpdateDomain(request))).kind is Kind.ABORTED


async def test_the_keys_that_we_sign_with_ourselves_are_checked_unasked(service, world, dns):
    """Also where somebody named another key for the same selector: what signs is what counts."""
    private = generate_private_key(65537, 2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    own = own_keys(table.D, [("pq1", pem), ("PQ2", pem)])
    domains = Domains(world.db, survey(world, dns), service.clock, INTERVAL, own)
    async with world.db.transaction() as tx:
        await domains.create(tx, table.good_subject())
    report = (await domains.check(table.D)).report
    by_subject = {f.subject: f.code for f in report.findings if f.check.name == "DKIM"}
    other = f"pq2._domainkey.{table.D}"
    assert by_subject == {table.KEY: "dkim_mismatch", other: "dkim_missing"}
    for record in report.records:
        dns.zone[f"{record.name} TXT"] = table.txt(record.value)
    report = (await domains.check(table.D)).report
    assert {f.code for f in report.findings if f.check.name == "DKIM"} == {"dkim_ok"}


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_a_key_that_is_none_is_a_fault_of_the_configuration(pem):
    with pytest.raises(ConfigError, match="PQ_EMAIL_DKIM: the key of pq1"):
        own_keys("shop.test", [("pq1", pem)])


async def test_a_domain_cannot_become_another(service):
    await service.stub.CreateDomain(create())
    request = pb.UpdateDomainRequest(domain=pb.Domain(name=NAME, domain_name="other.test"))
    error = await refused(service.stub.UpdateDomain(request))
    assert [(v.field, v.reason) for v in error.violations] == [("domain.domain_name", "immutable")]


async def test_replicas_share_the_checks(service, world, dns):
    """Three that look at once for what is due: each domain is read by one of them."""
    for n in range(6):
        async with world.db.transaction() as tx:
            await service.domains.create(tx, Subject(f"d{n}.test"))
    replicas = [Domains(world.db, survey(world, dns), service.clock, INTERVAL) for _ in range(3)]
    done = await asyncio.gather(*(replica.recheck() for replica in replicas))
    assert sum(done) == 6
    mx = [name for _, name, kind in dns.asked if kind == "MX"]
    assert sorted(mx) == [f"d{n}.test" for n in range(6)]


async def test_a_domain_that_another_holds_is_passed_over(service, world):
    now, lease = service.clock.now(), timedelta(minutes=1)
    for n in range(2):
        async with world.db.transaction() as tx:
            await service.domains.create(tx, Subject(f"d{n}.test"))
        service.clock.advance(1)
    async with world.db.transaction() as tx:
        await store.lock(tx, "d0.test")
        claim = store.claim_due(world.db, service.clock.now(), lease)
        assert await asyncio.wait_for(claim, 5) == "d1.test"
    assert await store.claim_due(world.db, now, lease) == "d0.test"
    assert await store.claim_due(world.db, service.clock.now(), lease) is None


class Held:
    """A survey that takes as long as the test likes."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    async def report(self, subject):
        report = await self._survey.report(subject)
        self.begun.set()
        await self.go.wait()
        return report


@pytest.mark.parametrize("meanwhile", ["changed", "checked", "deleted"])
async def test_a_check_that_was_overtaken_is_not_kept(service, world, dns, meanwhile):
    await service.stub.CreateDomain(create())
    held = Held(survey(world, dns))
    late = Domains(world.db, held, service.clock, INTERVAL)
    del dns.zone[f"{table.KEY} TXT"]
    task = asyncio.create_task(late.check(table.D))
    await held.begun.wait()
    dns.zone.update(table.good_zone())
    service.clock.advance(1)
    if meanwhile == "changed":
        async with world.db.transaction() as tx:  # and not checked yet
            await service.domains.update(tx, table.D, "", lambda s: replace(s, senders=()))
    elif meanwhile == "checked":
        await service.stub.CheckDomain(pb.CheckDomainRequest(name=NAME))
    else:
        await service.stub.DeleteDomain(pb.DeleteDomainRequest(name=NAME))
    held.go.set()
    if meanwhile == "deleted":
        assert (await refused(task)).kind is Kind.NOT_FOUND
    else:
        await task
        shown = await service.stub.GetDomain(pb.GetDomainRequest(name=NAME))
        assert codes(shown) == table.GOOD
    assert not await drifts(world)


async def test_whoever_dies_over_a_check_leaves_it_to_another(service, world):
    await service.stub.CreateDomain(create())
    service.clock.advance(INTERVAL.total_seconds() + 1)

    class Dying:
        async def report(self, _subject):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Domains(world.db, Dying(), service.clock, INTERVAL).recheck()
    assert await service.domains.recheck() == 0
    service.clock.advance(61)
    assert await service.domains.recheck() == 1


async def test_metrics_show_the_worst_and_forget_what_is_gone(service, dns):
    async def level(check: str) -> float | None:
        await service.domains.measure()
        return REGISTRY.get_sample_value("pq_domain_auth", {"domain": table.D, "check": check})

    del dns.zone["mx2.shop.test AAAA"]
    await service.stub.CreateDomain(create())
    assert (await level("spf"), await level("mx"), await level("bimi")) == (2, 1, None)
    dns.zone[f"{table.D} TXT"] = table.txt("v=spf1 +all")
    dns.zone[table.KEY] = ns.REFUSED
    await service.stub.CheckDomain(pb.CheckDomainRequest(name=NAME))
    assert (await level("spf"), await level("dkim")) == (0, -1)
    await service.stub.DeleteDomain(pb.DeleteDomainRequest(name=NAME))
    assert await level("spf") is None
    assert (await refused(service.stub.GetDomain(pb.GetDomainRequest(name=NAME)))).kind is (
        Kind.NOT_FOUND
    )


async def test_a_check_that_fails_on_us_hides_no_metric_and_no_other_domain(service, world, dns):
    good = survey(world, dns)

    class Faulty:
        async def report(self, subject):
            if subject.domain == "bad.test":
                raise RuntimeError("a fault of ours")
            return await good.report(subject)

    for name in ("bad.test", table.D):
        async with world.db.transaction() as tx:
            await service.domains.create(tx, replace(table.good_subject(), domain=name))
        service.clock.advance(1)
    faulty = Domains(world.db, Faulty(), service.clock, INTERVAL)
    with pytest.raises(RuntimeError):
        await faulty.round()
    await faulty.round()
    labels = {"domain": table.D, "check": "spf"}
    assert REGISTRY.get_sample_value("pq_domain_auth", labels) == 2
    await world.db.execute("delete from domains")
    await faulty.measure()


async def test_a_repeat_gets_the_same_and_a_second_is_refused(service):
    first = await service.stub.CreateDomain(create("a"))
    assert (await service.stub.CreateDomain(create("a"))).create_time == first.create_time
    error = await refused(service.stub.CreateDomain(create("b")))
    assert (error.kind, error.reason) == (Kind.ALREADY_EXISTS, "domain_exists")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.CreateDomainRequest(), "domain"),
        (create(domain_name="nothing"), "domain.domain_name"),
        (create(spf_senders=["all"]), "domain.spf_senders[0]"),
        (create(dkim_keys=[pb.DkimKey(selector="a", public_key="x")]),
         "domain.dkim_keys[0].public_key"),
    ],
)  # fmt: skip
async def test_bad_input_names_the_field(service, request_, field):
    error = await refused(service.stub.CreateDomain(request_))
    assert (error.kind, [v.field for v in error.violations]) == (Kind.INVALID, [field])


async def test_people_see_none_of_it_and_viewers_change_nothing(service):
    get, check = pb.GetDomainRequest(name=NAME), pb.CheckDomainRequest(name=NAME)
    for call in (
        service.person.GetDomain(get),
        service.person.CreateDomain(create()),
        service.viewer.CreateDomain(create()),
        service.viewer.CheckDomain(check),
    ):
        assert (await refused(call)).kind is Kind.FORBIDDEN


async def test_lists_are_paged_and_filtered(service, dns):
    for n in range(3):
        await service.stub.CreateDomain(create(domain_name=f"d{n}.test", dkim_keys=[]))
    await service.stub.CreateDomain(create())
    first = await service.viewer.ListDomains(pb.ListDomainsRequest(page_size=3))
    rest = await service.viewer.ListDomains(
        pb.ListDomainsRequest(page_size=3, page_token=first.next_page_token)
    )
    names = [domain.domain_name for domain in (*first.domains, *rest.domains)]
    assert names == ["d0.test", "d1.test", "d2.test", "shop.test"]
    fine = await service.viewer.ListDomains(
        pb.ListDomainsRequest(filter="verdict = DOMAIN_VERDICT_PASS")
    )
    assert [domain.domain_name for domain in fine.domains] == ["shop.test"]


async def test_a_slow_world_ends_in_time_with_what_is_known(world, dns):
    dns.zone[table.KEY] = ns.SILENT
    slow = DnsReader([dns.address], try_seconds=30, question_seconds=60)
    policies = PolicyReader(POLICY, world.resolver, Clients())
    begun = asyncio.get_running_loop().time()
    report = await Survey(slow, policies, SUFFIXES, 0.5).report(check_subject(table.good_subject()))
    assert asyncio.get_running_loop().time() - begun < 5
    found = {finding.check.name: finding.code for finding in report.findings}
    assert found == {**table.GOOD, "DKIM": "dns_unavailable"}


async def test_tcp_is_asked_only_where_udp_was_cut_off(dns):
    dns.zone[table.D] = ns.CUT
    answer = await reader(dns).read(Question(Asked.TXT, table.D))
    assert answer.status is Status.FOUND
    assert [protocol for protocol, _, _ in dns.asked] == ["udp", "tcp"]
    dns.asked.clear()
    await reader(dns).read(Question(Asked.TXT, f"_dmarc.{table.D}"))
    assert [protocol for protocol, _, _ in dns.asked] == ["udp"]


async def test_the_second_server_answers_where_the_first_is_silent(dns):
    async with NameServer({table.D: ns.SILENT}) as silent:
        both = DnsReader([silent.address, dns.address], try_seconds=0.1, question_seconds=2)
        assert (await both.read(Question(Asked.TXT, table.D))).status is Status.FOUND
        assert silent.asked


@pytest.mark.parametrize("name", ["a" * 64 + ".test", "a..test", "x" * 300, ""])
async def test_what_is_no_name_is_not_there(dns, name):
    answer = await reader(dns).read(Question(Asked.TXT, name))
    assert answer.status in (Status.ABSENT, Status.EMPTY)


async def test_octets_that_no_database_holds_are_written_out(dns):
    dns.zone["odd.test TXT"] = ['"a\\000b\\255"']
    answer = await reader(dns).read(Question(Asked.TXT, "odd.test"))
    assert answer.values == ("a\\x00b\\xff",)


STS = "version: STSv1\r\nmode: {}\r\nmx: {}\r\nmax_age: 604800\r\n"


@pytest.mark.parametrize(
    ("answer", "status", "found"),
    [
        (behave.answer(200, STS.format("enforce", "*.shop.test").encode()), Status.FOUND,
         "mta_sts_ok"),
        (behave.answer(200, STS.format("testing", "*.shop.test").encode()), Status.FOUND,
         "mta_sts_testing"),
        (behave.answer(200, STS.format("enforce", "mx1.shop.test").encode()), Status.FOUND,
         "mta_sts_mx"),
        (behave.answer(200, STS.format("none", "").encode()), Status.FOUND, "mta_sts_off"),
        (behave.answer(200, STS.format("enforce", "*.shop.test").replace("604800", "60").encode()),
         Status.FOUND, "mta_sts_short"),
        (behave.answer(200, b"<html>"), Status.FOUND, "mta_sts_policy"),
        (behave.answer(404), Status.ABSENT, "mta_sts_policy_missing"),
        (behave.answer(302, location="https://elsewhere.test/"), Status.ABSENT,
         "mta_sts_policy_missing"),
        (behave.answer(200, b"x" * 70_000), Status.ABSENT, "mta_sts_policy_missing"),
        (behave.answer(503), Status.FAILED, "dns_unavailable"),
        (behave.drop, Status.FAILED, "dns_unavailable"),
    ],
    ids=["good", "testing", "another mx", "off", "short", "no policy", "404", "redirect",
         "too long", "503", "drop"],
)  # fmt: skip
async def test_an_mta_sts_policy_is_read_by_https(world, dns, tmp_path, answer, status, found):
    context, root = certificate(f"mta-sts.{table.D}", tmp_path)
    dns.zone[f"_mta-sts.{table.D} TXT"] = table.txt("v=STSv1; id=20251101;")
    dns.zone[f"mta-sts.{table.D} A"] = ["127.0.0.1"]
    async with Receiver(tls=context) as server:
        server.paths["/.well-known/mta-sts.txt"] = answer
        policies = sts_reader(world, server, root)
        assert (await policies.read(table.D)).status is status
        report = await Survey(reader(dns), policies, SUFFIXES).report(table.good_subject())
    [finding] = [f for f in report.findings if f.check.name == "MTA_STS"]
    assert finding.code == found


async def test_an_mta_sts_server_must_be_who_it_says_and_be_public(world, tmp_path):
    context, root = certificate("mta-sts.other.test", tmp_path)
    async with Receiver(tls=context) as server:
        wrong = await sts_reader(world, server, root).read(table.D)
        assert (wrong.status, "certificate" in wrong.problem) == (Status.ABSENT, True)
        inner = await sts_reader(world, server, root, ["10.0.0.1"]).read(table.D)
        assert (inner.status, "public" in inner.problem) == (Status.ABSENT, True)


def sts_reader(world, server: Receiver, root: bytes, found=("127.0.0.1",)) -> PolicyReader:
    resolver = Resolver(POLICY.addresses, world.clock, lambda _host, _port: list(found))

    def url(name: str) -> str:
        return f"https://mta-sts.{name}:{server.port}/.well-known/mta-sts.txt"

    return PolicyReader(POLICY, resolver, Clients(root=root), url)

"""What the verdicts make of one another: records to paste, preflight, drift."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from libs.errors import AppError
from services.delivery.domain.authentication import spf
from services.delivery.domain.authentication.facts import Answer, Facts, Kind, Question, Status
from services.delivery.domain.authentication.names import Alignment, aligned
from services.delivery.domain.authentication.report import assess, drift, settle
from services.delivery.domain.authentication.spf_check import walk_of
from services.delivery.domain.authentication.subject import SigningKey, Subject, check_subject
from services.delivery.domain.authentication.transport import parse_policy
from services.delivery.domain.authentication.verdict import Check, Finding, Verdict
from services.delivery.domain.authentication.wanted import WantedRecord

SUBJECT = Subject(
    "shop.test", senders=("include:relay.test", "ip4:192.0.2.7"), reports="d@shop.test"
)


def organization(name: str) -> str:
    return ".".join(name.split(".")[-2:])


def facts(failed: tuple[str, ...] = (), **texts: list[str]) -> Facts:
    """Text records by name (dots as _); nothing else is there."""
    held = {
        name.replace("__", "!").replace("_", ".").replace("!", "_"): t for name, t in texts.items()
    }

    class Known(Facts):
        def ask(self, kind: Kind, name: str) -> Answer:
            if name in failed:
                return Answer(Status.FAILED, problem="away")
            values = tuple(held.get(name, ())) if kind is Kind.TXT else ()
            return Answer(Status.FOUND if values else Status.ABSENT, values)

    return Known()


def record_for(check: Check, known: Facts, subject: Subject = SUBJECT) -> WantedRecord:
    [record] = [r for r in assess(subject, known, organization).records if r.check is check]
    return record


@pytest.mark.parametrize(
    ("held", "value", "present"),
    [
        ([], "v=spf1 include:relay.test ip4:192.0.2.7 ~all", False),
        (["v=spf1 include:relay.test ip4:192.0.2.0/24 -all"], "=", True),
        (["v=spf1 mx -all"], "v=spf1 mx include:relay.test ip4:192.0.2.7 -all", False),
        (
            ["v=spf1 include:relay.test redirect=relay.test"],
            "v=spf1 include:relay.test ip4:192.0.2.7 redirect=relay.test",
            False,
        ),
        (["v=spf1 include:relay.test ip4:192.0.2.7 +all"],
         "v=spf1 include:relay.test ip4:192.0.2.7 ~all", False),
        (["v=spf1 mx -all", "v=spf1 a mx ?all"],
         "v=spf1 mx a include:relay.test ip4:192.0.2.7 ~all", False),
        (["v=spf1 ipv4:192.0.2.7 mx include: -all"],
         "v=spf1 mx include:relay.test ip4:192.0.2.7 -all", False),
        (["v=spf1 redirect=relay.test"], "v=spf1 ip4:192.0.2.7 redirect=relay.test", False),
    ],
)  # fmt: skip
def test_the_spf_record_to_paste_keeps_what_is_there(held, value, present):
    record = record_for(
        Check.SPF, facts(shop_test=held, relay_test=["v=spf1 ip4:198.51.100.1 -all"])
    )
    assert (record.value, record.present) == (held[0] if value == "=" else value, present)
    assert record.held == tuple(held)


def test_pasting_what_is_proposed_mends_it():
    relay = ["v=spf1 ip4:198.51.100.1 -all"]
    before = record_for(Check.SPF, facts(shop_test=["v=spf1 mx -all"], relay_test=relay))
    after = record_for(Check.SPF, facts(shop_test=[before.value], relay_test=relay))
    assert (after.present, after.value) == (True, before.value)


@pytest.mark.parametrize(
    ("away", "left"),
    [
        ("shop.test", {Check.DKIM, Check.DMARC}),
        ("_dmarc.shop.test", {Check.SPF, Check.DKIM}),
        ("pq1._domainkey.shop.test", {Check.SPF, Check.DMARC}),
    ],
)
def test_nothing_is_proposed_beside_what_could_not_be_read(away, left):
    subject = replace(SUBJECT, keys=(SigningKey("pq1", "shop.test", "AAAA"),))
    report = assess(subject, facts(failed=(away,)), organization)
    assert {record.check for record in report.records} == left


def test_a_record_of_too_many_lookups_is_not_said_to_do():
    record = record_for(
        Check.SPF, facts(shop_test=["v=spf1" + " a" * 11 + " -all"]), Subject("shop.test")
    )
    assert (record.present, record.value) == (False, record.held[0])


def test_a_long_key_is_cut_for_zone_files():
    key = SigningKey("pq1", "shop.test", "A" * 400)
    [record] = [
        r
        for r in assess(Subject("shop.test", keys=(key,)), facts(), organization).records
        if r.check is Check.DKIM
    ]
    assert record.value == f"v=DKIM1; k=rsa; p={'A' * 400}"
    first, _, second = record.zone_line.partition('" "')
    assert first.startswith('pq1._domainkey.shop.test. IN TXT "v=DKIM1; k=rsa; p=A')
    assert len(first.partition('"')[2]) == 255
    assert record.value == first.partition('"')[2] + second.rstrip('"')


def test_dmarc_is_proposed_with_a_place_for_reports():
    record = record_for(Check.DMARC, facts())
    assert (record.name, record.value) == (
        "_dmarc.shop.test",
        "v=DMARC1; p=none; rua=mailto:d@shop.test",
    )


def rulings(known: Facts, subject: Subject = SUBJECT) -> dict[tuple[str, str], Verdict]:
    report = assess(subject, known, organization)
    return {(r.source.provider, r.rule): r.verdict for r in report.rulings}


def test_preflight_of_a_domain_that_has_spf_alone():
    found = rulings(facts(shop_test=["v=spf1 include:relay.test ip4:192.0.2.7 -all"],
                          relay_test=["v=spf1 ip4:198.51.100.1 -all"],
                          __dmarc_shop_test=["v=DMARC1; p=none"]))  # fmt: skip
    assert found["microsoft", "spf"] is Verdict.PASS
    assert found["microsoft", "dkim"] is Verdict.UNKNOWN  # no key was named
    assert found["gmail", "spf_and_dkim"] is Verdict.UNKNOWN
    assert found["gmail", "dmarc"] is Verdict.PASS  # p=none is a warning of ours, not their rule
    assert found["gmail", "alignment"] is Verdict.PASS
    assert found["microsoft", "reachable_from"] is Verdict.FAIL
    assert found["yahoo", "spam_rate"] is Verdict.UNKNOWN


def test_preflight_alignment_needs_what_is_aligned_to_pass():
    """SPF passes for the provider's domain, DKIM is aligned but broken: DMARC fails."""
    subject = Subject("shop.test", "bounce.relay.test", (), (SigningKey("k", "shop.test"),))
    known = facts(bounce_relay_test=["v=spf1 ip4:198.51.100.1 -all"],
                  __dmarc_shop_test=["v=DMARC1; p=reject"])  # fmt: skip
    assert rulings(known, subject)["gmail", "alignment"] is Verdict.FAIL
    assert rulings(known, subject)["gmail", "spf_and_dkim"] is Verdict.FAIL


def test_gmails_name_is_not_ours_to_use():
    assert rulings(facts(), Subject("gmail.com"))["gmail", "own_from"] is Verdict.FAIL


def finding(code: str, verdict: Verdict = Verdict.PASS, *records: str) -> Finding:
    return Finding(Check.SPF, verdict, code, "text", records)


KEY = (Check.SPF, "")
OK = finding("spf_ok", Verdict.PASS, "v=spf1 -all")
AWAY = finding("dns_unavailable", Verdict.UNKNOWN)


def test_drift_is_a_change_and_not_an_outage():
    assert not drift({}, settle({}, [OK]))
    assert not drift({KEY: OK}, settle({KEY: OK}, [OK]))
    kept = settle({KEY: OK}, [AWAY])
    assert kept == {KEY: OK}
    assert not drift({KEY: OK}, kept)
    gone = finding("spf_missing", Verdict.FAIL)
    [change] = drift(kept, settle(kept, [gone]))
    assert (change.before, change.after) == (OK, gone)
    [change] = drift({KEY: OK}, {KEY: finding("spf_ok", Verdict.PASS, "v=spf1 mx -all")})
    assert change.after.records == ("v=spf1 mx -all",)


def test_what_was_never_read_has_not_changed():
    assert not drift({KEY: AWAY}, settle({KEY: AWAY}, [OK]))


def test_an_unread_policy_leaves_alignment_open():
    report = assess(SUBJECT, facts(failed=("_dmarc.shop.test",)), organization)
    codes = {f.check: f.code for f in report.findings}
    assert codes[Check.SPF_ALIGNMENT] == "dns_unavailable"


@pytest.mark.parametrize(
    ("domain", "mode", "expected"),
    [
        ("a.test", Alignment.STRICT, True),
        ("b.a.test", Alignment.STRICT, False),
        ("b.a.test", Alignment.RELAXED, True),
        ("a.other", Alignment.RELAXED, False),
    ],
)
def test_alignment(domain, mode, expected):
    assert aligned(domain, "a.test", mode, organization) is expected


def test_facts_note_what_they_lack_until_it_is_learnt():
    known = Facts()
    assert known.ask(Kind.TXT, "A.test.").status is Status.PENDING
    [question] = known.wanted
    assert question == Question(Kind.TXT, "a.test")
    known.learn(question, Answer(Status.EMPTY))
    assert known.ask(Kind.TXT, "a.test").missing
    assert not known.wanted


def test_a_record_that_only_wants_our_time_gets_little():
    """64 KiB in each record, judged 30 times, as a report of many answers does. It takes a second;
    what is quadratic in 64 KiB takes many minutes."""
    long = ["v=spf1" + " ip4:192.0.2.1" * 5000, "v=DMARC1" + ";p=none" * 9000]
    known = facts(shop_test=long[:1], __dmarc_shop_test=long[1:])
    begun = time.process_time()
    for _ in range(30):
        report = assess(SUBJECT, known, organization)
    assert time.process_time() - begun < 60
    assert {f.code for f in report.findings} >= {"spf_syntax", "dmarc_syntax"}


def test_a_record_that_never_ends_is_left():
    """Each of its records includes the next one three times."""

    class Endless(Facts):
        def ask(self, kind: Kind, name: str) -> Answer:
            number = int(name.partition(".")[0][1:]) + 1
            return Answer(Status.FOUND, ("v=spf1" + f" include:n{number}.test" * 3,))

    walk = walk_of("n0.test", spf.parse("v=spf1 include:n1.test"), Endless())
    assert 10 < walk.lookups < 100


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"domain": "test"}, "domain.domain_name"),
        ({"domain": "exämple.com"}, "domain.domain_name"),
        ({"domain": "192.0.2.1"}, "domain.domain_name"),
        ({"envelope": "a b.test"}, "domain.envelope_domain"),
        ({"senders": ("all",)}, "domain.spf_senders[0]"),
        ({"senders": ("mx", "-include:a.test")}, "domain.spf_senders[1]"),
        ({"senders": ("mx",) * 21}, "domain.spf_senders"),
        ({"keys": (SigningKey("", ""),)}, "domain.dkim_keys[0].selector"),
        ({"keys": (SigningKey("a", "", "rubbish!"),)}, "domain.dkim_keys[0].public_key"),
        ({"keys": (SigningKey("a", ""), SigningKey("A", "shop.test"))}, "domain.dkim_keys"),
        ({"reports": "nobody"}, "domain.report_address"),
    ],
)
def test_what_is_asked_for_is_checked(changes, field):
    asked = Subject(**{"domain": "shop.test", **changes})
    with pytest.raises(AppError) as caught:
        check_subject(asked)
    assert [violation.field for violation in caught.value.violations] == [field]


def test_one_spelling():
    asked = check_subject(Subject("Shop.Test.", senders=(" IP4:192.0.2.7 ",)))
    assert (asked.domain, asked.senders, asked.mail_from) == (
        "shop.test", ("ip4:192.0.2.7",), "shop.test",
    )  # fmt: skip


def test_an_mta_sts_policy_names_one_label_by_a_star():
    policy = parse_policy(
        "version: STSv1\r\nmode: enforce\r\nmx: *.mail.test\r\nmax_age: 86400\r\n"
    )
    assert not policy.problems
    assert policy.covers("a.mail.test")
    assert not policy.covers("mail.test")
    assert not policy.covers("a.b.mail.test")

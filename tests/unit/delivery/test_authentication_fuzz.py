"""Whatever anybody puts into DNS, there is a report; and reading is stable."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from services.delivery.domain.authentication import spf
from services.delivery.domain.authentication.facts import Answer, Facts, Kind, Status
from services.delivery.domain.authentication.keys import BadKeyError, read_key
from services.delivery.domain.authentication.report import assess, drift, settle
from services.delivery.domain.authentication.subject import SigningKey, Subject
from services.delivery.domain.authentication.tags import parse_tags
from services.delivery.domain.authentication.transport import parse_policy
from services.delivery.domain.authentication.verdict import Check, Verdict
from services.delivery.store.reports import dump_report, load_report

HOSTS = ["a.test", "b.test", "c.test", "%{d}", "%{i}.a.test", "", "a", "ü.test", "-", "%"]
host = st.sampled_from(HOSTS)
junk = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)
term = st.one_of(
    st.builds("{}{}:{}{}".format, st.sampled_from(["", "+", "-", "?", "!"]),
              st.sampled_from(["include", "a", "mx", "exists", "ptr", "all", "ip4", "ip6", "x"]),
              host, st.sampled_from(["", "/24", "//64", "/99", "/", "/1//2"])),
    st.builds("{}={}".format, st.sampled_from(["redirect", "exp", "x"]), host),
    st.builds("ip4:{}/{}".format, st.ip_addresses(v=4), st.integers(-1, 40)),
    st.builds("ip6:{}".format, st.ip_addresses(v=6)),
    st.sampled_from(["all", "-all", "+all", "~all", "a", "mx", "ptr"]),
    junk,
)  # fmt: skip
tag = st.sampled_from(["p", "sp", "pct", "rua", "ruf", "k", "t", "h", "s", "id", "l", "a", "v"])
value = st.one_of(
    junk,
    st.sampled_from(
        [
            "none",
            "reject",
            "rsa",
            "ed25519",
            "y",
            "AAAA",
            "50",
            "mailto:a@b.test",
            "https://a.test/x.svg",
        ]
    ),
)
version = st.sampled_from(["DMARC1", "DKIM1", "STSv1", "TLSRPTv1", "BIMI1"])
record = st.one_of(
    st.lists(term, max_size=8).map(lambda words: " ".join(["v=spf1", *words])),
    st.lists(st.builds("{}={}".format, tag, value), max_size=6).flatmap(
        lambda parts: version.map(lambda v: "; ".join([f"v={v}", *parts]))
    ),
    junk,
)  # fmt: skip
mx = st.lists(st.sampled_from(["10 a.test", "0 ", "5 b.test", "x", ""]), max_size=3)
address = st.lists(st.sampled_from(["192.0.2.1", "2001:db8::1", "rubbish"]), max_size=2)
policy = st.lists(
    st.one_of(junk, st.sampled_from(["version: STSv1", "mode: enforce", "mode: testing",
                                     "mx: *.test", "max_age: 86400", "max_age: -1"])), max_size=6
).map("\n".join)  # fmt: skip


@st.composite
def answers(draw: st.DrawFn, values: st.SearchStrategy[list[str]]) -> Answer:
    status = draw(st.sampled_from([*Status][:4]))
    if status is Status.FOUND:
        held = draw(values)
        return Answer(status if held else Status.EMPTY, tuple(held))
    return Answer(status, problem="fuzz")


class Rubbish(Facts):
    """Draws an answer for whatever is asked, the same one each time."""

    def __init__(self, data: st.DataObject) -> None:
        super().__init__()
        self._data = data

    def ask(self, kind: Kind, name: str) -> Answer:
        found = super().ask(kind, name)
        for question in list(self.wanted):
            values = {
                Kind.TXT: st.lists(record, max_size=3),
                Kind.MX: mx,
                Kind.POLICY: policy.map(lambda text: [text]),
            }.get(kind, address)
            found = self._data.draw(answers(values))
            self.learn(question, found)
        return found


SUBJECT = Subject(
    "mail.a.test",
    "b.test",
    ("include:c.test", "ip4:192.0.2.1", "mx"),
    (SigningKey("s1", "a.test", "AAAA"), SigningKey("s2", "mail.a.test")),
    "d@a.test",
)


def organization(name: str) -> str:
    return ".".join(name.split(".")[-2:])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_there_is_a_report_of_anything(data):
    facts = Rubbish(data)
    report = assess(SUBJECT, facts, organization)
    assert not facts.wanted
    assert {finding.check for finding in report.findings} == set(Check)
    assert report.rulings
    assert load_report(dump_report(report)) == report
    known = {finding.key: finding for finding in report.findings}
    again = assess(SUBJECT, facts, organization)
    assert again == report
    assert not drift(known, settle(known, again.findings))
    assert report.verdict in Verdict


@given(st.one_of(record, junk))
def test_readers_never_raise(text):
    parse_tags(text)
    parse_policy(text)
    spf.parse(text)
    with suppress(BadKeyError):
        read_key(text)


@given(st.lists(term, max_size=6))
def test_a_record_read_from_its_own_words_is_the_same(words):
    text = " ".join(["v=spf1", *words])
    once = spf.parse(text)
    assert spf.parse(once.text) == once
    assert all(problem for problem in once.problems)

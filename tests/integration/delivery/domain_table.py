"""Domains as people set them up, rightly and wrongly, and what must be found.

Each row starts from GOOD, a domain with nothing wrong. `zone` puts records in, or takes them out
(None), or makes a name misbehave; `expect` says which codes must come out, by check, the rest as
in GOOD.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.delivery.domain.authentication.subject import SigningKey, Subject
from tests.integration.delivery import nameserver as ns


@cache
def rsa(bits: int) -> str:
    """A public key as p= holds it."""
    key = generate_private_key(65537, bits).public_key()
    return b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def short_rsa(bits: int) -> str:
    """A public key that nobody would make any more."""
    key = RSAPublicNumbers(65537, (1 << (bits - 1)) | 0x10001).public_key()
    return b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


@cache
def pkcs1(bits: int) -> str:
    """The same in the other form that RFC 6376 names."""
    key = generate_private_key(65537, bits).public_key()
    return b64encode(key.public_bytes(Encoding.DER, PublicFormat.PKCS1)).decode()


@cache
def ed25519() -> str:
    return b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()


def txt(*texts: str) -> list[str]:
    """Text records as a zone file has them: strings of at most 255 octets."""
    made = []
    for text in texts:
        parts = [text[at : at + 255] for at in range(0, len(text), 255)] or [""]
        made.append(" ".join(f'"{part}"' for part in parts))
    return made


D = "shop.test"
KEY = f"pq1._domainkey.{D}"


def good_subject() -> Subject:
    return Subject(
        D,
        senders=("include:spf.relay.test", "ip4:192.0.2.25"),
        keys=(SigningKey("pq1", D, rsa(2048)),),
        reports=f"dmarc@{D}",
    )


def good_zone() -> dict[str, object]:
    return {
        f"{D} TXT": txt("v=spf1 include:spf.relay.test ip4:192.0.2.25 -all", "other=text"),
        "spf.relay.test TXT": txt("v=spf1 ip4:198.51.100.0/24 ~all"),
        f"{KEY} TXT": txt(f"v=DKIM1; k=rsa; p={rsa(2048)}"),
        f"_dmarc.{D} TXT": txt(f"v=DMARC1; p=reject; rua=mailto:dmarc@{D}"),
        f"{D} MX": ["10 mx1.shop.test.", "20 mx2.shop.test."],
        "mx1.shop.test A": ["192.0.2.1"],
        "mx2.shop.test AAAA": ["2001:db8::2"],
        "25.2.0.192.in-addr.arpa PTR": ["out.shop.test."],
        "out.shop.test A": ["192.0.2.25"],
        **chain(10),
    }


GOOD = {
    "SPF": "spf_ok",
    "SPF_ALIGNMENT": "spf_aligned",
    "DKIM": "dkim_ok",
    "DKIM_ALIGNMENT": "dkim_aligned",
    "DMARC": "dmarc_ok",
    "MX": "mx_ok",
    "MTA_STS": "mta_sts_none",
    "TLS_RPT": "tls_rpt_none",
    "BIMI": "bimi_none",
    "REVERSE_DNS": "rdns_ok",
}


@dataclass(frozen=True)
class Row:
    id: str
    zone: Mapping[str, object] = field(default_factory=dict)
    expect: Mapping[str, str] = field(default_factory=dict)
    subject: Mapping[str, object] = field(default_factory=dict)

    def whole_subject(self) -> Subject:
        changes = {k: v() if callable(v) else v for k, v in self.subject.items()}
        return replace(good_subject(), **changes)

    def whole_zone(self) -> dict[str, object]:
        put = {name: value() if callable(value) else value for name, value in self.zone.items()}
        return {name: value for name, value in {**good_zone(), **put}.items() if value is not None}


def spf(id: str, record: str | None, code: str, **zone: object) -> Row:
    """A row about the SPF record; the senders that are wanted are none, so that it alone speaks."""
    texts = {f"{D} TXT": txt(record) if record is not None else None}
    more = {name.replace("__", " ").replace("_", "."): value for name, value in zone.items()}
    expect = {"SPF": code, "REVERSE_DNS": "rdns_provider"}
    return Row(id, {**texts, **more}, expect, {"senders": ()})


def dkim(id: str, record, code: str, **subject: object) -> Row:
    """A row about the DKIM record."""
    make = record if callable(record) else lambda: txt(record)
    return Row(id, {f"{KEY} TXT": make}, {"DKIM": code}, subject)


def dmarc(id: str, record: str, code: str, **expect: str) -> Row:
    """A row about the DMARC record."""
    return Row(id, {f"_dmarc.{D} TXT": txt(record)}, {"DMARC": code, **expect})


def chain(length: int) -> dict[str, object]:
    """Includes within includes, each a lookup."""
    zone = {
        f"s{n}.chain.test TXT": txt(f"v=spf1 include:s{n + 1}.chain.test") for n in range(length)
    }
    return {**zone, f"s{length}.chain.test TXT": txt("v=spf1 ip4:192.0.2.9")}


ANY_KEY = (SigningKey("pq1", D),)
R = f"rua=mailto:dmarc@{D}"

ROWS: list[Row] = [
    Row("all is well"),
    # --- SPF
    spf("spf: none", None, "spf_missing"),
    spf("spf: only other text", "v=spf10 -all", "spf_missing"),
    Row("spf: two", {f"{D} TXT": txt("v=spf1 -all", "v=spf1 ~all")}, {"SPF": "spf_multiple"}),
    spf("spf: soft end", "v=spf1 ip4:192.0.2.25 ~all", "spf_ok"),
    spf("spf: capital letters", "V=SPF1 IP4:192.0.2.25 -ALL", "spf_ok"),
    spf("spf: everybody", "v=spf1 +all", "spf_open"),
    spf("spf: everybody, in short", "v=spf1 mx all", "spf_open"),
    spf("spf: everybody, by network", "v=spf1 ip4:0.0.0.0/0 -all", "spf_open"),
    spf(
        "spf: everybody, by an include",
        "v=spf1 include:open.test -all",
        "spf_open",
        open_test__TXT=txt("v=spf1 all"),
    ),
    spf(
        "spf: an include that is no pass opens nothing",
        "v=spf1 ?include:open.test -all",
        "spf_ok",
        open_test__TXT=txt("v=spf1 all"),
    ),
    spf("spf: neutral", "v=spf1 ip4:192.0.2.25 ?all", "spf_neutral"),
    spf("spf: no end", "v=spf1 ip4:192.0.2.25", "spf_neutral"),
    spf("spf: nothing after all counts", "v=spf1 -all include:nowhere.test", "spf_ok"),
    spf("spf: unknown mechanism", "v=spf1 ipv4:192.0.2.25 -all", "spf_syntax"),
    spf("spf: no address", "v=spf1 ip4:192.0.2.256 -all", "spf_syntax"),
    spf("spf: too long a prefix", "v=spf1 a/33 -all", "spf_syntax"),
    spf("spf: unknown modifiers are allowed", "v=spf1 ip4:192.0.2.25 x-note=1 -all", "spf_ok"),
    spf("spf: two redirects", "v=spf1 redirect=a.test redirect=b.test", "spf_syntax"),
    spf("spf: ten lookups", "v=spf1 include:s1.chain.test -all", "spf_at_lookup_limit"),
    spf("spf: eleven lookups", "v=spf1 include:s0.chain.test -all", "spf_too_many_lookups"),
    spf(
        "spf: all that counts is counted",
        "v=spf1 a mx a:a.test mx:a.test exists:%{i}.a.test include:r.test redirect=r.test",
        "spf_ok",
        shop_test__A=["192.0.2.3"],
        a_test__A=["192.0.2.4"],
        a_test__MX=["1 a.test."],
        r_test__TXT=txt("v=spf1 a:a.test -all"),
    ),
    spf("spf: include of nothing", "v=spf1 include:nowhere.test -all", "spf_include_broken"),
    spf("spf: include of two", "v=spf1 include:two.test -all", "spf_include_broken",
        two_test__TXT=txt("v=spf1 -all", "v=spf1 ~all")),
    spf("spf: a circle", "v=spf1 include:ring.test -all", "spf_loop",
        ring_test__TXT=txt("v=spf1 include:shop.test -all")),
    spf("spf: one void", "v=spf1 a:void.test ip4:192.0.2.25 -all", "spf_void_lookup"),
    spf("spf: three voids", "v=spf1 a:v1.test a:v2.test mx:v3.test -all", "spf_too_many_voids"),
    spf("spf: ptr", "v=spf1 ptr ip4:192.0.2.25 -all", "spf_ptr"),
    spf("spf: eleven mail servers", "v=spf1 mx:many.test -all", "spf_mx_too_many",
        many_test__MX=[f"1 m{n}.many.test." for n in range(11)]),
    spf("spf: redirect", "v=spf1 redirect=spf.relay.test", "spf_ok"),
    spf("spf: redirect to nothing", "v=spf1 redirect=nowhere.test", "spf_include_broken"),
    spf("spf: the domain as a macro", "v=spf1 include:spf.%{d} -all", "spf_ok",
        spf_shop_test__TXT=txt("v=spf1 ip4:192.0.2.25")),
    spf("spf: include whose server fails", "v=spf1 include:sick.test -all", "dns_unavailable",
        sick_test=ns.SERVFAIL),
    Row("spf: a sender is missing", {f"{D} TXT": txt("v=spf1 include:spf.relay.test -all")},
        {"SPF": "spf_sender_missing"}),
    Row("spf: a sender is covered by a wider network",
        {f"{D} TXT": txt("v=spf1 include:spf.relay.test ip4:192.0.2.0/24 -all")}),
    Row("spf: a sender is covered by the mail servers",
        {f"{D} TXT": txt("v=spf1 include:spf.relay.test mx -all"),
         "mx1.shop.test A": ["192.0.2.25"]}),
    Row("spf: a sender in a denied term is none",
        {f"{D} TXT": txt("v=spf1 -ip4:192.0.2.0/24 include:spf.relay.test -all")},
        {"SPF": "spf_sender_missing"}),
    Row("spf: the domain of MAIL FROM counts",
        {"bounce.shop.test TXT": txt("v=spf1 include:spf.relay.test ip4:192.0.2.25 -all"),
         f"{D} TXT": None, "bounce.shop.test MX": ["1 mx1.shop.test."]},
        subject={"envelope": "bounce.shop.test"}),
    # --- DKIM
    dkim("dkim: no version is allowed", lambda: txt(f"k=rsa; p={rsa(2048)}"), "dkim_ok"),
    dkim("dkim: the other form of key", lambda: txt(f"v=DKIM1; p={pkcs1(2048)}"), "dkim_ok",
         keys=ANY_KEY),
    Row("dkim: by CNAME",
        {f"{KEY} TXT": None, f"{KEY} CNAME": ["k.relay.test."],
         "k.relay.test TXT": lambda: txt(f"v=DKIM1; p={rsa(2048)}")}),
    Row("dkim: none", {f"{KEY} TXT": None}, {"DKIM": "dkim_missing"}),
    dkim("dkim: other text", "hello", "dkim_syntax"),
    dkim("dkim: two keys", lambda: txt(f"p={rsa(2048)}", f"p={rsa(1024)}"), "dkim_multiple"),
    dkim("dkim: revoked", "v=DKIM1; k=rsa; p=", "dkim_revoked"),
    dkim("dkim: another key", lambda: txt(f"v=DKIM1; p={pkcs1(2048)}"), "dkim_mismatch"),
    dkim("dkim: 768 bits", lambda: txt(f"v=DKIM1; p={short_rsa(768)}"), "dkim_key_short",
         keys=ANY_KEY),
    dkim("dkim: 1,024 bits", lambda: txt(f"v=DKIM1; p={rsa(1024)}"), "dkim_key_weak", keys=ANY_KEY),
    dkim("dkim: ed25519", lambda: txt(f"v=DKIM1; k=ed25519; p={ed25519()}"), "dkim_ed25519",
         keys=ANY_KEY),
    dkim("dkim: unknown type", "v=DKIM1; k=dsa; p=AAAA", "dkim_key_type"),
    dkim("dkim: no base64", "v=DKIM1; p=!!!", "dkim_key_unreadable"),
    dkim("dkim: no key", "v=DKIM1; p=AAAA", "dkim_key_unreadable"),
    dkim("dkim: version not first", lambda: txt(f"p={rsa(2048)}; v=DKIM1"), "dkim_version"),
    dkim("dkim: testing", lambda: txt(f"v=DKIM1; t=y; p={rsa(2048)}"), "dkim_testing"),
    dkim("dkim: not for mail", lambda: txt(f"v=DKIM1; s=tlsrpt; p={rsa(2048)}"), "dkim_service"),
    dkim("dkim: sha1 alone", lambda: txt(f"v=DKIM1; h=sha1; p={rsa(2048)}"), "dkim_hash"),
    Row("dkim: no key is named", {}, {"DKIM": "dkim_not_named", "DKIM_ALIGNMENT": "dkim_not_named"},
        {"keys": ()}),
    # --- DMARC
    Row("dmarc: none", {f"_dmarc.{D} TXT": None}, {"DMARC": "dmarc_missing"}),
    Row("dmarc: two", {f"_dmarc.{D} TXT": txt("v=DMARC1; p=none", "v=DMARC1; p=reject")},
        {"DMARC": "dmarc_multiple"}),
    dmarc("dmarc: other text beside it", "v=DMARC2; p=reject", "dmarc_missing"),
    dmarc("dmarc: watching", f"v=DMARC1; p=none; {R}", "dmarc_policy_none"),
    dmarc("dmarc: no policy", f"v=DMARC1; {R}", "dmarc_syntax"),
    dmarc("dmarc: a policy that is none", f"v=DMARC1; p=block; {R}", "dmarc_syntax"),
    dmarc("dmarc: a part of the mail", f"v=DMARC1; p=reject; pct=20; {R}", "dmarc_partial"),
    dmarc("dmarc: a wrong part", f"v=DMARC1; p=reject; pct=120; {R}", "dmarc_syntax"),
    dmarc("dmarc: testing", f"v=DMARC1; p=reject; t=y; {R}", "dmarc_testing"),
    dmarc("dmarc: subdomains open", f"v=DMARC1; p=reject; sp=none; {R}", "dmarc_subdomains_open"),
    dmarc("dmarc: no reports", "v=DMARC1; p=reject", "dmarc_no_reports"),
    dmarc("dmarc: an address without mailto", f"v=DMARC1; p=reject; rua=dmarc@{D}",
          "dmarc_report_address"),
    dmarc("dmarc: reports elsewhere", "v=DMARC1; p=reject; rua=mailto:a@reports.test!10m",
          "dmarc_reports_unauthorized"),
    Row("dmarc: reports elsewhere, agreed to",
        {f"_dmarc.{D} TXT": txt("v=DMARC1; p=reject; rua=mailto:a@reports.test"),
         "*._dmarc.reports.test TXT": None,
         f"{D}._report._dmarc.reports.test TXT": txt("v=DMARC1")}),
    dmarc("dmarc: policy not second", f"v=DMARC1; {R}; p=reject", "dmarc_order"),
    dmarc("dmarc: rubbish", f"v=DMARC1; p=reject; ; =; {R}", "dmarc_syntax"),
    Row("dmarc: the organisation's, for a subdomain",
        {"_dmarc.shop.test TXT": None, "_dmarc.test TXT": None,
         "_dmarc.shop.co.uk TXT": txt("v=DMARC1; p=reject; sp=quarantine; rua=mailto:a@shop.co.uk"),
         "mail.shop.co.uk TXT": txt("v=spf1 include:spf.relay.test ip4:192.0.2.25 -all"),
         "pq1._domainkey.mail.shop.co.uk TXT": lambda: txt(f"v=DKIM1; p={rsa(2048)}"),
         "mail.shop.co.uk MX": ["1 mx1.shop.test."]},
        {},
        {"domain": "mail.shop.co.uk",
         "keys": lambda: (SigningKey("pq1", "mail.shop.co.uk", rsa(2048)),)}),
    Row("dmarc: sp counts for a subdomain",
        {"_dmarc.shop.co.uk TXT": txt("v=DMARC1; p=reject; sp=none; rua=mailto:a@shop.co.uk"),
         "mail.shop.co.uk TXT": txt("v=spf1 include:spf.relay.test ip4:192.0.2.25 -all"),
         "pq1._domainkey.mail.shop.co.uk TXT": lambda: txt(f"v=DKIM1; p={rsa(2048)}"),
         "mail.shop.co.uk MX": ["1 mx1.shop.test."]},
        {"DMARC": "dmarc_policy_none"},
        {"domain": "mail.shop.co.uk",
         "keys": lambda: (SigningKey("pq1", "mail.shop.co.uk", rsa(2048)),)}),
    # --- alignment
    Row("alignment: a provider's MAIL FROM",
        {"bounce.relay.test TXT": txt("v=spf1 include:spf.relay.test ip4:192.0.2.25 -all"),
         "bounce.relay.test MX": ["1 mx1.shop.test."]},
        {"SPF_ALIGNMENT": "spf_unaligned"},
        {"envelope": "bounce.relay.test"}),
    Row("alignment: strict",
        {"bounce.shop.test TXT": txt("v=spf1 include:spf.relay.test ip4:192.0.2.25 -all"),
         "bounce.shop.test MX": ["1 mx1.shop.test."],
         f"_dmarc.{D} TXT": txt(f"v=DMARC1; p=reject; aspf=s; {R}")},
        {"SPF_ALIGNMENT": "spf_unaligned"},
        {"envelope": "bounce.shop.test"}),
    Row("alignment: another's signature",
        {"pq1._domainkey.relay.test TXT": lambda: txt(f"v=DKIM1; p={rsa(2048)}")},
        {"DKIM_ALIGNMENT": "dkim_unaligned"},
        {"keys": lambda: (SigningKey("pq1", "relay.test", rsa(2048)),)}),
    # --- MX and reverse DNS
    Row("mx: none, but an address", {f"{D} MX": None, f"{D} A": ["192.0.2.1"]},
        {"MX": "mx_implicit"}),
    Row("mx: nothing", {f"{D} MX": None}, {"MX": "mx_missing"}),
    Row("mx: null", {f"{D} MX": ["0 ."]}, {"MX": "mx_null"}),
    Row("mx: null beside another", {f"{D} MX": ["0 .", "5 mx1.shop.test."]},
        {"MX": "mx_null_mixed"}),
    Row("mx: one is gone", {"mx2.shop.test AAAA": None}, {"MX": "mx_dangling"}),
    Row("rdns: none", {"25.2.0.192.in-addr.arpa PTR": None}, {"REVERSE_DNS": "rdns_missing"}),
    Row("rdns: not back", {"out.shop.test A": ["192.0.2.26"]}, {"REVERSE_DNS": "rdns_mismatch"}),
    # --- what is not needed
    Row("tls-rpt: there", {f"_smtp._tls.{D} TXT": txt("v=TLSRPTv1; rua=https://tls.test/r")},
        {"TLS_RPT": "tls_rpt_ok"}),
    Row("tls-rpt: no address", {f"_smtp._tls.{D} TXT": txt("v=TLSRPTv1; rua=tls@shop.test")},
        {"TLS_RPT": "tls_rpt_address"}),
    Row("mta-sts: no id", {f"_mta-sts.{D} TXT": txt("v=STSv1;")}, {"MTA_STS": "mta_sts_record"}),
    Row("mta-sts: no host", {f"_mta-sts.{D} TXT": txt("v=STSv1; id=1;")},
        {"MTA_STS": "mta_sts_policy_missing"}),
    Row("bimi: there",
        {f"default._bimi.{D} TXT": txt("v=BIMI1; l=https://shop.test/a.svg; a=https://shop.test/a.pem")},
        {"BIMI": "bimi_ok"}),
    Row("bimi: no certificate", {f"default._bimi.{D} TXT": txt("v=BIMI1; l=https://shop.test/a.svg")},
        {"BIMI": "bimi_no_certificate"}),
    Row("bimi: http", {f"default._bimi.{D} TXT": txt("v=BIMI1; l=http://shop.test/a.svg; a=")},
        {"BIMI": "bimi_logo"}),
    Row("bimi: two", {f"default._bimi.{D} TXT": txt("v=BIMI1; l=", "v=BIMI1; a=")},
        {"BIMI": "bimi_multiple"}),
    Row("bimi: rubbish", {f"default._bimi.{D} TXT": txt("v=BIMI1; ; l=https://shop.test/a.svg")},
        {"BIMI": "bimi_syntax"}),
    Row("bimi: a certificate that is none",
        {f"default._bimi.{D} TXT": txt("v=BIMI1; l=https://shop.test/a.svg; a=self")},
        {"BIMI": "bimi_certificate"}),
    Row("tls-rpt: two",
        {f"_smtp._tls.{D} TXT": txt("v=TLSRPTv1; rua=mailto:a@shop.test", "v=TLSRPTv1; rua=")},
        {"TLS_RPT": "tls_rpt_multiple"}),
    Row("bimi: declined", {f"default._bimi.{D} TXT": txt("v=BIMI1; l=; a=;")},
        {"BIMI": "bimi_declined"}),
    Row("bimi: policy too weak",
        {f"default._bimi.{D} TXT": txt("v=BIMI1; l=https://shop.test/a.svg; a=https://shop.test/a.pem"),
         f"_dmarc.{D} TXT": txt(f"v=DMARC1; p=none; {R}")},
        {"BIMI": "bimi_needs_dmarc", "DMARC": "dmarc_policy_none"}),
    # --- DNS
    Row("dns: the server fails", {KEY: ns.SERVFAIL}, {"DKIM": "dns_unavailable"}),
    Row("dns: the server refuses", {f"_dmarc.{D}": ns.REFUSED},
        {"DMARC": "dns_unavailable", "SPF_ALIGNMENT": "dns_unavailable",
         "DKIM_ALIGNMENT": "dns_unavailable"}),
    Row("dns: the server is silent", {KEY: ns.SILENT}, {"DKIM": "dns_unavailable"}),
    Row("dns: the answer is rubbish", {KEY: ns.RUBBISH}, {"DKIM": "dns_unavailable"}),
    Row("dns: by TCP what UDP cuts off", {D: ns.CUT}),
    Row("dns: a long answer", {f"{D} TXT": txt(
        "v=spf1 include:spf.relay.test ip4:192.0.2.25 -all",
        *(f"note-{n}=" + "x" * 200 for n in range(20)),
    )}),
]  # fmt: skip
